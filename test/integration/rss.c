/*
 * What: the bill of resident memory of a fragmented program: its sum is what
 * the kernel says, and each cause is on its line.
 *
 * Invariants: (I1) VmRSS may lag behind by some pages for each thread, so
 * sums agree within 3 %.
 *
 * Locking: none.
 */
#include "harness.h"
#include <jemalloc/jemalloc.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *malloc_conf = "narenas:1,dirty_decay_ms:-1,thp:never,"
                          "background_thread:false,junk:false";

#define MIB    ((size_t)1 << 20)
#define BLOCKS ((size_t)100000)
#define SIZE   ((size_t)512)

static void *blocks[BLOCKS];

static size_t line(const char *name)
{
    char full[64];
    size_t bytes = 0;
    size_t len = sizeof(bytes);
    snprintf(full, sizeof(full), "stats.rss.%s", name);
    EXPECT_EQ_I64(mallctl(full, &bytes, &len, NULL, 0), 0);
    return bytes;
}

static void refresh(void)
{
    uint64_t epoch = 1;
    REQUIRE(mallctl("epoch", NULL, NULL, &epoch, sizeof(epoch)) == 0);
    if (mallctl("stats.rss.total", NULL, NULL, NULL, 0) != 0) {
        test_skip("the system does not tell what is resident");
    }
}

static void expect_near(const char *what, size_t is, size_t should)
{
    size_t off = is > should ? is - should : should - is;
    if (off > should * 3 / 100) {
        test_note("%s: %zu, not about %zu", what, is, should);
    }
    EXPECT_LE_U64(off, should * 3 / 100);
}

static void expect_balance(void)
{
    expect_near("sum", line("total"), line("vm_rss"));
    EXPECT_EQ_U64(line("blocks") + line("thread_caches") + line("slab_free") +
                      line("large_padding") + line("dirty") + line("muzzy") +
                      line("pinned") + line("retained") + line("metadata") +
                      line("statistics") + line("files") + line("other"),
        line("total") + line("untouched"));
}

/* Every second block of 50 MiB is freed: no page becomes free. */
TEST(checkerboard)
{
    for (size_t i = 0; i < BLOCKS; i++) {
        blocks[i] = malloc(SIZE);
        REQUIRE(blocks[i] != NULL);
        memset(blocks[i], 1, SIZE);
    }
    refresh();
    expect_balance();
    expect_near("blocks", line("blocks"), BLOCKS * SIZE);
    EXPECT_LT_U64(line("slab_free"), 2 * MIB);
    for (size_t i = 0; i < BLOCKS; i += 2) {
        free(blocks[i]);
    }
    (void)mallctl("thread.tcache.flush", NULL, NULL, NULL, 0);
    refresh();
    expect_balance();
    expect_near("blocks", line("blocks"), BLOCKS / 2 * SIZE);
    expect_near("free", line("slab_free"), BLOCKS / 2 * SIZE);
    for (size_t i = 1; i < BLOCKS; i += 2) {
        free(blocks[i]);
    }
    (void)mallctl("thread.tcache.flush", NULL, NULL, NULL, 0);
    refresh();
    expect_balance();
    expect_near("dirty", line("dirty"), BLOCKS * SIZE);
    EXPECT_LT_U64(line("slab_free"), MIB);
    (void)mallctl("arena.4096.purge", NULL, NULL, NULL, 0);
    refresh();
    expect_balance();
    EXPECT_LT_U64(line("dirty"), MIB);
}

/* A block that is written in part, and one that is only read. */
TEST(untouched_pages_are_taken_off)
{
    size_t before;
    refresh();
    before = line("untouched");
    char *written = malloc(64 * MIB);
    char *read_only = calloc(32, MIB);
    REQUIRE(written != NULL && read_only != NULL);
    memset(written, 1, 16 * MIB);
    unsigned sum = 0;
    for (size_t i = 0; i < 32 * MIB; i += 4096) {
        sum += (unsigned char)((volatile char *)read_only)[i];
    }
    EXPECT_EQ_U64(sum, 0);
    refresh();
    expect_balance();
    expect_near("untouched", line("untouched") - before, 80 * MIB);
    free(written);
    free(read_only);
}

/* What somebody else mapped and wrote. */
TEST(others_are_told_apart)
{
    size_t before;
    refresh();
    before = line("other");
    static char variables[24 << 20];
    memset(variables, 1, sizeof(variables));
    refresh();
    expect_balance();
    expect_near("other", line("other") - before, sizeof(variables));
}

int main(void)
{
    return test_run(TEST_CASE(checkerboard),
        TEST_CASE(untouched_pages_are_taken_off),
        TEST_CASE(others_are_told_apart), NULL);
}
