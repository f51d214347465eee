/*
 * What: one arena's pages, and all policy about them: which free run to
 * reuse, when to grow, when to give back.
 *
 * Invariants: (I1) free extents are in exactly one of the three sets, BUSY
 * ones in none; (I2) dirty runs are reused before muzzy, muzzy before
 * retained; (I3) active_bytes is the sum of the ACTIVE extents handed out.
 *
 * Locking: `lock` guards sets, pool, decay and counters, and is never held
 * over a system call or hook (but when the shared base grows by a block);
 * `grow_lock` lets one thread at a time ask for more address space.
 */
#ifndef JE_EXTENT_PAGE_STORE_H
#define JE_EXTENT_PAGE_STORE_H

#include "extent/decay.h"
#include "extent/extent_set.h"
#include "extent/page_ops.h"
#include "os/mutex.h"

typedef enum {
    PAGE_SET_DIRTY,
    PAGE_SET_MUZZY,
    PAGE_SET_RETAINED,
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
    size_t grow_next;       /* bytes of the next growth step */
    size_t grow_limit;      /* the largest step */
    size_t abandoned_bytes; /* address space lost for good after failures */
} page_store_t;

void page_store_init(page_store_t *ps, unsigned arena_ind,
    extent_hooks_t *hooks, ssize_t dirty_ms, ssize_t muzzy_ms, uint64_t now_ns);

/* Replaces the hooks; returns the former ones. */
extent_hooks_t *page_store_set_hooks(page_store_t *ps, extent_hooks_t *hooks);

/*
 * An ACTIVE, committed extent of `size` bytes (a multiple of PAGE) aligned
 * to `alignment` (a power of two >= PAGE); registered at both ends. NULL
 * when no memory is to be had. EXTENT_ZEROED tells whether it reads zero.
 */
JE_MUST_USE extent_t *page_store_alloc(
    page_store_t *ps, size_t size, size_t alignment);

/*
 * The same, with as much again free behind it if that can be had: for a
 * block that grows and had to move once should not move at each step.
 */
JE_MUST_USE extent_t *page_store_alloc_roomy(
    page_store_t *ps, size_t size, size_t alignment);

/* The same between two inaccessible pages, if the system allows it. */
JE_MUST_USE extent_t *page_store_alloc_guarded(
    page_store_t *ps, size_t size, size_t alignment);

/* Takes an ACTIVE extent back; its contents are garbage. */
void page_store_free(page_store_t *ps, extent_t *e);

/*
 * Makes an ACTIVE extent larger without moving it. False if what follows is
 * not free. *zeroed tells whether the new bytes read as zero.
 */
bool page_store_grow_in_place(
    page_store_t *ps, extent_t *e, size_t new_size, bool *zeroed);

/* Gives the end of an ACTIVE extent back. False if hooks refuse. */
bool page_store_shrink(page_store_t *ps, extent_t *e, size_t new_size);

/*
 * Moves the pages of `from` to the front of `to`, a fresh extent, and frees
 * `from` as clean. False if that is not possible here: nothing changed.
 */
bool page_store_move(page_store_t *ps, extent_t *from, extent_t *to);

/* Purges what decay says is due at `now_ns`. */
void page_store_decay(page_store_t *ps, uint64_t now_ns);

/* Cheap, without the lock: could page_store_decay have something to do? */
static inline bool page_store_decay_is_due(
    const page_store_t *ps, uint64_t now_ns)
{
    return now_ns >= atomic_get_relaxed(&ps->due_ns[PAGE_SET_DIRTY]) ||
           now_ns >= atomic_get_relaxed(&ps->due_ns[PAGE_SET_MUZZY]);
}

/* Gives back everything unused, now. */
void page_store_purge_all(page_store_t *ps);

/* Replaces a decay time (PAGE_SET_DIRTY or PAGE_SET_MUZZY). */
void page_store_set_decay(
    page_store_t *ps, page_set_t set, ssize_t ms, uint64_t now_ns);

/* Ends the store: every extent must be free; all goes to the hooks. */
void page_store_destroy(page_store_t *ps);

static inline page_ops_t page_store_ops(page_store_t *ps)
{
    return (page_ops_t){atomic_get_acquire(&ps->hooks), ps->arena_ind};
}

void page_store_boot(void);

/* The pool of spare descriptors, shared by all stores. */
void page_store_prefork_spare(void);
void page_store_postfork_spare(bool parent);

void page_store_prefork_grow(page_store_t *ps);
void page_store_prefork(page_store_t *ps);
void page_store_postfork_parent(page_store_t *ps);
void page_store_postfork_child(page_store_t *ps);

/* Walks everything; aborts on a broken invariant (debug builds). */
void page_store_check(page_store_t *ps);

#endif
