# What: varnishd, linked with libjemalloc.so.2, with its malloc storage too
# small for what is asked of it, in front of a small HTTP server.
#
# Exercises: the cache's storage by malloc and free in large and small pieces,
# eviction, hundreds of threads, the compiler it starts for its settings.
#
# Answer: each body is the one the server made; hits, and evictions, happened.
case_about='linked with libjemalloc.so.2: cache in front of a server'
case_sets='quick'
case_tools='varnishd varnishstat curl perl python3'
case_packages='varnish curl perl python3 libjemalloc2'
case_proof=varnishd
case_way=linked

case_ready() {
    linked_with varnishd
}

# Page n is n % 300 + 1 KiB of lines that name it.
write_backend() {
    cat <<'EOF'
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Pages(BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    wbufsize = 1 << 20

    def do_GET(self):
        number = int(self.path.strip('/'))
        body = b'%015d\n' % number * (64 * (number % 300 + 1))
        self.send_response(200)
        self.send_header('Content-Length', str(len(body)))
        self.send_header('Cache-Control', 'max-age=300')
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


ThreadingHTTPServer(('127.0.0.1', int(sys.argv[1])), Pages).serve_forever()
EOF
}

counter() {
    varnishstat -n "$PWD/state" -1 -f "$1" | awk '{ print $2 }'
}

# Four clients at a time, so that threads meet.
fetch_pages() {
    local round client clients=()
    for round in $(seq "$2"); do
        for client in 0 1 2 3; do
            curl -sf "http://127.0.0.1:$1/[$((client * 50))-$((client * 50 + \
                $3))]" -o "got-$client-#1" &
            clients+=($!)
        done
        for client in "${clients[@]}"; do
            wait "$client" || fail "curl failed in round $round"
        done
        clients=()
    done
}

check_pages() {
    local file
    for file in got-*; do
        perl -e '
            my ($file, $number) = @ARGV;
            local $/;
            open my $in, "<", $file or die;
            exit(<$in> ne sprintf("%015d\n", $number) x
                (64 * ($number % 300 + 1)));' "$file" "${file##*-}" ||
            fail "$file is not what the server sent"
    done
}

case_run() {
    local port backend
    port=$(free_port)
    backend=$(free_port)
    write_backend >backend.py
    "$PROGRAMS_SUPERVISE" -t 600 -- python3 backend.py "$backend" \
        >backend.log 2>&1 &
    serve varnish.log varnishd -F -j none -a "127.0.0.1:$port" -T none \
        -b "127.0.0.1:$backend" -n "$PWD/state" -s malloc,16m
    wait_until curl -sf "http://127.0.0.1:$port/1"
    fetch_pages "$port" "$(pick 1 4 40)" 200
    check_pages
    echo "hits $(counter MAIN.cache_hit) evicted $(counter MAIN.n_lru_nuked)"
    [ "$(counter MAIN.cache_hit)" -gt 0 ] || fail 'no hit in the cache'
    [ "$(counter MAIN.n_lru_nuked)" -gt 0 ] || fail 'nothing was evicted'
    expect "$(counter MAIN.sess_fail)" 0 'failed sessions'
    expect "$(counter MGT.child_died)" 0 'dead children'
    stop_servers
}
