/*
 * What: see ctl_prof.h.
 *
 * Invariants: as there.
 *
 * Locking: as there.
 */
#include "ctl/ctl_prof.h"

#include <errno.h>

/* ---- switches ---- */

/* A switch that is off and cannot be turned on. */
static int give_off(const ctl_call_t *call)
{
    bool off = false;
    return ctl_give(call, &off, sizeof(off));
}

static int off_and_fixed(const ctl_call_t *call)
{
    return ctl_has_input(call) ? ENOENT : give_off(call);
}

int ctl_thread_prof_active(const ctl_call_t *call)
{
    return off_and_fixed(call);
}

int ctl_prof_thread_active_init(const ctl_call_t *call)
{
    return off_and_fixed(call);
}

int ctl_prof_gdump(const ctl_call_t *call)
{
    return off_and_fixed(call);
}

/* Here only turning on fails. */
int ctl_prof_active(const ctl_call_t *call)
{
    bool active = false;
    int error = ctl_take(call, &active, sizeof(active));
    if (error == 0 && active) {
        error = ENOENT;
    }
    return error != 0 ? error : give_off(call);
}

/* ---- what needs the profiler ---- */

static int absent(const ctl_call_t *call)
{
    (void)call;
    return ENOENT;
}

int ctl_thread_prof_name(const ctl_call_t *call)
{
    return absent(call);
}

int ctl_prof_dump(const ctl_call_t *call)
{
    return absent(call);
}

int ctl_prof_prefix(const ctl_call_t *call)
{
    return absent(call);
}

int ctl_prof_reset(const ctl_call_t *call)
{
    return absent(call);
}

int ctl_prof_log_start(const ctl_call_t *call)
{
    return absent(call);
}

int ctl_prof_log_stop(const ctl_call_t *call)
{
    return absent(call);
}

int ctl_prof_recent_alloc_max(const ctl_call_t *call)
{
    return absent(call);
}

int ctl_prof_recent_alloc_dump(const ctl_call_t *call)
{
    return absent(call);
}

int ctl_prof_bin_check(const size_t *mib, size_t depth)
{
    (void)mib;
    (void)depth;
    return ENOENT;
}

int ctl_prof_lextent_check(const size_t *mib, size_t depth)
{
    (void)mib;
    (void)depth;
    return ENOENT;
}

int ctl_prof_stats(const ctl_call_t *call)
{
    return absent(call);
}

/* ---- numbers ---- */

int ctl_prof_interval(const ctl_call_t *call)
{
    uint64_t bytes = 0;
    int error = ctl_check_access(call, CTL_READ);
    return error != 0 ? error : ctl_give(call, &bytes, sizeof(bytes));
}

int ctl_prof_lg_sample(const ctl_call_t *call)
{
    size_t lg = 0;
    int error = ctl_check_access(call, CTL_READ);
    return error != 0 ? error : ctl_give(call, &lg, sizeof(lg));
}

/* ---- hooks ---- */

/* Reads as NULL, cannot be set. */
static int no_hook(const ctl_call_t *call)
{
    void *none = NULL;
    if (call->oldp == NULL && call->newp == NULL) {
        return EINVAL;
    }
    return ctl_has_input(call) ? ENOENT : ctl_give(call, &none, sizeof(none));
}

int ctl_prof_hook_backtrace(const ctl_call_t *call)
{
    return no_hook(call);
}

int ctl_prof_hook_dump(const ctl_call_t *call)
{
    return no_hook(call);
}

int ctl_prof_hook_sample(const ctl_call_t *call)
{
    return no_hook(call);
}

int ctl_prof_hook_sample_free(const ctl_call_t *call)
{
    return no_hook(call);
}
