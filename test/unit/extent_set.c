/*
 * What: the set of free extents against a naive array: the fit, the lowest
 * address within a class, ages, cutting at the front.
 *
 * Invariants: (I1) the model holds the same members, oldest first.
 *
 * Locking: none.
 */
#include "extent/extent_set.h"

#include <string.h>

#include "harness.h"
#include "util/prng.h"

#define MEMBERS_MAX 200
#define SPACE_PAGES 4096

static extent_set_t set;

static struct {
    extent_t *member[MEMBERS_MAX];
    unsigned count;
    bool taken[SPACE_PAGES];
    extent_t pool[MEMBERS_MAX];
    extent_t *spare[MEMBERS_MAX];
    unsigned spares;
    uint64_t random;
} model;

/* Any aligned address will do: nothing reads what an extent describes. */
#define SPACE_BASE ((uintptr_t)1 << 30)

static unsigned below(unsigned n)
{
    return (unsigned)(prng_bits(&model.random, 32) % n);
}

static size_t page_of(const extent_t *e)
{
    return (e->addr - SPACE_BASE) >> LG_PAGE;
}

static void mark(const extent_t *e, bool taken)
{
    for (size_t i = 0; i < extent_size(e) >> LG_PAGE; i++) {
        model.taken[page_of(e) + i] = taken;
    }
}

static void begin(uint64_t seed)
{
    memset(&model, 0, sizeof(model));
    memset(&set, 0, sizeof(set));
    extent_set_init(&set, EXTENT_MUZZY);
    model.random = seed;
    for (unsigned i = 0; i < MEMBERS_MAX; i++) {
        model.spare[model.spares++] = &model.pool[i];
    }
}

static void insert(size_t page, size_t pages)
{
    extent_t *e = model.spare[--model.spares];
    /* NOLINTNEXTLINE(performance-no-int-to-ptr) */
    extent_init(e, 7, (void *)(SPACE_BASE + PAGES(page)), PAGES(pages),
        EXTENT_BUSY, EXTENT_COMMITTED);
    extent_set_insert(&set, e);
    EXPECT_EQ_U64(extent_state(e), EXTENT_MUZZY);
    model.member[model.count++] = e;
    mark(e, true);
}

static void insert_somewhere(void)
{
    size_t page = below(SPACE_PAGES);
    size_t most = 1 + below(below(4) == 0 ? 100 : 12);
    size_t pages = 0;
    while (pages < most && page + pages < SPACE_PAGES &&
           !model.taken[page + pages]) {
        pages++;
    }
    if (pages != 0 && model.spares != 0) {
        insert(page, pages);
    }
}

static void remove_at(unsigned i)
{
    extent_t *e = model.member[i];
    extent_set_remove(&set, e);
    mark(e, false);
    memmove(&model.member[i], &model.member[i + 1],
        (model.count - i - 1) * sizeof(e));
    model.count--;
    model.spare[model.spares++] = e;
}

static void cut_front(unsigned i)
{
    extent_t *e = model.member[i];
    size_t pages = extent_size(e) >> LG_PAGE;
    if (pages > 1) {
        mark(e, false);
        extent_set_cut_front(&set, e, PAGES(1 + below((unsigned)pages - 1)));
        mark(e, true);
    }
}

static bool holds(const extent_t *e, size_t size, size_t alignment)
{
    uintptr_t start = bits_round_up(e->addr, alignment);
    return start + size <= extent_end(e);
}

/* Lowest address of the members of one class; NULL if it has none. */
static extent_t *lowest_of(unsigned class)
{
    extent_t *lowest = NULL;
    for (unsigned i = 0; i < model.count; i++) {
        extent_t *e = model.member[i];
        if (sizeclass_run_floor(extent_size(e)) == class &&
            (lowest == NULL || e->addr < lowest->addr)) {
            lowest = e;
        }
    }
    return lowest;
}

/* The first class from `class` on with members; SC_RUN_COUNT if none. */
static unsigned next_class(unsigned class)
{
    while (class < SC_RUN_COUNT && lowest_of(class) == NULL) {
        class ++;
    }
    return class;
}

static bool is_member(const extent_t *e)
{
    for (unsigned i = 0; i < model.count; i++) {
        if (model.member[i] == e) {
            return true;
        }
    }
    return false;
}

/* Best fit by class, then lowest address: where every member fits. */
static void check_fit(size_t size)
{
    extent_t *e = extent_set_fit(&set, size, PAGE);
    unsigned floor = sizeclass_run_floor(size);
    unsigned ceil = sizeclass_run_ceil(size);
    unsigned sure = next_class(ceil);
    if (e == NULL) {
        EXPECT_EQ_U64(sure, SC_RUN_COUNT);
        return;
    }
    unsigned class = sizeclass_run_floor(extent_size(e));
    EXPECT(is_member(e));
    EXPECT_GE_U64(extent_size(e), size);
    EXPECT(class == floor || class == sure);
    if (class != floor) {
        EXPECT_EQ_PTR(e, lowest_of(class));
    } else if (floor == ceil && size < PAGES(8)) {
        /* These classes hold one size: the lowest is the one. */
        EXPECT_EQ_PTR(e, lowest_of(class));
    }
}

/* With an alignment: a large enough member is never missed. */
static void check_aligned_fit(size_t size, size_t alignment)
{
    extent_t *e = extent_set_fit(&set, size, alignment);
    if (e != NULL) {
        EXPECT(is_member(e) && holds(e, size, alignment));
        return;
    }
    size_t enough = size + alignment - PAGE;
    EXPECT_EQ_U64(next_class(sizeclass_run_ceil(enough)), SC_RUN_COUNT);
}

static void check_all(void)
{
    extent_set_check(&set);
    size_t bytes = 0;
    for (unsigned i = 0; i < model.count; i++) {
        bytes += extent_size(model.member[i]);
    }
    EXPECT_EQ_U64(set.count, model.count);
    EXPECT_EQ_U64(set.bytes, bytes);
    EXPECT_EQ_PTR(
        extent_set_oldest(&set), model.count == 0 ? NULL : model.member[0]);
    check_fit(PAGES(1 + below(16)));
    check_fit(PAGES(1 + below(120)));
    check_aligned_fit(PAGES(1 + below(32)), PAGE << below(7));
}

TEST(agrees_with_an_array)
{
    for (uint64_t seed = 1; seed <= 30; seed++) {
        begin(seed);
        for (unsigned i = 0; i < 1000; i++) {
            unsigned kind = below(8);
            if (model.count == 0 || kind < 4) {
                insert_somewhere();
            } else if (kind < 6) {
                remove_at(below(model.count));
            } else {
                cut_front(below(model.count));
            }
            check_all();
        }
        while (model.count != 0) {
            remove_at(0);
            check_all();
        }
        EXPECT_EQ_PTR(extent_set_fit(&set, PAGE, PAGE), NULL);
    }
}

TEST(the_same_size_is_no_waste)
{
    begin(1);
    insert(100, 21); /* 20..23 pages are one class */
    insert(200, 23);
    insert(300, 20);
    insert(50, 40);
    EXPECT_EQ_PTR(extent_set_fit(&set, PAGES(20), PAGE), model.member[2]);
    EXPECT_EQ_PTR(extent_set_fit(&set, PAGES(21), PAGE), model.member[0]);
    EXPECT_EQ_PTR(extent_set_fit(&set, PAGES(22), PAGE), model.member[1]);
    EXPECT_EQ_PTR(extent_set_fit(&set, PAGES(24), PAGE), model.member[3]);
    EXPECT_EQ_PTR(extent_set_fit(&set, PAGES(41), PAGE), NULL);
}

TEST(alignment_decides)
{
    begin(1);
    insert(3, 4); /* 3..6: holds 4 aligned to 1, two from page 4 */
    insert(16, 4);
    EXPECT_EQ_PTR(extent_set_fit(&set, PAGES(4), PAGE), model.member[0]);
    EXPECT_EQ_PTR(extent_set_fit(&set, PAGES(4), PAGES(4)), model.member[1]);
    EXPECT_EQ_PTR(extent_set_fit(&set, PAGES(3), PAGES(4)), model.member[0]);
    EXPECT_EQ_PTR(extent_set_fit(&set, PAGES(1), PAGES(32)), NULL);
}

TEST(no_overflow_at_the_end_of_addresses)
{
    begin(1);
    extent_t *e = model.spare[--model.spares];
    extent_init(e, 7, (void *)(UINTPTR_MAX / 4 * 3 + 3), /* NOLINT */
        PAGES(8), EXTENT_BUSY, EXTENT_COMMITTED);
    extent_set_insert(&set, e);
    EXPECT_EQ_PTR(extent_set_fit(&set, PAGE, SIZE_MAX / 4 + 1), e);
    EXPECT_EQ_PTR(extent_set_fit(&set, PAGE, SIZE_MAX / 2 + 1), NULL);
    EXPECT_EQ_PTR(
        extent_set_fit(&set, (size_t)1 << (CONFIG_LG_VADDR - 1), PAGE), NULL);
}

int main(void)
{
    return test_run(TEST_CASE(agrees_with_an_array),
        TEST_CASE(the_same_size_is_no_waste), TEST_CASE(alignment_decides),
        TEST_CASE(no_overflow_at_the_end_of_addresses), NULL);
}
