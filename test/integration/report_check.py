"""What: reads reports that a program of ours printed (report_dump.c): as JSON
they parse, have no key twice and exactly the listed ones, whatever letters
are given; JSON, text and controls agree to the last digit.

Invariants: the program prints three times and allocates nothing in between.

usage: report_check.py KEYS PROGRAM
"""
import itertools
import json
import re
import subprocess
import sys


def expand(text):
    """a{b,c}d -> abd acd"""
    found = re.search(r"\{([^}]*)\}", text)
    if not found:
        return [text]
    before, after = text[:found.start()], text[found.end():]
    return [e for word in found.group(1).split(",")
            for e in expand(before + word + after)]


def read_keys(path):
    """Sets of "path/type": listed, and perhaps there."""
    sets, listed, perhaps = {}, set(), set()
    for line in open(path):
        line = line.split("#")[0].strip()
        mark = line[:1] if line[:1] in ("+", "?") else ""
        line = line[len(mark):].strip()
        if " = " in line:
            name, keys = line.split(" = ")
            sets[name] = keys
        elif line:
            place, keys = line.split(": ")
            keys = re.sub(r"@(\w+)", lambda m: sets[m.group(1)], keys)
            into = perhaps if mark else listed
            into.update(f"{p}/{key}" for p in expand(place)
                        for key in keys.split())
    return listed, perhaps


def once(pairs):
    keys = [key for key, _ in pairs]
    twice = {key for key in keys if keys.count(key) > 1}
    assert not twice, f"keys occur twice: {twice}"
    return dict(pairs)


def paths(value, place=""):
    """Every leaf as "path/type", with its value."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from paths(inner, f"{place}/{key}")
    elif isinstance(value, list):
        for inner in value:
            yield from paths(inner, place + "[]")
    else:
        kind = {bool: "b", int: "i", str: "s"}[type(value)]
        yield f"{place[1:]}/{kind}", value


def run(program, letters, names=()):
    return subprocess.run([*program, letters], input="\n".join(names),
                          capture_output=True, text=True, check=True).stdout


def show(what, failed):
    global number, failures
    number += 1
    failures += bool(failed)
    print(f"{'not ok' if failed else 'ok'} {number} - {what}")
    for line in sorted(failed)[:20]:
        print("#", line)


def check_keys(program, keys):
    listed, perhaps = read_keys(keys)
    found = {p for p, _ in paths(parse(run(program, "J")))}
    show("every listed key is there", listed - found)
    show("every key is listed", found - listed - perhaps)
    bill = {p for p, _ in paths(parse(run(program, "Jr")))}
    show("the letter r adds the bill",
         {p for p in perhaps if "/rss/" in p} ^ (bill - found))
    left = {p for p in listed if not re.search(
        "/stats.arenas/|/mutexes/", p)}
    small = {p for p, _ in paths(parse(run(program, "Jmdablxeh")))}
    show("letters leave out what they should", (small ^ left) - perhaps)


def parse(text):
    return json.loads(text, object_pairs_hook=once)


def check_letters(program):
    failed = []
    for count in range(4):
        for letters in itertools.combinations("gmdablxehr", count):
            text = run(program, "J" + "".join(letters))
            try:
                parse(text)
                if re.search(r"[\s]", re.sub(r'"[^"]*"', "", text)):
                    failed.append(f"{letters}: white space")
            except (ValueError, AssertionError) as error:
                failed.append(f"{letters}: {error}")
    show("every choice of letters is valid JSON", failed)


# Controls whose names are not the keys.
RENAMED = [(r"^jemalloc/", ""), (r"/", "."), (r"^stats\.arenas\.merged\.",
           "stats.arenas.4096."), (r"\.uptime_ns$", ".uptime"),
           (r"^(stats\.arenas\.\d+)\.hpa_shard\.sec_", r"\1.hpa_sec_"),
           (r"\.extent_allocation_distribution\.", ".alloc.")]


def controls(document):
    """Names of controls, and what they should give."""
    def walk(value, place):
        if isinstance(value, dict):
            for key, inner in value.items():
                yield from walk(inner, f"{place}/{key}")
        elif isinstance(value, list):
            for i, inner in enumerate(value):
                yield from walk(inner, f"{place}/{i}")
        elif not isinstance(value, (str, bool)):
            yield place[1:], value
    for place, value in walk(document, ""):
        for old, new in RENAMED:
            place = re.sub(old, new, place)
        if not re.match(r"opt\.hpa_dirty_mult|rss\.", place):
            yield place, value


def agrees(value, text):
    """Negative numbers come as what they are in four or eight bytes."""
    return text != "error" and int(text) in (
        value, value % 2**32, value % 2**64)


def check_agreement(program):
    wanted = dict(controls(parse(run(program, "J"))))
    out = run(program, "J", wanted)
    document, _, given = out.partition("\n")
    wanted = dict(controls(parse(document)))
    given = dict(line.split(" ") for line in given.splitlines())
    show("JSON agrees with the controls",
         [f"{n}: JSON {wanted[n]}, control {given.get(n)}" for n in wanted
          if not agrees(wanted[n], given.get(n, "error"))])
    show("and there are many", [] if len(wanted) > 5000 else [str(len(wanted))])


def cells(line):
    return [int(c) if c.isdigit() else c for c in line.split()]


def check_text(program):
    """One run prints text, then JSON of the same state."""
    text, _, rest = run(program, "+").partition("\f")
    document = parse(rest.splitlines()[0])["jemalloc"]
    merged = document["stats.arenas"]["merged"]
    failed = []

    def same(what, shown, value):
        if shown != value:
            failed.append(f"{what}: text {shown}, JSON {value}")

    totals = dict(re.findall(r"(\w+):? (\d+)", re.search(
        r"^Allocated: .*$", text, re.M).group().lower()))
    for name in ("allocated", "active", "metadata", "resident", "mapped",
                 "retained", "pinned"):
        same(name, int(totals[name]), document["stats"][name])
    block = text[text.index("Merged arenas stats:"):]
    block = block[:block.index("arenas[0]:")]
    for name in ("mapped", "retained", "base", "tcache_bytes", "resident",
                 "metadata_edata", "metadata_rtree"):
        shown = re.search(rf"^{name}: +(\d+)$", block, re.M).group(1)
        same(name, int(shown), merged[name])
    for name in ("small", "large"):
        row = cells(re.search(rf"^{name}: +(\d.*)$", block, re.M).group(1))
        keys = ("allocated", "nmalloc", "ndalloc", "nrequests", "nfills",
                "nflushes")
        for key, at in zip(keys, (0, 1, 3, 5, 7, 9)):
            same(f"{name} {key}", row[at], merged[name][key])
    table = block[block.index("\nbins:"):]
    table = table[:table.index("\nlarge: ")]
    rows = 0
    for line in table.splitlines()[2:]:
        row = cells(line)
        if row[0] == "---":
            continue
        rows += 1
        found = merged["bins"][row[1]]
        for key, at in (("nmalloc", 3), ("ndalloc", 5), ("nrequests", 7),
                        ("curregs", 10), ("curslabs", 11),
                        ("nonfull_slabs", 12), ("nfills", 16),
                        ("nflushes", 18), ("nreslabs", 21)):
            same(f"bin {row[1]} {key}", row[at], found[key])
    show("text agrees with JSON", failed)
    show("and has rows", [] if rows > 5 else [f"{rows} rows"])


number = failures = 0
keys_file, *tool = sys.argv[1:]
check_keys(tool, keys_file)
check_letters(tool)
check_agreement(tool)
check_text(tool)
print(f"1..{number}")
sys.exit(failures != 0)
