/*
 * What: blocks that grow by realloc: texts that are appended to a few bytes
 * at a time, arrays that grow by half, buffers of unknown input that grow by
 * whole reads up to some MiB; a few of each at once, so that they are in one
 * another's way.
 *
 * Invariants: (I1) contents survive growth: the last bytes of each piece are
 * read when the block is dropped.
 *
 * Locking: none, one thread.
 */
#include "work.h"

#define LIVE 12

typedef struct {
    size_t least;    /* What a step adds, at least, */
    size_t spread;   /* plus up to this, */
    unsigned growth; /* plus this many 8ths of what is there. */
    size_t end;      /* Dropped when it is as large. */
} kind_t;

static const kind_t kinds[] = {
    {1, 40, 0, 2000},
    {64, 16, 4, 1 << 20},
    {1000, 15000, 0, 3 << 20},
    {4096, 0, 8, 8 << 20},
};

typedef struct {
    char *bytes;
    size_t size;
    size_t checked; /* Where a piece ended, and what it ended with. */
    char last;
} buffer_t;

static uint64_t steps;

static void drop(buffer_t *buffer)
{
    if (buffer->bytes != NULL) {
        work_require(buffer->bytes[buffer->checked] == buffer->last,
            "a buffer lost its contents");
        free(buffer->bytes);
    }
    memset(buffer, 0, sizeof(*buffer));
}

static void grow(buffer_t *buffer, const kind_t *kind, uint64_t *state)
{
    size_t more = kind->least + kind->growth * buffer->size / 8;
    char *bytes;

    more += kind->spread != 0 ? work_below(state, (uint32_t)kind->spread) : 0;
    bytes = realloc(buffer->bytes, buffer->size + more);
    work_require(bytes != NULL, "out of memory");
    if (buffer->bytes != NULL) {
        work_require(bytes[buffer->checked] == buffer->last,
            "a buffer lost its contents");
    }
    memset(bytes + buffer->size, (int)more & 127, more);
    if (work_below(state, 4) == 0 || buffer->bytes == NULL) {
        buffer->checked = buffer->size + more - 1;
        buffer->last = (char)(more & 127);
    }
    buffer->bytes = bytes;
    buffer->size += more;
    steps++;
}

int main(int argc, char **argv)
{
    static buffer_t buffers[LIVE];
    uint64_t rounds = work_arg(argc, argv, 1, 120);
    uint64_t state = 1, sum = 0;

    for (uint64_t dropped = 0; dropped < rounds;) {
        unsigned i = work_below(&state, LIVE);
        const kind_t *kind = &kinds[i % (sizeof(kinds) / sizeof(kinds[0]))];

        grow(&buffers[i], kind, &state);
        if (buffers[i].size >= kind->end) {
            sum += buffers[i].size;
            drop(&buffers[i]);
            dropped++;
        }
    }
    for (unsigned i = 0; i < LIVE; i++) {
        drop(&buffers[i]);
    }
    return work_report(steps, sum);
}
