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
#include "cache/tcache_table.h"
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
        page_store_purge_all(&old->pages);
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

/* ---- counters, cache, sleep ---- */

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

int ctl_thread_tcache_enabled(const ctl_call_t *call)
{
    tsd_t *tsd = ctl_thread_record();
    if (tsd == NULL) {
        return EAGAIN;
    }
    bool old = tsd->tcache_enabled;
    bool enabled = old;
    int error = ctl_take(call, &enabled, sizeof(enabled));
    if (error != 0) {
        return error;
    }
    if (enabled != old) {
        tsd_set_tcache_enabled(tsd, enabled);
    }
    return ctl_give(call, &old, sizeof(old));
}

int ctl_thread_tcache_flush(const ctl_call_t *call)
{
    tsd_t *tsd = ctl_thread_record();
    if (tsd == NULL || !tsd->tcache_enabled) {
        return EFAULT;
    }
    int error = ctl_check_access(call, CTL_ACT);
    if (error == 0) {
        tsd_flush(tsd);
    }
    return error;
}

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
        page_store_purge_all(&tsd->arena->pages);
    }
    return 0;
}

/* ---- explicit caches ---- */

int ctl_tcache_create(const ctl_call_t *call)
{
    unsigned id;
    int error = ctl_want_output(call, sizeof(id));
    if (error != 0) {
        return error;
    }
    tsd_t *tsd = ctl_thread_record();
    if (tsd == NULL) {
        return EAGAIN;
    }
    if (tcache_table_create(tsd->arena, &id) != 0) {
        return EFAULT;
    }
    return ctl_give(call, &id, sizeof(id));
}

/* Numbers that could be alive but are not are let pass, as documented. */
static int act_on_tcache(const ctl_call_t *call, int (*act)(unsigned id))
{
    unsigned id;
    int error = ctl_need(call, &id, sizeof(id));
    if (error != 0) {
        return error;
    }
    if (id >= TCACHE_ID_LIMIT) {
        return EFAULT;
    }
    return tcache_table_lookup(id) == NULL ? 0 : act(id);
}

int ctl_tcache_flush(const ctl_call_t *call)
{
    return act_on_tcache(call, tcache_table_flush);
}

int ctl_tcache_destroy(const ctl_call_t *call)
{
    return act_on_tcache(call, tcache_table_destroy);
}
