/*
 * What: one arena: bins, large blocks, a page store and the metadata base
 * that they live in. Allocation and release without a thread cache, and the
 * batches that caches exchange.
 *
 * Invariants: (I1) a block goes back to the arena that it came from, which
 * its descriptor names; (I2) the arena's own memory is in its base.
 *
 * Locking: none of its own; every part has its lock.
 */
#ifndef JE_ARENA_ARENA_H
#define JE_ARENA_ARENA_H

#include "arena/bin.h"
#include "arena/large.h"
#include "extent/base.h"

#define ARENA_NAME_MAX 32

/* Longer than threads that come one after another leave between them. */
#define ARENA_DESERTED_NS 1000000000ULL

typedef struct arena {
    unsigned ind;
    bool manual; /* made by the program: never assigned to threads */
    uint64_t created_ns;
    _Atomic uint64_t deserted_ns; /* since when no thread uses it, or 0 */
    char name[ARENA_NAME_MAX];
    bin_t *bins[SC_SMALL_COUNT]; /* sizeclass_slabs[i].shards each */
    page_store_t pages;
    large_t large;
    base_t base;
} arena_t;

typedef struct {
    extent_hooks_t *hooks;
    bool metadata_use_hooks;
    bool manual;
    ssize_t dirty_decay_ms;
    ssize_t muzzy_decay_ms;
    size_t dirty_limit; /* see page_runs.h; 0: none */
    uint64_t now_ns;
} arena_config_t;

/* NULL when no memory is to be had. */
JE_MUST_USE arena_t *arena_create(unsigned ind, const arena_config_t *config);

/* A block without cache; `alignment` 0 for none. NULL when out of memory. */
JE_MUST_USE void *arena_alloc(
    arena_t *arena, size_t usize, size_t alignment, bool zero);

/* The same for a block that the profiler keeps: large_alloc_sampled. */
JE_MUST_USE void *arena_alloc_sampled(
    arena_t *arena, size_t usize, size_t alignment, bool zero);

/*
 * Fills `out` with up to `want` blocks of a cacheable class; fewer only when
 * memory is out. `shard` chooses among the class's bins; `nrequests` is what
 * the cache served from the class since its last exchange.
 */
JE_MUST_USE unsigned arena_fill(arena_t *arena, unsigned class_byte,
    unsigned shard, void **out, unsigned want, uint64_t nrequests);

/* Adds requests that a cache served to the class's counters. */
void arena_note_requests(
    arena_t *arena, unsigned class_byte, unsigned shard, uint64_t nrequests);

/* The bin that serves a small class to users of that shard. */
bin_t *arena_bin(arena_t *arena, unsigned class_byte, unsigned shard);

/* Drops everything allocated from a manual arena. */
void arena_reset(arena_t *arena);

/* Resets, gives all pages and metadata back. The pointer dies. */
void arena_destroy(arena_t *arena);

/* Unused bytes that will be given back as time goes by. */
size_t arena_decaying_bytes(arena_t *arena);

/* Gives back what decay says is due. */
void arena_decay(arena_t *arena, uint64_t now_ns);

/*
 * The same for an arena that no thread uses now: what it keeps for reuse has
 * nobody to reuse it, and goes after ARENA_DESERTED_NS without a thread.
 */
void arena_decay_deserted(arena_t *arena, uint64_t now_ns);

/* Takes the arena's locks of one rank: fork goes rank by rank. */
void arena_prefork(arena_t *arena, lock_rank_t rank);
void arena_postfork_child(arena_t *arena);

/* Walks everything; aborts on a broken invariant (debug builds). */
void arena_check(arena_t *arena);

#endif
