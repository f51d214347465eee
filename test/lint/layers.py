#!/usr/bin/env python3
"""
What: fails when a file of src/ leans on a higher layer, on its neighbour in
braces, or on a later file of its own directory; by #include, and by the
symbols of the compiled objects, so that a declaration written by hand does
not get past it.

Invariants: src/LAYERS is the only description of the order; a file that it
does not list is an error.

Usage: layers.py SOURCE_DIR OBJECT_DIR
"""
import os
import re
import subprocess
import sys


def read_layers(path):
    """Directory -> (step, place in the file), file stem -> (dir, index)."""
    step = 0
    in_braces = False
    directories = {}
    files = {}
    with open(path) as lines:
        for line in lines:
            words = line.split("#")[0].split()
            if not words:
                continue
            if words == ["{"] or words == ["}"]:
                in_braces = words == ["{"]
                step += 1
                continue
            if not in_braces:
                step += 1
            directories[words[0]] = (step, len(directories))
            for index, stem in enumerate(words[1:]):
                files[words[0] + "/" + stem] = index
    return directories, files


class Checker:
    def __init__(self, source_dir):
        self.directories, self.files = read_layers(source_dir + "/LAYERS")
        self.problems = []

    def may_lean(self, user, used):
        """Whether stem `user` may include or call stem `used`."""
        user_dir, used_dir = user.split("/")[0], used.split("/")[0]
        if user_dir == used_dir:
            return self.files[used] <= self.files[user]
        return self.directories[used_dir][0] < self.directories[user_dir][0]

    def check(self, user, used, where):
        for stem in (user, used):
            if stem not in self.files:
                self.problems.append(f"{where}: {stem} is not in src/LAYERS")
                return
        if not self.may_lean(user, used):
            self.problems.append(
                f"{where}: {user} leans on {used}, which is not below it")


def stem_of(path):
    return os.path.splitext(path)[0]


def check_includes(checker, source_dir):
    count = 0
    for directory in sorted(checker.directories):
        full = os.path.join(source_dir, directory)
        for name in sorted(os.listdir(full)) if os.path.isdir(full) else []:
            path = directory + "/" + name
            if not name.endswith((".c", ".h", ".def")):
                continue
            with open(os.path.join(full, name)) as text:
                for number, line in enumerate(text, 1):
                    found = re.match(r'\s*#\s*include\s+"([^"]+/[^"]+)"', line)
                    if not found or found.group(1).startswith("jemalloc/"):
                        continue
                    count += 1
                    checker.check(stem_of(path), stem_of(found.group(1)),
                                  f"src/{path}:{number}")
    return count


def object_stem(path, object_dir):
    """lib/src/os/libje_core_a-log.o -> os/log."""
    relative = os.path.relpath(path, object_dir)
    directory, name = os.path.split(relative)
    return directory + "/" + stem_of(name).split("-", 1)[1]


def read_symbols(path):
    defined, wanted = set(), set()
    output = subprocess.run(["nm", "-g", path], check=True,
                            capture_output=True, text=True).stdout
    for line in output.splitlines():
        words = line.split()
        kind, name = words[-2], words[-1]
        (wanted if kind in "Uwv" else defined).add(name)
    return defined, wanted


def check_symbols(checker, object_dir):
    owner, users = {}, []
    for root, _, names in os.walk(object_dir):
        for name in names:
            if re.match(r"libje_(core|api)_a-.*\.o$", name):
                path = os.path.join(root, name)
                stem = object_stem(path, object_dir)
                defined, wanted = read_symbols(path)
                owner.update({symbol: stem for symbol in defined})
                users.append((stem, wanted))
    for stem, wanted in sorted(users):
        for symbol in sorted(wanted & owner.keys()):
            checker.check(stem, owner[symbol], f"symbol {symbol}")
    return len(users)


def main():
    source_dir, object_dir = sys.argv[1:3]
    checker = Checker(source_dir)
    includes = check_includes(checker, source_dir)
    objects = check_symbols(checker, object_dir)
    for problem in checker.problems:
        print(problem)
    if includes == 0 or objects == 0:
        sys.exit(f"nothing to check: {includes} includes, {objects} objects")
    print(f"{includes} includes and {objects} objects, "
          f"{len(checker.problems)} problems")
    sys.exit(1 if checker.problems else 0)


main()
