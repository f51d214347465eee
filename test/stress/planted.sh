#!/bin/bash
#
# What: TAP test of the shadow model: a short run must pass, and a run with
# any of the bugs that it can plant must fail and name seed and operation.
#
# Invariants: a planted run that ends well, or crashes without a word, fails.
#
# Locking: none.
set -eu

program=$JE_BUILDDIR/test/stress/shadow
bugs="overlap alignment contents usable zero realloc"
count=1

echo 1..7
if out=$("$program" 2 2>&1); then
    echo "ok 1 - no bug planted"
else
    echo "# $out"
    echo "not ok 1 - no bug planted"
fi
for bug in $bugs; do
    count=$((count + 1))
    status=0
    out=$("$program" 10 -p "$bug" 2>&1) || status=$?
    if [ $status -eq 1 ] && [[ $out == *"FAILED seed "*" operation "* ]]; then
        echo "ok $count - finds a planted bug: $bug"
    else
        echo "# status $status: $out"
        echo "not ok $count - finds a planted bug: $bug"
    fi
done
