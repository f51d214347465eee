/*
 * What: the part of an arena's block that tells of huge pages.
 *
 * Invariants: as in report.h.
 *
 * Locking: none.
 */
#ifndef JE_STATS_REPORT_HPA_H
#define JE_STATS_REPORT_HPA_H

#include "stats/emit.h"
#include "stats/snapshot.h"

void report_hpa_print(
    emit_t *emit, const snapshot_hpa_t *hpa, uint64_t uptime_ns);

#endif
