#!/bin/bash
#
# What: `make fuzz`: builds each fuzz target with clang's libFuzzer and its
# address and undefined behaviour sanitizers, in a build tree of its own, and
# runs one after the other for T seconds. A target with profiles shares them
# out among these, some seconds each at least.
#
#   run.sh SOURCE-DIRECTORY BUILD-DIRECTORY TARGET...
#
# In the environment: T; FUZZ_CC, a clang other than the one found by its name.
#
# Invariants: (I1) the source tree stays as it is: what is new goes to
# BUILD-DIRECTORY/new/TARGET, what fails to BUILD-DIRECTORY/failed/TARGET;
# (I2) a failure ends its target's run, not the others'.
#
# Locking: none.
set -u
source=$1
build=$2
shift 2
seconds=${T:-10}
clang=${FUZZ_CC:-clang}
# Every run reads the whole corpus before it looks for more.
least=3

if ! printf 'int LLVMFuzzerTestOneInput(const char *d, long n);\n%s\n' \
    'int LLVMFuzzerTestOneInput(const char *d, long n) { return !d && n; }' |
    "$clang" -fsanitize=fuzzer -x c - -o /dev/null 2>/dev/null; then
    echo "make fuzz: '$clang' cannot link with -fsanitize=fuzzer. Install" \
        "clang with its runtime libraries (Debian: clang and" \
        "libclang-rt-dev or libclang-common-VERSION-dev), or name one that" \
        "can: FUZZ_CC=clang-VERSION. 'make fuzz-replay' makes inputs up" \
        "without it." >&2
    exit 1
fi

mkdir -p "$build" || exit 1
cd "$build" || exit 1
build=$PWD
if [ ! -f Makefile ]; then
    "$source/configure" --quiet --with-jemalloc-prefix=je_ --disable-cxx \
        --disable-static --enable-debug --enable-asan --enable-ubsan \
        CC="$clang" CFLAGS='-O1 -g -fsanitize=fuzzer-no-link' \
        CPPFLAGS=-DJE_LIBFUZZER || exit 1
fi
# First without LIBS, which configure would take for its own.
make Makefile && make "$@" LIBS='-fsanitize=fuzzer -lpthread -ldl' || exit 1

export ASAN_OPTIONS=detect_leaks=0${ASAN_OPTIONS:+:$ASAN_OPTIONS}
export UBSAN_OPTIONS=print_stacktrace=1
failures=0

# run NAME SECONDS: the program of that name, from a directory of its own.
run() {
    local corpus=$source/test/fuzz/corpus/$1 failed=$build/failed/$1
    mkdir -p "$build/new/$1" "$failed"
    echo "== test/fuzz/$1 ${API_PROFILE:+$API_PROFILE }($2 s)"
    if ! (cd "$failed" && "$build/test/fuzz/$1" -max_total_time="$2" \
        -print_final_stats=1 -artifact_prefix="$failed/" \
        "$build/new/$1" "$corpus") >"$build/log.$1" 2>&1; then
        tail -n 40 "$build/log.$1"
        echo "== test/fuzz/$1: failed; the input is in $failed"
        failures=$((failures + 1))
    else
        grep -E 'DONE|number_of_executed' "$build/log.$1"
    fi
}

for target; do
    name=${target##*/}
    profiles=$("$build/$target" list 2>/dev/null) || profiles=
    count=$(wc -w <<<"$profiles")
    if [ "$count" = 0 ]; then
        run "$name" "$seconds"
        continue
    fi
    share=$((seconds / count > least ? seconds / count : least))
    for API_PROFILE in $profiles; do
        export API_PROFILE
        run "$name" "$share"
    done
    unset API_PROFILE
done
exit $((failures > 0))
