# What: nghttpd, nghttp and h2load, all linked with libjemalloc.so.2: HTTP/2
# between them over many streams.
#
# Exercises: C++ programs on threads: new and delete of requests, queues and
# buffers, blocks handed between threads.
#
# Answer: h2load counts each request as succeeded with status 2xx, and the
# files fetched are the files served.
case_about='linked with libjemalloc.so.2: HTTP/2 server and clients'
case_sets='quick'
case_tools='nghttpd nghttp h2load perl'
case_packages='nghttp2-server nghttp2-client perl libjemalloc2'
case_proof=nghttpd
case_way=linked

case_ready() {
    linked_with nghttpd
}

# load COUNT URL
load() {
    under h2load -n "$1" -c 20 -m 20 -t 2 "$2" >load.out
    expect_line load.out "requests: .* $1 succeeded, 0 failed, 0 errored"
    expect_line load.out "status codes: $1 2xx, 0 3xx, 0 4xx, 0 5xx"
}

case_run() {
    local port url
    port=$(free_port)
    url=http://127.0.0.1:$port
    mkdir pages
    echo small >pages/small
    perl -e 'print "$_ ", $_ * 7919 % 10007, "\n" for 1 .. 30000' >pages/large
    serve nghttpd.log nghttpd --no-tls -a 127.0.0.1 -n 2 -d "$PWD/pages" \
        "$port"
    wait_until nghttp -t 2 "$url/small"
    load "$(pick 1000 50000 500000)" "$url/small"
    load "$(pick 100 2000 10000)" "$url/large"
    under nghttp "$url/large" >fetched
    same fetched pages/large
    # It has no orderly end: SIGTERM kills it.
    stop_servers 143
}
