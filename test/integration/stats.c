/*
 * What: what the statistics promise about each other, after random work by
 * several threads came to rest: sums, inequalities, exact requests.
 *
 * Invariants: (I1) numbers are compared when every other thread stands at
 * the barrier; (I2) the seed is fixed: what differs is the schedule.
 *
 * Locking: the barrier; blocks change hands through atomic slots.
 */
#include "harness.h"
#include <jemalloc/jemalloc.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *malloc_conf = "narenas:4";

#define THREADS 8
#define ROUNDS  3
#define STEPS   8000
#define SLOTS   512
#define ALL     4096

static struct {
    pthread_barrier_t barrier;
    void *_Atomic slots[SLOTS];
    atomic_bool stop;
} shared;

/* ---- reading ---- */

static uint64_t read_name(const char *name)
{
    uint64_t value = 0;
    size_t len = sizeof(value);
    int error = mallctl(name, &value, &len, NULL, 0);
    if (error != 0) { /* a narrower type */
        value = 0;
        len = sizeof(uint32_t);
        error = mallctl(name, &value, &len, NULL, 0);
    }
    if (error != 0) {
        test_note("%s: error %d", name, error);
    }
    EXPECT_EQ_I64(error, 0);
    return value;
}

static uint64_t of_arena(unsigned arena, const char *what)
{
    char name[128];
    snprintf(name, sizeof(name), "stats.arenas.%u.%s", arena, what);
    return read_name(name);
}

static uint64_t of_class(
    unsigned arena, const char *kind, unsigned i, const char *what)
{
    char name[128];
    snprintf(
        name, sizeof(name), "stats.arenas.%u.%s.%u.%s", arena, kind, i, what);
    return read_name(name);
}

static void refresh(void)
{
    uint64_t epoch = 1;
    REQUIRE(mallctl("epoch", NULL, NULL, &epoch, sizeof(epoch)) == 0);
}

static bool is_initialised(unsigned arena)
{
    char name[64];
    bool yes = false;
    size_t len = sizeof(yes);
    snprintf(name, sizeof(name), "arena.%u.initialized", arena);
    return mallctl(name, &yes, &len, NULL, 0) == 0 && yes;
}

/* ---- what must hold ---- */

static void check_totals(void)
{
    uint64_t allocated = read_name("stats.allocated");
    uint64_t active = read_name("stats.active");
    uint64_t resident = read_name("stats.resident");
    uint64_t mapped = read_name("stats.mapped");
    uint64_t metadata = read_name("stats.metadata");
    EXPECT_LE_U64(allocated, active);
    EXPECT_LT_U64(active, resident);
    EXPECT_LE_U64(resident, mapped);
    EXPECT_EQ_U64((active | resident | mapped) % 4096, 0);
    EXPECT_EQ_U64(read_name("stats.retained") % 4096, 0);
    EXPECT_LE_U64(
        read_name("stats.metadata_edata") + read_name("stats.metadata_rtree"),
        metadata);
    EXPECT_EQ_U64(allocated,
        of_arena(ALL, "small.allocated") + of_arena(ALL, "large.allocated"));
    EXPECT_EQ_U64(active, of_arena(ALL, "pactive") * 4096);
    EXPECT_EQ_U64(metadata, of_arena(ALL, "base") + of_arena(ALL, "internal"));
    EXPECT_EQ_U64(mapped, of_arena(ALL, "mapped"));
    EXPECT_EQ_U64(resident, of_arena(ALL, "resident"));
    EXPECT_EQ_U64(read_name("stats.retained"), of_arena(ALL, "retained"));
}

static void check_merged(void)
{
    static const char *const added[] = {"nthreads", "pactive", "pdirty",
        "pmuzzy", "dirty_npurge", "dirty_nmadvise", "dirty_purged", "mapped",
        "retained", "base", "metadata_edata", "metadata_rtree", "tcache_bytes",
        "resident", "extent_avail", "small.allocated", "small.nmalloc",
        "small.ndalloc", "small.nrequests", "small.nfills", "small.nflushes",
        "large.allocated", "large.nmalloc", "large.ndalloc", "large.nrequests",
        "large.nfills", "large.nflushes", "mutexes.large.num_ops",
        "mutexes.base.num_ops"};
    unsigned narenas = (unsigned)read_name("arenas.narenas");
    for (size_t i = 0; i < sizeof(added) / sizeof(added[0]); i++) {
        uint64_t sum = 0;
        for (unsigned a = 0; a < narenas; a++) {
            sum += is_initialised(a) ? of_arena(a, added[i]) : 0;
        }
        if (sum != of_arena(ALL, added[i])) {
            test_note("%s", added[i]);
        }
        EXPECT_EQ_U64(of_arena(ALL, added[i]), sum);
    }
    EXPECT_LE_U64(
        of_arena(ALL, "dirty_nmadvise"), of_arena(ALL, "dirty_purged"));
    EXPECT_LE_U64(
        of_arena(ALL, "muzzy_nmadvise"), of_arena(ALL, "muzzy_purged"));
}

static void check_bins(unsigned arena)
{
    uint64_t sum[6] = {0};
    unsigned nbins = (unsigned)read_name("arenas.nbins");
    for (unsigned i = 0; i < nbins; i++) {
        char name[64];
        snprintf(name, sizeof(name), "arenas.bin.%u.size", i);
        uint64_t size = read_name(name);
        snprintf(name, sizeof(name), "arenas.bin.%u.nregs", i);
        uint64_t nregs = read_name(name);
        uint64_t nmalloc = of_class(arena, "bins", i, "nmalloc");
        uint64_t ndalloc = of_class(arena, "bins", i, "ndalloc");
        uint64_t curregs = of_class(arena, "bins", i, "curregs");
        uint64_t curslabs = of_class(arena, "bins", i, "curslabs");
        EXPECT_EQ_U64(nmalloc - ndalloc, curregs);
        EXPECT_LE_U64(curregs, curslabs * nregs);
        EXPECT_LE_U64(of_class(arena, "bins", i, "nonfull_slabs"), curslabs);
        EXPECT_LE_U64(curslabs, of_class(arena, "bins", i, "nslabs"));
        sum[0] += curregs * size;
        sum[1] += nmalloc;
        sum[2] += ndalloc;
        sum[3] += of_class(arena, "bins", i, "nrequests");
        sum[4] += of_class(arena, "bins", i, "nfills");
        sum[5] += of_class(arena, "bins", i, "nflushes");
    }
    EXPECT_EQ_U64(sum[0], of_arena(arena, "small.allocated"));
    EXPECT_EQ_U64(sum[1], of_arena(arena, "small.nmalloc"));
    EXPECT_EQ_U64(sum[2], of_arena(arena, "small.ndalloc"));
    EXPECT_EQ_U64(sum[3], of_arena(arena, "small.nrequests"));
    EXPECT_EQ_U64(sum[4], of_arena(arena, "small.nfills"));
    EXPECT_EQ_U64(sum[5], of_arena(arena, "small.nflushes"));
}

static void check_large(unsigned arena)
{
    uint64_t sum[3] = {0};
    unsigned count = (unsigned)read_name("arenas.nlextents");
    for (unsigned i = 0; i < count; i++) {
        uint64_t nmalloc = of_class(arena, "lextents", i, "nmalloc");
        uint64_t ndalloc = of_class(arena, "lextents", i, "ndalloc");
        uint64_t nrequests = of_class(arena, "lextents", i, "nrequests");
        EXPECT_EQ_U64(
            nmalloc - ndalloc, of_class(arena, "lextents", i, "curlextents"));
        sum[0] += nmalloc;
        sum[1] += ndalloc;
        sum[2] += nrequests;
    }
    EXPECT_EQ_U64(sum[0], of_arena(arena, "large.nmalloc"));
    EXPECT_EQ_U64(sum[1], of_arena(arena, "large.ndalloc"));
    EXPECT_EQ_U64(sum[2], of_arena(arena, "large.nrequests"));
    EXPECT_EQ_U64(sum[0], of_arena(arena, "large.nfills"));
    EXPECT_GE_U64(sum[2], sum[0]);
}

/* Classes of whole pages: as many as there are addresses for. */
#define PAGE_CLASSES (sizeof(void *) == 8 ? 199U : 71U)

/* The table of free extents is what the pages say. */
static void check_extents(unsigned arena)
{
    uint64_t dirty = 0;
    uint64_t retained = 0;
    for (unsigned i = 0; i < PAGE_CLASSES; i++) {
        dirty += of_class(arena, "extents", i, "dirty_bytes");
        retained += of_class(arena, "extents", i, "retained_bytes");
    }
    EXPECT_EQ_U64(dirty, of_arena(arena, "pdirty") * 4096);
    EXPECT_EQ_U64(retained, of_arena(arena, "retained"));
}

static void check_all(void)
{
    refresh();
    check_totals();
    check_merged();
    for (unsigned a = 0; a < 4; a++) {
        if (is_initialised(a)) {
            check_bins(a);
            check_large(a);
            check_extents(a);
        }
    }
    check_bins(ALL);
    check_large(ALL);
    check_extents(ALL);
}

/* ---- load ---- */

static uint64_t draw(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static size_t draw_size(uint64_t *state)
{
    uint64_t bits = draw(state);
    return (size_t)(bits >> 8) % ((size_t)16 << (bits % 14)) + 1;
}

/* NULL, or a new block, made in one way or another. */
static void *draw_block(uint64_t *state)
{
    size_t size = draw_size(state);
    switch (draw(state) % 12) {
    case 0:
    case 1:
    case 2:
        return NULL;
    case 3:
        return calloc(1, size);
    case 4:
        return aligned_alloc((size_t)16 << draw(state) % 10, size);
    default:
        return malloc(size);
    }
}

static void step(uint64_t *state)
{
    void *_Atomic *slot = &shared.slots[draw(state) % SLOTS];
    if (draw(state) % 4 != 0) {
        free(atomic_exchange(slot, draw_block(state)));
        return;
    }
    void *old = atomic_exchange(slot, NULL);
    void *resized = realloc(old, draw_size(state));
    free(atomic_exchange(slot, resized));
}

static void *work(void *opaque)
{
    uint64_t state = 0x9e3779b97f4a7c15ULL * ((uintptr_t)opaque + 1);
    for (unsigned round = 0; round < ROUNDS; round++) {
        for (unsigned i = 0; i < STEPS; i++) {
            step(&state);
        }
        pthread_barrier_wait(&shared.barrier);
        pthread_barrier_wait(&shared.barrier);
    }
    return NULL;
}

static void *watch(void *opaque)
{
    uint64_t before = 0;
    (void)opaque;
    while (!atomic_load(&shared.stop)) {
        refresh();
        uint64_t now = of_arena(ALL, "small.nrequests");
        EXPECT_GE_U64(now, before);
        before = now;
    }
    return NULL;
}

/* ---- the end of an arena ---- */

#define ENDED 4097

static const char *const cumulative[] = {"small.nmalloc", "small.ndalloc",
    "small.nrequests", "small.nfills", "small.nflushes", "large.nmalloc",
    "large.ndalloc", "large.nrequests", "large.nfills", "large.nflushes"};
#define CUMULATIVE (sizeof(cumulative) / sizeof(cumulative[0]))

/* What it counted goes to those that ended, and is no part of the merged one.
 */
static void end_arena(unsigned arena)
{
    char name[64];
    uint64_t before[CUMULATIVE];
    int flags = (int)(MALLOCX_ARENA(arena) | MALLOCX_TCACHE_NONE);
    for (size_t size = 1; size < 200000; size = size * 3 / 2 + 1) {
        dallocx(mallocx(size, flags), MALLOCX_TCACHE_NONE);
    }
    snprintf(name, sizeof(name), "arena.%u.purge", arena);
    EXPECT_EQ_I64(mallctl(name, NULL, NULL, NULL, 0), 0);
    check_all();
    for (size_t i = 0; i < CUMULATIVE; i++) {
        before[i] = of_arena(arena, cumulative[i]);
    }
    EXPECT_GT_U64(before[0], 0);
    EXPECT_GT_U64(before[5], 0);
    uint64_t purged = of_arena(arena, "dirty_purged");
    snprintf(name, sizeof(name), "arena.%u.destroy", arena);
    EXPECT_EQ_I64(mallctl(name, NULL, NULL, NULL, 0), 0);
    check_all();
    for (size_t i = 0; i < CUMULATIVE; i++) {
        EXPECT_EQ_U64(of_arena(ENDED, cumulative[i]), before[i]);
    }
    /* More, by the empty slabs that its bins held. */
    EXPECT_GE_U64(of_arena(ENDED, "dirty_purged"), purged);
    check_bins(ENDED);
    check_large(ENDED);
}

TEST(numbers_fit_together)
{
    pthread_t threads[THREADS];
    pthread_t watcher;
    unsigned ended;
    size_t len = sizeof(ended);
    REQUIRE(pthread_barrier_init(&shared.barrier, NULL, THREADS + 1) == 0);
    REQUIRE(mallctl("arenas.create", &ended, &len, NULL, 0) == 0);
    for (uintptr_t i = 0; i < THREADS; i++) {
        REQUIRE(pthread_create(&threads[i], NULL, work, (void *)i) == 0);
    }
    for (unsigned round = 0; round < ROUNDS; round++) {
        atomic_store(&shared.stop, false);
        REQUIRE(pthread_create(&watcher, NULL, watch, NULL) == 0);
        pthread_barrier_wait(&shared.barrier);
        atomic_store(&shared.stop, true);
        pthread_join(watcher, NULL);
        check_all();
        if (round == 1) {
            end_arena(ended);
        }
        pthread_barrier_wait(&shared.barrier);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    check_all();
    for (unsigned i = 0; i < SLOTS; i++) {
        free(atomic_exchange(&shared.slots[i], NULL));
    }
    check_all();
}

/* ---- requests ---- */

#define REQUESTS 5000

static void *request(void *opaque)
{
    unsigned arena = (unsigned)(uintptr_t)opaque;
    if (mallctl("thread.arena", NULL, NULL, &arena, sizeof(arena)) != 0) {
        return opaque;
    }
    for (unsigned i = 0; i < REQUESTS; i++) {
        void *volatile block = malloc(1 + i % 5000);
        free(block);
    }
    pthread_barrier_wait(&shared.barrier);
    pthread_barrier_wait(&shared.barrier);
    return NULL;
}

/* Of threads that sleep, and of those that are gone. */
TEST(requests_are_exact)
{
    pthread_t threads[2];
    unsigned arena;
    size_t len = sizeof(arena);
    REQUIRE(mallctl("arenas.create", &arena, &len, NULL, 0) == 0);
    REQUIRE(pthread_barrier_init(&shared.barrier, NULL, 3) == 0);
    for (unsigned i = 0; i < 2; i++) {
        REQUIRE(pthread_create(
                    &threads[i], NULL, request, (void *)(uintptr_t)arena) == 0);
    }
    pthread_barrier_wait(&shared.barrier);
    refresh();
    EXPECT_EQ_U64(of_arena(arena, "small.nrequests"), 2 * REQUESTS);
    pthread_barrier_wait(&shared.barrier);
    for (unsigned i = 0; i < 2; i++) {
        void *failed = NULL;
        pthread_join(threads[i], &failed);
        EXPECT_EQ_PTR(failed, NULL);
    }
    refresh();
    EXPECT_EQ_U64(of_arena(arena, "small.nrequests"), 2 * REQUESTS);
    EXPECT_EQ_U64(of_arena(arena, "small.allocated"), 0);
    EXPECT_EQ_U64(of_arena(arena, "tcache_bytes"), 0);
}

int main(void)
{
    return test_run(
        TEST_CASE(numbers_fit_together), TEST_CASE(requests_are_exact), NULL);
}
