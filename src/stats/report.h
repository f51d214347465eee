/*
 * What: malloc_stats_print: a fresh snapshot and the configuration, as text
 * for people or JSON for programs.
 *
 * Invariants: (I1) the heap is not used; (I2) the JSON is always valid.
 *
 * Locking: none while the callback runs.
 */
#ifndef JE_STATS_REPORT_H
#define JE_STATS_REPORT_H

#include "util/common.h"

/*
 * Writes in NUL-terminated pieces to `write_cb`, or if that is NULL the way
 * messages go. `opts` (may be NULL) are letters: J for JSON, and of what to
 * leave out: g general, m merged arenas, d destroyed arenas, a each arena,
 * b small classes, l large classes, x locks, e free extents, h huge pages.
 * The letter r adds the bill of resident memory (rss.h). Unknown letters mean
 * nothing.
 */
void report_print(void (*write_cb)(void *opaque, const char *text),
    void *opaque, const char *opts);

#endif
