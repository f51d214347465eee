/*
 * What: the map from addresses to class bytes and descriptors: borders of
 * leaves, addresses that cannot be, entries that are stale.
 *
 * Invariants: (I1) the descriptors describe addresses that nobody maps; the
 * map never reads what they describe.
 *
 * Locking: none, but for the case with threads.
 */
#include "extent/extent_map.h"

#include <pthread.h>
#include <string.h>

#include "extent/extent_hooks.h"
#include "harness.h"
#include "jemalloc/jemalloc.h"

#define GIB  ((uintptr_t)1 << MAP_LG_LEAF)
#define LAST ((uintptr_t)((uint64_t)1 << CONFIG_LG_VADDR))

/*
 * Places in the middle of nowhere, away from what the system hands out. Four
 * GiB have no such middle; there the third leaf is free at the start, and
 * the absence of a leaf's neighbours cannot be looked at.
 */
#if UINTPTR_MAX > UINT32_MAX
#    define WIDE          true
#    define PLACE(gib)    ((37 + (uintptr_t)(gib)) * GIB)
#    define THREAD_LEAVES 40
#else
#    define WIDE          false
#    define PLACE(gib)    (2 * GIB)
#    define THREAD_LEAVES 1
#endif

static void *at(uintptr_t addr)
{
    return (void *)addr; /* NOLINT(performance-no-int-to-ptr) */
}

static extent_t *describe(
    extent_t *e, uintptr_t addr, size_t size, extent_state_t state)
{
    memset(e, 0, sizeof(*e));
    extent_init(e, 9, at(addr), size, state, EXTENT_COMMITTED);
    return e;
}

static void boot(void)
{
    je_free(je_malloc(1));
}

TEST(unknown_addresses)
{
    boot();
    const uintptr_t odd[] = {0, 1, PAGE, PLACE(0), PLACE(0) + GIB - 1, LAST - 1,
        LAST, LAST + PAGE, UINTPTR_MAX / 2 + 1, UINTPTR_MAX};
    for (unsigned i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
        EXPECT_EQ_U64(extent_map_class(at(odd[i])), 0);
        EXPECT_EQ_PTR(extent_map_lookup(odd[i]), NULL);
        EXPECT_EQ_PTR(extent_map_find(at(odd[i])), NULL);
    }
    if (WIDE) {
        EXPECT(!extent_map_ensure(LAST, PAGE));
        EXPECT(!extent_map_ensure(LAST - PAGE, 2 * PAGE));
    }
}

/* An extent across the border of two leaves. */
TEST(borders_of_leaves)
{
    boot();
    extent_t e;
    uintptr_t border = PLACE(3);
    describe(&e, border - 2 * PAGE, 4 * PAGE, EXTENT_ACTIVE);
    if (WIDE) {
        EXPECT_EQ_PTR(extent_map_cell(border - PAGE), NULL);
        EXPECT_EQ_PTR(extent_map_cell(border), NULL);
    }
    REQUIRE(extent_map_ensure(e.addr, extent_size(&e)));
    EXPECT(extent_map_cell(border - PAGE) != NULL);
    EXPECT(extent_map_cell(border) != NULL);
    if (WIDE) {
        EXPECT_EQ_PTR(extent_map_cell(border + GIB), NULL);
    }
    extent_map_set_slab(&e, 17);
    for (uintptr_t a = e.addr; a < extent_end(&e); a += PAGE / 4) {
        EXPECT_EQ_U64(extent_map_class(at(a)), 17);
        EXPECT_EQ_PTR(extent_map_lookup(a), &e);
        EXPECT_EQ_PTR(extent_map_find(at(a)), &e);
    }
    EXPECT_EQ_U64(extent_map_class(at(e.addr - 1)), 0);
    EXPECT_EQ_U64(extent_map_class(at(extent_end(&e))), 0);
    EXPECT_EQ_PTR(extent_map_lookup(e.addr - 1), NULL);
    EXPECT_EQ_PTR(extent_map_lookup(extent_end(&e)), NULL);
    extent_map_clear_classes(e.addr, extent_size(&e));
    for (uintptr_t a = e.addr; a < extent_end(&e); a += PAGE) {
        EXPECT_EQ_U64(extent_map_class(at(a)), 0);
    }
    extent_set_state(&e, EXTENT_UNUSED);
}

/* First and last page of a leaf have cells of their own. */
TEST(every_page_of_a_leaf)
{
    boot();
    uintptr_t base = PLACE(6);
    REQUIRE(extent_map_ensure(base, GIB));
    if (WIDE) {
        EXPECT_EQ_PTR(extent_map_cell(base - PAGE), NULL);
        EXPECT_EQ_PTR(extent_map_cell(base + GIB), NULL);
    }
    char *first = (char *)extent_map_cell(base);
    char *last = (char *)extent_map_cell(base + GIB - 1);
    EXPECT_EQ_U64(last - first, (MAP_LEAF_PAGES - 1) * sizeof(extent_t *));
    EXPECT_EQ_PTR(extent_map_cell(base + PAGE - 1), (void *)first);
    extent_map_set_class(base, 1);
    extent_map_set_class(base + GIB - PAGE, 255);
    EXPECT_EQ_U64(extent_map_class(at(base)), 1);
    EXPECT_EQ_U64(extent_map_class(at(base + PAGE)), 0);
    EXPECT_EQ_U64(extent_map_class(at(base + GIB - 1)), 255);
    EXPECT_EQ_U64(extent_map_class(at(base + GIB - PAGE - 1)), 0);
    /* Class bytes and descriptors do not overlap. */
    EXPECT_EQ_PTR(extent_map_lookup(base), NULL);
    EXPECT_EQ_PTR(extent_map_lookup(base + GIB - PAGE), NULL);
    extent_map_clear_classes(base, PAGE);
    extent_map_clear_classes(base + GIB - PAGE, PAGE);
}

TEST(ends_only)
{
    boot();
    extent_t e;
    uintptr_t base = PLACE(8) + PAGE * 100;
    REQUIRE(extent_map_ensure(base, 16 * PAGE));
    extent_map_set_ends(describe(&e, base, 5 * PAGE, EXTENT_ACTIVE));
    EXPECT_EQ_PTR(extent_map_lookup(base), &e);
    EXPECT_EQ_PTR(extent_map_lookup(base + PAGE), NULL);
    EXPECT_EQ_PTR(extent_map_lookup(base + 4 * PAGE), &e);
    EXPECT_EQ_PTR(extent_map_lookup(base + 5 * PAGE), NULL);
    EXPECT_EQ_PTR(extent_map_find(at(base + PAGE - 1)), &e);
    EXPECT_EQ_PTR(extent_map_find(at(base + 5 * PAGE - 1)), &e);
    extent_map_set_ends(describe(&e, base + 7 * PAGE, PAGE, EXTENT_ACTIVE));
    EXPECT_EQ_PTR(extent_map_lookup(base + 7 * PAGE), &e);
    EXPECT_EQ_PTR(extent_map_lookup(base + 8 * PAGE), NULL);
    extent_set_state(&e, EXTENT_UNUSED);
}

/* A stale entry is a descriptor that says it lies elsewhere, or is free. */
TEST(stale_entries_are_not_believed)
{
    boot();
    extent_t e;
    uintptr_t base = PLACE(10) + PAGE * 200;
    REQUIRE(extent_map_ensure(base, 64 * PAGE));
    extent_map_set_slab(describe(&e, base, 8 * PAGE, EXTENT_ACTIVE), 3);
    describe(&e, base + 32 * PAGE, 4 * PAGE, EXTENT_ACTIVE);
    extent_map_set_ends(&e);
    for (uintptr_t a = base; a < base + 8 * PAGE; a += PAGE) {
        EXPECT_EQ_PTR(extent_map_lookup(a), &e);
        EXPECT_EQ_PTR(extent_map_find(at(a)), NULL);
    }
    EXPECT_EQ_PTR(extent_map_find(at(base + 32 * PAGE)), &e);
    const extent_state_t dead[] = {EXTENT_UNUSED, EXTENT_DIRTY, EXTENT_MUZZY,
        EXTENT_RETAINED, EXTENT_BUSY, EXTENT_GUARD};
    for (unsigned i = 0; i < 6; i++) {
        extent_set_state(&e, dead[i]);
        EXPECT_EQ_PTR(extent_map_find(at(base + 32 * PAGE)), NULL);
    }
    extent_map_clear_classes(base, 8 * PAGE);
}

/* ---- threads that need the same leaf at once ---- */

static void *ensure(void *arg)
{
    for (unsigned i = 0; i < THREAD_LEAVES; i++) {
        EXPECT(extent_map_ensure(PLACE(100 + i), PAGE));
        EXPECT(extent_map_cell(PLACE(100 + i)) != NULL);
        ((void **)arg)[i] = (void *)extent_map_cell(PLACE(100 + i));
    }
    return NULL;
}

/* Whole pages of a leaf go; what shares a page with others stays. */
TEST(inside_of_a_range_is_forgotten)
{
    boot();
    static extent_t e;
    uintptr_t span = extent_map_span();
    uintptr_t start = PLACE(20) + 8 * span;
    describe(&e, start, 4 * span, EXTENT_ACTIVE);
    REQUIRE(extent_map_ensure(start, 4 * span));
    extent_map_set_slab(&e, 0);
    extent_map_forget(start + PAGE, start + 4 * span - PAGE);
    EXPECT_EQ_PTR(extent_map_lookup(start), &e);
    EXPECT_EQ_PTR(extent_map_lookup(start + span - PAGE), &e);
    EXPECT_EQ_PTR(extent_map_lookup(start + 3 * span), &e);
    EXPECT_EQ_PTR(extent_map_lookup(start + 4 * span - PAGE), &e);
    if (!extent_hooks_purge_zeroes()) {
        test_skip("purged pages keep their contents here");
    }
    for (uintptr_t addr = start + span; addr < start + 3 * span; addr += PAGE) {
        EXPECT_EQ_PTR(extent_map_lookup(addr), NULL);
    }
    extent_map_set_slab(&e, 0);
    EXPECT_EQ_PTR(extent_map_lookup(start + 2 * span), &e);
}

/* Two leaves, and nothing at all. */
TEST(forgetting_crosses_leaves)
{
    boot();
    static extent_t e;
    if (!WIDE) {
        test_skip("four GiB have too few leaves");
    }
    uintptr_t span = extent_map_span();
    uintptr_t start = PLACE(30) - 2 * span;
    describe(&e, start, 4 * span, EXTENT_ACTIVE);
    REQUIRE(extent_map_ensure(start, 4 * span));
    extent_map_set_ends(&e);
    extent_map_forget(start + span, start + span);
    extent_map_forget(start + span, start + 3 * span);
    EXPECT_EQ_PTR(extent_map_lookup(start), &e);
    EXPECT_EQ_PTR(extent_map_lookup(start + 4 * span - PAGE), &e);
    EXPECT_EQ_PTR(extent_map_lookup(start + 2 * span), NULL);
}

TEST(one_leaf_for_all_threads)
{
    boot();
    static void *cells[4][THREAD_LEAVES];
    pthread_t threads[4];
    for (unsigned i = 0; i < 4; i++) {
        REQUIRE(pthread_create(&threads[i], NULL, ensure, cells[i]) == 0);
    }
    for (unsigned i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        EXPECT_EQ_I64(memcmp(cells[0], cells[i], sizeof(cells[0])), 0);
    }
}

int main(void)
{
    return test_run(TEST_CASE(unknown_addresses),
        TEST_CASE(inside_of_a_range_is_forgotten),
        TEST_CASE(forgetting_crosses_leaves),
        TEST_CASE(one_leaf_for_all_threads), TEST_CASE(every_page_of_a_leaf),
        TEST_CASE(borders_of_leaves), TEST_CASE(ends_only),
        TEST_CASE(stale_entries_are_not_believed), NULL);
}
