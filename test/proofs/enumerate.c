/*
 * What: what can be counted out, is: tables against the computed classes,
 * regions of slabs by reciprocal against true division, the curve of decay.
 *
 * Invariants: (I1) every value of the domain is looked at; each case says how
 * many there were.
 *
 * Locking: none.
 */
#include "arena/slab.h"
#include "conf/sizeclass.h"
#include "extent/decay.h"
#include "harness.h"
#include "jemalloc/jemalloc.h"

static unsigned long cases;

/* Reports the first failure with its operands, and counts. */
#define COUNT(held, a, b)                                                      \
    do {                                                                       \
        cases++;                                                               \
        if (!(held)) {                                                         \
            test_note("%s with %lu, %lu", #held, (unsigned long)(a),           \
                (unsigned long)(b));                                           \
            REQUIRE(held);                                                     \
        }                                                                      \
    } while (0)

static void say(void)
{
    test_note("%lu cases", cases);
    cases = 0;
}

TEST(byte_table)
{
    for (size_t size = 0; size <= SC_LOOKUP_MAX; size++) {
        COUNT(sizeclass_lookup(size) == sizeclass_index(size) + 1, size, 0);
    }
    for (size_t size = SC_LOOKUP_MAX; size <= TCACHE_MAX_LIMIT; size++) {
        COUNT(sizeclass_lookup_coarse(size) == sizeclass_index(size) + 1, size,
            0);
    }
    for (unsigned c = 1; c < TCACHE_BIN_COUNT; c++) {
        COUNT(sizeclass_bytes[c] == sizeclass_size(c - 1), c, 0);
    }
    say();
}

/* The lowest common definition: how many classes are too small. */
TEST(small_classes)
{
    for (size_t size = 0; size <= (size_t)1 << 20; size++) {
        unsigned index = 0;
        while (sizeclass_size(index) < size) {
            index++;
        }
        COUNT(sizeclass_index(size) == index, size, index);
    }
    say();
}

/*
 * Slabs as the options can make them at most; fewer regions are the same
 * with an earlier end.
 */
TEST(regions)
{
    for (unsigned c = 1; c <= SC_SMALL_COUNT; c++) {
        sizeclass_slab_t shape = *slab_shape(c);
        COUNT(shape.used_bytes == shape.regions * shape.region_bytes, c, 0);
        COUNT(shape.used_bytes <= shape.slab_bytes &&
                  shape.regions <= SLAB_REGIONS_MAX,
            c, 0);
        size_t size = shape.region_bytes;
        shape.used_bytes = (uint32_t)(SLAB_REGIONS_MAX * size);
        for (uint64_t offset = 0; offset < shape.used_bytes; offset++) {
            unsigned region =
                offset % size == 0 ? (unsigned)(offset / size) : SLAB_NO_REGION;
            COUNT(slab_region_at(&shape, offset) == region, c, offset);
        }
        for (unsigned lg = 0; lg < 64; lg++) {
            uint64_t offset = shape.used_bytes + ((1ULL << lg) - 1);
            COUNT(slab_region_at(&shape, offset) == SLAB_NO_REGION, c, offset);
        }
    }
    say();
}

/* Alignments and sizes of all slabs: each region is where it must be. */
TEST(alignment_of_regions)
{
    for (size_t alignment = 1; alignment <= PAGE; alignment *= 2) {
        for (size_t size = 0; size <= SC_SMALL_MAX; size++) {
            size_t usize = sizeclass_usize_aligned(size, alignment);
            COUNT(usize >= size && (usize % alignment == 0), size, alignment);
        }
    }
    say();
}

/*
 * One amount that became unused at once: what may stay falls from all of it
 * to nothing, never more than the amount, never rising, at every step and
 * wherever in a step the clock is.
 */
TEST(decay_curve)
{
    static const size_t amounts[] = {
        1, 4096, 65535, 65536, 1UL << 30, (size_t)-1 / DECAY_STEPS};
    for (size_t i = 0; i < sizeof(amounts) / sizeof(amounts[0]); i++) {
        decay_t decay;
        size_t bytes = amounts[i];
        size_t before = bytes;
        decay_init(&decay, 1000, 0);
        uint64_t step = decay.step_ns;
        for (uint64_t tick = 4; tick <= 4 * (DECAY_STEPS + 4); tick++) {
            size_t limit = decay_limit(&decay, tick * step / 4, bytes);
            COUNT(limit <= before, tick, limit);
            before = limit;
            bytes = limit; /* the caller purges the rest */
        }
        COUNT(before == 0, amounts[i], before);
    }
    say();
}

/*
 * Every age, and every amount below the unit of the fixed point; whole units
 * follow from weights of at most one, which prove.py shows.
 */
TEST(decay_share)
{
    decay_t decay;
    decay_init(&decay, 1000, 0);
    for (size_t age = 0; age < DECAY_STEPS; age++) {
        for (size_t bytes = 0; bytes <= 65536; bytes++) {
            decay.backlog[age] = bytes;
            COUNT(decay_limit(&decay, 0, 0) <= bytes, age, bytes);
        }
        decay.backlog[age] = 0;
    }
    say();
}

/* Whatever the clock does, more than there is never stays. */
TEST(decay_clocks)
{
    static const uint64_t jumps[] = {0, 1, 7812500, 999999999, 1000000000,
        (uint64_t)1 << 40, (uint64_t)1 << 63, UINT64_MAX - 1, UINT64_MAX};
    enum { N = sizeof(jumps) / sizeof(jumps[0]) };
    for (unsigned way = 0; way < N * N * N * N; way++) {
        decay_t decay;
        decay_init(&decay, 1000, jumps[way % N]);
        size_t most = 0;
        for (unsigned i = 1, rest = way / N; i < 4; i++, rest /= N) {
            size_t bytes = 1000000 * i;
            most = bytes;
            size_t limit = decay_limit(&decay, jumps[rest % N], bytes);
            COUNT(limit <= most, way, limit);
            COUNT(decay.epoch_ns <= jumps[rest % N], way, i);
        }
    }
    say();
}

int main(void)
{
    je_free(je_malloc(1)); /* boots */
    return test_run(TEST_CASE(byte_table), TEST_CASE(small_classes),
        TEST_CASE(regions), TEST_CASE(alignment_of_regions),
        TEST_CASE(decay_curve), TEST_CASE(decay_share), TEST_CASE(decay_clocks),
        NULL);
}
