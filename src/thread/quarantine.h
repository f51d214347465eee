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

/* Blocks of a class. */
typedef struct {
    void **slots;  /* NULL: none yet */
    uint32_t mask; /* of their number */
    uint32_t turn; /* the oldest, above the mask anything */
} quarantine_ring_t;

typedef struct {
    uint64_t random;
    quarantine_ring_t rings[SC_SMALL_COUNT + 1]; /* by class byte */
    unsigned next; /* among the large ones: the oldest */
    size_t large_bytes;
    extent_t *large[QUARANTINE_LARGE_SLOTS];
} quarantine_t;

/*
 * log2 of the blocks that a class holds; 0: it holds none. Those that leave
 * are looked at; those that never come are when they are handed out.
 */
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
    quarantine_ring_t *ring = &q->rings[class_byte];
    if (JE_UNLIKELY(ring->slots == NULL) &&
        (quarantine_lg[class_byte] == 0 || !quarantine_grow(q, class_byte))) {
        return ptr;
    }
    uint32_t turn = ring->turn++;
    if (JE_UNLIKELY(opt.randomize)) {
        turn = (uint32_t)prng_bits(&q->random, 32);
    }
    void **slot = &ring->slots[turn & ring->mask];
    void *leaving = *slot;
    *slot = ptr;
    /* The next one to leave will be looked at then. */
    __builtin_prefetch(ring->slots[(turn + 1) & ring->mask]);
    return leaving;
}

/* The same for a large block, whose owner is an ordinary arena. */
void quarantine_push_large(quarantine_t *q, extent_t *e);

#endif
