#!/bin/bash
#
# What: TAP test of the public header: it compiles without a warning as C and
# C++ of several years, and each way of naming gives the symbols it promises.
#
# Invariants: nothing is written outside a temporary directory.
#
# Locking: none.
set -eu

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
count=0
include=$JE_BUILDDIR/include
warnings="-Wall -Wextra -Wpedantic -Wundef -Werror"
fortified="-O2 -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3"
real=${JE_PREFIX:-}

ok() {
    count=$((count + 1))
    echo "ok $count - $1"
}

not_ok() {
    count=$((count + 1))
    sed 's/^/# /' "$work/out"
    echo "not ok $count - $1"
}

# compiles NAME COMPILER SUFFIX FLAGS...: the program on standard input.
compiles() {
    local name=$1 compiler=$2 suffix=$3
    shift 3
    cat >"$work/t.$suffix"
    # shellcheck disable=SC2086
    if ! command -v $compiler >/dev/null; then
        count=$((count + 1))
        echo "ok $count - $name # SKIP no $compiler"
    elif $compiler $warnings "$@" -I"$include" -c "$work/t.$suffix" \
        -o "$work/t.o" >"$work/out" 2>&1; then
        ok "$name"
    else
        not_ok "$name"
    fi
}

# symbols NAME MACRO CALL SYMBOL: `CALL(1)` refers to SYMBOL.
symbols() {
    printf '%s\n#include <jemalloc/jemalloc.h>\nvoid *f(void);\n%s\n' \
        "${2:+#define $2}" "void *f(void) { return $3(64, 0); }" >"$work/t.c"
    if ! ${CC:-cc} -I"$include" -O0 -c "$work/t.c" -o "$work/t.o" \
        >"$work/out" 2>&1; then
        not_ok "$1"
    elif nm -u "$work/t.o" | grep -qw -- "$4"; then
        ok "$1"
    else
        nm -u "$work/t.o" >"$work/out"
        not_ok "$1"
    fi
}

all='#include <jemalloc/jemalloc.h>
#include <jemalloc/jemalloc.h>
#include <malloc.h>
#include <string.h>
int use(void);
int use(void)
{
    unsigned a = MALLOCX_ARENA(1) | MALLOCX_TCACHE(2) | MALLOCX_TCACHE_NONE
        | MALLOCX_ZERO | MALLOCX_ALIGN(64) | MALLOCX_LG_ALIGN(3);
    extent_hooks_t hooks;
    memset(&hooks, 0, sizeof(hooks));
    return (int)a + (int)sizeof(hooks) + MALLCTL_ARENAS_ALL
        + MALLCTL_ARENAS_DESTROYED + JEMALLOC_VERSION_MAJOR
        + JEMALLOC_VERSION_MINOR + JEMALLOC_VERSION_BUGFIX
        + JEMALLOC_VERSION_NREV + (int)sizeof(JEMALLOC_VERSION)
        + (int)sizeof(JEMALLOC_VERSION_GID) + LG_SIZEOF_PTR
        + (int)EXTENT_ALLOC_FLAG_PINNED + (int)EXTENT_ALLOC_FLAG_MASK;
}'
for compiler in gcc clang; do
    for standard in c89 gnu89 c99 gnu99 c11 c17 gnu17 c2x; do
        compiles "$compiler $standard" $compiler c -std=$standard <<<"$all"
    done
    compiles "$compiler, fortified" $compiler c -std=c99 $fortified <<<"$all"
    for mode in JEMALLOC_MANGLE JEMALLOC_NO_RENAME JEMALLOC_NO_DEMANGLE; do
        compiles "$compiler $mode" $compiler c -D$mode <<<"$all"
    done
done
for compiler in g++ clang++; do
    for standard in c++11 c++14 c++17 c++20 c++2b; do
        compiles "$compiler $standard" $compiler cc -std=$standard <<<"$all"
    done
    compiles "$compiler, fortified" $compiler cc -std=c++17 $fortified \
        <<<"$all"
    compiles "$compiler after the C++ library" $compiler cc -std=c++17 \
        <<<"#include <cstdlib>
#include <memory>
#include <new>
#include <string>
$all"
    compiles "$compiler before the C++ library" $compiler cc -std=c++17 \
        <<<"$all
#include <cstdlib>
#include <memory>
#include <new>
#include <string>"
done
symbols "default: plain name" "" "${real}mallocx" "${real}mallocx"
symbols "JEMALLOC_MANGLE: plain name is ours" JEMALLOC_MANGLE \
    mallocx "${real}mallocx"
symbols "JEMALLOC_MANGLE: je_ stays" JEMALLOC_MANGLE \
    je_mallocx "${real}mallocx"
symbols "JEMALLOC_NO_DEMANGLE: je_ is an alias" JEMALLOC_NO_DEMANGLE \
    je_mallocx "${real}mallocx"
symbols "JEMALLOC_NO_RENAME: je_ is the symbol" JEMALLOC_NO_RENAME \
    je_mallocx je_mallocx

printf '%s\n' '#include <jemalloc/jemalloc.h>' 'int je_malloc;' \
    'int je_mallctl;' 'int je_malloc_conf;' >"$work/t.c"
if [ "$real" = je_ ]; then
    ok "default: no je_ macro is left # SKIP je_ is the prefix"
elif ${CC:-cc} -I"$include" -c "$work/t.c" -o "$work/t.o" \
    >"$work/out" 2>&1 && nm "$work/t.o" | grep -qw je_malloc; then
    ok "default: no je_ macro is left"
else
    not_ok "default: no je_ macro is left"
fi
echo "1..$count"
