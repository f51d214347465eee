/*
 * What: large blocks, over and over: a few of up to 8 MiB live at a time and
 * random ones are replaced, each written a page apart; then buffers that grow
 * by realloc, a piece at a time, as a reader of unknown input grows them.
 *
 * Invariants: (I1) a buffer's contents survive its growth; (I2) sizes are
 * never a round number.
 *
 * Locking: none, one thread.
 */
#include "work.h"

#define LIVE    20
#define BUFFERS 8
#define PAGE    4096
#define LARGEST ((size_t)8 << 20)
#define SMALL   ((size_t)40 << 10)
#define GROWN   ((size_t)2 << 20)

static uint64_t state = 1;

static void touch(char *block, size_t size)
{
    for (size_t at = PAGE; at + PAGE < size; at += PAGE) {
        block[at] = 1;
    }
}

static void replace(void **slot)
{
    size_t size = SMALL + work_below(&state, (uint32_t)(LARGEST - SMALL));

    work_free(*slot);
    *slot = work_alloc(size);
    touch(*slot, size);
}

static void replacing(uint64_t rounds)
{
    static void *live[LIVE];

    for (uint64_t i = 0; i < rounds; i++) {
        replace(&live[work_below(&state, LIVE)]);
    }
    for (int i = 0; i < LIVE; i++) {
        work_free(live[i]);
    }
}

typedef struct {
    unsigned char *bytes;
    size_t size;
} buffer_t;

/* Appends a piece whose last byte tells where it ends. */
static void grow(buffer_t *buffer)
{
    size_t size = buffer->size + 1000 + work_below(&state, 15000);

    buffer->bytes = realloc(buffer->bytes, size);
    work_require(buffer->bytes != NULL, "out of memory");
    memset(
        buffer->bytes + buffer->size, (int)(size & 255), size - buffer->size);
    buffer->size = size;
}

static void empty(buffer_t *buffer)
{
    work_require(buffer->bytes[buffer->size - 1] == (buffer->size & 255),
        "a buffer lost its contents");
    free(buffer->bytes);
    buffer->bytes = NULL;
    buffer->size = 0;
}

static void growing(uint64_t rounds)
{
    static buffer_t buffers[BUFFERS];

    for (uint64_t i = 0; i < rounds * 100; i++) {
        buffer_t *buffer = &buffers[work_below(&state, BUFFERS)];

        grow(buffer);
        if (buffer->size > GROWN) {
            empty(buffer);
        }
    }
    for (int i = 0; i < BUFFERS; i++) {
        if (buffers[i].bytes != NULL) {
            empty(&buffers[i]);
        }
    }
}

int main(int argc, char **argv)
{
    uint64_t rounds = work_arg(argc, argv, 1, 2000);

    replacing(rounds);
    growing(rounds);
    return 0;
}
