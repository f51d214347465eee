/*
 * What: calloc of all sizes, 8 bytes to 4 MiB, each size as often as it is
 * small. Blocks are looked at, written all over and freed, so that memory
 * which comes back is not zero by itself.
 *
 * Invariants: (I1) every byte looked at is zero: each of a small block, of a
 * large one the first and last of each 512.
 *
 * Locking: none, one thread.
 */
#include "work.h"

#define LIVE     64
#define SMALLEST 8
#define LG_RANGE 19 /* 8 bytes << 19 is 4 MiB. */
#define ALL      1024

static void check(const char *bytes, size_t size)
{
    size_t step = size <= ALL ? 1 : 512;

    for (size_t i = 0; i < size; i += step) {
        work_require(bytes[i] == 0, "calloc gave a byte that is not zero");
    }
    work_require(bytes[size - 1] == 0, "the last byte is not zero");
}

/* A size of each doubling; one step up is two thirds as likely. */
static size_t some_size(uint64_t *state)
{
    unsigned lg = 0;
    size_t base;

    while (lg < LG_RANGE && work_below(state, 3) != 0) {
        lg++;
    }
    base = (size_t)SMALLEST << lg;
    return base + work_below(state, (uint32_t)base);
}

int main(int argc, char **argv)
{
    uint64_t rounds = work_arg(argc, argv, 1, 250000);
    char *blocks[LIVE] = {NULL};
    uint64_t state = 1, sum = 0;

    for (uint64_t i = 0; i < rounds; i++) {
        char **slot = &blocks[work_below(&state, LIVE)];
        size_t size = some_size(&state);

        free(*slot);
        *slot = calloc(1, size);
        work_require(*slot != NULL, "out of memory");
        check(*slot, size);
        memset(*slot, 1, size);
        sum += size;
    }
    for (unsigned i = 0; i < LIVE; i++) {
        free(blocks[i]);
    }
    return work_report(rounds, sum);
}
