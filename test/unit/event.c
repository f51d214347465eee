/*
 * What: the countdown of periodic work: when it runs, and what it does to an
 * idle cache.
 *
 * Invariants: (I1) the record is this thread's; time is not waited for.
 *
 * Locking: none.
 */
#include "thread/event.h"

#include "arena/arena_table.h"
#include "arena/block.h"
#include "harness.h"

/* As in a release build: the fast path is open. */
const char *je_malloc_conf = "junk:false,debug_double_free_max_scan:0";

static tsd_t *boot(void)
{
    je_free(je_malloc(1));
    REQUIRE(tsd_is_record(tsd_self));
    return tsd_self;
}

TEST(once_a_period)
{
    tsd_t *tsd = boot();
    event_run(tsd);
    EXPECT_EQ_U64(tsd->countdown, EVENT_PERIOD);
    for (unsigned i = 1; i < EVENT_PERIOD; i++) {
        event_tick(tsd);
        EXPECT_EQ_U64(tsd->countdown, EVENT_PERIOD - i);
    }
    event_tick(tsd);
    EXPECT_EQ_U64(tsd->countdown, EVENT_PERIOD);
}

/* Until the caches were looked at. */
static void run_round(tsd_t *tsd)
{
    for (unsigned i = 0; i < EVENT_CACHE_PERIOD; i++) {
        event_run(tsd);
    }
}

/* The caches of classes that nobody asked for shrink round by round. */
TEST(idle_caches_shrink)
{
    tsd_t *tsd = boot();
    REQUIRE(opt.experimental_tcache_gc);
    unsigned c = sizeclass_index(64) + 1;
    void *p[40];
    for (unsigned i = 0; i < 40; i++) {
        p[i] = je_malloc(64);
    }
    for (unsigned i = 0; i < 40; i++) {
        je_free(p[i]);
    }
    run_round(tsd); /* it was used since the last one */
    unsigned cached = tcache_cached(&tsd->tcache, c);
    EXPECT_GE_U64(cached, 20);
    run_round(tsd);
    EXPECT_LE_U64(tcache_cached(&tsd->tcache, c), cached / 2);
    for (unsigned i = 0; i < 10; i++) {
        run_round(tsd);
    }
    EXPECT_EQ_U64(tcache_cached(&tsd->tcache, c), 0);
}

/* Pages whose time has come go with the tick of their arena's thread. */
TEST(pages_decay)
{
    tsd_t *tsd = boot();
    page_store_t *ps = &tsd->arena->pages;
    tcache_flush(&tsd->tcache);
    block_free(arena_alloc(tsd->arena, 1 << 20, 0, false));
    EXPECT_NE_U64(ps->sets[PAGE_SET_DIRTY].bytes, 0);
    /* As if that had been long ago. */
    page_purge_set_decay(ps, PAGE_SET_DIRTY, 1, 0);
    EXPECT_NE_U64(ps->sets[PAGE_SET_DIRTY].bytes, 0);
    event_run(tsd);
    /* The first run dates them; the next finds that second gone by. */
    EXPECT_NE_U64(ps->sets[PAGE_SET_DIRTY].bytes, 0);
    ps->decay[PAGE_SET_DIRTY].epoch_ns -= 1000000000;
    atomic_put_relaxed(&ps->due_ns[PAGE_SET_DIRTY], 0);
    event_run(tsd);
    EXPECT_EQ_U64(ps->sets[PAGE_SET_DIRTY].bytes, 0);
}

/* What nobody is there to reuse does not wait for its time. */
TEST(deserted_arenas_keep_nothing)
{
    (void)boot();
    int error;
    arena_t *arena = arena_table_create(&extent_hooks_default, true, &error);
    REQUIRE(arena != NULL);
    page_store_t *ps = &arena->pages;
    uint64_t now = os_clock_ns();
    page_purge_set_decay(ps, PAGE_SET_DIRTY, 10000, now);
    block_free(arena_alloc(arena, 1 << 20, 0, false));
    size_t bytes = ps->sets[PAGE_SET_DIRTY].bytes;
    EXPECT_GE_U64(bytes, 1 << 20);
    arena_decay_deserted(arena, now);
    arena_decay_deserted(arena, now + ARENA_DESERTED_NS / 2);
    EXPECT_GE_U64(ps->sets[PAGE_SET_DIRTY].bytes, bytes / 2);
    arena_decay_deserted(arena, now + ARENA_DESERTED_NS);
    EXPECT_EQ_U64(ps->sets[PAGE_SET_DIRTY].bytes, 0);
    /* Unless it is to stay for ever. */
    page_purge_set_decay(ps, PAGE_SET_DIRTY, -1, now);
    block_free(arena_alloc(arena, 1 << 20, 0, false));
    arena_decay_deserted(arena, now + 3 * ARENA_DESERTED_NS);
    EXPECT_GE_U64(ps->sets[PAGE_SET_DIRTY].bytes, 1 << 20);
    EXPECT_EQ_I64(arena_table_destroy(arena->ind), 0);
}

int main(void)
{
    return test_run(TEST_CASE(once_a_period), TEST_CASE(idle_caches_shrink),
        TEST_CASE(pages_decay), TEST_CASE(deserted_arenas_keep_nothing), NULL);
}
