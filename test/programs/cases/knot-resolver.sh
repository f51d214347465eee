# What: kresd, linked with libjemalloc.so.2, answers from a long list of hints
# and asks named, on the library too, for the rest; several clients at once.
#
# Exercises: a program in C whose settings, modules and per-question work are
# Lua: pools made and dropped for each question, many questions pending, an
# answer cache that is emptied while it is used.
#
# Answer: the addresses are the generated ones, by UDP, by TCP, from the hints
# and from the server behind it.
# shellcheck source=bind9.sh
. "${BASH_SOURCE[0]%/*}/bind9.sh"
case_about='linked with libjemalloc.so.2: a resolver, hints, and its server'
case_tools='kresd named dig perl'
case_packages="knot-resolver $case_packages"
case_proof=kresd

case_ready() {
    linked_with kresd
}

# The network is not asked: no trust anchors, no root, no priming.
write_resolver() {
    cat >resolver.conf <<EOF
net.listen('127.0.0.1', $1)
trust_anchors.remove('.')
modules.unload('ta_update')
modules.unload('ta_signal_query')
modules.unload('priming')
modules = { 'hints > iterate', 'policy', 'stats' }
hints.add_hosts('$PWD/hosts')
policy.add(policy.suffix(policy.STUB('127.0.0.1@$2'),
    policy.todnames({'example.'})))
cache.size = 20 * MB
event.recurrent(1 * sec, function() cache.clear() end)
EOF
}

write_hosts() {
    perl -e 'printf "10.%d.%d.%d a%d.hint\n", $_ >> 16, $_ >> 8 & 255,
        $_ & 255, $_ for 1 .. shift' "$1" >hosts
}

answers() {
    [ "$(dig @127.0.0.1 -p "$port" +short +tries=1 +time=1 "$1")" = "$2" ]
}

# ask_all CLIENTS QUESTIONS: names of both kinds, each client another part.
ask_all() {
    local client clients=() protocol
    for client in $(seq "$1"); do
        perl -e '
            my ($client, $count) = @ARGV;
            for my $form ("a%d.hint A\n", "h%d.example A\n") {
                printf $form, $_
                    for ($client - 1) * $count + 1 .. $client * $count;
            }' "$client" "$2" >"questions-$client"
        protocol=+tcp
        [ $((client % 2)) = 1 ] || protocol=+notcp
        ask +short "$protocol" +keepopen -f "questions-$client" \
            >"answers-$client" &
        clients+=($!)
    done
    for client in "${clients[@]}"; do
        wait "$client" || fail 'dig failed'
    done
    for client in $(seq "$1"); do
        perl -e '
            my ($client, $count) = @ARGV;
            for (1 .. 2) {
                printf "10.%d.%d.%d\n", $_ >> 16, $_ >> 8 & 255, $_ & 255
                    for ($client - 1) * $count + 1 .. $client * $count;
            }' "$client" "$2" >wanted
        # What dig says besides, such as that an answer came late.
        sed -i '/^;/d' "answers-$client"
        same "answers-$client" wanted
    done
}

case_run() {
    local count behind round
    count=$(pick 200 2000 20000)
    behind=$(free_port)
    write_zone $((count * 4)) 1
    write_settings "$behind"
    port=$behind
    serve named.log named -g -n 2 -c "$PWD/named.conf"
    wait_until has_serial 1
    port=$(free_port)
    write_hosts $((count * 4))
    write_resolver "$port" "$behind"
    mkdir state
    serve kresd.log kresd -n -c "$PWD/resolver.conf" "$PWD/state"
    wait_until answers a7.hint 10.0.0.7
    wait_until answers h7.example 10.0.0.7
    for round in 1 2 3; do
        echo "round $round"
        ask_all 4 "$count"
    done
    stop_servers
}
