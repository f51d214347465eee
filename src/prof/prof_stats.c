/*
 * What: see prof_stats.h.
 *
 * Invariants: as there.
 *
 * Locking: as there.
 */
#include "prof/prof_stats.h"

#include "conf/sizeclass.h"

static struct {
    mutex_t lock;
    prof_stats_t live[SC_COUNT];
    prof_stats_t accum[SC_COUNT];
} stats;

void prof_stats_boot(void)
{
    mutex_init(&stats.lock, LOCK_RANK_PROF_STATS);
}

static void note(prof_stats_t *to, size_t size)
{
    to->requested_bytes += size;
    to->count++;
}

void prof_stats_add(size_t size, size_t usize)
{
    unsigned index = sizeclass_index(usize);
    mutex_lock(&stats.lock);
    note(&stats.live[index], size);
    note(&stats.accum[index], size);
    mutex_unlock(&stats.lock);
}

void prof_stats_remove(size_t size, size_t usize)
{
    prof_stats_t *live = &stats.live[sizeclass_index(usize)];
    mutex_lock(&stats.lock);
    live->requested_bytes -= size;
    live->count--;
    mutex_unlock(&stats.lock);
}

void prof_stats_get(unsigned index, prof_stats_t *live, prof_stats_t *accum)
{
    mutex_lock(&stats.lock);
    *live = stats.live[index];
    *accum = stats.accum[index];
    mutex_unlock(&stats.lock);
}

void prof_stats_prefork(void)
{
    mutex_fork_drain(&stats.lock);
}

void prof_stats_visit_lock(
    void (*visit)(const mutex_t *lock, void *opaque), void *opaque)
{
    mutex_lock(&stats.lock);
    visit(&stats.lock, opaque);
    mutex_unlock(&stats.lock);
}
