#!/usr/bin/env python3
"""
What: names of a real program: its own file, a stripped one with its debug
file beside it, one that was rebuilt, one that is elsewhere, one that is gone.

Invariants: figures are exact, for the program records each sample. Where the
compiler is not the host's, or instructions are not known, cases are skipped.
"""
import ctypes.util
import http.server
import os
import platform
import re
import shutil
import subprocess
import threading

from tap import SOURCES, Skip, contains, jeprof, lacks, main, path, same, write

SOURCE = os.path.join(SOURCES, "dumper.c")
WORDS = os.environ.get("CC", "cc").split()


def build(name, *flags, source=SOURCE):
    os.makedirs(os.path.dirname(path(name)), exist_ok=True)
    done = subprocess.run([*WORDS, "-std=gnu11", "-g", "-O1",
                           "-fno-omit-frame-pointer", "-Wl,--build-id",
                           "-fno-pie", "-no-pie", *flags, "-o", path(name),
                           source], capture_output=True, check=False)
    if done.returncode != 0:
        raise AssertionError(done.stderr.decode())
    return path(name)


def dump(program, name):
    try:
        subprocess.run([program, path(name)], check=True)
    except OSError as reason:
        raise Skip(f"programs of {WORDS[0]} do not run here: {reason}")
    return path(name)


def table(*arguments, **more):
    return jeprof("--text", "--show_bytes", *arguments, **more)


def check_names(result):
    rows = result.rows()
    contains(result.out, "Total: 2240 B\n")
    # load: 10 + 20 objects, parse: 5 more, of 64 bytes.
    same(rows["record"], ("2240", "2240"))
    same(rows["small (inline)"], ("0", "2240"))
    same(rows["parse"], ("0", "2240"))
    same(rows["load"], ("0", "1920"))
    same(rows["main"], ("0", "2240"))


def own_file():
    program = build("own/app")
    check_names(table(program, dump(program, "own.heap")))
    check_names(table(path("own.heap")))


def position_independent():
    program = build("pie/app", "-fpie", "-pie")
    check_names(table(program, dump(program, "pie.heap")))


def other_compilers_and_formats():
    for flag in ("-gdwarf-4", "-gdwarf-5", "-gz", "-O2"):
        program = build("form/app", flag)
        check_names(table(program, dump(program, "form.heap")))


def lines_and_files():
    program = build("lines/app")
    heap = dump(program, "lines.heap")
    with open(SOURCE) as text:
        lines = text.read().splitlines()
    call = lines.index("    record(objects);") + 1
    rows = table("--lines", program, heap).rows()
    same(rows[f"small (inline) {SOURCE}:{call}"], ("0", "2240"))
    twice = lines.index("    parse(2 * objects);") + 1
    same(rows[f"load {SOURCE}:{twice}"], ("0", "1280"))
    same(table("--files", program, heap).rows()[SOURCE][1], "2240")
    for row in table("--addresses", program, heap).rows():
        if not re.match(r"[0-9a-f]{16} \S", row):
            raise AssertionError(row)


def source_and_code():
    program = build("list/app")
    heap = dump(program, "list.heap")
    out = jeprof("--list=^load$", "--show_bytes", program, heap).out
    contains(out, f"ROUTINE ====================== load in {SOURCE}\n")
    contains(out, "     0   1920 Total B (flat / cumulative)\n")
    if not re.search(r"^     \.   1280 +\d+:     parse\(2 \* objects\);$", out,
                     re.M):
        raise AssertionError(out)
    if shutil.which("objdump"):
        out = jeprof("--disasm=^load$", "--show_bytes", program, heap).out
        contains(out, "     0   1920 B (flat, cumulative) 85.7% of total\n")
        if not re.search(r"^     \.   1280 +[0-9a-f]+: \S+ .*<parse>", out,
                         re.M):
            raise AssertionError(out)
    contains(jeprof("--disasm=load", "--tools=objdump:/nonexistent", program,
                    heap, status=1).err, "/nonexistent failed")


def stripped_with_debug_file():
    program = build("strip/app")
    tools = [shutil.which(t) for t in ("objcopy", "strip")]
    if not all(tools):
        raise Skip("no objcopy")
    heap = dump(program, "strip.heap")
    folder = path("strip")
    subprocess.run([tools[0], "--only-keep-debug", "app", "app.symbols"],
                   cwd=folder, check=True)
    subprocess.run([tools[1], "app"], cwd=folder, check=True)
    bare = table(program, heap)
    lacks(bare.out, "parse")
    contains(bare.out, "app+0x")
    same(bare.out.splitlines()[0], "Total: 2240 B")
    subprocess.run([tools[0], "--add-gnu-debuglink=app.symbols", "app"],
                   cwd=folder, check=True)
    check_names(table(program, heap))
    # The other place where debug files are found.
    os.mkdir(os.path.join(folder, ".debug"))
    os.rename(os.path.join(folder, "app.symbols"),
              os.path.join(folder, ".debug/app.symbols"))
    check_names(table(program, heap))


class DebugServer(http.server.BaseHTTPRequestHandler):
    content = b""
    asked = []

    def do_GET(self):
        build_id = re.match(r"/buildid/([0-9a-f]+)/debuginfo$", self.path)
        if not build_id or \
                bytes.fromhex(build_id[1]) not in DebugServer.content:
            self.send_error(404)
            return
        DebugServer.asked.append(self.path)
        self.send_response(200)
        self.send_header("Content-Length", str(len(DebugServer.content)))
        self.end_headers()
        self.wfile.write(DebugServer.content)

    def log_message(self, *_):
        pass


def debug_file_from_a_server():
    tools = [shutil.which(t) for t in ("objcopy", "strip")]
    if not all(tools) or not ctypes.util.find_library("debuginfod"):
        raise Skip("no objcopy or libdebuginfod")
    program = build("server/app")
    heap = dump(program, "server.heap")
    folder = path("server")
    subprocess.run([tools[0], "--only-keep-debug", "app", "app.symbols"],
                   cwd=folder, check=True)
    subprocess.run([tools[1], "app"], cwd=folder, check=True)
    with open(os.path.join(folder, "app.symbols"), "rb") as symbols:
        DebugServer.content = symbols.read()
    server = http.server.HTTPServer(("127.0.0.1", 0), DebugServer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    check_names(table(
        program, heap, DEBUGINFOD_CACHE_PATH=path("cache"),
        DEBUGINFOD_URLS=f"http://127.0.0.1:{server.server_port}"))
    same(len(DebugServer.asked), 1)


def rebuilt():
    """Names of another build would be lies: addresses stay addresses."""
    if platform.machine() not in ("x86_64", "aarch64"):
        raise Skip("calls are not known in this machine's code")
    program = build("rebuilt/app")
    heap = dump(program, "rebuilt.heap")
    with open(SOURCE) as text:
        source = text.read()
    filler = "".join(
        f"int filler_{i}(int n)\n{{\n    return n * {i} + 7 % (n + 1);\n}}\n"
        for i in range(31))
    changed = write("rebuilt/changed.c", source.replace(
        "static FILE *out;", "static FILE *out;\n" + filler))
    build("rebuilt/app", "-O2", source=changed)
    result = table(program, heap)
    contains(result.err, "is not the file that was running")
    contains(result.err, "return addresses follow no call")
    contains(result.out, "app+0x")
    lacks(result.out, "parse")
    lacks(result.out, "filler")


def build_id_differs():
    """A dump that tells build ids needs no guess."""
    program = build("id/app")
    heap = dump(program, "id.heap")
    with open(heap) as text:
        content = text.read()
    start = re.search(r"^([0-9a-f]+)-\S+ r-xp .*/id/app$", content, re.M)[1]
    result = table(program, write(
        "wrong.heap", content + f"build-id {start} 00112233445566778899\n"))
    contains(result.err, "the profile's 00112233445566778899")
    contains(result.out, "app+0x")
    lacks(result.out, "parse")
    found = jeprof("--json", program, heap).out
    own = re.search(r'/id/app","build_id":"([0-9a-f]+)"', found)[1]
    check_names(table(program, write(
        "right.heap", content + f"build-id {start} {own}\n")))


def other_paths():
    """A dump from a machine that had everything elsewhere."""
    program = build("here/bin/app")
    heap = dump(program, "here.heap")
    with open(heap) as text:
        moved = text.read().replace(path("here"), "/srv/nowhere")
    heap = write("moved.heap", moved)
    result = table(heap)
    contains(result.err, "/srv/nowhere/bin/app: no such ELF file here")
    contains(result.out, "app+0x")
    check_names(table(program, heap))
    check_names(table("--lib_prefix=/nonexistent," + path("here"), heap))
    contains(table("--debug", "--lib_prefix=" + path("here"), heap).err,
             "symbols from " + program)


def program_is_gone():
    program = build("gone/app")
    heap = dump(program, "gone.heap")
    os.unlink(program)
    result = table(program, heap)
    contains(result.err, "No such file or directory")
    contains(result.out, "Total: 2240 B")


def line_of(text):
    with open(SOURCE) as source:
        lines = source.read().splitlines()
    return 1 + next(i for i, line in enumerate(lines) if text in line)


def symbols_of_addresses():
    program = build("sym/app")
    heap = dump(program, "sym.heap")
    with open(heap) as text:
        content = text.read()
    stack = re.search(r"^@ (.*)$", content, re.M)[1].split()
    asked = "\n".join(hex(int(a, 16) - 1) for a in stack[:2]) + "\n0x10\n"
    maps = content[content.index("MAPPED_LIBRARIES:\n"):]
    same(jeprof("--symbols", program, stdin=(maps + asked).encode())
         .out.split(), ["record", "small", "??"])
    lines = jeprof("--symbols", "--lines", program,
                   stdin=(maps + asked).encode()).out.splitlines()
    same([re.sub(r" \S*/(dumper.c:\d+)$", r" \1", line) for line in lines],
         [f"record dumper.c:{line_of('backtrace(stack')}",
          f"small dumper.c:{line_of('    record(objects);')}", "??"])


def cut_short():
    program = build("cut/app")
    heap = dump(program, "cut.heap")
    with open(heap) as text:
        content = text.read()
    at = content.index("MAPPED")
    for end in (10, 40, at // 2, at - 3, len(content) - 30):
        result = jeprof("--text", program, write("short.heap", content[:end]))
        contains(result.out, "Total: ")
    contains(jeprof("--text", program, write(
        "short.heap", content[:at // 2])).err, "it is cut short")


main(own_file, position_independent, other_compilers_and_formats,
     lines_and_files, source_and_code, stripped_with_debug_file,
     debug_file_from_a_server, rebuilt, build_id_differs, other_paths,
     program_is_gone, symbols_of_addresses, cut_short)
