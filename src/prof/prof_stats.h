/*
 * What: samples counted by the size class of their usable size, raw: how many
 * there were, how many are live, and the bytes that were asked for.
 *
 * Invariants: (I1) a reset of the profile does not touch them.
 *
 * Locking: one lock, LOCK_RANK_PROF_STATS.
 */
#ifndef JE_PROF_PROF_STATS_H
#define JE_PROF_PROF_STATS_H

#include "conf/limits.h"
#include "os/mutex.h"

typedef struct {
    uint64_t requested_bytes;
    uint64_t count;
} prof_stats_t;

void prof_stats_boot(void);

void prof_stats_add(size_t size, size_t usize);
void prof_stats_remove(size_t size, size_t usize);

/* Of a class by its index in the series. */
void prof_stats_get(unsigned index, prof_stats_t *live, prof_stats_t *accum);

void prof_stats_prefork(void);
void prof_stats_visit_lock(
    void (*visit)(const mutex_t *lock, void *opaque), void *opaque);

#endif
