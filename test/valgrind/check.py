#!/usr/bin/env python3
"""
What: memcheck on programs of this library: what it says of each mistake in
faults.c, word by word, and that it says nothing of clean.cc. The library is
linked, preloaded, or linked statically, in a program with or without a
dynamic linker; Valgrind may put its own malloc in the place of ours, which is
its default, or not.

Invariants: a report that no case expects fails the case. Without arguments
the few cases that fit into `make check`; with --all all of them, and Redis
where it is installed; with --only REGEX those of them that it matches.
"""
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback

SOURCES = os.path.join(os.environ["JE_SRCDIR"], "test/valgrind")
BUILD = os.environ["JE_BUILDDIR"]
LIBRARY = os.environ["JE_LIBRARY"]
ARCHIVE = LIBRARY.replace(".so.2", ".a")
ONLY = sys.argv[2] if sys.argv[1:2] == ["--only"] else ""
ALL = bool(ONLY) or sys.argv[1:] == ["--all"]

INTERCEPTED = []
OURS = ["--soname-synonyms=somalloc=nouserintercepts"]
WAYS = {"intercepted": INTERCEPTED, "ours": OURS}
LINKS = ("linked", "preloaded", "archive", "static")


class Skip(Exception):
    pass


def skip_all(reason):
    print(f"1..0 # SKIP {reason}")
    sys.exit(0)


def machine(path):
    """Word size and processor of an ELF file."""
    with open(path, "rb") as file:
        head = file.read(20)
    return head[4:6] + head[18:20]


def is_glibc():
    done = subprocess.run(
        [*os.environ["CC"].split(), "-E", "-dM", "-xc", "-"], text=True,
        input="#include <features.h>", capture_output=True, check=True)
    return " __GLIBC__ " in done.stdout


def why_not():
    with open(BUILD + "/config.h") as config:
        if "#define CONFIG_VALGRIND 1" not in config.read():
            return "built without valgrind/memcheck.h"
    if os.environ.get("JE_SANITIZER"):
        return "a sanitized program does not run under Valgrind"
    if os.environ.get("JE_PREFIX"):
        return "the programs need the plain names"
    if not os.path.exists(ARCHIVE) or not os.path.exists(LIBRARY):
        return "needs both the shared and the static library"
    for tool in ("valgrind", "g++"):
        if shutil.which(tool) is None:
            return tool + " is not installed"
    if machine(LIBRARY) != machine(sys.executable):
        return "built for another machine"
    if not is_glibc():
        return "Valgrind knows what another C library does less well"
    return None


# ---- programs ----------------------------------------------------------------

def compile_one(folder, source, link):
    """The program of a source file, linked in one of the ways."""
    program = f"{folder}/{source.split('.')[0]}-{link}"
    compiler, flags = ("CC", []) if source.endswith(".c") else (
        "CXX", ["-std=c++17", "-fsized-deallocation", "-pthread"])
    libraries = {
        "linked": [folder + "/" + os.path.basename(LIBRARY),
                   "-Wl,-rpath," + folder],
        "preloaded": [],
        "archive": [ARCHIVE, "-pthread"],
        "static": ["-static", ARCHIVE, "-pthread"],
    }[link]
    subprocess.run(
        [*os.environ[compiler].split(), "-g", "-O1", "-fno-builtin",
         "-D_GNU_SOURCE", *flags, "-I" + BUILD + "/include",
         SOURCES + "/" + source, "-o", program, *libraries], check=True)
    # A Valgrind older than the compiler may not read what it wrote.
    subprocess.run(["strip", "--strip-debug", program], check=True)
    return program


class Programs:
    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="valgrind-test.")
        self.library = f"{self.folder}/{os.path.basename(LIBRARY)}"
        self.made = {}

    def copy_library(self):
        if not os.path.exists(self.library):
            subprocess.run(["strip", "--strip-debug", "-o", self.library,
                            LIBRARY], check=True)
        return self.library

    def get(self, source, link):
        key = source, link
        if key not in self.made:
            self.copy_library()
            self.made[key] = compile_one(self.folder, source, link)
        return self.made[key]


programs = Programs()


def memcheck(link, way, *command, conf=""):
    """What memcheck said, one text a process and the process's status."""
    env = dict(os.environ, MALLOC_CONF=conf)
    if link == "preloaded":
        env["LD_PRELOAD"] = programs.copy_library()
    log = programs.folder + "/log"
    for old in os.listdir(programs.folder):
        if old.startswith("log."):
            os.remove(f"{programs.folder}/{old}")
    flags = ["--leak-check=full", "--show-leak-kinds=all",
             "--errors-for-leak-kinds=definite,indirect,possible",
             "--error-exitcode=99", f"--log-file={log}.%p", *WAYS[way]]
    if link == "static":
        flags.append(f"--suppressions={SOURCES}/static.supp")
    done = subprocess.run(["valgrind", *flags, *command], env=env,
                          stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=600, check=False)
    texts = []
    for name in sorted(os.listdir(programs.folder)):
        if name.startswith("log."):
            with open(f"{programs.folder}/{name}") as text:
                texts.append(re.sub(r"^==\d+== ?", "", text.read(), flags=re.M))
    return texts, done


# ---- reports -----------------------------------------------------------------

def functions(lines):
    """Names of the functions in lines of a stack."""
    found = []
    for line in lines:
        place = re.match(r" +(?:at|by) 0x[0-9A-F]+: (\w+)", line)
        if place:
            found.append(place.group(1))
    return found


def split_stacks(report):
    """The report's lines of text, each with the stack below it."""
    parts = []
    for line in report.splitlines():
        if re.match(r" +(at|by) 0x", line):
            parts[-1][1].append(line)
        else:
            parts.append((line.strip(), []))
    return [(text, functions(lines)) for text, lines in parts]


def reports(text):
    """Errors and losses, apart from the summaries."""
    blocks = re.split(r"\n\n", text)
    return [b.strip("\n") for b in blocks
            if re.search(r"^ +at 0x", b, re.M)]


def matches(report, expected):
    """Whether texts and stacks are as expected, in this order."""
    stacks = split_stacks(report)
    if len(stacks) != len(expected):
        return False
    for (text, names), (pattern, wanted) in zip(stacks, expected):
        if not re.search(pattern, text):
            return False
        places = [names.index(w) if w in names else -1 for w in wanted]
        if -1 in places or places != sorted(places):
            return False
    return True


def address(what, state="alloc'd", size=13):
    return rf"^Address 0x\w+ is {what} a block of size {size:,} {state}$"


READ = "^Invalid read of size 1$"
FREE = r"^Invalid free\(\) / delete / delete\[\] / realloc\(\)$"
BORN = "^Block was alloc'd at$"

# Of each fault what memcheck is to say: lines, and functions below them.
EXPECTED = {
    "overread": [(READ, ["overread"]),
                 (address("0 bytes after"), ["take", "overread"])],
    "overwrite": [("^Invalid write of size 1$", ["overwrite"]),
                  (address("0 bytes after"), ["take", "overwrite"])],
    "underrun": [(READ, ["underrun"]),
                 (address("1 bytes before"), ["take", "underrun"])],
    "use_after_free": [
        (READ, ["use_after_free"]),
        (address("3 bytes inside", "free'd"), ["give", "use_after_free"]),
        (BORN, ["take", "use_after_free"])],
    "double_free": [
        (FREE, ["give", "double_free"]),
        (address("0 bytes inside", "free'd"), ["give", "double_free"]),
        (BORN, ["take", "double_free"])],
    "free_inside": [(FREE, ["free_inside"]),
                    (address("4 bytes inside"), ["take", "free_inside"])],
    "leak": [("^13 bytes in 1 blocks are definitely lost in loss record",
              ["take", "leak"])],
    "undefined": [("^Conditional jump or move depends on uninit",
                   ["undefined"])],
    "past_resized": [(READ, ["past_resized"]),
                     (address("0 bytes after"), ["resize", "past_resized"])],
    "before_resized": [
        (READ, ["before_resized"]),
        (address("3 bytes inside", "free'd"), ["resize", "before_resized"]),
        (BORN, ["take", "before_resized"])],
    "aligned": [(READ, ["aligned"]), (address("0 bytes after"), ["aligned"])],
    "large": [(READ, ["large"]),
              (address("0 bytes after", size=300000), ["take", "large"])],
    "after_reset": [
        (READ, ["after_reset"]),
        (address("3 bytes inside", "free'd"), ["after_reset"]),
        (BORN, ["after_reset"])],
}


def check_reports(text, names):
    left = reports(text)
    for name in names:
        found = [r for r in left if matches(r, EXPECTED[name])]
        if len(found) != 1:
            raise AssertionError(
                f"{len(found)} reports of {name}:\n{text}")
        left.remove(found[0])
    if left:
        raise AssertionError("more than was expected:\n" + "\n\n".join(left))


def check_faults(link, way, family, names):
    texts, done = memcheck(link, way, programs.get("faults.c", link), family,
                           *names)
    if done.returncode != 99 or len(texts) != 1:
        raise AssertionError(f"status {done.returncode}, {len(texts)} logs\n"
                             + done.stderr + "\n".join(texts))
    check_reports(texts[0], names)


def check_clean(link, way, conf=""):
    texts, done = memcheck(link, way, programs.get("clean.cc", link),
                           conf=conf)
    said = "\n".join(texts)
    if done.returncode != 0 or len(texts) != 2:
        raise AssertionError(f"status {done.returncode}, {len(texts)} logs\n"
                             + done.stderr + said)
    for text in texts:
        if "ERROR SUMMARY: 0 errors from 0 contexts" not in text or any(
                "lost" in r for r in reports(text)):
            raise AssertionError(said)
    # The one that ended last by itself; the child keeps threads' memory.
    if link != "static" and "no leaks are possible" not in said:
        raise AssertionError(said)


# ---- Redis -------------------------------------------------------------------

def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def talk(port, words, patience=120):
    """Sends a command as soon as the server listens; its answer."""
    deadline = time.monotonic() + patience
    while True:
        try:
            with socket.create_connection(("127.0.0.1", port), 60) as s:
                s.sendall((words + "\r\n").encode())
                return s.recv(100000).decode()
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def check_redis(way):
    """
    Its strings are held by pointers into them, which memcheck calls possibly
    lost with any malloc: those are not looked at.
    """
    if shutil.which("redis-server") is None:
        raise Skip("redis-server is not installed")
    port = free_port()
    log = programs.folder + "/redis"
    kinds = "definite,indirect"
    server = subprocess.Popen(
        ["valgrind", "--trace-children=no", "--leak-check=full",
         "--show-leak-kinds=" + kinds, "--errors-for-leak-kinds=" + kinds,
         "--log-file=" + log, *WAYS[way], "redis-server", "--port", str(port),
         "--save", "", "--dir", programs.folder],
        env=dict(os.environ, LD_PRELOAD=programs.copy_library()),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.STDOUT)
    try:
        answer = talk(port, "PING")
        if not answer.startswith("+PONG"):
            raise AssertionError(answer)
        if "jemalloc-" not in talk(port, "INFO memory", 10):
            raise AssertionError("Redis was not built for this library")
        talk(port, "SHUTDOWN NOSAVE")
        server.wait(120)
    finally:
        if server.poll() is None:
            server.send_signal(signal.SIGKILL)
            server.wait()
    with open(log) as file:
        text = file.read()
    if "ERROR SUMMARY: 0 errors" not in text:
        raise AssertionError(text[:20000])


# ---- cases -------------------------------------------------------------------

REQUIRED = ["overread", "underrun", "use_after_free", "double_free", "leak"]
EVERY = list(EXPECTED)
OPTIONS = "prof:true,lg_prof_sample:8,prof_final:false,junk:true,zero:true"


def cases():
    """(name, function, its arguments)"""
    for link in ("linked", "static") if not ALL else LINKS:
        for way in WAYS:
            if link == "static" and way == "intercepted" and not ALL:
                continue
            families = ("malloc", "mallocx", "crossed", "cached")
            for family in families if ALL else families[:2]:
                yield (f"{link}, {way}: faults of {family}", check_faults,
                       (link, way, family, EVERY if ALL else REQUIRED))
            yield f"{link}, {way}: a clean program", check_clean, (link, way)
    if ALL:
        for way in WAYS:
            yield (f"linked, {way}: a clean program, options", check_clean,
                   ("linked", way, OPTIONS))
            yield f"preloaded, {way}: Redis", check_redis, (way,)


def main():
    reason = why_not()
    if reason:
        skip_all(reason)
    listed = [c for c in cases() if re.search(ONLY, c[0])]
    print(f"1..{len(listed)}")
    failed = 0
    for number, (name, function, arguments) in enumerate(listed, 1):
        try:
            function(*arguments)
            print(f"ok {number} - {name}")
        except Skip as reason:
            print(f"ok {number} - {name} # SKIP {reason}")
        except Exception:
            failed += 1
            for line in traceback.format_exc().splitlines():
                print("#", line)
            print(f"not ok {number} - {name}")
        sys.stdout.flush()
    shutil.rmtree(programs.folder)
    sys.exit(1 if failed else 0)


main()
