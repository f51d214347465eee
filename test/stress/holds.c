/*
 * What: how long a refresh of the statistics keeps others from the locks that
 * it takes, of 64 arenas that eight threads allocate in. Prints microseconds
 * of the processor's time for each kind of lock: the longest among the
 * shortest holds of each single lock, and the longest hold of all. Ends with
 * status 1 if the first is over HOLD_LIMIT_US for any.
 *
 * Invariants: (I1) this program has its own copy of stats/snapshot.c, where
 * each hold is timed, and is linked without the library's; (I2) the register
 * of caches is locked elsewhere, for AT_ONCE caches at a time: what is timed
 * is the look at so many; (I3) the clock counts interrupts as well, and on a
 * busy machine misses of the processor's caches, so the shortest are judged;
 * it takes part of a microsecond itself.
 *
 * Locking: a flag; only the refreshing thread times.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "cache/tcache_table.h"
#include "jemalloc/jemalloc.h"
#include "os/mutex.h"

const char *je_malloc_conf = "narenas:64,dirty_decay_ms:-1";

#define ARENAS        64
#define THREADS       8
#define SLOTS         1024
#define LOOKS         200
#define LOCKS_MOST    8192
#define AT_ONCE       16
#define HOLD_LIMIT_US 50.0

typedef enum { BIN, LARGE, PAGES, GROWTH, BASE, CACHES, KINDS } kind_t;

static const char *const kind_names[KINDS] = {
    "bin", "large", "pages", "growth", "base", "caches"};

typedef struct {
    kind_t kind;
    uint64_t least_ns;
} lock_t;

static struct {
    uint64_t begun_ns;
    unsigned next; /* in the order of the refresh, which is always the same */
    lock_t locks[LOCKS_MOST];
    uint64_t longest_ns[KINDS];
    uint64_t visits_ns;
    unsigned visits;
} timing;

static uint64_t cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000U + (uint64_t)t.tv_nsec;
}

static void note_hold(kind_t kind, uint64_t ns)
{
    lock_t *lock = &timing.locks[timing.next++];
    if (timing.next == LOCKS_MOST) {
        fputs("more locks than LOCKS_MOST\n", stderr);
        exit(1);
    }
    lock->kind = kind;
    if (lock->least_ns == 0 || ns < lock->least_ns) {
        lock->least_ns = ns;
    }
    if (ns > timing.longest_ns[kind]) {
        timing.longest_ns[kind] = ns;
    }
}

static kind_t kind_of(const mutex_t *mutex)
{
    switch (mutex->rank) {
    case LOCK_RANK_BIN:
        return BIN;
    case LOCK_RANK_LARGE:
        return LARGE;
    case LOCK_RANK_PAGE_STORE:
        return PAGES;
    case LOCK_RANK_PAGE_GROW:
        return GROWTH;
    default:
        return BASE;
    }
}

JE_NO_LOCK_ANALYSIS
static void timed_lock(mutex_t *mutex)
{
    mutex_lock(mutex);
    timing.begun_ns = cpu_ns();
}

/* Whoever holds the refresh's own lock keeps no mutator waiting. */
JE_NO_LOCK_ANALYSIS
static void timed_unlock(mutex_t *mutex)
{
    uint64_t ns = cpu_ns() - timing.begun_ns;
    mutex_unlock(mutex);
    if (mutex->rank > LOCK_RANK_CTL) {
        note_hold(kind_of(mutex), ns);
    }
}

static void timed_visit(void (*visit)(const tcache_t *tcache, void *opaque),
    const tcache_t *tcache, void *opaque)
{
    uint64_t begin_ns = cpu_ns();
    visit(tcache, opaque);
    timing.visits_ns += cpu_ns() - begin_ns;
    if (++timing.visits % AT_ONCE == 0) {
        note_hold(CACHES, timing.visits_ns);
        timing.visits_ns = 0;
    }
}

/* The locks of the refresh, and nobody else's. */
#define mutex_lock   timed_lock
#define mutex_unlock timed_unlock
#define tcache_table_visit(visit, opaque)                                      \
    tcache_table_visit(look_at_cache, opaque)
static void look_at_cache(const tcache_t *tcache, void *opaque);
#include "stats/snapshot.c"
#undef mutex_lock
#undef mutex_unlock
#undef tcache_table_visit

static void look_at_cache(const tcache_t *tcache, void *opaque)
{
    timed_visit(visit_tcache, tcache, opaque);
}

/* ---- load ---- */

static atomic_bool stop;

static void *work(void *opaque)
{
    static void *blocks[THREADS][SLOTS];
    unsigned me = (unsigned)(uintptr_t)opaque;
    unsigned arena = me;
    uint64_t seed = me * 7919 + 1;
    while (!atomic_load(&stop)) {
        arena = (arena + THREADS) % ARENAS;
        (void)je_mallctl("thread.arena", NULL, NULL, &arena, sizeof(arena));
        for (unsigned i = 0; i < 2000; i++) {
            seed = seed * 6364136223846793005U + 1442695040888963407U;
            void **slot = &blocks[me][(seed >> 40) % SLOTS];
            je_free(*slot);
            *slot = je_malloc((size_t)1 << (seed >> 60));
        }
    }
    return NULL;
}

static bool report(void)
{
    bool good = true;
    for (unsigned k = 0; k < KINDS; k++) {
        uint64_t most_ns = 0;
        unsigned locks = 0;
        for (unsigned i = 0; i < LOCKS_MOST; i++) {
            const lock_t *lock = &timing.locks[i];
            if (lock->kind == (kind_t)k && lock->least_ns != 0) {
                locks++;
                most_ns = lock->least_ns > most_ns ? lock->least_ns : most_ns;
            }
        }
        printf("hold_%s_us %.2f\nhold_%s_longest_us %.2f\nlocks_%s %u\n",
            kind_names[k], (double)most_ns / 1000, kind_names[k],
            (double)timing.longest_ns[k] / 1000, kind_names[k], locks);
        good = good && locks != 0 && (double)most_ns / 1000 <= HOLD_LIMIT_US;
    }
    return good;
}

static bool refresh_often(void)
{
    const struct timespec pause = {0, 1000000};
    for (unsigned i = 0; i < LOOKS; i++) {
        uint64_t epoch = 1;
        timing.next = 0;
        timing.visits = 0;
        timing.visits_ns = 0;
        if (je_mallctl("epoch", NULL, NULL, &epoch, sizeof(epoch)) != 0) {
            return false;
        }
        nanosleep(&pause, NULL);
    }
    return true;
}

int main(void)
{
    pthread_t threads[THREADS];
    unsigned ids[2 * AT_ONCE];
    size_t len = sizeof(ids[0]);
    /* Enough caches for a hold of the register to be a long one. */
    for (unsigned i = 0; i < 2 * AT_ONCE; i++) {
        if (je_mallctl("tcache.create", &ids[i], &len, NULL, 0) != 0) {
            return 1;
        }
    }
    for (uintptr_t i = 0; i < THREADS; i++) {
        if (pthread_create(&threads[i], NULL, work, (void *)i) != 0) {
            return 1;
        }
    }
    const struct timespec warm = {0, 300000000};
    nanosleep(&warm, NULL);
    bool refreshed = refresh_often();
    atomic_store(&stop, true);
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    return report() && refreshed ? 0 : 1;
}
