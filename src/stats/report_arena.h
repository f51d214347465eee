/*
 * What: the block of one arena, or of arenas taken together, in the report.
 *
 * Invariants: as in report.h.
 *
 * Locking: none.
 */
#ifndef JE_STATS_REPORT_ARENA_H
#define JE_STATS_REPORT_ARENA_H

#include "stats/emit.h"
#include "stats/snapshot.h"

/* Parts of the block that the call's letters leave out, and one more. */
typedef struct {
    bool no_bins;
    bool no_large;
    bool no_mutexes;
    bool no_extents;
    bool no_hpa;
    bool samples; /* what the profiler counted by class */
} report_parts_t;

void report_arena_print(emit_t *emit, const report_parts_t *opts,
    const char *key, const snapshot_arena_t *arena);

#endif
