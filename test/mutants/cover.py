"""
What: which test runs which line of the library. Kept in cover.json, one
entry a test, valid as long as the library and that test are the same.
"""
import bisect
import json
import os
import re
import subprocess

from tree import digest_of, source_of

FLAGS = "-O0 -g"


def build_id(path):
    said = subprocess.run(["readelf", "-n", path], text=True,
                          stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL).stdout
    found = re.search(r"Build ID: (\w+)", said)
    return found.group(1) if found else None


class Image:
    """Turns the notes that cover.c made of one program into lines."""

    def __init__(self, path, source):
        self.path = path
        self.source = source
        self.blocks = []  # where each block's first call returns to
        for line in self.said("objdump", "-d", "--no-show-raw-insn"):
            if self.blocks and self.blocks[-1] is None and ":\t" in line:
                self.blocks[-1] = int(line.split(":")[0], 16)
            if "<__sanitizer_cov_trace_pc>" in line and "call" in line:
                self.blocks.append(None)
        self.blocks = sorted(b for b in self.blocks if b is not None)
        rows = set()
        for line in self.said("objdump", "--dwarf=decodedline"):
            found = re.match(r"\S+\s+\d+\s+0x([0-9a-f]+)", line)
            if found:
                rows.add(int(found.group(1), 16))
        self.rows = sorted(rows)
        asked = "\n".join(hex(r) for r in self.rows)
        answer = subprocess.run(["addr2line", "-e", path], input=asked,
                                text=True, stdout=subprocess.PIPE).stdout
        self.places = [self.place(a) for a in answer.split("\n")]

    def said(self, *command):
        done = subprocess.run([*command, self.path], text=True,
                              stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL)
        return done.stdout.split("\n")

    def place(self, answer):
        path, _, line = answer.partition(":")
        path = os.path.realpath(path)
        if not path.startswith(self.source + "/src/"):
            return None
        return os.path.relpath(path, self.source), int(line.split()[0])

    def lines(self, notes):
        found = set()
        at = notes.find(1)
        while at >= 0:
            index = bisect.bisect_left(self.blocks, at)
            end = (self.blocks[index + 1] if index + 1 < len(self.blocks)
                   else at + 64)
            # The call itself lies before the address that it returns to.
            first = bisect.bisect_right(self.rows, at) - 1
            for i in range(max(first, 0), len(self.rows)):
                if self.rows[i] >= end - 5:
                    break
                if self.places[i] is not None:
                    found.add(self.places[i])
            at = notes.find(1, at + 1)
        return found


class Cover:
    """The map, and how it is made."""

    def __init__(self, work, make_tree, run_test, say):
        self.work = work
        self.make_tree = make_tree
        self.run_test = run_test
        self.say = say
        self.file = work + "/cover.json"
        self.known = {}
        if os.path.exists(self.file):
            with open(self.file) as file:
                self.known = json.load(file)

    def update(self, tests):
        """Runs the tests whose entry is stale."""
        source = self.work + "/source"
        library = digest_of(source + "/src")
        stale = []
        for test in tests:
            key = library + digest_of(source_of(source, test))
            if self.known.get(test, {}).get("key") != key:
                stale.append((test, key))
        if not stale:
            return
        notes = self.work + "/notes"
        os.makedirs(notes, exist_ok=True)
        os.makedirs(self.work + "/cover", exist_ok=True)
        hook = self.work + "/cover/cover.o"
        here = os.path.dirname(os.path.abspath(__file__))
        subprocess.run(["gcc", "-O2", "-fPIC",
                        f'-DCOVER_DIRECTORY="{notes}"', "-c",
                        here + "/cover.c", "-o", hook], check=True)
        tree = self.make_tree("cover", FLAGS, ["LDFLAGS=-Wl,--build-id"])
        tree.make(f"CFLAGS={FLAGS} -fsanitize-coverage=trace-pc",
                  "LIBS=" + hook)
        library_id = build_id(tree.path + "/lib/libjemalloc.so.2")
        library_image = Image(tree.path + "/lib/libjemalloc.so.2", source)
        for number, (test, key) in enumerate(stale):
            self.say(f"cover {number + 1}/{len(stale)} {test}")
            for name in os.listdir(notes):
                os.remove(f"{notes}/{name}")
            self.run_test(tree, test)
            lines = set()
            for name in os.listdir(notes):
                with open(f"{notes}/{name}", "rb") as file:
                    noted = file.read()
                if name == library_id:
                    lines |= library_image.lines(noted)
                elif os.path.exists(f"{tree.path}/{test}") and \
                        name == build_id(f"{tree.path}/{test}"):
                    image = Image(f"{tree.path}/{test}", source)
                    lines |= image.lines(noted)
            files = {}
            for path, line in sorted(lines):
                files.setdefault(path, []).append(line)
            self.known[test] = {"key": key, "lines": files}
            with open(self.file + ".new", "w") as file:
                json.dump(self.known, file)
            os.replace(self.file + ".new", self.file)

    def tests_for(self, file, lines):
        """The tests that run any of the lines of a file."""
        wanted = set(lines)
        return {test for test, entry in self.known.items()
                if wanted.intersection(entry["lines"].get(file, ()))}

    def tests_of_file(self, file):
        return {test for test, entry in self.known.items()
                if entry["lines"].get(file)}
