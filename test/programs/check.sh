#!/bin/bash
# What: the part of test/programs that belongs to `make check`: the programs
# that every machine of a developer has, with little work, on the library just
# built. The others: `test/programs/run --quick` and `--all`.
#
# Invariants: skips as a whole when programs cannot start on this library: it
# was not built, its names have a prefix, or it needs a sanitizer's runtime.
#
# Locking: none.
set -eu

skip_all() {
    echo "1..0 # SKIP $*"
    exit 0
}

library=${JE_LIBRARY:-${abs_builddir:-$PWD}/lib/libjemalloc.so.2}
[ -z "${JE_PREFIX:-}" ] || skip_all 'public names have a prefix'
[ -z "${JE_SANITIZER:-}" ] || skip_all 'built with a sanitizer'
[ -f "$library" ] || skip_all 'no shared library'
[ -z "${JE_FOREIGN:-}" ] || skip_all "$JE_FOREIGN"
exec "$(dirname "$0")/run" --check --library "$library"
