"""What the runner knows about a program that it measures.

What: the class Program: how to write its input, how to start it, and how to
see that it did its work.

Invariants: (I1) inputs depend on the scale alone; (I2) a program writes into
its own working directory only; (I3) whatever the allocator, the proof of a
run is the same.

Locking: none.
"""

import hashlib
import os
import shutil

import common


def write(workdir, name, text):
    path = os.path.join(workdir, name)
    with open(path, "w", encoding="utf-8") as out:
        out.write(text)
    return path


def times(count, scale):
    return max(1, int(count * scale))


class Program:
    """`make` returns the command, given scale, working directory, builder."""

    extra = {}       # Environment.
    result = "out"   # File of the working directory that proves the run.
    kind = "of the system"
    drive = None     # For servers: works against it; wall microseconds.
    operations = None

    def __init__(self, name, about, needs, make):
        self.name = name
        self.about = about
        self.needs = needs
        self.make = make
        self.command = None
        self.workdir = None

    def environment(self):
        env = common.environment(None)
        env.update(self.extra)
        return env

    def output(self):
        return os.path.join(self.workdir, "out")

    def errors(self):
        return os.path.join(self.workdir, "err")

    def last_words(self):
        with open(self.errors(), encoding="utf-8", errors="replace") as text:
            return text.read()[-1000:]

    def prepare(self, scale, workdir, builder):
        """Writes the input; the name of what is missing, or None."""
        for tool in self.needs:
            if shutil.which(tool) is None:
                return tool
        self.workdir = os.path.join(workdir, self.name)
        os.makedirs(self.workdir)
        self.command = self.make(scale, self.workdir, builder)
        return None if self.command else self.needs[-1]

    def proof(self):
        """What the run produced, as a short text."""
        with open(os.path.join(self.workdir, self.result), "rb") as out:
            return hashlib.sha256(out.read()).hexdigest()
