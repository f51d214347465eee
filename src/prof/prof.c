/*
 * What: see prof.h.
 *
 * Invariants: as there.
 *
 * Locking: as there.
 */
#include "prof/prof.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conf/conf.h"
#include "os/file.h"
#include "os/linkage.h"
#include "os/log.h"
#include "os/os.h"
#include "os/probe.h"
#include "os/reentry.h"
#include "prof/prof_pool.h"
#include "prof/prof_stack.h"
#include "util/hash.h"

/* Deepest stack, whatever opt.prof_bt_max says: each thread has room for it. */
#define DEPTH_MAX 8192U

/* A sampled block that lives. */
typedef struct {
    prof_entry_t entry;
    prof_recent_t *recent;
    uint64_t ns;
    void *ptr;
    size_t size;
    size_t usize;
} sample_t;

JE_THREAD_LOCAL prof_thread_t *prof_self;

static struct {
    bool on;
    unsigned depth;
    _Atomic bool active;
    _Atomic bool thread_active_init;
    _Atomic uint64_t births;
    _Atomic uint64_t interval_bytes;
    _Atomic(prof_backtrace_hook_t) backtrace;
    _Atomic(prof_sample_hook_t) sample;
    _Atomic(prof_sample_free_hook_t) sample_free;
} prof;

static void on_release(extent_t *e);

/* ---- boot ---- */

bool prof_is_on(void)
{
    return prof.on;
}

bool prof_boot(void)
{
    prof.on = opt.prof;
    if (!prof.on) {
        return true;
    }
    prof.depth = opt.prof_bt_max < DEPTH_MAX ? opt.prof_bt_max : DEPTH_MAX;
    prof.active = opt.prof_active;
    prof.thread_active_init = opt.prof_thread_active_init;
    prof_rate_set((unsigned)opt.lg_prof_sample);
    prof_pool_boot();
    prof_stats_boot();
    prof_log_boot();
    prof_recent_boot(opt.prof_recent_alloc_max);
    prof_dump_boot();
    large_sample_observer = on_release;
    prof_set_gdump(opt.prof_gdump);
    return prof_table_boot(opt.prof_accum);
}

static void at_exit(void)
{
    bool logged = !prof_log_is_running() || prof_log_stop();
    (void)logged; /* it complained */
    if (opt.prof_final) {
        prof_dump_at_exit();
    }
}

bool prof_boot_process(void)
{
    if (!prof.on) {
        return true;
    }
    linkage_boot();
    if (opt.prof_log && !prof_log_start(NULL)) {
        log_write("<jemalloc>: prof_log: no name for the log file\n");
    }
    return atexit(at_exit) == 0;
}

/* ---- threads ---- */

static size_t frames_bytes(void)
{
    return 2 * (size_t)prof.depth * sizeof(uintptr_t);
}

void prof_enter(void)
{
    if (!prof.on || prof_self != NULL) {
        return;
    }
    prof_thread_t *thread = prof_pool_alloc(sizeof(*thread));
    uintptr_t *frames = prof_pool_alloc(frames_bytes());
    prof_identity_t *identity =
        thread == NULL || frames == NULL ? NULL : prof_table_enter();
    if (identity == NULL) {
        if (thread != NULL) {
            prof_pool_free(thread, sizeof(*thread));
        }
        if (frames != NULL) {
            prof_pool_free(frames, frames_bytes());
        }
        return;
    }
    uint64_t born = atomic_add_relaxed(&prof.births, 1);
    *thread = (prof_thread_t){
        .identity = identity,
        .random = hash_mix(os_clock_precise_ns() ^ hash_mix(born)),
        .active = prof_thread_active_init(),
        .frames = frames,
    };
    prof_self = thread;
}

void prof_leave(void)
{
    prof_thread_t *thread = prof_self;
    if (thread == NULL) {
        return;
    }
    prof_self = NULL;
    prof_table_leave(thread->identity);
    prof_pool_free(thread->frames, frames_bytes());
    prof_pool_free(thread, sizeof(*thread));
}

/* ---- decisions ---- */

bool prof_is_sampling(const prof_thread_t *thread)
{
    return thread->active && prof_is_active();
}

/* One byte at a time is the same law, and any size can be taken from it. */
bool prof_is_due(prof_thread_t *thread, size_t usize)
{
    if (thread->generation != prof_rate_generation()) {
        thread->generation = prof_rate_generation();
        thread->distance = prof_rate_draw(&thread->random, 1);
    }
    if (prof_passes(thread, usize)) {
        return false;
    }
    thread->distance = prof_rate_draw(&thread->random, 1);
    return prof_is_sampling(thread);
}

void prof_dump_peak(void)
{
    if (atomic_exchange(&page_store_peak.risen, false) && prof_gdump() &&
        prof_is_active() && prof_dump_has_prefix()) {
        (void)prof_dump_auto(PROF_DUMP_PEAK);
    }
}

/* ---- samples ---- */

static uint64_t now_ns(void)
{
    return opt.prof_time_resolution == CONF_PROF_TIME_RESOLUTION_HIGH
               ? os_clock_wall_ns()
               : os_clock_ns();
}

static void follow_system_name(prof_thread_t *thread)
{
    char name[PROF_NAME_MAX];
    os_thread_name(name);
    if (strncmp(name, thread->identity->name, PROF_NAME_MAX) != 0) {
        prof_table_set_name(thread->identity, name);
    }
}

/* Into `frames`; how many. */
JE_NOINLINE static unsigned take_stack(uintptr_t *frames)
{
    prof_backtrace_hook_t hook = atomic_get_relaxed(&prof.backtrace);
    if (hook == NULL) {
        return prof_stack_capture(frames, prof.depth);
    }
    unsigned count = 0;
    reentry_enter();
    hook((void **)frames, &count, prof.depth);
    reentry_leave();
    return count < prof.depth ? count : prof.depth;
}

/* Accounts what the thread allocated since its last sample. */
static void check_interval(prof_thread_t *thread, uint64_t traffic)
{
    uint64_t bytes = traffic - thread->interval_seen;
    thread->interval_seen = traffic;
    uint64_t interval = prof_interval();
    if (interval == 0) {
        return;
    }
    uint64_t before = atomic_add_relaxed(&prof.interval_bytes, bytes);
    if (before / interval != (before + bytes) / interval &&
        prof_dump_has_prefix()) {
        (void)prof_dump_auto(PROF_DUMP_INTERVAL);
    }
}

static prof_event_t event_of(const prof_thread_t *thread,
    const uintptr_t *frames, unsigned count, uint64_t ns)
{
    return (prof_event_t){.uid = thread->identity->uid,
        .name = thread->identity->name,
        .ns = ns,
        .frames = frames,
        .count = count};
}

/* Tells everybody who wants to know. */
static void announce(
    sample_t *sample, const prof_thread_t *thread, unsigned count)
{
    if (opt.prof_stats) {
        prof_stats_add(sample->size, sample->usize);
    }
    prof_event_t event = event_of(thread, thread->frames, count, sample->ns);
    prof_recent_add(&sample->recent, sample->size, sample->usize, &event);
    os_probe_alloc(
        sample->ptr, sample->size, sample->entry.counts.estimated_bytes);
    prof_sample_hook_t hook = prof_sample_hook();
    if (hook != NULL) {
        reentry_enter();
        hook(sample->ptr, sample->size, (void **)thread->frames, count,
            sample->usize);
        reentry_leave();
    }
}

static bool take_sample(extent_t *e, size_t size, uint64_t traffic)
{
    prof_thread_t *thread = prof_self;
    sample_t *sample = prof_pool_alloc(sizeof(*sample));
    if (sample == NULL) {
        return false;
    }
    if (opt.prof_sys_thread_name) {
        follow_system_name(thread);
    }
    thread->busy = true;
    unsigned count = take_stack(thread->frames);
    *sample = (sample_t){.ptr = e->u.large.ptr,
        .size = size,
        .usize = e->u.large.usize,
        .ns = now_ns()};
    sample->entry.counts = prof_table_weigh(sample->usize, prof_rate());
    if (!prof_table_add(
            thread->identity, thread->frames, count, &sample->entry)) {
        thread->busy = false;
        prof_pool_free(sample, sizeof(*sample));
        return false;
    }
    e->u.large.sample = sample;
    announce(sample, thread, count);
    thread->busy = false;
    check_interval(thread, traffic);
    return true;
}

/* What the walk reads of the process may not be there to read. */
bool prof_sample(extent_t *e, size_t size, uint64_t traffic)
{
    int saved = errno;
    bool done = take_sample(e, size, traffic);
    errno = saved;
    return done;
}

/* Who frees, and from where, for the lists that keep that. */
static void note_release(sample_t *sample)
{
    prof_thread_t *thread = prof_self;
    bool known = thread != NULL && !thread->busy;
    bool logs = known && prof_log_is_running();
    bool listed = prof_recent_has(&sample->recent);
    if (!listed && !logs) {
        return;
    }
    prof_event_t event = {0};
    if (known) {
        unsigned count = take_stack(thread->frames);
        event = event_of(thread, thread->frames, count, now_ns());
    }
    if (logs) {
        uintptr_t *frames = thread->frames + prof.depth;
        char name[PROF_NAME_MAX];
        prof_event_t alloc = {.name = name, .ns = sample->ns, .frames = frames};
        if (prof_table_describe(&sample->entry, frames, prof.depth,
                &alloc.count, &alloc.uid, name)) {
            prof_log_add(&alloc, &event, sample->usize);
        }
    }
    prof_recent_release(&sample->recent, known ? &event : NULL);
}

/* The block of a sampled extent ends, or changes into another. */
static void on_release(extent_t *e)
{
    sample_t *sample = e->u.large.sample;
    int saved = errno;
    prof_sample_free_hook_t hook = prof_sample_free_hook();
    if (hook != NULL) {
        reentry_enter();
        hook(sample->ptr, sample->usize);
        reentry_leave();
    }
    os_probe_free(sample->ptr);
    note_release(sample);
    if (opt.prof_stats) {
        prof_stats_remove(sample->size, sample->usize);
    }
    prof_table_remove(&sample->entry);
    prof_pool_free(sample, sizeof(*sample));
    e->u.large.sample = NULL;
    errno = saved;
}

/* ---- switches ---- */

bool prof_is_active(void)
{
    return atomic_get_relaxed(&prof.active);
}

void prof_set_active(bool on)
{
    atomic_put_relaxed(&prof.active, on);
}

bool prof_thread_active_init(void)
{
    return atomic_get_relaxed(&prof.thread_active_init);
}

void prof_set_thread_active_init(bool on)
{
    atomic_put_relaxed(&prof.thread_active_init, on);
}

bool prof_gdump(void)
{
    return atomic_get_relaxed(&page_store_peak.watched);
}

void prof_set_gdump(bool on)
{
    page_store_watch_peak(on);
}

static void reset_locked(size_t lg)
{
    prof_rate_set(lg == SIZE_MAX          ? prof_rate_lg()
                  : lg < PROF_RATE_LG_MAX ? (unsigned)lg
                                          : PROF_RATE_LG_MAX);
    prof_table_reset();
}

void prof_reset(size_t lg)
{
    prof_dump_exclude(reset_locked, lg);
}

uint64_t prof_interval(void)
{
    return prof.on && opt.lg_prof_interval >= 0
               ? (uint64_t)1 << opt.lg_prof_interval
               : 0;
}

/* ---- hooks ---- */

static void own_backtrace(void **frames, unsigned *count, unsigned max)
{
    *count = prof_stack_capture((uintptr_t *)frames, max);
}

prof_backtrace_hook_t prof_backtrace_hook(void)
{
    prof_backtrace_hook_t hook = atomic_get_relaxed(&prof.backtrace);
    return hook != NULL || !prof.on ? hook : own_backtrace;
}

void prof_set_backtrace_hook(prof_backtrace_hook_t hook)
{
    atomic_put_relaxed(&prof.backtrace, hook == own_backtrace ? NULL : hook);
}

prof_sample_hook_t prof_sample_hook(void)
{
    return atomic_get_relaxed(&prof.sample);
}

void prof_set_sample_hook(prof_sample_hook_t hook)
{
    atomic_put_relaxed(&prof.sample, hook);
}

prof_sample_free_hook_t prof_sample_free_hook(void)
{
    return atomic_get_relaxed(&prof.sample_free);
}

void prof_set_sample_free_hook(prof_sample_free_hook_t hook)
{
    atomic_put_relaxed(&prof.sample_free, hook);
}

/* ---- fork ---- */

void prof_prefork_outer(void)
{
    if (prof.on) {
        prof_dump_prefork();
        prof_recent_prefork_outer();
    }
}

void prof_prefork(void)
{
    if (prof.on) {
        prof_log_prefork();
        prof_recent_prefork();
        prof_table_prefork();
        prof_stats_prefork();
        prof_pool_prefork();
    }
}

void prof_postfork_parent(void)
{
    if (prof.on) {
        prof_recent_postfork_parent();
        prof_dump_postfork_parent();
    }
}

void prof_postfork_child(void)
{
    if (prof.on) {
        prof_dump_postfork_child();
    }
}
