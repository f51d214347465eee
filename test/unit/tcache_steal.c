/*
 * What: caches are emptied while their threads sleep, and while they do not:
 * a thread steals from everybody without a pause, as the others allocate,
 * free, and look after each byte.
 *
 * Invariants: (I1) no block has two owners; (I2) nothing is lost: what all
 * threads hold in the end is what they allocated.
 *
 * Locking: none.
 */
#include "cache/tcache_steal.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cache/tcache_table.h"
#include "harness.h"
#include "thread/tsd.h"

const char *je_malloc_conf = "junk:false,debug_double_free_max_scan:0,"
                             "background_thread:false";

static void need_barrier(void)
{
    if (!os_barrier_everywhere()) {
        test_skip("no membarrier here");
    }
}

static size_t cached_bytes(const tcache_t *tcache)
{
    size_t bytes = 0;
    for (unsigned c = 1; c < TCACHE_BIN_COUNT; c++) {
        bytes += tcache_cached(tcache, c) * sizeclass_size(c - 1);
    }
    return bytes;
}

static uint64_t regions_in_use(void)
{
    size_t count = 0;
    size_t size = sizeof(count);
    uint64_t epoch = 1;
    REQUIRE(je_mallctl("epoch", NULL, NULL, &epoch, sizeof(epoch)) == 0);
    REQUIRE(je_mallctl("stats.allocated", &count, &size, NULL, 0) == 0);
    return count;
}

/* One block of each class that the fast path pops, if there is one. */
static size_t top_bytes(const tcache_t *tcache)
{
    size_t bytes = 0;
    for (size_t c = 1; c <= sizeclass_lookup(SC_LOOKUP_MAX); c++) {
        bytes += tcache_cached(tcache, c) == 0 ? 0 : sizeclass_size(c - 1);
    }
    return bytes;
}

/* ---- a thread that sleeps ---- */

#define BLOCKS 100

static const size_t sizes[] = {8, 64, 500, 4096, 5000, 14000, 32768};
#define SIZES (sizeof(sizes) / sizeof(sizes[0]))

static void fill_cache(void)
{
    static JE_THREAD_LOCAL void *p[BLOCKS];
    for (unsigned round = 0; round < 4 * SIZES; round++) {
        for (unsigned i = 0; i < BLOCKS; i++) {
            p[i] = je_malloc(sizes[round % SIZES]);
            REQUIRE(p[i] != NULL);
        }
        for (unsigned i = 0; i < BLOCKS; i++) {
            je_free(p[i]);
        }
    }
}

TEST(sleeper_is_emptied)
{
    need_barrier();
    fill_cache();
    tcache_t *tcache = &tsd_self->tcache;
    size_t before = cached_bytes(tcache);
    size_t top = top_bytes(tcache);
    EXPECT_GE_U64(before, 100000);
    EXPECT_GE_U64(top, 4096);
    (void)tcache_table_reclaim_idle(); /* sees that it was active */
    EXPECT_EQ_U64(cached_bytes(tcache), before);
    EXPECT(tcache_table_reclaim_idle());
    EXPECT_EQ_U64(cached_bytes(tcache), top);
    EXPECT(!tcache_table_reclaim_idle());
    /* The owner is back. */
    void *p[4];
    for (unsigned i = 0; i < 4; i++) {
        p[i] = je_malloc(sizes[i]);
        REQUIRE(p[i] != NULL);
    }
    EXPECT_EQ_PTR(tsd_door, &tcache->bins);
    EXPECT(!tcache->owner.claimed);
    for (unsigned i = 0; i < 4; i++) {
        je_free(p[i]);
    }
    fill_cache();
    EXPECT_GE_U64(cached_bytes(tcache), 100000);
}

TEST(counters_agree)
{
    need_barrier();
    fill_cache();
    uint64_t allocated[2];
    uint64_t freed[2];
    tsd_traffic(tsd_self, &allocated[0], &freed[0]);
    uint64_t in_use = regions_in_use();
    (void)tcache_table_reclaim_idle();
    (void)tcache_table_reclaim_idle();
    tsd_traffic(tsd_self, &allocated[1], &freed[1]);
    EXPECT_EQ_U64(allocated[1], allocated[0]);
    EXPECT_EQ_U64(freed[1], freed[0]);
    EXPECT_LT_U64(regions_in_use(), in_use);
}

/* Less than a page is not worth a thread's open door. */
TEST(little_is_left_alone)
{
    je_free(je_malloc(8));
    tsd_flush(tsd_self);
    je_free(je_malloc(8));
    (void)tcache_table_reclaim_idle();
    (void)tcache_table_reclaim_idle();
    EXPECT_EQ_PTR(tsd_door, &tsd_self->tcache.bins);
}

/* A free, an allocation and a pair of them are seen; no call is none. */
TEST(what_counts_as_activity)
{
    void *p = je_malloc(64);
    tcache_t *tcache = &tsd_self->tcache;
    EXPECT(tcache_was_active(tcache));
    EXPECT(!tcache_was_active(tcache));
    je_free(p);
    EXPECT(tcache_was_active(tcache));
    p = je_malloc(64);
    EXPECT(tcache_was_active(tcache));
    je_free(p);
    EXPECT(tcache_was_active(tcache));
    je_free(je_malloc(64));
    EXPECT(tcache_was_active(tcache));
    EXPECT(!tcache_was_active(tcache));
}

/* More than are emptied at a time. */
#define SLEEPERS (2 * TCACHE_STEAL_BATCH + 1)

static pthread_barrier_t filled, looked_at;
static tcache_t *sleepers[SLEEPERS];

static void *sleep_with_a_full_cache(void *arg)
{
    fill_cache();
    *(tcache_t **)arg = &tsd_self->tcache;
    pthread_barrier_wait(&filled);
    pthread_barrier_wait(&looked_at);
    return NULL;
}

TEST(many_sleepers_are_emptied)
{
    need_barrier();
    pthread_t threads[SLEEPERS];
    pthread_barrier_init(&filled, NULL, SLEEPERS + 1);
    pthread_barrier_init(&looked_at, NULL, SLEEPERS + 1);
    for (unsigned i = 0; i < SLEEPERS; i++) {
        REQUIRE(pthread_create(&threads[i], NULL, sleep_with_a_full_cache,
                    &sleepers[i]) == 0);
    }
    pthread_barrier_wait(&filled);
    (void)tcache_table_reclaim_idle();
    (void)tcache_table_reclaim_idle();
    for (unsigned i = 0; i < SLEEPERS; i++) {
        EXPECT_LE_U64(cached_bytes(sleepers[i]), 32768);
    }
    pthread_barrier_wait(&looked_at);
    for (unsigned i = 0; i < SLEEPERS; i++) {
        pthread_join(threads[i], NULL);
    }
}

/* Who is in a slow call keeps what it has, and finds its way back. */
TEST(busy_thread_is_left_alone)
{
    need_barrier();
    fill_cache();
    tsd_t *tsd = tsd_self;
    (void)tcache_table_reclaim_idle();
    size_t before = cached_bytes(&tsd->tcache);
    tsd_enter(tsd);
    EXPECT(tcache_table_reclaim_idle());
    EXPECT_EQ_U64(cached_bytes(&tsd->tcache), before);
    tsd_leave(tsd);
    EXPECT(tsd->tcache.owner.claimed);
    tsd_open_door();
    EXPECT(tsd_door != &tsd->tcache.bins);
    /* It is tried again. */
    EXPECT(tcache_table_reclaim_idle());
    EXPECT_LT_U64(cached_bytes(&tsd->tcache), before);
    je_free(je_malloc(8));
    EXPECT_EQ_PTR(tsd_door, &tsd->tcache.bins);
}

/* ---- threads that do not sleep ---- */

#define WORKERS    3
#define HELD       256
#define ROUNDS     100000 /* of each worker, at least */
#define STEALS     1000   /* from all of them, at least */
#define INTERRUPTS 1000   /* of each worker, at least */
#define APART      20     /* rounds for each interruption */

typedef struct {
    pthread_t thread;
    uint64_t seed;
    _Atomic unsigned rounds;
    _Atomic unsigned interrupts;
} worker_t;

static worker_t workers[WORKERS];
static JE_THREAD_LOCAL worker_t *self;
static _Atomic bool enough;

typedef struct {
    unsigned char *p;
    size_t size;
    unsigned char byte;
} held_t;

static void check_and_free(held_t *held)
{
    if (held->p != NULL) {
        REQUIRE(held->p[0] == held->byte);
        REQUIRE(held->p[held->size / 2] == held->byte);
        REQUIRE(held->p[held->size - 1] == held->byte);
        je_free(held->p);
        held->p = NULL;
    }
}

static void *work(void *arg)
{
    static JE_THREAD_LOCAL held_t held[HELD];
    self = arg;
    uint64_t random = self->seed * 0x9e3779b97f4a7c15ULL + 1;
    while (!atomic_load(&enough)) {
        random = random * 6364136223846793005ULL + 1442695040888963407ULL;
        held_t *h = &held[random >> 33 & (HELD - 1)];
        check_and_free(h);
        h->size = sizes[(random >> 45) % SIZES] - (random >> 50) % 8;
        h->byte = (unsigned char)(random >> 56);
        h->p = je_malloc(h->size);
        REQUIRE(h->p != NULL);
        h->p[0] = h->byte;
        h->p[h->size / 2] = h->byte;
        h->p[h->size - 1] = h->byte;
        atomic_fetch_add(&self->rounds, 1);
    }
    for (unsigned i = 0; i < HELD; i++) {
        check_and_free(&held[i]);
    }
    return NULL;
}

/* Stops a thread wherever it is, for a moment. */
static void on_signal(int signal)
{
    (void)signal;
    atomic_fetch_add(&self->interrupts, 1);
    usleep(300);
}

static bool is_tried(unsigned steals, unsigned interrupts)
{
    bool tried = steals >= STEALS;
    for (unsigned i = 0; i < WORKERS; i++) {
        tried = tried && atomic_load(&workers[i].rounds) >= ROUNDS &&
                atomic_load(&workers[i].interrupts) >= interrupts;
    }
    return tried;
}

/*
 * As fast as it goes, but no more than there was work between: where signals
 * and system calls are slow, a thread would else do nothing but handle them.
 */
static void interrupt_all(void)
{
    for (unsigned i = 0; i < WORKERS; i++) {
        worker_t *worker = &workers[i];
        unsigned interrupts = atomic_load(&worker->interrupts);
        if (atomic_load(&worker->rounds) > interrupts * APART) {
            REQUIRE(pthread_kill(worker->thread, SIGUSR1) == 0);
        }
    }
}

/* All go on until each has done and suffered its share. */
static void steal_from_awake(unsigned interrupts)
{
    atomic_store(&enough, false);
    for (unsigned i = 0; i < WORKERS; i++) {
        worker_t *worker = &workers[i];
        *worker = (worker_t){.seed = i};
        REQUIRE(pthread_create(&worker->thread, NULL, work, worker) == 0);
    }
    for (unsigned steals = 0; !is_tried(steals, interrupts); steals++) {
        if (interrupts > 0) {
            interrupt_all();
        }
        (void)tcache_table_reclaim_all_for_test();
    }
    atomic_store(&enough, true);
    for (unsigned i = 0; i < WORKERS; i++) {
        pthread_join(workers[i].thread, NULL);
    }
}

TEST(awake_threads_lose_nothing)
{
    need_barrier();
    uint64_t before = regions_in_use();
    steal_from_awake(0);
    tsd_flush(tsd_self);
    EXPECT_LE_U64(regions_in_use(), before);
}

TEST(interrupted_threads_lose_nothing)
{
    need_barrier();
    struct sigaction action = {.sa_handler = on_signal};
    action.sa_flags = SA_RESTART;
    REQUIRE(sigaction(SIGUSR1, &action, NULL) == 0);
    steal_from_awake(INTERRUPTS);
}

int main(void)
{
    je_free(je_malloc(1));
    return test_run(TEST_CASE(sleeper_is_emptied), TEST_CASE(counters_agree),
        TEST_CASE(little_is_left_alone), TEST_CASE(what_counts_as_activity),
        TEST_CASE(many_sleepers_are_emptied),
        TEST_CASE(busy_thread_is_left_alone),
        TEST_CASE(awake_threads_lose_nothing),
        TEST_CASE(interrupted_threads_lose_nothing), NULL);
}
