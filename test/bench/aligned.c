/*
 * What: blocks with an alignment: most of a line of the cache or a vector,
 * some of a page, a few of 64 KiB, as buffers for devices and threads are.
 *
 * Invariants: (I1) every address is a multiple of what was asked for;
 * (I2) both ends of a block hold its size.
 *
 * Locking: none, one thread.
 */
#include "work.h"

#define LIVE 4000

static size_t some_alignment(uint64_t *state)
{
    uint32_t draw = work_below(state, 100);

    if (draw < 85) {
        return (size_t)16 << work_below(state, 4);
    }
    return draw < 99 ? 4096 : 65536;
}

int main(int argc, char **argv)
{
    uint64_t rounds = work_arg(argc, argv, 1, 5000000);
    static void *blocks[LIVE];
    uint64_t state = 1, sum = 0;

    for (uint64_t i = 0; i < rounds; i++) {
        void **slot = &blocks[work_below(&state, LIVE)];
        size_t alignment = some_alignment(&state);
        size_t size = 8 + work_below(&state, alignment < 4096 ? 1000 : 10000);

        if (*slot != NULL) {
            (void)work_stamped(*slot);
            free(*slot);
        }
        work_require(
            posix_memalign(slot, alignment, size) == 0, "out of memory");
        work_require((uintptr_t)*slot % alignment == 0, "not aligned");
        work_stamp(*slot, size);
        sum += size;
    }
    for (unsigned i = 0; i < LIVE; i++) {
        free(blocks[i]);
    }
    return work_report(rounds, sum);
}
