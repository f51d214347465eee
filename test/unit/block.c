/*
 * What: pointers that are no live blocks, of every sort: what is said of
 * them, and that saying it is all that happens. Also batches whose blocks
 * come from several arenas.
 *
 * Invariants: (I1) messages are caught and the abort is replaced, so that
 * what follows a report is seen too.
 *
 * Locking: none; the tests use one thread.
 */
#include "arena/block.h"

#include <stdio.h>
#include <string.h>

#include "arena/arena_table.h"
#include "arena/hollow.h"
#include "harness.h"
#include "os/os.h"

static char said[1024];
static unsigned reports;

static void hear(const char *message)
{
    snprintf(said, sizeof(said), "%s", message);
}

static void go_on(const char *message)
{
    (void)message;
    reports++;
}

static void begin(void)
{
    je_free(je_malloc(1)); /* boots */
    fail_set_sink(hear);
    fail_set_safety_abort(go_on);
    reports = 0;
    said[0] = '\0';
}

static void end(void)
{
    fail_set_sink(NULL);
    fail_set_safety_abort(NULL);
}

static void expect_not_ours(const void *ptr)
{
    char expected[256];
    snprintf(expected, sizeof(expected),
        "<jemalloc>: testing of %p, which this allocator does not own: never "
        "allocated here, or freed already\n",
        ptr);
    unsigned before = reports;
    block_t block = block_inspect(ptr, "testing");
    EXPECT_EQ_PTR(block.extent, NULL);
    EXPECT_EQ_U64(block.usize, 0);
    EXPECT_EQ_U64(reports, before + 1);
    if (ptr != NULL) {
        EXPECT_EQ_STR(said, expected);
    }
}

static void expect_not_a_start(const void *ptr, const void *start)
{
    char expected[256];
    snprintf(expected, sizeof(expected),
        "<jemalloc>: testing of %p, which points into a block or slab at %p "
        "but not to the start of a block\n",
        ptr, start);
    unsigned before = reports;
    block_t block = block_inspect(ptr, "testing");
    EXPECT_EQ_PTR(block.extent, NULL);
    EXPECT_EQ_U64(reports, before + 1);
    EXPECT_EQ_STR(said, expected);
}

TEST(live_blocks)
{
    begin();
    for (unsigned i = 0; i < 80; i++) {
        size_t usize = sizeclass_usize(sizeclass_size(i));
        void *p = arena_alloc(arena_table_first(), usize, 0, false);
        REQUIRE(p != NULL);
        block_t block = block_inspect(p, "testing");
        EXPECT_EQ_U64(block.usize, usize);
        EXPECT_EQ_PTR(block.extent, extent_map_find(p));
        block_return(p, block);
    }
    EXPECT_EQ_U64(reports, 0);
    end();
}

TEST(foreign_pointers)
{
    begin();
    static char in_data[64];
    char on_stack[64];
    char *mapped = os_map(os_page_size(), os_page_size());
    expect_not_ours(in_data);
    expect_not_ours(on_stack);
    expect_not_ours(mapped);
    expect_not_ours(NULL);
    const uint64_t bit = 1;
    const uint64_t odd[] = {1, 8, 4095, 4096, bit << 30, bit << 31, bit << 46,
        (bit << 47) - 1, bit << 47, (bit << 48) - 1, bit << 48, bit << 63,
        UINTPTR_MAX - 4096, UINTPTR_MAX};
    for (unsigned i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
        expect_not_ours((void *)(uintptr_t)odd[i]); /* NOLINT */
    }
    (void)os_unmap(mapped, os_page_size());
    expect_not_ours(mapped);
    end();
}

TEST(inside_small_blocks)
{
    begin();
    char *p = arena_alloc(arena_table_first(), 48, 0, false);
    REQUIRE(p != NULL);
    extent_t *slab = extent_map_find(p);
    for (unsigned d = 1; d < 48; d++) {
        expect_not_a_start(p + d, extent_ptr(slab));
    }
    expect_not_a_start(
        (char *)extent_ptr(slab) + extent_size(slab) - 1, extent_ptr(slab));
    block_free(p);
    end();
}

TEST(inside_large_blocks)
{
    begin();
    char *p = arena_alloc(arena_table_first(), 65536, PAGE, false);
    REQUIRE(p != NULL);
    expect_not_a_start(p + 1, p);
    expect_not_a_start(p + 64, p);
    expect_not_a_start(p + 65535, p);
    /* Further in, the map may name it or not; it is never believed. */
    unsigned before = reports;
    for (size_t d = PAGE; d < 65536; d += PAGE / 2) {
        EXPECT_EQ_PTR(block_inspect(p + d, "testing").extent, NULL);
    }
    EXPECT_EQ_U64(reports, before + 2 * 15);
    EXPECT_EQ_U64(block_inspect(p, "testing").usize, 65536);
    block_free(p);
    end();
}

TEST(freed_blocks)
{
    begin();
    int error;
    arena_t *arena = arena_table_create(&extent_hooks_default, true, &error);
    REQUIRE(arena != NULL);
    void *p = arena_alloc(arena, 65536, 0, false);
    REQUIRE(p != NULL);
    block_free(p);
    EXPECT_EQ_U64(reports, 0);
    expect_not_ours(p);
    uint64_t ndalloc = arena->large.stats[0].ndalloc;
    block_free(p);
    EXPECT_EQ_U64(reports, 2);
    EXPECT_EQ_U64(arena->large.stats[0].ndalloc, ndalloc);
    char *q[4];
    for (unsigned i = 0; i < 4; i++) {
        q[i] = arena_alloc(arena, 1024, 0, false);
    }
    block_free(q[1]);
    block_free(q[1]);
    EXPECT_EQ_U64(reports, 3);
    char expected[128];
    snprintf(expected, sizeof(expected),
        "<jemalloc>: double free of %p: a block of size class 1024, free "
        "already\n",
        (void *)q[1]);
    EXPECT_EQ_STR(said, expected);
    arena_check(arena);
    EXPECT_EQ_I64(arena_table_destroy(arena->ind), 0);
    expect_not_ours(q[0]);
    end();
}

/* A large block that a cache holds is not live either. */
TEST(cached_blocks)
{
    begin();
    void *p = arena_alloc(arena_table_first(), 65536, 0, false);
    REQUIRE(p != NULL);
    extent_t *e = extent_map_find(p);
    extent_set_flag(e, EXTENT_CACHED, true);
    EXPECT_EQ_PTR(block_inspect(p, "testing").extent, NULL);
    EXPECT_EQ_U64(reports, 1);
    extent_set_flag(e, EXTENT_CACHED, false);
    block_free(p);
    EXPECT_EQ_U64(reports, 1);
    end();
}

/* ---- batches ---- */

static void expect_alien(unsigned c, void *ptr)
{
    char expected[256];
    snprintf(expected, sizeof(expected),
        "<jemalloc>: %p was freed as a block of size class %zu but is none: "
        "not the start of a live block, or freed with a wrong size\n",
        ptr, sizeclass_size(c - 1));
    unsigned before = reports;
    block_flush(NULL, c, &ptr, 1, 0);
    EXPECT_EQ_U64(reports, before + 1);
    if (ptr != NULL) {
        EXPECT_EQ_STR(said, expected);
    }
}

static void *others;
static unsigned asked;

static bool take_others(void *ptr)
{
    asked++;
    return ptr == others;
}

/* What another allocator takes is none of our business. */
TEST(aliens_that_are_taken)
{
    static char foreign[128];
    begin();
    unsigned small = sizeclass_index(64) + 1;
    void *batch[] = {foreign, foreign + 64};
    others = foreign;
    block_set_alien_taker(take_others);
    block_flush(NULL, small, batch, 2, 0);
    block_set_alien_taker(NULL);
    EXPECT_EQ_U64(asked, 2);
    EXPECT_EQ_U64(reports, 1);
    end();
}

/* Blocks of no bytes lie in a range of their own. */
TEST(hollow_blocks)
{
    begin();
    char *p = hollow_take();
    REQUIRE(p != NULL);
    char *start = p - ((uintptr_t)p - atomic_get_relaxed(&hollow_start));
    EXPECT(hollow_has(p) && hollow_is_live(p));
    EXPECT(hollow_has(start) && hollow_has(start + HOLLOW_BYTES - 1));
    EXPECT(!hollow_has(start - 1) && !hollow_has(start + HOLLOW_BYTES));
    EXPECT(hollow_give(p));
    EXPECT(!hollow_is_live(p) && !hollow_give(p));
    end();
}

TEST(aliens_in_batches)
{
    begin();
    unsigned small = sizeclass_index(64) + 1;
    unsigned large = sizeclass_index(20480) + 1;
    char *p = arena_alloc(arena_table_first(), 64, 0, false);
    char *q = arena_alloc(arena_table_first(), 20480, PAGE, false);
    REQUIRE(p != NULL && q != NULL);
    static char foreign[64];
    for (unsigned c = 1; c <= TCACHE_CLASS_COUNT; c++) {
        expect_alien(c, foreign);
        expect_alien(c, NULL);
        expect_alien(c, p + 1);
        expect_alien(c, q + 64);
        if (c != small) {
            expect_alien(c, p);
        }
        if (c != large) {
            expect_alien(c, q);
        }
    }
    /* The live ones among them are taken; the others are dropped. */
    bin_t *bin = arena_bin(arena_table_first(), small, 0);
    size_t live = bin->stats.curregs;
    void *mixed[] = {foreign, p, p + 8, q, NULL};
    reports = 0;
    block_flush(NULL, small, mixed, 5, 0);
    EXPECT_EQ_U64(reports, 4);
    EXPECT_EQ_U64(bin->stats.curregs, live - 1);
    block_free(q);
    arena_check(arena_table_first());
    end();
}

/* The same block twice in one batch, side by side and apart. */
TEST(twice_in_a_batch)
{
    begin();
    unsigned c = sizeclass_index(64) + 1;
    bin_t *bin = arena_bin(arena_table_first(), c, 0);
    void *p[3];
    for (unsigned i = 0; i < 3; i++) {
        p[i] = arena_alloc(arena_table_first(), 64, 0, false);
        REQUIRE(p[i] != NULL);
    }
    size_t live = bin->stats.curregs;
    void *beside[] = {p[0], p[0]};
    block_flush(NULL, c, beside, 2, 0);
    EXPECT_EQ_U64(reports, 1);
    EXPECT_EQ_U64(bin->stats.curregs, live - 1);
    void *apart[] = {p[1], p[2], p[1]};
    block_flush(NULL, c, apart, 3, 0);
    EXPECT_EQ_U64(reports, 2);
    EXPECT_EQ_U64(bin->stats.curregs, live - 3);
    EXPECT(strstr(said, "double free of") != NULL);
    arena_check(arena_table_first());
    end();
}

#define ARENAS 5
#define BLOCKS 300

/* Each block goes home, whatever company it travels in. */
TEST(batches_from_many_arenas)
{
    begin();
    arena_t *arenas[ARENAS];
    int error;
    for (unsigned i = 0; i < ARENAS; i++) {
        arenas[i] = arena_table_create(&extent_hooks_default, true, &error);
        REQUIRE(arenas[i] != NULL);
    }
    const size_t sizes[] = {8, 112, 4096, 14336, 16384, 32768};
    for (unsigned s = 0; s < 6; s++) {
        unsigned c = sizeclass_index(sizes[s]) + 1;
        void *p[BLOCKS];
        for (unsigned i = 0; i < BLOCKS; i++) {
            p[i] = arena_alloc(arenas[i * i % ARENAS], sizes[s], 0, false);
            REQUIRE(p[i] != NULL);
        }
        block_flush(arenas[2], c, p, BLOCKS, 1000);
        for (unsigned i = 0; i < ARENAS; i++) {
            arena_check(arenas[i]);
            EXPECT_EQ_U64(arenas[i]->large.allocated_bytes, 0);
            uint64_t nrequests = 0;
            uint64_t nmalloc = 0;
            if (c <= SC_SMALL_COUNT) {
                bin_stats_t *stats = &arena_bin(arenas[i], c, 0)->stats;
                EXPECT_EQ_U64(stats->curregs, 0);
                nrequests = stats->nrequests;
                nmalloc = stats->nmalloc;
            } else {
                large_class_stats_t *stats =
                    &arenas[i]->large.stats[c - 1 - SC_SMALL_COUNT];
                nrequests = stats->nrequests;
                nmalloc = stats->nmalloc;
            }
            EXPECT_EQ_U64(nrequests, nmalloc + (i == 2 ? 1000 : 0));
        }
    }
    for (unsigned i = 0; i < ARENAS; i++) {
        EXPECT_EQ_I64(arena_table_destroy(arenas[i]->ind), 0);
    }
    EXPECT_EQ_U64(reports, 0);
    end();
}

int main(void)
{
    return test_run(TEST_CASE(live_blocks), TEST_CASE(foreign_pointers),
        TEST_CASE(inside_small_blocks), TEST_CASE(inside_large_blocks),
        TEST_CASE(freed_blocks), TEST_CASE(cached_blocks),
        TEST_CASE(aliens_that_are_taken), TEST_CASE(hollow_blocks),
        TEST_CASE(aliens_in_batches), TEST_CASE(twice_in_a_batch),
        TEST_CASE(batches_from_many_arenas), NULL);
}
