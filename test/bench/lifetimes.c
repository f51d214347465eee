/*
 * What: blocks of 16 bytes to 1 MiB that live as long as they do in programs:
 * most die within a few steps, some after thousands, a few at the end; the
 * larger, the shorter. One in eight is freed by the next thread.
 *
 * Invariants: (I1) a block is on one list: of the step at which it dies, of
 * the end, or of another thread's mail; (I2) a block's first words are its
 * link, so none is smaller than 16 bytes.
 *
 * Locking: none; a mail box is a list that anyone pushes to and its owner
 * takes as a whole.
 */
#include "work.h"

#include <stdatomic.h>

#define STEPS 16384 /* Ahead of now, a power of two. */
#define KIB   1024u

typedef struct block {
    struct block *next;
    uint32_t size;
    uint32_t mark;
} block_t;

typedef struct {
    _Alignas(128) _Atomic(block_t *) mail;
    uint64_t sum;
    block_t *steps[STEPS];
    block_t *last;
} worker_t;

static uint64_t threads, rounds;
static worker_t *workers;

static uint32_t some_size(uint64_t *state)
{
    static const struct {
        uint32_t chance; /* Of 1,000, up to and including this row. */
        uint32_t low, high;
    } rows[] = {{700, 16, 128}, {900, 128, KIB}, {970, KIB, 8 * KIB},
        {995, 8 * KIB, 64 * KIB}, {1000, 64 * KIB, 1024 * KIB}};
    uint32_t draw = work_below(state, 1000);
    unsigned i = 0;

    while (draw >= rows[i].chance) {
        i++;
    }
    return rows[i].low + work_below(state, rows[i].high - rows[i].low);
}

/* Steps to live; 0 for the end. */
static uint32_t some_life(uint64_t *state, uint32_t size)
{
    uint32_t draw = work_below(state, 1000);

    if (draw < 600 || size > 64 * KIB) {
        return 1 + work_below(state, 16);
    }
    if (draw < 900 || size > 8 * KIB) {
        return 1 + work_below(state, 500);
    }
    return draw == 999 && size < KIB ? 0 : 1 + work_below(state, STEPS - 1);
}

static block_t *block_new(uint32_t size)
{
    block_t *block = work_get(size);

    block->size = size;
    block->mark = ~size;
    ((char *)block)[size - 1] =
        (char)(size == sizeof(*block) ? ~size >> 24 : 1);
    return block;
}

static void free_list(block_t *block)
{
    while (block != NULL) {
        block_t *next = block->next;

        work_require(block->mark == ~block->size, "a block was overwritten");
        free(block);
        block = next;
    }
}

static void post(worker_t *worker, block_t *block)
{
    block->next = atomic_load(&worker->mail);
    while (!atomic_compare_exchange_weak(&worker->mail, &block->next, block)) {
    }
}

static void *live(void *number)
{
    uintptr_t self = (uintptr_t)number;
    worker_t *worker = &workers[self];
    worker_t *other = &workers[(self + 1) % threads];
    uint64_t state = self + 1;

    for (uint64_t now = 0; now < rounds; now++) {
        block_t *block = block_new(some_size(&state));
        uint32_t life = some_life(&state, block->size);
        block_t **list = &worker->steps[(now + life) % STEPS];

        worker->sum += block->size;
        if (life != 0 && work_below(&state, 8) == 0) {
            post(other, block);
        } else {
            list = life == 0 ? &worker->last : list;
            block->next = *list;
            *list = block;
        }
        free_list(worker->steps[now % STEPS]);
        worker->steps[now % STEPS] = NULL;
        if (now % 64 == 0) {
            free_list(atomic_exchange(&worker->mail, NULL));
        }
    }
    for (unsigned i = 0; i < STEPS; i++) {
        free_list(worker->steps[i]);
    }
    free_list(worker->last);
    return NULL;
}

int main(int argc, char **argv)
{
    uint64_t sum = 0;

    threads = work_arg(argc, argv, 1, 1);
    rounds = work_arg(argc, argv, 2, 8000000) / threads;
    workers = aligned_alloc(128, threads * sizeof(*workers));
    work_require(workers != NULL, "out of memory");
    memset(workers, 0, threads * sizeof(*workers));
    work_threads(threads, live);
    for (uint64_t i = 0; i < threads; i++) {
        free_list(workers[i].mail);
        sum += workers[i].sum;
    }
    free(workers);
    return work_report(rounds * threads, sum);
}
