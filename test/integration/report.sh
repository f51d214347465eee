#!/bin/sh
# What: what others read out of the report: see report_check.py.
#
# Invariants: needs Python; without it the test is skipped; nothing is purged
# between two reports.
here=$(dirname "$0")
command -v python3 >/dev/null || {
    echo "1..0 # SKIP no python3"
    exit 0
}
export MALLOC_CONF=narenas:2,background_thread:false,dirty_decay_ms:-1
# shellcheck disable=SC2086 # the words of an emulator
exec python3 "$here/report_check.py" "$here/report_keys" \
    ${JE_EMULATOR:-} ./test/integration/report_dump
