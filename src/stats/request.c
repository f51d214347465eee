/*
 * What: see request.h.
 *
 * Invariants: as there.
 *
 * Locking: as there.
 */
#include "stats/request.h"

#include <limits.h>
#include <stdlib.h>

#include "conf/conf.h"
#include "conf/conf_value.h"
#include "os/log.h"
#include "os/os.h"
#include "os/reentry.h"
#include "os/signal.h"
#include "stats/report.h"

/* How long an exiting program waits for a report that was asked for. */
#define EXIT_WAIT_NS  2000000000ULL
#define EXIT_CHECK_NS 50000000ULL

static struct {
    _Atomic uint32_t asked;
    _Atomic uint32_t answered;
    _Atomic uint32_t bell; /* changes when the thread has something to do */
    _Atomic bool has_thread;
    _Atomic bool leave;
} request;

static void ring(void)
{
    (void)atomic_fetch_add(&request.bell, 1);
    os_wake(&request.bell, 1);
}

static void on_signal(int number)
{
    (void)number;
    (void)atomic_add_relaxed(&request.asked, 1);
    ring();
}

static void *answer_all(void *opaque)
{
    (void)opaque;
    /* Whatever libc allocates in this thread bypasses the caches. */
    reentry_enter();
    for (;;) {
        uint32_t bell = atomic_get_acquire(&request.bell);
        uint32_t asked = atomic_get_acquire(&request.asked);
        if (asked == atomic_get_relaxed(&request.answered)) {
            if (atomic_get_acquire(&request.leave)) {
                break;
            }
            os_wait(&request.bell, bell);
            continue;
        }
        report_print(NULL, NULL, opt.stats_print_opts);
        atomic_put_release(&request.answered, asked);
        os_wake(&request.answered, INT_MAX);
    }
    atomic_put_release(&request.has_thread, false);
    return NULL;
}

static const os_thread_t answerer = {answer_all, "jemalloc_stats"};

static bool start_thread(void)
{
    reentry_enter();
    bool started = os_start_thread(&answerer);
    reentry_leave();
    atomic_put_relaxed(&request.has_thread, started);
    if (!started) {
        log_write("<jemalloc>: stats_signal is without effect: the system "
                  "gives no thread\n");
    }
    return started;
}

/* A report that was asked for comes before the end. */
static void finish(void)
{
    uint64_t end_ns = os_clock_precise_ns() + EXIT_WAIT_NS;
    while (atomic_get_relaxed(&request.has_thread) &&
           os_clock_precise_ns() < end_ns) {
        uint32_t answered = atomic_get_acquire(&request.answered);
        if (answered == atomic_get_relaxed(&request.asked)) {
            break;
        }
        os_wait_for(&request.answered, answered, EXIT_CHECK_NS);
    }
}

static void say_not_caught(os_signal_t why)
{
    const char *name = conf_value_signal_name(opt.stats_signal);
    log_printf("<jemalloc>: stats_signal is without effect: %s signal %u%s%s "
               "(choose another, such as USR2 or RTMIN+1)\n",
        why == OS_SIGNAL_IN_USE ? "the program handles"
                                : "the system does not let us catch",
        opt.stats_signal, name == NULL ? "" : ", ", name == NULL ? "" : name);
}

bool request_boot(void)
{
    if (opt.stats_signal == 0) {
        return true;
    }
    os_signal_t caught = os_signal_catch((int)opt.stats_signal, on_signal);
    if (caught != OS_SIGNAL_CAUGHT) {
        say_not_caught(caught);
        return true;
    }
    return !start_thread() || atexit(finish) == 0;
}

void request_retire(void)
{
    atomic_put_release(&request.leave, true);
    ring();
}

void request_postfork_child(void)
{
    if (atomic_get_relaxed(&request.has_thread)) {
        atomic_put_relaxed(&request.leave, false);
        atomic_put_relaxed(
            &request.answered, atomic_get_relaxed(&request.asked));
        (void)start_thread();
    }
}
