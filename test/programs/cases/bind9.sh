# What: named, linked with libjemalloc.so.2, serves a generated zone: single
# questions, a long list of them, the whole zone by transfer, reloads.
#
# Exercises: mallocx, rallocx, sdallocx and sallocx as bind9 calls them,
# several threads, big trees built and thrown away.
#
# Answer: the records are the generated ones, all of them.
case_about='linked with libjemalloc.so.2: questions, zone transfer, reload'
case_sets='quick'
case_tools='named dig perl'
case_packages='bind9 bind9-dnsutils perl libjemalloc2'
case_proof='@(named|dig)'
case_way=linked

case_ready() {
    linked_with named
}

write_zone() {
    perl -e '
        my ($count, $serial) = @ARGV;
        print "\$TTL 300\n@ IN SOA ns admin ($serial 60 60 60 60)\n",
            "@ IN NS ns\nns IN A 127.0.0.1\n";
        printf "h%d IN A 10.%d.%d.%d\nh%d IN TXT \"%s\"\n", $_, $_ >> 16,
            $_ >> 8 & 255, $_ & 255, $_, "t$_" x ($_ % 20 + 1)
            for 1 .. $count;' "$1" "$2" >zone
}

write_settings() {
    cat >named.conf <<EOF
options {
    directory "$PWD";
    pid-file "$PWD/named.pid";
    session-keyfile "$PWD/session.key";
    listen-on port $1 { 127.0.0.1; };
    listen-on-v6 { none; };
    recursion no;
    dnssec-validation no;
    allow-transfer { 127.0.0.1; };
};
controls {};
zone "example" { type primary; file "$PWD/zone"; masterfile-format text; };
EOF
}

ask() {
    under dig @127.0.0.1 -p "$port" +time=5 +tries=3 "$@"
}

has_serial() {
    [ "$(dig @127.0.0.1 -p "$port" +short SOA example | cut -d' ' -f3)" = "$1" ]
}

case_run() {
    local count serial
    count=$(pick 2000 20000 200000)
    port=$(free_port)
    write_zone "$count" 1
    write_settings "$port"
    # Root it stays when it is root: the zone lies in a directory of ours.
    serve named.log named -g -n 2 -c "$PWD/named.conf"
    wait_until has_serial 1
    expect "$(ask +short h4711.example A)" \
        "$([ "$count" -lt 4711 ] || echo 10.0.18.103)" 'one address'
    ask +short AXFR example >transfer
    expect "$(grep -c '^10\.' transfer)" "$count" 'addresses transferred'
    perl -e 'print "h$_.example A\n" for 1 .. shift' \
        "$(pick 500 2000 20000)" >questions
    ask +short -f questions >answers
    expect "$(sort -u answers | wc -l)" "$(wc -l <questions)" 'answers'
    expect "$(sed -n 300p answers)" 10.0.1.44 'answer 300'
    for serial in 2 3 4; do
        write_zone $((count / serial)) "$serial"
        kill -HUP "$(cat named.pid)"
        wait_until has_serial "$serial"
        ask +short AXFR example >transfer
        expect "$(grep -c '^10\.' transfer)" $((count / serial)) 'reloaded'
    done
    stop_servers
}
