#!/bin/bash
#
# What: TAP test of the C++ operators. Builds the program cxx_operators.cc
# with each C++ compiler and runtime found, linked and preloaded, and C
# programs that have no C++ runtime or get one late by dlopen, and runs them
# with the library under test.
#
# Invariants: a compiler or runtime that the machine lacks is a skip, never a
# pass; nothing is written outside a temporary directory.
#
# Locking: none.
set -eu

lib=$JE_LIBRARY
source_file=$JE_SRCDIR/test/integration/cxx_operators.cc
late_file=$JE_SRCDIR/test/integration/cxx_late.cc
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
count=0

# shellcheck source=../platforms/with.sh
. "$JE_SRCDIR/test/platforms/with.sh"
# Compilers are the system's, but those of another platform go by its names.
gxx=g++
clangxx=clang++
if [ -n "${JE_FOREIGN:-}" ]; then
    gxx=${CXX:-no-g++}
    clangxx=no-clang++
fi

# report NAME STATUS: status 0 = ok, 77 = skip.
report() {
    count=$((count + 1))
    case $2 in
    0) echo "ok $count - $1" ;;
    77) echo "ok $count - $1 # SKIP not available here" ;;
    *) echo "not ok $count - $1" ;;
    esac
}

# check NAME COMMAND...: runs it, its output as diagnostics.
check() {
    local name=$1 status=0
    shift
    "$@" >"$work/out" 2>&1 || status=$?
    if [ $status -ne 0 ]; then
        echo "# exit status $status"
        sed 's/^/# /' "$work/out"
    fi
    report "$name" $status
}

# can_build COMPILER...: does this combination make a program at all?
can_build() {
    echo '#include <string>
int main() { return (int)std::string("").size(); }' >"$work/probe.cc"
    "$@" -std=c++17 "$work/probe.cc" -o "$work/probe" >/dev/null 2>&1
}

# operators NAME COMPILER...: linked with the library, and preloaded.
operators() {
    local name=$1 own
    shift
    if ! can_build "$@"; then
        report "$name: linked" 77
        report "$name: preloaded" 77
        return
    fi
    check "$name: builds" "$@" -std=c++17 "$source_file" "$lib" \
        "-Wl,-rpath,$(dirname "$lib")" -pthread -o "$work/linked"
    check "$name: linked" with "$work/linked"
    "$@" -std=c++17 "$source_file" -pthread -o "$work/bare"
    # A static runtime brings operators of its own, which come first.
    case " $* " in
    *" -static-libstdc++ "*) own=1 ;;
    *) own= ;;
    esac
    check "$name: preloaded" with ${own:+OPERATORS_OF_RUNTIME=1} \
        LD_PRELOAD="$lib" "$work/bare"
}

# Fails unless the program aborts and says all the words.
dies_saying() {
    local words=$1 status=0 word
    shift
    "$@" >"$work/said" 2>&1 || status=$?
    cat "$work/said"
    [ $status -eq 134 ] || return 1
    for word in $words; do
        grep -q -- "$word" "$work/said" || return 1
    done
}

# Prints exactly this line and succeeds.
prints() {
    local expected=$1 got
    shift
    got=$("$@")
    echo "expected $expected, got $got"
    [ "$got" = "$expected" ]
}

infallible() {
    local huge=0x6fffffffffffffff decimal=8070450532247928831 small=300000000
    if readelf -h "$lib" | grep -q 'Class:.*ELF32'; then
        huge=0x7fffffff decimal=2147483647
    fi
    export MALLOC_CONF=experimental_infallible_new:true
    check "infallible new names size, cause and a sanitizer" dies_saying \
        "^<jemalloc>:.Allocation.of.size.$decimal.failed\. heap
        corruption sanitizer
        opt\.experimental_infallible_new.is.true\..Aborting\." \
        with "$work/linked" plain $huge
    check "infallible nothrow new aborts too" dies_saying \
        "experimental_infallible_new" with "$work/linked" nothrow $huge
    : >"$work/out" # an emulator limits no addresses
    [ -n "${JE_EMULATOR:-}" ] || (
        ulimit -v 200000
        dies_saying "^<jemalloc>:.Allocation.of.size.$small.failed\." \
            with "$work/linked" plain $small
    ) >"$work/out" 2>&1 || report "infallible below 1 GiB" 1
    if grep -q corruption "$work/out"; then
        report "infallible below 1 GiB gives no hint" 1
    fi
    report "infallible below 1 GiB done" 0
    unset MALLOC_CONF
    check "default: plain throws" prints bad_alloc with "$work/linked" plain $huge
    check "default: nothrow is NULL" prints null with "$work/linked" nothrow $huge
}

c_programs() {
    cat >"$work/plain.c" <<'END'
#include <stdlib.h>
int main(void)
{
    void *p = malloc(100);
    int bad = p == NULL;
    free(p);
    return bad;
}
END
    ${CC:-cc} -O0 "$work/plain.c" -o "$work/plain"
    check "a C program runs without a C++ runtime" \
        with LD_PRELOAD="$lib" "$work/plain"
    with LD_PRELOAD="$lib" LD_TRACE_LOADED_OBJECTS=1 "$work/plain" \
        >"$work/loaded"
    local status=0
    grep -E 'libstdc|libgcc_s|libc\+\+' "$work/loaded" && status=1
    report "preloading into a C program loads no C++ runtime" $status

    if ! can_build "$gxx"; then
        report "C++ module in a C program" 77
        return
    fi
    cat >"$work/host.c" <<'END'
#include <dlfcn.h>
#include <stdio.h>
int main(int argc, char **argv)
{
    void *module = dlopen(argv[argc - 1], RTLD_NOW | RTLD_LOCAL);
    int (*run)(void) =
        module == NULL ? NULL : (int (*)(void))dlsym(module, "late_run");
    printf("%d\n", run == NULL ? -1 : run());
    return 0;
}
END
    ${CC:-cc} "$work/host.c" -o "$work/host" -ldl
    "$gxx" -std=c++17 -shared -fPIC "$late_file" -o "$work/late.so"
    check "exceptions in a C++ module that a C program loads" \
        prints 7 with LD_PRELOAD="$lib" "$work/host" "$work/late.so"
}

if [ ! -e "$lib" ]; then
    echo "Bail out! no $lib"
    exit 1
fi
if [ -n "${JE_PREFIX:-}${JE_SANITIZER:-}" ]; then
    echo "1..0 # SKIP this build does not replace the operators"
    exit 0
fi
operators "g++ -O2" "$gxx" -O2
operators "clang++" "$clangxx" -O2 -fsized-deallocation
operators "clang++ libc++" "$clangxx" -stdlib=libc++ -fsized-deallocation
operators "g++ static libstdc++" "$gxx" -O2 -static-libstdc++
operators "g++ static libstdc++, libgcc" "$gxx" -static-libstdc++ \
    -static-libgcc
if can_build "$gxx"; then
    operators "g++ -O0" "$gxx" -O0
    infallible
fi
c_programs
echo "1..$count"
