# What: the bill of resident memory of redis-server with a million keys, asked
# for by a signal.
#
# Exercises: stats_signal, the letter r.
#
# Answer: the lines' sum is what the kernel counts, within 3 %; the server goes
# on.
case_about='stats_signal and the bill of memory, a million keys'
case_sets='quick'
case_tools='redis-server redis-cli'
case_packages='redis-server redis-tools'
case_proof='redis-@(server|check-rdb)'

client() {
    redis-cli -s "$PWD/socket" "$@"
}

case_run() {
    local keys pid
    keys=$(pick 100000 1000000 1000000)
    export MALLOC_CONF=stats_signal:USR1,stats_print_opts:gmablxehr
    serve redis.log redis-server --port 0 --unixsocket "$PWD/socket" \
        --dir "$PWD" --save '' --daemonize no --enable-debug-command yes
    unset MALLOC_CONF
    wait_until client ping
    client debug populate "$keys" key 30 >/dev/null
    expect "$(client dbsize)" "$keys" 'number of keys'
    pid=$(client info server | tr -d '\r' | sed -n 's/^process_id://p')
    kill -USR1 "$pid"
    wait_until grep -q '^--- End jemalloc' redis.log
    check_bill redis.log $((keys * 60))
    expect "$(client strlen key:7)" 30 'length of a value'
    stop_servers
}
