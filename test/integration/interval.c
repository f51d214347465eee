/*
 * What: statistics about every so many allocated bytes, by several threads.
 *
 * Invariants: (I1) a batch is a 64th of the interval, so each multiple is
 * passed by one addition of one thread; what a thread has not told of yet is
 * less than a batch.
 *
 * Locking: what is printed is counted atomically.
 */
#include "harness.h"
#include <jemalloc/jemalloc.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define MIB ((size_t)1 << 20)

const char *malloc_conf =
    "stats_interval:1048576,stats_interval_opts:Jgmdablxeh";

#define THREADS 4
#define BYTES   (10 * MIB)

static atomic_uint reports;
static atomic_uint broken;

static void count(void *opaque, const char *text)
{
    size_t len = strlen(text);
    (void)opaque;
    if (strncmp(text, "{\"jemalloc\":{\"stats\":{", 22) != 0 ||
        strcmp(text + len - 3, "}}}") != 0) {
        atomic_fetch_add(&broken, 1);
    }
    atomic_fetch_add(&reports, 1);
}

static void *work(void *opaque)
{
    size_t size = (size_t)(uintptr_t)opaque;
    for (size_t done = 0; done < BYTES; done += size) {
        void *volatile block = malloc(size);
        free(block);
    }
    return NULL;
}

TEST(each_multiple_prints_once)
{
    pthread_t threads[THREADS];
    malloc_message = count;
    for (uintptr_t i = 0; i < THREADS; i++) {
        REQUIRE(pthread_create(&threads[i], NULL, work,
                    (void *)((uintptr_t)512 << (2 * i))) == 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    EXPECT_EQ_U64(atomic_load(&broken), 0);
    EXPECT_GE_U64(atomic_load(&reports), THREADS * BYTES / MIB - 1);
    EXPECT_LE_U64(atomic_load(&reports), THREADS * BYTES / MIB + 1);
    malloc_message = NULL;
}

TEST(a_large_block_prints_once)
{
    atomic_store(&reports, 0);
    malloc_message = count;
    void *volatile block = malloc(20 * MIB);
    EXPECT_EQ_U64(atomic_load(&reports), 1);
    free(block);
    EXPECT_EQ_U64(atomic_load(&reports), 1);
    malloc_message = NULL;
}

int main(void)
{
    return test_run(TEST_CASE(each_multiple_prints_once),
        TEST_CASE(a_large_block_prints_once), NULL);
}
