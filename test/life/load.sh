#!/bin/bash
#
# What: TAP test of the ways in which this library comes into a process, and
# of what lives there beside it: opened after many libraries with
# thread-locals, or when no thread key is left, opened and closed a hundred times, eight copies of it at
# once, in other namespaces, next to libraries that see the C library first,
# auditors of the dynamic linker, and programs with a malloc of their own.
#
# Invariants: nothing is written outside a temporary directory; what the
# machine or its C library lacks is a skip, never a pass.
#
# Locking: none.
set -eu

# shellcheck source=../platforms/with.sh
. "$JE_SRCDIR/test/platforms/with.sh"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
count=0
prefix=${JE_PREFIX:-}
libdir=$(dirname "$JE_LIBRARY")
cc="${CC:-cc} -O1 -g -D_GNU_SOURCE -fno-builtin"
is_glibc=yes

if [ -n "${JE_SANITIZER:-}" ]; then
    echo "1..0 # SKIP a sanitizer must come first into the process"
    exit 0
fi
cat >"$work/which.c" <<'END'
#include <stdlib.h>
#ifndef __GLIBC__
#error another C library
#endif
END
$cc -E "$work/which.c" >/dev/null 2>&1 || is_glibc=no

# report NAME STATUS: status 0 = ok, 77 = skip.
report() {
    count=$((count + 1))
    case $2 in
    0) echo "ok $count - $1" ;;
    77) echo "ok $count - $1 # SKIP not available here" ;;
    *) echo "not ok $count - $1" ;;
    esac
}

# check NAME COMMAND...: ends well within a minute.
check() {
    local name=$1 status=0
    shift
    [ "$1" != env ] || shift
    within 60 "$@" >"$work/out" 2>&1 || status=$?
    if [ $status -ne 0 ]; then
        echo "# status $status"
        sed 's/^/# /' "$work/out" | head -20
    fi
    report "$name" $status
}

# check_glibc, check_plain: only with that C library, only without a prefix.
check_glibc() {
    if [ $is_glibc = yes ]; then
        check "$@"
    else
        report "$1" 77
    fi
}
check_plain() {
    if [ -z "$prefix" ]; then
        check "$@"
    else
        report "$1" 77
    fi
}

# ---- what the programs below share ------------------------------------------

cat >"$work/use.h" <<'END'
#include <dlfcn.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#define TEXT_OF(x) #x
#define TEXT(x)    TEXT_OF(x)
typedef struct {
    void *handle;
    void *(*malloc)(size_t);
    void *(*realloc)(void *, size_t);
    void (*free)(void *);
    int (*mallctl)(const char *, void *, size_t *, void *, size_t);
} lib_t;
static void *find(void *handle, const char *name)
{
    char full[100];
    snprintf(full, sizeof(full), "%s%s", TEXT(PREFIX), name);
    void *found = dlsym(handle, full);
    if (found == NULL) {
        printf("%s: %s\n", full, dlerror());
        exit(1);
    }
    return found;
}
static lib_t adopt(void *handle)
{
    lib_t lib = {.handle = handle};
    if (handle == NULL) {
        puts(dlerror());
        exit(1);
    }
    *(void **)&lib.malloc = find(handle, "malloc");
    *(void **)&lib.realloc = find(handle, "realloc");
    *(void **)&lib.free = find(handle, "free");
    *(void **)&lib.mallctl = find(handle, "mallctl");
    return lib;
}
/* True if the library serves every kind of size. */
static int works(const lib_t *lib)
{
    static const size_t sizes[] = {1, 64, 3000, 20000, 100000, 3 << 20};
    for (int i = 0; i < 60; i++) {
        size_t size = sizes[i % 6] + (size_t)i;
        char *p = lib->malloc(size);
        if (p == NULL) {
            return 0;
        }
        memset(p, i, size);
        p = lib->realloc(p, 2 * size);
        if (p == NULL || p[size - 1] != (char)i) {
            return 0;
        }
        lib->free(p);
    }
    return 1;
}
static void *run(void *lib)
{
    return works(lib) ? lib : NULL;
}
static void *start_and_join(lib_t *lib)
{
    pthread_t threads[3];
    void *result = NULL;
    int bad = 0;
    for (int i = 0; i < 3; i++) {
        pthread_create(&threads[i], NULL, run, lib);
    }
    for (int i = 0; i < 3; i++) {
        pthread_join(threads[i], &result);
        bad += result != lib;
    }
    return bad ? NULL : lib;
}
END
cc="$cc -DPREFIX=$prefix -I$work"

# ---- after many libraries with thread-locals --------------------------------

for i in $(seq 40); do
    cat >"$work/tls.c" <<END
__thread char block_$i[200] = "$i";
char *address_$i(void) { return block_$i; }
END
    $cc -shared -fPIC "$work/tls.c" -o "$work/libtls$i.so"
done
cat >"$work/after.c" <<'END'
#include "use.h"
static char *(*addresses[41])(void);
static void *touch(void *opaque)
{
    for (int i = 1; i <= 40; i++) {
        if (atoi(addresses[i]()) != i) {
            return NULL;
        }
    }
    return run(opaque);
}
int main(int argc, char **argv)
{
    char text[4096];
    pthread_t thread;
    void *result;
    for (int i = 1; i <= 40; i++) {
        snprintf(text, sizeof(text), "%s/libtls%d.so", argv[2], i);
        void *tls = dlopen(text, RTLD_NOW);
        snprintf(text, sizeof(text), "address_%d", i);
        *(void **)&addresses[i] = dlsym(tls, text);
    }
    lib_t lib = adopt(dlopen(argv[1], RTLD_NOW | RTLD_GLOBAL));
    if (!touch(&lib) || !start_and_join(&lib) || argc != 3) {
        return 2;
    }
    pthread_create(&thread, NULL, touch, &lib);
    pthread_join(thread, &result);
    return result == &lib ? 0 : 3;
}
END
$cc "$work/after.c" -o "$work/after" -ldl -pthread
check "opened after 40 libraries with thread-locals" \
    "$work/after" "$JE_LIBRARY" "$work"

# ---- after all thread keys were taken -----------------------------------------

cat >"$work/keys.c" <<'END'
#include "use.h"
#include <limits.h>
static pthread_key_t last;
static lib_t lib;
/* Allocates when everybody else at the end of the thread has done so. */
static void at_the_end(void *arg)
{
    static _Thread_local int rounds;
    if (!works(&lib)) {
        abort();
    }
    if (rounds++ < 3) {
        pthread_setspecific(last, arg);
    }
}
static void *use_and_end(void *arg)
{
    pthread_setspecific(last, arg);
    return works(&lib) ? arg : NULL;
}
static size_t cached(void)
{
    size_t bytes = 0, length = sizeof(bytes);
    uint64_t epoch = 1;
    lib.mallctl("epoch", NULL, NULL, &epoch, sizeof(epoch));
    lib.mallctl("stats.arenas.4096.tcache_bytes", &bytes, &length, NULL, 0);
    return bytes;
}
/* Blocks of one thread, freed by another. */
static void *blocks[100];
static void *give(void *arg)
{
    for (size_t i = 0; i < 100; i++) {
        blocks[i] = lib.malloc(100 * i);
        memset(blocks[i], 1, 100 * i);
    }
    return use_and_end(arg);
}
int main(int argc, char **argv)
{
    pthread_t thread;
    pthread_key_t key;
    size_t before = 0;
    unsigned taken = 0;
    pthread_key_create(&last, at_the_end);
    while (pthread_key_create(&key, NULL) == 0) {
        taken++;
    }
    if (taken < 100) {
        return 2;
    }
    lib = adopt(dlopen(argv[argc - 1], RTLD_NOW | RTLD_GLOBAL));
    if (!works(&lib)) {
        return 3;
    }
    /* What threads that ended had cached does not add up. */
    for (int i = 0; i < 400; i++) {
        void *result;
        pthread_create(&thread, NULL, give, argv);
        pthread_join(thread, &result);
        if (result != argv) {
            return 4;
        }
        for (int k = 0; k < 100; k++) {
            lib.free(blocks[k]);
        }
        before = i == 10 ? cached() : before;
    }
    if (cached() > before + (5 << 20)) {
        printf("cached: %zu, %zu\n", before, cached());
        return 5;
    }
    return works(&lib) ? 0 : 6;
}
END
$cc "$work/keys.c" -o "$work/keys" -ldl -pthread
check "opened after all thread keys were taken" "$work/keys" "$JE_LIBRARY"

# ---- opened and closed a hundred times --------------------------------------

cat >"$work/rounds.c" <<'END'
#include "use.h"
#include <dirent.h>
#include <limits.h>
static pthread_barrier_t gate;
static lib_t lib;
/* Has a cache of the library, and keeps it for all rounds. */
static void *live(void *arg)
{
    works(&lib);
    pthread_barrier_wait(&gate);
    pthread_barrier_wait(&gate);
    return works(&lib) ? NULL : arg;
}
static int entries(const char *directory)
{
    int n = 0;
    DIR *dir = opendir(directory);
    while (dir != NULL && readdir(dir) != NULL) {
        n++;
    }
    closedir(dir);
    return n;
}
static int lines(const char *path)
{
    int n = 0;
    FILE *file = fopen(path, "r");
    for (int c; (c = getc(file)) != EOF;) {
        n += c == '\n';
    }
    fclose(file);
    return n;
}
static int free_keys(void)
{
    static pthread_key_t keys[PTHREAD_KEYS_MAX];
    int n = 0;
    while (n < PTHREAD_KEYS_MAX && pthread_key_create(&keys[n], NULL) == 0) {
        n++;
    }
    for (int i = 0; i < n; i++) {
        pthread_key_delete(keys[i]);
    }
    return n;
}
typedef struct {
    int fds, threads, maps, keys;
} counts_t;
static counts_t counts(void)
{
    return (counts_t){entries("/proc/self/fd"), entries("/proc/self/task"),
        lines("/proc/self/maps"), free_keys()};
}
int main(int argc, char **argv)
{
    pthread_t threads[4];
    void *bad = NULL;
    lib = adopt(dlopen(argv[argc - 1], RTLD_NOW));
    pthread_barrier_init(&gate, NULL, 5);
    for (int i = 0; i < 4; i++) {
        pthread_create(&threads[i], NULL, live, &lib);
    }
    pthread_barrier_wait(&gate);
    char *kept = lib.malloc(1000);
    strcpy(kept, "kept");
    for (int i = 0; i < 5; i++) {
        start_and_join(&lib);
    }
    dlclose(lib.handle);
    counts_t before = counts();
    for (int i = 0; i < 100; i++) {
        lib_t again = adopt(dlopen(argv[argc - 1], RTLD_NOW));
        if (!works(&again) || again.malloc != lib.malloc) {
            return 2;
        }
        if (i % 10 == 0 && start_and_join(&again) == NULL) {
            return 3;
        }
        dlclose(again.handle);
    }
    counts_t after = counts();
    /* A thread that was joined may still be on its way out. */
    for (int i = 0; i < 1000 && after.threads > before.threads; i++) {
        usleep(10000);
        after = counts();
    }
    printf("fds %d %d, threads %d %d, mappings %d %d, keys %d %d\n",
        before.fds, after.fds, before.threads, after.threads, before.maps,
        after.maps, before.keys, after.keys);
    if (strcmp(kept, "kept") != 0) {
        return 4;
    }
    lib.free(kept);
    pthread_barrier_wait(&gate);
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], &bad);
        if (bad != NULL) {
            return 5;
        }
    }
    /* Stacks of threads may join or part; a hundred rounds would show. */
    return before.fds != after.fds || before.threads < after.threads ||
           before.keys != after.keys || after.maps > before.maps + 50;
}
END
$cc "$work/rounds.c" -o "$work/rounds" -ldl -pthread
check "100 times opened and closed with live threads" \
    env MALLOC_CONF=background_thread:false \
    JE_MALLOC_CONF=background_thread:false "$work/rounds" "$JE_LIBRARY"

# ---- eight copies -----------------------------------------------------------

for i in 1 2 3 4 5 6 7 8; do
    cp "$JE_LIBRARY" "$work/copy$i.so"
done
# Four of them under names of their own inside, too: the name is replaced by
# one of the same length.
soname=$(basename "$JE_LIBRARY")
for i in 5 6 7 8; do
    LC_ALL=C sed -i "s/$soname/${soname%?????}$i${soname: -4}/g" \
        "$work/copy$i.so"
done
cat >"$work/copies.c" <<'END'
#include "use.h"
static void *cross[8][100];
static lib_t libs[8];
static void *give(void *opaque)
{
    long i = (long)opaque;
    for (int k = 0; k < 100; k++) {
        cross[i][k] = libs[i].malloc(10 + (size_t)k * 300);
        memset(cross[i][k], (int)i, 10);
    }
    return run(&libs[i]);
}
int main(int argc, char **argv)
{
    char path[4096];
    pthread_t threads[8];
    for (long i = 0; i < 8; i++) {
        snprintf(path, sizeof(path), "%s/copy%ld.so", argv[argc - 1], i + 1);
        void *handle = dlopen(path,
            (i % 2 ? RTLD_NOW : RTLD_LAZY) | (i < 4 ? RTLD_LOCAL : RTLD_GLOBAL)
#ifdef RTLD_DEEPBIND
            | (i % 3 ? RTLD_DEEPBIND : 0)
#endif
            );
        libs[i] = adopt(handle);
        for (long j = 0; j < i; j++) {
            if (libs[j].malloc == libs[i].malloc) {
                printf("copies %ld and %ld are the same\n", i, j);
                return 2;
            }
        }
    }
    for (long i = 0; i < 8; i++) {
        if (pthread_create(&threads[i], NULL, give, (void *)i) != 0) {
            return 3;
        }
    }
    for (long i = 0; i < 8; i++) {
        void *result;
        pthread_join(threads[i], &result);
        if (result == NULL || start_and_join(&libs[i]) == NULL) {
            return 4;
        }
    }
    for (int i = 0; i < 8; i++) {
        for (int k = 0; k < 100; k++) {
            if (*(char *)cross[i][k] != i) {
                return 5;
            }
            libs[i].free(cross[i][k]);
        }
    }
    return 0;
}
END
$cc "$work/copies.c" -o "$work/copies" -ldl -pthread
check "eight copies, each with several threads" "$work/copies" "$work"
check_plain "eight copies below a preloaded library" \
    env LD_PRELOAD="$JE_LIBRARY" "$work/copies" "$work"

# ---- other namespaces -------------------------------------------------------

cat >"$work/spaces.c" <<'END'
#include "use.h"
int main(int argc, char **argv)
{
    lib_t libs[4];
    (void)argc;
    for (int i = 0; i < 4; i++) {
        void *handle = dlmopen(LM_ID_NEWLM, argv[1], RTLD_NOW | RTLD_LOCAL);
        if (handle == NULL) {
            puts(dlerror());
            return i == 0 ? 1 : 0; /* namespaces share little static TLS */
        }
        libs[i] = adopt(handle);
        if (!works(&libs[i])) {
            return 2;
        }
    }
    lib_t ours = adopt(dlopen(argv[1], RTLD_NOW));
    return works(&ours) && works(&libs[0]) ? 0 : 3;
}
END
if $cc "$work/spaces.c" -o "$work/spaces" -ldl -pthread 2>/dev/null; then
    check_glibc "in namespaces of their own" "$work/spaces" "$JE_LIBRARY"
    check_plain "in namespaces, and preloaded" \
        env LD_PRELOAD="$JE_LIBRARY" "$work/spaces" "$JE_LIBRARY"
fi

# ---- libraries that see the C library first ---------------------------------

cat >"$work/deep.c" <<'END'
#include <stdlib.h>
#include <string.h>
char *deep_give(size_t size) { return malloc(size); }
char *deep_copy(const char *s) { return strdup(s); }
void *deep_grow(void *p, size_t size) { return realloc(p, size); }
void deep_take(void *p) { free(p); }
END
$cc -shared -fPIC "$work/deep.c" -o "$work/libdeep.so"
cat >"$work/deepest.c" <<'END'
#include "use.h"
#include <malloc.h>
static char *(*give)(size_t);
static char *(*copy)(const char *);
static void *(*grow)(void *, size_t);
static void (*take)(void *);
static void *both_ways(void *arg)
{
    for (size_t i = 0; i < 3000; i++) {
        char *p = give(1 + i * 77 % 300000), *q = copy("copied");
        p[0] = 'x';
        if (malloc_usable_size(p) < 1 + i * 77 % 300000) {
            return NULL;
        }
        /* Theirs, resized here, resized and freed there. */
        p = realloc(p, 100 + i * 91 % 200000);
        if (p[0] != 'x') {
            return NULL;
        }
        if (i % 2) {
            p = grow(p, 5000);
            take(p);
        } else {
            free(p);
        }
        free(q);
        free(malloc(i));
    }
    return arg;
}
int main(int argc, char **argv)
{
    pthread_t threads[3];
    void *result;
    void *deep = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND);
    *(void **)&give = dlsym(deep, "deep_give");
    *(void **)&copy = dlsym(deep, "deep_copy");
    *(void **)&grow = dlsym(deep, "deep_grow");
    *(void **)&take = dlsym(deep, "deep_take");
    for (int i = 0; i < 3; i++) {
        pthread_create(&threads[i], NULL, both_ways, argv);
    }
    for (int i = 0; i < 3; i++) {
        pthread_join(threads[i], &result);
        if (result == NULL) {
            return 2;
        }
    }
    return both_ways(argv) == NULL || argc != 2;
}
END
# An emulator does not tell where the C library's heap begins.
heap_is_hidden=${JE_EMULATOR:-}
if [ -z "$heap_is_hidden" ] && $cc "$work/deepest.c" -o "$work/deepest" -ldl -pthread 2>/dev/null; then
    check_plain "blocks of a library with RTLD_DEEPBIND, preloaded" \
        env LD_PRELOAD="$JE_LIBRARY" "$work/deepest" "$work/libdeep.so"
    if [ -z "$prefix" ]; then
        $cc "$work/deepest.c" -o "$work/deepest_linked" -L"$libdir" \
            -l:"$(basename "$JE_LIBRARY")" -Wl,-rpath,"$libdir" -ldl -pthread
    fi
    check_plain "blocks of a library with RTLD_DEEPBIND, linked" \
        "$work/deepest_linked" "$work/libdeep.so"
    check_plain "the same, and all of it filled with junk" env \
        MALLOC_CONF=junk:true "$work/deepest_linked" "$work/libdeep.so"
fi

# Blocks that were there before the library came.
cat >"$work/late.c" <<'END'
#include "use.h"
int main(int argc, char **argv)
{
    char *before[300];
    for (size_t i = 0; i < 300; i++) {
        before[i] = malloc(1 + i * i * 10);
        strcpy(before[i], "");
    }
    lib_t lib = adopt(dlopen(argv[argc - 1], RTLD_NOW | RTLD_GLOBAL));
    for (size_t i = 0; i < 300; i++) {
        if (i % 3 == 0) {
            before[i] = lib.realloc(before[i], 7000);
        }
        lib.free(before[i]);
    }
    return works(&lib) ? 0 : 2;
}
END
$cc "$work/late.c" -o "$work/late" -ldl -pthread
if [ -z "$heap_is_hidden" ]; then
    check_glibc "blocks from before the library was opened" \
        "$work/late" "$JE_LIBRARY"
else
    report "blocks from before the library was opened" 77
fi

# ---- auditors, and libraries that allocate when they start ------------------

cat >"$work/audit.c" <<'END'
#include <link.h>
#include <stdlib.h>
#include <string.h>
static void *kept[64];
static unsigned calls;
static void use(size_t size)
{
    free(kept[calls % 64]);
    kept[calls % 64] = malloc(size);
    if (kept[calls % 64] == NULL) {
        abort();
    }
    memset(kept[calls++ % 64], 1, size);
}
unsigned la_version(unsigned version)
{
    use(100);
    return version;
}
unsigned la_objopen(struct link_map *map, Lmid_t lmid, uintptr_t *cookie)
{
    (void)map;
    (void)lmid;
    (void)cookie;
    use(5000);
    return LA_FLG_BINDTO | LA_FLG_BINDFROM;
}
void la_activity(uintptr_t *cookie, unsigned flag)
{
    (void)cookie;
    use(flag * 1000 + 30000);
}
unsigned la_objclose(uintptr_t *cookie)
{
    (void)cookie;
    use(64);
    return 0;
}
END
cat >"$work/start.c" <<'END'
#include <stdlib.h>
#include <string.h>
static char *kept;
__attribute__((constructor)) static void start(void)
{
    char *big = malloc(300000);
    kept = strdup("at the start");
    free(big);
}
__attribute__((destructor)) static void end(void)
{
    if (strcmp(kept, "at the start") != 0) {
        abort();
    }
    free(kept);
    free(malloc(10000));
}
END
cat >"$work/who.c" <<'END'
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
int main(int argc, char **argv)
{
    void *lib = dlopen(argv[1], RTLD_NOW);
    void *p = malloc(1000);
    free(p);
    free(calloc(10, 1000));
    if (lib == NULL) {
        puts(dlerror());
        return 1;
    }
    dlclose(lib);
    return argc != 2;
}
END
$cc "$work/who.c" -o "$work/who" -ldl
$cc -shared -fPIC "$work/start.c" -o "$work/libstart.so"
if $cc -shared -fPIC "$work/audit.c" -o "$work/libaudit.so" 2>/dev/null; then
    check_plain "an auditor that allocates, preloaded" env \
        LD_AUDIT="$work/libaudit.so" LD_PRELOAD="$JE_LIBRARY" \
        "$work/who" "$work/libstart.so"
    $cc -shared -fPIC "$work/audit.c" -o "$work/libaudit_linked.so" \
        -L"$libdir" -l:"$(basename "$JE_LIBRARY")" -Wl,-rpath,"$libdir"
    check_plain "an auditor that is linked with the library" env \
        LD_AUDIT="$work/libaudit_linked.so" "$work/who" "$work/libstart.so"
    check_plain "an auditor that is linked with it, and preloaded" env \
        LD_AUDIT="$work/libaudit_linked.so" LD_PRELOAD="$JE_LIBRARY" \
        "$work/who" "$work/libstart.so"
fi
check_plain "a library that allocates before all others" env \
    LD_PRELOAD="$work/libstart.so $JE_LIBRARY" "$work/who" "$work/libstart.so"
if [ -z "${JE_EMULATOR:-}" ]; then
    loader=$(readelf -l "$work/who" | sed -n "s/.*interpreter: \(.*\)]/\1/p")
    check_plain "through the dynamic linker as a program" env \
        LD_PRELOAD="$JE_LIBRARY" "$loader" "$work/who" "$work/libstart.so"
else # which starts each program so
    report "through the dynamic linker as a program" 77
fi

# ---- programs with a malloc of their own ------------------------------------

cat >"$work/own.c" <<'END'
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <pthread.h>
__attribute__((weak)) void *mallocx(size_t, int);
__attribute__((weak)) void dallocx(void *, int);
static _Alignas(16) char heap[32 << 20];
static size_t top, frees;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
void *malloc(size_t size)
{
    pthread_mutex_lock(&lock);
    size_t *p = (size_t *)(void *)(heap + top);
    top += (size + 31) & ~(size_t)15;
    pthread_mutex_unlock(&lock);
    if (top > sizeof(heap)) {
        return NULL;
    }
    *p = size;
    return (char *)p + 16;
}
void free(void *p)
{
    if (p != NULL && ((char *)p < heap || (char *)p >= heap + sizeof(heap))) {
        abort();
    }
    frees++;
}
void *calloc(size_t n, size_t size)
{
    void *p = malloc(n * size);
    return p == NULL ? NULL : memset(p, 0, n * size);
}
void *realloc(void *old, size_t size)
{
    void *p = malloc(size);
    if (old != NULL && p != NULL) {
        size_t had = *(size_t *)(void *)((char *)old - 16);
        memcpy(p, old, had < size ? had : size);
        free(old);
    }
    return p;
}
static void *work(void *arg)
{
    for (int i = 0; i < 500; i++) {
        free(realloc(strdup("some text"), 100));
        if (mallocx != NULL) {
            char *p = mallocx(1 + (size_t)i * 100, 0);
            memset(p, 1, 1 + (size_t)i * 100);
            dallocx(p, 0);
        }
    }
    return arg;
}
int main(void)
{
    pthread_t threads[3];
    char *line = NULL;
    size_t room = 0;
    for (int i = 0; i < 3; i++) {
        pthread_create(&threads[i], NULL, work, NULL);
    }
    for (int i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
    }
    FILE *file = fopen("/proc/self/maps", "r");
    while (getline(&line, &room, file) > 0) {
    }
    fclose(file);
    free(line);
    return frees > 1500 ? 0 : 2;
}
END
$cc "$work/own.c" -o "$work/own" -pthread
check_plain "a program with a malloc of its own, preloaded" \
    env LD_PRELOAD="$JE_LIBRARY" "$work/own"
if [ -z "$prefix" ]; then
    $cc "$work/own.c" -o "$work/own_linked" -Wl,--no-as-needed -L"$libdir" \
        -l:"$(basename "$JE_LIBRARY")" -Wl,-rpath,"$libdir" -pthread
fi
check_plain "a program with a malloc of its own, linked" "$work/own_linked"

echo "1..$count"
