/*
 * What: which blocks live, while memcheck looks on: for each its address, the
 * size that was asked for, and the region of an arena that it lies in. Plus
 * what was freed a short while ago, in *detention*, so that its memory is not
 * used again before somebody could be caught using it.
 *
 *   region   | 16, or the alignment | the block's size | 16 and more |
 *            ^ what the arena gave  ^ what the program has
 *
 * So no word of the arenas, caches and descriptors is the address of a block
 * or points into one, and memcheck's search for leaks does not find any
 * there. Here addresses are kept inverted, for the same reason.
 *
 * Where Valgrind's own malloc stands in for ours, only blocks of manual
 * arenas are noted, without a region, for the sake of arena.<i>.reset. Such a
 * block may be freed without our learning of it. It has a mark that does not
 * survive that: the first byte of the zone before it may be touched.
 *
 * Invariants: (I1) a block is in the ledger from its birth to its end; (I2)
 * detained regions count as taken in their arenas.
 *
 * Locking: ledger.lock, a leaf; requests to memcheck are made outside of it.
 */
#ifndef JE_ARENA_LEDGER_H
#define JE_ARENA_LEDGER_H

#include "util/common.h"

typedef struct {
    void *ptr;
    size_t size;    /* as asked for */
    void *region;   /* NULL: a block of Valgrind's */
    size_t usize;   /* of the region */
    unsigned arena; /* its index */
} ledger_block_t;

/* The malloc family as Valgrind replaced it. */
typedef struct {
    void *(*malloc)(size_t size);
    void *(*calloc)(size_t num, size_t size);
    void *(*memalign)(size_t alignment, size_t size);
    void *(*realloc)(void *ptr, size_t size);
    size_t (*usable_size)(void *ptr);
    void (*free)(void *ptr);
} ledger_public_t;

void ledger_boot(void);

/* From now on blocks come from these functions. */
void ledger_set_public(const ledger_public_t *public);
const ledger_public_t *ledger_public(void);

/* Notes a block, in place of an older one at its address. */
JE_MUST_USE bool ledger_add(const ledger_block_t *block);

/* What is known of the block at `ptr`; false if there is none. */
JE_MUST_USE bool ledger_find(const void *ptr, ledger_block_t *block);

/* The same, and forgets it. */
JE_MUST_USE bool ledger_remove(const void *ptr, ledger_block_t *block);

void ledger_set_size(const void *ptr, size_t size);

/* Keeps the region of a block that was removed. */
void ledger_detain(const ledger_block_t *block);

/* A region that was detained for long enough, to be given back, or NULL. */
void *ledger_release(void);

/* All blocks of an arena end, as it is about to be reset or destroyed. */
void ledger_end_arena(unsigned arena);

/* Makes a noted block of Valgrind's known again for what it is. */
void ledger_mark(void *ptr);

/* The region that a live block lies in; other pointers as they are. */
const void *ledger_region(const void *ptr);

void ledger_prefork(void);

#endif
