/*
 * What: a shadow of the blocks that a program holds: where each lies, how
 * large it is, what is written in it. Whatever the allocator answers is
 * compared with it.
 *
 * Invariants: (I1) the shadow never uses the allocator under test; (I2) what
 * does not hold is complained of once for the whole process, on descriptor 2
 * and in model_complaint; what follows from it may be nonsense; (I3) each
 * block's pattern differs from that of the blocks before it, so bytes of two
 * models that overlap show, too.
 *
 * Locking: none; a model belongs to one thread at a time.
 */
#ifndef JE_TEST_FUZZ_API_MODEL_H
#define JE_TEST_FUZZ_API_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MODEL_BLOCKS 64

/* A block up to this size is written and read whole, a larger one in places. */
#define MODEL_WHOLE_BYTES ((size_t)16 << 10)

typedef struct model_block {
    unsigned char *p;
    size_t size;      /* as asked for */
    size_t usable;    /* as the allocator said */
    size_t alignment; /* 0 = none asked for */
    uint64_t pattern; /* seed of the contents */
} model_block_t;

typedef struct model {
    model_block_t blocks[MODEL_BLOCKS];
    unsigned count;
    size_t live_bytes; /* usable ones */
    uint64_t patterns;
    bool junk; /* the options say what fresh memory holds */
    bool zero;
    bool exact; /* they make the usable size the one that was asked for */
} model_t;

/* The first complaint, or NULL. */
const char *model_complaint(void);
__attribute__((format(printf, 1, 2))) void model_complain(const char *fmt, ...);

/* What a request is answered with, from outside of the range of size_t. */
typedef struct model_answer {
    void *p; /* not NULL */
    size_t size;
    size_t alignment;
    bool zero;
} model_answer_t;

/* Takes a fresh block in; there must be room. */
void model_add(model_t *m, const model_answer_t *answer);

/* What a block counts for: a guarded one for more than can be used of it. */
size_t model_counted(const model_block_t *block);

/* Takes a block out, its contents checked. */
model_block_t model_take(model_t *m, unsigned index);

/* Puts it back as it was: a resizing call failed. */
void model_put_back(model_t *m, const model_block_t *old);

/* Puts it back as a resizing call left it. */
void model_resized(
    model_t *m, const model_block_t *old, const model_answer_t *answer);

/* The same of a call that answers with a usable size, in place. */
void model_resized_in_place(
    model_t *m, const model_block_t *old, size_t usable, bool zero);

/* Reads all of them, and writes them anew. */
void model_touch(model_t *m);

/* The block that shares a byte with the range, or NULL. */
const model_block_t *model_overlap(
    const model_t *m, const void *p, size_t bytes);

#endif
