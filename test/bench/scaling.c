/*
 * What: the cost of one operation when there is more of everything:
 *   scaling live N STEPS     N live blocks; random ones are replaced
 *   scaling threads N STEPS  N threads share the steps out among them
 *   scaling arenas N STEPS   N arenas of the program; blocks of random ones
 * Prints `NAME NUMBER` lines: nanoseconds of processor time an operation, of
 * which `touch` is what the same steps cost without the allocator; for
 * arenas also what one of them needs to be there.
 *
 * Invariants: (I1) sizes are 16 to 64 bytes, the same for all N; (I2) an
 * allocator without arenas exits with EXIT_LACKING.
 *
 * Locking: none; threads share nothing.
 */
#include "work.h"

#include <time.h>
#include <unistd.h>

#define EXIT_LACKING 77

#define THREAD_LIVE 1000
#define ARENA_LIVE  100000

/* The interface of jemalloc, where it is there. */
#define ARENA_FLAG(i) ((int)(((i) + 1) << 20))
#define NO_CACHE      (1 << 8)

__attribute__((weak)) void *mallocx(size_t size, int flags);
__attribute__((weak)) void dallocx(void *block, int flags);
__attribute__((weak)) int mallctl(const char *name, void *old,
    size_t *old_length, void *fresh, size_t fresh_length);

static uint64_t steps;
static uint64_t threads;

static double cpu_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static double wall_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static size_t some_size(uint64_t *state)
{
    return 16 + work_below(state, 49);
}

static void show(const char *name, double ns, uint64_t operations)
{
    printf("%s %.2f\n", name, ns / (double)operations);
}

/* The loop of `replace` with everything in it but the two calls. */
static uint64_t touch(void **blocks, uint64_t count)
{
    uint64_t state = 1, sum = 0;

    for (uint64_t i = 0; i < steps; i++) {
        void *block = blocks[work_below(&state, (uint32_t)count)];

        sum += work_stamped(block) + some_size(&state);
        work_stamp(block, work_stamped(block));
    }
    return sum;
}

static void replace(void **blocks, uint64_t count)
{
    uint64_t state = 2;

    for (uint64_t i = 0; i < steps; i++) {
        void **slot = &blocks[work_below(&state, (uint32_t)count)];

        work_free(*slot);
        *slot = work_alloc(some_size(&state));
    }
}

static int run_live(uint64_t count)
{
    void **blocks = work_get(count * sizeof(*blocks));
    uint64_t state = 1, sum;
    double start;

    /* Not part of what is measured. */
    memset(blocks, 1, count * sizeof(*blocks));
    start = cpu_ns();
    for (uint64_t i = 0; i < count; i++) {
        blocks[i] = work_alloc(some_size(&state));
    }
    show("fill", cpu_ns() - start, count);
    /* Once before it counts: both see the caches that the first leaves. */
    replace(blocks, count);
    start = cpu_ns();
    sum = touch(blocks, count);
    show("touch", cpu_ns() - start, steps);
    start = cpu_ns();
    replace(blocks, count);
    show("replace", cpu_ns() - start, steps);
    start = cpu_ns();
    for (uint64_t i = 0; i < count; i++) {
        work_free(blocks[i]);
    }
    show("sweep", cpu_ns() - start, count);
    free(blocks);
    return work_report(count + steps, sum);
}

static void *work(void *number)
{
    uint64_t state = (uintptr_t)number + 1;
    void *blocks[THREAD_LIVE] = {NULL};

    for (uint64_t i = 0; i < steps / threads; i++) {
        void **slot = &blocks[work_below(&state, THREAD_LIVE)];

        work_free(*slot);
        *slot = work_alloc(some_size(&state));
    }
    for (int i = 0; i < THREAD_LIVE; i++) {
        work_free(blocks[i]);
    }
    return NULL;
}

static int run_threads(uint64_t count)
{
    double cpu, wall;

    threads = count;
    cpu = cpu_ns();
    wall = wall_ns();
    work_threads(threads, work);
    show("replace", cpu_ns() - cpu, steps);
    show("wall", wall_ns() - wall, steps);
    return work_report(steps, threads);
}

/* KiB resident. */
static uint64_t resident(void)
{
    unsigned long long size, pages = 0;
    FILE *statm = fopen("/proc/self/statm", "r");

    work_require(
        statm != NULL && fscanf(statm, "%llu %llu", &size, &pages) == 2,
        "/proc/self/statm cannot be read");
    fclose(statm);
    return pages * (uint64_t)sysconf(_SC_PAGESIZE) / 1024;
}

static unsigned create_arena(void)
{
    unsigned arena;
    size_t length = sizeof(arena);

    work_require(mallctl("arenas.create", &arena, &length, NULL, 0) == 0,
        "arenas.create failed");
    return arena;
}

static int run_arenas(uint64_t count)
{
    static void *blocks[ARENA_LIVE];
    unsigned *arenas = work_get(count * sizeof(*arenas));
    uint64_t state = 1, before;
    double start;

    if (mallctl == NULL || mallocx == NULL || dallocx == NULL) {
        return EXIT_LACKING;
    }
    before = resident();
    start = cpu_ns();
    for (uint64_t i = 0; i < count; i++) {
        arenas[i] = create_arena();
    }
    show("create", cpu_ns() - start, count);
    printf("kib %.1f\n", (double)(resident() - before) / (double)count);
    start = cpu_ns();
    for (uint64_t i = 0; i < steps; i++) {
        void **slot = &blocks[work_below(&state, ARENA_LIVE)];
        unsigned arena = arenas[work_below(&state, (uint32_t)count)];
        size_t size = some_size(&state);

        if (*slot != NULL) {
            (void)work_stamped(*slot);
            dallocx(*slot, NO_CACHE);
        }
        *slot = mallocx(size, ARENA_FLAG(arena) | NO_CACHE);
        work_require(*slot != NULL, "out of memory");
        work_stamp(*slot, size);
    }
    show("replace", cpu_ns() - start, steps);
    for (int i = 0; i < ARENA_LIVE; i++) {
        if (blocks[i] != NULL) {
            dallocx(blocks[i], NO_CACHE);
        }
    }
    free(arenas);
    return work_report(steps, count);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        int (*run)(uint64_t count);
    } kinds[] = {
        {"live", run_live}, {"threads", run_threads}, {"arenas", run_arenas}};

    work_require(argc > 1, "live, threads or arenas?");
    steps = work_arg(argc, argv, 3, 2000000);
    for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (strcmp(argv[1], kinds[i].name) == 0) {
            return kinds[i].run(work_arg(argc, argv, 2, 10000));
        }
    }
    work_die("the first argument is none of live, threads, arenas");
    return 1;
}
