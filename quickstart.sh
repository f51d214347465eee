#!/usr/bin/env bash
# What: from a fresh clone to a program that runs on this allocator, in one
# command. Installs what the build needs, builds in .build/ (ignored by git),
# and runs; every step is skipped when it is already done.
#
# Invariants: (I1) all messages go to stderr, so that the output of the
# program that is run stays its own; (I2) nothing outside .build/ and the
# files that autogen.sh makes is written in the tree; (I3) a failure names
# what failed and what to do.
#
# Locking: one quickstart at a time per tree (.build/lock).
set -euo pipefail

top=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
build=$top/.build
library=$build/lib/libjemalloc.so.2
log=$build/quickstart.log

say() {
    echo "quickstart: $*" >&2
}

die() {
    say "$*"
    exit 1
}

usage() {
    cat <<'TEXT'
Usage: ./quickstart.sh run COMMAND [ARGUMENT]...
           build if needed, then run COMMAND on this allocator
       ./quickstart.sh check
           build if needed, then run the tests (about two minutes)
       ./quickstart.sh build
           install what the build needs, and build
       ./quickstart.sh help
           this text

Everything is built in .build/ below the source; nothing is installed outside
of it but packages that the build needs (apt-get, as root or through sudo).
Options of the allocator go in the environment, for example:
       MALLOC_CONF=stats_print:true ./quickstart.sh run bash -c :
TEXT
}

# Sets `as_root` to what must stand before a command that installs.
choose_root() {
    as_root=()
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null 2>&1 ||
            die "need root to install packages and there is no sudo; as root:
  apt-get update && apt-get install -y $*"
        as_root=(sudo)
    fi
}

# apt COMMAND...: quietly; the log has its output.
apt() {
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q "$@" \
        </dev/null >>"$log" 2>&1 || {
        grep -E '^E: ' "$log" | tail -n 5 >&2
        return 1
    }
}

install_packages() {
    command -v apt-get >/dev/null 2>&1 ||
        die "not found: $*. There is no apt-get here; install these with
  your system's package manager, then try again"
    choose_root "$@"
    mkdir -p "$build"
    : >"$log"
    say "installing: $*"
    apt update || die "apt-get update failed (whole output: $log)"
    apt install -y --no-install-recommends "$@" ||
        die "apt-get could not install: $* (whole output: $log)"
}

# Fills `wanted` with the packages whose programs are not there.
find_missing() {
    local tool package
    wanted=()
    while read -r tool package; do
        command -v "$tool" >/dev/null 2>&1 || wanted+=("$package")
    done
}

libc_headers_exist() {
    echo '#include <stdlib.h>' | "${CC:-gcc}" -E - >/dev/null 2>&1
}

ensure_build_tools() {
    local wanted
    find_missing <<'LIST'
gcc gcc
make make
autoconf autoconf
automake automake
LIST
    libc_headers_exist || wanted+=(libc6-dev)
    [ ${#wanted[@]} -eq 0 ] || install_packages "${wanted[@]}"
}

# Adds the packages whose headers are not there; without them jeprof is not
# built, which no other test needs.
find_missing_headers() {
    local header package
    while read -r header package; do
        echo "#include <$header>" | "${CC:-gcc}" -E - >/dev/null 2>&1 ||
            wanted+=("$package")
    done
}

ensure_test_tools() {
    local wanted
    find_missing <<'LIST'
g++ g++
python3 python3
pkg-config pkg-config
protoc-c protobuf-c-compiler
dot graphviz
LIST
    find_missing_headers <<'LIST'
elfutils/libdw.h libdw-dev
libiberty/demangle.h libiberty-dev
protobuf-c/protobuf-c.h libprotobuf-c-dev
zlib.h zlib1g-dev
LIST
    if [ ${#wanted[@]} -gt 0 ]; then
        install_packages "${wanted[@]}"
        # What configure found without them is out of date.
        rm -f "$build/Makefile"
    fi
}

# step TEXT COMMAND...: runs quietly, and shows the end of the log if it fails;
# speaks of it only as long as there is nothing to run with.
step() {
    local text=$1
    shift
    [ -e "$library" ] || say "$text"
    if ! "$@" >"$log" 2>&1 </dev/null; then
        tail -n 30 "$log" >&2
        die "failed: $text (whole output: $log)"
    fi
}

make_configure() {
    (cd "$top" && NOCONFIGURE=1 ./autogen.sh)
}

configure_tree() {
    (cd "$build" && "$top/configure" --prefix=/usr/local)
}

make_libraries() {
    make -C "$build" -j"$(nproc)" build_lib_shared
}

build_library() {
    mkdir -p "$build"
    if command -v flock >/dev/null 2>&1; then
        exec 9>"$build/lock"
        flock -n 9 || { say "waiting for another quickstart in this tree"; flock 9; }
    fi
    ensure_build_tools
    if [ ! -x "$top/configure" ] || [ ! -f "$top/Makefile.in" ]; then
        step "making configure" make_configure
    fi
    if [ ! -f "$build/Makefile" ]; then
        step "configuring in .build/" configure_tree
    fi
    # make finds out itself whether anything changed; only a first build, or
    # one that fails, is worth a word.
    local text="bringing the build up to date"
    [ -e "$library" ] || text="building (a minute or so the first time)"
    step "$text" make_libraries
    exec 9>&-
}

# The package of the same name, or of the name without a version at its end.
ensure_command() {
    local name=$1
    command -v "$name" >/dev/null 2>&1 && return
    case $name in
    */*) die "no such program: $name" ;;
    esac
    say "no program called $name here; trying the Debian package of that name"
    command -v apt-get >/dev/null 2>&1 ||
        die "no program called $name, and no apt-get to install it with"
    install_packages "$name"
    command -v "$name" >/dev/null 2>&1 ||
        die "package $name holds no program called $name; install the right
  package yourself, then try again"
}

run_command() {
    [ $# -gt 0 ] || { usage >&2; die "run: no COMMAND given"; }
    build_library
    ensure_command "$1"
    say "running on $library: $*"
    LD_PRELOAD=$library${LD_PRELOAD:+:$LD_PRELOAD} exec "$@"
}

run_check() {
    ensure_test_tools
    build_library
    say "running the tests"
    exec make -C "$build" -j"$(nproc)" check
}

case ${1:-help} in
run)
    shift
    run_command "$@"
    ;;
check) run_check ;;
build) build_library && say "built $library" ;;
help | -h | --help) usage ;;
*)
    usage >&2
    die "unknown command: $1"
    ;;
esac
