/*
 * What: one size class of one arena (one shard of it): its slabs, filled
 * from and flushed to in batches.
 *
 * Invariants: (I1) `nonfull` holds exactly the slabs with a free region,
 * except `current`; (I2) a slab other than `current` that becomes empty
 * goes back to the page store; (I3) curregs = nmalloc - ndalloc.
 *
 * Locking: `lock` guards everything and is a leaf: pages are asked for and
 * returned outside of it.
 */
#ifndef JE_ARENA_BIN_H
#define JE_ARENA_BIN_H

#include "arena/slab.h"
#include "extent/page_store.h"

typedef struct {
    uint64_t nmalloc;   /* regions that left */
    uint64_t ndalloc;   /* regions that came back */
    uint64_t nrequests; /* allocations served, cached ones included */
    uint64_t nfills;
    uint64_t nflushes;
    uint64_t nslabs;   /* slabs ever made */
    uint64_t nreslabs; /* times a partly used slab became current again */
    size_t curregs;
    size_t curslabs;
    size_t nonfull_slabs;
} bin_stats_t;

typedef struct {
    mutex_t lock;
    uint8_t class_byte;
    uint8_t shard;
    extent_t *current; /* the slab regions are taken from, or NULL */
    heap_t nonfull;    /* by address */
    list_node_t slabs; /* all of them, through extent.list */
    uint64_t random;   /* for opt.randomize */
    bin_stats_t stats;
} JE_ALIGNED(JE_CACHELINE) bin_t;

void bin_init(bin_t *bin, unsigned class_byte, unsigned shard);

/*
 * Takes up to `want` regions; fewer only when no memory is to be had.
 * `nrequests` is what the cache served since it last reported.
 */
JE_MUST_USE unsigned bin_fill(bin_t *bin, page_store_t *ps, void **out,
    unsigned want, uint64_t nrequests);

/*
 * Regions of one slab on their way home, those of one word of its bitmap:
 * neighbours travel together. Checked by the caller to be regions.
 */
typedef struct {
    extent_t *slab;
    uint64_t bits;
    unsigned word; /* index of the bitmap word */
} bin_return_t;

/* Largest batch of one bin_flush. */
#define BIN_FLUSH_MAX 64

/*
 * Takes back those of `returns` that belong to `bin`, whose slabs carry
 * `bin_word` in EXTENT_BIN_MASK; moves the others to the front. Returns how
 * many are left. A region that was free already is reported after the lock
 * is released.
 */
unsigned bin_flush(bin_t *bin, page_store_t *ps, bin_return_t *returns,
    unsigned count, uint64_t bin_word, uint64_t nrequests);

/* Drops all slabs, whatever is live in them (arena reset). */
void bin_reset(bin_t *bin, page_store_t *ps);

/* Calls `visit` for each slab, under the lock. */
void bin_visit(bin_t *bin, void (*visit)(const extent_t *slab, void *opaque),
    void *opaque);

/* Aborts on a broken invariant (debug builds). */
void bin_check(bin_t *bin);

#endif
