#!/bin/bash
#
# What: TAP test of programs that know nothing of this project: built with the
# header, the library, the bindings that a distribution has, run with ours.
#
# Invariants: nothing is written outside a temporary directory; what is not
# installed is skipped.
#
# Locking: none.
set -eu

if [ -n "${JE_PREFIX:-}${JE_SANITIZER:-}" ]; then
    echo "1..0 # SKIP this build does not replace malloc"
    exit 0
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
header=/usr/include/jemalloc/jemalloc.h
crates=/usr/share/cargo/registry
version=$(sed -n 's/^#define JEMALLOC_VERSION  *"\(.*\)"$/\1/p' \
    "$JE_BUILDDIR/include/jemalloc/jemalloc.h")
libdir=$(dirname "$JE_LIBRARY")
source=$JE_SRCDIR/test/integration/foreign

# Other words than theirs for the same machine: -m32 and the like.
# shellcheck disable=SC2206
cc=(${CC:-cc})
theirs=$("${cc[@]}" -print-file-name=libjemalloc.so.2)

# report NUMBER NAME: the verdict on `verdict`, with what was said if not ok.
report() {
    if [ "$verdict" = ok ]; then
        echo "ok $1 - $2"
    else
        sed 's/^/# /' "$work/out" | head -20
        echo "not ok $1 - $2"
    fi
}

c_program() {
    "${cc[@]}" -fno-builtin -I/usr/include "$source.c" "$theirs" \
        -o "$work/foreign" &&
        LD_LIBRARY_PATH=$libdir "$work/foreign" "$version"
}

# The compiler puts libc in front of what it is told to link: preloaded.
rust_program() {
    local crate
    cd "$work"
    crate=$(echo "$crates"/libc-0*/src/lib.rs)
    rustc --cap-lints allow --cfg libc_priv_mod_use --cfg libc_core_cvoid \
        --crate-type rlib \
        --crate-name libc -C metadata=foreign -C extra-filename=-foreign \
        "$crate" &&
        crate=$(echo "$crates"/jemalloc-sys-*/src/lib.rs) &&
        rustc --cap-lints allow --crate-type rlib --crate-name jemalloc_sys \
            --extern libc=liblibc-foreign.rlib "$crate" &&
        rustc -L dependency=. \
            --extern jemalloc_sys=libjemalloc_sys.rlib \
            -C link-arg=-Wl,--no-as-needed -C link-arg="$JE_LIBRARY" \
            "$source.rs" -o foreign_rs &&
        LD_PRELOAD=$JE_LIBRARY ./foreign_rs "$version"
}

echo "1..2"
if [ ! -e $header ] || [ ! -e "$theirs" ]; then
    echo "ok 1 - the header of another library # SKIP no libjemalloc-dev"
else
    verdict=failed
    c_program >"$work/out" 2>&1 && verdict=ok
    report 1 "the header of another library"
fi
if ! command -v rustc >/dev/null || ! ls -d $crates/jemalloc-sys-* \
    >/dev/null 2>&1; then
    echo "ok 2 - bindings for Rust # SKIP no rustc or librust-jemalloc-sys-dev"
else
    verdict=failed
    (rust_program) >"$work/out" 2>&1 && verdict=ok
    report 2 "bindings for Rust"
fi
