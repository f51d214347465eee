/*
 * What: what the profiler counted by size class (opt.prof_stats), as columns
 * of the tables of classes, in text between two of theirs.
 *
 * Invariants: as in emit.h.
 *
 * Locking: that of prof_stats, for a moment.
 */
#ifndef JE_STATS_REPORT_SAMPLES_H
#define JE_STATS_REPORT_SAMPLES_H

#include "stats/emit.h"

typedef struct {
    uint64_t live_requested;
    uint64_t live_count;
    uint64_t accum_requested;
    uint64_t accum_count;
} report_samples_t;

/* Whether there is something to show. */
bool report_samples_exist(void);

/* Of a class by its index in the series. */
report_samples_t report_samples_of(unsigned index);

void report_samples_titles(emit_t *emit);
void report_samples_text(emit_t *emit, const report_samples_t *samples);
void report_samples_json(emit_t *emit, const report_samples_t *samples);

#endif
