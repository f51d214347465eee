/*
 * What: a program that knows the interface from another library's header
 * (Debian's libjemalloc-dev) and was linked against that library: every call
 * of that header, served by ours. foreign.sh builds and runs it.
 *
 * Invariants: (I1) nothing of this project is included.
 *
 * Locking: none.
 */
#include <errno.h>
#include <jemalloc/jemalloc.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int failures;

#define CHECK(cond)                                                            \
    do {                                                                       \
        if (!(cond)) {                                                         \
            printf("line %d: %s\n", __LINE__, #cond);                          \
            failures++;                                                        \
        }                                                                      \
    } while (0)

const char *malloc_conf = "narenas:3";

static size_t printed;

static void count_bytes(void *opaque, const char *text)
{
    *(size_t *)opaque += strlen(text);
}

static void check_standard(void)
{
    void *p = malloc(100);
    CHECK(p != NULL && malloc_usable_size(p) == 112);
    p = realloc(p, 5000);
    CHECK(p != NULL && malloc_usable_size(p) >= 5000);
    free(p);
    p = calloc(10, 10);
    CHECK(p != NULL && *(char *)p == 0);
    free(p);
    CHECK(posix_memalign(&p, 4096, 10) == 0 && (uintptr_t)p % 4096 == 0);
    free(p);
    p = aligned_alloc(64, 128);
    CHECK((uintptr_t)p % 64 == 0);
    free(p);
    p = memalign(256, 10);
    CHECK((uintptr_t)p % 256 == 0);
    free(p);
    p = valloc(10);
    CHECK((uintptr_t)p % 4096 == 0);
    free(p);
}

static void check_flagged(void)
{
    unsigned arena = 0;
    unsigned tcache = 0;
    size_t len = sizeof(arena);
    CHECK(mallctl("arenas.create", &arena, &len, NULL, 0) == 0);
    CHECK(mallctl("tcache.create", &tcache, &len, NULL, 0) == 0);
    int flags = MALLOCX_ALIGN(1024) | MALLOCX_ZERO | MALLOCX_ARENA(arena) |
                MALLOCX_TCACHE_NONE;
    CHECK(nallocx(100, flags) >= 100);
    char *p = mallocx(3000, flags);
    CHECK(p != NULL && (uintptr_t)p % 1024 == 0 && p[2999] == 0);
    CHECK(sallocx(p, flags) >= 3000);
    p = rallocx(p, 100000, flags);
    CHECK(p != NULL && sallocx(p, 0) >= 100000);
    CHECK(xallocx(p, 50000, 0, 0) >= 50000);
    sdallocx(p, sallocx(p, 0), MALLOCX_TCACHE_NONE);
    p = mallocx(10, MALLOCX_TCACHE(tcache) | MALLOCX_LG_ALIGN(4));
    CHECK(p != NULL);
    dallocx(p, MALLOCX_TCACHE(tcache));
    CHECK(mallctl("tcache.destroy", NULL, NULL, &tcache, sizeof(tcache)) == 0);
    char name[32];
    (void)snprintf(name, sizeof(name), "arena.%u.destroy", arena);
    CHECK(mallctl(name, NULL, NULL, NULL, 0) == 0);
}

static void *forward_alloc(extent_hooks_t *hooks, void *addr, size_t size,
    size_t alignment, bool *zero, bool *commit, unsigned arena)
{
    (void)hooks;
    (void)arena;
    if (addr != NULL) {
        return NULL;
    }
    void *p = NULL;
    if (posix_memalign(&p, alignment, size) != 0) {
        return NULL;
    }
    memset(p, 0, size);
    *zero = true;
    *commit = true;
    return p;
}

static void check_hooks(void)
{
    static extent_hooks_t hooks;
    extent_hooks_t *given = &hooks;
    extent_hooks_t *found = NULL;
    unsigned arena = 0;
    size_t len = sizeof(arena);
    hooks.alloc = forward_alloc;
    CHECK(mallctl("arenas.create", &arena, &len, &given, sizeof(given)) == 0);
    void *p = mallocx(100, MALLOCX_ARENA(arena) | MALLOCX_TCACHE_NONE);
    CHECK(p != NULL);
    dallocx(p, MALLOCX_TCACHE_NONE);
    char name[40];
    (void)snprintf(name, sizeof(name), "arena.%u.extent_hooks", arena);
    len = sizeof(found);
    CHECK(mallctl(name, &found, &len, NULL, 0) == 0 && found == &hooks);
}

#define TEXT(x)  TEXT_(x)
#define TEXT_(x) #x

static void check_controls(const char *version)
{
    const char *found = NULL;
    size_t len = sizeof(found);
    unsigned narenas = 0;
    size_t mib[4];
    size_t depth = 4;
    size_t size = 0;
    uint64_t epoch = 1;
    CHECK(mallctl("version", &found, &len, NULL, 0) == 0);
    CHECK(found != NULL && strcmp(found, version) == 0);
    len = sizeof(narenas);
    CHECK(mallctl("opt.narenas", &narenas, &len, NULL, 0) == 0);
    CHECK(narenas == 3);
    CHECK(mallctlnametomib("arenas.bin.0.size", mib, &depth) == 0);
    mib[2] = 7;
    len = sizeof(size);
    CHECK(mallctlbymib(mib, depth, &size, &len, NULL, 0) == 0 && size == 112);
    CHECK(mallctl("epoch", NULL, NULL, &epoch, sizeof(epoch)) == 0);
    CHECK(mallctl("stats.arenas." TEXT(MALLCTL_ARENAS_ALL) ".pactive", &size,
              &len, NULL, 0) == 0);
    CHECK(size != 0);
    CHECK(mallctl("no.such", NULL, NULL, NULL, 0) == ENOENT);
    malloc_stats_print(count_bytes, &printed, "J");
    CHECK(printed > 1000);
    malloc_message = count_bytes;
    CHECK(malloc_message == count_bytes);
    malloc_message = NULL;
}

int main(int argc, char **argv)
{
    check_standard();
    check_flagged();
    check_hooks();
    check_controls(argc > 1 ? argv[1] : "");
    return failures != 0;
}
