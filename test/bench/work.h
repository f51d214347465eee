/*
 * What: the few lines that every benchmark program here shares: a random
 * source, numbers from the command line, stamps in memory, a clean death.
 *
 * Invariants: (I1) two runs with the same arguments ask for the same sizes
 * in the same order, a thread at a time; (I2) nothing here allocates.
 *
 * Locking: none; every thread owns its random state.
 */
#ifndef JE_TEST_BENCH_WORK_H
#define JE_TEST_BENCH_WORK_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static inline void work_die(const char *what)
{
    fprintf(stderr, "benchmark: %s\n", what);
    exit(1);
}

static inline void work_require(int condition, const char *what)
{
    if (!condition) {
        work_die(what);
    }
}

/* The number at argv[index], or `fallback` where there is none. */
static inline uint64_t work_arg(
    int argc, char **argv, int index, uint64_t fallback)
{
    char *end;
    uint64_t value;

    if (index >= argc) {
        return fallback;
    }
    value = strtoull(argv[index], &end, 10);
    work_require(*end == '\0' && value != 0, "argument is no number above 0");
    return value;
}

/* A linear congruence: one multiplication, the high half is used. */
static inline uint32_t work_random(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*state >> 32);
}

/* Evenly spread over 0 .. limit - 1. */
static inline uint32_t work_below(uint64_t *state, uint32_t limit)
{
    return (uint32_t)(((uint64_t)work_random(state) * limit) >> 32);
}

/* Marks both ends of a block with its size. Blocks hold 8 bytes or more. */
static inline void work_stamp(void *block, size_t size)
{
    uint32_t mark = (uint32_t)size;

    memcpy(block, &mark, sizeof(mark));
    memcpy((char *)block + size - sizeof(mark), &mark, sizeof(mark));
}

/* The size that work_stamp wrote; dies if the two ends disagree. */
static inline size_t work_stamped(const void *block)
{
    uint32_t first, last;

    memcpy(&first, block, sizeof(first));
    memcpy(&last, (const char *)block + first - sizeof(last), sizeof(last));
    work_require(first == last, "a block lost its contents");
    return first;
}

static inline void *work_alloc(size_t size)
{
    void *block = malloc(size);

    work_require(block != NULL, "out of memory");
    work_stamp(block, size);
    return block;
}

static inline void work_free(void *block)
{
    if (block != NULL) {
        (void)work_stamped(block);
        free(block);
    }
}

#endif
