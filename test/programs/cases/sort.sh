# What: GNU sort of a generated file, two threads, a fixed buffer, merging
# through temporary files when the buffer is too small.
#
# Exercises: one block of hundreds of MB that is used to its last byte, its
# release, and allocation from two threads at once.
#
# Answer: the order is checked, and so is the digest against the run without.
case_about='sort with a large buffer, two threads, merge files'
case_sets='check quick'
case_tools='sort perl'
case_packages='coreutils perl'
case_proof="sort"

write_lines() {
    perl -e '
        my ($lines, $state) = (shift, 42);
        for (1 .. $lines) {
            $state = ($state * 1103515245 + 12345) & 0x7fffffff;
            printf "%010d %s %d\n", $state, "x" x ($state % 80), $_;
        }' "$1"
}

case_run() {
    local lines buffer
    lines=$(pick 150000 1000000 3400000)
    buffer=$(pick 8M 200M 200M)
    write_lines "$lines" >input
    expect "$(wc -l <input)" "$lines" 'lines of input'
    plain sort -S "$buffer" --parallel=2 -T . -o plain.out input
    under sort -S "$buffer" --parallel=2 -T . -o under.out input
    sort -c under.out
    same plain.out under.out
    # A merge through files, and another order.
    plain sort -S 4M --parallel=2 -T . -k2,2r -k3,3n -o plain.out input
    under sort -S 4M --parallel=2 -T . -k2,2r -k3,3n -o under.out input
    same plain.out under.out
}
