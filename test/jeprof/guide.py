#!/usr/bin/env python3
"""
What: the commands of doc/PROFILING.md, run as they stand there; what they
print names the functions that the text says.

Invariants: a command is left out only if it is for a program of the reader's
or takes minutes.
"""
import os
import re
import shutil
import subprocess
import textwrap

from tap import Skip, contains, environment, main, path

SOURCE = os.path.abspath(os.environ["JE_SRCDIR"])
BUILD = os.path.abspath(os.environ["JE_BUILDDIR"])
NOT_HERE = (" program\n", "SEEDS=")


def sections():
    """[[(command, output that the text shows)]]"""
    with open(os.path.join(SOURCE, "doc/PROFILING.md")) as file:
        text = file.read()
    for section in re.split(r"^## ", text, flags=re.M):
        fences = re.findall(r"^( *)```(\w*)\n(.*?)^ *```$", section,
                            re.M | re.S)
        fences = [(kind, textwrap.dedent(body)) for _, kind, body in fences]
        yield [(body, fences[i + 1][1] if fences[i + 1:] and
                not fences[i + 1][0] else "")
               for i, (kind, body) in enumerate(fences) if kind == "sh" and
               not any(mark in body for mark in NOT_HERE)]


def prepare():
    """A build directory as the reader has it, below the tree."""
    if os.environ["JE_PREFIX"] or os.environ["JE_SANITIZER"]:
        raise Skip("the public names are not malloc and free here")
    if not os.path.exists(os.path.join(BUILD, "lib/libjemalloc.so")):
        raise Skip("no shared library")
    folder = path("tree/build")
    os.makedirs(folder, exist_ok=True)
    for name in ("doc", "test"):
        os.symlink(os.path.join(SOURCE, name), path("tree/" + name))
    for name in ("bin", "include", "lib"):
        os.symlink(os.path.join(BUILD, name), os.path.join(folder, name))


def run(command):
    preamble = f"set -eu\ncc() {{ command {os.environ.get('CC', 'cc')} \"$@\"; }}\n"
    done = subprocess.run(["bash", "-c", preamble + command],
                          cwd=path("tree/build"), capture_output=True,
                          env=environment(), check=False)
    if done.returncode != 0:
        raise AssertionError(command + done.stderr.decode())
    return (done.stdout + done.stderr).decode()


def follow(section):
    for command, shown in section:
        if "--svg" in command and not shutil.which("dot"):
            continue
        output = run(command)
        # The functions of a table, and the names of a bill.
        rows = re.findall(r"^ +[\d.]+ .*% (\S+)$|^  (\w+) +\d+  Bytes", shown,
                          re.M)
        for function, line in rows:
            contains(output, function or line)


def building():
    prepare()
    follow(list(sections())[0])


def fault(number):
    def case():
        if not os.path.exists(path("tree/build/shop")):
            raise Skip("see the first case")
        follow(list(sections())[number])
    case.__name__ = ("leak", "hog", "fragmenter")[number - 1]
    return case


main(building, fault(1), fault(2), fault(3))
