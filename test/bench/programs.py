"""Programs of the system, and the input that they get.

What: one Program a row of PROGRAMS; PATH decides which ones there are; their
inputs are generated here.

Invariants: as of program.py. Compilers get one large preprocessed file, so
that no other process matters.

Locking: none.
"""

import os
import random
import shutil
import socket
import subprocess
import time

import common
from program import Program, times, write

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
    print(work(int(sys.argv[1])))
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
    print length($text), $last, "\\n";
}
"""


def make_perl(scale, workdir, _builder):
    return ["perl", write(workdir, "work.pl", PERL), "60000",
            str(times(3, scale))]


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
    table.sort(list, function(a, b) return a.name < b.name end)
    print(#table.concat(parts, ","), list[count // 2].name)
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


RUBY = """
count, turns = ARGV.map(&:to_i)
Item = Struct.new(:key, :words)
turns.times do
  table = {}
  count.times do |i|
    key = i * 7919 % count
    table["key#{key}"] = Item.new(key, ["w#{i}", "x" * (i % 50), [i, i + 1]])
  end
  text = table.values.map { |item| item.words.join(",") }.join("\\n")
  rows = text.split("\\n").map { |line| line.split(",") }
  groups = rows.group_by { |row| row[0][-2..] }
  table.delete_if { |_, item| item.key % 3 == 0 }
  puts [text.size, groups.size, table.size].join(" ")
end
"""


def make_ruby(scale, workdir, _builder):
    return ["ruby", "--disable=gems", write(workdir, "work.rb", RUBY), "50000",
            str(times(6, scale))]


NODE = """
const zlib = require("zlib"), crypto = require("crypto");
const count = Number(process.argv[2]);
const live = new Array(2000).fill(null);
const sum = crypto.createHash("sha256");
let seed = 1;
function below(limit) {
  seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
  return Math.floor(seed / 4294967296 * limit);
}
for (let i = 0; i < count; i++) {
  const size = 4096 + below(i % 50 ? 16000 : 600000);
  const one = Buffer.allocUnsafeSlow(size).fill(i & 255);
  one.write(JSON.stringify({ i, name: "n" + i, list: [i, i + 1] }));
  live[below(live.length)] = one;
  if (i % 20 === 0) {
    sum.update(zlib.inflateSync(zlib.deflateSync(one, { level: 1 })));
  }
}
console.log(sum.digest("hex"));
"""


def make_node(scale, workdir, _builder):
    return ["node", "--single-threaded", write(workdir, "work.js", NODE),
            str(times(50000, scale))]


def history(commits):
    """A history for `git fast-import`: texts that change a little."""
    rng = random.Random(1)
    files = {n: ["line %d of file %d" % (i, n) for i in range(400)]
             for n in range(40)}
    for i in range(commits):
        yield "commit refs/heads/main\n"
        yield "committer A <a@example.org> %d +0000\n" % (1000000000 + i)
        yield "data 7\ncommit \n"
        for n in rng.sample(sorted(files), 3):
            lines = files[n]
            lines[rng.randrange(len(lines))] = "%x" % rng.getrandbits(200)
            lines.insert(rng.randrange(len(lines)), "more in %d" % i)
            text = "\n".join(lines) + "\n"
            yield "M 644 inline f%d\ndata %d\n%s" % (n, len(text), text)


def make_git(scale, workdir, _builder):
    store = os.path.join(workdir, "store")
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", store],
                   check=True)
    subprocess.run(
        ["git", "-C", store, "fast-import", "--quiet"], check=True, text=True,
        input="".join(history(times(1200, scale))))
    script = "git repack -adfq --window=40 && git fsck --full && " \
        "git rev-list --objects --all"
    return ["sh", "-c", "cd store && " + script]


# Find the way to put `n` queens on a board of n x n with sums of 0 and 1,
# then prove that a product has no other small factors.

def queens(n):
    cell = ["(declare-const q%d Int)\n(assert (and (<= 0 q%d) (< q%d %d)))" % (
        i, i, i, n) for i in range(n)]
    apart = ["(assert (and (distinct q%d q%d) (distinct (- q%d q%d) %d)"
             " (distinct (- q%d q%d) %d)))" % (i, j, i, j, j - i, j, i, j - i)
             for i in range(n) for j in range(i + 1, n)]
    return "\n".join(cell + apart)


SMT = """
(push)
%s
(check-sat)
(pop)
(push)
(declare-const x (_ BitVec 32))
(declare-const y (_ BitVec 32))
(assert (= (bvmul x y) (_ bv%d 32)))
(assert (bvult x (_ bv65536 32)))
(assert (bvult y (_ bv65536 32)))
(assert (bvugt x (_ bv1 32)))
(assert (bvugt y (_ bv1 32)))
(check-sat)
(pop)
"""


def make_z3(scale, workdir, _builder):
    # A product of two primes; the larger ones are the greatest below 2^15.
    number = 1009 * 2003 if scale < 0.5 else 32749 * 32719
    size = 10 if scale < 0.5 else 14
    return ["z3", "-smt2", write(workdir, "w.smt2", SMT % (
        queens(size), number))]


def preprocessed(compiler, scale, workdir):
    """The path of one large C++ file after its includes."""
    units = "".join(CXX_UNIT.replace("%d", str(i + 1)).replace("%%", "%")
                    for i in range(times(12, scale)))
    source = write(workdir, "big.cc", CXX_HEAD + units)
    plain = os.path.join(workdir, "big.ii")
    subprocess.run(compiler + ["-std=c++17", "-E", "-o", plain, source],
                   check=True)
    return plain


def make_cc1plus(scale, workdir, _builder):
    cc1plus = subprocess.run(
        ["g++", "-print-prog-name=cc1plus"], stdout=subprocess.PIPE,
        text=True, check=True).stdout.strip()
    if not os.path.isabs(cc1plus):
        return None
    plain = preprocessed(["g++"], scale, workdir)
    return [cc1plus, "-quiet", "-std=c++17", "-fpreprocessed", "-O1", plain,
            "-o", os.path.join(workdir, "out.s")]


def make_clang(scale, workdir, _builder):
    plain = preprocessed(["clang++"], scale, workdir)
    return ["clang++", "-std=c++17", "-O1", "-S", "-o",
            os.path.join(workdir, "out.s"), plain]


def make_xmllint(scale, workdir, _builder):
    rng = random.Random(1)
    rows = ['<row id="%d" kind="k%d"><name>n%d</name><v>%s</v></row>' % (
        i, i % 97, i, "x" * rng.randrange(40))
        for i in range(times(300000, scale))]
    text = "<all>\n%s\n</all>\n" % "\n".join(rows)
    return ["xmllint", "--xpath", "count(//row[@kind='k3']/name)",
            write(workdir, "big.xml", text)]


def make_jq(scale, workdir, _builder):
    rows = ['{"id":%d,"name":"n%d","tags":["t%d","t%d"],"sub":{"a":%d}}' % (
        i, i, i % 7, i % 11, i) for i in range(times(60000, scale))]
    path = write(workdir, "big.json", "[%s]\n" % ",\n".join(rows))
    query = "group_by(.tags[0]) | map({k: .[0].tags[0]," \
        " names: map(.name | ascii_upcase), s: (map(.sub.a) | add)})"
    return ["jq", "-c", query, path]


class Redis(Program):
    """The server is measured; the load generator runs beside it."""

    answer = None

    def prepare(self, scale, workdir, builder):
        self.requests = str(times(80000, scale))
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
            self.answer = self.ask(link)
            link.sendall(b"SHUTDOWN NOSAVE\r\n")
            link.close()

    @staticmethod
    def ask(link):
        """What the server has to say after its work."""
        link.sendall(b"SET proof work\r\nAPPEND proof ed\r\nGET proof\r\n")
        answer = b""
        while not answer.endswith(b"worked\r\n"):
            more = link.recv(1000)
            if not more:
                break
            answer += more
        return answer.decode()

    def proof(self):
        return self.answer


def make_redis(_scale, workdir, _builder):
    return ["redis-server", "--port", "0", "--save", "", "--appendonly", "no",
            "--unixsocket", os.path.join(workdir, "s"), "--dir", workdir]


class Compiler(Program):
    result = "out.s"


class Python(Program):
    """Python's own pools of small objects stay out of the way."""

    extra = {"PYTHONMALLOC": "malloc", "PYTHONHASHSEED": "1"}


class Perl(Program):
    """Hash order decides what is allocated when."""

    extra = {"PERL_HASH_SEED": "1", "PERL_PERTURB_KEYS": "0"}


class Git(Program):
    """Nothing of the user's configuration matters."""

    extra = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}


PROGRAMS = [
    Redis("redis", "key-value server under load",
          ["redis-server", "redis-benchmark"], make_redis),
    Python("python", "objects, strings, dictionaries", ["python3"],
           make_python),
    Perl("perl", "hashes, arrays, strings", ["perl"], make_perl),
    Program("ruby", "hashes, arrays, strings", ["ruby"], make_ruby),
    Program("node", "buffers of 4 to 600 KiB, compression", ["node"],
            make_node),
    Program("lua", "tables and strings", ["lua5.4"], make_lua),
    Git("git", "repack and check of a history", ["git"], make_git),
    Compiler("cc1plus", "gcc on a C++ file with many templates", ["g++"],
             make_cc1plus),
    Compiler("clang", "clang on the same", ["clang++"], make_clang),
    Program("sqlite", "tables in memory", ["sqlite3"], make_sqlite),
    Program("z3", "a puzzle over integers, a proof over bits", ["z3"],
            make_z3),
    Program("xmllint", "one large document", ["xmllint"], make_xmllint),
    Program("jq", "group and map a large list", ["jq"], make_jq),
]
