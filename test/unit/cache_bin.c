/*
 * What: the stack of pointers: pop and push against an array, and the closed
 * cache, which nothing may ever write.
 *
 * Invariants: (I1) the words around a stack keep their values.
 *
 * Locking: none.
 */
#include "cache/cache_bin.h"

#include <signal.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/wait.h>

#include "harness.h"
#include "jemalloc/jemalloc.h"
#include "util/prng.h"

#define SLOTS 31
#define CLASS 7

static cache_bins_t bins;
static void *words[SLOTS + 3];
static char canary;

/* | canary | limit ... 31 slots ... | bottom = NULL | canary | */
static void begin(void)
{
    je_free(je_malloc(1));
    memcpy(&bins, &cache_bins_closed, sizeof(bins));
    for (unsigned i = 0; i < SLOTS + 3; i++) {
        words[i] = &canary;
    }
    words[SLOTS + 1] = NULL;
    bins.limits[CLASS] = &words[1];
    bins.heads[CLASS] = &words[SLOTS + 1];
}

TEST(agrees_with_an_array)
{
    begin();
    uint64_t random = 5;
    static char blocks[4096];
    void *model[SLOTS];
    unsigned count = 0;
    uint64_t pops = 0;
    for (unsigned i = 0; i < 20000; i++) {
        /* Long runs one way, so that both ends are reached. */
        bool pushing = (i / 64 + prng_bits(&random, 2) / 3) % 2 == 0;
        if (pushing) {
            void *p = &blocks[i % sizeof(blocks)];
            EXPECT(cache_bins_push(&bins, CLASS, p) == (count < SLOTS));
            if (count < SLOTS) {
                model[count++] = p;
            }
        } else {
            void *expected = count == 0 ? NULL : model[count - 1];
            EXPECT_EQ_PTR(cache_bins_pop(&bins, CLASS), expected);
            pops += count != 0;
            count -= count != 0;
        }
        EXPECT_EQ_U64(bins.requests[CLASS], pops);
        EXPECT_EQ_PTR(words[0], &canary);
        EXPECT_EQ_PTR(words[SLOTS + 1], NULL);
        EXPECT_EQ_PTR(words[SLOTS + 2], &canary);
    }
    EXPECT_GT_U64(pops, 1000);
    for (unsigned c = 0; c < TCACHE_BIN_COUNT; c++) {
        EXPECT(c == CLASS || bins.requests[c] == 0);
    }
}

/* Empty and full at once, in every class, without a write. */
TEST(closed_cache_is_never_written)
{
    cache_bins_t copy;
    memcpy(&copy, &cache_bins_closed, sizeof(copy));
    cache_bins_t *closed = (cache_bins_t *)(uintptr_t)&cache_bins_closed;
    for (unsigned c = 0; c < TCACHE_BIN_COUNT; c++) {
        EXPECT_EQ_PTR(cache_bins_pop(closed, c), NULL);
        EXPECT(!cache_bins_push(closed, c, &canary));
        EXPECT_EQ_PTR(closed->heads[c], closed->limits[c]);
        EXPECT_EQ_PTR(*closed->heads[c], NULL);
    }
    EXPECT_EQ_I64(memcmp(&copy, &cache_bins_closed, sizeof(copy)), 0);
}

static void write_to(void *address)
{
    signal(SIGSEGV, SIG_DFL);
    signal(SIGBUS, SIG_DFL);
    *(void *volatile *)address = &canary;
}

/* The system says so too: the cache and its one slot are read-only. */
TEST(closed_cache_lies_in_read_only_memory)
{
    static test_child_t child;
#ifndef __GLIBC__
    if (getauxval(AT_BASE) == 0) {
        test_skip("this C library forbids nothing in static programs");
    }
#endif
    void *addresses[] = {
        (void *)(uintptr_t)&cache_bins_closed.requests[1],
        (void *)(uintptr_t)&cache_bins_closed.heads[1],
        (void *)cache_bins_closed.heads[1],
    };
    for (unsigned i = 0; i < 3; i++) {
        child = test_in_child(write_to, addresses[i]);
        EXPECT(WIFSIGNALED(child.status));
    }
}

int main(void)
{
    return test_run(TEST_CASE(agrees_with_an_array),
        TEST_CASE(closed_cache_is_never_written),
        TEST_CASE(closed_cache_lies_in_read_only_memory), NULL);
}
