#!/usr/bin/env python3
"""
What: makes a program of about SIZE MB with debug information and a heap_v2
dump of STACKS stacks in it, about BYTES MB long, to measure jeprof with.

Invariants: every return address of the dump follows a call in the program;
the same arguments make the same files.

Usage: large.py DIRECTORY [--program-mb 500] [--dump-mb 100] [--stacks 200000]
"""
import argparse
import os
import random
import re
import subprocess

FUNCTIONS = 6000
BASE = 0x555555000000


def write_source(path):
    with open(path, "w") as out:
        out.write("#include <stdlib.h>\nextern void *sink(void *);\n"
                  "void (*volatile table[%d])(int);\n" % FUNCTIONS)
        for i in range(FUNCTIONS):
            out.write(
                f"struct s{i} {{ int a{i}; struct s{i} *next{i}; "
                f"long field_{i}[4]; }};\n"
                f"static inline __attribute__((always_inline)) void *"
                f"take_{i}(struct s{i} *p, int n) "
                f"{{ return sink(p ? p : malloc((size_t)n + {i})); }}\n"
                f"__attribute__((noinline)) void work_{i}(int n)\n"
                f"{{\n    struct s{i} *local = 0;\n"
                f"    for (int k = 0; k < n; k++) {{\n"
                f"        local = take_{i}(local, k);\n"
                f"        table[k](n - 1);\n    }}\n}}\n")


def run(*command):
    subprocess.run(command, check=True)


def call_sites(path):
    """Offsets behind the calls in .text of an object file."""
    text = subprocess.run(["objdump", "-d", "--no-show-raw-insn", path],
                          check=True, capture_output=True, text=True).stdout
    lines = re.findall(r"^\s+([0-9a-f]+):\s+(\w+)", text, re.M)
    return [int(lines[i + 1][0], 16) for i in range(len(lines) - 1)
            if lines[i][1].startswith("call")]


def build(folder, megabytes):
    one = os.path.join(folder, "one.o")
    source = os.path.join(folder, "one.c")
    write_source(source)
    run("gcc", "-O1", "-g", "-fPIC", "-c", "-o", one, source)
    sites = call_sites(one)
    # More than half of an object are relocations, which linking uses up.
    copies = max(1, megabytes * 1810000 // os.path.getsize(one))
    objects = []
    for i in range(copies):
        path = os.path.join(folder, f"copy{i}.o")
        run("objcopy", f"--prefix-symbols=c{i}_", one, path)
        run("objcopy", f"--redefine-sym=c{i}_malloc=malloc",
            f"--redefine-sym=c{i}_sink=sink", path)
        objects.append(path)
    main = os.path.join(folder, "main.c")
    with open(main, "w") as out:
        out.write("void *sink(void *p) { return p; }\n"
                  "int main(void) { return 0; }\n")
    program = os.path.join(folder, "program")
    run("gcc", "-g", "-pie", "-o", program, main, *objects)
    for path in objects:
        os.unlink(path)
    return program, sites, copies


def text_starts(program, copies):
    symbols = subprocess.run(["nm", program], check=True, capture_output=True,
                             text=True).stdout
    found = dict((m.group(2), int(m.group(1), 16)) for m in re.finditer(
        r"^([0-9a-f]+) \w (c\d+_work_0)$", symbols, re.M))
    return [found[f"c{i}_work_0"] for i in range(copies)]


def segments(program):
    text = subprocess.run(["readelf", "-lW", program], check=True,
                          capture_output=True, text=True).stdout
    return [(int(m[0], 16), int(m[1], 16), int(m[2], 16)) for m in re.findall(
        r"LOAD\s+(0x\w+) (0x\w+) 0x\w+ 0x\w+ (0x\w+) R E", text)]


def call_tree(stacks, depth, sites, starts):
    """Nodes (parent, address): callers are shared, as in real programs."""
    rng = random.Random(1)
    nodes = [(-1, starts[0] + sites[0], 1)]
    while len(nodes) < stacks:
        parent = max(0, len(nodes) - rng.randint(1, 3000))
        level = nodes[parent][2]
        if level > depth * 2 or (level > depth and rng.random() < .3):
            parent, level = 0, 1
        nodes.append((parent, rng.choice(starts) + rng.choice(sites),
                      level + 1))
    return nodes


def dump_bytes(nodes):
    """About: 15 bytes an address, two lines of numbers a stack."""
    return sum(15 * node[2] + 38 for node in nodes)


def write_dump(path, program, stacks, megabytes, sites, starts):
    offset, address, size = segments(program)[0]
    rng = random.Random(2)
    depth = 2
    nodes = call_tree(stacks, depth, sites, starts)
    while dump_bytes(nodes) < megabytes * 1000000:
        depth += max(1, depth // 8)
        nodes = call_tree(stacks, depth, sites, starts)
    with open(path, "w") as out:
        out.write("heap_v2/524288\n  t*: 1: 1 [0: 0]\n  t0: 1: 1 [0: 0]\n")
        for at in range(stacks):
            out.write("@")
            while at >= 0:
                out.write(f" 0x{BASE + nodes[at][1]:x}")
                at = nodes[at][0]
            count = rng.randint(1, 50)
            numbers = f"{count}: {count * rng.choice([64, 512, 65536])} [0: 0]"
            out.write(f"\n  t*: {numbers}\n  t0: {numbers}\n")
        out.write("\nMAPPED_LIBRARIES:\n")
        start = BASE + address
        out.write(f"{start & ~4095:x}-{(start + size + 4095) & ~4095:x} r-xp "
                  f"{offset & ~4095:08x} 00:00 1    "
                  f"{os.path.abspath(program)}\n")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("--program-mb", type=int, default=500)
    parser.add_argument("--dump-mb", type=int, default=100)
    parser.add_argument("--stacks", type=int, default=200000)
    a = parser.parse_args()
    os.makedirs(a.folder, exist_ok=True)
    program, sites, copies = build(a.folder, a.program_mb)
    starts = text_starts(program, copies)
    dump = os.path.join(a.folder, "large.heap")
    write_dump(dump, program, a.stacks, a.dump_mb, sites, starts)
    for path in (program, dump):
        print(path, os.path.getsize(path) // 1000000, "MB")


main()
