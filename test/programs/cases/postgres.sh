# What: a PostgreSQL cluster made afresh, served over a socket of the file
# system, under pgbench with eight clients, then queries that sort and hash.
#
# Exercises: memory contexts (blocks of 8 KiB doubling), one process a
# connection by fork, parallel workers, large sorts.
#
# Answer: pgbench's books balance to the unit, the number of transactions is
# the one asked for, and amcheck finds nothing.
case_about='initdb, pgbench -c 8, balance of the books, big sorts'
case_sets='quick'
case_tools='psql pgbench setpriv'
case_packages='postgresql postgresql-contrib'
case_proof=postgres
# pg_ctl and the tools run as well; so do shells that initdb starts.

find_binaries() {
    local directory found=''
    for directory in /usr/lib/postgresql/*/bin; do
        if [ -x "$directory/initdb" ]; then
            found=$directory
        fi
    done
    echo "$found"
}

case_ready() {
    if [ -z "$(find_binaries)" ]; then
        echo 'no postgres server'
    elif [ "$(id -u)" = 0 ] && ! id postgres >/dev/null 2>&1; then
        echo 'no user postgres to run the server as'
    fi
}

query() {
    psql -h "$PWD/base" -U postgres -d bench -At -v ON_ERROR_STOP=1 -c "$1"
}

ready() {
    psql -h "$PWD/base" -U postgres -d postgres -Atc 'select 1'
}

write_settings() {
    cat >>base/data/postgresql.conf <<EOF
listen_addresses = ''
unix_socket_directories = '$PWD/base'
fsync = off
shared_buffers = 64MB
work_mem = 64MB
max_parallel_workers_per_gather = 2
min_parallel_table_scan_size = 0
parallel_setup_cost = 0
EOF
}

# The server refuses to run as root.
become() {
    if [ "$(id -u)" = 0 ]; then
        as=(setpriv "--reuid=postgres" "--regid=postgres" --init-groups)
        chown postgres base
    else
        as=(setpriv)
    fi
}

case_run() {
    local bin transactions
    transactions=$(pick 100 600 10000)
    bin=$(find_binaries)
    mkdir base
    chmod 755 .
    become
    under "${as[@]}" "$bin/initdb" -D "$PWD/base/data" -U postgres -A trust \
        -N -E UTF8 --locale=C >initdb.out
    write_settings
    serve postgres.log "${as[@]}" "$bin/postgres" -D "$PWD/base/data"
    wait_until ready
    createdb -h "$PWD/base" -U postgres bench
    pgbench -h "$PWD/base" -U postgres -i -q -s "$(pick 1 4 20)" bench
    pgbench -h "$PWD/base" -U postgres -c 8 -j 2 -t "$transactions" bench
    expect "$(query 'select count(*) from pgbench_history')" \
        $((8 * transactions)) 'transactions in the history'
    expect "$(query 'select (select sum(abalance) from pgbench_accounts) =
        (select sum(delta) from pgbench_history) and
        (select sum(bbalance) from pgbench_branches) =
        (select sum(tbalance) from pgbench_tellers)')" t 'balance'
    check_queries
    stop_servers
}

check_queries() {
    local n
    n=$(pick 50000 300000 3000000)
    query "create table big as select i, md5(i::text) as h,
        repeat('x', i % 200) as r from generate_series(1, $n) i" >/dev/null
    expect "$(query 'select count(*) from big a join big b on a.h = b.h')" \
        "$n" 'rows of the join'
    expect "$(query 'select i from big where h = md5($$4711$$)')" 4711 'a row'
    expect "$(query 'select count(distinct h) from (select h from big
        order by h desc, r) x')" "$n" 'distinct hashes'
    query 'create index on big(h); create extension amcheck' >/dev/null
    query "select bt_index_check('big_h_idx', true)" >/dev/null
    expect "$(query "select length(string_agg(r, ',')) from big")" \
        "$(query 'select sum(length(r)) + count(*) - 1 from big')" 'length'
}
