/*
 * What: the few large blocks that a thread freed last, for a program that
 * allocates and frees the same buffer over and over: no lock, no mapping
 * work, no fault.
 *
 * Invariants: (I1) a held block is marked EXTENT_CACHED, so that freeing it
 * again is noticed at once; (I2) at most LARGE_CACHE_BYTES are held; (I3)
 * what was not used between two idle checks is given back; (I4) blocks that
 * were resized are not held: their size is seldom asked for again, and the
 * next buffer can grow in place where they were.
 *
 * Locking: belongs to one thread, but for large_cache_reclaim_idle, which
 * another thread may call at any time: slots change hands by one exchange.
 */
#ifndef JE_CACHE_LARGE_CACHE_H
#define JE_CACHE_LARGE_CACHE_H

#include "arena/block.h"

#define LARGE_CACHE_SLOTS 4
/* Held per thread: enough for one 4 MiB buffer, little beside its use. */
#define LARGE_CACHE_BYTES ((size_t)4 << 20)

typedef struct {
    struct {
        extent_t *_Atomic extent; /* whoever swaps it for NULL owns it */
        size_t usize;             /* known to the thread alone */
    } slots[LARGE_CACHE_SLOTS];
    unsigned next;     /* slot that the next block goes to */
    _Atomic bool used; /* since the last idle check */
    _Atomic size_t bytes;
} large_cache_t;

/* A held block of exactly that usable size, or NULL. */
void *large_cache_pop(large_cache_t *cache, size_t usize);

/* Takes a block over. False if it is not one to hold. */
bool large_cache_push(large_cache_t *cache, extent_t *extent);

/* Gives everything back. */
void large_cache_flush(large_cache_t *cache);

/* Gives everything back unless it was used since the last such call. */
void large_cache_shrink_idle(large_cache_t *cache);

/*
 * The same from another thread, on behalf of one that sleeps; the pages go
 * to the system at once. Returns the bytes that are still held.
 */
size_t large_cache_reclaim_idle(large_cache_t *cache);

#endif
