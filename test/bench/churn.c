/*
 * What: waves of threads. Each thread fills a list with blocks of many sizes,
 * drops some at random, and trades others with a shared table from which any
 * thread may take them; what lies in the table survives the wave, half of it.
 *
 * Invariants: (I1) a block is in one list or in one slot of the table;
 * (I2) sizes are mostly small: each doubling is half as likely.
 *
 * Locking: none; slots of the table are exchanged atomically.
 */
#include "work.h"

#include <pthread.h>
#include <stdatomic.h>

#define TABLE       1000
#define LIST        4000
#define STEPS       12000
#define THREADS_MAX 256
#define DOUBLINGS   10

typedef struct {
    pthread_t thread;
    uint64_t state;
} worker_t;

static _Atomic(void *) table[TABLE];
static worker_t workers[THREADS_MAX];

static size_t some_size(uint64_t *state)
{
    uint32_t bits = work_random(state);
    size_t top = 16;

    for (int i = 0; i < DOUBLINGS && (bits & 1) != 0; i++, bits >>= 1) {
        top *= 2;
    }
    return 8 + work_below(state, (uint32_t)top * 2);
}

static void *trade(uint64_t *state, void *block)
{
    return atomic_exchange(&table[work_below(state, TABLE)], block);
}

static void *wave(void *arg)
{
    worker_t *worker = arg;
    uint64_t *state = &worker->state;
    void **list = calloc(LIST, sizeof(*list));

    work_require(list != NULL, "out of memory");
    for (int i = 0; i < STEPS; i++) {
        void **slot = &list[work_below(state, LIST)];

        switch (work_below(state, 8)) {
        case 0:
            work_free(*slot);
            *slot = NULL;
            break;
        case 1:
            *slot = trade(state, *slot);
            break;
        default:
            work_free(*slot);
            *slot = work_alloc(some_size(state));
            break;
        }
    }
    for (int i = 0; i < LIST; i++) {
        work_free(list[i]);
    }
    free(list);
    return NULL;
}

static void thin_out(unsigned step)
{
    for (unsigned i = 0; i < TABLE; i += step) {
        work_free(atomic_exchange(&table[i], NULL));
    }
}

int main(int argc, char **argv)
{
    uint64_t threads = work_arg(argc, argv, 1, 8);
    uint64_t waves = work_arg(argc, argv, 2, 200);

    work_require(threads <= THREADS_MAX, "too many threads");
    for (uint64_t i = 0; i < waves; i++) {
        for (uint64_t j = 0; j < threads; j++) {
            workers[j].state = i * threads + j + 1;
            work_require(pthread_create(
                             &workers[j].thread, NULL, wave, &workers[j]) == 0,
                "no thread");
        }
        for (uint64_t j = 0; j < threads; j++) {
            pthread_join(workers[j].thread, NULL);
        }
        thin_out(2);
    }
    thin_out(1);
    return 0;
}
