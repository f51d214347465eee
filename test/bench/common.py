"""What the benchmark scripts share.

What: libraries named on the command line, helpers compiled where they are
missing, tables, and a little arithmetic.

Invariants: (I1) nothing is written into the source tree; helpers go to
$BENCH_BUILD_DIR, or to a directory that is removed at the end; (I2) only the
measured program runs with LD_PRELOAD.

Locking: none.
"""

import glob
import json
import math
import os
import platform
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
CC = shlex.split(os.environ.get("CC", "cc"))
# A compiler may drop a call to malloc that it understands.
CALLS = ("malloc", "calloc", "realloc", "free", "aligned_alloc")
COMMON_FLAGS = ["-O2", "-Wall", "-Wextra", "-pthread"] + [
    "-fno-builtin-" + call for call in CALLS]
CFLAGS = ["-std=gnu11"] + COMMON_FLAGS
CXX = shlex.split(os.environ.get("CXX", "c++"))
CXXFLAGS = ["-std=c++17"] + COMMON_FLAGS

PEERS = {
    "jemalloc2": "libjemalloc.so.2",
    "mimalloc": "libmimalloc.so.2",
    "tcmalloc": "libtcmalloc_minimal.so.4",
    "tbbmalloc": "libtbbmalloc_proxy.so.2",
}
ALL_PEERS = ["glibc"] + list(PEERS)


def die(message):
    sys.exit("%s: %s" % (os.path.basename(sys.argv[0]), message))


def check_unique(names):
    """Names of rows are keys of the figures."""
    seen = set()
    for name in names:
        if name in seen:
            die("two rows are called '%s'" % name)
        seen.add(name)


def number(text, kind=float):
    """A positive number of an option, or a clear end."""
    try:
        value = kind(text)
    except ValueError:
        value = 0
    if value <= 0:
        die("'%s' is no number above 0" % text)
    return value


class Builder:
    """Compiles helpers once; `close` removes a temporary directory."""

    def __init__(self):
        self.kept = os.environ.get("BENCH_BUILD_DIR")
        self.dir = self.kept or tempfile.mkdtemp(prefix="bench-")
        os.makedirs(self.dir, exist_ok=True)

    def close(self):
        if not self.kept:
            shutil.rmtree(self.dir, ignore_errors=True)

    def _fresh(self, target, sources):
        if not os.path.exists(target):
            return False
        built = os.path.getmtime(target)
        return all(os.path.getmtime(s) <= built for s in sources)

    def _compile(self, target, source, flags, may_fail=False):
        path = os.path.join(self.dir, target)
        text = os.path.join(HERE, source)
        if self._fresh(path, [text, os.path.join(HERE, "work.h")]):
            return path
        compiler = CXX + CXXFLAGS if source.endswith(".cc") else CC + CFLAGS
        command = compiler + ["-o", path, text] + flags
        done = subprocess.run(
            command, stderr=subprocess.DEVNULL if may_fail else None)
        if done.returncode == 0:
            return path
        if may_fail:
            return None
        die("cannot compile %s: %s" % (source, shlex.join(command)))

    def program(self, name, flags=()):
        """The path of NAME.c or NAME.cc compiled; flags make a variant."""
        tail = "".join(f for f in flags if f.startswith("-D"))
        suffix = ".c"
        if not os.path.exists(os.path.join(HERE, name + suffix)):
            suffix = ".cc"
        return self._compile(name + tail, name + suffix, list(flags))

    def library(self, name):
        return self._compile(
            "lib%s.so" % name, name + ".c", ["-shared", "-fPIC"])

    def measure(self):
        """Static where libc allows, so that it adds nothing to a peak."""
        return self._compile(
            "measure", "measure.c", ["-static"], True) or self._compile(
                "measure", "measure.c", [])


class Library:
    """A column: a name, what to preload (None: the C library's own), and the
    options that it is told."""

    def __init__(self, name, path, options=""):
        self.name = name
        self.path = path
        self.options = options


def find_peer(soname):
    for place in ("/usr/lib/*-linux-gnu*", "/usr/lib64", "/usr/lib",
                  "/usr/local/lib"):
        for path in sorted(glob.glob(os.path.join(place, soname))):
            return path
    return None


def parse_library(text, builder):
    """`glibc`, `bump`, a peer's name, or [NAME=]PATH[,KEY:VALUE...]."""
    if text == "glibc":
        return Library(text, None)
    if text == "bump":
        return Library(text, builder.library("bump"))
    if text in PEERS:
        path = find_peer(PEERS[text])
        if path is None:
            die("library '%s' is not installed" % text)
        return Library(text, path)
    text, _, options = text.partition(",")
    name, equals, path = text.rpartition("=")
    path = os.path.abspath(path)
    if not os.path.isfile(path):
        die("no library at '%s'" % path)
    if not equals:
        name = os.path.basename(path).split(".so")[0]
        name = name[3:] if name.startswith("lib") else name
    return Library(name, path, options)


def check_loads(library):
    """The loader merely warns of what it cannot preload; this ends."""
    if library.path is None:
        return
    done = subprocess.run(
        ["cat", "/proc/self/maps"], env=environment(library),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        check=False)
    if (done.returncode != 0 or
            os.path.realpath(library.path) not in done.stdout):
        die("'%s' cannot be preloaded (status %d) %s" % (
            library.path, done.returncode, done.stderr.strip()))


def libraries(texts, builder, more=()):
    """The columns asked for; `peers`, or nothing, stands for all peers that
    are installed, and `more`."""
    installed = [t for t in ALL_PEERS + list(more)
                 if t not in PEERS or find_peer(PEERS[t])]
    texts = [one for t in texts or ["peers"]
             for one in (installed if t == "peers" else [t])]
    found = [parse_library(t, builder) for t in dict.fromkeys(texts)]
    names = [l.name for l in found]
    for name in names:
        if names.count(name) > 1:
            die("two libraries are called '%s'; use NAME=PATH" % name)
    for library in found:
        check_loads(library)
    return found


def add_libraries(parser, more=""):
    """The option that names what is measured."""
    parser.add_argument(
        "--library", action="append", metavar="[NAME=]PATH[,OPTIONS]",
        help="a library to preload, with options for MALLOC_CONF, or %s%s, or"
        " peers for all that are here; repeat for more" % (", ".join(ALL_PEERS), more))


def environment(library):
    """The environment for a program that is started directly."""
    env = dict(os.environ)
    env.pop("LD_PRELOAD", None)
    if library is not None and library.path is not None:
        env["LD_PRELOAD"] = library.path
    return with_options(env, library)


def with_options(env, library):
    """The same, telling the library its options and no others."""
    env = dict(env)
    env.pop("MALLOC_CONF", None)
    if library is not None and library.options:
        env["MALLOC_CONF"] = library.options
    return env


def spread(values):
    """Half the distance between the quartiles, as a part of the median."""
    if len(values) < 2 or statistics.median(values) == 0:
        return 0.0
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return (high - low) / 2 / statistics.median(values)


median = statistics.median


def machine():
    """What a reader must know of the place, no names in it."""
    model = platform.machine()
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as info:
            for line in info:
                if line.startswith("model name"):
                    model = line.partition(":")[2].strip() + ", " + model
                    break
    except OSError:
        pass
    return {"processor": model, "cpus": len(os.sched_getaffinity(0)),
            "kernel": platform.release().split("-")[0],
            "load": "%.1f" % os.getloadavg()[0]}


def compiler():
    """What the C compiler calls itself."""
    text = subprocess.run(CC + ["--version"], stdout=subprocess.PIPE,
                          text=True, check=True).stdout
    return text.split("\n", 1)[0]


def geometric_mean(values):
    values = [v for v in values if v]
    if not values:
        return None
    return math.exp(sum(math.log(v) for v in values) / len(values))


def table(rows, left=1):
    """Lines of text; the first `left` columns are flush left."""
    widths = [max(len(r[i]) for r in rows) for i in range(len(rows[0]))]
    for row in rows:
        cells = [c.ljust(w) if i < left else c.rjust(w)
                 for i, (c, w) in enumerate(zip(row, widths))]
        print("  ".join(cells).rstrip())


def write_json(path, value):
    with open(path, "w", encoding="utf-8") as out:
        json.dump(value, out, indent=1)
        out.write("\n")


def read_json(path):
    try:
        with open(path, encoding="utf-8") as text:
            return json.load(text)
    except (OSError, ValueError) as error:
        die("cannot read '%s': %s" % (path, error))
