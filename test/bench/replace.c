/*
 * What: each thread keeps many blocks and replaces random ones. Sizes lie
 * mostly below 100 bytes and never above 1,000: one that is twice as large is
 * half as likely.
 *
 * Invariants: (I1) no block leaves its thread; (I2) both ends of a block
 * hold its size.
 *
 * Locking: none; threads share nothing.
 */
#include "work.h"

#define LIVE 60000

static uint64_t rounds;
static uint64_t sums[WORK_THREADS];

static size_t some_size(uint64_t *state)
{
    uint32_t bits = work_random(state);
    unsigned doublings = (unsigned)__builtin_ctz(bits | 64);
    size_t top = (size_t)16 << doublings;
    size_t size = top / 2 + (bits >> 16) % (top / 2);

    return size > 1000 ? 1000 : size;
}

static void *replace(void *number)
{
    uint64_t state = (uintptr_t)number + 1, sum = 0;
    void **blocks = calloc(LIVE, sizeof(*blocks));

    work_require(blocks != NULL, "out of memory");
    for (uint64_t i = 0; i < rounds; i++) {
        void **slot = &blocks[work_below(&state, LIVE)];
        size_t size = some_size(&state);

        work_free(*slot);
        *slot = work_alloc(size);
        sum += size;
    }
    for (unsigned i = 0; i < LIVE; i++) {
        work_free(blocks[i]);
    }
    free(blocks);
    sums[(uintptr_t)number] = sum;
    return NULL;
}

int main(int argc, char **argv)
{
    uint64_t threads = work_arg(argc, argv, 1, 1);
    uint64_t sum;

    rounds = work_arg(argc, argv, 2, 20000000) / threads;
    work_threads(threads, replace);
    sum = work_sum(sums, threads);
    return work_report(rounds * threads, sum);
}
