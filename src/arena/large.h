/*
 * What: one extent per allocation, for everything above the slabs.
 *
 *   | offset | usable ...                      | rest of the last page |
 *   extent.addr   ptr = addr + offset             extent end
 *
 * With opt.cache_oblivious a block without special alignment starts at a
 * random multiple of 64 in its first page, so that equal offsets in many
 * large blocks do not fight for the same cache sets; that costs one page.
 *
 * Invariants: (I1) u.large.ptr lies in the first page and u.large.usize
 * bytes from it lie in the extent; (I2) the class byte of the first page is
 * set iff the usable size is one a thread cache may hold and the block is no
 * sample of the profiler, which may have any size; (I3) in an arena
 * that can be reset every block is in `blocks`.
 *
 * Locking: `lock` guards counters, the list and the random state.
 */
#ifndef JE_ARENA_LARGE_H
#define JE_ARENA_LARGE_H

#include "extent/page_store.h"

#define LARGE_CLASS_COUNT (SC_COUNT - SC_SMALL_COUNT)

typedef struct {
    uint64_t nmalloc;
    uint64_t ndalloc;
    uint64_t nrequests;
    uint64_t nflushes;
} large_class_stats_t;

typedef struct {
    mutex_t lock;
    bool keeps_list;
    uint64_t random;
    list_node_t blocks;     /* through extent.list, if keeps_list */
    size_t allocated_bytes; /* sum of usable sizes */
    large_class_stats_t stats[LARGE_CLASS_COUNT];
} large_t;

void large_init(large_t *large, bool keeps_list, uint64_t seed);

/*
 * A block of `usize` usable bytes (as sizeclass_usize says) at a multiple
 * of `alignment` (a power of two or 0); NULL when no memory is to be had.
 */
JE_MUST_USE void *large_alloc(large_t *large, page_store_t *ps, size_t usize,
    size_t alignment, bool zero);

/*
 * The same for a block of any size, small ones too, that the profiler will
 * keep: at the start of a page, and seen by no fast path.
 */
JE_MUST_USE void *large_alloc_sampled(large_t *large, page_store_t *ps,
    size_t usize, size_t alignment, bool zero);

/* Told before a sampled block ends; set once at boot. */
extern void (*large_sample_observer)(extent_t *e);

/* Ends the sample that there is; the block may be one anew, or not. */
void large_set_sampled(extent_t *e, bool sampled);

/* Takes the block of extent `e` back. */
void large_free(large_t *large, page_store_t *ps, extent_t *e);

/* The same, and its pages to the system at once. */
void large_free_clean(large_t *large, page_store_t *ps, extent_t *e);

/*
 * Changes the usable size of a live block in place to something between
 * `usize_min` and `usize_max`, the more the better. False if it cannot.
 * New bytes are zeroed if `zero`.
 */
bool large_resize_in_place(large_t *large, page_store_t *ps, extent_t *e,
    size_t usize_min, size_t usize_max, bool zero);

/*
 * Moves a live block to one of `usize` bytes by moving its pages. NULL if
 * that cannot be done here; the block is then untouched.
 */
JE_MUST_USE void *large_resize_by_move(
    large_t *large, page_store_t *ps, extent_t *e, size_t usize, bool zero);

/* Adds what caches served and flushed of one class (index in the series). */
void large_note(
    large_t *large, unsigned index, uint64_t nrequests, uint64_t nflushes);

/* Frees every block in the list (arena reset). */
void large_reset(large_t *large, page_store_t *ps);

#endif
