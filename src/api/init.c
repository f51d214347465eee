/*
 * What: see init.h.
 *
 * Invariants: as there.
 *
 * Locking: as there.
 */
#include "api/init.h"

#include <stdlib.h>

#include "api/foreign.h"
#include "api/fork.h"
#include "api/guard.h"
#include "api/hardened.h"
#include "api/interval.h"
#include "arena/arena_table.h"
#include "arena/background.h"
#include "arena/ledger.h"
#include "arena/seal.h"
#include "cache/cache_slots.h"
#include "cache/tcache_table.h"
#include "conf/conf_boot.h"
#include "conf/sizeclass.h"
#include "ctl/ctl.h"
#include "os/log.h"
#include "os/mutex.h"
#include "os/os.h"
#include "os/valgrind.h"
#include "stats/report.h"
#include "stats/request.h"
#include "thread/tsd.h"

/*
 * The program's own settings. Weak, so that a definition in the program
 * wins; exported, so that the dynamic linker can see to that.
 */
JEMALLOC_EXPORT const char *je_malloc_conf __attribute__((weak));
JEMALLOC_EXPORT const char *je_malloc_conf_2_conf_harder __attribute__((weak));
JEMALLOC_EXPORT void (*je_malloc_message)(void *cbopaque, const char *s);

_Atomic int init_state = INIT_COLD;

static struct {
    /* mutex_self of the booting thread. */
    _Atomic uintptr_t booting;
    /* What is done stays done when a later step found no memory. */
    bool has_settings;
    bool has_arena;
    bool has_prof;
} init_private;

/* Options that make every call take the instrumented way. */
static bool is_instrumented(void)
{
    return opt.junk_alloc || opt.junk_free || opt.zero ||
           opt.debug_double_free_max_scan != 0 || seal_is_on() ||
           valgrind_mode != VALGRIND_OFF;
}

static void print_at_exit(void)
{
    report_print(NULL, NULL, opt.stats_print_opts);
}

/* Options that ask for more than there is. */
static void resolve_options(void)
{
    if (opt.narenas > ARENA_AUTO_LIMIT) {
        log_printf(
            "<jemalloc>: Reducing narenas to limit (%d)\n", ARENA_AUTO_LIMIT);
        conf_resolve_narenas(ARENA_AUTO_LIMIT);
    }
    if (opt.percpu_arena == CONF_PERCPU_DISABLED) {
        return;
    }
    unsigned cpus = os_cpu_count();
    bool odd = opt.percpu_arena == CONF_PERCPU_PHYCPU && cpus % 2 != 0;
    if (odd) {
        log_printf("<jemalloc>: invalid configuration -- per physical CPU "
                   "arena with odd number (%u) of CPUs (no hyper "
                   "threading?).\n",
            cpus);
    } else if (os_current_cpu() < 0) {
        log_printf("<jemalloc>: perCPU arena getcpu() not available. "
                   "Setting narenas to %u.\n",
            cpus);
        conf_resolve_narenas(cpus);
    } else {
        return;
    }
    conf_resolve_percpu_arena(CONF_PERCPU_DISABLED);
    if (opt.abort) {
        abort();
    }
}

/* What no amount of memory would change if it fails. */
static bool boot_settings(void)
{
    if (!os_boot()) {
        fail_say("<jemalloc>: Unsupported system page size\n");
        return false;
    }
    valgrind_boot();
    log_boot(&je_malloc_message);
    conf_sources_t sources;
    conf_collect(&sources, je_malloc_conf, je_malloc_conf_2_conf_harder);
    if (conf_boot(&sources) != 0) {
        return false;
    }
    resolve_options();
    mutex_boot(opt.mutex_max_spin);
    sizeclass_boot();
    base_init(&base_shared, &extent_hooks_default, 0);
    ledger_boot();
    seal_boot();
    extent_map_boot();
    page_store_boot();
    cache_slots_boot();
    tcache_boot();
    quarantine_boot();
    guard_boot();
    tcache_table_boot();
    background_boot(tcache_table_reclaim_idle);
    ctl_boot();
    return true;
}

/* Everything that needs no libc beyond system calls; the state if it fails. */
static bool boot_heap(int *state)
{
    if (!init_private.has_settings && !boot_settings()) {
        *state = INIT_FAILED;
        return false;
    }
    init_private.has_settings = true;
    init_private.has_arena = init_private.has_arena || arena_table_boot();
    *state = INIT_COLD;
    init_private.has_prof =
        init_private.has_arena && (init_private.has_prof || prof_boot());
    return init_private.has_prof;
}

/* The process ends with its last thread, which is not to be one of ours. */
static void retire_threads(void)
{
    background_retire();
    request_retire();
}

/* After a report, with report_only. */
static void go_on(const char *message)
{
    (void)message;
}

/* Whether the program has hooks, which may be over by now. */
static bool has_hooks(void)
{
    for (unsigned i = 0; i < arena_table_narenas(); i++) {
        arena_t *arena = arena_table_lookup(i);
        if (arena != NULL && !page_runs_are_default(&arena->pages)) {
            return true;
        }
    }
    return false;
}

/*
 * What was freed wrongly shows when it leaves the cache; after the program's
 * own handlers nothing else would make it leave. Who exits from a signal
 * handler may have interrupted us anywhere.
 */
static void check_at_exit(void)
{
    if (tsd_is_record(tsd_self) && !tsd_is_busy(tsd_self) && !has_hooks()) {
        tsd_flush(tsd_self);
    }
    if (seal_is_on()) {
        hardened_check_all();
    }
}

/* What asks libc for something; nested allocations are served meanwhile. */
static void boot_process(void)
{
    foreign_boot();
    if (!tsd_boot(is_instrumented(), retire_threads)) {
        log_write("<jemalloc>: Error in pthread_key_create(): all keys are "
                  "taken; threads do without caches and statistics\n");
    }
    if (!fork_boot()) {
        log_write("<jemalloc>: Error in pthread_atfork()\n");
        if (opt.abort) {
            abort();
        }
    }
    if (!prof_boot_process()) {
        log_write("<jemalloc>: Error in atexit()\n");
        if (opt.abort) {
            abort();
        }
    }
    if (opt.check_at_exit && atexit(check_at_exit) != 0) {
        log_write("<jemalloc>: Error in atexit()\n");
    }
    if (opt.conf_readonly && !conf_protect()) {
        log_write("<jemalloc>: conf_readonly: this system cannot protect the "
                  "options\n");
    }
    if (opt.report_only) {
        fail_set_safety_abort(go_on);
    }
    if (opt.stats_print && atexit(print_at_exit) != 0) {
        log_write("<jemalloc>: Error in atexit()\n");
        if (opt.abort) {
            abort();
        }
    }
}

static void set_state(int state)
{
    atomic_put_release(&init_state, state);
}

/* True if the caller may now use the heap. */
static bool wait_for_boot(void)
{
    bool nested = atomic_get_relaxed(&init_private.booting) == mutex_self();
    for (;;) {
        int state = atomic_get_acquire(&init_state);
        if (state == INIT_READY || state == INIT_FAILED) {
            return state == INIT_READY;
        }
        if (nested) {
            return state == INIT_SERVING;
        }
        if (state == INIT_COLD) {
            return init_run();
        }
        os_yield();
    }
}

bool init_run(void)
{
    int cold = INIT_COLD;
    if (!atomic_compare_exchange_strong(&init_state, &cold, INIT_BOOTING)) {
        return wait_for_boot();
    }
    atomic_put_relaxed(&init_private.booting, mutex_self());
    int state;
    bool done = boot_heap(&state);
    if (done) {
        set_state(INIT_SERVING);
        boot_process();
    }
    atomic_put_relaxed(&init_private.booting, 0);
    set_state(done ? INIT_READY : state);
    return done;
}

/*
 * Boots before main, so that a program's first allocation in a signal
 * handler or with a tight stack finds everything done. Threads can be started
 * from here on, and not in the first call, which may be the linker's.
 */
__attribute__((constructor)) static void init_constructor(void)
{
    if (!init_ensure()) {
        return;
    }
    interval_boot();
    if (!request_boot()) {
        log_write("<jemalloc>: Error in atexit()\n");
        if (opt.abort) {
            abort();
        }
    }
}
