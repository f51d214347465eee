/*
 * What: loops over allocator calls, one pattern a run, for counting
 * instructions: `instructions list` prints the patterns, `instructions NAME
 * ROUNDS` runs one. The script `instructions` counts two lengths of each and
 * subtracts.
 *
 * Invariants: (I1) a round costs the same from the second one on, as far as
 * the allocator allows; (I2) calls go through the PLT, as a program's do;
 * (I3) a pattern whose functions the preloaded library lacks exits with
 * EXIT_LACKING.
 *
 * Locking: none, one thread.
 */
#include "work.h"

#define EXIT_LACKING 77

#define BATCH_MAX 10000
#define LIVE      1000

#define KIB ((size_t)1024)
#define MIB ((size_t)1024 * 1024)

/* Keeps the compiler from reasoning about a pointer. */
#define USE(p) __asm__ volatile("" : : "r"(p) : "memory")

#define WEAK __attribute__((weak))

WEAK void sdallocx(void *block, size_t size, int flags);
WEAK void free_sized(void *block, size_t size);
WEAK void *_Znwm(size_t size);
WEAK void _ZdlPvm(void *block, size_t size);
WEAK size_t malloc_usable_size(void *block);
void *bench_take(size_t size);
void bench_give(void *block);

typedef void (*run_t)(size_t size, uint64_t rounds);

typedef struct {
    const char *name;
    run_t run;
    size_t size;
    uint64_t few;    /* Rounds of the short run, */
    uint64_t many;   /* and of the long one. */
    unsigned pieces; /* What is counted per round. */
} pattern_t;

static void *blocks[BATCH_MAX];

static void lacking(const void *address)
{
    if (address == NULL) {
        exit(EXIT_LACKING);
    }
}

static void run_empty(size_t size, uint64_t rounds)
{
    for (; rounds != 0; rounds--) {
        void *p = bench_take(size);

        USE(p);
        bench_give(p);
    }
}

static void run_pair(size_t size, uint64_t rounds)
{
    for (; rounds != 0; rounds--) {
        void *p = malloc(size);

        USE(p);
        free(p);
    }
}

static void run_calloc(size_t size, uint64_t rounds)
{
    for (; rounds != 0; rounds--) {
        void *p = calloc(1, size);

        USE(p);
        free(p);
    }
}

static void run_aligned(size_t size, uint64_t rounds)
{
    for (; rounds != 0; rounds--) {
        void *p = aligned_alloc(size, size);

        USE(p);
        free(p);
    }
}

static void run_sdallocx(size_t size, uint64_t rounds)
{
    lacking((void *)(uintptr_t)sdallocx);
    for (; rounds != 0; rounds--) {
        void *p = malloc(size);

        USE(p);
        sdallocx(p, size, 0);
    }
}

static void run_free_sized(size_t size, uint64_t rounds)
{
    lacking((void *)(uintptr_t)free_sized);
    for (; rounds != 0; rounds--) {
        void *p = malloc(size);

        USE(p);
        free_sized(p, size);
    }
}

static void run_operators(size_t size, uint64_t rounds)
{
    lacking((void *)(uintptr_t)_Znwm);
    lacking((void *)(uintptr_t)_ZdlPvm);
    for (; rounds != 0; rounds--) {
        void *p = _Znwm(size);

        USE(p);
        _ZdlPvm(p, size);
    }
}

static void run_usable(size_t size, uint64_t rounds)
{
    void *p = malloc(size);

    lacking((void *)(uintptr_t)malloc_usable_size);
    for (; rounds != 0; rounds--) {
        size_t usable = malloc_usable_size(p);

        USE(usable);
    }
    free(p);
}

static void run_fresh(size_t size, uint64_t rounds)
{
    for (; rounds != 0; rounds--) {
        void *p = malloc(size);

        USE(p);
    }
}

static void run_batch_lifo(size_t size, uint64_t rounds)
{
    for (; rounds != 0; rounds--) {
        for (int i = 0; i < 100; i++) {
            blocks[i] = malloc(size);
        }
        for (int i = 99; i >= 0; i--) {
            free(blocks[i]);
        }
    }
}

static inline void batch_fifo(int count, size_t size, uint64_t rounds)
{
    for (; rounds != 0; rounds--) {
        for (int i = 0; i < count; i++) {
            blocks[i] = malloc(size);
        }
        for (int i = 0; i < count; i++) {
            free(blocks[i]);
        }
    }
}

static void run_batch_fifo(size_t size, uint64_t rounds)
{
    batch_fifo(100, size, rounds);
}

static void run_batch_fifo_long(size_t size, uint64_t rounds)
{
    batch_fifo(BATCH_MAX, size, rounds);
}

static void run_random_empty(size_t size, uint64_t rounds)
{
    uint64_t state = 1;

    for (; rounds != 0; rounds--) {
        void **slot = &blocks[work_below(&state, LIVE)];

        bench_give(*slot);
        *slot = bench_take(1 + work_below(&state, (uint32_t)size));
    }
}

static void run_random_same(size_t size, uint64_t rounds)
{
    uint64_t state = 1;

    for (int i = 0; i < LIVE; i++) {
        blocks[i] = malloc(size);
    }
    for (; rounds != 0; rounds--) {
        void **slot = &blocks[work_below(&state, LIVE)];

        free(*slot);
        *slot = malloc(size);
    }
}

static void run_random_sizes(size_t size, uint64_t rounds)
{
    uint64_t state = 1;

    for (int i = 0; i < LIVE; i++) {
        blocks[i] = malloc(1 + work_below(&state, (uint32_t)size));
    }
    for (; rounds != 0; rounds--) {
        void **slot = &blocks[work_below(&state, LIVE)];

        free(*slot);
        *slot = malloc(1 + work_below(&state, (uint32_t)size));
    }
}

#define STEP_BYTES 16

static void run_realloc_step(size_t size, uint64_t rounds)
{
    for (; rounds != 0; rounds--) {
        void *p = NULL;

        for (size_t at = STEP_BYTES; at <= size; at += STEP_BYTES) {
            p = realloc(p, at);
        }
        free(p);
    }
}

/* 64 B grown by half 24 times passes 1 MiB; the last steps ask for that. */
#define HALVES 25

static void run_realloc_halves(size_t size, uint64_t rounds)
{
    for (; rounds != 0; rounds--) {
        void *p = NULL;
        size_t at = 64;

        for (int i = 0; i < HALVES; i++) {
            p = realloc(p, at);
            at = at + at / 2 < size ? at + at / 2 : size;
        }
        free(p);
    }
}

/* few is long enough to warm up; many - few averages periodic work out. */
static const pattern_t patterns[] = {
    {"loop alone", run_empty, 64, 1000, 11000, 1},
    {"loop alone, random", run_random_empty, 512, 1000, 11000, 1},
    {"malloc+free 8", run_pair, 8, 10000, 60000, 1},
    {"malloc+free 16", run_pair, 16, 10000, 60000, 1},
    {"malloc+free 64", run_pair, 64, 10000, 60000, 1},
    {"malloc+free 256", run_pair, 256, 10000, 60000, 1},
    {"malloc+free 1 KiB", run_pair, KIB, 10000, 60000, 1},
    {"malloc+free 4 KiB", run_pair, 4 * KIB, 10000, 60000, 1},
    {"malloc+free 16 KiB", run_pair, 16 * KIB, 5000, 30000, 1},
    {"malloc+free 64 KiB", run_pair, 64 * KIB, 2000, 12000, 1},
    {"malloc+free 1 MiB", run_pair, MIB, 1000, 6000, 1},
    {"100 LIFO 64", run_batch_lifo, 64, 100, 600, 100},
    {"100 FIFO 64", run_batch_fifo, 64, 100, 600, 100},
    {"10000 FIFO 64", run_batch_fifo_long, 64, 5, 15, BATCH_MAX},
    {"random 1000 live, 64", run_random_same, 64, 20000, 80000, 1},
    {"random 1000 live, 1..512", run_random_sizes, 512, 50000, 150000, 1},
    {"random 1000 live, 1..8192", run_random_sizes, 8192, 50000, 150000, 1},
    {"malloc+sdallocx 64", run_sdallocx, 64, 10000, 60000, 1},
    {"malloc+free_sized 64", run_free_sized, 64, 10000, 60000, 1},
    {"new+delete(p, n) 64", run_operators, 64, 10000, 60000, 1},
    {"calloc+free 64", run_calloc, 64, 10000, 60000, 1},
    {"calloc+free 1 KiB", run_calloc, KIB, 10000, 60000, 1},
    {"aligned_alloc+free 64", run_aligned, 64, 10000, 60000, 1},
    {"aligned_alloc+free 4096", run_aligned, 4096, 10000, 60000, 1},
    {"realloc +16 to 4 KiB, a step", run_realloc_step, 4096, 40, 240, 256},
    {"realloc by halves to 1 MiB, a step", run_realloc_halves, MIB, 10, 60,
        HALVES},
    {"malloc_usable_size", run_usable, 64, 10000, 60000, 1},
    {"fresh 64", run_fresh, 64, 20000, 120000, 1},
};

#define PATTERNS (sizeof(patterns) / sizeof(patterns[0]))

static int list(void)
{
    for (size_t i = 0; i < PATTERNS; i++) {
        const pattern_t *p = &patterns[i];

        printf("%s\t%llu\t%llu\t%u\n", p->name, (unsigned long long)p->few,
            (unsigned long long)p->many, p->pieces);
    }
    return 0;
}

/* An allocator that has run dry would look quick. */
static void run_checked(const pattern_t *pattern, uint64_t rounds)
{
    void *block;

    pattern->run(pattern->size, rounds);
    block = malloc(pattern->size);
    work_require(block != NULL, "out of memory");
    free(block);
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "list") == 0) {
        return list();
    }
    work_require(argc == 3, "usage: instructions list | NAME ROUNDS");
    for (size_t i = 0; i < PATTERNS; i++) {
        if (strcmp(argv[1], patterns[i].name) == 0) {
            run_checked(&patterns[i], work_arg(argc, argv, 2, 1));
            return 0;
        }
    }
    work_die("no pattern of that name");
    return 1;
}
