#!/usr/bin/env python3
"""
What: every format in, every output out, options, and input that is wrong.

Invariants: figures that scale samples are those of the rule
1 / (1 - e^(-mean / period)), computed here once more.
"""
import gzip
import json
import math
import os
import re
import struct
import subprocess

from tap import (DATA, JEPROF, Skip, contains, elf, environment, jeprof, lacks,
                 main, map_line, path, same, write)

BASE = 0x400000
SYMBOLS = [(0x300, 0x40, "malloc"), (0x340, 0x40, "inner"),
           (0x380, 0x40, "_ZN3app5outerEi"), (0x3c0, 0x40, "main"),
           (0x400, 0x40, "other")]
CALLS = [0x310, 0x350, 0x390, 0x3d0, 0x410]
MAPS = "\nMAPPED_LIBRARIES:\n" + map_line(BASE, 0x1000, "/srv/bin/app")
TABLE = ["--text", "--show_bytes"]


def program():
    return write("app", elf(SYMBOLS, CALLS))


def at(*offsets):
    return " ".join(hex(BASE + offset) for offset in offsets)


INNER = (0x310, 0x350, 0x390, 0x3d0)
OTHER = (0x310, 0x410, 0x3d0)


def heap_v2(period=1, stacks=((INNER, "2: 128 [4: 256]"),
                              (OTHER, "1: 1000 [1: 1000]"))):
    text = f"heap_v2/{period}\n  t*: 3: 4 [5: 6]\n  t0: 3: 4 [5: 6] a [b] c\n"
    for offsets, counters in stacks:
        text += f"@ {at(*offsets)}\n  t*: {counters}\n  t0: {counters}\n"
    return text + MAPS


def dump(name="a.heap", **more):
    return write(name, heap_v2(**more))


def names_and_sums():
    result = jeprof(*TABLE, program(), dump())
    same(result.out,
         "Total: 1128 B\n"
         "    1000  88.7%  88.7%     1000  88.7% other\n"
         "     128  11.3% 100.0%      128  11.3% inner\n"
         "       0   0.0% 100.0%      128  11.3% app::outer\n"
         "       0   0.0% 100.0%     1128 100.0% main\n")
    same(result.err, "")


def values():
    for option, total in (("--inuse_objects", "3 objects"),
                          ("--alloc_objects", "5 objects"),
                          ("--alloc_space", "1256 B"),
                          ("--inuse_space", "1128 B")):
        contains(jeprof(*TABLE, option, program(), dump()).out,
                 f"Total: {total}\n")
    contains(jeprof("--text", program(), dump()).out, "Total: 0.0 MB\n")
    bare = write("bare.heap", heap_v2().replace("[4: 256]", "[0: 0]").replace(
        "[1: 1000]", "[0: 0]"))
    contains(jeprof("--text", "--alloc_space", program(), bare).err,
             "prof_accum:true")


def sampling_is_undone_line_by_line():
    stacks = ((INNER, "3: 300 [0: 0]"), (INNER, "1: 9000 [0: 0]"))
    result = jeprof(*TABLE, program(), dump(period=4096, stacks=stacks))
    want = sum(s / (1 - math.exp(-s / n / 4096)) for n, s in
               ((3, 300), (1, 9000)))
    contains(result.out, f"Total: {int(want)} B\n")


def gperftools_periods():
    """Counters, and what each way of sampling makes of them."""
    body = (f"     1:     100 [     2:      300] @ {at(0x350, 0x3d0)}\n"
            f"     2:    2900 [     3:     8700] @ {at(0x410, 0x3d0)}\n" + MAPS)
    head = "heap profile:     3:   3000 [     5:   9000] @ "
    for kind, space, objects in (("heap/1024", 3412, 9),
                                 ("heap_v2/1024", 4904, 17),
                                 ("heapprofile", 3000, 5),
                                 ("growthz", 3000, 5)):
        file = write("single.heap", head + kind + "\n" + body)
        contains(jeprof(*TABLE, program(), file).out, f"Total: {space} B\n")
        contains(jeprof(*TABLE, "--alloc_objects", program(), file).out,
                 f"Total: {objects} objects\n")


def contention():
    file = write("lock", "--- contention:\ncycles/second = 1000\n"
                 "sampling period = 10\nms since reset = 5\n"
                 f"discarded samples = 0\n200 4 @ {at(0x350, 0x3d0)}\n" + MAPS)
    contains(jeprof("--text", program(), file).out, "Total: 2.000 seconds\n")
    contains(jeprof("--text", "--contentions", program(), file).out,
             "Total: 40 contentions\n")
    contains(jeprof("--text", "--mean_delay", program(), file).out,
             "Total: 0.050 seconds\n")


def cpu_profiles():
    for word in ("=Q", "=I"):
        numbers = (0, 3, 0, 10000, 0, 5, 2, BASE + 0x350, BASE + 0x3d0,
                   2, 1, BASE + 0x405, 0, 1, 0)
        file = write("cpu", b"".join(struct.pack(word, n) for n in numbers) +
                     map_line(BASE, 0x1000, "/srv/bin/app").encode())
        rows = jeprof("--text", program(), file).rows()
        same(rows, {"inner": ("5", "5"), "other": ("2", "2"),
                    "main": ("0", "5")})


def own_outputs_are_read_again():
    want = jeprof(*TABLE, program(), dump()).out
    for option in ("--raw", "--proto", "--merge"):
        made = jeprof(option, program(), dump()).bytes
        same(jeprof(*TABLE, write("again", made)).out, want)
        same(jeprof(*TABLE, "-", stdin=made).out, want)
    same(jeprof(*TABLE, program(), write(
        "packed", gzip.compress(heap_v2().encode()))).out, want)


def sums_of_many_files():
    """The same program loaded elsewhere on another machine adds up."""
    moved = heap_v2()
    for address in sorted(set(INNER + OTHER)):
        moved = moved.replace(hex(BASE + address), hex(0x7000000 + address))
    moved = moved.replace(f"{BASE:x}-{BASE + 0x1000:x}", "7000000-7001000")
    result = jeprof(*TABLE, program(), dump(), write("moved.heap", moved))
    same(result.out.splitlines()[0], "Total: 2256 B")
    same(result.rows()["inner"], ("256", "256"))
    # Keyed by build id: two builds at one path stay apart.
    ids = ("00" * 20, "11" * 20)
    parts = []
    for i, build_id in enumerate(ids):
        write("app", elf([(0x300, 0x40, "malloc"),
                          (0x340, 0x100, f"build_{i}")], CALLS, build_id))
        parts.append(write(f"part{i}", jeprof("--proto", path("app"),
                                              dump()).bytes))
    merged = jeprof("--merge", *parts).bytes
    for one in ids:
        contains(gzip.decompress(merged).decode("latin1"), one)
    rows = jeprof(*TABLE, write("merged", merged)).rows()
    same(rows, {"build_0": ("1128", "1128"), "build_1": ("1128", "1128")})


def differences():
    old = dump("old.heap", stacks=((INNER, "1: 28 [0: 0]"),
                                   ((0x310, 0x410), "1: 50 [0: 0]")))
    new = dump("new.heap")
    result = jeprof(*TABLE, "--base=" + old, program(), new)
    same(result.rows(), {"other": ("950", "950"), "inner": ("100", "100"),
                         "app::outer": ("0", "100"), "main": ("0", "1100")})
    result = jeprof(*TABLE, "--drop_negative", "--base", old, program(), new)
    same(result.rows()["other"], ("1000", "1000"))
    result = jeprof(*TABLE, "--base=" + new, program(), new)
    same(result.out, "Total: 0 B\n")


def filters():
    def names(*options):
        return set(jeprof(*TABLE, *options, program(), dump()).rows())
    same(names("--focus=^other$"), {"other", "main"})
    same(names("--focus=410|40f"), {"other", "main"})
    same(names("--ignore=outer"), {"other", "main"})
    same(names("--retain=inner|other"), {"inner", "other"})
    same(names("--exclude=inner"), {"app::outer", "other", "main"})
    contains(jeprof("--text", "--focus=(", program(), dump(), status=1).err,
             '"(" is not a regular expression')


def threads():
    text = heap_v2().replace("  t0: 1: 1000 [1: 1000]",
                             "  t0: 1: 400 [0: 0]\n  t7: 1: 600 [0: 0]")
    file = write("threads.heap", text)
    contains(jeprof(*TABLE, "--thread=7", program(), file).out,
             "Total (t7): 600 B\n     600 100.0%")
    out = jeprof(*TABLE, "--thread=*", program(), file).out
    same(re.findall(r"^Total.*", out, re.M),
         ["Total (t0): 528 B", "Total (t7): 600 B"])
    contains(jeprof("--text", "--thread=5", program(), file, status=1).err,
             "nothing of thread 5")


def empty_stacks_and_names_of_threads():
    text = ("heap_v2/1\n  t*: 1: 5 [0: 0]\n  t0: 1: 5 [0: 0] na]me [x\n"
            f"@ {at(*INNER)}\n  t*: 1: 7 [0: 0]\n  t0: 1: 7 [0: 0]\n"
            "@\n  t*: 1: 5 [0: 0]\n  t0: 1: 5 [0: 0]\n" + MAPS)
    result = jeprof(*TABLE, program(), write("bare", text))
    same(result.out.splitlines()[0], "Total: 12 B")
    same(result.rows()["inner"], ("7", "7"))
    same(result.err, "")


def addresses_without_a_map():
    """The program itself, not relocated, and added files."""
    text = "heap_v2/1\n@ 0x310 0x350 0x90350\n  t*: 1: 7 [0: 0]\n"
    result = jeprof(*TABLE, program(), write("nomap", text))
    contains(result.err, "has no memory map")
    same(result.rows(), {"inner": ("7", "7"),
                         "0x000000000009034f": ("0", "7")})
    added = write("added", elf([(0x90300, 0x60, "extra")], size=0x91000))
    same(jeprof(*TABLE, "--add_lib=" + added, program(),
                path("nomap")).rows()["extra"], ("0", "7"))


def code_made_at_run_time():
    """Names from a list, of which later lines cover earlier ones."""
    text = "heap_v2/1\n@ 0x310 0x7010 0x7051 0x7101\n  t*: 1: 7 [0: 0]\n"
    file = write("jit.heap", text + MAPS)
    listed = write("perf.map", "7000 100 int Old.thing(int)\nodd line\n"
                   "7000 40 void New.run(java.lang.String)\n7100 8 Stub\n")
    result = jeprof(*TABLE, "--perf_map=" + listed, program(), file)
    same(result.err, "")
    same(set(result.rows()) - {"0x0000000000000310"},
         {"New.run", "Old.thing", "Stub"})
    contains(jeprof(*TABLE, program(), file).out, "0x0000000000007050")
    contains(jeprof(*TABLE, "--perf_map=" + write("no.map", "x\n"), program(),
                    file, status=1).err, "lines must be START SIZE NAME")


def json_outputs():
    file = jeprof("--json", program(), dump()).out
    data = json.loads(file)
    same([s["inuse_space"] for s in data["stacks"]], [128, 1000])
    frames = [data["frames"][i]["name"] for i in data["stacks"][0]["frames"]]
    same(frames, ["inner", "app::outer(int)", "main"])
    data = json.loads(jeprof("--speedscope", program(), dump()).out)
    profile = data["profiles"][0]
    same((profile["unit"], profile["weights"], profile["endValue"]),
         ("bytes", [128, 1000], 1128))
    frames = data["shared"]["frames"]
    same([[frames[i]["name"] for i in s] for s in profile["samples"]],
         [["main", "app::outer(int)", "inner"], ["main", "other"]])


def stacks_for_other_tools():
    same(jeprof("--collapsed", program(), dump()).out,
         "main;app::outer(int);inner 128\nmain;other 1000\n")
    out = jeprof("--callgrind", program(), dump()).out
    contains(out, "events: B\n")
    contains(out, "calls=1 0\n0 1000\n")
    called = dict(re.findall(r"fn=(\(\d+\)) (.+)", out))
    own = {called[i]: v for i, v in re.findall(
        r"^fn=(\(\d+\)).*\n0 (\d+)", out, re.M)}
    same(own, {"inner": "128", "other": "1000"})


def flame_page():
    page = jeprof("--flame", program(), dump()).out
    data = json.loads(re.search(
        r'type="application/json">(.*?)</script>', page, re.S)[1])
    same([n[0] for n in data["nodes"]], [0, 1, 2, 2, 3])
    same(data["nodes"][0][4:], [3, 1128, 5, 1256])
    lacks(page, "http://")
    lacks(page, "https://")
    page = jeprof("--flame", "--base=" + dump("old.heap"), program(),
                  dump()).out
    contains(page, '"base":true')
    # Names are data, whatever they hold.
    write("app", elf([(0x340, 0x40, "</script><b>\x01\\\"")], CALLS))
    page = jeprof("--flame", path("app"), dump()).out
    lacks(page, "</script><b>")


def graphs():
    out = jeprof("--dot", "--show_bytes", program(), dump()).out
    contains(out, 'digraph "')
    contains(out, 'label="other\\n1000 (88.7%)\\r"')
    contains(out, 'label="app\\nouter\\n0 (0.0%)\\rof 128 (11.3%)\\r"')
    same(len(re.findall(r"^N\d+ -> ", out, re.M)), 3)
    same(len(re.findall(r"^N\d+ -> ", jeprof(
        "--dot", "--nodefraction=.5", program(), dump()).out, re.M)), 1)
    same(len(re.findall(r"^N\d+ \[", jeprof(
        "--dot", "--nodecount=2", program(), dump()).out, re.M)), 2)
    contains(jeprof("--dot", "--heapcheck", program(), dump()).out,
             "fillcolor=gray")
    contains(jeprof("--svg", program(), dump(), PATH="/nonexistent",
                    status=1).err, "install graphviz")
    dot = jeprof("--svg", program(), dump(), status=0).out \
        if any(os.access(os.path.join(d, "dot"), os.X_OK)
               for d in os.environ["PATH"].split(":")) else "<svg"
    contains(dot, "<svg")


def prompt():
    commands = b"top1\ntop 2\ntop3 --cum\nlist (\nnonsense\nhelp\n" \
        b"top2 -other\ncallgrind " + path("cg").encode() + b"\nquit\n"
    result = jeprof("--interactive", "--show_bytes", program(), dump(),
                    stdin=commands)
    contains(result.out, "Welcome to jeprof!")
    contains(result.out, "(jeprof) Total: 1128 B\n    1000  88.7%")
    contains(result.out, "(jeprof) Total: 128 B\n     128 100.0%")
    contains(result.err, '"(" is not a regular expression')
    contains(result.err, "Unknown command: try 'help'.")
    with open(path("cg")) as text:
        contains(text.read(), "creator: jeprof")


def options():
    same(jeprof("--tex", "--show", "--noshow_bytes", program(),
                dump()).out.splitlines()[0], "Total: 0.0 MB")
    contains(jeprof("--version").out, "jeprof (part of jemalloc ")
    contains(jeprof("--help").out, "--nodefraction=F")
    for wrong, why in ((["--frob"], "unknown option --frob"),
                       (["--s"], "several options"),
                       (["--text", "--dot"], "more than one way of output"),
                       (["--nodecount=x"], "--nodecount=x: not a number"),
                       (["--text=1"], "--text takes no value"),
                       (["--focus"], "--focus needs a value"),
                       ([], "no profile given"),
                       ([program()], "a program, but no profile given")):
        result = jeprof(*wrong, status=1)
        contains(result.err, "FATAL ERROR: ")
        contains(result.err, why)
        contains(result.err, "Usage: jeprof")


def wrong_input():
    """Each with a result or one clear message."""
    for content, why in (
            ("", "empty: the dump was never written"),
            ("garbage\nmore", 'not a profile: it begins with "garbage"'),
            (b"\x7f\x00\x01\x02" * 100, "not a profile"),
            ("heap_v2/\n", "the first line must be heap_v2/"),
            ("heap_v2/12x\n", "the first line must be heap_v2/"),
            ("--- symbol\n", "no profile behind them"),
            (b"\x1f\x8b\x08garbage", "gzip")):
        result = jeprof("--text", program(), write("wrong", content),
                        status=1)
        contains(result.err, why)
        same(result.err.count("\n"), 1)
    contains(jeprof("--text", program(), path("absent"), status=1).err,
             "No such file or directory")
    contains(jeprof("--text", program(), path("."), status=1).err,
             "a directory")
    result = jeprof(*TABLE, program(), write(
        "odd", heap_v2().replace("  t0: 2: 128", "nonsense \x07: 128")))
    contains(result.err, "line 6 is not understood and left out: nonsense .")
    same(result.out.splitlines()[0], "Total: 1128 B")
    result = jeprof(*TABLE, program(), write(
        "warned", "%warn take care\n% else\n" + heap_v2()))
    contains(result.err, "warned: take care\n")
    packed = gzip.compress(heap_v2().encode() * 50)[:-40]
    contains(jeprof("--text", program(), write("part.gz", packed)).err,
             "gzip data ends early")
    contains(jeprof("--text", program(), dump(), write(
        "growth", "heap profile: 1: 1 [1: 1] @ growthz\n" + MAPS),
        status=1).err, "only profiles of one kind")


def output_that_cannot_be_written():
    if not os.path.exists("/dev/full"):
        raise Skip("no /dev/full")
    with open("/dev/full", "w") as full:
        done = subprocess.run([JEPROF, "--text", program(), dump()],
                              stdout=full, stderr=subprocess.PIPE,
                              env=environment(), check=False)
    same(done.returncode, 1)
    contains(done.stderr.decode(), "could not be written")


def large_numbers():
    """A number that is too large counts as the largest, 2^64 - 1."""
    most = 2 ** 64 - 1
    result = jeprof(*TABLE, program(), dump(
        stacks=((INNER, f"{most}: {most}99 [0: 0]"),)))
    contains(result.out, "Total: 29182319442217484288 B\n")


def real_dumps_all_formats():
    """Nothing is lost on the way through profile.proto."""
    file = os.path.join(DATA, "sampled.heap")
    want = jeprof(*TABLE, "--lib_prefix=/nonexistent", file).out
    made = jeprof("--proto", file).bytes
    have = jeprof(*TABLE, write("real.pb.gz", made)).out
    rows = [float(text.split()[1]) for text in (want, have)]
    if abs(rows[0] - rows[1]) > 10:
        same(have.splitlines()[0], want.splitlines()[0])


main(names_and_sums, values, sampling_is_undone_line_by_line,
     gperftools_periods, contention, cpu_profiles, own_outputs_are_read_again,
     sums_of_many_files, differences, filters, threads,
     empty_stacks_and_names_of_threads, addresses_without_a_map, code_made_at_run_time, json_outputs,
     stacks_for_other_tools, flame_page, graphs, prompt, options, wrong_input,
     output_that_cannot_be_written, large_numbers, real_dumps_all_formats)
