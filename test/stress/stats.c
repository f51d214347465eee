/*
 * What: what it costs to look: refreshes of the statistics of 64 arenas while
 * eight threads allocate in all of them, and while nobody does. Prints
 * microseconds, one line each, by the clock and by the processor's time, which
 * other programs and the threads here do not take from it. Ends with status 1
 * if numbers stop fitting together.
 *
 * Invariants: (I1) with nobody else running, a refresh holds the locks of one
 * arena one after the other, so its time over the number of arenas bounds
 * from above how long one lock is held on average; (I2) how long a thread
 * waits is not measured by its waiting, which on a busy machine is the
 * scheduler's.
 *
 * Locking: a flag.
 */
#include <jemalloc/jemalloc.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

const char *malloc_conf = "narenas:64,dirty_decay_ms:-1";

#define ARENAS  64
#define THREADS 8
#define SLOTS   4096
#define LOOKS   500

/* Microseconds of the fastest refresh; a sanitizer makes it ten times that. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#    define LIMIT_US 100000
#elif defined(__has_feature)
#    define LIMIT_US (__has_feature(thread_sanitizer) ? 100000 : 2000)
#else
#    define LIMIT_US 2000
#endif

static atomic_bool stop;

static uint64_t now_ns(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * 1000000000U + (uint64_t)t.tv_nsec;
}

static void *work(void *opaque)
{
    void **blocks = calloc(SLOTS, sizeof(*blocks));
    uint64_t state = (uintptr_t)opaque * 7919 + 1;
    unsigned arena = (unsigned)(uintptr_t)opaque;
    while (blocks != NULL && !atomic_load(&stop)) {
        arena = (arena + THREADS) % ARENAS;
        (void)mallctl("thread.arena", NULL, NULL, &arena, sizeof(arena));
        for (unsigned i = 0; i < 2000; i++) {
            state = state * 6364136223846793005U + 1442695040888963407U;
            unsigned slot = (unsigned)(state >> 40) % SLOTS;
            free(blocks[slot]);
            blocks[slot] = malloc((size_t)1 << (state >> 60));
        }
    }
    for (unsigned i = 0; blocks != NULL && i < SLOTS; i++) {
        free(blocks[i]);
    }
    free(blocks);
    return NULL;
}

/* One refresh: its time, and what of it the processor worked for it. */
static uint64_t look(uint64_t *cpu_ns)
{
    uint64_t epoch = 1;
    uint64_t begin = now_ns(CLOCK_MONOTONIC);
    uint64_t cpu_begin = now_ns(CLOCK_THREAD_CPUTIME_ID);
    if (mallctl("epoch", NULL, NULL, &epoch, sizeof(epoch)) != 0) {
        exit(1);
    }
    *cpu_ns = now_ns(CLOCK_THREAD_CPUTIME_ID) - cpu_begin;
    return now_ns(CLOCK_MONOTONIC) - begin;
}

static int by_size(const void *a, const void *b)
{
    const uint64_t *x = a;
    const uint64_t *y = b;
    return *x < *y ? -1 : *x > *y;
}

static void say(const char *when, const char *what, uint64_t *times)
{
    qsort(times, LOOKS, sizeof(times[0]), by_size);
    printf("refresh_%s_%s_median_us %.1f\nrefresh_%s_%s_p99_us %.1f\n", when,
        what, (double)times[LOOKS / 2] / 1000, when, what,
        (double)times[LOOKS * 99 / 100] / 1000);
}

/* Leaves the processor's time of each refresh in order. */
static const uint64_t *look_often(const char *when)
{
    static uint64_t times[LOOKS];
    static uint64_t cpu_times[LOOKS];
    const struct timespec pause = {0, 1000000};
    for (unsigned i = 0; i < LOOKS; i++) {
        times[i] = look(&cpu_times[i]);
        nanosleep(&pause, NULL);
    }
    say(when, "wall", times);
    say(when, "cpu", cpu_times);
    return cpu_times;
}

static size_t total(const char *name)
{
    size_t value = 0;
    size_t len = sizeof(value);
    if (mallctl(name, &value, &len, NULL, 0) != 0) {
        exit(1);
    }
    return value;
}

int main(void)
{
    pthread_t threads[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++) {
        if (pthread_create(&threads[i], NULL, work, (void *)i) != 0) {
            return 1;
        }
    }
    const struct timespec warm = {0, 300000000};
    nanosleep(&warm, NULL);
    (void)look_often("busy");
    atomic_store(&stop, true);
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    const uint64_t *idle = look_often("idle");
    printf("one_arena_us %.2f\n", (double)idle[LOOKS / 2] / ARENAS / 1000);
    return idle[0] <= (uint64_t)LIMIT_US * 1000 &&
                   total("stats.allocated") <= total("stats.active") &&
                   total("stats.active") <= total("stats.resident") &&
                   total("stats.resident") <= total("stats.mapped")
               ? 0
               : 1;
}
