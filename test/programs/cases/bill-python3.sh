# What: the bill of resident memory of python with a dictionary of a million
# entries, asked for by a signal that the program sends to itself.
#
# Exercises: stats_signal, the letter r.
#
# Answer: the lines' sum is what the kernel counts, within 3 %, with python's
# own small-object allocator, whose arenas are mapped by itself, and without.
case_about='stats_signal and the bill of memory, a large dictionary'
case_sets='check quick'
case_tools=python3
case_packages=python3
case_proof='python3*'

case_run() {
    local python allocator keys
    keys=$(pick 200000 1000000 1000000)
    python=$(python3 -c 'import sys; print(sys.executable)')
    cat >script.py <<'EOF'
import os, signal, sys, time
table = {i: str(i) for i in range(int(sys.argv[1]))}
os.kill(os.getpid(), signal.SIGUSR1)
for _ in range(100):
    time.sleep(0.1)
    if "End jemalloc" in open("report").read():
        break
print(len(table))
EOF
    for allocator in malloc pymalloc; do
        PYTHONMALLOC=$allocator \
            MALLOC_CONF=stats_signal:USR1,stats_print_opts:gmablxehr \
            under "$python" script.py "$keys" >out 2>report
        expect "$(cat out)" "$keys" 'size of the table'
        check_bill report $((keys * 100))
    done
}
