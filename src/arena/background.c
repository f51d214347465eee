/*
 * What: see background.h.
 *
 * Invariants: as there.
 *
 * Locking: as there.
 */
#include "arena/background.h"

#include "conf/conf.h"
#include "os/reentry.h"

/* Time between two looks while something decays. */
#define LOOK_NS 1000000000ULL

/* Failed starts after which no more are tried: the system refuses. */
#define START_FAILURES_MAX 3

static struct {
    bool (*reclaim)(void);
    _Atomic bool running;
    _Atomic unsigned failures;
    /* This is a fork child: what it is good for, it seldom lives for. */
    _Atomic bool forked;
    /* Nobody rings here: a place to sleep for a time. */
    _Atomic uint32_t nap;
} background;

_Atomic bool background_threads;

void background_boot(bool (*reclaim)(void))
{
    background.reclaim = reclaim;
}

bool background_is_running(void)
{
    return atomic_get_acquire(&background.running);
}

/* True if there will be more to do as time goes by. */
static bool look(void)
{
    bool again = background.reclaim();
    return arena_table_decay_all() != 0 || again;
}

static void *work(void *opaque)
{
    (void)opaque;
    /* Whatever libc allocates in this thread bypasses the caches. */
    reentry_enter();
    waker_answer(&page_store_waker);
    for (;;) {
        if (look()) {
            os_wait_for(&background.nap, 0, LOOK_NS);
            continue;
        }
        waker_prepare(&page_store_waker);
        if (look()) {
            waker_answer(&page_store_waker);
        } else {
            waker_sleep(&page_store_waker);
        }
    }
    return NULL;
}

void background_note_threads(void)
{
    atomic_put_relaxed(&background_threads, true);
}

static bool is_allowed(void)
{
    if (opt.background_thread) {
        return true;
    }
    return !opt.background_thread_set &&
           (os_is_threaded() || atomic_get_relaxed(&background_threads)) &&
           !atomic_get_relaxed(&background.forked);
}

void background_start_if_due(void)
{
    if (!is_allowed() || reentry_is_inside() ||
        atomic_get_relaxed(&background.failures) >= START_FAILURES_MAX ||
        atomic_exchange(&background.running, true)) {
        return;
    }
    reentry_enter();
    bool started = os_start_thread(work, "jemalloc_bg_thd");
    reentry_leave();
    if (!started) {
        (void)atomic_add_relaxed(&background.failures, 1);
        atomic_put_release(&background.running, false);
    }
}

void background_postfork_child(void)
{
    atomic_put_relaxed(&background.running, false);
    atomic_put_relaxed(&background.forked, true);
    atomic_put_relaxed(&page_store_waker.word, WAKER_ASLEEP);
}
