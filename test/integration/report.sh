#!/bin/sh
# What: what others read out of the report: see report_check.py.
#
# Invariants: needs Python; without it the test is skipped.
here=$(dirname "$0")
command -v python3 >/dev/null || {
    echo "1..0 # SKIP no python3"
    exit 0
}
# shellcheck disable=SC2086 # the words of an emulator
MALLOC_CONF=narenas:2 exec python3 "$here/report_check.py" "$here/report_keys" \
    ${JE_EMULATOR:-} ./test/integration/report_dump
