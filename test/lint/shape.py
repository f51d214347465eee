#!/usr/bin/env python3
"""
What: fails when a C file does not open with its What / Invariants / Locking
comment, or a function is too long: over 60 lines needs a comment above it
that gives the reason (with the word "long" in it), over 80 is never right
but for plain tables.

Invariants: function ends come from universal-ctags, not from guessing.

Usage: shape.py FILE...
"""
import json
import re
import subprocess
import sys

LINES_FREE = 60
LINES_WITH_REASON = 80


def check_opening(path, text):
    if not text.startswith("/*"):
        return [f"{path}:1: does not open with a comment"]
    opening = text[:text.index("*/")]
    return [f"{path}:1: the opening comment has no \"{word}:\""
            for word in ("What", "Invariants", "Locking")
            if word + ":" not in opening]


def comment_above(lines, number):
    """The comment that ends right above line `number` (from 1)."""
    index = number - 2
    while index >= 0 and lines[index].strip() and \
            not lines[index].rstrip().endswith("*/"):
        index -= 1
    end = index
    while index >= 0 and "/*" not in lines[index]:
        index -= 1
    return " ".join(lines[max(index, 0):end + 1])


def check_functions(path, text):
    lines = text.split("\n")
    output = subprocess.run(
        ["ctags", "--output-format=json", "--kinds-c=f", "--fields=+ne",
         "--languages=C", "--langmap=C:.c.h", "-f", "-", path],
        check=True, capture_output=True, text=True).stdout
    problems = []
    count = 0
    for tag in map(json.loads, output.splitlines()):
        if "end" not in tag:
            continue
        count += 1
        length = tag["end"] - tag["line"] + 1
        reason = re.search(r"\blong\b", comment_above(lines, tag["line"]))
        if length > LINES_WITH_REASON or (length > LINES_FREE and not reason):
            problems.append(f"{path}:{tag['line']}: {tag['name']} has "
                            f"{length} lines"
                            + ("" if reason else ", and no reason above it"))
    return count, problems


def main():
    problems = []
    functions = 0
    for path in sys.argv[1:]:
        with open(path) as file:
            text = file.read()
        problems += check_opening(path, text)
        count, found = check_functions(path, text)
        functions += count
        problems += found
    print("\n".join(problems + [f"{len(sys.argv) - 1} files, {functions} "
                                f"functions, {len(problems)} problems"]))
    sys.exit(1 if problems or functions == 0 else 0)


main()
