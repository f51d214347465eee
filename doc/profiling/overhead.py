#!/usr/bin/env python3
"""
What: what sampling adds to the programs of test/bench and to programs of the
system, in instructions: the second table of doc/PROFILING.md. Processor time
would tell more, but on a machine with other work two runs of one program
differ by more than sampling adds.

A benchmark program is run at two lengths, and the difference is looked at, so
that what is done once (half a million instructions to read the process map)
does not count. Of programs of the system the whole run counts.

Usage, in a build directory: ../doc/profiling/overhead.py [REGEX]
"""
import math
import os
import re
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../../test/bench"))
sys.dont_write_bytecode = True

import common  # noqa: E402
import own  # noqa: E402

LIBRARY = os.path.abspath("lib/libjemalloc.so.2")
SETTINGS = ["", "prof:true", "prof:true,lg_prof_sample:16"]
# Tried until the longer run is some times the shorter.
SCALES = ((0.005, 0.03), (0.1, 0.5))
# A small part of each kind that says something about one library's samples.
SKIPPED = re.compile("sharing|-(8|32|64)$|latency")

SYSTEM = {
    "python3": ["python3", "-c",
                "import json; d = [{'id': i, 'name': 'n%d' % i, "
                "'tags': [str(j) for j in range(5)]} for i in range(6000)]; "
                "print(len(json.dumps(json.loads(json.dumps(d)))))"],
    "perl": ["perl", "-e",
             "$h{$_} = [$_, 'v' . $_ * 3, {a => $_}] for 1 .. 40000; "
             "$n += length $h{$_}[1] for sort keys %h; print $n"],
    "ruby": ["ruby", "-e",
             "h = {}; 30000.times { |i| h[i.to_s] = [i, \"v#{i * 3}\"] }; "
             "puts h.sum { |k, v| v[1].size }"],
    "sqlite3": ["sqlite3", ":memory:",
                "create table a(x integer primary key, y text); "
                "with recursive c(i) as (select 1 union all select i + 1 from "
                "c where i < 8000) insert into a select i, 'n' || i from c; "
                "create index b on a(y); select count(*) from a where y like "
                "'n1%';"],
    "jq": ["jq", "-n", "[range(20000) | {id: ., name: \"n\\(.)\"}] | "
                       "group_by(.id % 7) | map(length)"],
    "lua": ["lua5.4", "-e",
            "local t = {} for i = 1, 60000 do t[i] = {i, tostring(i)} end "
            "local n = 0 for i = 1, 60000 do n = n + #t[i][2] end print(n)"],
    "cc1": [subprocess.run(["gcc", "-print-prog-name=cc1"], check=True,
                           capture_output=True, text=True).stdout.strip(),
            "-quiet", "-O2", "-o", "/dev/null",
            os.path.join(HERE, "../../test/bench/server.c")],
}


def instructions(command, conf):
    """Those of one run, all threads."""
    run = subprocess.run(
        ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null",
         "--soname-synonyms=somalloc=nouserintercepts"] + command,
        env={**os.environ, "LD_PRELOAD": LIBRARY, "MALLOC_CONF": conf,
             "LC_ALL": "C", "PYTHONMALLOC": "malloc"},
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        check=False)
    found = re.search(r"Collected : (\d+)", run.stderr)
    if run.returncode != 0 or found is None:
        sys.exit(f"{command[0]} under valgrind with {conf!r}: {run.stderr}")
    return int(found.group(1))


def of_benchmark(program, builder, folder, conf):
    for scales in SCALES:
        few, many = (program.make(s, folder, builder) for s in scales)
        if int(many[-1]) > 3 * int(few[-1]):
            break
    return instructions(many, conf) - instructions(few, conf)


def print_row(name, counts):
    added = [100 * (n / counts[0] - 1) for n in counts[1:]]
    print(f"| {name} | " + " | ".join(f"{a:+.1f} %" for a in added) + " |",
          flush=True)
    return [n / counts[0] for n in counts[1:]]


def print_mean(ratios):
    means = [math.exp(sum(map(math.log, column)) / len(column))
             for column in zip(*ratios)]
    print("| geometric mean | " + " | ".join(
        f"{100 * (m - 1):+.1f} %" for m in means) + " |")


def main():
    wanted = re.compile(sys.argv[1] if len(sys.argv) > 1 else "")
    if not os.path.exists(LIBRARY):
        sys.exit("overhead.py: no lib/libjemalloc.so.2 here: run it in a "
                 "directory where the library was built")
    print("| Program | `prof:true` | `lg_prof_sample:16` |\n|---|---|---|")
    builder = common.Builder()
    ratios = []
    with tempfile.TemporaryDirectory() as folder:
        for program in own.PROGRAMS:
            if wanted.search(program.name) and \
                    not SKIPPED.search(program.name):
                ratios.append(print_row(program.name, [
                    of_benchmark(program, builder, folder, conf)
                    for conf in SETTINGS]))
    if ratios:
        print_mean(ratios)
    builder.close()
    for name, command in SYSTEM.items():
        if wanted.search(name):
            print_row(name, [instructions(command, c) for c in SETTINGS])


main()
