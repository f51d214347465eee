"""What: reads reports that a program of ours printed (report_dump.c): as JSON
they parse, have no key twice and exactly the listed ones, whatever letters
are given; JSON, text and controls agree to the last digit.

Invariants: the program prints three times and allocates nothing in between,
and what it runs with lets nobody else do so.

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


SUMS = dict(zip(("allocated", "nmalloc", "ndalloc", "nrequests", "nfills",
                 "nflushes"), (0, 1, 3, 5, 7, 9)))
DECAY = dict(zip(("npurge", "nmadvise", "purged"), (2, 3, 4)))
MEMORY = ("mapped", "retained", "pinned", "base", "internal", "metadata_edata",
          "metadata_rtree", "metadata_thp", "tcache_bytes",
          "tcache_stashed_bytes", "resident", "abandoned_vm", "extent_avail")
# Title of a table, its key, and in which column each key of a row is.
TABLES = (("bins", "bins", dict(
    nmalloc=3, ndalloc=5, nrequests=7, curregs=10, curslabs=11,
    nonfull_slabs=12, nfills=16, nflushes=18, nreslabs=21)),
    ("large", "lextents", dict(curlextents=9)),
    ("extents", "extents", dict(
        ndirty=2, dirty_bytes=3, nmuzzy=4, muzzy_bytes=5, nretained=6,
        retained_bytes=7, npinned=8, pinned_bytes=9)))


def rows_of(block, title):
    """The rows of a table, without those that stand for what is left out."""
    lines = block[re.search(rf"^{title}: +size", block, re.M).end():]
    for line in lines.splitlines()[1:]:
        row = cells(line)
        if not row or not isinstance(row[0], int) and row[0] != "---":
            return
        if row[0] != "---":
            yield row


def arena_pairs(block, arena, sizes):
    """What one arena's text shows, and what its JSON says."""
    def line(name):
        return cells(re.search(rf"^ *{name}: +(.*)$", block, re.M).group(1))
    yield "active", line("active")[0], arena["pactive"] * sizes["page"]
    for name in MEMORY:
        yield name, line(name)[0], arena[name]
    for name in ("dirty", "muzzy"):
        yield f"p{name}", line(name)[1], arena[f"p{name}"]
        for key, at in DECAY.items():
            yield f"{name} {key}", line(name)[at], arena[f"{name}_{key}"]
    for name in ("small", "large"):
        row = cells(re.search(rf"^{name}: +(\d.*)$", block, re.M).group(1))
        for key, at in SUMS.items():
            yield f"{name} {key}", row[at], arena[name][key]
    for title, name, columns in TABLES:
        for row in rows_of(block, title):
            i = row[1] - (sizes["nbins"] if name == "lextents" else 0)
            for key, at in columns.items():
                yield f"{title} {i} {key}", row[at], arena[name][i][key]


def check_text(program):
    """One run prints text, then JSON of the same state."""
    text, _, rest = run(program, "+").partition("\f")
    document = parse(rest.splitlines()[0])["jemalloc"]
    arenas = document["stats.arenas"]
    totals = dict(re.findall(r"(\w+):? (\d+)", re.search(
        r"^Allocated: .*$", text, re.M).group().lower()))
    pairs = [(name, int(totals[name]), document["stats"][name])
             for name in ("allocated", "active", "metadata", "resident",
                          "mapped", "retained", "pinned")]
    titles = {"merged": "Merged arenas stats:", "0": "arenas[0]:",
              "1": "arenas[1]:"}
    starts = [text.index(title) for title in titles.values()] + [None]
    for name, start, end in zip(titles, starts, starts[1:]):
        pairs += [(f"{name} {what}", shown, value) for what, shown, value in
                  arena_pairs(text[start:end], arenas[name],
                              document["arenas"])]
    show("text agrees with JSON",
         [f"{what}: text {shown}, JSON {value}" for what, shown, value in pairs
          if shown != value])
    show("and has rows", [] if len(pairs) > 500 else [str(len(pairs))])


number = failures = 0
keys_file, *tool = sys.argv[1:]
check_keys(tool, keys_file)
check_letters(tool)
check_agreement(tool)
check_text(tool)
print(f"1..{number}")
sys.exit(failures != 0)
