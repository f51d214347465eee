#!/usr/bin/env bash
# What: proves that `make install` puts a library there that people can use:
# suffix, prefix, mangling, DESTDIR, pkg-config, C++, static linking both
# ways. Each case is a small program that is compiled from the installed
# files alone and run.
#
# Invariants: everything happens in a scratch directory, which goes at the
# end; TAP on stdout.
set -u
unset MAKEFLAGS MFLAGS MAKEOVERRIDES
[ -z "${JE_SANITIZER:-}" ] || { echo "1..0 # SKIP sanitizer build"; exit 0; }
[ -z "${JE_PREFIX:-}" ] || { echo "1..0 # SKIP prefixed build"; exit 0; }
source_dir=${JE_SRCDIR:?run it with make check}
build_dir=${JE_BUILDDIR:?run it with make check}
cc=${CC:-gcc}
scratch=$(mktemp -d "${TMPDIR:-/tmp}/install-test.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
count=0

report() {
    count=$((count + 1))
    if [ "$1" = 0 ]; then
        echo "ok $count - $2"
    else
        sed 's/^/# /' "$scratch/log" 2>/dev/null | tail -n 20
        echo "not ok $count - $2"
    fi
}

# try NAME COMMAND...: one case.
try() {
    local name=$1
    shift
    "$@" >"$scratch/log" 2>&1
    report $? "$name"
}

# An answer from the library proves who serves malloc.
cat >"$scratch/program.c" <<'TEXT'
#include <jemalloc/jemalloc@SUFFIX@.h>
#include <stdio.h>
#include <string.h>
int main(void)
{
    const char *version = NULL;
    size_t length = sizeof(version);
    char *p = @P@malloc(100);
    if (p == NULL || @P@mallctl("version", &version, &length, NULL, 0) != 0) {
        return 1;
    }
    memset(p, 7, @P@malloc_usable_size(p));
    @P@free(p);
    puts(version);
    return strcmp(version, JEMALLOC_VERSION) != 0;
}
TEXT

# program FILE SUFFIX PREFIX
program() {
    sed "s/@SUFFIX@/$2/; s/@P@/$3/g" "$scratch/program.c" >"$1"
}

# The build under test, installed below DESTDIR and moved to where it says.
dest=$scratch/dest
prefix=$(sed -n 's/^prefix=//p' "$build_dir/jemalloc.pc")
root=$dest$prefix
install_here() {
    make -C "$build_dir" install DESTDIR="$dest"
}
try "install into DESTDIR" install_here
missing=
for f in include/jemalloc/jemalloc.h lib/libjemalloc.so.2 lib/libjemalloc.so \
    lib/libjemalloc.a lib/libjemalloc_pic.a lib/pkgconfig/jemalloc.pc \
    bin/jemalloc-config bin/jemalloc.sh share/man/man3/jemalloc.3; do
    [ -s "$root/$f" ] || missing="$missing $f"
done
echo "missing:$missing" >"$scratch/log"
report "$([ -z "$missing" ]; echo $?)" "every file is installed"
report "$([ "$(readlink "$root/lib/libjemalloc.so")" = libjemalloc.so.2 ]
    echo $?)" "the link is relative"

pkg_config_case() {
    program "$scratch/a.c" "" ""
    # shellcheck disable=SC2046 # flags are words
    "$cc" -o "$scratch/a" "$scratch/a.c" $(PKG_CONFIG_PATH=$root/lib/pkgconfig \
        pkg-config --define-prefix --cflags --libs jemalloc) \
        -Wl,-rpath,"$root/lib" &&
        "$scratch/a"
}
if command -v pkg-config >/dev/null; then
    try "compile with pkg-config, run" pkg_config_case
else
    report 0 "compile with pkg-config # SKIP no pkg-config"
fi

static_case() {
    program "$scratch/s.c" "" ""
    "$cc" -o "$scratch/s" "$scratch/s.c" -I"$root/include" \
        "$root/lib/libjemalloc.a" -pthread && "$scratch/s" &&
        ! readelf -d "$scratch/s" | grep libjemalloc
}
try "link libjemalloc.a, run" static_case

# Embedded: the shared object serves its own program.
embedded_case() {
    program "$scratch/e.c" "" ""
    sed -i 's/int main(void)/int embedded(void); int embedded(void)/' \
        "$scratch/e.c"
    echo 'int embedded(void); int main(void) { return embedded(); }' \
        >"$scratch/main.c"
    "$cc" -fPIC -shared -o "$scratch/libe.so" "$scratch/e.c" \
        -I"$root/include" "$root/lib/libjemalloc_pic.a" -pthread &&
        "$cc" -o "$scratch/e" "$scratch/main.c" -L"$scratch" -le \
            -Wl,-rpath,"$scratch" && "$scratch/e"
}
try "embed libjemalloc_pic.a in a shared object, run" embedded_case

cxx_case() {
    local compiler std
    for compiler in g++ clang++; do
        command -v "$compiler" >/dev/null || continue
        for std in c++11 c++17; do
            printf '#include <jemalloc/jemalloc.h>\n#include <cstdlib>\nint main() { std::free(mallocx(8, MALLOCX_ALIGN(64))); }\n' \
                >"$scratch/h.cc"
            "$compiler" -std=$std -Wall -Wextra -Werror -o "$scratch/h" \
                "$scratch/h.cc" -I"$root/include" -L"$root/lib" -ljemalloc \
                -Wl,-rpath,"$root/lib" && "$scratch/h" || return 1
        done
    done
}
if command -v g++ >/dev/null || command -v clang++ >/dev/null; then
    try "the header in C++" cxx_case
else
    report 0 "the header in C++ # SKIP no C++ compiler"
fi

config_case() {
    local tool=$root/bin/jemalloc-config
    [ "$("$tool" --version)" = "$(sed -n 's/.*JEMALLOC_VERSION  *"\(.*\)"/\1/p' \
        "$root/include/jemalloc/jemalloc.h")" ] &&
        [ "$("$tool" --revision)" = 2 ] &&
        [ "$("$tool" --libdir)" = "$prefix/lib" ] &&
        "$tool" --help >/dev/null && ! "$tool" --nonsense >/dev/null &&
        ! "$tool" >/dev/null
}
try "jemalloc-config answers" config_case

uninstall_case() {
    make -C "$build_dir" uninstall DESTDIR="$dest" &&
        [ -z "$(find "$dest" ! -type d)" ]
}
try "uninstall leaves no file" uninstall_case

# A second build, with names of its own.
mkdir "$scratch/build"
second_build() {
    cd "$scratch/build" &&
        "$source_dir/configure" --prefix="$scratch/own" \
            --with-install-suffix=_own --with-jemalloc-prefix=je_ \
            --with-mangling=mallocx:grab --enable-prof --with-lg-page=16 \
            --with-rpath="$scratch/own/lib" CC="$cc" CFLAGS=-O1 &&
        make -j2 install
}
second() {
    (second_build)
}
try "configure with suffix, prefix, mangling; install" second
report "$(grep -q 'prof:true' "$scratch/log" && grep -q 'run time' \
    "$scratch/log"; echo $?)" "options that moved say where to"

own_case() {
    program "$scratch/o.c" _own je_
    sed -i 's/je_malloc(100)/grab(100, 0)/; 1i #define JEMALLOC_NO_DEMANGLE' \
        "$scratch/o.c"
    sed -i 's/^int main/void *grab(size_t, int);\n&/' "$scratch/o.c"
    "$cc" -o "$scratch/o" "$scratch/o.c" -I"$scratch/own/include" \
        -L"$scratch/own/lib" -ljemalloc_own -Wl,-rpath,"$scratch/own/lib" &&
        "$scratch/o" &&
        readelf -d "$scratch/own/lib/libjemalloc_own.so.2" |
        grep -q 'SONAME.*\[libjemalloc_own.so.2\]'
}
try "link the one with names of its own, run" own_case
echo "1..$count"
