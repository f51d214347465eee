/*
 * What: the memory of caches: sizes, alignment, recycling by size, threads.
 *
 * Invariants: (I1) an array that is held carries its holder's tag from end
 * to end.
 *
 * Locking: the module's.
 */
#include "cache/cache_slots.h"

#include <pthread.h>

#include "harness.h"
#include "jemalloc/jemalloc.h"
#include "util/prng.h"

TEST(recycled_by_size)
{
    je_free(je_malloc(1)); /* boots */
    void *array[CACHE_SLOTS_LG_MAX + 1];
    for (unsigned lg = CACHE_SLOTS_LG_MIN; lg <= CACHE_SLOTS_LG_MAX; lg++) {
        array[lg] = cache_slots_alloc(lg);
        REQUIRE(array[lg] != NULL);
        size_t bytes = sizeof(void *) << lg;
        size_t alignment = bytes < JE_CACHELINE ? bytes : JE_CACHELINE;
        EXPECT_EQ_U64((uintptr_t)array[lg] % alignment, 0);
    }
    for (unsigned lg = CACHE_SLOTS_LG_MIN; lg <= CACHE_SLOTS_LG_MAX; lg++) {
        cache_slots_free(array[lg], lg);
    }
    for (unsigned lg = CACHE_SLOTS_LG_MAX; lg >= CACHE_SLOTS_LG_MIN; lg--) {
        void *first = cache_slots_alloc(lg);
        void *second = cache_slots_alloc(lg);
        EXPECT_EQ_PTR(first, array[lg]);
        EXPECT_NE_PTR(second, first);
        cache_slots_free(second, lg);
        cache_slots_free(first, lg);
    }
}

static void *hammer(void *arg)
{
    uint64_t random = (uintptr_t)arg;
    uintptr_t *held[16] = {NULL};
    unsigned lgs[16];
    for (unsigned i = 0; i < 5000; i++) {
        unsigned slot = (unsigned)prng_bits(&random, 4);
        if (held[slot] == NULL) {
            lgs[slot] = CACHE_SLOTS_LG_MIN + (unsigned)prng_bits(&random, 2);
            held[slot] = cache_slots_alloc(lgs[slot]);
            REQUIRE(held[slot] != NULL);
            for (unsigned w = 0; w < 1U << lgs[slot]; w++) {
                held[slot][w] = (uintptr_t)arg + slot;
            }
        } else {
            for (unsigned w = 0; w < 1U << lgs[slot]; w++) {
                EXPECT_EQ_U64(held[slot][w], (uintptr_t)arg + slot);
            }
            cache_slots_free(held[slot], lgs[slot]);
            held[slot] = NULL;
        }
    }
    for (unsigned slot = 0; slot < 16; slot++) {
        if (held[slot] != NULL) {
            cache_slots_free(held[slot], lgs[slot]);
        }
    }
    return NULL;
}

TEST(threads)
{
    je_free(je_malloc(1));
    pthread_t threads[4];
    for (uintptr_t i = 0; i < 4; i++) {
        REQUIRE(pthread_create(&threads[i], NULL, hammer,
                    (void *)((i + 1) * 100)) == 0); /* NOLINT */
    }
    for (unsigned i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
    }
}

int main(void)
{
    return test_run(TEST_CASE(recycled_by_size), TEST_CASE(threads), NULL);
}
