#!/usr/bin/env python3
"""
What: dumps of a real program give the figures that are known for them. The
program and its libraries are stood in for by files with the same functions
at the same addresses.

Invariants: no file of this machine is looked at: --lib_prefix comes first.
"""
import os
import re

from tap import (DATA, contains, elf, jeprof, main, path, same, write)

# By the last three digits of return addresses, which loading does not change.
NAMES = {
    "heapdemo": {0x1a7: "make_small", 0x1dd: "make_medium",
                 0x20d: "make_large", 0x240: "work_a", 0x28b: "work_b",
                 0x2df: "thr", 0x2e9: "thr", 0x32d: "main", 0x337: "main",
                 0x358: "main", 0x3af: "main", 0x3c7: "main",
                 0x0d1: "_start"},
    "libc.so.6": {0x24a: "__libc_start_call_main",
                  0x305: "__libc_start_main_impl", 0x1f5: "start_thread",
                  0x8ec: "clone3", 0xdaf: "allocate_stack"},
    "libstdc++.so.6.0.30": {
        0x7ba: "std::__throw_ios_failure@@GLIBCXX_3.4.26"},
    "ld-linux-x86-64.so.2": {0xa1e: "call_init", 0xb04: "_dl_init",
                             0xba0: "_dl_start_user",
                             0xcb3: "__GI__dl_allocate_tls",
                             0x71e: "__GI__dl_allocate_tls"},
    "libjemalloc.so.2": {},
}


def images(text):
    """(start, end, offset, path) of each executable mapping."""
    lines = re.findall(r"^([0-9a-f]+)-([0-9a-f]+) r-xp ([0-9a-f]+) \S+ \d+ +"
                       r"(/.*)$", text, re.M)
    return [(int(a, 16), int(b, 16), int(c, 16), d) for a, b, c, d in lines]


def make_images(text, prefix):
    places = {}
    for line in re.findall(r"^@(.*)$", text, re.M):
        for word in line.split():
            address = int(word, 16)
            for start, end, offset, name in images(text):
                if start <= address < end:
                    places.setdefault(name, set()).add(
                        address - start + offset)
    write(prefix + "/opt/sample/bin/heapdemo", elf([]))
    for start, end, offset, name in images(text):
        known = NAMES.get(os.path.basename(name), {})
        calls = sorted(places.get(name, ()))
        # One symbol a function, around all its places.
        symbols = []
        for function in sorted(set(known.values())):
            own = [at for at in calls if known.get(at & 0xfff) == function]
            if own:
                symbols.append((own[0] - 0x10, own[-1] - own[0] + 0x10,
                                function))
        write(prefix + name,
              elf(symbols, calls, size=offset + end - start))


def table(dump, *arguments):
    file = os.path.join(DATA, dump)
    with open(file) as text:
        make_images(text.read(), dump)
    result = jeprof("--text", "--show_bytes", "--lib_prefix=" + path(dump),
                    *arguments, path(dump + "/opt/sample/bin/heapdemo"), file)
    same(result.err, "")
    return result


def compare(dump, expected):
    with open(os.path.join(DATA, expected)) as text:
        # A version is no part of a name.
        same(table(dump).out, re.sub(r"@@\S+", "", text.read()))


def every_allocation():
    compare("every.heap", "every.txt")


def sampled():
    compare("sampled.heap", "sampled.txt")


def after_reset():
    result = table("reset.heap")
    same(result.out, "Total: 0 B\n")


def raw_counts_are_scaled_too():
    result = table("raw_counts.heap")
    contains(result.out, "make_large")


def thread_of_a_sample():
    result = table("sampled.heap", "--thread=1")
    contains(result.out, "Total (t1): ")
    same(set(result.rows()), {"make_small", "make_medium", "thr", "work_a",
                              "start_thread", "clone3", "work_b"})


main(every_allocation, sampled, after_reset, raw_counts_are_scaled_too,
     thread_of_a_sample)
