/*
 * What: the numbers of explicit caches, and the register of live ones.
 *
 * Invariants: (I1) each test leaves no cache behind.
 *
 * Locking: the table's.
 */
#include "cache/tcache_table.h"

#include <errno.h>
#include <pthread.h>

#include "arena/arena_table.h"
#include "harness.h"

static unsigned visited;

static void count_visit(const tcache_t *tcache, void *opaque)
{
    visited += opaque == NULL || opaque == tcache;
}

static unsigned count_live(tcache_t *which)
{
    visited = 0;
    tcache_table_visit(count_visit, which);
    return visited;
}

static arena_t *boot(void)
{
    je_free(je_malloc(1));
    return arena_table_first();
}

TEST(last_destroyed_first)
{
    arena_t *arena = boot();
    unsigned id[8];
    for (unsigned i = 0; i < 8; i++) {
        REQUIRE(tcache_table_create(arena, &id[i]) == 0);
        EXPECT_EQ_U64(id[i], i);
    }
    EXPECT_EQ_I64(tcache_table_destroy(2), 0);
    EXPECT_EQ_I64(tcache_table_destroy(6), 0);
    EXPECT_EQ_I64(tcache_table_destroy(4), 0);
    const unsigned expected[] = {4, 6, 2, 8};
    for (unsigned i = 0; i < 4; i++) {
        unsigned again;
        REQUIRE(tcache_table_create(arena, &again) == 0);
        EXPECT_EQ_U64(again, expected[i]);
    }
    for (unsigned i = 9; i-- > 0;) {
        EXPECT_EQ_I64(tcache_table_destroy(i), 0);
    }
}

TEST(numbers_of_no_cache)
{
    arena_t *arena = boot();
    const unsigned dead[] = {
        0, 100, TCACHE_ID_LIMIT - 1, TCACHE_ID_LIMIT, (unsigned)-1};
    for (unsigned i = 0; i < 5; i++) {
        EXPECT_EQ_PTR(tcache_table_lookup(dead[i]), NULL);
        EXPECT_EQ_I64(tcache_table_flush(dead[i]), EFAULT);
        EXPECT_EQ_I64(tcache_table_destroy(dead[i]), EFAULT);
    }
    unsigned id;
    REQUIRE(tcache_table_create(arena, &id) == 0);
    EXPECT_EQ_I64(tcache_table_destroy(id), 0);
    EXPECT_EQ_I64(tcache_table_destroy(id), EFAULT);
}

TEST(register_of_live_caches)
{
    arena_t *arena = boot();
    unsigned before = count_live(NULL);
    EXPECT_GE_U64(before, 1); /* this thread's */
    unsigned id;
    REQUIRE(tcache_table_create(arena, &id) == 0);
    tcache_t *cache = tcache_table_lookup(id);
    REQUIRE(cache != NULL);
    EXPECT_EQ_PTR(cache->arena, arena);
    EXPECT_EQ_U64(count_live(NULL), before + 1);
    EXPECT_EQ_U64(count_live(cache), 1);
    EXPECT_EQ_I64(tcache_table_destroy(id), 0);
    EXPECT_EQ_U64(count_live(NULL), before);
}

static void *allocate(void *arg)
{
    *(unsigned *)arg = 0;
    je_free(je_malloc(100));
    *(unsigned *)arg = count_live(NULL);
    return NULL;
}

TEST(threads_come_and_go)
{
    boot();
    unsigned before = count_live(NULL);
    unsigned during;
    pthread_t thread;
    REQUIRE(pthread_create(&thread, NULL, allocate, &during) == 0);
    pthread_join(thread, NULL);
    EXPECT_EQ_U64(during, before + 1);
    EXPECT_EQ_U64(count_live(NULL), before);
}

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned step;
} other = {
    .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void step_to(unsigned step)
{
    pthread_mutex_lock(&other.lock);
    other.step = step;
    pthread_cond_broadcast(&other.changed);
    pthread_mutex_unlock(&other.lock);
}

static void wait_for(unsigned step)
{
    pthread_mutex_lock(&other.lock);
    while (other.step < step) {
        pthread_cond_wait(&other.changed, &other.lock);
    }
    pthread_mutex_unlock(&other.lock);
}

static void *have_a_cache(void *arg)
{
    (void)arg;
    je_free(je_malloc(100));
    step_to(1);
    wait_for(2);
    return NULL;
}

/* More than other cases leave numbers for: the last one has a new number. */
#define EXPLICIT 12

static void only_mine_and_explicit(void *arg)
{
    const unsigned *id = arg;
    EXPECT_EQ_U64(count_live(NULL), 1 + EXPLICIT);
    for (unsigned i = 0; i < EXPLICIT; i++) {
        EXPECT_EQ_U64(count_live(tcache_table_lookup(id[i])), 1);
    }
}

/* Of threads that a child does not have there are no caches either. */
TEST(what_a_child_keeps)
{
    if (test_is_emulated()) {
        test_skip("the emulator fails when a program with threads forks");
    }
    static test_child_t child;
    arena_t *arena = boot();
    unsigned id[EXPLICIT];
    for (unsigned i = 0; i < EXPLICIT; i++) {
        REQUIRE(tcache_table_create(arena, &id[i]) == 0);
    }
    pthread_t thread;
    REQUIRE(pthread_create(&thread, NULL, have_a_cache, NULL) == 0);
    wait_for(1);
    EXPECT_EQ_U64(count_live(NULL), 2 + EXPLICIT);
    child = test_in_child(only_mine_and_explicit, id);
    EXPECT_EQ_I64(child.status, 0);
    EXPECT_EQ_STR(child.err, "");
    step_to(2);
    pthread_join(thread, NULL);
    for (unsigned i = 0; i < EXPLICIT; i++) {
        EXPECT_EQ_I64(tcache_table_destroy(id[i]), 0);
    }
}

TEST(flush_and_destroy_empty_the_cache)
{
    boot();
    int error;
    arena_t *arena = arena_table_create(&extent_hooks_default, true, &error);
    REQUIRE(arena != NULL);
    unsigned id;
    REQUIRE(tcache_table_create(arena, &id) == 0);
    tcache_t *cache = tcache_table_lookup(id);
    bin_t *bin = arena_bin(arena, 5, 0);
    for (unsigned round = 0; round < 2; round++) {
        cache->arena = arena; /* as alloc.c does after a flush */
        void *p = tcache_refill(cache, 5);
        REQUIRE(p != NULL);
        EXPECT(cache_bins_push(&cache->bins, 5, p));
        EXPECT_EQ_U64(bin->stats.curregs, tcache_cached(cache, 5));
        EXPECT_NE_U64(bin->stats.curregs, 0);
        EXPECT_EQ_I64(
            round == 0 ? tcache_table_flush(id) : tcache_table_destroy(id), 0);
        EXPECT_EQ_U64(bin->stats.curregs, 0);
    }
    EXPECT_EQ_I64(arena_table_destroy(arena->ind), 0);
}

/* All numbers there are, and one more. */
TEST(as_many_as_there_are_numbers)
{
    arena_t *arena = boot();
    unsigned id;
    for (unsigned i = 0; i < TCACHE_ID_LIMIT; i++) {
        REQUIRE(tcache_table_create(arena, &id) == 0);
    }
    unsigned live = count_live(NULL);
    EXPECT_EQ_I64(tcache_table_create(arena, &id), EAGAIN);
    EXPECT_EQ_U64(count_live(NULL), live);
    EXPECT_EQ_I64(tcache_table_destroy(1234), 0);
    EXPECT_EQ_I64(tcache_table_create(arena, &id), 0);
    EXPECT_EQ_U64(id, 1234);
    for (unsigned i = 0; i < TCACHE_ID_LIMIT; i++) {
        EXPECT_EQ_I64(tcache_table_destroy(i), 0);
    }
}

int main(void)
{
    return test_run(TEST_CASE(last_destroyed_first),
        TEST_CASE(numbers_of_no_cache), TEST_CASE(register_of_live_caches),
        TEST_CASE(threads_come_and_go), TEST_CASE(what_a_child_keeps),
        TEST_CASE(flush_and_destroy_empty_the_cache),
        TEST_CASE(as_many_as_there_are_numbers), NULL);
}
