/*
 * What: the metadata allocator: zeroed, aligned, never overlapping; its
 * counters; hooks that fail; giving all back.
 *
 * Invariants: (I1) blocks handed out are filled, so that overlaps show.
 *
 * Locking: the base's.
 */
#include "extent/base.h"

#include <pthread.h>
#include <string.h>

#include "conf/limits.h"
#include "harness.h"
#include "util/bits.h"
#include "util/prng.h"

static base_t base;
static extent_hooks_t hooks;

static struct {
    size_t mapped;
    unsigned blocks;
    unsigned calls;
    unsigned allowed;
    bool refuses_dalloc;
    unsigned decommits;
} seen;

static void *hook_alloc(extent_hooks_t *self, void *addr, size_t size,
    size_t alignment, bool *zero, bool *commit, unsigned arena_ind)
{
    (void)self;
    EXPECT(*zero && *commit);
    EXPECT_EQ_U64(arena_ind, 77);
    /* Blocks from hooks of the program are whole huge pages. */
    EXPECT_EQ_U64(size % HUGEPAGE, 0);
    EXPECT_EQ_U64(alignment, HUGEPAGE);
    if (seen.calls++ >= seen.allowed) {
        return NULL;
    }
    seen.blocks++;
    seen.mapped += size;
    return extent_hooks_default.alloc(
        &extent_hooks_default, addr, size, alignment, zero, commit, arena_ind);
}

static bool hook_dalloc(extent_hooks_t *self, void *addr, size_t size,
    bool committed, unsigned arena_ind)
{
    (void)self;
    EXPECT(committed);
    if (seen.refuses_dalloc) {
        return true;
    }
    seen.mapped -= size;
    return extent_hooks_default.dalloc(
        &extent_hooks_default, addr, size, committed, arena_ind);
}

static bool hook_decommit(extent_hooks_t *self, void *addr, size_t size,
    size_t offset, size_t length, unsigned arena_ind)
{
    (void)self, (void)addr, (void)arena_ind;
    EXPECT_EQ_U64(offset, 0);
    EXPECT_EQ_U64(length, size);
    seen.decommits++;
    return false;
}

static void begin(bool custom, unsigned allowed)
{
    je_free(je_malloc(1)); /* boots */
    memset(&seen, 0, sizeof(seen));
    seen.allowed = allowed;
    hooks = extent_hooks_default;
    hooks.alloc = hook_alloc;
    hooks.dalloc = hook_dalloc;
    hooks.decommit = hook_decommit;
    base_init(&base, custom ? &hooks : &extent_hooks_default, 77);
}

static bool is_all(const unsigned char *p, size_t size, unsigned char value)
{
    for (size_t i = 0; i < size; i++) {
        if (p[i] != value) {
            return false;
        }
    }
    return true;
}

static void fill_and_check(unsigned rounds)
{
    static struct {
        unsigned char *p;
        size_t size;
    } held[2000];
    uint64_t random = rounds;
    size_t sum = 0;
    for (unsigned i = 0; i < rounds; i++) {
        size_t size = 1 + prng_bits(&random, 10);
        size_t alignment = (size_t)1 << prng_bits(&random, 3);
        if (prng_bits(&random, 6) == 0) {
            size <<= 7;
            alignment = PAGE;
        }
        unsigned char *p = base_alloc(&base, size, alignment);
        REQUIRE(p != NULL);
        EXPECT_EQ_U64((uintptr_t)p % alignment, 0);
        EXPECT_EQ_U64((uintptr_t)p % QUANTUM, 0);
        EXPECT(is_all(p, size, 0));
        memset(p, (int)(i % 255) + 1, size);
        held[i].p = p;
        held[i].size = size;
        sum += bits_round_up(size, QUANTUM);
        EXPECT_EQ_U64(base.allocated_bytes, sum);
        EXPECT_LE_U64(base.allocated_bytes, base.mapped_bytes);
        EXPECT_LE_U64(base.resident_bytes, base.mapped_bytes);
    }
    EXPECT_GE_U64(base.resident_bytes, sum);
    for (unsigned i = 0; i < rounds; i++) {
        EXPECT(is_all(held[i].p, held[i].size, (unsigned char)(i % 255 + 1)));
    }
}

TEST(objects)
{
    begin(false, 0);
    fill_and_check(2000);
    base_destroy(&base);
    begin(true, 100);
    fill_and_check(2000);
    EXPECT_EQ_U64(base.mapped_bytes, seen.mapped);
    EXPECT_EQ_U64(base.block_count, seen.blocks);
    base_destroy(&base);
    EXPECT_EQ_U64(seen.mapped, 0);
}

TEST(larger_than_a_block)
{
    begin(true, 100);
    unsigned char *p = base_alloc(&base, 3 * HUGEPAGE + 1, 4 * PAGE);
    REQUIRE(p != NULL);
    EXPECT_EQ_U64((uintptr_t)p % (4 * PAGE), 0);
    EXPECT(is_all(p, 3 * HUGEPAGE + 1, 0));
    EXPECT_EQ_U64(base.mapped_bytes, 4 * HUGEPAGE);
    base_destroy(&base);
    EXPECT_EQ_U64(seen.mapped, 0);
}

/* Where the alignment leads past the end of a block it takes a new one. */
TEST(alignment_past_the_end)
{
    const size_t alignment = 32 * HUGEPAGE;
    begin(false, 0);
    for (unsigned i = 0; i < 3; i++) {
        EXPECT(base_alloc(&base, 64, QUANTUM) != NULL);
        char *p = base_alloc(&base, 64, alignment);
        REQUIRE(p != NULL);
        EXPECT_EQ_U64((uintptr_t)p % alignment, 0);
        const char *block = (const char *)base.blocks;
        EXPECT_GE_U64((uintptr_t)p, (uintptr_t)block);
        EXPECT_LE_U64((uintptr_t)p + 64, (uintptr_t)block + base.blocks->size);
    }
    base_destroy(&base);
}

TEST(no_memory)
{
    begin(true, 1);
    unsigned got = 0;
    while (base_alloc(&base, PAGE, PAGE) != NULL) {
        got++;
        REQUIRE(got < 1000);
    }
    EXPECT_EQ_U64(got, HUGEPAGE / PAGE - 1);
    EXPECT_EQ_U64(base.allocated_bytes, got * PAGE);
    EXPECT_EQ_U64(base.mapped_bytes, HUGEPAGE);
    EXPECT_EQ_PTR(base_alloc(&base, SIZE_MAX / 16 * 15, QUANTUM), NULL);
    /* As soon as there is some again, it goes on. */
    seen.allowed = UINT32_MAX;
    EXPECT(base_alloc(&base, PAGE, PAGE) != NULL);
    base_destroy(&base);
    EXPECT_EQ_U64(seen.mapped, 0);
}

/* What cannot be unmapped is at least decommitted. */
TEST(destroy_without_unmapping)
{
    begin(true, 3);
    for (unsigned i = 0; i < 3; i++) {
        EXPECT(base_alloc(&base, HUGEPAGE / 2 + PAGE, QUANTUM) != NULL);
    }
    seen.refuses_dalloc = true;
    base_destroy(&base);
    EXPECT_EQ_U64(seen.decommits, 3);
}

static void *hammer(void *arg)
{
    for (unsigned i = 0; i < 2000; i++) {
        unsigned char *p = base_alloc(&base, 200, QUANTUM);
        REQUIRE(p != NULL);
        EXPECT(is_all(p, 200, 0));
        memset(p, (int)(uintptr_t)arg, 200);
    }
    return NULL;
}

TEST(threads)
{
    begin(false, 0);
    pthread_t threads[4];
    for (uintptr_t i = 0; i < 4; i++) {
        REQUIRE(pthread_create(&threads[i], NULL, hammer, (void *)(i + 1)) ==
                0); /* NOLINT */
    }
    for (unsigned i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
    }
    EXPECT_EQ_U64(base.allocated_bytes, 4 * 2000 * 208);
    base_destroy(&base);
}

int main(void)
{
    return test_run(TEST_CASE(objects), TEST_CASE(larger_than_a_block),
        TEST_CASE(alignment_past_the_end), TEST_CASE(no_memory),
        TEST_CASE(destroy_without_unmapping), TEST_CASE(threads), NULL);
}
