"""The programs that `compare` runs, and the input that they get.

What: one Program a row of PROGRAMS: ones of the system (PATH decides), with
inputs generated here, and the small ones compiled from this directory.

Invariants: (I1) inputs depend on the scale alone; (I2) a program writes into
its own working directory only.

Locking: none.
"""

import os
import random
import shutil
import socket
import subprocess
import time

import common


class Program:
    """`make` returns the command, given scale and working directory."""

    drive = None
    extra = {}

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

    def prepare(self, scale, workdir, builder):
        """Writes the input; the name of what is missing, or None."""
        for tool in self.needs:
            if shutil.which(tool) is None:
                return tool
        self.workdir = os.path.join(workdir, self.name)
        os.makedirs(self.workdir)
        self.command = self.make(scale, self.workdir, builder)
        return None if self.command else self.needs[-1]


def write(workdir, name, text):
    path = os.path.join(workdir, name)
    with open(path, "w", encoding="utf-8") as out:
        out.write(text)
    return path


def times(count, scale):
    return max(1, int(count * scale))


# Our own programs: arguments before the one that the scale moves.

def own(name, fixed, rounds):
    def make(scale, _workdir, builder):
        return [builder.program(name)] + fixed + [str(times(rounds, scale))]
    return make


# Python: objects, strings, lists and dictionaries.

PYTHON = """
import sys
class Item:
    def __init__(self, key):
        self.key = key
        self.words = ("w%d" % key, str(key) * (key % 9))
def work(n):
    table = {}
    for i in range(n):
        table[i * 7919 % n] = Item(i)
    groups = {}
    for key, item in table.items():
        groups.setdefault(item.words[0][-2:], []).append(item)
    text = "\\n".join(",".join(i.words) for i in table.values())
    rows = [line.split(",") for line in text.split("\\n")]
    rows.sort(key=lambda row: row[1])
    for i in range(0, n, 3):
        del table[i]
    return len(rows) + len(groups)
for turn in range(int(sys.argv[2])):
    assert work(int(sys.argv[1])) > 0
"""


def make_python(scale, workdir, _builder):
    # A wrapper script of a version manager must not be what is measured.
    python = subprocess.run(
        ["python3", "-c", "import sys; print(sys.executable)"],
        stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    return [python, "-S", write(workdir, "work.py", PYTHON), "60000",
            str(times(5, scale))]


PERL = """
use strict; use warnings;
my ($count, $turns) = @ARGV;
for my $turn (1 .. $turns) {
    my %table;
    for my $i (1 .. $count) {
        $table{"key" . ($i * 7919 % $count)} =
            { id => $i, words => [ "w$i", "x" x ($i % 50) ] };
    }
    my $text = join("\\n", map { join(",", @{$_->{words}}) } values %table);
    my @rows = sort { $a->[1] cmp $b->[1] }
        map { [ split(/,/, $_, -1) ] } split(/\\n/, $text);
    die "rows" unless @rows == scalar(keys %table);
    my $last = "";
    $last = substr($last . $_->[0], -200) for @rows;
    delete $table{"key$_"} for grep { $_ % 3 == 0 } 1 .. $count;
}
"""


def make_perl(scale, workdir, _builder):
    return ["perl", write(workdir, "work.pl", PERL), "60000",
            str(times(4, scale))]


LUA = """
local count, turns = tonumber(arg[1]), tonumber(arg[2])
for turn = 1, turns do
    local list, index = {}, {}
    for i = 1, count do
        local item = { id = i, name = "n" .. i, { i, i + 1 } }
        list[i] = item
        index[item.name] = item
    end
    local parts = {}
    for i = 1, count, 2 do
        parts[#parts + 1] = list[i].name .. ":" .. list[i][1][2]
        index[list[i].name] = nil
    end
    assert(#table.concat(parts, ",") > count)
    table.sort(list, function(a, b) return a.name < b.name end)
end
"""


def make_lua(scale, workdir, _builder):
    lua = shutil.which("lua5.4") or shutil.which("lua")
    return lua and [lua, write(workdir, "work.lua", LUA), "100000",
                    str(times(4, scale))]


SQL = """
PRAGMA cache_size = -200000;
CREATE TABLE item(id INTEGER PRIMARY KEY, kind INTEGER, name TEXT, body TEXT);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {n})
INSERT INTO item SELECT i, i * 7919 % 997, 'name' || (i * 31 % {n}),
    substr('abcdefghijklmnopqrstuvwxyz', 1, i % 26) || i FROM n;
CREATE INDEX item_name ON item(name);
SELECT count(*), sum(length(b)) FROM
    (SELECT kind, group_concat(body) AS b FROM item GROUP BY kind);
UPDATE item SET body = body || name WHERE kind % 3 = 0;
SELECT count(*) FROM item a JOIN item b ON a.name = b.name WHERE a.id <> b.id;
DELETE FROM item WHERE kind % 2 = 0;
SELECT sum(length(upper(body) || lower(name))) FROM item ORDER BY 1;
"""


def make_sqlite(scale, workdir, _builder):
    sql = SQL.replace("{n}", str(times(400000, scale)))
    return ["sqlite3", ":memory:", ".read " + write(workdir, "w.sql", sql)]


CXX_HEAD = """
#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>
template <int N> struct part { typename std::map<int, part<N - 1>> rest; };
template <> struct part<0> { std::string text; };
"""
CXX_UNIT = """
struct item%d { int id; std::string name; std::vector<int> list; };
std::map<std::string, item%d> make%d(const std::vector<std::string> &names)
{
    std::map<std::string, item%d> all;
    for (const auto &name : names) {
        item%d one{%d, name, std::vector<int>(name.size(), %d)};
        std::sort(one.list.begin(), one.list.end(),
            [](int a, int b) { return a %% %d < b %% %d; });
        all.emplace(name, std::move(one));
    }
    return all;
}
"""


def make_cc1plus(scale, workdir, _builder):
    cc1plus = subprocess.run(
        ["g++", "-print-prog-name=cc1plus"], stdout=subprocess.PIPE,
        text=True, check=True).stdout.strip()
    if not os.path.isabs(cc1plus):
        return None
    units = "".join(CXX_UNIT.replace("%d", str(i + 1)).replace("%%", "%")
                    for i in range(times(12, scale)))
    source = write(workdir, "big.cc", CXX_HEAD + units)
    plain = os.path.join(workdir, "big.ii")
    subprocess.run(["g++", "-E", "-o", plain, source], check=True)
    return [cc1plus, "-quiet", "-fpreprocessed", "-O1", plain, "-o",
            os.path.join(workdir, "big.s")]


def make_xmllint(scale, workdir, _builder):
    rng = random.Random(1)
    rows = ['<row id="%d" kind="k%d"><name>n%d</name><v>%s</v></row>' % (
        i, i % 97, i, "x" * rng.randrange(40))
        for i in range(times(300000, scale))]
    text = "<all>\n%s\n</all>\n" % "\n".join(rows)
    return ["xmllint", "--noout", write(workdir, "big.xml", text)]


def make_jq(scale, workdir, _builder):
    rows = ['{"id":%d,"name":"n%d","tags":["t%d","t%d"],"sub":{"a":%d}}' % (
        i, i, i % 7, i % 11, i) for i in range(times(60000, scale))]
    path = write(workdir, "big.json", "[%s]\n" % ",\n".join(rows))
    query = "group_by(.tags[0]) | map({k: .[0].tags[0]," \
        " names: map(.name | ascii_upcase), s: (map(.sub.a) | add)})"
    return ["jq", "-c", query, path]


class Redis(Program):
    """The server is measured; the load generator runs beside it."""

    def prepare(self, scale, workdir, builder):
        self.requests = str(times(200000, scale))
        return Program.prepare(self, scale, workdir, builder)

    def connect(self):
        deadline = time.monotonic() + 20
        while True:
            link = socket.socket(socket.AF_UNIX)
            try:
                link.connect(os.path.join(self.workdir, "s"))
                return link
            except OSError:
                link.close()
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)

    def drive(self):
        """Loads the server, stops it; the load's wall microseconds."""
        self.connect().close()
        start = time.monotonic()
        try:
            subprocess.run(
                ["redis-benchmark", "-s", os.path.join(self.workdir, "s"),
                 "-q", "-n", self.requests, "-r", "200000", "-P", "16", "-d",
                 "100", "-t", "set,get,incr,lpush,lpop,sadd,hset,mset"],
                check=True, env=common.environment(None),
                stdout=subprocess.DEVNULL)
            return (time.monotonic() - start) * 1e6
        finally:
            link = self.connect()
            link.sendall(b"SHUTDOWN NOSAVE\r\n")
            link.close()


def make_redis(_scale, workdir, _builder):
    return ["redis-server", "--port", "0", "--save", "", "--appendonly", "no",
            "--unixsocket", os.path.join(workdir, "s"), "--dir", workdir]


class Python(Program):
    """Python's own pools of small objects stay out of the way."""

    extra = {"PYTHONMALLOC": "malloc", "PYTHONHASHSEED": "1"}


class Perl(Program):
    """Hash order decides what is allocated when."""

    extra = {"PERL_HASH_SEED": "1", "PERL_PERTURB_KEYS": "0"}


PROGRAMS = [
    Redis("redis", "key-value server under load",
          ["redis-server", "redis-benchmark"], make_redis),
    Python("python", "objects, strings, dictionaries", ["python3"],
           make_python),
    Perl("perl", "hashes, arrays, strings", ["perl"], make_perl),
    Program("sqlite", "tables in memory", ["sqlite3"], make_sqlite),
    Program("cc1plus", "a C++ file with many templates", ["g++"],
            make_cc1plus),
    Program("xmllint", "one large document", ["xmllint"], make_xmllint),
    Program("jq", "group and map a large list", ["jq"], make_jq),
    Program("lua", "tables and strings", ["lua5.4"], make_lua),
    Program("tree", "small short-lived objects, one thread", [],
            own("tree", [], 100000)),
    Program("server", "tables handed from thread to thread", [],
            own("server", ["8"], 200)),
    Program("churn", "waves of threads, some blocks survive", [],
            own("churn", ["8"], 400)),
    Program("mailbox", "freed by another thread", [],
            own("mailbox", ["4"], 20000)),
    Program("blocks", "large blocks and growing buffers", [],
            own("blocks", [], 2000)),
]
