/*
 * What: waves of threads, some of which do four times as much as others. Each
 * thread fills a list with blocks of many sizes, drops some at random, and
 * trades others with a shared table from which any thread may take them; what
 * lies in the table survives the wave, half of it. Another table, of blocks
 * that are replaced once a wave, grows old.
 *
 * Invariants: (I1) a block is in one list or in one slot of a table;
 * (I2) sizes are mostly small: each doubling is half as likely.
 *
 * Locking: none; slots of the table are exchanged atomically.
 */
#include "work.h"

#include <stdatomic.h>

#define TABLE     1000
#define LIST      4000
#define STEPS     5000 /* A thread does one to four times as many. */
#define DOUBLINGS 10
#define OLD       20000

static _Atomic(void *) table[TABLE];
static void *old[OLD];
static uint64_t waves_done;
static uint64_t sums[WORK_THREADS];

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

static void *wave(void *number)
{
    uint64_t self = (uintptr_t)number, sum = 0;
    uint64_t seed = waves_done * WORK_THREADS + self + 1, *state = &seed;
    void **list = calloc(LIST, sizeof(*list));

    work_require(list != NULL, "out of memory");
    for (uint64_t i = 0; i < STEPS * (1 + self % 4); i++) {
        void **slot = &list[work_below(state, LIST)];
        size_t size = some_size(state);

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
            *slot = work_alloc(size);
            sum += size;
            break;
        }
    }
    for (int i = 0; i < LIST; i++) {
        work_free(list[i]);
    }
    free(list);
    sums[self] += sum;
    return NULL;
}

static void thin_out(unsigned step)
{
    for (unsigned i = 0; i < TABLE; i += step) {
        work_free(atomic_exchange(&table[i], NULL));
    }
}

/* Replaces a part of the old ones, of the age of OLD / TABLE waves. */
static void age(uint64_t *state)
{
    for (unsigned i = 0; i < TABLE; i++) {
        void **slot = &old[(waves_done * TABLE + i) % OLD];

        work_free(*slot);
        *slot = work_alloc(some_size(state));
    }
}

int main(int argc, char **argv)
{
    uint64_t threads = work_arg(argc, argv, 1, 8);
    uint64_t waves = work_arg(argc, argv, 2, 100);
    uint64_t state = 1, steps = 0;

    for (; waves_done < waves; waves_done++) {
        age(&state);
        work_threads(threads, wave);
        thin_out(2);
    }
    thin_out(1);
    for (unsigned i = 0; i < OLD; i++) {
        work_free(old[i]);
    }
    for (uint64_t i = 0; i < threads; i++) {
        steps += STEPS * (1 + i % 4);
    }
    return work_report(waves * (steps + TABLE), work_sum(sums, threads));
}
