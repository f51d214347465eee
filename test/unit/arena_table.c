/*
 * What: which arena a thread gets, what slots the program's own arenas get,
 * and who may be destroyed. Each case runs in a child, so that it finds the
 * table as boot left it.
 *
 * Invariants: (I1) the program asks for five automatic arenas, so nothing
 * depends on the machine's CPUs.
 *
 * Locking: the table's.
 */
#include "arena/arena_table.h"

#include <errno.h>
#include <sched.h>
#include <string.h>

#include "arena/block.h"
#include "conf/conf_boot.h"
#include "harness.h"
#include "os/os.h"

const char *je_malloc_conf = "narenas:5,oversize_threshold:8388608,tcache:true";

#define AUTO     5
#define OVERSIZE AUTO

/* Runs a case in a child; what failed there was said on its stderr. */
static void in_child(void (*fn)(void *))
{
    static test_child_t child;
    je_free(je_malloc(1)); /* boots, binds this thread to arena 0 */
    child = test_in_child(fn, NULL);
    EXPECT_EQ_I64(child.status, 0);
    EXPECT_EQ_STR(child.err, "");
}

static arena_t *make(void)
{
    int error = 0;
    arena_t *arena = arena_table_create(&extent_hooks_default, true, &error);
    REQUIRE(arena != NULL);
    EXPECT(arena->manual);
    EXPECT_EQ_PTR(arena_table_lookup(arena->ind), arena);
    return arena;
}

static void least_loaded(void *arg)
{
    (void)arg;
    EXPECT_EQ_U64(arena_table_nthreads(arena_table_first()), 1);
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = round == 0; i < AUTO; i++) {
            EXPECT_EQ_U64(arena_table_bind()->ind, i);
        }
    }
    for (unsigned i = 0; i < AUTO; i++) {
        EXPECT_EQ_U64(arena_table_nthreads(arena_table_lookup(i)), 3);
    }
    arena_table_unbind(arena_table_lookup(3));
    arena_table_unbind(arena_table_lookup(1));
    EXPECT_EQ_U64(arena_table_bind()->ind, 1);
    EXPECT_EQ_U64(arena_table_bind()->ind, 3);
    EXPECT_EQ_U64(arena_table_bind()->ind, 0);
    arena_table_unbind(arena_table_lookup(4));
    arena_table_unbind(arena_table_lookup(4));
    EXPECT_EQ_U64(arena_table_bind()->ind, 4);
    arena_table_bind_to(arena_table_lookup(4));
    EXPECT_EQ_U64(arena_table_nthreads(arena_table_lookup(4)), 3);
}

TEST(threads_go_to_the_least_loaded)
{
    in_child(least_loaded);
}

/* The first arena again, without anybody in it, is the lowest of all. */
static void nobody_left(void *arg)
{
    (void)arg;
    arena_table_unbind(arena_table_first());
    EXPECT_EQ_U64(arena_table_bind()->ind, 0);
    EXPECT_EQ_U64(arena_table_bind()->ind, 1);
}

TEST(an_empty_first_arena_is_taken)
{
    in_child(nobody_left);
}

static void slots(void *arg)
{
    (void)arg;
    EXPECT_EQ_U64(arena_table_narenas(), AUTO + 1);
    for (unsigned i = 0; i < 6; i++) {
        EXPECT_EQ_U64(make()->ind, AUTO + 1 + i);
    }
    EXPECT_EQ_U64(arena_table_narenas(), AUTO + 7);
    EXPECT_EQ_I64(arena_table_destroy(AUTO + 2), 0);
    EXPECT_EQ_I64(arena_table_destroy(AUTO + 5), 0);
    EXPECT_EQ_PTR(arena_table_lookup(AUTO + 2), NULL);
    EXPECT_EQ_U64(arena_table_narenas(), AUTO + 7);
    EXPECT_EQ_U64(make()->ind, AUTO + 5);
    EXPECT_EQ_U64(make()->ind, AUTO + 2);
    EXPECT_EQ_U64(make()->ind, AUTO + 7);
}

TEST(slots_of_destroyed_arenas_are_reused)
{
    in_child(slots);
}

static void refusals(void *arg)
{
    (void)arg;
    (void)arena_table_narenas();
    EXPECT_EQ_I64(arena_table_destroy(0), EFAULT);
    EXPECT_EQ_I64(arena_table_destroy(1), EFAULT);
    EXPECT_EQ_I64(arena_table_destroy(AUTO + 1), EFAULT);
    EXPECT_EQ_I64(arena_table_destroy(ARENA_LIMIT), EFAULT);
    EXPECT_EQ_I64(arena_table_destroy((unsigned)-1), EFAULT);
    arena_t *arena = make();
    unsigned ind = arena->ind;
    arena_table_bind_to(arena);
    EXPECT_EQ_I64(arena_table_destroy(ind), EFAULT);
    arena_table_unbind(arena);
    EXPECT_EQ_I64(arena_table_destroy(ind), 0);
    EXPECT_EQ_I64(arena_table_destroy(ind), EFAULT);
}

TEST(what_may_not_be_destroyed)
{
    in_child(refusals);
}

static void lookup_and_get(void *arg)
{
    (void)arg;
    EXPECT_EQ_U64(arena_table_narenas_auto(), AUTO);
    EXPECT_EQ_PTR(arena_table_lookup(2), NULL);
    arena_t *second = arena_table_get(2);
    REQUIRE(second != NULL);
    EXPECT_EQ_U64(second->ind, 2);
    EXPECT(!second->manual);
    EXPECT_EQ_STR(second->name, "auto_2");
    EXPECT_EQ_PTR(arena_table_lookup(2), second);
    EXPECT_EQ_PTR(arena_table_get(2), second);
    EXPECT_EQ_PTR(arena_table_get(AUTO + 1), NULL);
    EXPECT_EQ_PTR(arena_table_get(ARENA_LIMIT), NULL);
    EXPECT_EQ_PTR(arena_table_lookup((unsigned)-1), NULL);
    arena_t *manual = make();
    EXPECT_EQ_PTR(arena_table_get(manual->ind), manual);
    EXPECT_EQ_STR(manual->name, "manual_6");
}

TEST(finding_and_making)
{
    in_child(lookup_and_get);
}

static void oversize(void *arg)
{
    (void)arg;
    EXPECT_EQ_U64(arena_table_oversize_threshold(), 8388608);
    EXPECT_EQ_PTR(arena_table_lookup(OVERSIZE), NULL);
    je_free(je_malloc(8388608 - 4096));
    EXPECT_EQ_PTR(arena_table_lookup(OVERSIZE), NULL);
    je_free(je_malloc(8388608));
    arena_t *arena = arena_table_lookup(OVERSIZE);
    REQUIRE(arena != NULL);
    EXPECT_EQ_PTR(arena_table_oversize(), arena);
    EXPECT_EQ_PTR(arena_table_get(OVERSIZE), arena);
    EXPECT_EQ_STR(arena->name, "auto_oversize");
    /* Little of what is freed there stays, and not for long. */
    const extent_set_t *dirty = &arena->pages.sets[PAGE_SET_DIRTY];
    EXPECT_GE_U64(dirty->bytes, 8388608);
    void *p[3];
    for (unsigned i = 0; i < 3; i++) {
        p[i] = je_malloc(OVERSIZE_DIRTY_BYTES / 2);
        REQUIRE(p[i] != NULL);
    }
    for (unsigned i = 0; i < 3; i++) {
        je_free(p[i]);
        EXPECT_LE_U64(dirty->bytes, OVERSIZE_DIRTY_BYTES);
    }
    je_free(je_malloc(OVERSIZE_DIRTY_BYTES / 2));
    EXPECT_NE_U64(dirty->bytes, 0);
    je_free(je_malloc(2 * OVERSIZE_DIRTY_BYTES));
    EXPECT_LE_U64(dirty->bytes, OVERSIZE_DIRTY_BYTES);
    uint64_t now = os_clock_ns();
    for (unsigned ms = 0; ms <= 2 * OVERSIZE_DECAY_MS; ms++) {
        page_purge_decay(&arena->pages, now + ms * 1000000ULL);
    }
    EXPECT_EQ_U64(dirty->bytes, 0);
    EXPECT_EQ_U64(arena->pages.sets[PAGE_SET_MUZZY].bytes, 0);
    /* And threads are never sent there. */
    for (unsigned i = 0; i < 3 * AUTO; i++) {
        EXPECT_LT_U64(arena_table_bind()->ind, AUTO);
    }
}

TEST(huge_requests_have_their_arena)
{
    in_child(oversize);
}

/* Asked for by its number, it need not have been there before. */
static void oversize_by_number(void *arg)
{
    (void)arg;
    EXPECT_EQ_PTR(arena_table_lookup(OVERSIZE), NULL);
    arena_t *arena = arena_table_get(OVERSIZE);
    REQUIRE(arena != NULL);
    EXPECT_EQ_U64(arena->ind, OVERSIZE);
    EXPECT_EQ_STR(arena->name, "auto_oversize");
    EXPECT_EQ_PTR(arena_table_oversize(), arena);
}

TEST(the_arena_of_huge_requests_by_number)
{
    in_child(oversize_by_number);
}

static void ratio(void *arg)
{
    conf_opt_t changed = opt;
    changed.oversize_threshold = *(size_t *)arg;
    conf_reset_for_test(&changed);
    EXPECT_EQ_U64(arena_table_oversize_threshold(), SIZE_MAX);
    EXPECT_EQ_PTR(arena_table_oversize(), NULL);
    EXPECT_EQ_U64(arena_table_narenas(), AUTO);
    EXPECT_EQ_U64(make()->ind, AUTO);
}

TEST(thresholds_that_switch_it_off)
{
    static test_child_t child;
    size_t thresholds[] = {0, SC_LARGE_MIN - 1, SC_MAX + 1, SIZE_MAX};
    je_free(je_malloc(1));
    for (unsigned i = 0; i < 4; i++) {
        child = test_in_child(ratio, &thresholds[i]);
        EXPECT_EQ_I64(child.status, 0);
        EXPECT_EQ_STR(child.err, "");
    }
}

/* One for each CPU, or for two of them, but never none. */
static void percpu(void *arg)
{
    const unsigned *asked = arg;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(sched_getcpu(), &one);
    if (asked[1] == 1) {
        REQUIRE(sched_setaffinity(0, sizeof(one), &one) == 0);
    }
    conf_opt_t changed = opt;
    changed.narenas = 0;
    changed.percpu_arena = (int)asked[0];
    conf_reset_for_test(&changed);
    unsigned cpus = os_cpu_count();
    unsigned per_arena =
        cpus > 1 && changed.percpu_arena == CONF_PERCPU_PHYCPU ? 2 : 1;
    EXPECT_EQ_U64(arena_table_narenas_auto(), cpus / per_arena);
}

TEST(arenas_of_cpus)
{
    static test_child_t child;
    unsigned asked[][2] = {{CONF_PERCPU_PERCPU, 1}, {CONF_PERCPU_PHYCPU, 1},
        {CONF_PERCPU_PERCPU, 2}, {CONF_PERCPU_PHYCPU, 2}};
    je_free(je_malloc(1));
    for (unsigned i = 0; i < 4; i++) {
        child = test_in_child(percpu, asked[i]);
        EXPECT_EQ_I64(child.status, 0);
        EXPECT_EQ_STR(child.err, "");
    }
}

/* The totals of arenas that are gone stay. */
static void totals(void *arg)
{
    (void)arg;
    static arena_destroyed_stats_t stats;
    arena_t *arena = make();
    void *p = arena_alloc(arena, 64, 0, false);
    void *q = arena_alloc(arena, 20480, 0, false);
    void *r = arena_alloc(arena, 20480, 0, false);
    REQUIRE(p != NULL && q != NULL && r != NULL);
    block_free(r);
    EXPECT_EQ_I64(arena_table_destroy(arena->ind), 0);
    arena_table_destroyed_stats(&stats);
    EXPECT_EQ_U64(stats.count, 1);
    EXPECT_EQ_U64(stats.bins[sizeclass_index(64)].nmalloc, 1);
    EXPECT_EQ_U64(stats.bins[sizeclass_index(64)].nslabs, 1);
    EXPECT_EQ_U64(stats.large[1].nmalloc, 2);
    EXPECT_EQ_U64(stats.large[1].ndalloc, 2);
    EXPECT_GE_U64(stats.purge[PAGE_SET_DIRTY].purged, 11);
}

TEST(totals_of_destroyed_arenas)
{
    in_child(totals);
}

static void decay_defaults(void *arg)
{
    (void)arg;
    EXPECT_EQ_I64(
        arena_table_decay_default(PAGE_SET_DIRTY), opt.dirty_decay_ms);
    arena_table_set_decay_default(PAGE_SET_DIRTY, 123);
    arena_table_set_decay_default(PAGE_SET_MUZZY, -1);
    arena_t *arena = make();
    EXPECT_EQ_I64(arena->pages.decay[PAGE_SET_DIRTY].time_ms, 123);
    EXPECT_EQ_I64(arena->pages.decay[PAGE_SET_MUZZY].time_ms, -1);
    EXPECT_EQ_I64(arena_table_first()->pages.decay[PAGE_SET_DIRTY].time_ms,
        opt.dirty_decay_ms);
}

TEST(decay_times_of_new_arenas)
{
    in_child(decay_defaults);
}

/* An arena that somebody came back to was not deserted all the while. */
static void deserted(void *arg)
{
    (void)arg;
    arena_t *arena = arena_table_get(3);
    REQUIRE(arena != NULL);
    (void)arena_table_decay_all();
    EXPECT_NE_U64(atomic_get_relaxed(&arena->deserted_ns), 0);
    EXPECT_EQ_U64(atomic_get_relaxed(&arena_table_first()->deserted_ns), 0);
    arena_table_bind_to(arena);
    (void)arena_table_decay_all();
    EXPECT_EQ_U64(atomic_get_relaxed(&arena->deserted_ns), 0);
    arena_table_unbind(arena);
}

TEST(who_came_back)
{
    in_child(deserted);
}

static void purge_all(void *arg)
{
    (void)arg;
    arena_t *arena = make();
    block_free(arena_alloc(arena, 65536, 0, false));
    block_free(arena_alloc(arena_table_get(3), 65536, 0, false));
    EXPECT_NE_U64(arena->pages.sets[PAGE_SET_DIRTY].bytes, 0);
    arena_table_purge_all();
    EXPECT_EQ_U64(arena->pages.sets[PAGE_SET_DIRTY].bytes, 0);
    EXPECT_EQ_U64(arena_table_get(3)->pages.sets[PAGE_SET_DIRTY].bytes, 0);
}

TEST(purging_everything)
{
    in_child(purge_all);
}

static void *no_memory(extent_hooks_t *hooks, void *addr, size_t size,
    size_t alignment, bool *zero, bool *commit, unsigned arena_ind)
{
    (void)hooks, (void)addr, (void)size, (void)alignment;
    (void)zero, (void)commit, (void)arena_ind;
    return NULL;
}

/* An arena that cannot be made leaves its slot for the next one. */
static void no_arena(void *arg)
{
    (void)arg;
    extent_hooks_t hooks = extent_hooks_default;
    hooks.alloc = no_memory;
    int error = 0;
    for (unsigned i = 0; i < 3; i++) {
        EXPECT_EQ_PTR(arena_table_create(&hooks, true, &error), NULL);
        EXPECT_EQ_I64(error, EAGAIN);
    }
    EXPECT_EQ_U64(make()->ind, AUTO + 1);
    EXPECT_EQ_U64(make()->ind, AUTO + 2);
    /* With metadata from elsewhere it is made, and just has no pages. */
    arena_t *arena = arena_table_create(&hooks, false, &error);
    REQUIRE(arena != NULL);
    EXPECT_EQ_PTR(arena_alloc(arena, 64, 0, false), NULL);
    EXPECT_EQ_PTR(arena_alloc(arena, 65536, 0, false), NULL);
    EXPECT_EQ_I64(arena_table_destroy(arena->ind), 0);
}

TEST(no_memory_for_an_arena)
{
    in_child(no_arena);
}

int main(void)
{
    return test_run(TEST_CASE(threads_go_to_the_least_loaded),
        TEST_CASE(an_empty_first_arena_is_taken),
        TEST_CASE(slots_of_destroyed_arenas_are_reused),
        TEST_CASE(what_may_not_be_destroyed), TEST_CASE(finding_and_making),
        TEST_CASE(huge_requests_have_their_arena),
        TEST_CASE(the_arena_of_huge_requests_by_number),
        TEST_CASE(thresholds_that_switch_it_off), TEST_CASE(arenas_of_cpus),
        TEST_CASE(totals_of_destroyed_arenas),
        TEST_CASE(decay_times_of_new_arenas), TEST_CASE(who_came_back),
        TEST_CASE(purging_everything), TEST_CASE(no_memory_for_an_arena), NULL);
}
