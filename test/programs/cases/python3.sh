# What: python with its own small-object allocator switched off: a dictionary
# of a million entries, a JSON round trip, threads, subprocesses.
#
# Exercises: each object is one malloc; millions of small blocks, frees in
# another order, frees by other threads, fork and exec from a big process.
#
# Answer: the same text as without the library, and assertions inside.
case_about='PYTHONMALLOC=malloc: dictionaries, JSON, threads'
case_sets='check quick'
case_tools=python3
case_packages=python3
case_proof='python3*'

write_script() {
    cat <<'EOF'
import gc, hashlib, json, subprocess, sys, threading

limit = int(sys.argv[1])
table = {("key", i): [i, str(i), float(i)] for i in range(limit)}
for i in range(0, limit, 3):
    del table[("key", i)]
for i in range(0, limit, 9):
    table[("key", i)] = bytes(i % 3000)
print(len(table), sum(len(str(v)) for v in table.values()))

tree = {str(i): {"list": list(range(i % 50)), "text": "t\u00e9xt" * (i % 9)}
        for i in range(limit // 20)}
text = json.dumps(tree, sort_keys=True)
assert json.loads(text) == tree
print(hashlib.sha256(text.encode()).hexdigest())

shelf, lock, totals = [], threading.Lock(), [0] * 4

def work(number):
    state = number + 1
    for _ in range(limit // 10):
        state = (state * 1103515245 + 12345) & 0x7fffffff
        block = bytearray(state % 5000 + 1)
        block[-1] = state & 255
        with lock:
            shelf.append((block, state))
            old, seed = shelf.pop(state % len(shelf))
        assert old[-1] == seed & 255 and len(old) == seed % 5000 + 1
        totals[number] += state % 5000

threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(totals)

code = "print(sum(len(str(i)) for i in range(100000)))"
for _ in range(3):
    print(subprocess.run([sys.executable, "-c", code], check=True,
                         stdout=subprocess.PIPE).stdout.decode().strip())
del table, tree, text
gc.collect()
print("end")
EOF
}

case_run() {
    local python
    write_script >script.py
    python=$(python3 -c 'import sys; print(sys.executable)')
    export PYTHONMALLOC=malloc PYTHONHASHSEED=0
    both "$python" script.py "$(pick 200000 500000 1000000)"
}
