/*
 * What: see ctl_stats.h.
 *
 * Invariants: as there.
 *
 * Locking: as there.
 */
#include "ctl/ctl_stats.h"

#include <errno.h>
#include <string.h>

#include "ctl/ctl_arena.h"
#include "stats/rss.h"
#include "stats/snapshot.h"

/*
 * The vectors:
 *   stats.<total>                              0 1
 *   stats.mutexes.<lock>.<counter>             0 1 2 3
 *   stats.arenas.<i>.<value>                   0 1 2 3
 *   stats.arenas.<i>.bins.<j>.<value>          0 1 2 3 4 5
 *   stats.arenas.<i>.bins.<j>.mutex.<counter>  0 1 2 3 4 5 6
 *   stats.arenas.<i>.mutexes.<lock>.<counter>  0 1 2 3 4 5
 *   stats.arenas.<i>.hpa_shard.<sort>.<j>.<value>  0 1 2 3 4 5 6
 */
#define AT_GLOBAL_LOCK 2
#define AT_ARENA       2
#define AT_CLASS       4
#define AT_LOCK        4
#define AT_HPA_ELEMENT 5

/* ---- which part of the snapshot ---- */

static const snapshot_arena_t *arena_of(const snapshot_t *now, size_t ind)
{
    if (ctl_arena_is_all(ind)) {
        return &now->merged;
    }
    if (ind == ARENA_DESTROYED) {
        return now->destroyed_count != 0 ? &now->destroyed : NULL;
    }
    return snapshot_find(now, ind);
}

int ctl_stats_arena_check(const size_t *mib, size_t depth)
{
    snapshot_lock();
    const snapshot_t *now = snapshot_get_locked();
    bool known = now != NULL && arena_of(now, mib[depth - 1]) != NULL;
    snapshot_unlock();
    return known ? 0 : ENOENT;
}

int ctl_stats_run_check(const size_t *mib, size_t depth)
{
    return mib[depth - 1] < SNAPSHOT_RUN_COUNT ? 0 : ENOENT;
}

int ctl_stats_hpa_run_check(const size_t *mib, size_t depth)
{
    return mib[depth - 1] < SNAPSHOT_HPA_RUN_COUNT ? 0 : ENOENT;
}

int ctl_stats_hpa_alloc_check(const size_t *mib, size_t depth)
{
    return mib[depth - 1] < SNAPSHOT_HPA_ALLOC_COUNT ? 0 : ENOENT;
}

static const void *total_part(const snapshot_t *now, const size_t *mib)
{
    (void)mib;
    return &now->total;
}

static const void *background_part(const snapshot_t *now, const size_t *mib)
{
    (void)mib;
    return &now->background;
}

static const void *global_mutex_part(const snapshot_t *now, const size_t *mib)
{
    return &now->mutexes[mib[AT_GLOBAL_LOCK]];
}

static const void *arena_part(const snapshot_t *now, const size_t *mib)
{
    return arena_of(now, mib[AT_ARENA]);
}

static const void *arena_mutex_part(const snapshot_t *now, const size_t *mib)
{
    const snapshot_arena_t *arena = arena_of(now, mib[AT_ARENA]);
    return arena == NULL ? NULL : &arena->mutexes[mib[AT_LOCK]];
}

static const void *bin_part(const snapshot_t *now, const size_t *mib)
{
    const snapshot_arena_t *arena = arena_of(now, mib[AT_ARENA]);
    return arena == NULL ? NULL : &arena->bins[mib[AT_CLASS]];
}

static const void *bin_mutex_part(const snapshot_t *now, const size_t *mib)
{
    const snapshot_arena_t *arena = arena_of(now, mib[AT_ARENA]);
    return arena == NULL ? NULL : &arena->bins[mib[AT_CLASS]].mutex;
}

static const void *lextent_part(const snapshot_t *now, const size_t *mib)
{
    const snapshot_arena_t *arena = arena_of(now, mib[AT_ARENA]);
    return arena == NULL ? NULL : &arena->lextents[mib[AT_CLASS]];
}

static const void *extent_part(const snapshot_t *now, const size_t *mib)
{
    const snapshot_arena_t *arena = arena_of(now, mib[AT_ARENA]);
    return arena == NULL ? NULL : &arena->extents[mib[AT_CLASS]];
}

/* One page store serves all runs: there is no other for huge pages. */
static const void *hpa_part(const snapshot_t *now, const size_t *mib)
{
    return arena_of(now, mib[AT_ARENA]) == NULL ? NULL : &snapshot_no_hpa;
}

static const void *hpa_nonfull_part(const snapshot_t *now, const size_t *mib)
{
    const snapshot_hpa_t *hpa = hpa_part(now, mib);
    return hpa == NULL ? NULL : &hpa->nonfull_slabs[mib[AT_HPA_ELEMENT]];
}

static const void *hpa_alloc_part(const snapshot_t *now, const size_t *mib)
{
    const snapshot_hpa_t *hpa = hpa_part(now, mib);
    return hpa == NULL ? NULL : &hpa->alloc[mib[AT_HPA_ELEMENT]];
}

/* ---- reading ---- */

typedef const void *(*part_fn_t)(const snapshot_t *now, const size_t *mib);

static int give_member(const ctl_call_t *call, part_fn_t part_of)
{
    uint64_t value;
    assert(call->node->size <= sizeof(value));
    snapshot_lock();
    const snapshot_t *now = snapshot_get_locked();
    const char *part = now == NULL ? NULL : part_of(now, call->mib);
    if (part != NULL) {
        memcpy(&value, part + call->node->offset, call->node->size);
    }
    snapshot_unlock();
    if (part == NULL) {
        return now == NULL ? EAGAIN : ENOENT;
    }
    return ctl_give(call, &value, call->node->size);
}

int ctl_stats_total(const ctl_call_t *call)
{
    return give_member(call, total_part);
}

int ctl_stats_background(const ctl_call_t *call)
{
    return give_member(call, background_part);
}

int ctl_stats_global_mutex(const ctl_call_t *call)
{
    return give_member(call, global_mutex_part);
}

int ctl_stats_arena(const ctl_call_t *call)
{
    return give_member(call, arena_part);
}

int ctl_stats_arena_mutex(const ctl_call_t *call)
{
    return give_member(call, arena_mutex_part);
}

int ctl_stats_hpa(const ctl_call_t *call)
{
    return give_member(call, hpa_part);
}

int ctl_stats_hpa_nonfull(const ctl_call_t *call)
{
    return give_member(call, hpa_nonfull_part);
}

int ctl_stats_hpa_alloc(const ctl_call_t *call)
{
    return give_member(call, hpa_alloc_part);
}

int ctl_stats_bin(const ctl_call_t *call)
{
    return give_member(call, bin_part);
}

int ctl_stats_bin_mutex(const ctl_call_t *call)
{
    return give_member(call, bin_mutex_part);
}

int ctl_stats_lextent(const ctl_call_t *call)
{
    return give_member(call, lextent_part);
}

int ctl_stats_extent(const ctl_call_t *call)
{
    return give_member(call, extent_part);
}

/* ---- the others ---- */

int ctl_stats_rss(const ctl_call_t *call)
{
    size_t value = 0;
    assert(call->node->size == sizeof(value));
    snapshot_lock();
    const rss_t *bill = rss_get_locked();
    if (bill != NULL) {
        memcpy(&value, (const char *)bill + call->node->offset, sizeof(value));
    }
    snapshot_unlock();
    return bill == NULL ? ENOENT : ctl_give(call, &value, sizeof(value));
}

int ctl_epoch(const ctl_call_t *call)
{
    uint64_t epoch;
    int error = ctl_take(call, &epoch, sizeof(epoch));
    if (error != 0) {
        return error;
    }
    snapshot_lock();
    bool done = snapshot_get_locked() != NULL;
    if (done && ctl_has_input(call)) {
        done = snapshot_refresh_locked();
    }
    epoch = snapshot_epoch_locked();
    snapshot_unlock();
    return done ? ctl_give(call, &epoch, sizeof(epoch)) : EAGAIN;
}

int ctl_zero_reallocs(const ctl_call_t *call)
{
    size_t count = atomic_get_relaxed(&stats_zero_reallocs);
    return ctl_give(call, &count, sizeof(count));
}

int ctl_active_now(const ctl_call_t *call)
{
    size_t bytes = snapshot_active_now();
    return ctl_give(call, &bytes, sizeof(bytes));
}

int ctl_mutexes_reset(const ctl_call_t *call)
{
    (void)call;
    snapshot_reset_mutexes();
    return 0;
}
