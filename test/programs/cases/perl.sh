# What: hashes, sorting, regular expressions, string growth and closures in
# perl, then a fork whose child frees what the parent allocated.
#
# Exercises: small blocks with very mixed life times, long reallocs, fork.
#
# Answer: the same text as without the library.
case_about='hashes, sorts, regular expressions, a fork'
case_sets='check quick'
case_tools=perl
case_packages=perl
case_proof='perl*'

write_script() {
    cat <<'EOF'
use strict;
use warnings;
my ($limit, $state, %table, @list) = (shift, 7);
sub draw { $state = ($state * 1103515245 + 12345) & 0x7fffffff }
for my $i (1 .. $limit) {
    my $key = sprintf "k%06d", draw() % $limit;
    push @{ $table{$key}{seen} }, $i;
    $table{$key}{text} .= chr(97 + draw() % 26) x (draw() % 40);
    delete $table{ sprintf "k%06d", draw() % $limit } if $i % 3 == 0;
}
print scalar(keys %table), "\n";
my $sum = 0;
for my $key (sort keys %table) {
    my $text = $table{$key}{text};
    $sum = ($sum * 31 + length($text) + @{ $table{$key}{seen} }) % 1000003;
    while ($text =~ /([aeiou]+)([^aeiou]+)/g) {
        $sum = ($sum + length($1) * length($2)) % 1000003;
    }
}
print "sum $sum\n";
my @sorted = sort { $a->[1] <=> $b->[1] || $a->[0] <=> $b->[0] }
    map { [$_, draw() % 1000] } 1 .. $limit;
$sum = 0;
$sum = ($sum * 7 + $_->[0]) % 1000003 for @sorted;
print "sorted $sum\n";
my $long = '';
$long .= pack('N', $_) for 1 .. $limit * 4;
printf "checksum %u %d\n", unpack('%32N*', $long), length $long;
my @later = map { my $n = $_; sub { $n * shift } } 1 .. 50000;
$sum = 0;
$sum = ($sum + $_->(3)) % 1000003 for @later;
print "closures $sum\n";
$| = 1;
my $child = fork;
if (!$child) {
    %table = ();
    undef $long;
    print "child ", scalar(keys %table), "\n";
    exit 3;
}
waitpid $child, 0;
print "status ", $? >> 8, " parent ", length $long, "\n";
EOF
}

case_run() {
    write_script >script
    both perl script "$(pick 100000 200000 1500000)"
}
