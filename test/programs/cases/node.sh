# What: node with buffers outside its heap, JSON, compression on its thread
# pool, and worker threads that hand buffers over.
#
# Exercises: C++ new and delete from many threads, memory allocated in one
# thread and freed in another, address-space limits set by the runtime.
#
# Answer: the same text as without the library.
case_about='buffers, worker threads, compression, garbage collection'
case_sets='quick'
case_tools=node
case_packages=nodejs
case_proof=node

write_script() {
    cat <<'EOF'
const { Worker, isMainThread, parentPort, workerData } =
    require('worker_threads');
const zlib = require('zlib');
const crypto = require('crypto');

function lcg(seed) {
    let state = seed;
    return () => (state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff);
}

function churn(seed, rounds) {
    const draw = lcg(seed);
    const ring = new Array(400).fill(null);
    let sum = 0;
    for (let i = 0; i < rounds; i++) {
        const size = draw() % 20000 + 1;
        const block = Buffer.allocUnsafeSlow(size).fill(size & 255);
        const slot = draw() % ring.length;
        const old = ring[slot];
        if (old) {
            if (old[old.length - 1] !== (old.length & 255)) {
                throw new Error('a buffer changed');
            }
            sum = (sum + old.length) % 1000003;
        }
        ring[slot] = block;
    }
    return sum;
}

if (!isMainThread) {
    const sum = churn(workerData.seed, workerData.rounds);
    const out = new Uint8Array(1 << 20).fill(workerData.seed);
    parentPort.postMessage({ sum, out }, [out.buffer]);
} else {
    const rounds = Number(process.argv[2]);
    const workers = [1, 2, 3, 4].map((seed) => new Promise((done, bad) => {
        const worker = new Worker(__filename, { workerData: { seed, rounds } });
        worker.on('message', done);
        worker.on('error', bad);
    }));
    const tree = Array.from({ length: rounds }, (_, i) =>
        ({ id: i, name: 'n'.repeat(i % 50), list: [i, i * 2] }));
    const text = JSON.stringify(tree);
    const squeeze = [1, 4, 9].map((level) => new Promise((done, bad) =>
        zlib.deflate(text, { level }, (error, packed) => error ? bad(error)
            : zlib.inflate(packed, (failure, plain) => failure ? bad(failure)
                : done(plain.toString() === text)))));
    Promise.all([...workers, ...squeeze]).then((results) => {
        for (const result of results) {
            console.log(result.out ? [result.sum, result.out.length,
                result.out[77]] : result);
        }
        console.log(crypto.createHash('sha256').update(text).digest('hex'));
        console.log(churn(9, rounds));
    }, (error) => { console.error(error); process.exit(1); });
}
EOF
}

case_run() {
    write_script >script.js
    both node script.js "$(pick 10000 30000 200000)"
}
