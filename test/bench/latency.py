"""How long single calls of malloc and free take under churn.

What: runs latency.c on each library in turns and adds up what the turns
counted; percentiles, and the histogram itself for the page.

Invariants: (I1) libraries with jemalloc's options let dirty pages decay
within DECAY_MS, so that some are given back all the time; others do as they
are built; (I2) each turn has the same volume.

Locking: none.
"""

import subprocess

import common

ABOUT = "time of single calls while 1 GB/s is allocated and pages decay"
DECAY_MS = 500
MIB = 6000
LEAST_MIB = 1000  # Below, nothing would be freed in time.
PERCENTILES = [50, 99, 99.9, 99.99]
CALLS = ["malloc", "free"]


def run_one(program, library, volume):
    """{call: [[ns, count], ...]} and the clock's cost."""
    env = common.environment(library)
    env["MALLOC_CONF"] = "dirty_decay_ms:%d" % DECAY_MS
    done = subprocess.run(
        [program, str(volume)], env=env, stdout=subprocess.PIPE, text=True,
        check=False)
    lines = [line.split() for line in done.stdout.splitlines()]
    if done.returncode != 0 or not lines or lines[-1][0] != "operations":
        common.die("latency on %s failed (%d)" % (
            library.name, done.returncode))
    clock = float(lines[0][1])
    return clock, {call: [[float(l[1]), int(l[2])] for l in lines
                          if l[0] == call] for call in CALLS}


def percentile(steps, percent):
    """The time that `percent` of the calls do not exceed."""
    wanted = sum(count for _, count in steps) * percent / 100
    for ns, count in steps:
        wanted -= count
        if wanted <= 0:
            return ns
    return steps[-1][0]


def summarise(runs):
    """Percentiles as medians over the runs; the last run's histogram."""
    found = {}
    for call in CALLS:
        each = [[percentile(run[call], p) for p in PERCENTILES]
                for run in runs]
        found[call] = {
            "percentiles": [common.median(column) for column in zip(*each)],
            "low": [min(column) for column in zip(*each)],
            "high": [max(column) for column in zip(*each)],
            "most": max(run[call][-1][0] for run in runs),
            "steps": runs[-1][call],
        }
    return found


def measure(builder, columns, turns, scale):
    """{library: {call: percentiles, histogram}}, and the clock's cost."""
    program = builder.program("latency")
    volume = max(LEAST_MIB, int(MIB * scale))
    runs = {l.name: [] for l in columns}
    clocks = []
    for turn in range(turns):
        first = turn % len(columns)
        for library in columns[first:] + columns[:first]:
            clock, counts = run_one(program, library, volume)
            clocks.append(clock)
            runs[library.name].append(counts)
    return {"clock_ns": min(clocks), "percents": PERCENTILES,
            "libraries": {n: summarise(r) for n, r in runs.items()}}


def span(ns):
    """A time with its unit."""
    for unit, size in (("ms", 1e6), ("us", 1e3)):
        if ns >= size:
            return "%.*f %s" % (0 if ns >= 100 * size else 1, ns / size, unit)
    return "%.0f ns" % ns


def show(report):
    print("\nTime of single calls at 1 GB/s, clock included (%s)" % span(
        report["clock_ns"]))
    heads = ["p%g" % p for p in report["percents"]] + ["most"]
    lines = [["allocator"] + [c + " " + h for c in CALLS for h in heads]]
    for name, row in report["libraries"].items():
        lines.append([name] + [span(ns) for c in CALLS for ns in
                               row[c]["percentiles"] + [row[c]["most"]]])
    common.table(lines)
