/*
 * What: the bill of this process's memory: which part of what is resident
 * goes to what, page by page.
 *
 * Invariants: (I1) every resident page of every mapping is on exactly one
 * line, so that the lines' sum is what the kernel counts, as far as nothing
 * changes meanwhile; (I2) all of it is measured: a page is resident if the
 * kernel says so, and belongs to what the address map says. Where the kernel
 * does not tell the common page of zeroes from a page shared with a fork
 * child, the mapping's total decides.
 *
 * Locking: snapshot_lock is held; descriptors are read racily.
 */
#ifndef JE_STATS_RSS_H
#define JE_STATS_RSS_H

#include "stats/snapshot.h"

typedef struct {
#define STATS_RSS(kind, name, help, shrinks) STATS_TYPE_##kind name;
#include "stats/fields.def"
} rss_t;

/* The bill as of the last refresh, or of the first call after it. */
const rss_t *rss_get_locked(void);

/* A bill made now; false if the system does not tell. */
JE_MUST_USE bool rss_collect(rss_t *bill);

#endif
