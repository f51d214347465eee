/*
 * What: one quick sum over all arenas: what the heap holds and where.
 *
 * Invariants: (I1) allocated <= active <= mapped; each figure is a racy
 * snapshot of counters that are exact by themselves.
 *
 * Locking: takes each bin's, large list's and page store's lock in turn.
 */
#ifndef JE_ARENA_TOTALS_H
#define JE_ARENA_TOTALS_H

#include "arena/arena_table.h"

/* All in bytes. */
typedef struct {
    size_t allocated; /* live blocks, those in thread caches included */
    size_t active;    /* pages of live extents */
    size_t dirty;
    size_t muzzy;
    size_t retained;
    size_t pinned;   /* unused, cannot be given back */
    size_t mapped;   /* active, dirty, muzzy, pinned and metadata */
    size_t metadata; /* handed out by the bases */
    size_t resident; /* active, dirty, pinned and touched metadata */
} totals_t;

void totals_read(totals_t *out);

#endif
