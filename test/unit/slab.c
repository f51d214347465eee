/*
 * What: slabs of every class against an array of flags: taking lowest first,
 * giving back, and which addresses are regions.
 *
 * Invariants: (I1) the model knows of each region whether it is taken.
 *
 * Locking: none.
 */
#include "arena/slab.h"

#include <string.h>

#include "harness.h"
#include "jemalloc/jemalloc.h"
#include "util/prng.h"

/* Nothing reads what the extent describes. */
#define SLAB_BASE ((uintptr_t)1 << 30)

static extent_t slab;
static bool taken[SLAB_REGIONS_MAX];

static const sizeclass_slab_t *begin(unsigned class_byte)
{
    je_free(je_malloc(1)); /* boots */
    memset(&slab, 0x5a, sizeof(slab));
    memset(taken, 0, sizeof(taken));
    const sizeclass_slab_t *shape = slab_shape(class_byte);
    /* NOLINTNEXTLINE(performance-no-int-to-ptr) */
    extent_init(&slab, 3, (void *)SLAB_BASE, shape->slab_bytes, EXTENT_ACTIVE,
        EXTENT_COMMITTED);
    slab_init(&slab, class_byte, 5);
    return shape;
}

static unsigned count_free(unsigned regions)
{
    unsigned count = 0;
    for (unsigned i = 0; i < regions; i++) {
        count += !taken[i];
    }
    return count;
}

/* Takes `want`: the lowest free regions, in order. */
static void take(const sizeclass_slab_t *shape, unsigned want)
{
    void *out[SLAB_REGIONS_MAX + 1];
    unsigned free_before = count_free(shape->regions);
    unsigned got = slab_take(&slab, shape, out, want);
    EXPECT_EQ_U64(got, want < free_before ? want : free_before);
    unsigned region = 0;
    for (unsigned i = 0; i < got; i++) {
        while (taken[region]) {
            region++;
        }
        EXPECT_EQ_U64((uintptr_t)out[i],
            SLAB_BASE + (uintptr_t)region * shape->region_bytes);
        EXPECT_EQ_U64(slab_region_of(&slab, shape, out[i]), region);
        taken[region] = true;
    }
}

/* Gives bits of one word back, some of which may be free already. */
static void give(unsigned regions, unsigned word, uint64_t bits)
{
    uint64_t expected = 0;
    for (unsigned i = 0; i < 64; i++) {
        unsigned region = word * 64 + i;
        if ((bits >> i & 1) == 0) {
            continue;
        }
        EXPECT(region < regions);
        expected |= taken[region] ? 0 : 1ULL << i;
        taken[region] = false;
    }
    EXPECT_EQ_U64(slab_give_bits(&slab, word, bits), expected);
}

TEST(fresh)
{
    for (unsigned c = 1; c <= SC_SMALL_COUNT; c++) {
        const sizeclass_slab_t *shape = begin(c);
        EXPECT_EQ_U64(slab_free_count(&slab), shape->regions);
        EXPECT_EQ_U64(extent_size(&slab), shape->slab_bytes);
        EXPECT_EQ_U64(extent_word_class(extent_word(&slab)), c);
        EXPECT_EQ_U64(extent_word_shard(extent_word(&slab)), 5);
        EXPECT_EQ_U64(extent_arena(&slab), 3);
        EXPECT(extent_has(&slab, EXTENT_SLAB));
        slab_check(&slab);
        take(shape, shape->regions + 1);
        EXPECT_EQ_U64(slab_free_count(&slab), 0);
        slab_check(&slab);
    }
}

TEST(agrees_with_flags)
{
    uint64_t random = 1;
    for (unsigned c = 1; c <= SC_SMALL_COUNT; c++) {
        const sizeclass_slab_t *shape = begin(c);
        for (unsigned i = 0; i < 300; i++) {
            if (prng_bits(&random, 1) == 0) {
                take(shape, (unsigned)prng_bits(&random, 7));
            } else {
                unsigned region =
                    (unsigned)prng_bits(&random, 32) % shape->regions;
                unsigned word = region / 64;
                unsigned left = shape->regions - word * 64;
                uint64_t mask = left >= 64 ? ~0ULL : (1ULL << left) - 1;
                give(shape->regions, word, prng_bits(&random, 64) & mask);
            }
            slab_check(&slab);
            EXPECT_EQ_U64(slab_free_count(&slab), count_free(shape->regions));
            EXPECT_EQ_U64(extent_size(&slab), shape->slab_bytes);
        }
    }
}

/* Of all addresses only the starts of regions are regions. */
TEST(region_of_every_address)
{
    for (unsigned c = 1; c <= SC_SMALL_COUNT; c++) {
        const sizeclass_slab_t *shape = begin(c);
        unsigned wrong = 0;
        for (uintptr_t d = 0; d < shape->slab_bytes + 2 * PAGE; d++) {
            uintptr_t addr = SLAB_BASE - PAGE + d;
            uintptr_t offset = addr - SLAB_BASE;
            unsigned expected = SLAB_NO_REGION;
            if (offset < (uintptr_t)shape->regions * shape->region_bytes &&
                offset % shape->region_bytes == 0) {
                expected = (unsigned)(offset / shape->region_bytes);
            }
            /* NOLINTNEXTLINE(performance-no-int-to-ptr) */
            wrong += slab_region_of(&slab, shape, (void *)addr) != expected;
        }
        EXPECT_EQ_U64(wrong, 0);
        EXPECT_EQ_U64(slab_region_of(&slab, shape, NULL), SLAB_NO_REGION);
        EXPECT_EQ_U64(
            slab_region_of(&slab, shape, (void *)UINTPTR_MAX), /* NOLINT */
            SLAB_NO_REGION);
    }
}

int main(void)
{
    return test_run(TEST_CASE(fresh), TEST_CASE(agrees_with_flags),
        TEST_CASE(region_of_every_address), NULL);
}
