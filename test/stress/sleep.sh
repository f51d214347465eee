#!/bin/bash
#
# What: TAP test: what sleeping threads cache is reclaimed, in a short run of
# sleepers; and a run whose threads may not be helped, which must fail.
#
# Invariants: as in sleepers.c.
#
# Locking: none.
set -eu

program=$JE_BUILDDIR/test/stress/sleepers
echo 1..2
if [ -n "${JE_SANITIZER:-}" ]; then
    echo "ok 1 - caches are reclaimed # SKIP not under a sanitizer"
    echo "ok 2 - not without a thread # SKIP not under a sanitizer"
    exit 0
fi
check() {
    local number=$1 what=$2 want=$3 status=0 out
    shift 3
    out=$("$@" 2>&1) || status=$?
    if [ "$status" -eq "$want" ]; then
        echo "ok $number - $what"
    else
        echo "# status $status: $out"
        echo "not ok $number - $what"
    fi
}
check 1 "caches are reclaimed" 0 "$program" 100 5
prefix=$(tr '[:lower:]' '[:upper:]' <<<"${JE_PREFIX:-}")
check 2 "not without a thread" 1 \
    env "${prefix}MALLOC_CONF=background_thread:false" "$program" 20 3
