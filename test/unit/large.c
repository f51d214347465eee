/*
 * What: large blocks over a page store of their own: where they start, what
 * is zero, growing, shrinking and moving, and the books.
 *
 * Invariants: (I1) before a block changes size, all of its extent is dirty,
 * so that nothing is zero by luck.
 *
 * Locking: none; the tests use one thread.
 */
#include "arena/large.h"

#include <string.h>

#include "conf/conf_boot.h"
#include "harness.h"
#include "os/os.h"
#include "util/prng.h"

#define TEST_ARENA 4002

static page_store_t store;
static large_t large;

static void begin(void)
{
    je_free(je_malloc(1)); /* boots */
    memset(&store, 0, sizeof(store));
    page_store_init(&store, TEST_ARENA, &extent_hooks_default, -1, 0, 0);
    large_init(&large, true, 1);
}

static void end(void)
{
    large_reset(&large, &store);
    EXPECT_EQ_U64(large.allocated_bytes, 0);
    EXPECT_EQ_U64(atomic_get_relaxed(&store.active_bytes), 0);
    page_store_check(&store);
    page_store_destroy(&store);
}

static extent_t *extent_of(const void *p)
{
    extent_t *e = extent_map_find(p);
    REQUIRE(e != NULL);
    return e;
}

static unsigned class_of(const void *p)
{
    return (unsigned)extent_map_class(p);
}

static bool is_filled(const char *p, size_t from, size_t to, char value)
{
    for (size_t i = from; i < to; i++) {
        if (p[i] != value) {
            test_note("byte %zu is %d", i, p[i]);
            return false;
        }
    }
    return true;
}

/* Dirties everything under a block; the block itself gets `value`. */
static void dirty(char *p, char value)
{
    extent_t *e = extent_of(p);
    memset(extent_ptr(e), 0x77, extent_size(e));
    memset(p, value, e->u.large.usize);
}

/* Leaves dirty pages behind for the next blocks. */
static void dirty_pages(size_t size)
{
    char *p = large_alloc(&large, &store, size, PAGE, false);
    REQUIRE(p != NULL);
    dirty(p, 0x66);
    large_free(&large, &store, extent_of(p));
}

/* ---- where blocks start ---- */

TEST(offsets_without_alignment)
{
    begin();
    bool seen[PAGE / LARGE_OFFSET_UNIT] = {false};
    unsigned different = 0;
    for (unsigned i = 0; i < 300; i++) {
        char *p = large_alloc(&large, &store, SC_LARGE_MIN, 0, false);
        REQUIRE(p != NULL);
        extent_t *e = extent_of(p);
        size_t offset = (uintptr_t)p - e->addr;
        EXPECT_EQ_U64(offset % LARGE_OFFSET_UNIT, 0);
        EXPECT_LT_U64(offset, PAGE);
        EXPECT_EQ_U64(
            extent_size(e), SC_LARGE_MIN + (opt.cache_oblivious ? PAGE : 0));
        EXPECT_EQ_PTR(e->u.large.ptr, p);
        EXPECT_EQ_U64(e->u.large.usize, SC_LARGE_MIN);
        different += !seen[offset / LARGE_OFFSET_UNIT];
        seen[offset / LARGE_OFFSET_UNIT] = true;
    }
    if (opt.cache_oblivious) {
        EXPECT_GT_U64(different, 50);
    } else {
        EXPECT_EQ_U64(different, 1);
    }
    end();
}

TEST(offsets_with_alignment)
{
    begin();
    for (size_t alignment = 1; alignment <= (size_t)4 << 20; alignment *= 2) {
        for (unsigned i = 0; i < 20; i++) {
            char *p = large_alloc(&large, &store, 5 * PAGE, alignment, false);
            REQUIRE(p != NULL);
            extent_t *e = extent_of(p);
            EXPECT_EQ_U64((uintptr_t)p % alignment, 0);
            EXPECT_EQ_U64((uintptr_t)p % LARGE_OFFSET_UNIT, 0);
            if (alignment >= PAGE) {
                EXPECT_EQ_U64((uintptr_t)p, e->addr);
                EXPECT_EQ_U64(extent_size(e), 5 * PAGE);
            }
        }
    }
    end();
}

TEST(class_bytes)
{
    begin();
    for (size_t usize = SC_LARGE_MIN; usize <= 40960; usize += PAGE) {
        char *p = large_alloc(&large, &store, usize, 0, false);
        REQUIRE(p != NULL);
        extent_t *e = extent_of(p);
        unsigned expected =
            usize <= TCACHE_MAX_LIMIT ? sizeclass_index(usize) + 1 : 0;
        EXPECT_EQ_U64(class_of(p), expected);
        EXPECT_EQ_U64(extent_word_class(extent_word(e)), expected);
        EXPECT_EQ_U64(class_of(p + PAGE), 0);
        large_free(&large, &store, e);
        EXPECT_EQ_U64(class_of(p), 0);
        EXPECT_EQ_PTR(extent_map_find(p), NULL);
    }
    end();
}

TEST(too_large)
{
    if (sizeof(void *) == 4) {
        test_skip("the largest class may be there in 4 GiB");
    }
    begin();
    EXPECT_EQ_PTR(large_alloc(&large, &store, SC_MAX, 0, false), NULL);
    EXPECT_EQ_PTR(
        large_alloc(&large, &store, PAGE * 4, SC_MAX / 7 * 4, false), NULL);
    EXPECT_EQ_U64(large.allocated_bytes, 0);
    EXPECT_EQ_U64(large.stats[LARGE_CLASS_COUNT - 1].nmalloc, 0);
    end();
}

/* ---- the books ---- */

TEST(counters)
{
    begin();
    char *p = large_alloc(&large, &store, 20480, 0, false);
    char *q = large_alloc(&large, &store, 20480, 0, false);
    REQUIRE(p != NULL && q != NULL);
    large_class_stats_t *stats = &large.stats[1];
    EXPECT_EQ_U64(large.allocated_bytes, 40960);
    EXPECT_EQ_U64(stats->nmalloc, 2);
    EXPECT_EQ_U64(stats->nrequests, 2);
    EXPECT_EQ_U64(stats->ndalloc, 0);
    extent_of(p)->u.large.hits = 5;
    large_free(&large, &store, extent_of(p));
    EXPECT_EQ_U64(stats->nrequests, 7);
    EXPECT_EQ_U64(stats->ndalloc, 1);
    EXPECT_EQ_U64(large.allocated_bytes, 20480);
    large_note(&large, SC_SMALL_COUNT + 1, 10, 3);
    EXPECT_EQ_U64(stats->nrequests, 17);
    EXPECT_EQ_U64(stats->nflushes, 3);
    EXPECT(large_resize_in_place(
        &large, &store, extent_of(q), SC_LARGE_MIN, SC_LARGE_MIN, false));
    EXPECT_EQ_U64(stats->ndalloc, 2);
    EXPECT_EQ_U64(large.stats[0].nmalloc, 1);
    EXPECT_EQ_U64(large.allocated_bytes, SC_LARGE_MIN);
    end();
    EXPECT_EQ_U64(large.stats[0].ndalloc, 1);
}

/* ---- zero ---- */

/* opt.san_guard_large: each third block has guard pages, and no other. */
TEST(every_third_block_is_guarded)
{
    begin();
    conf_opt_t before = opt;
    conf_opt_t changed = opt;
    changed.san_guard_large = 3;
    conf_reset_for_test(&changed);
    for (unsigned i = 0; i < 9; i++) {
        void *p = large_alloc(&large, &store, 20480, 0, false);
        REQUIRE(p != NULL);
        EXPECT_EQ_U64(extent_has(extent_of(p), EXTENT_GUARDED), i % 3 == 2);
    }
    conf_reset_for_test(&before);
    end();
}

/* That a size was never asked for is said of the block, not of its extent. */
TEST(resized_blocks)
{
    begin();
    for (unsigned i = 0; i < 8; i++) {
        char *p = large_alloc(&large, &store, 65536, 0, false);
        REQUIRE(p != NULL);
        extent_t *e = extent_of(p);
        EXPECT(!e->u.large.resized);
        EXPECT_EQ_U64(e->u.large.hits, 0);
        EXPECT_EQ_PTR(e->u.large.sample, NULL);
        EXPECT(large_resize_in_place(
            &large, &store, e, SC_LARGE_MIN, SC_LARGE_MIN, false));
        EXPECT(e->u.large.resized);
        e->u.large.hits = 3;
        large_free(&large, &store, e);
    }
    end();
}

TEST(zeroed_blocks)
{
    begin();
    for (size_t usize = SC_LARGE_MIN; usize <= (size_t)8 << 20; usize *= 2) {
        for (unsigned aligned = 0; aligned < 2; aligned++) {
            dirty_pages(2 * usize);
            char *p = large_alloc(
                &large, &store, usize, aligned != 0 ? PAGE : 0, true);
            REQUIRE(p != NULL);
            EXPECT(is_filled(p, 0, usize, 0));
            large_free(&large, &store, extent_of(p));
        }
    }
    end();
}

/* ---- in place ---- */

/* A block of `usize` with dirty free pages behind it. */
static char *block_with_room(size_t usize, size_t room)
{
    dirty_pages(usize + room + 2 * PAGE);
    char *p = large_alloc(&large, &store, usize, 0, false);
    REQUIRE(p != NULL);
    dirty(p, 1);
    return p;
}

TEST(grows_in_place)
{
    for (unsigned zero = 0; zero < 2; zero++) {
        for (size_t more = PAGE; more <= 64 * PAGE; more += 7 * PAGE) {
            begin();
            char *p = block_with_room(SC_LARGE_MIN, more);
            extent_t *e = extent_of(p);
            size_t usize = SC_LARGE_MIN + more;
            REQUIRE(large_resize_in_place(
                &large, &store, e, usize, usize, zero != 0));
            EXPECT_EQ_PTR(e->u.large.ptr, p);
            EXPECT_EQ_U64(e->u.large.usize, usize);
            EXPECT_LE_U64((uintptr_t)p + usize, extent_end(e));
            EXPECT(is_filled(p, 0, SC_LARGE_MIN, 1));
            if (zero != 0) {
                EXPECT(is_filled(p, SC_LARGE_MIN, usize, 0));
            }
            EXPECT(e->u.large.resized);
            EXPECT_EQ_U64(large.allocated_bytes, usize);
            EXPECT_EQ_U64(class_of(p),
                usize <= TCACHE_MAX_LIMIT ? sizeclass_index(usize) + 1 : 0);
            end();
        }
    }
}

/* As much as there is between the two sizes. */
TEST(grows_as_far_as_it_can)
{
    begin();
    size_t extra = opt.cache_oblivious ? PAGE : 0;
    char *p = block_with_room(SC_LARGE_MIN, 8 * PAGE);
    extent_t *e = extent_of(p);
    char *wall = (char *)extent_ptr(e) + SC_LARGE_MIN + 4 * PAGE + extra;
    char *q = NULL;
    /* Fill all behind up to what the wall leaves. */
    size_t hole = (size_t)(wall - (char *)extent_ptr(e)) - extent_size(e);
    q = large_alloc(&large, &store, hole, PAGE, false);
    char *w = large_alloc(&large, &store, SC_LARGE_MIN, PAGE, false);
    REQUIRE(q != NULL && w != NULL);
    EXPECT_EQ_PTR(q, (char *)extent_ptr(e) + extent_size(e));
    EXPECT_EQ_PTR(w, wall);
    large_free(&large, &store, extent_of(q));
    EXPECT(!large_resize_in_place(&large, &store, e, SC_LARGE_MIN + 5 * PAGE,
        SC_LARGE_MIN + 6 * PAGE, false));
    EXPECT_EQ_U64(e->u.large.usize, SC_LARGE_MIN);
    EXPECT(large_resize_in_place(&large, &store, e, SC_LARGE_MIN + 4 * PAGE,
        SC_LARGE_MIN + 6 * PAGE, false));
    EXPECT_EQ_U64(e->u.large.usize, SC_LARGE_MIN + 4 * PAGE);
    /* No more room, but the present size will do. */
    EXPECT(large_resize_in_place(
        &large, &store, e, SC_LARGE_MIN, SC_LARGE_MIN + 6 * PAGE, false));
    EXPECT_EQ_U64(e->u.large.usize, SC_LARGE_MIN + 4 * PAGE);
    EXPECT(is_filled(p, 0, SC_LARGE_MIN, 1));
    end();
}

TEST(shrinks_in_place)
{
    begin();
    char *p = block_with_room(64 * PAGE, 0);
    extent_t *e = extent_of(p);
    size_t active = atomic_get_relaxed(&store.active_bytes);
    EXPECT(
        large_resize_in_place(&large, &store, e, 10 * PAGE, 10 * PAGE, false));
    EXPECT_EQ_U64(atomic_get_relaxed(&store.active_bytes), active - 54 * PAGE);
    EXPECT_EQ_U64(e->u.large.usize, 10 * PAGE);
    EXPECT(is_filled(p, 0, 10 * PAGE, 1));
    /* Back again: what was given away reads as zero if that is asked. */
    dirty(p, 2);
    EXPECT(
        large_resize_in_place(&large, &store, e, 64 * PAGE, 64 * PAGE, true));
    EXPECT(is_filled(p, 0, 10 * PAGE, 2));
    EXPECT(is_filled(p, 10 * PAGE, 64 * PAGE, 0));
    /* Never to something that is small. */
    EXPECT(!large_resize_in_place(
        &large, &store, e, SC_SMALL_MAX, SC_SMALL_MAX, false));
    EXPECT_EQ_U64(e->u.large.usize, 64 * PAGE);
    end();
}

/* ---- by moving ---- */

TEST(moves_pages)
{
    for (unsigned aligned = 0; aligned < 2; aligned++) {
        begin();
        size_t old_usize = MOVE_PAGES_MIN;
        dirty_pages(8 * old_usize);
        char *p = large_alloc(
            &large, &store, old_usize, aligned != 0 ? PAGE : 0, false);
        REQUIRE(p != NULL);
        dirty(p, 3);
        size_t offset = (uintptr_t)p & PAGE_MASK;
        EXPECT_EQ_PTR(large_resize_by_move(
                          &large, &store, extent_of(p), old_usize - PAGE, true),
            NULL);
        char *q = large_resize_by_move(
            &large, &store, extent_of(p), 3 * old_usize, true);
        if (q == NULL) {
            EXPECT(is_filled(p, 0, old_usize, 3));
            end();
            test_skip("this system does not move pages");
        }
        EXPECT_NE_PTR(q, p);
        EXPECT_EQ_U64((uintptr_t)q & PAGE_MASK, offset);
        EXPECT(is_filled(q, 0, old_usize, 3));
        EXPECT(is_filled(q, old_usize, 3 * old_usize, 0));
        EXPECT_EQ_U64(extent_of(q)->u.large.usize, 3 * old_usize);
        EXPECT_EQ_U64(large.allocated_bytes, 3 * old_usize);
        EXPECT_EQ_PTR(extent_map_find(p), NULL);
        end();
    }
}

TEST(small_blocks_are_not_moved)
{
    begin();
    char *p = large_alloc(&large, &store, MOVE_PAGES_MIN - PAGE, 0, false);
    REQUIRE(p != NULL);
    EXPECT_EQ_PTR(large_resize_by_move(
                      &large, &store, extent_of(p), MOVE_PAGES_MIN, false),
        NULL);
    char *q = large_alloc(&large, &store, MOVE_PAGES_MIN, 0, false);
    REQUIRE(q != NULL);
    dirty(q, 4);
    if (sizeof(void *) == 8) { /* in 4 GiB it may be there */
        EXPECT_EQ_PTR(
            large_resize_by_move(&large, &store, extent_of(q), SC_MAX, false),
            NULL);
    }
    EXPECT(is_filled(q, 0, MOVE_PAGES_MIN, 4));
    EXPECT_EQ_U64(large.allocated_bytes, 2 * MOVE_PAGES_MIN - PAGE);
    end();
}

/* ---- at random ---- */

#define SLOTS 24

TEST(at_random)
{
    begin();
    uint64_t random = 9;
    char *live[SLOTS] = {NULL};
    size_t sum = 0;
    for (unsigned i = 0; i < 3000; i++) {
        unsigned slot = (unsigned)prng_bits(&random, 8) % SLOTS;
        char tag = (char)(slot + 1);
        size_t usize = PAGES(4 + prng_bits(&random, 7));
        bool zero = prng_bits(&random, 1) != 0;
        char *p = live[slot];
        if (p == NULL) {
            size_t alignment = PAGE >> prng_bits(&random, 3);
            p = large_alloc(&large, &store, usize, alignment, zero);
            REQUIRE(p != NULL);
            EXPECT(!zero || is_filled(p, 0, usize, 0));
            sum += usize;
        } else {
            extent_t *e = extent_of(p);
            size_t old_usize = e->u.large.usize;
            size_t kept = old_usize < usize ? old_usize : usize;
            char *q = NULL;
            if (prng_bits(&random, 2) == 0) {
                sum -= old_usize;
                EXPECT(is_filled(p, 0, old_usize, tag));
                large_free(&large, &store, e);
                live[slot] = NULL;
                continue;
            }
            if (large_resize_in_place(&large, &store, e, usize, usize, zero)) {
                q = p;
            } else {
                q = large_resize_by_move(&large, &store, e, usize, zero);
            }
            if (q == NULL) {
                EXPECT(is_filled(p, 0, old_usize, tag));
                continue;
            }
            p = q;
            sum = sum - old_usize + usize;
            EXPECT(is_filled(p, 0, kept, tag));
            EXPECT(!zero || is_filled(p, kept, usize, 0));
        }
        live[slot] = p;
        dirty(p, tag);
        EXPECT_EQ_U64(large.allocated_bytes, sum);
        page_store_check(&store);
    }
    end();
}

int main(void)
{
    return test_run(TEST_CASE(offsets_without_alignment),
        TEST_CASE(offsets_with_alignment), TEST_CASE(class_bytes),
        TEST_CASE(too_large), TEST_CASE(counters),
        TEST_CASE(every_third_block_is_guarded), TEST_CASE(resized_blocks),
        TEST_CASE(zeroed_blocks), TEST_CASE(grows_in_place),
        TEST_CASE(grows_as_far_as_it_can), TEST_CASE(shrinks_in_place),
        TEST_CASE(moves_pages), TEST_CASE(small_blocks_are_not_moved),
        TEST_CASE(at_random), NULL);
}
