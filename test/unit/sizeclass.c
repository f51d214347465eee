/*
 * What: the series of size classes against its definition, walked step by
 * step: every small size, the sizes around each class, the documented tables
 * of slabs, aligned and large sizes, run classes, and the options that shape
 * slabs.
 *
 * Invariants: (I1) tests that change options boot the tables again.
 *
 * Locking: none.
 */
#include "conf/sizeclass.h"

#include <string.h>

#include "conf/conf_boot.h"
#include "harness.h"
#include "jemalloc/jemalloc.h"

/* The series as it is defined: 8, four steps of 16, then four a doubling. */
static size_t series[SC_COUNT];

static void make_series(void)
{
    je_free(je_malloc(1)); /* boots */
    unsigned n = 0;
    series[n++] = 8;
    for (size_t size = 16; size <= 64; size += 16) {
        series[n++] = size;
    }
    for (size_t base = 64; n < SC_COUNT; base *= 2) {
        for (unsigned quarter = 1; quarter <= 4 && n < SC_COUNT; quarter++) {
            series[n++] = base + base / 4 * quarter;
        }
    }
}

/* Index of the first class that holds `size`. */
static unsigned class_of(size_t size)
{
    unsigned i = 0;
    while (series[i] < size) {
        i++;
    }
    return i;
}

static size_t page_multiple(size_t size)
{
    return size <= SC_LARGE_MIN ? SC_LARGE_MIN : bits_round_up(size, PAGE);
}

static void expect_size(size_t size)
{
    unsigned index = class_of(size);
    EXPECT_EQ_U64(sizeclass_index(size), index);
    EXPECT_EQ_U64(sizeclass_usize(size),
        size <= SC_SMALL_MAX ? series[index] : page_multiple(size));
    if (size <= SC_LOOKUP_MAX) {
        EXPECT_EQ_U64(sizeclass_lookup(size), index + 1);
    }
}

TEST(series_is_as_defined)
{
    make_series();
    EXPECT_EQ_U64(series[SC_COUNT - 1], SC_MAX);
    EXPECT_EQ_U64(series[SC_SMALL_COUNT - 1], SC_SMALL_MAX);
    EXPECT_EQ_U64(series[SC_SMALL_COUNT], SC_LARGE_MIN);
    EXPECT_EQ_U64(series[TCACHE_CLASS_COUNT - 1], TCACHE_MAX_LIMIT);
    unsigned page_multiples = 0;
    for (unsigned i = 0; i < SC_COUNT; i++) {
        EXPECT_EQ_U64(sizeclass_size(i), series[i]);
        page_multiples += series[i] % PAGE == 0;
    }
    EXPECT_EQ_U64(page_multiples, sizeof(void *) == 8 ? 199 : 71);
}

TEST(every_size)
{
    make_series();
    for (size_t size = 0; size <= 65536; size++) {
        expect_size(size);
    }
    for (unsigned i = 0; i < SC_COUNT; i++) {
        for (size_t d = 0; d <= 2; d++) {
            expect_size(series[i] - d);
            if (i + 1 < SC_COUNT) {
                expect_size(series[i] + d);
            }
        }
    }
    EXPECT_EQ_U64(sizeclass_usize(SC_MAX), SC_MAX);
    EXPECT_EQ_U64(sizeclass_usize(SC_MAX + 1), 0);
    EXPECT_EQ_U64(sizeclass_usize(SIZE_MAX), 0);
}

/* Large classes of the series, where the option wants them. */
TEST(large_classes_of_the_series)
{
    make_series();
    conf_opt_t former = opt;
    conf_opt_t changed = opt;
    changed.disable_large_size_classes = false;
    conf_reset_for_test(&changed);
    for (unsigned i = SC_SMALL_COUNT; i < SC_COUNT; i++) {
        EXPECT_EQ_U64(sizeclass_usize(series[i]), series[i]);
        EXPECT_EQ_U64(sizeclass_usize(series[i] - 1), series[i]);
        EXPECT_EQ_U64(sizeclass_usize(series[i - 1] + 1), series[i]);
    }
    EXPECT_EQ_U64(sizeclass_usize_aligned(100000, 8192), 114688);
    EXPECT_EQ_U64(sizeclass_usize_aligned(100000, 1 << 21), 114688);
    EXPECT_EQ_U64(sizeclass_usize(SC_MAX + 1), 0);
    conf_reset_for_test(&former);
}

/* Columns: size, log2 of the alignment, usable size. */
static const struct {
    size_t size;
    unsigned lg;
    size_t usize;
} aligned[] = {
    {8, 4, 16},
    {1, 5, 32},
    {33, 5, 64},
    {65, 6, 128},
    {129, 7, 256},
    {1, 12, 4096},
    {100, 12, 4096},
    {1, 13, 16384},
    {5000, 13, 16384},
    {1, LG_PTR_BITS - 2, 16384},
    {1, LG_PTR_BITS - 1, 0},
    {4097, 12, 8192},
    {4097, 11, 6144},
    {8193, 12, 12288},
    {10000, 12, 12288},
    {12289, 12, 16384},
    {14336, 12, 16384},
    {14336, 11, 14336},
    {100000, 13, 102400},
    {100000, 21, 102400},
    {0, 12, 4096},
    {0, 4, 16},
    {32769, 0, 36864},
    {40961, 0, 45056},
    {65537, 0, 69632},
    {1048577, 0, 1052672},
    {14337, 0, 16384},
    {16385, 0, 20480},
    {20481, 0, 24576},
    {9, 0, 16},
    {SC_MAX, 0, SC_MAX},
    {SC_MAX + 1, 0, 0},
    {SC_MAX, 12, SC_MAX},
    {SIZE_MAX, 4, 0},
    {SC_MAX, LG_PTR_BITS - 2, SC_MAX},
    {SC_MAX + 1, LG_PTR_BITS - 2, 0},
};

TEST(aligned_sizes)
{
    make_series();
    for (unsigned i = 0; i < sizeof(aligned) / sizeof(aligned[0]); i++) {
        size_t alignment = (size_t)1 << aligned[i].lg;
        size_t usize = sizeclass_usize_aligned(aligned[i].size, alignment);
        if (usize != aligned[i].usize) {
            test_note("size %zu, lg %u", aligned[i].size, aligned[i].lg);
            EXPECT_EQ_U64(usize, aligned[i].usize);
        }
    }
}

/* A small class that answers an aligned request is aligned itself (I2). */
TEST(aligned_small_classes)
{
    make_series();
    for (size_t alignment = 1; alignment <= 2 * PAGE; alignment *= 2) {
        for (size_t size = 0; size <= 20000; size += 3) {
            size_t usize = sizeclass_usize_aligned(size, alignment);
            EXPECT_GE_U64(usize, size);
            if (usize <= SC_SMALL_MAX) {
                EXPECT_EQ_U64(usize % alignment, 0);
                EXPECT_LE_U64(alignment, PAGE);
            }
        }
    }
}

/* Class size, pages of a slab, regions in it. */
static const unsigned slabs[SC_SMALL_COUNT][3] = {
    {8, 1, 512},
    {16, 1, 256},
    {32, 1, 128},
    {48, 3, 256},
    {64, 1, 64},
    {80, 5, 256},
    {96, 3, 128},
    {112, 7, 256},
    {128, 1, 32},
    {160, 5, 128},
    {192, 3, 64},
    {224, 7, 128},
    {256, 1, 16},
    {320, 5, 64},
    {384, 3, 32},
    {448, 7, 64},
    {512, 1, 8},
    {640, 5, 32},
    {768, 3, 16},
    {896, 7, 32},
    {1024, 1, 4},
    {1280, 5, 16},
    {1536, 3, 8},
    {1792, 7, 16},
    {2048, 1, 2},
    {2560, 5, 8},
    {3072, 3, 4},
    {3584, 7, 8},
    {4096, 1, 1},
    {5120, 5, 4},
    {6144, 3, 2},
    {7168, 7, 4},
    {8192, 2, 1},
    {10240, 5, 2},
    {12288, 3, 1},
    {14336, 7, 2},
};

static void expect_slab(unsigned index, size_t pages, size_t regions)
{
    const sizeclass_slab_t *shape = &sizeclass_slabs[index];
    EXPECT_EQ_U64(shape->region_bytes, sizeclass_size(index));
    EXPECT_EQ_U64(shape->slab_bytes, PAGES(pages));
    EXPECT_EQ_U64(shape->regions, regions);
    /* The reciprocal divides exactly, for every offset in the slab. */
    for (uint64_t offset = 0; offset < shape->slab_bytes; offset++) {
        if ((offset * shape->reciprocal) >> 32 !=
            offset / shape->region_bytes) {
            EXPECT_EQ_U64((offset * shape->reciprocal) >> 32,
                offset / shape->region_bytes);
            return;
        }
    }
}

TEST(slab_geometry)
{
    make_series();
    for (unsigned i = 0; i < SC_SMALL_COUNT; i++) {
        EXPECT_EQ_U64(sizeclass_size(i), slabs[i][0]);
        expect_slab(i, slabs[i][1], slabs[i][2]);
        EXPECT_EQ_U64(sizeclass_slabs[i].shards, 1);
    }
}

static void set_ranges(
    conf_ranges_t *ranges, size_t start, size_t end, size_t count)
{
    ranges->seg[ranges->n].start = start;
    ranges->seg[ranges->n].end = end;
    ranges->seg[ranges->n].count = count;
    ranges->n++;
}

TEST(options_shape_slabs)
{
    make_series();
    conf_opt_t former = opt;
    conf_opt_t changed = opt;
    changed.slab_sizes.n = 0;
    changed.bin_shards.n = 0;
    set_ranges(&changed.slab_sizes, 1, 8, 8);         /* 512 regions at most */
    set_ranges(&changed.slab_sizes, 100, 200, 2);     /* 112 .. 224 */
    set_ranges(&changed.slab_sizes, 14336, 14336, 1); /* too few: 4 pages */
    set_ranges(&changed.slab_sizes, 1024, 1024, 3);
    set_ranges(&changed.slab_sizes, 1020, 1030, 6); /* the last one wins */
    set_ranges(&changed.bin_shards, 1, 128, 4);
    set_ranges(&changed.bin_shards, 64, 64, 1000); /* too many: 64 */
    set_ranges(&changed.bin_shards, 80, 80, 0);    /* too few: 1 */
    conf_reset_for_test(&changed);
    sizeclass_boot();
    expect_slab(0, 1, 512);
    expect_slab(6, 3, 128); /* 96: untouched */
    expect_slab(7, 2, 73);  /* 112 */
    expect_slab(10, 2, 42);
    expect_slab(11, 2, 36); /* 224 holds 200 */
    expect_slab(12, 1, 16);
    expect_slab(35, 4, 1);
    expect_slab(20, 6, 24);
    expect_slab(21, 6, 19); /* 1280 holds 1030 */
    EXPECT_EQ_U64(sizeclass_slabs[0].shards, 4);
    EXPECT_EQ_U64(sizeclass_slabs[4].shards, BIN_SHARDS_MAX);
    EXPECT_EQ_U64(sizeclass_slabs[5].shards, 1);
    EXPECT_EQ_U64(sizeclass_slabs[8].shards, 4);
    EXPECT_EQ_U64(sizeclass_slabs[9].shards, 1);
    conf_reset_for_test(&former);
    sizeclass_boot();
}

/* Run classes: ordered, floor <= ceil, and a class from ceil on fits. */
TEST(run_classes)
{
    size_t least[SC_RUN_COUNT];
    memset(least, 0, sizeof(least));
    unsigned before = 0;
    for (size_t pages = 1; pages < (size_t)1 << 20; pages++) {
        unsigned floor = sizeclass_run_floor(PAGES(pages));
        unsigned ceil = sizeclass_run_ceil(PAGES(pages));
        EXPECT(floor == before || floor == before + 1);
        before = floor;
        if (least[floor] == 0) {
            least[floor] = pages;
        }
        EXPECT(ceil == floor + (least[floor] != pages));
        if (pages <= 8) {
            EXPECT_EQ_U64(floor, pages - 1);
        }
        /* At most a quarter lost by taking the class's least for all. */
        EXPECT_LE_U64(pages - least[floor], least[floor] / 4);
    }
    size_t all = (size_t)(((uint64_t)1 << CONFIG_LG_VADDR) - PAGE);
    EXPECT_LT_U64(sizeclass_run_ceil(all), SC_RUN_COUNT);
}

int main(void)
{
    return test_run(TEST_CASE(series_is_as_defined), TEST_CASE(every_size),
        TEST_CASE(large_classes_of_the_series), TEST_CASE(aligned_sizes),
        TEST_CASE(aligned_small_classes), TEST_CASE(slab_geometry),
        TEST_CASE(options_shape_slabs), TEST_CASE(run_classes), NULL);
}
