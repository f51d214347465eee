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


def measure(language, reader):
    """Distances in standard errors: {place: [of each seed]}."""
    program = build(language)
    form, command = READERS[reader]
    found = {}
    for _ in range(SEEDS):
        truth, file = run(program, form, LG)
        have = estimates(command, program, file)
        os.unlink(file)
        for name, (blocks, amount) in truth.items():
            share = -math.expm1(-amount / blocks / 2 ** LG)
            error = amount / blocks * math.sqrt(
                blocks * (1 - share) / share)
            off = have.get(name, 0) - amount
            if error < 1:
                # Blocks so large that none is missed.
                same((name, abs(off) <= 1e-6 * amount), (name, True))
            else:
                found.setdefault(name, []).append(off / error)
    return found


def mean_and_t(values):
    mean = sum(values) / len(values)
    variance = sum((v - mean) ** 2 for v in values) / (len(values) - 1)
    return mean, mean / math.sqrt(variance / len(values))


def report(language, reader):
    need(reader)
    found = measure(language, reader)
    every = [v for values in found.values() for v in values]
    ts = {name: mean_and_t(values)[1] for name, values in found.items()}
    worst = max(ts, key=lambda name: abs(ts[name]))
    wide = sum(abs(v) > 3 for v in every)
    print(f"# {language} {reader}: {SEEDS} seeds, {len(found)} places with an "
          f"error, {20 - len(found)} exact; {wide} of {len(every)} beyond 3 "
          f"standard errors ({0.0027 * len(every):.1f} are expected), worst "
          f"{max(map(abs, every)):.2f}; worst mean {worst} t = "
          f"{ts[worst]:.2f}; all: mean {mean_and_t(every)[0]:+.4f}, "
          f"t = {mean_and_t(every)[1]:+.2f}")
    same((worst, abs(ts[worst]) < 4.5), (worst, True))
    same(abs(mean_and_t(every)[1]) < 3.5, True)
    same(wide <= 0.0027 * len(every) * 3 + 3, True)


def measured():
    return [case(f"{language} {reader}", report, language, reader)
            for language in LANGUAGES for reader in READERS]


main(*(measured() if SEEDS else exact()))
