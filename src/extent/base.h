/*
 * What: the bump allocator for metadata. It never frees single objects;
 * owners that come and go keep their own free lists of what they got here.
 *
 * Invariants: (I1) objects are zeroed and at least 16-byte aligned; (I2) no
 * metadata shares a mapping with the program's data.
 *
 * Locking: base.lock guards all fields and is not held while hooks run.
 */
#ifndef JE_EXTENT_BASE_H
#define JE_EXTENT_BASE_H

#include "extent/extent_hooks.h"
#include "os/mutex.h"

typedef struct base_block {
    struct base_block *next;
    size_t size;
} base_block_t;

typedef struct {
    mutex_t lock;
    extent_hooks_t *hooks;
    unsigned arena_ind;
    base_block_t *blocks;
    base_block_t *spare; /* of base_shared: blocks of ended bases, zeroed */
    char *next;          /* first free byte of the newest block */
    char *end;
    unsigned block_count;
    size_t allocated_bytes;
    size_t resident_bytes; /* pages touched by what was handed out */
    size_t mapped_bytes;
} base_t;

/* The base of everything that belongs to no arena. */
extern base_t base_shared;

void base_init(base_t *base, extent_hooks_t *hooks, unsigned arena_ind);

/* NULL when no memory is to be had. */
JE_MUST_USE void *base_alloc(base_t *base, size_t size, size_t alignment);

/*
 * Gives all blocks back through the hooks; nothing of it may be in use. What
 * the built-in table cannot give back serves the next base.
 */
void base_destroy(base_t *base);

#endif
