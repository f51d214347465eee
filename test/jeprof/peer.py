#!/usr/bin/env python3
"""
What: the same tables as the jeprof that a distribution brings, on dumps that
its libjemalloc wrote, and on ours; skipped where either is missing.

Invariants: of the rows only those are compared whose names both must know: the
program's and no inlined ones.
"""
import glob
import os
import shutil
import subprocess

from tap import SOURCES, Skip, environment, jeprof, main, path, same

PEER = "/usr/bin/jeprof"
LIBRARIES = glob.glob("/usr/lib/*/libjemalloc.so.2")
WORDS = os.environ.get("CC", "cc").split()


def need_peer():
    if not os.access(PEER, os.X_OK) or not LIBRARIES or \
            not all(shutil.which(t) for t in ("perl", "nm", "addr2line")):
        raise Skip("no jeprof, libjemalloc.so.2 or perl here")


def make_dump(name, options, library=None):
    need_peer()
    subprocess.run([*WORDS, "-std=gnu11", "-g", "-O1", "-fno-inline",
                    "-fno-optimize-sibling-calls", "-pthread", "-fno-pie",
                    "-no-pie", "-o", path("worker"),
                    os.path.join(SOURCES, "worker.c")], check=True)
    prefix = path(name)
    done = subprocess.run([path("worker")], check=False, env=environment(
        LD_PRELOAD=library or LIBRARIES[0],
        MALLOC_CONF=f"prof:true,prof_final:true,prof_prefix:{prefix}"
                    f",{options}"))
    dumps = glob.glob(prefix + ".*.f.heap")
    if done.returncode != 0 or len(dumps) != 1:
        raise Skip("that libjemalloc does not profile here")
    return dumps[0]


OWN = {"main", "run", "keep", "small", "large", "deep", "start_thread"}


def rows(text):
    """First line, and the program's own rows without the running sum."""
    found = {}
    for line in text.splitlines()[1:]:
        flat, part, _, cum, cum_part, name = line.split(None, 5)
        if name.split(" ")[0] in OWN:
            name = name.replace(" (discriminator", "\0").split("\0")[0]
            found.setdefault(name, []).append((flat, part, cum, cum_part))
    return text.splitlines()[0], found


def compare(dump, *options):
    peer = subprocess.run([PEER, "--text", *options, path("worker"), dump],
                          capture_output=True, check=True,
                          env=environment()).stdout.decode()
    have = rows(jeprof("--text", *options, path("worker"), dump).out)
    want = rows(peer)
    same(have[0], want[0])
    if not {"main", "small", "large", "deep"} <= {
            n.split(" ")[0] for n in want[1]}:
        raise AssertionError(peer)
    if "--lines" not in options:
        same(have[1], want[1])
        return
    # Several addresses of one line are one row here, and several there; paths
    # of libraries' sources are written in different ways.
    for name, numbers in want[1].items():
        if len(numbers) == 1 and "/worker.c:" in name:
            same((name, have[1][name]), (name, numbers))


def every_allocation():
    dump = make_dump("every", "lg_prof_sample:0,prof_accum:true")
    for option in ("--inuse_space", "--alloc_objects"):
        compare(dump, "--show_bytes", option)


def sampled():
    dump = make_dump("sampled", "lg_prof_sample:10,prof_accum:true")
    compare(dump)
    compare(dump, "--inuse_objects", "--cum")
    compare(dump, "--show_bytes", "--alloc_space")


def filtered():
    dump = make_dump("filtered", "lg_prof_sample:8")
    compare(dump, "--show_bytes", "--exclude=^keep$")
    compare(dump, "--show_bytes", "--lines")


def thread():
    dump = make_dump("thread", "lg_prof_sample:6")
    have = jeprof("--text", "--show_bytes", "--thread=1", path("worker"), dump)
    peer = subprocess.run([PEER, "--text", "--show_bytes", "--thread=1",
                           path("worker"), dump], capture_output=True,
                          check=True, env=environment()).stdout.decode()
    same(rows(have.out), rows(peer))


def dumps_of_ours():
    """What we write the peer reads, and strips of our frames, as we do."""
    if os.environ["JE_PREFIX"] or os.environ["JE_SANITIZER"]:
        raise Skip("the public names are not malloc and free here")
    for name, options in (("ours", "lg_prof_sample:0,prof_accum:true"),
                          ("some", "lg_prof_sample:10,prof_accum:true")):
        dump = make_dump(name, options, os.environ["JE_LIBRARY"])
        for value in ("--inuse_space", "--alloc_space", "--alloc_objects"):
            compare(dump, "--show_bytes", value)


def compared_with_a_base():
    """
    Cumulative values of a program that is always loaded at one place: the
    peer takes the base's addresses for those of the other process, and so
    does not know the allocator's frames in it.
    """
    base = make_dump("base", "lg_prof_sample:12")
    dump = make_dump("new", "lg_prof_sample:0")
    peer = rows(subprocess.run(
        [PEER, "--text", "--show_bytes", f"--base={base}", path("worker"),
         dump], capture_output=True, check=True,
        env=environment()).stdout.decode())
    have = rows(jeprof("--text", "--show_bytes", f"--base={base}",
                       path("worker"), dump).out)
    for name, numbers in peer[1].items():
        if name == "start_thread":
            continue
        for mine, theirs in zip(have[1][name][0][2:], numbers[0][2:]):
            if abs(float(mine.strip("%")) - float(theirs.strip("%"))) > 2:
                same((name, have[1][name]), (name, numbers))


main(every_allocation, sampled, filtered, thread, dumps_of_ours,
     compared_with_a_base)
