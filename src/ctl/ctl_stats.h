/*
 * What: stats.*, epoch and approximate_stats.*: reading members of the
 * current snapshot.
 *
 * Invariants: (I1) between two refreshes a node gives the same answer, but
 * for zero_reallocs.
 *
 * Locking: snapshot_lock while a value is copied out.
 */
#ifndef JE_CTL_CTL_STATS_H
#define JE_CTL_CTL_STATS_H

#include "ctl/ctl.h"

int ctl_stats_arena_check(const size_t *mib, size_t depth);
int ctl_stats_run_check(const size_t *mib, size_t depth);
int ctl_stats_hpa_run_check(const size_t *mib, size_t depth);
int ctl_stats_hpa_alloc_check(const size_t *mib, size_t depth);

int ctl_epoch(const ctl_call_t *call);
int ctl_zero_reallocs(const ctl_call_t *call);
int ctl_active_now(const ctl_call_t *call);
int ctl_mutexes_reset(const ctl_call_t *call);

/* A member of rss_t: the bill of the epoch. ENOENT if there can be none. */
int ctl_stats_rss(const ctl_call_t *call);

/*
 * The node->size bytes at node->offset of the part of the snapshot that the
 * vector names: snapshot_total_t, snapshot_arena_t, snapshot_bin_t, and so
 * on; *_mutex ones: of a mutex_stats_t.
 */
int ctl_stats_total(const ctl_call_t *call);
int ctl_stats_global_mutex(const ctl_call_t *call);
int ctl_stats_arena(const ctl_call_t *call);
int ctl_stats_arena_mutex(const ctl_call_t *call);
int ctl_stats_background(const ctl_call_t *call);
/* Of a snapshot_hpa_t; the others: of the numbered element in it. */
int ctl_stats_hpa(const ctl_call_t *call);
int ctl_stats_hpa_nonfull(const ctl_call_t *call);
int ctl_stats_hpa_alloc(const ctl_call_t *call);
int ctl_stats_bin(const ctl_call_t *call);
int ctl_stats_bin_mutex(const ctl_call_t *call);
int ctl_stats_lextent(const ctl_call_t *call);
int ctl_stats_extent(const ctl_call_t *call);

#endif
