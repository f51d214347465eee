/*
 * What: the table of blocks: what was noted is found, once, by its address
 * alone, however many there are; what is detained comes out in its order,
 * and only when there is too much of it.
 *
 * Invariants: (I1) addresses are made up: the ledger touches no block.
 *
 * Locking: the module's.
 */
#include "arena/ledger.h"

#include <pthread.h>
#include <stdio.h>

#include "harness.h"
#include "jemalloc/jemalloc.h"

#define COUNT     5000
#define STEP      48
#define FIRST     ((uintptr_t)1 << 20)
#define DETAINED  ((size_t)20000000)
#define BIG       ((size_t)1000000)
#define BIG_FIRST (FIRST << 4)

static void *address(uintptr_t base, size_t i)
{
    return (void *)(base + i * STEP); /* NOLINT */
}

static ledger_block_t block_at(uintptr_t base, size_t i)
{
    return (ledger_block_t){
        .ptr = address(base, i),
        .size = i,
        .region = address(base, i),
        .usize = STEP,
        .arena = (unsigned)(i % 3),
    };
}

static void note_all(uintptr_t base)
{
    for (size_t i = 0; i < COUNT; i++) {
        ledger_block_t block = block_at(base, i);
        REQUIRE(ledger_add(&block));
    }
}

static void expect_all(uintptr_t base)
{
    ledger_block_t found;
    for (size_t i = 0; i < COUNT; i++) {
        REQUIRE(ledger_find(address(base, i), &found));
        EXPECT_EQ_PTR(found.ptr, address(base, i));
        EXPECT_EQ_U64(found.size, i);
        EXPECT_EQ_U64(found.usize, STEP);
        EXPECT_EQ_U64(found.arena, i % 3);
    }
}

static void remove_all(uintptr_t base)
{
    ledger_block_t found;
    for (size_t i = 0; i < COUNT; i++) {
        EXPECT(ledger_remove(address(base, i), &found));
        EXPECT_EQ_U64(found.size, i);
        EXPECT(!ledger_remove(address(base, i), &found));
    }
}

TEST(found_once)
{
    ledger_block_t found;
    je_free(je_malloc(1)); /* boots */
    EXPECT(!ledger_find(address(FIRST, 0), &found));
    EXPECT(!ledger_remove(address(FIRST, 0), &found));
    note_all(FIRST);
    expect_all(FIRST);
    EXPECT(!ledger_find((char *)address(FIRST, 3) + 1, &found));
    EXPECT(!ledger_find(address(FIRST, COUNT), &found));
    remove_all(FIRST);
    EXPECT(!ledger_find(address(FIRST, 0), &found));
}

TEST(replaced_by_address)
{
    ledger_block_t found;
    ledger_block_t block = block_at(FIRST, 7);
    REQUIRE(ledger_add(&block));
    block.size = 100;
    block.arena = 9;
    REQUIRE(ledger_add(&block));
    REQUIRE(ledger_find(block.ptr, &found));
    EXPECT_EQ_U64(found.size, 100);
    EXPECT_EQ_U64(found.arena, 9);
    ledger_set_size(block.ptr, 50);
    REQUIRE(ledger_remove(block.ptr, &found));
    EXPECT_EQ_U64(found.size, 50);
    EXPECT(!ledger_remove(block.ptr, &found));
}

/* Pages of address space. */
static unsigned long mapped_pages(void)
{
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    REQUIRE(file != NULL);
    EXPECT_EQ_I64(fscanf(file, "%lu", &pages), 1);
    fclose(file);
    return pages;
}

/* The table grows with what is in it, not with what ever was: by 4 MiB. */
TEST(what_is_removed_makes_room)
{
    ledger_block_t found;
    ledger_block_t block = block_at(FIRST, 7);
    unsigned long before = mapped_pages();
    for (size_t i = 0; i < 100 * COUNT; i++) {
        REQUIRE(ledger_add(&block));
        REQUIRE(ledger_remove(block.ptr, &found));
    }
    EXPECT_LE_U64(mapped_pages(), before + 256);
}

TEST(detained_in_order)
{
    const size_t kept = DETAINED / BIG;
    for (size_t i = 0; i < 3 * kept; i++) {
        ledger_block_t block = block_at(BIG_FIRST, i);
        block.usize = BIG;
        ledger_detain(&block);
        void *released = ledger_release();
        if (i < kept) {
            EXPECT_EQ_PTR(released, NULL);
        } else {
            EXPECT_EQ_PTR(released, address(BIG_FIRST, i - kept));
            EXPECT_EQ_PTR(ledger_release(), NULL);
        }
    }
}

/* Without Valgrind there are no blocks to look for. */
TEST(regions_without_valgrind)
{
    EXPECT_EQ_PTR(ledger_region(address(FIRST, 1)), address(FIRST, 1));
}

static void *one_thread(void *arg)
{
    uintptr_t base = FIRST + (uintptr_t)arg * COUNT * STEP;
    for (int round = 0; round < 3; round++) {
        note_all(base);
        expect_all(base);
        remove_all(base);
    }
    return NULL;
}

TEST(threads)
{
    pthread_t threads[3];
    for (uintptr_t i = 0; i < 3; i++) {
        REQUIRE(pthread_create(&threads[i], NULL, one_thread, (void *)i) ==
                0); /* NOLINT */
    }
    for (int i = 0; i < 3; i++) {
        REQUIRE(pthread_join(threads[i], NULL) == 0);
    }
}

int main(void)
{
    return test_run(TEST_CASE(found_once), TEST_CASE(replaced_by_address),
        TEST_CASE(what_is_removed_makes_room), TEST_CASE(detained_in_order),
        TEST_CASE(regions_without_valgrind), TEST_CASE(threads), NULL);
}
