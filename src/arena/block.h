/*
 * What: from a pointer that the program holds to what it is, and its way
 * home: whichever arena it came from, alone or in batches.
 *
 * Invariants: (I1) a pointer is believed only after its descriptor agreed:
 * live, of that class, at the start of a block; everything else is somebody
 * else's, or is reported as misuse by name.
 *
 * Locking: takes the locks of the owning bin, large list or page store.
 */
#ifndef JE_ARENA_BLOCK_H
#define JE_ARENA_BLOCK_H

#include "arena/arena.h"

/* What a live pointer is. */
typedef struct {
    extent_t *extent;
    size_t usize;
} block_t;

/* Describes a live block; a NULL extent if none of ours starts there. */
block_t block_find(const void *ptr);

/* What is wrong with a pointer that is not the start of a live block. */
void block_report(const void *ptr, const char *operation);

/*
 * Who is asked to take pointers that were freed with a size, and so went
 * through a cache without a look, before they are reported.
 */
void block_set_alien_taker(bool (*take)(void *ptr));

/*
 * Describes a live block; reports misuse, in the name of `operation`, if the
 * pointer is none of ours or not the start of a block. Returns a NULL extent
 * only if the program replaced the abort.
 */
block_t block_inspect(const void *ptr, const char *operation);

/* Takes one block of any kind back; what it is has been looked up. */
void block_return(void *ptr, block_t block);

/* Looks up, then returns. */
void block_free(void *ptr);

/*
 * Takes blocks of one cacheable class back. `home` (may be NULL) is told of
 * `nrequests`, which a cache served since its last exchange.
 */
void block_flush(arena_t *home, unsigned class_byte, void *const *ptrs,
    unsigned count, uint64_t nrequests);

#endif
