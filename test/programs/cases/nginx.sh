# What: nginx with two workers that compresses and copies, under wrk.
#
# Exercises: pools per request and per connection, aligned allocation, zlib
# inside, the re-reading of the configuration while requests come.
#
# Answer: wrk sees no error and no other status than 2xx; what curl gets is
# the file, plain and compressed.
case_about='two workers with gzip under wrk, a reload meanwhile'
case_sets='quick'
case_tools='nginx wrk curl perl gzip'
case_packages='nginx-light wrk curl perl gzip'
case_proof=nginx

write_settings() {
    local user=''
    if [ "$(id -u)" = 0 ]; then
        user='user root;'
    fi
    cat >nginx.conf <<EOF
$user
daemon off;
worker_processes 2;
pid $PWD/nginx.pid;
error_log $PWD/error.log;
events { worker_connections 512; }
http {
    access_log off;
    gzip on;
    gzip_types text/plain;
    gzip_min_length 100;
    sendfile off;
    output_buffers 2 64k;
    client_body_temp_path $PWD/t1;
    proxy_temp_path $PWD/t2;
    fastcgi_temp_path $PWD/t3;
    uwsgi_temp_path $PWD/t4;
    scgi_temp_path $PWD/t5;
    types { text/plain txt; }
    server {
        listen 127.0.0.1:$1;
        root $PWD/pages;
    }
}
EOF
}

write_pages() {
    mkdir pages
    echo small >pages/small.txt
    perl -e 'print "line $_ ", $_ * 7919 % 10007, "\n" for 1 .. 20000' \
        >pages/large.txt
}

load() {
    wrk -t 2 -c 30 -d "$(pick 1 2 15)s" "$@" >wrk.out
    expect_line wrk.out 'requests in'
    ! grep -E 'Socket errors|Non-2xx' wrk.out || fail 'wrk saw errors'
}

case_run() {
    local port url
    port=$(free_port)
    url=http://127.0.0.1:$port
    write_pages
    write_settings "$port"
    serve nginx.log nginx -p "$PWD" -c "$PWD/nginx.conf" -e "$PWD/error.log"
    wait_until curl -sf "$url/small.txt"
    load "$url/small.txt"
    load -H 'Accept-Encoding: gzip' "$url/large.txt"
    kill -HUP "$(cat nginx.pid)"
    sleep 1
    load "$url/large.txt"
    curl -sf "$url/large.txt" >plain.txt
    same plain.txt pages/large.txt
    curl -sf -H 'Accept-Encoding: gzip' "$url/large.txt" >packed
    [ "$(wc -c <packed)" -lt "$(wc -c <plain.txt)" ] || fail 'not compressed'
    gzip -dc <packed >plain.txt
    same plain.txt pages/large.txt
    ! grep -E 'emerg|alert|signal' error.log || fail 'nginx complains'
    stop_servers
}
