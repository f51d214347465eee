/*
 * What: the state of one arena's pages, and the mechanism on its free runs:
 * put one in, joined with its neighbours; take one out by best fit, cut to
 * size. Policy is page_store's.
 *
 * Invariants: (I1) free extents are in exactly one of the sets, BUSY
 * ones in none; (I2) pinned runs are reused before dirty, these
 * before muzzy, these before retained; (I3) active_bytes is the sum of the
 * ACTIVE extents handed out.
 *
 * Locking: `lock` guards sets, pool, decay and counters. The functions here
 * want it held, and drop it around hooks of the program; an empty pool may
 * make the shared base map a block under it. `grow_lock`
 * lets one thread at a time ask for more address space.
 */
#ifndef JE_EXTENT_PAGE_RUNS_H
#define JE_EXTENT_PAGE_RUNS_H

#include "extent/decay.h"
#include "extent/extent_set.h"
#include "extent/page_ops.h"
#include "os/mutex.h"

/*
 * What the front of a member is taken with: one descriptor for it, and two
 * are left for the cuts without which a member that shares its first or last
 * page of the system cannot be unmapped, to make room for more descriptors.
 */
#define PAGE_RUNS_DESCRIPTORS 3

typedef enum {
    PAGE_SET_DIRTY,
    PAGE_SET_MUZZY,
    PAGE_SET_RETAINED,
    PAGE_SET_PINNED, /* of hooks whose memory never goes back */
    PAGE_SET_COUNT
} page_set_t;

/* What purging one set has come to. */
typedef struct {
    uint64_t npurge;   /* passes that found something */
    uint64_t nmadvise; /* extents handled */
    uint64_t purged;   /* pages */
} page_purge_stats_t;

typedef struct {
    mutex_t lock;
    mutex_t grow_lock;
    extent_hooks_t *_Atomic hooks;
    unsigned arena_ind;
    bool purging[2];
    bool never_splits; /* hooks refused a cut: map what is asked, no more */
    extent_set_t sets[PAGE_SET_COUNT];
    decay_t decay[2];           /* of dirty, of muzzy */
    _Atomic uint64_t due_ns[2]; /* decay_due_ns, to be read without lock */
    extent_pool_t pool;
    page_purge_stats_t purge_stats[2];
    _Atomic size_t active_bytes;
    _Atomic size_t active_pages;   /* the same, for programs that look */
    _Atomic size_t oversize_bytes; /* freed runs of that size go at once */
    size_t dirty_limit;            /* more is purged at once */
    size_t grow_next;              /* bytes of the next growth step */
    size_t grow_limit;             /* the largest step */
    size_t guard_bytes;            /* inaccessible, beside guarded extents */
    size_t abandoned_bytes; /* address space lost for good after failures */
} page_store_t;

static inline page_ops_t page_store_ops(page_store_t *ps)
{
    return (page_ops_t){atomic_get_acquire(&ps->hooks), ps->arena_ind};
}

static inline bool page_runs_are_default(page_store_t *ps)
{
    return extent_hooks_are_default(page_store_ops(ps).hooks);
}

/*
 * Whether the descriptor found beside an extent is a member of the set. It
 * may be stale or foreign: only after arena and state match is it ours to
 * read further.
 */
bool page_runs_is_member(
    const page_store_t *ps, const extent_set_t *set, const extent_t *other);

/* The same, and as committed as `e`. */
bool page_runs_is_neighbour(const page_store_t *ps, const extent_set_t *set,
    const extent_t *e, const extent_t *other);

/*
 * Puts a BUSY extent into a set, or if it is EXTENT_KEPT into that of the
 * pinned ones, joined with its neighbours there. Returns what it has become.
 */
extent_t *page_runs_put_locked(page_store_t *ps, page_set_t which, extent_t *e)
    JE_REQUIRES(&ps->lock);

/* Joins the BUSY extents a and b, a first; false if hooks refuse. */
bool page_runs_join_locked(page_store_t *ps, extent_t *a, extent_t *b)
    JE_REQUIRES(&ps->lock);

/*
 * Cuts the BUSY extent e behind `size` bytes. Returns the rest, BUSY, or
 * NULL if refused or out of descriptors.
 */
extent_t *page_runs_cut_locked(page_store_t *ps, extent_t *e, size_t size)
    JE_REQUIRES(&ps->lock);

/*
 * Trims the BUSY extent e, taken from `which`, to `size` bytes at the
 * aligned place; the ends go back. NULL (all put back) if hooks refuse.
 */
extent_t *page_runs_trim_locked(page_store_t *ps, page_set_t which, extent_t *e,
    size_t size, size_t alignment) JE_REQUIRES(&ps->lock);

/*
 * A BUSY run of `size` bytes from the first set that has one, with `room`
 * more bytes free behind it, which stay in the set. NULL if there is none.
 * A run that the built-in table must commit is longer, up to a step: the
 * caller commits it and puts the rest back.
 */
extent_t *page_runs_take_locked(page_store_t *ps, size_t size, size_t alignment,
    size_t room) JE_REQUIRES(&ps->lock);

/* The oldest of a set that is not empty, BUSY. */
extent_t *page_runs_take_oldest_locked(page_store_t *ps, page_set_t which)
    JE_REQUIRES(&ps->lock);

/*
 * The same without what lies in pages of others. NULL if it cannot be cut
 * and is back in the set.
 */
extent_t *page_runs_take_paged_locked(page_store_t *ps, page_set_t which)
    JE_REQUIRES(&ps->lock);

/*
 * Bytes to take of the uncommitted extent e for a run of `size`: few system
 * calls commit much, and cuts are at system pages.
 */
size_t page_runs_commit_step(const extent_t *e, size_t size, size_t alignment);

#endif
