#!/bin/bash
#
# What: TAP test of what guard_sample reports of a C++ program with threads:
# an overflow, an underflow and a use after free are each found at the access,
# with function, file and line of the access, the allocation and the release,
# and the names of the threads.
#
# Invariants: without a C++ compiler, or without jeprof, cases are skipped;
# nothing is written outside a temporary directory.
#
# Locking: none.
set -eu

jeprof=$JE_BUILDDIR/bin/jeprof/jeprof
source=$JE_SRCDIR/test/integration/guards_lines.cc
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# shellcheck disable=SC2206
cxx=(${CXX:-g++})

skip() {
    echo "1..0 # SKIP $1"
    exit 0
}

[ -z "${JE_PREFIX:-}${JE_SANITIZER:-}" ] ||
    skip "this build does not replace malloc"
[ -z "${JE_FOREIGN:-}${JE_EMULATOR:-}" ] || skip "not this machine's programs"
[ -x "$jeprof" ] || skip "there is no jeprof"
"${cxx[@]}" -std=c++17 -g -O1 -pthread -o "$work/program" "$source" \
    >"$work/out" 2>&1 || skip "${cxx[*]} does not build it"

# line_of COMMENT: the line that carries it.
line_of() {
    grep -nF "/* $1 */" "$source" | cut -d: -f1
}

# has EVENT THREAD FUNCTION COMMENT: the stack below that headline names it.
has() {
    awk -v event="  $1 by thread [0-9]* \\\\($2\\\\) at" '
        $0 ~ event { inside = 1; next }
        /<jemalloc>:   [a-z]/ { inside = 0 }
        inside' "$work/report" |
        grep -qE " $3 .*guards_lines\\.cc:$(line_of "$4")\$" || {
        echo "no line of \"$4\" below \"$1 by thread ($2)\"" >>"$work/report"
        return 1
    }
}

# found MISTAKE HEADLINE FUNCTION COMMENT
found() {
    local status=0
    PATH=$(dirname "$jeprof"):$PATH LD_PRELOAD=$JE_LIBRARY \
        MALLOC_CONF=guard_sample:1 "$work/program" "$1" \
        >"$work/report" 2>&1 || status=$?
    [ $status -eq 139 ] && grep -qE "^<jemalloc>: $2" "$work/report" &&
        has accessed reader "$3" "$4" &&
        has allocated clerk make_order allocates
}

count=0
# report NAME COMMAND...
report() {
    local name=$1
    shift
    count=$((count + 1))
    if "$@"; then
        echo "ok $count - $name"
    else
        sed 's/^/# /' "$work/report"
        echo "not ok $count - $name"
    fi
}

freed() {
    found use_after_free 'use after free: read of 0x[0-9a-f]*, 3 bytes into the block 0x[0-9a-f]* of 64 bytes, which is free$' \
        use uses && has freed porter drop_order frees
}

echo "1..3"
report overflow found overflow \
    'buffer overflow by 1 byte: write to 0x[0-9a-f]* behind the block 0x[0-9a-f]* of 64 bytes$' \
    overflow overflows
report underflow found underflow \
    'buffer underflow by 1 byte: write to 0x[0-9a-f]* before the block 0x[0-9a-f]* of 64 bytes$' \
    underflow underflows
report use_after_free freed
