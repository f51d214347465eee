#!/usr/bin/env python3
"""
What: profiles of a server that speaks the pprof protocol, and the pages that
jeprof serves where there is no browser.

Invariants: everything is on loopback; what was started is ended.
"""
import gzip
import http.server
import os
import re
import subprocess
import threading
import urllib.error
import urllib.request

from tap import (JEPROF, Skip, contains, elf, environment, jeprof, main,
                 map_line, path, same, write)

PROFILE = ("heap_v2/1\n@ 0x400310 0x400350 0x4003d0\n  t*: 2: 128 [0: 0]\n"
           "\nMAPPED_LIBRARIES:\n" + map_line(0x400000, 0x1000, "/srv/far"))
NAMES = {0x400310: "malloc", 0x40034f: "work(int)--inlined(char)",
         0x4003cf: "main"}


class Server(http.server.BaseHTTPRequestHandler):
    body = PROFILE.encode()
    symbols = True
    asked = []

    def answer(self, body, kind="text/plain"):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        Server.asked.append(self.path)
        if self.path in ("/pprof/heap", "/app/pprof/heap",
                         "/pprof/profile?seconds=3"):
            self.answer(Server.body)
        elif self.path.endswith("/pprof/symbol"):
            self.answer(b"num_symbols: %d\n" % Server.symbols)
        elif self.path.endswith("/pprof/cmdline"):
            self.answer(b"/srv/far\n--option\n")
        elif self.path == "/pprof/cut":
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b"short")
        else:
            self.send_error(404)

    def do_POST(self):
        length = int(self.headers["Content-Length"])
        words = self.rfile.read(length).decode().split("+")
        lines = [f"{w}\t{NAMES.get(int(w, 16), w)}\n" for w in words]
        self.answer("".join(lines).encode())

    def log_message(self, *_):
        pass


def serve():
    server = http.server.HTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"127.0.0.1:{server.server_port}"


HOST = serve()


def profile_with_the_servers_names():
    for name in (f"http://{HOST}/pprof/heap", HOST, f"http://{HOST}/",
                 f"http://{HOST}/app/pprof/heap"):
        result = jeprof("--text", "--show_bytes", name)
        same(result.rows(), {"inlined (inline)": ("128", "128"),
                             "work": ("0", "128"), "main": ("0", "128")})
        contains(result.err, "kept as " + path("fetched"))
    contains(jeprof("--dot", HOST).out, 'digraph "/srv/far; ')
    kept = re.search(r"kept as (\S+)", result.err)[1]
    contains(jeprof("--text", "--show_bytes", kept).out, "Total: 128 B")


def raw_profile_keeps_the_names():
    raw = jeprof("--raw", f"http://{HOST}/pprof/heap").bytes
    same(jeprof("--text", "--show_bytes", write("raw", raw)).rows()["work"],
         ("0", "128"))


def server_without_symbols():
    Server.symbols = False
    result = jeprof("--text", f"http://{HOST}/pprof/heap")
    Server.symbols = True
    contains(result.err, "gives no symbols")
    contains(result.out, "far+0x34f")
    program = write("far", elf([(0x340, 64, "here"), (0x300, 64, "malloc")],
                               [0x310, 0x350, 0x3d0]))
    Server.symbols = False
    result = jeprof("--text", program, f"http://{HOST}/pprof/heap")
    Server.symbols = True
    contains(result.out, "here")


def gzipped_answer():
    Server.body = gzip.compress(PROFILE.encode())
    contains(jeprof("--text", "--show_bytes", HOST).out, "Total: 128 B")
    Server.body = PROFILE.encode()


def services_that_take_time():
    jeprof("--text", "--seconds=3", f"http://{HOST}/pprof/profile")
    contains(Server.asked, "/pprof/profile?seconds=3")


def what_goes_wrong():
    for name, why in ((f"http://{HOST}/pprof/none", "the server says 404"),
                      (f"http://{HOST}/pprof/cut", "ends after 5 of 1000"),
                      ("http://127.0.0.1:1/pprof/heap", "refused"),
                      ("https://127.0.0.1/pprof/heap", "plain http only"),
                      ("http:///pprof/heap", "names no host")):
        result = jeprof("--text", name, status=1)
        contains(result.err, why)


def get(url):
    with urllib.request.urlopen(url, timeout=30) as answer:
        return answer.headers["Content-Type"], answer.read()


def pages_on_loopback():
    heap = write("a.heap", PROFILE)
    started = subprocess.Popen([JEPROF, "--web", "--flame", "--show_bytes",
                                heap], stderr=subprocess.PIPE,
                               env=environment())
    try:
        url = ""
        while not url:
            line = started.stderr.readline().decode()
            if not line:
                raise AssertionError("it ended")
            found = re.search(r"http://127\.0\.0\.1:\d+/", line)
            url = found[0] if found else ""
        kind, page = get(url)
        same(kind, "text/html; charset=utf-8")
        contains(page, b'"title":')
        contains(get(url + "text")[1], b"Total: 128 B")
        contains(gzip.decompress(get(url + "profile.pb.gz")[1]),
                 b"inuse_space")
        contains(get(url + "profile.json")[1], b'"stacks":')
        try:
            get(url + "nonsense")
            raise AssertionError("nonsense exists")
        except urllib.error.HTTPError as answer:
            same(answer.code, 404)
        contains(get(url + "collapsed")[1], b" 128\n")
    finally:
        started.kill()
        started.wait()
        started.stderr.close()


def browser_is_started():
    heap = write("a.heap", PROFILE)
    seen = path("seen")
    browser = write("browser", f"#!/bin/sh\ncp \"$1\" {seen}.tmp && "
                    f"mv {seen}.tmp {seen}\n")
    os.chmod(browser, 0o755)
    result = jeprof("--web", "--flame", heap, BROWSER=browser, TMPDIR=path(""))
    contains(result.err, "browser shows ")
    for _ in range(600):
        if os.path.exists(seen):
            break
        threading.Event().wait(.1)
    with open(seen) as page:
        contains(page.read(), '"title":')


def viewer_that_is_not_there():
    heap = write("a.heap", PROFILE)
    if not any(os.access(os.path.join(d, "gv"), os.X_OK)
               for d in os.environ["PATH"].split(":")):
        contains(jeprof("--gv", heap, status=1).err,
                 "the viewer gv is not in PATH")
    else:
        raise Skip("gv is here")


main(profile_with_the_servers_names, raw_profile_keeps_the_names,
     server_without_symbols, gzipped_answer, services_that_take_time,
     what_goes_wrong, pages_on_loopback, browser_is_started,
     viewer_that_is_not_there)
