/*
 * What: the plain loop: each thread takes batches of blocks of one size and
 * frees them last first, first first or in random order, the next batch with
 * another size; a part of each batch stays until its slot comes round again.
 *
 * Invariants: (I1) no block leaves its thread; (I2) both ends of a block
 * hold its size until it is freed.
 *
 * Locking: none; threads share nothing.
 */
#include "work.h"

#define BATCH 400
#define KEPT  1000

typedef enum { LAST_FIRST, FIRST_FIRST, SHUFFLED, ORDERS } order_t;

static const uint16_t sizes[] = {
    8, 16, 24, 40, 64, 104, 168, 272, 440, 712, 1152, 1864};
static const uint16_t lengths[] = {1, 1, 4, 20, 100, BATCH};

static uint64_t rounds;
static uint64_t totals[WORK_THREADS];

static void shuffle(void **blocks, unsigned count, uint64_t *state)
{
    for (unsigned i = count; i > 1; i--) {
        unsigned j = work_below(state, i);
        void *block = blocks[j];

        blocks[j] = blocks[i - 1];
        blocks[i - 1] = block;
    }
}

static void free_all(void **blocks, unsigned count, order_t order)
{
    for (unsigned i = 0; i < count; i++) {
        work_free(blocks[order == LAST_FIRST ? count - 1 - i : i]);
    }
}

static void *loop(void *number)
{
    void *blocks[BATCH], *kept[KEPT] = {NULL};
    uint64_t state = (uintptr_t)number + 1, total = 0;

    for (uint64_t i = 0; total < rounds; i++) {
        size_t size = sizes[work_below(&state, sizeof(sizes) / 2)];
        unsigned count = lengths[work_below(&state, sizeof(lengths) / 2)];
        order_t order = work_below(&state, ORDERS);
        void **keep = &kept[work_below(&state, KEPT)];

        for (unsigned j = 0; j < count; j++) {
            blocks[j] = work_alloc(size);
        }
        if (order == SHUFFLED) {
            shuffle(blocks, count, &state);
        }
        work_free(*keep);
        *keep = blocks[count - 1];
        free_all(blocks, count - 1, order);
        total += count;
    }
    free_all(kept, KEPT, FIRST_FIRST);
    totals[(uintptr_t)number] = total;
    return NULL;
}

int main(int argc, char **argv)
{
    uint64_t threads = work_arg(argc, argv, 1, 1);
    uint64_t sum;

    rounds = work_arg(argc, argv, 2, 40000000) / threads;
    work_threads(threads, loop);
    sum = work_sum(totals, threads);
    return work_report(sum, sum);
}
