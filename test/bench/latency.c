/*
 * What: how long single calls take while a program churns: two threads ask
 * for a gigabyte a second between them, in sizes of 16 bytes to 256 KiB, and
 * what is live swells and shrinks several times a second, so that pages are
 * given back while the calls are timed. Prints how many calls took how long:
 * `malloc NS COUNT` and `free NS COUNT`, NS being the most of a step, one
 * eighth of a doubling wide.
 *
 * Invariants: (I1) a call's time includes that of one reading of the clock,
 * which is printed as `clock NS`; (I2) every page of a block is written, and
 * a byte of each is read back before it goes; (I3) nothing is counted in the
 * first eighth of the work.
 *
 * Locking: none; threads share nothing and are added up at the end.
 */
#include "work.h"

#include <stddef.h>
#include <time.h>

#define THREADS   2
#define STEPS     (64 * 8)
#define RATE      ((uint64_t)1000000000 / THREADS) /* Bytes a second. */
#define PACE      ((uint64_t)1 << 20) /* Bytes between looks at the clock. */
#define LIVE_LOW  ((uint64_t)16 << 20)
#define LIVE_HIGH ((uint64_t)128 << 20)
#define WAVE      ((uint64_t)256 << 20) /* Bytes from low to low. */
#define QUEUE     (1u << 20)
#define PAGE      4096

typedef struct {
    char *bytes;
    size_t size;
} block_t;

typedef struct {
    uint64_t mallocs[STEPS];
    uint64_t frees[STEPS];
    uint64_t calls;
    uint64_t sum;
} figures_t;

static uint64_t volume;
static figures_t figures[THREADS];

static uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* A clock that costs less than what it measures, in units of its own. */
static inline uint64_t ticks(void)
{
#if defined(__x86_64__)
    uint32_t low, high;

    __asm__ volatile("lfence; rdtsc; lfence" : "=a"(low), "=d"(high));
    return (uint64_t)high << 32 | low;
#else
    return now_ns();
#endif
}

static unsigned step_of(uint64_t span)
{
    unsigned lg;

    if (span < 8) {
        return (unsigned)span;
    }
    lg = 63 - (unsigned)__builtin_clzll(span);
    return (lg - 2) * 8 + (unsigned)(span >> (lg - 3) & 7);
}

/* The most that step_of counts there. */
static uint64_t step_end(unsigned step)
{
    if (step < 8) {
        return step;
    }
    return ((uint64_t)(9 + step % 8) << (step / 8 - 1)) - 1;
}

static size_t some_size(uint64_t *state)
{
    uint32_t draw = work_below(state, 100);

    if (draw < 80) {
        return 16 + work_below(state, 1008);
    }
    if (draw < 95) {
        return 1024 + work_below(state, 15 << 10);
    }
    return (16 << 10) + work_below(state, 240 << 10);
}

/* How much may live after `done` bytes: up and down again. */
static uint64_t live_limit(uint64_t done)
{
    uint64_t at = done % WAVE;
    uint64_t rise = at < WAVE / 2 ? at : WAVE - at;

    return LIVE_LOW + rise * 2 * (LIVE_HIGH - LIVE_LOW) / WAVE;
}

static void wait_for(uint64_t start, uint64_t done)
{
    uint64_t due = start + done * 1000 / (RATE / 1000000);
    uint64_t now = now_ns();

    if (now < due) {
        struct timespec rest = {(time_t)((due - now) / 1000000000),
            (long)((due - now) % 1000000000)};

        nanosleep(&rest, NULL);
    }
}

static block_t timed_malloc(size_t size, uint64_t *steps)
{
    block_t block = {NULL, size};
    uint64_t start = ticks();

    block.bytes = malloc(size);
    steps[step_of(ticks() - start)]++;
    work_require(block.bytes != NULL, "out of memory");
    for (size_t at = 0; at < size; at += PAGE) {
        block.bytes[at] = (char)size;
    }
    return block;
}

static void timed_free(block_t block, uint64_t *steps)
{
    uint64_t start;

    for (size_t at = 0; at < block.size; at += PAGE) {
        work_require(block.bytes[at] == (char)block.size, "a page was lost");
    }
    start = ticks();
    free(block.bytes);
    steps[step_of(ticks() - start)]++;
}

static void *churn(void *number)
{
    static block_t queues[THREADS][QUEUE];
    uint64_t state = (uintptr_t)number + 1;
    figures_t *mine = &figures[(uintptr_t)number];
    block_t *queue = queues[(uintptr_t)number];
    uint64_t first = 0, end = 0, live = 0, start = now_ns(), looked = 0;
    int warm = 0;

    for (uint64_t done = 0; done < volume;) {
        size_t size = some_size(&state);
        uint32_t other;

        queue[end % QUEUE] = timed_malloc(size, mine->mallocs);
        live += size;
        done += size;
        /* Not in the order of birth: the new one trades places. */
        other = work_below(&state, (uint32_t)(end - first + 1));
        block_t moved = queue[(first + other) % QUEUE];
        queue[(first + other) % QUEUE] = queue[end % QUEUE];
        queue[end++ % QUEUE] = moved;
        while (live > live_limit(done) || end - first == QUEUE) {
            live -= queue[first % QUEUE].size;
            timed_free(queue[first++ % QUEUE], mine->frees);
        }
        if (!warm && done > volume / 8) {
            warm = 1;
            memset(mine->mallocs, 0, sizeof(mine->mallocs));
            memset(mine->frees, 0, sizeof(mine->frees));
        }
        if (done - looked > PACE) {
            looked = done;
            wait_for(start, done);
        }
        mine->sum += size;
    }
    mine->calls = end;
    while (first != end) {
        free(queue[first++ % QUEUE].bytes);
    }
    return NULL;
}

static uint64_t clock_cost(void)
{
    uint64_t least = UINT64_MAX;

    for (int i = 0; i < 10000; i++) {
        uint64_t start = ticks();
        uint64_t span = ticks() - start;

        least = span < least ? span : least;
    }
    return least;
}

static void show(const char *name, size_t offset, double ns_per_tick)
{
    for (unsigned i = 0; i < STEPS; i++) {
        uint64_t count = 0;

        for (int j = 0; j < THREADS; j++) {
            count += ((uint64_t *)(void *)((char *)&figures[j] + offset))[i];
        }
        if (count != 0) {
            printf("%s %.1f %llu\n", name, (double)step_end(i) * ns_per_tick,
                (unsigned long long)count);
        }
    }
}

int main(int argc, char **argv)
{
    uint64_t start_ns = now_ns(), start = ticks();
    uint64_t calls = 0, sum = 0, cost;
    double ns_per_tick;

    volume = (work_arg(argc, argv, 1, 3000) << 20) / THREADS;
    cost = clock_cost();
    work_threads(THREADS, churn);
    ns_per_tick = (double)(now_ns() - start_ns) / (double)(ticks() - start);
    printf("clock %.1f\n", (double)cost * ns_per_tick);
    show("malloc", offsetof(figures_t, mallocs), ns_per_tick);
    show("free", offsetof(figures_t, frees), ns_per_tick);
    for (int i = 0; i < THREADS; i++) {
        calls += figures[i].calls;
        sum += figures[i].sum;
    }
    return work_report(calls, sum);
}
