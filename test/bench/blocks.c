/*
 * What: large blocks, over and over: a few live at a time, random ones are
 * replaced, and one byte of each page is written.
 *
 * Invariants: (I1) what was written is read back before a block goes.
 *
 * Locking: none, one thread.
 */
#include "work.h"

#define LIVE 16
#define PAGE 4096
#define KIB  1024u

typedef struct {
    char *bytes;
    size_t size;
    char mark;
} slot_t;

static void touch(const slot_t *slot)
{
    for (size_t at = 0; at < slot->size; at += PAGE) {
        slot->bytes[at] = slot->mark;
    }
}

static void drop(const slot_t *slot)
{
    if (slot->bytes == NULL) {
        return;
    }
    for (size_t at = 0; at < slot->size; at += PAGE) {
        work_require(slot->bytes[at] == slot->mark, "a page was lost");
    }
    free(slot->bytes);
}

int main(int argc, char **argv)
{
    uint32_t least = (uint32_t)work_arg(argc, argv, 1, 4096) * KIB;
    uint32_t most = (uint32_t)work_arg(argc, argv, 2, 24576) * KIB;
    uint64_t rounds = work_arg(argc, argv, 3, 300);
    slot_t slots[LIVE] = {{NULL, 0, 0}};
    uint64_t state = 1, sum = 0;

    for (uint64_t i = 0; i < rounds; i++) {
        slot_t *slot = &slots[work_below(&state, LIVE)];

        drop(slot);
        slot->size = least + work_below(&state, most - least);
        slot->bytes = work_get(slot->size);
        slot->mark = (char)i;
        touch(slot);
        sum += slot->size;
    }
    for (unsigned i = 0; i < LIVE; i++) {
        drop(&slots[i]);
    }
    return work_report(rounds, sum);
}
