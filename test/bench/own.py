"""The benchmark programs of this directory, as rows of the table.

What: one row a program and set of arguments; the last argument is what the
scale moves.

Invariants: (I1) a row does the same work whatever the allocator; (I2) its
last line of output says how much, and a sum that proves it.

Locking: none.
"""

import re

import common
from program import Program, times

REPORT = re.compile(r"operations (\d+) sum (\d+)")


class Own(Program):
    """A program that says how many operations it made."""

    kind = "own"

    def proof(self):
        with open(self.output(), encoding="utf-8") as out:
            text = out.read().strip()
        found = REPORT.fullmatch(text.split("\n")[-1])
        if found is None:
            raise ValueError("no report in its output '%s'" % text)
        self.operations = int(found.group(1))
        return text


def row(name, about, source, fixed, rounds, flags=()):
    def make(scale, _workdir, builder):
        program = builder.program(source, flags)
        fixed_arguments = [str(f) for f in fixed]
        return [program] + fixed_arguments + [str(times(rounds, scale))]
    return Own(name, about, [], make)


def rows():
    one = "one thread"
    yield row("numbers", "number theory, tiny results, " + one,
              "numbers", [], 1200)
    yield row("logic", "minimised functions, lists and tables, " + one,
              "logic", [], 500)
    yield row("tree", "formulas built, derived and dropped, " + one,
              "tree", [], 80000)
    yield row("bodies", "a tree of cubes a step, much arithmetic, " + one,
              "bodies", [20000], 12, ["-lm"])
    yield row("objects", "C++ containers, shared pointers, " + one,
              "objects", [], 120)
    for threads in (1, 2, 32):
        yield row("loops-%d" % threads,
                  "batches of one size, three orders, %d threads" % threads,
                  "loops", [threads], 40000000)
    for threads in (1, 2):
        yield row("replace-%d" % threads,
                  "60,000 live small blocks a thread replaced at random",
                  "replace", [threads], 30000000)
    for threads, rounds in ((1, 24), (2, 14), (8, 10), (32, 8)):
        yield row("lifetimes-%d" % threads,
                  "sizes to 1 MiB, lives as in programs, some freed elsewhere",
                  "lifetimes", [threads], rounds * 1000000)
    for threads, rounds in ((2, 360), (8, 80), (32, 22), (64, 16)):
        yield row("server-%d" % threads,
                  "tables handed from thread to thread, %d lines" % threads,
                  "server", [threads], rounds)
    yield row("server-sized", "the same by sized delete, 2 lines",
              "server", [2], 360, ["-DWORK_SIZED", "-lstdc++"])
    for threads, waves in ((2, 1000), (8, 240), (32, 50), (64, 25)):
        yield row("churn-%d" % threads,
                  "waves of unequal threads, survivors, %d at once" % threads,
                  "churn", [threads], waves)
    yield row("mail-1-1", "1 producer, 1 consumer, block by block",
              "mailbox", [1, 1, 1], 12000000)
    yield row("mail-1-7", "1 producer, 7 consumers, block by block",
              "mailbox", [1, 7, 1], 8000000)
    yield row("mail-7-1", "7 producers, 1 consumer, block by block",
              "mailbox", [7, 1, 1], 8000000)
    yield row("mail-batch", "2 producers, 2 consumers, batches of 256",
              "mailbox", [2, 2, 256], 16000000)
    yield row("mail-32", "32 producers, 32 consumers, batches of 64",
              "mailbox", [32, 32, 64], 3000000)
    yield row("large", "16 blocks of 4 to 24 MiB replaced over and over",
              "blocks", [4096, 24576], 150)
    yield row("medium", "16 blocks of 40 KiB to 2 MiB replaced",
              "blocks", [40, 2048], 120000)
    yield row("blocks", "16 blocks of 40 KiB to 8 MiB replaced",
              "blocks", [40, 8192], 600)
    yield row("fresh", "allocated to the end, freed in one sweep",
              "fresh", [], 5000000)
    yield row("sharing-active", "neighbours taken by two threads",
              "sharing", ["active", 2], 50000)
    yield row("sharing-passive", "neighbours given to two threads",
              "sharing", ["passive", 2], 50000)
    yield row("births", "threads that live for 60 blocks, 8 at once",
              "births", [], 16000)
    yield row("grow", "realloc of texts, arrays and buffers",
              "grow", [], 120)
    yield row("zeroed", "calloc of all sizes to 4 MiB, written all over",
              "zeroed", [], 800000)
    yield row("aligned", "alignments of 16 to 65,536",
              "aligned", [], 12000000)


PROGRAMS = list(rows())
common.check_unique(p.name for p in PROGRAMS)
