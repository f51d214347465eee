#!/usr/bin/env python3
"""
What: twenty places that allocate known amounts, in C, in C++ through inlined
templates and in Rust, against what jeprof, google-pprof and go tool pprof
tell of them. As a test each allocation is a sample and all figures are exact.

  SEEDS=100 sites.py     measures instead: so many runs of each, one sample in
                         LG (environment, default 15) bits of bytes; prints
                         how far estimates are off, in standard errors

Invariants: what a place has is what the program itself says. An estimate of
n blocks of Z bytes, each a sample with p = 1 - e^(-Z/R), has the standard
error Z sqrt(n (1 - p) / p).
"""
import glob
import math
import os
import re
import shutil
import subprocess

from tap import (JEPROF, SOURCES, Skip, environment, main, path, same)

LIBRARY = os.environ["JE_LIBRARY"]
SEEDS = int(os.environ.get("SEEDS", "0"))
LG = int(os.environ.get("LG", "15"))
BYTES = "4194304" if SEEDS else "65536"

C = [*os.environ.get("CC", "cc").split(), "-std=gnu11"]
CXX = [*os.environ.get("CXX", "c++").split(), "-std=c++17"]
# The pprof of Go 1.19 misplaces code that lld has linked, as rustc does.
RUST = ["rustc", "-O", "-Clink-arg=-fuse-ld=bfd"]
LANGUAGES = {"c": ([*C, "-O2"], "sites.c"), "cc": ([*CXX, "-O2"], "sites.cc"),
             "rs": (RUST, "sites.rs")}
# Format of the dump, and what reads it; cumulative values are the sixth
# column but one.
READERS = {
    "jeprof": ("heap_v2", [JEPROF, "--text", "--show_bytes"]),
    "google-pprof": ("heap", ["google-pprof", "--text", "--show_bytes"]),
    "go": ("pprof", ["go", "tool", "pprof", "-top", "-unit=B", "-nodecount=500",
                     "-nodefraction=0", "-sample_index=inuse_space"]),
}


def build(language):
    if os.environ["JE_PREFIX"] or os.environ["JE_SANITIZER"]:
        raise Skip("the public names are not malloc and free here")
    compiler, source = LANGUAGES[language]
    if not shutil.which(compiler[0]):
        raise Skip(f"no {compiler[0]}")
    program = path("sites." + language)
    if not os.path.exists(program):
        done = subprocess.run(
            [*compiler, "-g", "-o", program, os.path.join(SOURCES, source)],
            check=False, capture_output=True)
        if done.returncode != 0:
            raise AssertionError(done.stderr.decode())
    return program


def run(program, form, lg):
    """{place: (blocks, bytes)} and the dump."""
    conf = f"prof:true,prof_final:true,lg_prof_sample:{lg}," \
        f"prof_prefix:{path('d')},prof_dump_format:{form}"
    try:
        done = subprocess.run(
            [program, BYTES], capture_output=True, check=True,
            env=environment(MALLOC_CONF=conf, LD_PRELOAD=LIBRARY))
    except (OSError, subprocess.CalledProcessError) as reason:
        raise Skip(f"programs of that compiler do not run here: {reason}")
    truth = {name: (int(blocks), int(amount)) for name, blocks, amount in
             re.findall(r"^(site_\d\d) (\d+) (\d+)$", done.stdout.decode(),
                        re.M)}
    same(len(truth), 20)
    dumps = glob.glob(path("d.*.heap"))
    if not dumps and not program.endswith(".c"):
        raise Skip("this library is not for programs of that compiler")
    same(len(dumps), 1)
    return truth, dumps[0]


def estimates(command, program, file):
    done = subprocess.run([*command, program, file], capture_output=True,
                          check=False, env=environment())
    if done.returncode != 0:
        raise AssertionError(done.stderr.decode())
    return {name: float(amount) for amount, name in re.findall(
        r"^(?:\s*\S+){3}\s+(\d+)B?\s+\S+\s+(site_\d\d)\b",
        done.stdout.decode(), re.M)}


def need(reader):
    tool = READERS[reader][1][0]
    if not shutil.which(tool):
        raise Skip(f"no {tool}")


def check_exact(language, reader):
    need(reader)
    program = build(language)
    form, command = READERS[reader]
    truth, file = run(program, form, 0)
    have = estimates(command, program, file)
    os.unlink(file)
    # Numbers of the text formats are whole: scaled they may be a byte off.
    for name, (_, amount) in truth.items():
        if abs(have.get(name, 0) - amount) > (form != "pprof"):
            same((name, have.get(name)), (name, amount))


def exact():
    return [case(f"{language} {reader}", check_exact, language, reader)
            for language in LANGUAGES for reader in READERS]


def case(name, function, *arguments):
    def body():
        function(*arguments)
    body.__name__ = name
    return body


# ---- measuring ---------------------------------------------------------------


# Fewer blocks than that are hit or missed at a place: no normal law.
FEW = 8


def measure(language, reader):
    """
    Distances in standard errors, {place: [of each seed]}: where they follow
    the normal law, and where nearly all blocks are samples.
    """
    program = build(language)
    form, command = READERS[reader]
    normal, full = {}, {}
    for _ in range(SEEDS):
        truth, file = run(program, form, LG)
        have = estimates(command, program, file)
        os.unlink(file)
        for name, (blocks, amount) in truth.items():
            share = -math.expm1(-amount / blocks / 2 ** LG)
            error = amount / blocks * math.sqrt(
                blocks * (1 - share) / share)
            few = blocks * min(share, 1 - share) < FEW
            # No number in a file is finer than a byte.
            off = (have.get(name, 0) - amount) / max(error, 1)
            (full if few else normal).setdefault(name, []).append(off)
    return normal, full


def mean_and_t(values):
    mean = sum(values) / len(values)
    variance = sum((v - mean) ** 2 for v in values) / (len(values) - 1)
    return mean, mean / math.sqrt(variance / len(values))


def largest(found):
    name = max(found, key=lambda name: abs(found[name]))
    return f"{name} {found[name]:+.2f}", abs(found[name])


def report(language, reader):
    need(reader)
    normal, full = measure(language, reader)
    every = [v for values in normal.values() for v in values]
    wide = sum(abs(v) > 3 for v in every)
    mean, t = mean_and_t(every)
    worst_t, t_size = largest({n: mean_and_t(v)[1] for n, v in normal.items()})
    worst_z, z_size = largest({n: sum(v) / math.sqrt(len(v))
                               for n, v in full.items()})
    print(f"# {language} {reader}: {SEEDS} seeds, {len(normal)} places with a "
          f"normal law: {wide} of {len(every)} beyond 3 standard errors "
          f"({0.0027 * len(every):.1f} are expected), worst "
          f"{max(map(abs, every)):.2f}; t of the means: worst {worst_t}, of "
          f"all together {t:+.2f} (mean {mean:+.4f}); {len(full)} places where "
          f"nearly all blocks are samples: worst z of the means {worst_z}")
    same((worst_t, t_size < 4.5), (worst_t, True))
    same((worst_z, z_size < 6), (worst_z, True))
    same((t, abs(t) < 3.5), (t, True))
    same((wide, wide <= 0.0027 * len(every) * 3 + 3), (wide, True))


def measured():
    return [case(f"{language} {reader}", report, language, reader)
            for language in LANGUAGES for reader in READERS]


main(*(measured() if SEEDS else exact()))
