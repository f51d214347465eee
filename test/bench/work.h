/*
 * What: the few lines that every benchmark program here shares: a random
 * source, numbers from the command line, stamps in memory, threads, what a
 * program reports at its end, a clean death.
 *
 * Invariants: (I1) two runs with the same arguments ask for the same sizes
 * in the same order, a thread at a time; (I2) nothing here allocates but
 * work_alloc; (I3) with WORK_SIZED blocks come from operator new and go back
 * by the operator delete that is told their size.
 *
 * Locking: none; every thread owns its random state.
 */
#ifndef JE_TEST_BENCH_WORK_H
#define JE_TEST_BENCH_WORK_H

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORK_THREADS 256

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

#ifdef WORK_SIZED
/* The operators of C++ under the names that compilers give them. */
void *_Znwm(size_t size);
void _ZdlPvm(void *block, size_t size);

static inline void *work_ask(size_t size)
{
    return _Znwm(size);
}

static inline void work_return(void *block, size_t size)
{
    _ZdlPvm(block, size);
}
#else
static inline void *work_ask(size_t size)
{
    return malloc(size);
}

static inline void work_return(void *block, size_t size)
{
    (void)size;
    free(block);
}
#endif

static inline void *work_get(size_t size)
{
    void *block = malloc(size);

    work_require(block != NULL, "out of memory");
    return block;
}

static inline void *work_alloc(size_t size)
{
    void *block = work_ask(size);

    work_require(block != NULL, "out of memory");
    work_stamp(block, size);
    return block;
}

static inline void work_free(void *block)
{
    if (block != NULL) {
        work_return(block, work_stamped(block));
    }
}

/* Runs `body` in `count` threads, told their numbers from 0 on, to the end. */
static inline void work_threads(uint64_t count, void *(*body)(void *))
{
    static pthread_t threads[WORK_THREADS];

    work_require(count <= WORK_THREADS, "too many threads");
    for (uintptr_t i = 0; i < count; i++) {
        work_require(pthread_create(&threads[i], NULL, body, (void *)i) == 0,
            "no thread");
    }
    for (uint64_t i = 0; i < count; i++) {
        pthread_join(threads[i], NULL);
    }
}

/* What the first `count` of them add up to. */
static inline uint64_t work_sum(const uint64_t *values, uint64_t count)
{
    uint64_t sum = 0;

    for (uint64_t i = 0; i < count; i++) {
        sum += values[i];
    }
    return sum;
}

/*
 * The last line of a program: pairs of calls that it made, and a sum over its
 * results, which no allocator may change.
 */
static inline int work_report(uint64_t operations, uint64_t sum)
{
    printf("operations %llu sum %llu\n", (unsigned long long)operations,
        (unsigned long long)sum);
    return 0;
}

#endif
