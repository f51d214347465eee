/*
 * What: the bill of resident memory in the report.
 *
 * Invariants: as in report.h.
 *
 * Locking: snapshot_lock while the bill is made.
 */
#ifndef JE_STATS_REPORT_RSS_H
#define JE_STATS_REPORT_RSS_H

#include "stats/emit.h"

void report_rss_print(emit_t *emit);

#endif
