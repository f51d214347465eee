/*
 * What: see ctl_thread.h.
 *
 * Invariants: as there.
 *
 * Locking: as there.
 */
#include "ctl/ctl_thread.h"

#include <errno.h>

#include "arena/arena_table.h"
#include "conf/conf.h"
#include "os/os.h"
#include "stats/snapshot.h"

tsd_t *ctl_thread_record(void)
{
    tsd_t *tsd = tsd_self == NULL ? tsd_create() : tsd_self;
    return tsd_is_record(tsd) ? tsd : NULL;
}

/* ---- thread.arena ---- */

/* With percpu_arena the automatic arenas belong to the CPUs. */
static bool is_percpu(unsigned ind)
{
    return opt.percpu_arena != CONF_PERCPU_DISABLED &&
           ind < arena_table_narenas_auto();
}

/* Another arena for the thread. The lock is held: neither arena can end. */
static int change_arena(tsd_t *tsd, unsigned ind)
{
    arena_t *old = tsd->arena;
    if (ind == old->ind) {
        return 0;
    }
    if (ind >= arena_table_narenas()) {
        return EFAULT;
    }
    if (is_percpu(ind) || is_percpu(old->ind)) {
        return EPERM;
    }
    /* What is made now must not look as if it had been there before. */
    (void)snapshot_get_locked();
    arena_t *arena = arena_table_get(ind);
    if (arena == NULL) {
        return EAGAIN;
    }
    tsd_set_arena(tsd, arena);
    if (arena_table_nthreads(old) == 0) {
        page_purge_all(&old->pages);
    }
    return 0;
}

int ctl_thread_arena(const ctl_call_t *call)
{
    tsd_t *tsd = ctl_thread_record();
    if (tsd == NULL) {
        return EAGAIN;
    }
    snapshot_lock();
    unsigned ind = tsd->arena->ind;
    int error = ctl_give(call, &ind, sizeof(ind));
    if (error == 0) {
        error = ctl_take(call, &ind, sizeof(ind));
    }
    if (error == 0) {
        error = change_arena(tsd, ind);
    }
    snapshot_unlock();
    return error;
}

/* ---- counters ---- */

static int give_traffic(const ctl_call_t *call, unsigned which)
{
    tsd_t *tsd = ctl_thread_record();
    if (tsd == NULL) {
        return EAGAIN;
    }
    uint64_t bytes[2];
    tsd_traffic(tsd, &bytes[0], &bytes[1]);
    return ctl_give(call, &bytes[which], sizeof(bytes[which]));
}

int ctl_thread_allocated(const ctl_call_t *call)
{
    return give_traffic(call, 0);
}

int ctl_thread_deallocated(const ctl_call_t *call)
{
    return give_traffic(call, 1);
}

/* The counters themselves, for polling: live from now on. */
static int give_counter(const ctl_call_t *call, size_t offset)
{
    tsd_t *tsd = ctl_thread_record();
    if (tsd == NULL) {
        return EAGAIN;
    }
    tsd_watch(tsd);
    uint64_t *counter = (uint64_t *)((char *)&tsd->traffic + offset);
    return ctl_give(call, &counter, sizeof(counter));
}

int ctl_thread_allocatedp(const ctl_call_t *call)
{
    return give_counter(call, offsetof(tsd_traffic_t, allocated));
}

int ctl_thread_deallocatedp(const ctl_call_t *call)
{
    return give_counter(call, offsetof(tsd_traffic_t, deallocated));
}

int ctl_thread_peak_read(const ctl_call_t *call)
{
    tsd_t *tsd = ctl_thread_record();
    if (tsd == NULL) {
        return EAGAIN;
    }
    uint64_t peak = watch_peak(tsd);
    return ctl_give(call, &peak, sizeof(peak));
}

int ctl_thread_peak_reset(const ctl_call_t *call)
{
    (void)call;
    tsd_t *tsd = ctl_thread_record();
    if (tsd == NULL) {
        return EAGAIN;
    }
    watch_peak_reset(tsd);
    return 0;
}

/* ---- functions to call ---- */

int ctl_thread_event(const ctl_call_t *call)
{
    watch_event_t event;
    int error = ctl_need(call, &event, sizeof(event));
    if (error != 0 || event.call == NULL || event.interval == 0) {
        return EINVAL;
    }
    snapshot_lock();
    bool added = watch_add(&event);
    snapshot_unlock();
    return added ? 0 : EINVAL;
}

int ctl_thread_activity(const ctl_call_t *call)
{
    tsd_t *tsd = ctl_thread_record();
    if (tsd == NULL) {
        return EAGAIN;
    }
    tsd_activity_t activity = tsd->traffic.activity;
    int error = ctl_give(call, &activity, sizeof(activity));
    if (error == 0 && !ctl_has_input(call) && call->oldp == NULL) {
        activity = (tsd_activity_t){0}; /* writing nothing ends it */
    } else if (error == 0) {
        error = ctl_take(call, &activity, sizeof(activity));
    }
    if (error == 0) {
        watch_set_activity(tsd, &activity);
    }
    return error;
}

/* ---- sleep ---- */

/* Whether arenas are so many that one thread leaves much behind in its own. */
static bool has_spare_arenas(void)
{
    return arena_table_narenas_auto() > 2 * os_cpu_count();
}

int ctl_thread_idle(const ctl_call_t *call)
{
    (void)call;
    tsd_t *tsd = ctl_thread_record();
    if (tsd == NULL) {
        return 0;
    }
    if (tsd->tcache_enabled) {
        tsd_flush(tsd);
    }
    if (has_spare_arenas()) {
        page_purge_all(&tsd->arena->pages);
    }
    return 0;
}
