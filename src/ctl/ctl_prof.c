/*
 * What: see ctl_prof.h.
 *
 * Invariants: as there.
 *
 * Locking: as there.
 */
#include "ctl/ctl_prof.h"

#include <errno.h>

#include "conf/conf.h"
#include "ctl/ctl_thread.h"
#include "prof/prof.h"

/* ---- switches ---- */

/* Applies the input, if there is one, and delivers what was before. */
static int switch_of(const ctl_call_t *call, bool now, void (*set)(bool on))
{
    bool wanted = now;
    int error = ctl_take_bool(call, &wanted);
    if (error != 0) {
        return error;
    }
    if (ctl_has_input(call)) {
        set(wanted);
    }
    return ctl_give(call, &now, sizeof(now));
}

/* Without the profiler: off, and cannot be turned on. */
static int give_off(const ctl_call_t *call)
{
    bool off = false;
    return ctl_give(call, &off, sizeof(off));
}

static int off_and_fixed(const ctl_call_t *call)
{
    return ctl_has_input(call) ? ENOENT : give_off(call);
}

/* The calling thread's; NULL if it cannot have one. */
static prof_thread_t *thread_record(void)
{
    return ctl_thread_record() == NULL ? NULL : prof_self;
}

static void set_thread_active(bool on)
{
    prof_self->active = on;
}

int ctl_thread_prof_active(const ctl_call_t *call)
{
    if (!prof_is_on()) {
        return off_and_fixed(call);
    }
    const prof_thread_t *thread = thread_record();
    return thread == NULL ? EAGAIN
                          : switch_of(call, thread->active, set_thread_active);
}

int ctl_prof_thread_active_init(const ctl_call_t *call)
{
    return prof_is_on() ? switch_of(call, prof_thread_active_init(),
                              prof_set_thread_active_init)
                        : off_and_fixed(call);
}

int ctl_prof_gdump(const ctl_call_t *call)
{
    return prof_is_on() ? switch_of(call, prof_gdump(), prof_set_gdump)
                        : off_and_fixed(call);
}

/* Without the profiler only turning on fails. */
int ctl_prof_active(const ctl_call_t *call)
{
    if (prof_is_on()) {
        return switch_of(call, prof_is_active(), prof_set_active);
    }
    bool active = false;
    int error = ctl_take_bool(call, &active);
    if (error == 0 && active) {
        error = ENOENT;
    }
    return error != 0 ? error : give_off(call);
}

/* ---- names ---- */

/* The checks of everything that only the profiler has. */
static int check(const ctl_call_t *call, ctl_access_t access)
{
    return prof_is_on() ? ctl_check_access(call, access) : ENOENT;
}

static bool is_printable(const char *name)
{
    for (; *name != '\0'; name++) {
        if (*name != '\t' && (*name < ' ' || *name > '~')) {
            return false;
        }
    }
    return true;
}

static int set_thread_name(const ctl_call_t *call, prof_thread_t *thread)
{
    const char *name = NULL;
    int error = ctl_take(call, &name, sizeof(name));
    if (error != 0) {
        return error;
    }
    if (name == NULL || !is_printable(name)) {
        return EINVAL;
    }
    prof_table_set_name(thread->identity, name);
    return 0;
}

int ctl_thread_prof_name(const ctl_call_t *call)
{
    if (!prof_is_on() || opt.prof_sys_thread_name) {
        return ENOENT;
    }
    if (ctl_has_input(call) && (call->oldp != NULL || call->oldlenp != NULL)) {
        return EPERM;
    }
    prof_thread_t *thread = thread_record();
    if (thread == NULL) {
        return EAGAIN;
    }
    if (ctl_has_input(call)) {
        return set_thread_name(call, thread);
    }
    const char *name = thread->identity->name;
    return ctl_give(call, &name, sizeof(name));
}

/* ---- actions ---- */

int ctl_prof_dump(const ctl_call_t *call)
{
    const char *path = NULL;
    int error = check(call, CTL_WRITE);
    if (error == 0) {
        error = ctl_take(call, &path, sizeof(path));
    }
    if (error != 0) {
        return error;
    }
    return (path == NULL ? prof_dump_manual() : prof_dump_to(path)) ? 0
                                                                    : EFAULT;
}

int ctl_prof_prefix(const ctl_call_t *call)
{
    const char *prefix = NULL;
    int error = check(call, CTL_WRITE);
    if (error == 0) {
        error = ctl_take(call, &prefix, sizeof(prefix));
    }
    if (error == 0 && prefix == NULL) {
        error = EFAULT;
    }
    if (error == 0) {
        prof_dump_set_prefix(prefix);
    }
    return error;
}

int ctl_prof_reset(const ctl_call_t *call)
{
    size_t lg = SIZE_MAX;
    int error = check(call, CTL_WRITE);
    if (error == 0) {
        error = ctl_take(call, &lg, sizeof(lg));
    }
    if (error == 0) {
        prof_reset(ctl_has_input(call) && lg > PROF_RATE_LG_MAX
                       ? PROF_RATE_LG_MAX
                       : lg);
        tsd_follow_rate();
    }
    return error;
}

int ctl_prof_log_start(const ctl_call_t *call)
{
    const char *path = NULL;
    int error = check(call, CTL_WRITE);
    if (error == 0) {
        error = ctl_take(call, &path, sizeof(path));
    }
    return error != 0 ? error : prof_log_start(path) ? 0 : EFAULT;
}

int ctl_prof_log_stop(const ctl_call_t *call)
{
    (void)call;
    return !prof_is_on() ? ENOENT : prof_log_stop() ? 0 : EFAULT;
}

/* ---- the last samples ---- */

int ctl_prof_recent_alloc_max(const ctl_call_t *call)
{
    if (!prof_is_on()) {
        return ENOENT;
    }
    ssize_t wanted = 0;
    ssize_t old = prof_recent_max();
    int error = ctl_take(call, &wanted, sizeof(wanted));
    if (error == 0 && wanted < -1) {
        error = EINVAL;
    }
    if (error == 0 && ctl_has_input(call)) {
        old = prof_recent_set_max(wanted);
    }
    return error != 0 ? error : ctl_give(call, &old, sizeof(old));
}

int ctl_prof_recent_alloc_dump(const ctl_call_t *call)
{
    ctl_prof_writer_t writer;
    int error = check(call, CTL_WRITE);
    if (error == 0) {
        error = ctl_need(call, &writer, sizeof(writer));
    }
    if (error == 0) {
        prof_recent_dump(
            &(prof_json_t){writer.write, writer.opaque}, prof_rate_distance());
    }
    return error;
}

/* ---- samples by size class ---- */

static int check_class(const size_t *mib, size_t depth, size_t classes)
{
    return opt.prof && opt.prof_stats && mib[depth - 1] < classes ? 0 : ENOENT;
}

int ctl_prof_bin_check(const size_t *mib, size_t depth)
{
    return check_class(mib, depth, SC_SMALL_COUNT);
}

int ctl_prof_lextent_check(const size_t *mib, size_t depth)
{
    return check_class(mib, depth, LARGE_CLASS_COUNT);
}

int ctl_prof_stats(const ctl_call_t *call)
{
    int error = check(call, CTL_READ);
    if (error != 0) {
        return error;
    }
    /* prof.stats.bins.<i> or, the second name, prof.stats.lextents.<i> */
    size_t index = call->mib[3] + (call->mib[2] == 0 ? 0 : SC_SMALL_COUNT);
    prof_stats_t live;
    prof_stats_t accum;
    prof_stats_get((unsigned)index, &live, &accum);
    const prof_stats_t *asked = call->node->offset == 0 ? &live : &accum;
    ctl_prof_samples_t samples = {asked->requested_bytes, asked->count};
    return ctl_give(call, &samples, sizeof(samples));
}

/* ---- numbers ---- */

int ctl_prof_interval(const ctl_call_t *call)
{
    uint64_t bytes = prof_interval();
    int error = ctl_check_access(call, CTL_READ);
    return error != 0 ? error : ctl_give(call, &bytes, sizeof(bytes));
}

int ctl_prof_lg_sample(const ctl_call_t *call)
{
    size_t lg = prof_is_on() ? prof_rate_lg() : 0;
    int error = ctl_check_access(call, CTL_READ);
    return error != 0 ? error : ctl_give(call, &lg, sizeof(lg));
}

/* ---- hooks ---- */

/* A function pointer passes as a word. */
static int hook(const ctl_call_t *call, uintptr_t now, uintptr_t *wanted)
{
    if (call->oldp == NULL && call->newp == NULL) {
        return EINVAL;
    }
    if (ctl_has_input(call) && !prof_is_on()) {
        return ENOENT;
    }
    *wanted = now;
    int error = ctl_take(call, wanted, sizeof(*wanted));
    return error != 0 ? error : ctl_give(call, &now, sizeof(now));
}

int ctl_prof_hook_backtrace(const ctl_call_t *call)
{
    uintptr_t wanted;
    int error = hook(call, (uintptr_t)prof_backtrace_hook(), &wanted);
    if (error == 0 && ctl_has_input(call)) {
        if (wanted == 0) {
            return EINVAL;
        }
        prof_set_backtrace_hook((prof_backtrace_hook_t)wanted); /* NOLINT */
    }
    return error;
}

int ctl_prof_hook_dump(const ctl_call_t *call)
{
    uintptr_t wanted;
    int error = hook(call, (uintptr_t)prof_dump_hook(), &wanted);
    if (error == 0 && ctl_has_input(call)) {
        prof_dump_set_hook((prof_dump_hook_t)wanted); /* NOLINT */
    }
    return error;
}

int ctl_prof_hook_sample(const ctl_call_t *call)
{
    uintptr_t wanted;
    int error = hook(call, (uintptr_t)prof_sample_hook(), &wanted);
    if (error == 0 && ctl_has_input(call)) {
        prof_set_sample_hook((prof_sample_hook_t)wanted); /* NOLINT */
    }
    return error;
}

int ctl_prof_hook_sample_free(const ctl_call_t *call)
{
    uintptr_t wanted;
    int error = hook(call, (uintptr_t)prof_sample_free_hook(), &wanted);
    if (error == 0 && ctl_has_input(call)) {
        prof_set_sample_free_hook((prof_sample_free_hook_t)wanted); /* NOLINT */
    }
    return error;
}
