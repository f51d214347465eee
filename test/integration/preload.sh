#!/bin/bash
#
# What: TAP test of the ways into a program: preloading, dlopen, linking
# without and with options in the program, static linking.
#
# Invariants: nothing is written outside a temporary directory.
#
# Locking: none.
set -eu

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
count=0
libdir=$(dirname "$JE_LIBRARY")
cc="${CC:-cc} -O1"

if [ -n "${JE_PREFIX:-}${JE_SANITIZER:-}" ]; then
    echo "1..0 # SKIP this build does not replace malloc"
    exit 0
fi

# shellcheck source=../platforms/with.sh
. "$JE_SRCDIR/test/platforms/with.sh"

# skip NAME REASON
skip() {
    count=$((count + 1))
    echo "ok $count - $1 # SKIP $2"
}

# check NAME COMMAND...
check() {
    local name=$1 status=0
    shift
    count=$((count + 1))
    "$@" >"$work/out" 2>&1 || status=$?
    if [ $status -eq 0 ]; then
        echo "ok $count - $name"
    else
        echo "# status $status"
        sed 's/^/# /' "$work/out" | head -20
        echo "not ok $count - $name"
    fi
}

# prints TEXT COMMAND...: exactly that output.
prints() {
    local expected=$1 got
    shift
    got=$("$@" 2>&1)
    echo "expected '$expected', got '$got'"
    [ "$got" = "$expected" ]
}

cat >"$work/who.c" <<'END'
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
__attribute__((weak)) int mallctl(
    const char *, void *, size_t *, void *, size_t);
const char *malloc_conf = "narenas:5";
int main(int argc, char **argv)
{
    unsigned narenas = 0;
    size_t length = sizeof(narenas);
    char *copy = strdup("text"), *line = NULL;
    Dl_info info;
    if (asprintf(&line, "%d %s", argc, argv[0]) < 0 || copy == NULL) {
        return 2;
    }
    free(copy);
    free(line);
    if (mallctl == NULL) {
        puts("no mallctl");
        return 0;
    }
    mallctl("opt.narenas", &narenas, &length, NULL, 0);
    printf("%u %d\n", narenas, dladdr((void *)malloc, &info) != 0
        && strstr(info.dli_fname, "jemalloc") != NULL);
    return 0;
}
END
$cc "$work/who.c" -o "$work/who" -ldl
$cc -rdynamic "$work/who.c" -o "$work/who_open" -ldl
check "without the library" prints "no mallctl" with "$work/who"
check "preloaded, options invisible" with MALLOC_CONF=narenas:7 \
    LD_PRELOAD="$JE_LIBRARY" "$work/who"
check "preloaded, environment read" prints "7 1" \
    with MALLOC_CONF=narenas:7 LD_PRELOAD="$JE_LIBRARY" "$work/who"
check "preloaded, malloc_conf of a program linked with -rdynamic" \
    prints "5 1" with LD_PRELOAD="$JE_LIBRARY" "$work/who_open"
$cc "$work/who.c" -o "$work/linked" -L"$libdir" -ljemalloc \
    -Wl,-rpath,"$libdir" -ldl
check "linked, malloc_conf of the program" prints "5 1" with "$work/linked"

cat >"$work/open.c" <<'END'
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
static void *(*theirs)(size_t, int);
static void (*give_back)(void *, int);
static void *run(void *arg)
{
    for (size_t i = 1; i < 300000; i += 1 + i / 3) {
        char *p = theirs(i, 0);
        if (p == NULL) {
            return (void *)1;
        }
        memset(p, 1, i);
        give_back(p, 0);
    }
    return arg;
}
int main(int argc, char **argv)
{
    pthread_t threads[4];
    void *bad = NULL, *lib = dlopen(argv[argc - 1], RTLD_NOW | RTLD_LOCAL);
    if (lib == NULL) {
        puts(dlerror());
        return 1;
    }
    theirs = (void *(*)(size_t, int))dlsym(lib, "mallocx");
    give_back = (void (*)(void *, int))dlsym(lib, "dallocx");
    if (run(NULL) != NULL) {
        return 2;
    }
    for (int i = 0; i < 4; i++) {
        pthread_create(&threads[i], NULL, run, NULL);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], &bad);
        if (bad != NULL) {
            return 3;
        }
    }
    free(malloc(100));
    return 0;
}
END
$cc "$work/open.c" -o "$work/open" -ldl -pthread
if readelf -d "$JE_LIBRARY" | grep -q 'NEEDED.*\[libc\.so\]' &&
    readelf -d "$JE_LIBRARY" | grep -q STATIC_TLS; then
    skip "dlopen, used from several threads" "musl opens libraries built \
with --disable-initial-exec-tls only"
else
    check "dlopen, used from several threads" with "$work/open" "$JE_LIBRARY"
fi

for program in "ls -lR /etc" "bash -c 'for i in 1 2 3; do echo \$(seq 1000 |
    sort -n | tail -1); done'" "python3 -c 'print(sum(len(str(i)) for i in
    range(100000)))'" "perl -e 'my %h; \$h{\$_} = \"x\" x (\$_ % 99) for
    1..50000; print scalar keys %h'"; do
    command -v "${program%% *}" >/dev/null || continue
    if [ -n "${JE_FOREIGN:-}" ]; then
        skip "same output preloaded: ${program%% *}" "$JE_FOREIGN"
        continue
    fi
    expected=$(bash -c "$program" 2>/dev/null || true)
    check "same output preloaded: ${program%% *}" prints "$expected" \
        env LD_PRELOAD="$JE_LIBRARY" bash -c "$program 2>/dev/null || true"
done

if [ -e "$libdir/libjemalloc.a" ]; then
    cat >"$work/static.c" <<'END'
#include <jemalloc/jemalloc.h>
#include <stdio.h>
const char *malloc_conf = "narenas:6";
int main(void)
{
    unsigned narenas = 0;
    size_t length = sizeof(narenas);
    void *p = calloc(1000, 1000);
    mallctl("opt.narenas", &narenas, &length, NULL, 0);
    printf("%u %d\n", narenas, p != NULL && sallocx(p, 0) >= 1000000);
    free(p);
    return 0;
}
END
    check "links with the static library" $cc -I"$JE_BUILDDIR/include" \
        "$work/static.c" "$libdir/libjemalloc.a" -o "$work/half" -pthread -lm
    check "runs with the static library" prints "6 1" with "$work/half"
    check "links wholly static" $cc -I"$JE_BUILDDIR/include" -static \
        "$work/static.c" "$libdir/libjemalloc.a" -o "$work/static" \
        -pthread -lm
    check "runs wholly static" prints "6 1" with "$work/static"
    # A root without /proc, /sys, /dev and /etc.
    if [ -z "${JE_EMULATOR:-}" ] && unshare -Ur true 2>/dev/null; then
        mkdir "$work/root"
        cp "$work/static" "$work/root"
        check "runs wholly static in an empty root" prints "6 1" \
            unshare -Ur chroot "$work/root" /static
    else
        skip "runs wholly static in an empty root" "no user namespaces here"
    fi
fi

needed=$(readelf -d "$JE_LIBRARY" | sed -n 's/.*NEEDED.*\[\(.*\)\]/\1/p')
case $needed in
libc.so) expected=libc.so ;; # musl's
*) expected=libc.so.6 ;;
esac
check "needs libc only" prints "$expected" echo "$needed"
echo "1..$count"
