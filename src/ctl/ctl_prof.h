/*
 * What: prof.*, thread.prof.*, experimental.prof_recent.* and the profiler's
 * hooks: switches, dumps and counts of the heap profiler.
 *
 * Invariants: (I1) without opt.prof the switches read as off and everything
 * else is ENOENT, whatever the arguments.
 *
 * Locking: none here.
 */
#ifndef JE_CTL_CTL_PROF_H
#define JE_CTL_CTL_PROF_H

#include "ctl/ctl.h"

/* What prof.stats.* gives: unscaled, of one size class. */
typedef struct {
    uint64_t req_sum;
    uint64_t count;
} ctl_prof_samples_t;
#define CTL_SIZE_SAMPLES sizeof(ctl_prof_samples_t)

/* What experimental.prof_recent.alloc_dump is given. */
typedef struct {
    void (*write)(void *opaque, const char *text);
    void *opaque;
} ctl_prof_writer_t;
#define CTL_SIZE_WRITER sizeof(ctl_prof_writer_t)

int ctl_thread_prof_name(const ctl_call_t *call);
int ctl_thread_prof_active(const ctl_call_t *call);

int ctl_prof_thread_active_init(const ctl_call_t *call);
int ctl_prof_active(const ctl_call_t *call);
int ctl_prof_gdump(const ctl_call_t *call);
int ctl_prof_dump(const ctl_call_t *call);
int ctl_prof_prefix(const ctl_call_t *call);
int ctl_prof_reset(const ctl_call_t *call);
int ctl_prof_interval(const ctl_call_t *call);
int ctl_prof_lg_sample(const ctl_call_t *call);
int ctl_prof_log_start(const ctl_call_t *call);
int ctl_prof_log_stop(const ctl_call_t *call);

/* Index checks; ENOENT also if no samples are counted by class. */
int ctl_prof_bin_check(const size_t *mib, size_t depth);
int ctl_prof_lextent_check(const size_t *mib, size_t depth);
/* mib[2] is the kind of class, mib[3] the class; node->offset 1: all. */
int ctl_prof_stats(const ctl_call_t *call);

int ctl_prof_recent_alloc_max(const ctl_call_t *call);
int ctl_prof_recent_alloc_dump(const ctl_call_t *call);

int ctl_prof_hook_backtrace(const ctl_call_t *call);
int ctl_prof_hook_dump(const ctl_call_t *call);
int ctl_prof_hook_sample(const ctl_call_t *call);
int ctl_prof_hook_sample_free(const ctl_call_t *call);

#endif
