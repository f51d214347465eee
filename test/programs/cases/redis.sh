# What: redis-server with the library preloaded, under redis-benchmark, with
# saving by a forked child, DEBUG RELOAD, eviction of keys, and a data check.
#
# Exercises: strings of all sizes, reallocs, background threads for freeing,
# fork while memory is written, malloc_usable_size in each accounting.
#
# Answer: values written by us come back after the reload, digests of the data
# set agree before and after, and the benchmark reports no error.
case_about='redis-benchmark, BGSAVE, DEBUG RELOAD, data check'
case_sets='quick'
case_tools='redis-server redis-cli redis-benchmark perl'
case_packages='redis-server redis-tools perl'
case_proof='redis-@(server|check-rdb)'

client() {
    redis-cli -s "$PWD/socket" "$@"
}

bench() {
    redis-benchmark -s "$PWD/socket" -q -c 20 "$@" >bench.out 2>&1 ||
        { cat bench.out; fail 'redis-benchmark failed'; }
    expect_line bench.out 'requests per second'
    ! grep -i error bench.out || fail 'redis-benchmark reports errors'
}

start_redis() {
    local debug=()
    # Since version 7 DEBUG must be allowed.
    case $(redis-server --version) in
    *v=[7-9].*) debug=(--enable-debug-command yes) ;;
    esac
    serve redis.log redis-server --port 0 --unixsocket "$PWD/socket" \
        --dir "$PWD" --save '' --daemonize no --protected-mode no \
        "${debug[@]}"
    wait_until client ping
}

# Values whose content follows from their key.
write_values() {
    perl -e '
        for my $i (1 .. shift) {
            my $value = "v$i-" x ($i % 200 + 1);
            print "SET own:$i $value\nHSET hash:", $i % 50, " f$i $value\n",
                "RPUSH list:", $i % 20, " $value\nZADD zset $i m$i\n";
            print "DEL own:", $i - 3, "\n" if $i % 4 == 0;
            print "APPEND long ", "x" x ($i % 900), "\n";
        }' "$1"
}

check_values() {
    local i wanted
    for i in 10 502 "$1"; do
        wanted=$(perl -e 'my $i = shift; print "v$i-" x ($i % 200 + 1)' "$i")
        expect "$(client get "own:$i")" "$wanted" "own:$i"
    done
    expect "$(client exists own:5)" 0 'a deleted key'
    expect "$(client zcard zset)" "$1" 'members of zset'
    expect "$(client hlen hash:7)" $(($1 / 50)) 'fields of hash:7'
}

wait_saved() {
    [ "$(client info persistence | tr -d '\r' |
        grep -c '^rdb_bgsave_in_progress:0$')" = 1 ]
}

case_run() {
    local count requests digest
    count=$(pick 1000 5000 20000)
    requests=$(pick 5000 40000 500000)
    start_redis
    bench -n "$requests" -r 10000 -d 300 -t set,get,incr,lpush,rpop,sadd,hset
    bench -n "$requests" -r 2000 -P 16 -d 3000 -t set,get
    write_values "$count" | client >/dev/null
    check_values "$count"
    digest=$(client debug digest)
    expect "${#digest}" 40 'length of the digest'
    client bgsave >/dev/null
    bench -n "$requests" -r 1000 -t get
    wait_until wait_saved
    expect_line <(client info persistence) 'rdb_last_bgsave_status:ok'
    expect "$(client debug reload)" OK 'debug reload'
    expect "$(client debug digest)" "$digest" 'digest after the reload'
    check_values "$count"
    check_memory
    client flushall async >/dev/null
    client config set maxmemory 20mb >/dev/null
    client config set maxmemory-policy allkeys-lru >/dev/null
    bench -n "$requests" -r 1000000 -d 1000 -t set
    stop_servers
}

# memory_field NAME: a figure of INFO memory.
memory_field() {
    client info memory | tr -d '\r' | sed -n "s/^$1://p"
}

check_memory() {
    [ "$(memory_field used_memory)" -gt 1000000 ] ||
        fail "used_memory is $(memory_field used_memory)"
}
