# What: what redis-server tells and asks about its memory, on the library in
# both ways, in place of Debian's libjemalloc2 and preloaded; and the same on
# Debian's, whose figures are printed beside.
#
# Exercises: epoch, stats.allocated, stats.active and stats.resident; purging
# of all arenas; the background thread switched off and on while it runs;
# malloc_stats_print into a reply.
#
# Answer: keys of mixed sizes of which every tenth stays leave hardly a slab
# empty, so what is resident is then 6.8 to 7.7 times the data, as it is with
# Debian's, and at most MOST_PERCENT; without keys it is at most
# MOST_EMPTY_MIB. The figures are in the right order; the thread is there when
# it is switched on.
case_about='INFO memory, MEMORY DOCTOR, PURGE, background thread, fragments'
case_sets='quick'
case_tools='redis-server redis-cli'
case_packages='redis-server redis-tools libjemalloc2'
case_proof='redis-@(server|check-rdb)'

case_ready() {
    linked_with redis-server
}

MOST_PERCENT=850
MOST_EMPTY_MIB=40

client() {
    redis-cli -s "$PWD/socket" "$@"
}

field() {
    sed -n "s/^$1://p" info
}

# Redis takes its figures ten times a second.
read_info() {
    sleep 0.5
    client info memory | tr -d '\r' >info
}

# start_server plain|linked|preload
start_server() {
    local way=$1
    local command=(redis-server --port 0 --unixsocket "$PWD/socket"
        --dir "$PWD" --save '' --daemonize no)
    if [ "$way" = plain ]; then
        supervise_args plain redis-server
        "$PROGRAMS_SUPERVISE" "${words[@]}" -- "${command[@]}" \
            >"$way.log" 2>&1 </dev/null &
        server_pids+=($!)
        server_log=$way.log
    else
        case_way=$way
        serve "$way.log" "${command[@]}"
    fi
    wait_until client ping
    client info server | tr -d '\r' >info
    pid=$(field process_id)
}

# Lengths from 20 to 659 bytes; a fifth of the keys also as members of hashes.
write_keys() {
    expect "$(client eval '
        for i = 1, ARGV[1] do
            redis.call("set", "key:" .. i,
                string.rep("x", 20 + i * 7919 % 640))
            if i % 5 == 0 then
                redis.call("hset", "hash:" .. i % 1000, i, "member" .. i)
            end
        end
        return redis.call("dbsize")' 0 "$1")" $(($1 + 200)) 'keys written'
}

delete_keys() {
    expect "$(client eval '
        for i = 1, ARGV[1] do
            if i % 10 ~= 0 then redis.call("del", "key:" .. i) end
        end
        return redis.call("dbsize")' 0 "$1")" $(($1 / 10 + 200)) 'keys left'
    expect "$(client strlen key:10)" $((20 + 79190 % 640)) 'a kept value'
}

check_figures() {
    local allocated active resident used
    read_info
    allocated=$(field allocator_allocated)
    active=$(field allocator_active)
    resident=$(field allocator_resident)
    used=$(field used_memory)
    expect_line info '^mem_allocator:jemalloc-[0-9]+\.[0-9]+\.[0-9]+'
    [ "$allocated" -ge $((used * 9 / 10)) ] ||
        fail "allocator_allocated $allocated is below used_memory $used"
    [ "$active" -ge "$allocated" ] || fail "active $active < $allocated"
    [ "$resident" -ge "$active" ] || fail "resident $resident < $active"
}

say_figures() {
    printf '%-8s %-14s used %4d MiB, active %4d, rss %4d MiB, ' \
        "$1" "$2" $(($(field used_memory) >> 20)) \
        $(($(field allocator_active) >> 20)) \
        $(($(field used_memory_rss) >> 20))
    echo "fragmentation $(field mem_fragmentation_ratio)"
}

threads() {
    find "/proc/$pid/task" -mindepth 1 -maxdepth 1 | wc -l
}

has_threads() {
    [ "$(threads)" = "$1" ]
}

# Redis switches it on when it starts.
check_thread() {
    local with=$1 turn
    wait_until has_threads "$with"
    for turn in 1 2 3; do
        expect "$(client config set jemalloc-bg-thread no)" OK 'thread off'
        expect "$(client config get jemalloc-bg-thread | tail -n 1)" no off
        wait_until has_threads $((with - 1))
        expect "$(client config set jemalloc-bg-thread yes)" OK 'thread on'
        wait_until has_threads "$with"
    done
}

check_words() {
    client memory doctor >doctor
    expect_line doctor 'High allocator fragmentation'
    client memory malloc-stats >malloc-stats
    expect_line malloc-stats 'Begin jemalloc statistics'
    expect_line malloc-stats '^Allocated: [0-9]+'
    expect_line malloc-stats 'End jemalloc statistics'
}

# visit WAY KEYS: leaves what is resident after the purge, in percent of the
# data, in $percent, and without data, in MiB, in $empty.
visit() {
    start_server "$1"
    write_keys "$2"
    check_figures
    say_figures "$1" written
    delete_keys "$2"
    read_info
    say_figures "$1" deleted
    check_words
    expect "$(client memory purge)" OK 'memory purge'
    check_figures
    say_figures "$1" purged
    percent=$(($(field used_memory_rss) * 100 / $(field used_memory)))
    expect "$(client flushall)" OK 'flushall'
    expect "$(client memory purge)" OK 'memory purge'
    check_figures
    say_figures "$1" emptied
    empty=$(($(field used_memory_rss) >> 20))
}

case_run() {
    local keys way threads_with percent empty
    keys=$(pick 50000 500000 1000000)
    visit plain "$keys"
    threads_with=$(threads)
    stop_servers
    for way in linked preload; do
        visit "$way" "$keys"
        [ "$percent" -le "$MOST_PERCENT" ] ||
            fail "$way: resident is $percent % of the data"
        [ "$empty" -le "$MOST_EMPTY_MIB" ] ||
            fail "$way: $empty MiB are resident without data"
        check_thread "$threads_with"
        stop_servers
    done
}
