/*
 * What: the few large blocks that a thread freed last, for a program that
 * allocates and frees the same buffer over and over: no lock, no mapping
 * work, no fault.
 *
 * Invariants: (I1) a held block is marked EXTENT_CACHED, so that freeing it
 * again is noticed at once; (I2) at most LARGE_CACHE_BYTES are held; (I3)
 * what was not used between two idle checks is given back; (I4) blocks that
 * were resized are not held: their size is seldom asked for again, and the
 * next buffer can grow in place where they were; (I5) a slot without a block
 * has usable size 0, which nobody asks for.
 *
 * Locking: belongs to the cache that it is a part of.
 */
#ifndef JE_CACHE_LARGE_CACHE_H
#define JE_CACHE_LARGE_CACHE_H

#include "arena/block.h"

#define LARGE_CACHE_SLOTS 4
/* Held per thread: enough for one 4 MiB buffer, little beside its use. */
#define LARGE_CACHE_BYTES ((size_t)4 << 20)

typedef struct {
    size_t usizes[LARGE_CACHE_SLOTS];
    extent_t *extents[LARGE_CACHE_SLOTS];
    unsigned next;        /* slot that the next block goes to if all are full */
    uint64_t uses;        /* blocks taken and handed out */
    uint64_t seen;        /* uses at the last idle check */
    _Atomic size_t bytes; /* statistics look at it */
} large_cache_t;

/* A held block of exactly that usable size, or NULL. */
void *large_cache_pop(large_cache_t *cache, size_t usize);

/* Takes a block over. False if it is not one to hold. */
bool large_cache_push(large_cache_t *cache, extent_t *extent);

/* Gives everything back. */
void large_cache_flush(large_cache_t *cache);

/* Gives everything back unless it was used since the last such call. */
void large_cache_shrink_idle(large_cache_t *cache);

/* Gives everything back, and the pages to the system at once. */
void large_cache_flush_clean(large_cache_t *cache);

#endif
