/*
 * What: a list of small blocks grows to its full length without a free, is
 * summed up, and is dropped in one sweep from its first block on; a few times
 * over.
 *
 * Invariants: (I1) the sum over the list is that of the sizes asked for.
 *
 * Locking: none, one thread.
 */
#include "work.h"

#define SWEEPS 3

typedef struct item {
    struct item *next;
    uint64_t size;
} item_t;

static uint64_t sweep(uint64_t count, uint64_t *state)
{
    item_t *first = NULL, **end = &first;
    uint64_t asked = 0, found = 0;

    for (uint64_t i = 0; i < count; i++) {
        size_t size = sizeof(item_t) + work_below(state, 112);

        *end = work_get(size);
        (*end)->size = size;
        end = &(*end)->next;
        asked += size;
    }
    *end = NULL;
    for (item_t *item = first; item != NULL; item = item->next) {
        found += item->size;
    }
    work_require(asked == found, "a list lost its blocks");
    while (first != NULL) {
        item_t *next = first->next;

        free(first);
        first = next;
    }
    return asked;
}

int main(int argc, char **argv)
{
    uint64_t count = work_arg(argc, argv, 1, 4000000);
    uint64_t state = 1, sum = 0;

    for (int i = 0; i < SWEEPS; i++) {
        sum += sweep(count, &state);
    }
    return work_report(count * SWEEPS, sum);
}
