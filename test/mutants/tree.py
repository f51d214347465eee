"""
What: the build trees below the work directory, and how one object, program
or library in them is made again with a fault in it.

    source/  a copy of the source tree, so that it may change meanwhile
    tree/    debug build: what the faults are planted in
    cover/   the same with cover.c in it: which test runs which line
    fault/   the one changed source file, found first by -I

Invariants: (I1) the tree's own library is put back before and after each
fault; (I2) commands are those that make printed when it built the tree.
"""
import filecmp
import hashlib
import os
import re
import shlex
import shutil
import subprocess

LIBRARY = "lib/libjemalloc.so.2"
TESTS_MK = "include Makefile\nprint-tests: ; @echo $(TESTS)\n"


class CompileError(Exception):
    """The fault is none: the compiler or the linker refuses it."""


def copy_sources(source, target):
    """Makes `target` like `source`; what is the same keeps its time."""
    wanted = set()
    for here, directories, files in os.walk(source):
        directories[:] = [d for d in directories if not d.startswith(".") and
                          d != "autom4te.cache" and not d.endswith(".build")
                          and not os.path.exists(
                              os.path.join(here, d, "config.status"))]
        inside = os.path.relpath(here, source)
        os.makedirs(os.path.join(target, inside), exist_ok=True)
        for name in files:
            old = os.path.join(here, name)
            new = os.path.normpath(os.path.join(target, inside, name))
            wanted.add(new)
            if not os.path.exists(new) or not filecmp.cmp(old, new, False):
                shutil.copy2(old, new)
    for here, _, files in os.walk(target):
        for name in files:
            path = os.path.normpath(os.path.join(here, name))
            if path not in wanted:
                os.remove(path)


def same_code(one, other):
    return filecmp.cmp(one, other, False)


def digest_of(*paths):
    """One word for the contents of files and directories."""
    total = hashlib.sha1()
    for path in paths:
        for here, directories, files in sorted(os.walk(path)) or [
                (os.path.dirname(path), [], [os.path.basename(path)])]:
            directories[:] = [d for d in directories if d != "__pycache__"]
            for name in sorted(files):
                with open(os.path.join(here, name), "rb") as file:
                    total.update(name.encode() + file.read())
    return total.hexdigest()[:16]


def source_of(source, test):
    """What a test is made of; the whole directory if no file has its name."""
    for path in (f"{source}/{test}", f"{source}/{test}.c"):
        if os.path.exists(path):
            return path
    return os.path.dirname(f"{source}/{test}")


class Tree:
    """A configured and built tree."""

    def __init__(self, source, path, flags, settings=()):
        self.source = source
        self.path = path
        os.makedirs(path, exist_ok=True)
        if not os.path.exists(path + "/config.status"):
            self.run([source + "/configure", "--quiet", "--enable-debug",
                      "CFLAGS=" + flags, *settings])
        self.flags = flags

    def run(self, command, log="/dev/null"):
        done = subprocess.run(command, cwd=self.path, text=True,
                              stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT)
        with open(log, "a") as file:
            file.write(done.stdout)
        if done.returncode != 0:
            raise SystemExit("mutants: %s in %s failed:\n%s" % (
                shlex.join(command), self.path, done.stdout[-4000:]))
        return done.stdout

    def make(self, *settings):
        """Builds all tests; what make says is added to build.log (I2)."""
        for target in ("all", "tests"):
            self.run(["make", "V=1", "-k", target, *settings],
                     self.path + "/build.log")

    def tests(self):
        done = subprocess.run(["make", "-s", "-f", "-", "print-tests"],
                              cwd=self.path, input=TESTS_MK, text=True,
                              check=True, stdout=subprocess.PIPE)
        return done.stdout.split()

    def test_command(self, test):
        if test.endswith(".sh"):
            return ["bash", self.source + "/" + test]
        if test.endswith(".py"):
            return ["python3", self.source + "/" + test]
        return ["./" + test]

    def test_environment(self):
        env = dict(os.environ)
        for name in ("MALLOC_CONF", "LD_PRELOAD", "MAKEFLAGS", "MAKELEVEL",
                     "MFLAGS"):
            env.pop(name, None)
        env.update(JE_SRCDIR=self.source, JE_BUILDDIR=self.path,
                   JE_LIBRARY=self.path + "/" + LIBRARY, JE_PREFIX="",
                   JE_SANITIZER="", CC="gcc", CXX="g++")
        return env


class Faults:
    """Plants faults into a tree."""

    def __init__(self, tree, directory):
        self.tree = tree
        self.directory = directory
        self.compilers = {}  # object -> command without source and output
        self.sources = {}    # object -> path below the source tree
        self.archives = {}   # archive -> objects
        self.links = {}      # program or library -> command
        self.read_commands()
        self.users = {}      # path below the source tree -> objects
        for object_ in self.compilers:
            for path in self.dependencies(object_):
                self.users.setdefault(path, []).append(object_)
        self.objects = {}    # object -> its faulty twin
        self.pristine = {}
        self.kept = tree.path + "/" + LIBRARY + ".kept"
        if not os.path.exists(self.kept):
            shutil.copy2(tree.path + "/" + LIBRARY, self.kept)
        self.remove()

    def read_commands(self):
        with open(self.tree.path + "/build.log") as log:
            text = log.read().replace("\\\n", " ")
        for line in text.split("\n"):
            line = line.split("&&")[0].split(";")[-1].strip()
            if line.startswith("ar cr "):
                words = shlex.split(line)
                self.archives[words[2]] = words[3:]
            elif " -c -o " in line and line.startswith("gcc"):
                self.read_compiler(line)
            elif line.startswith("gcc") and " -o " in line:
                words = shlex.split(line)
                self.links[words[words.index("-o") + 1]] = words

    def read_compiler(self, line):
        command, _, rest = line.partition(" -c -o ")
        object_ = rest.split()[0]
        source = rest.split("`")[-1] if "`" in rest else rest.split()[-1]
        command = re.sub(r" -M[TF] \S+| -M[DP]\b", "", command)
        self.compilers[object_] = shlex.split(command)
        self.sources[object_] = os.path.relpath(
            os.path.join(self.tree.path, source), self.tree.source) \
            if "`" not in rest else source

    def dependencies(self, object_):
        """What below the source tree the object was made of."""
        directory, name = os.path.split(object_)
        path = f"{self.tree.path}/{directory}/.deps/{name[:-2]}.Po"
        if not os.path.exists(path):
            return set()
        with open(path) as file:
            words = file.read().replace("\\\n", " ").split()
        found = set()
        for word in words:
            path = os.path.normpath(os.path.join(self.tree.path, word))
            if path.startswith(self.tree.source + "/"):
                found.add(os.path.relpath(path, self.tree.source))
        return found

    def remove(self):
        """Back to the tree as it was built (I1)."""
        shutil.rmtree(self.directory, ignore_errors=True)
        shutil.copy2(self.kept, self.tree.path + "/" + LIBRARY)
        self.objects = {}

    def compile(self, object_, file, output):
        command = self.compilers[object_]
        source = self.sources[object_]
        if source == file:
            source = f"{self.directory}/{file}"
        else:
            source = f"{self.tree.source}/{source}"
        self.call([command[0], "-w", f"-I{self.directory}/src",
                   *command[1:], "-c", "-o", output, source])

    def call(self, command):
        done = subprocess.run(command, cwd=self.tree.path, text=True,
                              stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT)
        if done.returncode != 0:
            raise CompileError(done.stdout)

    def in_library(self, object_):
        return "libje_core_a-" in object_ or "libje_api_a-" in object_ or \
            "libje_test_a-" in object_

    def plant(self, file, text):
        """
        Compiles what `file` with this text makes of the library. False if
        the code is the same as without the fault.
        """
        self.remove()
        path = f"{self.directory}/{file}"
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as out:
            out.write(text)
        differs = False
        for object_ in self.users.get(file, []):
            if not self.in_library(object_):
                continue
            output = f"{self.directory}/" + object_.replace("/", "_")
            self.compile(object_, file, output)
            if not same_code(output, self.pristine_of(object_, file)):
                self.objects[object_] = output
                differs = True
        return differs

    def pristine_of(self, object_, file):
        """The object without the fault, compiled at the same place."""
        key = (object_, file)
        if key not in self.pristine:
            faulty = f"{self.directory}/{file}"
            os.rename(faulty, faulty + ".faulty")
            shutil.copy2(f"{self.tree.source}/{file}", faulty)
            output = f"{self.directory}.pristine/{len(self.pristine)}.o"
            os.makedirs(os.path.dirname(output), exist_ok=True)
            self.compile(object_, file, output)
            self.pristine[key] = output
            os.rename(faulty + ".faulty", faulty)
        return self.pristine[key]

    def objects_of(self, word):
        return [self.objects.get(o, o) for o in self.archives.get(word, [])]

    def link_library(self):
        command = []
        for word in self.links[LIBRARY]:
            command += self.objects_of(word) or [word]
        output = self.tree.path + "/" + LIBRARY
        os.remove(output)
        self.call(command)

    def link_program(self, program, file):
        """A program of the je_ kind; its own objects may use the header."""
        output = f"{self.directory}/" + program.replace("/", "_")
        command = []
        faulty = [o for o in self.objects.values()]
        planted = False
        for word in self.links[program]:
            if word == program:
                command.append(output)
            elif word in self.users.get(file, []):
                own = f"{self.directory}/" + word.replace("/", "_")
                self.compile(word, file, own)
                command.append(own)
            elif word in self.archives and not planted:
                planted = True
                mine = set(self.archives.get("libje_test.a", []) +
                           self.archives.get("libje_core.a", []))
                command += [self.objects[o] for o in self.objects
                            if o in mine] + [word]
            else:
                command.append(word)
        assert faulty or planted
        self.call(command)
        return output

    def is_static(self, test):
        return test in self.links and "libje_core.a" in self.links[test]
