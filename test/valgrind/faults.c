/*
 * What: mistakes for memcheck to find, each in a function of its own name,
 * one after another as the arguments say.
 *
 *     faults FAMILY FAULT...
 *
 * A family is the way in which blocks are taken and given back: `malloc`,
 * `mallocx`, `crossed` (each by the other's functions) or `cached` (through an
 * explicit cache).
 *
 * Invariants: (I1) each fault is one report of memcheck's, and its only one;
 * (I2) blocks have 13 bytes, which is no size class.
 *
 * Locking: none; one thread.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jemalloc/jemalloc.h>

#define BYTES 13

/* Where the library is preloaded nobody else has these. */
#pragma weak mallocx
#pragma weak dallocx
#pragma weak rallocx
#pragma weak xallocx
#pragma weak mallctl

static const char *family;
static unsigned cache;
static volatile char sink;

static int is(const char *name)
{
    return strcmp(family, name) == 0;
}

static void need(int done, const char *what)
{
    if (!done) {
        fprintf(stderr, "faults: %s failed\n", what);
        exit(2);
    }
}

/* Keeps calls from becoming jumps, which leave no frame. */
#define FRAME() __asm__ volatile("" ::: "memory")
#ifdef __clang__
#    define OWN __attribute__((noinline))
#else
#    define OWN __attribute__((noinline, noclone))
#endif

OWN static char *take(size_t size)
{
    char *p = is("malloc") || is("crossed")
                  ? malloc(size)
                  : mallocx(size, is("cached") ? MALLOCX_TCACHE(cache) : 0);
    need(p != NULL, "take");
    memset(p, 1, size);
    return p;
}

static inline __attribute__((always_inline)) void give_here(char *p)
{
    if (is("malloc")) {
        free(p);
    } else {
        dallocx(p, is("cached") ? MALLOCX_TCACHE(cache) : 0);
    }
    FRAME();
}

OWN static void give(char *p)
{
    give_here(p);
}

OWN static void overread(void)
{
    char *p = take(BYTES);
    sink = p[BYTES];
    give(p);
}

OWN static void overwrite(void)
{
    char *p = take(BYTES);
    *(volatile char *)(p + BYTES) = 1;
    give(p);
}

OWN static void underrun(void)
{
    char *p = take(BYTES);
    sink = p[-1];
    give(p);
}

OWN static void use_after_free(void)
{
    char *p = take(BYTES);
    give(p);
    sink = p[3];
}

OWN static void double_free(void)
{
    char *p = take(BYTES);
    give(p);
    give(p);
    FRAME();
}

OWN static void free_inside(void)
{
    /* In line: memcheck reports what ends in the same four frames once. */
    char *p = take(BYTES);
    give_here(p + 4);
    give_here(p);
}

OWN static void leak(void)
{
    sink = take(BYTES)[3];
    FRAME();
}

OWN static void undefined(void)
{
    char *p = is("malloc") || is("crossed") ? malloc(BYTES) : mallocx(BYTES, 0);
    if (*(volatile char *)p == 5) {
        sink = 1;
    }
    give(p);
}

OWN static char *resize(char *p, size_t size)
{
    p = is("malloc") ? realloc(p, size) : rallocx(p, size, 0);
    need(p != NULL, "resize");
    FRAME();
    return p;
}

OWN static void past_resized(void)
{
    char *p = resize(take(5), BYTES);
    sink = p[BYTES];
    give(p);
}

OWN static void before_resized(void)
{
    char *old = take(BYTES);
    char *p = resize(old, 2000);
    sink = old[3];
    give(p);
}

OWN static void aligned(void)
{
    void *p = NULL;
    if (is("malloc")) {
        need(posix_memalign(&p, 4096, BYTES) == 0, "posix_memalign");
    } else {
        p = mallocx(BYTES, MALLOCX_ALIGN(4096));
    }
    need(p != NULL && ((size_t)p & 4095) == 0, "alignment");
    sink = ((char *)p)[BYTES];
    give(p);
}

OWN static void large(void)
{
    char *p = take(300000);
    sink = p[300000];
    give(p);
}

OWN static void after_reset(void)
{
    unsigned arena;
    size_t size = sizeof(arena);
    char name[64];
    need(mallctl("arenas.create", &arena, &size, NULL, 0) == 0, "create");
    char *p = mallocx(BYTES, MALLOCX_ARENA(arena) | MALLOCX_TCACHE_NONE);
    need(p != NULL, "mallocx");
    memset(p, 1, BYTES);
    (void)snprintf(name, sizeof(name), "arena.%u.reset", arena);
    need(mallctl(name, NULL, NULL, NULL, 0) == 0, name);
    sink = p[3];
}

static const struct {
    const char *name;
    void (*run)(void);
} faults[] = {
    {"overread", overread},
    {"overwrite", overwrite},
    {"underrun", underrun},
    {"use_after_free", use_after_free},
    {"double_free", double_free},
    {"free_inside", free_inside},
    {"leak", leak},
    {"undefined", undefined},
    {"past_resized", past_resized},
    {"before_resized", before_resized},
    {"aligned", aligned},
    {"large", large},
    {"after_reset", after_reset},
};

#define COUNT (sizeof(faults) / sizeof(faults[0]))

static void run(const char *name)
{
    for (size_t i = 0; i < COUNT; i++) {
        if (strcmp(faults[i].name, name) == 0) {
            faults[i].run();
            return;
        }
    }
    need(0, name);
}

/* So that no dead frame keeps the address of what is lost. */
OWN static void forget(void)
{
    volatile char frame[4096];
    for (size_t i = 0; i < sizeof(frame); i++) {
        frame[i] = 0;
    }
}

int main(int argc, char **argv)
{
    need(argc > 2, "usage: faults FAMILY FAULT...");
    family = argv[1];
    size_t size = sizeof(cache);
    if (is("cached")) {
        need(mallctl("tcache.create", &cache, &size, NULL, 0) == 0, "cache");
    }
    for (int i = 2; i < argc; i++) {
        run(argv[i]);
    }
    if (is("cached")) {
        need(mallctl("tcache.destroy", NULL, NULL, &cache, size) == 0, "end");
    }
    forget();
    return 0;
}
