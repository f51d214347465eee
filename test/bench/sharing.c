/*
 * What: do blocks of different threads share a line of the cache? Every
 * thread writes a small block of its own over and over, then takes another.
 * `active`: each asks for its block itself, all at the same moment.
 * `passive`: one thread asked for all first blocks, in a row; each thread
 * frees the one that it was given and goes on as above.
 *
 * Invariants: (I1) a block's counter says how often it was written.
 *
 * Locking: none.
 */
#include "work.h"

#define WRITES 20000
#define BYTES  8

static uint64_t rounds;
static int is_passive;
static void *given[WORK_THREADS];

static void write_often(volatile uint64_t *counter)
{
    *counter = 0;
    for (int i = 0; i < WRITES; i++) {
        *counter = *counter + 1;
    }
    work_require(*counter == WRITES, "somebody else wrote into a block");
}

static void *run(void *number)
{
    if (is_passive) {
        write_often(given[(uintptr_t)number]);
        free(given[(uintptr_t)number]);
    }
    for (uint64_t i = 0; i < rounds; i++) {
        uint64_t *block = work_get(BYTES);

        write_often(block);
        free(block);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    uint64_t threads = work_arg(argc, argv, 2, 2);

    work_require(argc > 1, "active or passive?");
    is_passive = strcmp(argv[1], "passive") == 0;
    work_require(is_passive || strcmp(argv[1], "active") == 0,
        "the first argument is neither active nor passive");
    rounds = work_arg(argc, argv, 3, 40000) / threads;
    for (uint64_t i = 0; is_passive && i < threads; i++) {
        given[i] = work_get(BYTES);
    }
    work_threads(threads, run);
    return work_report(rounds * threads, rounds * WRITES);
}
