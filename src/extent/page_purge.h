/*
 * What: how one arena's unused pages go back to the system: dirty, muzzy,
 * retained, unmapped; when decay says so, or at once.
 *
 * Invariants: those of page_runs.h.
 *
 * Locking: the store's lock, never held over a system call or hook.
 */
#ifndef JE_EXTENT_PAGE_PURGE_H
#define JE_EXTENT_PAGE_PURGE_H

#include "extent/page_runs.h"
#include "os/waker.h"

/* Rung when pages become unused; the background thread listens. */
extern waker_t page_purge_waker;

/* The store's first decay time of a set. */
void page_purge_start_decay(
    page_store_t *ps, page_set_t set, ssize_t ms, uint64_t now_ns);

/* Replaces a decay time (PAGE_SET_DIRTY or PAGE_SET_MUZZY). */
void page_purge_set_decay(
    page_store_t *ps, page_set_t set, ssize_t ms, uint64_t now_ns);

/* Cheap, without the lock: could page_purge_decay have something to do? */
static inline bool page_purge_is_due(const page_store_t *ps, uint64_t now_ns)
{
    return now_ns >= atomic_get_relaxed(&ps->due_ns[PAGE_SET_DIRTY]) ||
           now_ns >= atomic_get_relaxed(&ps->due_ns[PAGE_SET_MUZZY]);
}

/* Purges what decay says is due at `now_ns`. */
void page_purge_decay(page_store_t *ps, uint64_t now_ns);

/* Purges the oldest until at most `limit` bytes stay in the set. */
void page_purge_down_to(page_store_t *ps, page_set_t which, size_t limit);

/* Gives back everything unused, now. */
void page_purge_all(page_store_t *ps);

/* Gives the pages of a BUSY extent to the system if it may, and files it. */
void page_purge_now(page_store_t *ps, extent_t *e);

/*
 * Files a purged BUSY extent as retained. What it became with its neighbours
 * may be worth decommitting, and the map has nothing to say about its
 * inside; the lock is dropped for both.
 */
void page_purge_retain_locked(page_store_t *ps, extent_t *e)
    JE_REQUIRES(&ps->lock);

/*
 * Unmaps everything unused, if hooks allow: for when the system refuses new
 * mappings. Returns the bytes that went.
 */
size_t page_purge_trim(page_store_t *ps);

#endif
