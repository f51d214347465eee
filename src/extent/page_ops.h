/*
 * What: mechanism on single extents: cut, join, commit, release. Knows hooks
 * and the map; knows nothing of sets or policy.
 *
 * Invariants: (I1) after each operation the map names the right descriptor
 * at both ends of every extent involved; (I2) a refused hook leaves
 * everything as it was.
 *
 * Locking: the caller owns the extents (BUSY or ACTIVE). Functions that call
 * hooks say so; descriptors are passed in, so no pool lock is needed.
 */
#ifndef JE_EXTENT_PAGE_OPS_H
#define JE_EXTENT_PAGE_OPS_H

#include "extent/extent.h"
#include "extent/extent_hooks.h"
#include "extent/extent_map.h"

/* The store's side of a call: which hooks, for which arena. */
typedef struct {
    extent_hooks_t *hooks;
    unsigned arena_ind;
} page_ops_t;

/*
 * `rest` becomes what lies behind the first `size` bytes of e. No hook is
 * called: page_ops_may_split asks it before.
 */
void page_ops_cut(extent_t *e, extent_t *rest, size_t size);

/* `a` absorbs `b`, which lies right behind it; `b` is free to reuse. */
void page_ops_join(extent_t *a, const extent_t *b);

/* Whether the hooks allow it. Calls the hook; true at once by default. */
bool page_ops_may_split(page_ops_t ops, const extent_t *e, size_t size);
bool page_ops_may_merge(page_ops_t ops, const extent_t *a, const extent_t *b);

/* Makes the whole extent accessible. Calls the hook if it is not. */
JE_MUST_USE bool page_ops_commit(page_ops_t ops, extent_t *e);

/* Lets the kernel take the pages when it likes. Calls the hook. */
bool page_ops_purge_lazy(page_ops_t ops, extent_t *e);

/* What became of an extent that was given up. */
typedef enum {
    PAGE_OPS_GONE, /* unmapped: the descriptor describes nothing */
    PAGE_OPS_KEPT, /* retained: decommitted or purged as far as possible */
} page_ops_fate_t;

/*
 * Runs the cascade dalloc, decommit, purge_forced, purge_lazy. The built-in
 * table decommits only what is marked EXTENT_PARTING, and the mark goes.
 */
page_ops_fate_t page_ops_release(page_ops_t ops, extent_t *e);

/* Decommits, with the built-in table; the mark goes. False if not done. */
bool page_ops_part(extent_t *e);

#endif
