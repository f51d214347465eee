/*
 * What: the few large blocks a thread keeps: what is taken, found again,
 * pushed out, and given back when idle.
 *
 * Invariants: (I1) the blocks come from an arena of the test's own, whose
 * books show what the cache still holds.
 *
 * Locking: none; the tests use one thread.
 */
#include "cache/large_cache.h"

#include <string.h>

#include "arena/arena_table.h"
#include "harness.h"

static arena_t *arena;
static large_cache_t cache;

static void begin(void)
{
    je_free(je_malloc(1)); /* boots */
    int error;
    arena = arena_table_create(&extent_hooks_default, true, &error);
    REQUIRE(arena != NULL);
    memset(&cache, 0, sizeof(cache));
}

static void end(void)
{
    large_cache_flush(&cache);
    EXPECT_EQ_U64(cache.bytes, 0);
    EXPECT_EQ_U64(arena->large.allocated_bytes, 0);
    EXPECT_EQ_I64(arena_table_destroy(arena->ind), 0);
}

static void *block(size_t usize)
{
    void *p = arena_alloc(arena, usize, PAGE, false);
    REQUIRE(p != NULL);
    return p;
}

static bool push(void *p)
{
    return large_cache_push(&cache, extent_map_find(p));
}

TEST(found_by_exact_size)
{
    begin();
    char *p = block(65536);
    extent_t *e = extent_map_find(p);
    EXPECT_EQ_PTR(large_cache_pop(&cache, 65536), NULL);
    EXPECT(push(p));
    EXPECT(extent_has(e, EXTENT_CACHED));
    EXPECT_EQ_U64(cache.bytes, extent_size(e));
    EXPECT_EQ_PTR(large_cache_pop(&cache, 65536 + PAGE), NULL);
    EXPECT_EQ_PTR(large_cache_pop(&cache, 65536 - PAGE), NULL);
    uint64_t uses = cache.uses;
    EXPECT_EQ_PTR(large_cache_pop(&cache, 65536), p);
    EXPECT_EQ_U64(cache.uses, uses + 1);
    EXPECT(!extent_has(e, EXTENT_CACHED));
    EXPECT_EQ_U64(e->u.large.hits, 1);
    EXPECT_EQ_U64(cache.bytes, 0);
    EXPECT_EQ_PTR(large_cache_pop(&cache, 65536), NULL);
    EXPECT(push(p));
    end();
}

/* What another thread does for one that sleeps. */
TEST(given_back_clean)
{
    begin();
    char *p = block(65536);
    memset(p, 1, 65536);
    EXPECT(push(p));
    size_t dirty = arena->pages.sets[PAGE_SET_DIRTY].bytes;
    large_cache_flush_clean(&cache);
    EXPECT_EQ_U64(cache.bytes, 0);
    EXPECT_EQ_U64(arena->pages.sets[PAGE_SET_DIRTY].bytes, dirty);
    EXPECT_EQ_PTR(large_cache_pop(&cache, 65536), NULL);
    EXPECT_EQ_PTR(extent_map_find(p), NULL);
    end();
}

/* A fifth block takes the place of the one that came first. */
TEST(the_first_one_makes_room)
{
    begin();
    char *p[LARGE_CACHE_SLOTS + 1];
    for (unsigned i = 0; i <= LARGE_CACHE_SLOTS; i++) {
        p[i] = block(PAGES(16 + i));
        EXPECT(push(p[i]));
    }
    EXPECT_EQ_PTR(extent_map_find(p[0]), NULL);
    EXPECT_EQ_PTR(large_cache_pop(&cache, PAGES(16)), NULL);
    size_t held = 0;
    for (unsigned i = 1; i <= LARGE_CACHE_SLOTS; i++) {
        held += PAGES(16 + i);
    }
    EXPECT_EQ_U64(cache.bytes, held);
    EXPECT_EQ_U64(arena->large.allocated_bytes, held);
    for (unsigned i = 1; i <= LARGE_CACHE_SLOTS; i++) {
        EXPECT_EQ_PTR(large_cache_pop(&cache, PAGES(16 + i)), p[i]);
        block_free(p[i]);
    }
    end();
}

TEST(bytes_are_bounded)
{
    begin();
    char *big = block(LARGE_CACHE_BYTES + PAGE);
    EXPECT(!push(big));
    EXPECT_EQ_U64(cache.bytes, 0);
    block_free(big);
    char *exact = block(LARGE_CACHE_BYTES);
    char *small = block(PAGES(8));
    EXPECT(push(small));
    EXPECT(push(exact));
    EXPECT_EQ_U64(cache.bytes, LARGE_CACHE_BYTES);
    EXPECT_EQ_PTR(large_cache_pop(&cache, PAGES(8)), NULL);
    small = block(PAGES(8));
    EXPECT(push(small));
    EXPECT_LE_U64(cache.bytes, LARGE_CACHE_BYTES);
    EXPECT_EQ_U64(cache.bytes, arena->large.allocated_bytes);
    EXPECT_EQ_PTR(large_cache_pop(&cache, PAGES(8)), small);
    block_free(small);
    end();
}

TEST(resized_blocks_are_not_held)
{
    begin();
    char *p = block(PAGES(32));
    extent_t *e = extent_map_find(p);
    REQUIRE(large_resize_in_place(
        &arena->large, &arena->pages, e, PAGES(16), PAGES(16), false));
    EXPECT(!push(p));
    block_free(p);
    end();
}

TEST(idle_blocks_go_back)
{
    begin();
    char *p = block(PAGES(32));
    EXPECT(push(p));
    EXPECT_EQ_PTR(large_cache_pop(&cache, PAGES(32)), p);
    EXPECT(push(p));
    large_cache_shrink_idle(&cache);
    EXPECT_EQ_U64(cache.bytes, PAGES(32));
    large_cache_shrink_idle(&cache);
    EXPECT_EQ_U64(cache.bytes, 0);
    EXPECT_EQ_U64(arena->large.allocated_bytes, 0);
    EXPECT_EQ_PTR(extent_map_find(p), NULL);
    end();
}

int main(void)
{
    return test_run(TEST_CASE(found_by_exact_size), TEST_CASE(given_back_clean),
        TEST_CASE(the_first_one_makes_room), TEST_CASE(bytes_are_bounded),
        TEST_CASE(resized_blocks_are_not_held), TEST_CASE(idle_blocks_go_back),
        NULL);
}
