/*
 * What: the functions that glibc adds to malloc: malloc_trim, mallinfo2,
 * mallopt, malloc_info, malloc_stats. They must speak of this library's heap,
 * not of glibc's idle one.
 *
 * Invariants: none.
 *
 * Locking: none.
 */
#include "harness.h"
#include <jemalloc/jemalloc.h>

#include <malloc.h>
#include <stdio.h>
#include <string.h>

#define MIB ((size_t)1 << 20)

#ifdef __GLIBC__

static size_t resident(void)
{
    uint64_t epoch = 1;
    size_t bytes = 0, length = sizeof(bytes);
    mallctl("epoch", NULL, NULL, &epoch, sizeof(epoch));
    EXPECT_EQ_I64(mallctl("stats.resident", &bytes, &length, NULL, 0), 0);
    return bytes;
}

TEST(trim_gives_back)
{
    void *p[64];
    for (int i = 0; i < 64; i++) {
        p[i] = malloc(MIB);
        REQUIRE(p[i] != NULL);
        memset(p[i], 1, MIB);
    }
    for (int i = 0; i < 64; i++) {
        free(p[i]);
    }
    size_t before = resident();
    EXPECT_EQ_I64(malloc_trim(0), 1);
    EXPECT_LE_U64(resident() + 48 * MIB, before);
}

TEST(mallinfo_counts_this_heap)
{
    struct mallinfo2 before = mallinfo2();
    char *p = malloc(100 * MIB);
    REQUIRE(p != NULL);
    p[0] = 1;
    struct mallinfo2 after = mallinfo2();
    EXPECT_GE_U64(after.uordblks, before.uordblks + 100 * MIB);
    EXPECT_LE_U64(after.uordblks, before.uordblks + 101 * MIB);
    free(p);
    after = mallinfo2();
    EXPECT_LE_U64(after.uordblks, before.uordblks + MIB);
}

TEST(mallopt_accepts)
{
    EXPECT_EQ_I64(mallopt(M_MMAP_THRESHOLD, 1 << 20), 1);
    EXPECT_EQ_I64(mallopt(M_TRIM_THRESHOLD, 1 << 20), 1);
}

TEST(info_is_xml)
{
    static char text[1 << 16];
    FILE *file = tmpfile();
    REQUIRE(file != NULL);
    EXPECT_EQ_I64(malloc_info(0, file), 0);
    EXPECT_NE_I64(malloc_info(1, file), 0);
    rewind(file);
    size_t n = fread(text, 1, sizeof(text) - 1, file);
    text[n] = '\0';
    fclose(file);
    EXPECT(strstr(text, "<malloc version=") != NULL);
    EXPECT(strstr(text, "</malloc>") != NULL);
}

static void print_stats(void *arg)
{
    (void)arg;
    malloc_stats();
}

TEST(stats_go_to_stderr)
{
    static test_child_t r;
    r = test_in_child(print_stats, NULL);
    EXPECT_EQ_I64(r.status, 0);
    EXPECT_GT_U64(strlen(r.err), 20);
}

#endif

int main(void)
{
#ifdef __GLIBC__
    return test_run(TEST_CASE(trim_gives_back),
        TEST_CASE(mallinfo_counts_this_heap), TEST_CASE(mallopt_accepts),
        TEST_CASE(info_is_xml), TEST_CASE(stats_go_to_stderr), NULL);
#else
    puts("1..0 # SKIP this C library has no such functions");
    return 0;
#endif
}
