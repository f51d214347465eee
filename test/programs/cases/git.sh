# What: git packs a generated repository with two threads, checks it, and
# reads it back.
#
# Exercises: the delta search of pack-objects (large buffers grown and freed
# by several threads), zlib streams, mapped windows beside the heap.
#
# Answer: fsck is content, and every object of the history has its name and
# size as before the packing.
case_about='aggressive gc of a generated repository, then fsck'
case_sets='check quick'
case_tools='git perl'
case_packages='git perl'
case_proof=git

write_history() {
    perl -e '
        my ($commits, $state, @files) = (shift, 5);
        sub draw { $state = ($state * 1103515245 + 12345) & 0x7fffffff }
        for my $i (1 .. $commits) {
            my $n = draw() % 25;
            $files[$n] .= "line $_ of commit $i: " . draw() . "\n"
                for 0 .. draw() % 60;
            substr($files[$n], draw() % length $files[$n], 5) = "edit!";
            print "commit refs/heads/main\n",
                "committer A <a\@example.org> ", 1600000000 + $i, " +0000\n",
                "data 7\ncommit\n\n",
                "M 100644 inline dir", $n % 3, "/file$n\n",
                "data ", length $files[$n], "\n", $files[$n], "\n";
        }' "$1"
}

# Name, type and size of each object, in an order that packing cannot change.
describe() {
    "$1" git -C repository rev-list --objects --all >objects
    cut -d' ' -f1 objects | sort |
        "$1" git -C repository cat-file --batch-check
}

case_run() {
    export GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null
    git init -q -b main repository
    git -C repository config pack.threads 2
    git -C repository config gc.auto 0
    write_history "$(pick 300 2000 4000)" |
        under git -C repository fast-import --quiet
    describe plain >plain.out
    [ -s plain.out ] || fail 'the repository is empty'
    under git -C repository gc -q --aggressive --prune=now
    under git -C repository fsck --full --strict
    describe under >under.out
    same plain.out under.out
    under git clone -q --no-local repository clone
    expect "$(git -C clone rev-parse HEAD)" \
        "$(git -C repository rev-parse HEAD)" 'head of the clone'
    under git -C clone log -p --stat >log.under
    git -C repository log -p --stat >log.plain
    same log.plain log.under
}
