"""
What: cases of jeprof's tests as TAP, running jeprof, and ELF files made from
a list of symbols, so that a test decides what is at each address.

Invariants: a case that raises has failed, and says why; files go into a
directory of their own that is removed at the end.
"""
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import traceback

JEPROF = os.path.join(os.environ["JE_BUILDDIR"], "bin/jeprof/jeprof")
DATA = os.path.join(os.environ["JE_SRCDIR"], "test/jeprof/data")
SOURCES = os.path.join(os.environ["JE_SRCDIR"], "test/jeprof")
folder = tempfile.mkdtemp(prefix="jeprof-test.")


def path(name):
    return os.path.join(folder, name)


def write(name, content):
    full = path(name)
    os.makedirs(os.path.dirname(full), exist_ok=True)
    mode = "wb" if isinstance(content, bytes) else "w"
    with open(full, mode) as out:
        out.write(content)
    return full


class Result:
    def __init__(self, done):
        self.status = done.returncode
        self.bytes = done.stdout
        self.out = done.stdout.decode("utf-8", "replace")
        self.err = done.stderr.decode("utf-8", "replace")

    def rows(self):
        """Name -> (flat, cumulative) of a table, as printed."""
        found = {}
        for line in self.out.splitlines()[1:]:
            words = line.split(None, 5)
            found[words[5]] = (words[0], words[3])
        return found


def environment(**more):
    env = dict(os.environ, JEPROF_TMPDIR=path("fetched"), HOME=folder,
               ASAN_OPTIONS="detect_leaks=0", **more)
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER", "JEPROF_TOOLS",
                 "DEBUGINFOD_URLS"):
        if name not in more:
            env.pop(name, None)
    return env


def jeprof(*arguments, status=0, stdin=b"", **env):
    done = subprocess.run([JEPROF, *arguments], input=stdin, timeout=100,
                          capture_output=True, env=environment(**env),
                          check=False)
    result = Result(done)
    if result.status != status:
        raise AssertionError(f"jeprof {' '.join(arguments)}: status "
                             f"{result.status}\n{result.err}\n{result.out}")
    return result


def same(have, want):
    if have != want:
        raise AssertionError(f"have {have!r}\nwant {want!r}")


def contains(text, part):
    if part not in text:
        raise AssertionError(f"no {part!r} in {text!r}")


def lacks(text, part):
    if part in text:
        raise AssertionError(f"there is {part!r} in {text!r}")


class Skip(Exception):
    pass


def main(*cases):
    print(f"1..{len(cases)}")
    failed = 0
    for number, case in enumerate(cases, 1):
        name = case.__name__
        try:
            case()
            print(f"ok {number} - {name}")
        except Skip as reason:
            print(f"ok {number} - {name} # SKIP {reason}")
        except Exception:
            failed += 1
            for line in traceback.format_exc().splitlines():
                print("#", line)
            print(f"not ok {number} - {name}")
        sys.stdout.flush()
    shutil.rmtree(folder)
    sys.exit(1 if failed else 0)


# ---- ELF files ---------------------------------------------------------------

CALL = b"\xe8\0\0\0\0"
NOTE_AT = 0x100


def elf(symbols, calls=(), build_id=None, size=0x1000, shared=True):
    """
    The bytes of an x86-64 ELF file whose addresses are its offsets. `symbols`
    are (address, size, name); `calls` are return addresses, before each of
    which a call is put.
    """
    text = bytearray(b"\x90" * size)
    for address in calls:
        text[address - len(CALL):address] = CALL
    names = bytearray(b"\0")
    table = bytearray(24)
    for address, length, name in symbols:
        table += struct.pack("<IBBHQQ", len(names), 0x12, 0, 1, address,
                             length)
        names += name.encode() + b"\0"
    note = b""
    if build_id:
        raw = bytes.fromhex(build_id)
        note = struct.pack("<III4s", 4, len(raw), 3, b"GNU\0") + raw
    sections = bytearray(b"\0.text\0.symtab\0.strtab\0.shstrtab\0.note\0")
    at = size
    places = []
    for part in (table, names, sections):
        at = (at + 7) & ~7
        places.append(at)
        at += len(part)
    heads = (at + 7) & ~7
    header = struct.pack("<4sBBBBB7xHHIQQQIHHHHHH", b"\x7fELF", 2, 1, 1, 0, 0,
                         3 if shared else 2, 62, 1, 0x400, 64, heads, 0, 64,
                         56, 2, 64, 6, 4)
    segments = struct.pack("<IIQQQQQQ", 1, 5, 0, 0, 0, size, size, 0x1000)
    segments += struct.pack("<IIQQQQQQ", 4, 4, NOTE_AT, NOTE_AT, NOTE_AT,
                            len(note), len(note), 4)
    text[0:64] = header
    text[64:64 + len(segments)] = segments
    text[NOTE_AT:NOTE_AT + len(note)] = note
    image = text
    for place, part in zip(places, (table, names, sections)):
        image += bytes(place - len(image)) + part
    image += bytes(heads - len(image))

    def section(name, kind, flags, address, offset, length, link, info, entry):
        return struct.pack("<IIQQQQIIQQ", sections.find(name), kind, flags,
                           address, offset, length, link, info,
                           4 if kind == 7 else 8, entry)
    image += bytes(64)
    image += section(b".text", 1, 6, 0x200, 0x200, size - 0x200, 0, 0, 0)
    image += section(b".symtab", 2, 0, 0, places[0], len(table), 3, 1, 24)
    image += section(b".strtab", 3, 0, 0, places[1], len(names), 0, 0, 0)
    image += section(b".shstrtab", 3, 0, 0, places[2], len(sections), 0, 0, 0)
    image += section(b".note", 7, 2, NOTE_AT, NOTE_AT, len(note), 0, 0, 0)
    return bytes(image)


def map_line(start, size, name, offset=0):
    return (f"{start:x}-{start + size:x} r-xp {offset:08x} fe:00 77"
            f"                  {name}\n")
