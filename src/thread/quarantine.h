/*
 * What: freed blocks that a thread holds back, so that a pointer that is used
 * after free finds nobody else's data for a while: of each small class the
 * last few, or a random choice of more if opt.randomize says so; of large ones
 * the last few, inaccessible meanwhile. In order, as a block's neighbours in
 * time tend to be its neighbours in memory: leaving at random made a Python
 * program twice as slow.
 *
 * Invariants: (I1) what is here is free for everybody who asks: its seal
 * says so, a large block counts as cached; (I2) a class holds at most
 * opt.quarantine_small bytes, large blocks opt.quarantine_large.
 *
 * Locking: a thread's own.
 */
#ifndef JE_THREAD_QUARANTINE_H
#define JE_THREAD_QUARANTINE_H

#include "cache/tcache.h"
#include "conf/conf.h"
#include "util/prng.h"

#define QUARANTINE_LARGE_SLOTS 16

typedef struct {
    uint64_t random;
    uint8_t turns[SC_SMALL_COUNT + 1]; /* where the oldest of a class is */
    void **rings[SC_SMALL_COUNT + 1];  /* by class byte; NULL: none yet */
    unsigned next;                     /* among the large ones: the oldest */
    size_t large_bytes;
    extent_t *large[QUARANTINE_LARGE_SLOTS];
} quarantine_t;

/* log2 of the blocks that a class holds; 0: it holds none. */
extern uint8_t quarantine_lg[SC_SMALL_COUNT + 1];

void quarantine_boot(void);

/* NULL if there is nothing to hold back, or no memory. */
quarantine_t *quarantine_create(void);

/* All goes on: small blocks to the cache, large ones home. */
void quarantine_flush(quarantine_t *q, tcache_t *tcache);
void quarantine_destroy(quarantine_t *q, tcache_t *tcache);

/* Makes the ring of a class. False without memory. */
JE_MUST_USE bool quarantine_grow(quarantine_t *q, unsigned class_byte);

/* Holds a block back; returns the one that leaves for it, if any. */
static inline void *quarantine_exchange(
    quarantine_t *q, unsigned class_byte, void *ptr)
{
    unsigned lg = quarantine_lg[class_byte];
    if (lg == 0 || (q->rings[class_byte] == NULL &&
                       JE_UNLIKELY(!quarantine_grow(q, class_byte)))) {
        return ptr;
    }
    unsigned turn = JE_UNLIKELY(opt.randomize)
                        ? (unsigned)prng_bits(&q->random, lg)
                        : q->turns[class_byte]++ & ((1U << lg) - 1);
    void **slot = &q->rings[class_byte][turn];
    void *leaving = *slot;
    *slot = ptr;
    return leaving;
}

/* The same for a large block, whose owner is an ordinary arena. */
void quarantine_push_large(quarantine_t *q, extent_t *e);

#endif
