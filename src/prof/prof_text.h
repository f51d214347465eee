/*
 * What: the two text formats of a profile: heap_v2, with threads, and the
 * older table without them that other readers of pprof files know.
 *
 * Readers of both multiply what they find by 1 / (1 - e^(-x/R)), x the mean
 * size of a line and R the sampling distance of the header. So the estimate
 * of a line is written as the numbers that become it that way.
 *
 * Invariants: (I1) a line whose estimate is empty reads 0: 0, never objects
 * without bytes or bytes without objects.
 *
 * Locking: as prof_out.h.
 */
#ifndef JE_PROF_PROF_TEXT_H
#define JE_PROF_PROF_TEXT_H

#include "prof/prof_table.h"

/* What files are made of. */
typedef struct {
    const prof_view_t *view;
    uint64_t distance; /* R, mean bytes between samples */
    double rate;       /* 1 / R, of any R */
    bool unbias;
    bool accumulates;
} prof_profile_t;

typedef struct {
    uint64_t objects;
    uint64_t bytes;
} prof_value_t;

/* The numbers to print for counts. */
prof_value_t prof_text_value(
    const prof_profile_t *profile, const prof_counts_t *counts);

/* The estimate itself. */
prof_value_t prof_text_estimate(
    const prof_profile_t *profile, const prof_counts_t *counts);

void prof_text_heap_v2(const prof_profile_t *profile);
void prof_text_heap(const prof_profile_t *profile);

#endif
