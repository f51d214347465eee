#!/usr/bin/env python3
"""
What: what the options of the profiler cost, as the table of doc/PROFILING.md:
processor time of test/bench/server.c, the least of several turns, and peak
memory, each as a ratio to the library without profiling.

Invariants: turns of all settings alternate, so that the machine's moods hit
all of them.

Usage, in a build directory: ../doc/profiling/costs.py [TURNS]
"""
import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
BENCH = os.path.join(HERE, "../../test/bench")
LIBRARY = os.path.abspath("lib/libjemalloc.so.2")
SETTINGS = ["", "prof:true", "prof:true,prof_active:false",
            "prof:true,prof_accum:true", "prof:true,prof_stats:true",
            "prof:true,prof_recent_alloc_max:10000",
            "prof:true,lg_prof_interval:28",
            "prof:true,lg_prof_sample:16", "prof:true,lg_prof_sample:12"]


def turn(program, conf, folder):
    """Seconds of processor time and KiB at most."""
    child = subprocess.Popen(
        [program, "8", "60"], stdout=subprocess.DEVNULL, cwd=folder,
        env={**os.environ, "LD_PRELOAD": LIBRARY, "MALLOC_CONF": conf})
    _, status, usage = os.wait4(child.pid, 0)
    if status != 0:
        sys.exit(f"{program} with {conf!r} ended with status {status}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss


def main():
    turns = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    if not os.path.exists(LIBRARY):
        sys.exit("costs.py: no lib/libjemalloc.so.2 here: run it in a "
                 "directory where the library was built")
    with tempfile.TemporaryDirectory() as folder:
        program = os.path.join(folder, "server")
        subprocess.run(["cc", "-O2", "-pthread", os.path.join(
            BENCH, "server.c"), "-o", program], check=True)
        seen = {conf: [] for conf in SETTINGS}
        for _ in range(turns):
            for conf in SETTINGS:
                seen[conf].append(turn(program, conf, folder))
    best = {conf: (min(s for s, _ in pairs), min(k for _, k in pairs))
            for conf, pairs in seen.items()}
    seconds, memory = best[""]
    print("| Options | CPU | Peak |\n|---|---|---|")
    for conf, (s, k) in best.items():
        print(f"| {'`' + conf + '`' if conf else 'none'} | "
              f"{s / seconds:.2f} | {k / memory:.2f} |")


main()
