#!/bin/bash
#
# What: TAP test of a short run of test/stress/births: what the process holds
# after many short threads.
#
# Invariants: as there.
#
# Locking: none.
set -eu

# shellcheck source=../platforms/with.sh
. "$JE_SRCDIR/test/platforms/with.sh"

if [ -n "${JE_SANITIZER:-}" ]; then
    echo "1..0 # SKIP a sanitizer holds what it likes"
    exit 0
fi
echo 1..1
if out=$(with "$JE_BUILDDIR/test/stress/births" 8000 2>&1); then
    echo "ok 1 - 8,000 short threads"
else
    echo "not ok 1 - 8,000 short threads"
fi
sed 's/^/# /' <<<"$out"
