/*
 * What: the published series of size classes, computed here by the written
 * rule and compared with what nallocx, malloc_usable_size and the control
 * tree say; tables of usable sizes for sizes and alignments.
 *
 * Invariants: the rules are restated here, not taken from the library.
 *
 * Locking: none.
 */
#include "harness.h"
#include <jemalloc/jemalloc.h>

#include <stdio.h>

#define SMALL_MAX 14336
#define LARGE_MIN 16384
#define PAGE      4096

/* The series ends one group below all bits of a pointer. */
#define PTR_BITS    ((int)(8 * sizeof(void *)))
#define LARGE_COUNT (PTR_BITS == 64 ? 196u : 68u)
#define CLASS_MAX   ((size_t)7 << (PTR_BITS - 4))

static size_t class_of_index(unsigned index)
{
    if (index == 0) {
        return 8;
    }
    unsigned group = (index - 1) / 4, member = (index - 1) % 4;
    size_t base = group == 0 ? 0 : (size_t)1 << (group + 5);
    unsigned shift = (group > 1 ? group : 1) + 3;
    return base + ((size_t)(member + 1) << shift);
}

static size_t usable_by_rule(size_t size)
{
    if (size > SMALL_MAX) {
        size_t pages = (size + PAGE - 1) / PAGE * PAGE;
        return pages < LARGE_MIN ? LARGE_MIN : pages;
    }
    unsigned index = 0;
    while (class_of_index(index) < size) {
        index++;
    }
    return class_of_index(index);
}

static size_t read_size(const char *name)
{
    size_t value = 0, length = sizeof(value);
    EXPECT_EQ_I64(mallctl(name, &value, &length, NULL, 0), 0);
    return value;
}

static unsigned read_unsigned(const char *name)
{
    unsigned value = 0;
    size_t length = sizeof(value);
    EXPECT_EQ_I64(mallctl(name, &value, &length, NULL, 0), 0);
    return value;
}

TEST(series_in_the_tree)
{
    char name[64];
    REQUIRE(read_unsigned("arenas.nbins") == 36);
    REQUIRE(read_unsigned("arenas.nlextents") == LARGE_COUNT);
    for (unsigned i = 0; i < 36; i++) {
        snprintf(name, sizeof(name), "arenas.bin.%u.size", i);
        EXPECT_EQ_U64(read_size(name), class_of_index(i));
    }
    for (unsigned i = 0; i < LARGE_COUNT; i++) {
        snprintf(name, sizeof(name), "arenas.lextent.%u.size", i);
        EXPECT_EQ_U64(read_size(name), class_of_index(36 + i));
    }
    EXPECT_EQ_U64(class_of_index(35 + LARGE_COUNT), CLASS_MAX);
    EXPECT_EQ_U64(read_size("arenas.page"), PAGE);
    EXPECT_EQ_U64(read_size("arenas.quantum"), 16);
}

TEST(every_small_size)
{
    for (size_t size = 1; size <= 3 * LARGE_MIN; size++) {
        EXPECT_EQ_U64(nallocx(size, 0), usable_by_rule(size));
    }
}

TEST(edges_of_every_class)
{
    for (unsigned i = 1; i < 35 + LARGE_COUNT; i++) {
        size_t edge = class_of_index(i);
        EXPECT_EQ_U64(nallocx(edge, 0), usable_by_rule(edge));
        EXPECT_EQ_U64(nallocx(edge + 1, 0), usable_by_rule(edge + 1));
        EXPECT_EQ_U64(nallocx(edge - 1, 0), usable_by_rule(edge - 1));
    }
}

TEST(blocks_have_that_size)
{
    for (unsigned i = 0; class_of_index(i) <= (size_t)8 << 20; i++) {
        size_t sizes[] = {
            class_of_index(i) - 1, class_of_index(i), class_of_index(i) + 1};
        for (int k = 0; k < 3; k++) {
            void *p = malloc(sizes[k]);
            REQUIRE(p != NULL);
            EXPECT_EQ_U64(malloc_usable_size(p), usable_by_rule(sizes[k]));
            free(p);
        }
    }
}

TEST(reference_values)
{
    const size_t table[][2] = {{1, 8}, {8, 8}, {9, 16}, {14336, 14336},
        {14337, 16384}, {16385, 20480}, {20481, 24576}, {32769, 36864},
        {40961, 45056}, {65537, 69632}, {1048577, 1052672},
        {CLASS_MAX, CLASS_MAX}, {CLASS_MAX + 1, 0}};

    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        EXPECT_EQ_U64(nallocx(table[i][0], 0), table[i][1]);
    }
}

TEST(aligned_reference_values)
{
    const struct {
        size_t size;
        int lg;
        size_t usable;
    } table[] = {{8, 4, 16}, {1, 5, 32}, {33, 5, 64}, {65, 6, 128},
        {129, 7, 256}, {1, 12, 4096}, {100, 12, 4096}, {1, 13, 16384},
        {5000, 13, 16384}, {1, PTR_BITS - 2, 16384}, {4097, 12, 8192},
        {4097, 11, 6144}, {8193, 12, 12288}, {10000, 12, 12288},
        {12289, 12, 16384}, {14336, 12, 16384}, {14336, 11, 14336},
        {100000, 13, 102400}, {100000, 21, 102400}, {1, PTR_BITS - 1, 0},
        {1, 63, 0}};

    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        EXPECT_EQ_U64(nallocx(table[i].size, MALLOCX_LG_ALIGN(table[i].lg)),
            table[i].usable);
    }
}

/* The rule for small sizes and alignments, everywhere. */
TEST(aligned_rule)
{
    for (int lg = 4; lg <= 12; lg++) {
        size_t alignment = (size_t)1 << lg;
        for (size_t size = 1; size <= SMALL_MAX; size += 7) {
            size_t rounded = (size + alignment - 1) & ~(alignment - 1);
            EXPECT_EQ_U64(
                nallocx(size, MALLOCX_LG_ALIGN(lg)), usable_by_rule(rounded));
        }
    }
}

int main(void)
{
    return test_run(TEST_CASE(series_in_the_tree), TEST_CASE(every_small_size),
        TEST_CASE(edges_of_every_class), TEST_CASE(blocks_have_that_size),
        TEST_CASE(reference_values), TEST_CASE(aligned_reference_values),
        TEST_CASE(aligned_rule), NULL);
}
