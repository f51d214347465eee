#!/bin/bash
#
# What: TAP test that each misuse of memory ends as expected.tsv says, at each
# level of protection that the library has, and that no valid program is
# stopped.
#
# Invariants: a level that the library does not know is a skip.
#
# Locking: none.
set -eu

if [ -n "${JE_PREFIX:-}${JE_SANITIZER:-}" ]; then
    echo "1..0 # SKIP this build does not replace malloc"
    exit 0
fi
if [ -n "${JE_EMULATOR:-}" ]; then
    echo "1..0 # SKIP an emulator's own memory lies between"
    exit 0
fi
exec python3 "$JE_SRCDIR/test/misuse/run" --check
