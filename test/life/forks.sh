#!/bin/bash
#
# What: TAP test of short runs of test/stress/forks: threads that allocate
# while one forks, with the background thread, and with handlers of the
# program that allocate.
#
# Invariants: a child that hangs is ended by its own alarm, and then the run
# fails.
#
# Locking: none.
set -eu

program=$JE_BUILDDIR/test/stress/forks
forks=200
count=0
case ${JE_SANITIZER:-} in
*address* | *thread*)
    echo "1..0 # SKIP the sanitizer's own locks may be held in the child"
    exit 0
    ;;
esac

echo 1..4
for how in "" background handlers "handlers background"; do
    count=$((count + 1))
    if out=$($program 16 $forks $how 2>&1); then
        echo "ok $count - 16 threads, $forks forks ${how:-and nothing else}"
    else
        sed 's/^/# /' <<<"$out"
        echo "not ok $count - 16 threads, $forks forks $how"
    fi
    sed 's/^/# /' <<<"$out"
done
