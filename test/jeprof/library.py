#!/usr/bin/env python3
"""
What: dumps of this library, in each of its formats, preloaded and linked
into the program: the same table each time, and nothing of the allocator's
own functions in it.

Invariants: every allocation is recorded, so figures do not vary.
"""
import glob
import os
import re
import subprocess

from tap import SOURCES, Skip, contains, environment, jeprof, main, path, same

LIBRARY = os.environ["JE_LIBRARY"]
STATIC = os.path.join(os.environ["JE_BUILDDIR"], "lib/libjemalloc.a")
WORDS = os.environ.get("CC", "cc").split()
OWN = {"main", "run", "keep", "small", "large", "deep"}


def build(name, *libraries):
    if os.environ["JE_PREFIX"] or os.environ["JE_SANITIZER"]:
        raise Skip("the public names are not malloc and free here")
    done = subprocess.run(
        [*WORDS, "-std=gnu11", "-g", "-O1", "-fno-inline",
         "-fno-optimize-sibling-calls", "-pthread", "-o", path(name),
         os.path.join(SOURCES, "worker.c"), *libraries], check=False,
        capture_output=True)
    if done.returncode != 0:
        raise AssertionError(done.stderr.decode())
    return path(name)


def dump(program, name, form, **env):
    conf = f"prof:true,prof_final:true,prof_accum:true,lg_prof_sample:0," \
        f"prof_prefix:{path(name)},prof_dump_format:{form}"
    try:
        done = subprocess.run([program], check=False, capture_output=True,
                              env=environment(MALLOC_CONF=conf, **env))
    except OSError as reason:
        raise Skip(f"programs of {WORDS[0]} do not run here: {reason}")
    made = glob.glob(path(name) + ".*")
    if done.returncode != 0 or len(made) != 1:
        raise AssertionError((done, made))
    return made[0]


def table(program, file, *options):
    rows = jeprof("--text", "--show_bytes", *options, program, file).rows()
    # What the C library allocates for itself is its own affair.
    for name in rows:
        if name.startswith(("prof_", "alloc_", "je_", "malloc", "frame_")):
            raise AssertionError(rows)
    return {n: v for n, v in rows.items() if n in OWN}


def check(program, name, **env):
    tables = []
    for form in ("heap_v2", "pprof", "heap"):
        file = dump(program, f"{name}.{form}", form, **env)
        tables.append(table(program, file))
        same(tables[-1], tables[0])
    # 500 rounds of main and 600 of the threads, each with two small blocks.
    file = glob.glob(path(name) + ".heap_v2.*")[0]
    counts = table(program, file, "--alloc_objects")
    same(counts["small"], ("2200", "2200"))
    same(counts["deep"], ("600", "600"))
    same(counts["run"], ("0", "1800"))


def preloaded():
    check(build("preloaded"), "p", LD_PRELOAD=LIBRARY)


def linked():
    if not os.path.exists(STATIC):
        raise Skip("no static library")
    check(build("linked", STATIC), "l")


def build_ids():
    """Text dumps tell them, so a program built anew is found out."""
    program = build("ids", "-Wl,--build-id")
    for form in ("heap_v2", "heap"):
        file = dump(program, f"i.{form}", form, LD_PRELOAD=LIBRARY)
        found = jeprof("--json", program, file).out
        own = re.search(r'/ids","build_id":"([0-9a-f]{16,})"', found)[1]
        with open(file) as text:
            contains(text.read(), f" {own}\n")
        build("ids", "-Wl,--build-id", "-O0")
        result = jeprof("--text", "--show_bytes", program, file)
        contains(result.err, f"the profile's {own}")
        contains(result.out, "ids+0x")
        same(set(result.rows()) & OWN, set())
        build("ids", "-Wl,--build-id")


main(preloaded, linked, build_ids)
