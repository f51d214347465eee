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
#include "os/valgrind.h"

/* Time between two looks while something decays. */
#define LOOK_NS 1000000000ULL

/* Failed starts after which no more are tried: the system refuses. */
#define START_FAILURES_MAX 3

/* Whether there is a thread; who waits for a change sleeps on it. */
enum {
    STAGE_NOBODY,
    STAGE_STARTING,
    STAGE_WORKING,
};

/* Who wants one: nobody said, and the rules decide; or the program said so. */
enum {
    WISH_UNSAID,
    WISH_ON,
    WISH_OFF,
};

static struct {
    bool (*reclaim)(void);
    _Atomic uint32_t stage;
    _Atomic int wish;
    _Atomic unsigned failures;
    /* This is a fork child: what it is good for, it seldom lives for. */
    _Atomic bool forked;
    /* Changes when a thread that naps shall look at its orders. */
    _Atomic uint32_t orders;
    _Atomic bool leave;
    _Atomic bool retired;
    _Atomic uint64_t runs;
    _Atomic uint64_t slept_ns;
} background;

_Atomic bool background_threads;
_Atomic bool background_settled;

void background_boot(bool (*reclaim)(void))
{
    background.reclaim = reclaim;
    if (opt.background_thread) {
        background.wish = WISH_ON;
    } else if (opt.background_thread_set) {
        background.wish = WISH_OFF;
        background_settled = true;
    }
}

bool background_is_running(void)
{
    return atomic_get_acquire(&background.stage) == STAGE_WORKING;
}

/* ---- the thread ---- */

/* True if there will be more to do as time goes by. */
static bool look(void)
{
    atomic_bump(&background.runs, 1);
    bool again = background.reclaim();
    return arena_table_decay_all() != 0 || again;
}

static void nap(void)
{
    uint32_t orders = atomic_get_acquire(&background.orders);
    if (!atomic_get_acquire(&background.leave)) {
        os_wait_for(&background.orders, orders, LOOK_NS);
    }
}

static void sleep_until_rung(void)
{
    waker_prepare(&page_purge_waker);
    if (atomic_get_acquire(&background.leave) || look()) {
        waker_answer(&page_purge_waker);
    } else {
        waker_sleep(&page_purge_waker);
    }
}

static void set_stage(uint32_t stage)
{
    atomic_put_release(&background.stage, stage);
    os_wake(&background.stage, INT32_MAX);
}

static void *work(void *opaque)
{
    (void)opaque;
    /* Whatever libc allocates in this thread bypasses the caches. */
    reentry_enter();
    waker_answer(&page_purge_waker);
    set_stage(STAGE_WORKING);
    while (!atomic_get_acquire(&background.leave)) {
        bool again = look();
        uint64_t before = os_clock_ns();
        if (again) {
            nap();
        } else {
            sleep_until_rung();
        }
        atomic_bump(&background.slept_ns, os_clock_ns() - before);
    }
    waker_prepare(&page_purge_waker);
    set_stage(STAGE_NOBODY);
    return NULL;
}

/* ---- its coming and going ---- */

void background_note_threads(void)
{
    atomic_put_relaxed(&background_threads, true);
}

static bool is_allowed(void)
{
    int wish = atomic_get_relaxed(&background.wish);
    if (wish != WISH_UNSAID) {
        return wish == WISH_ON;
    }
    /* Valgrind would tell of what libc keeps for a thread that never ends. */
    return valgrind_mode == VALGRIND_OFF &&
           (os_is_threaded() || atomic_get_relaxed(&background_threads)) &&
           !atomic_get_relaxed(&background.forked);
}

static const os_thread_t worker = {work, "jemalloc_bg_thd"};

/* False if the system refused. */
static bool start(void)
{
    uint32_t nobody = STAGE_NOBODY;
    if (atomic_get_acquire(&background.retired)) {
        return false;
    }
    atomic_put_relaxed(&background_settled, true);
    if (!atomic_compare_exchange_strong(
            &background.stage, &nobody, STAGE_STARTING)) {
        return true;
    }
    reentry_enter();
    bool started = os_start_thread(&worker);
    reentry_leave();
    if (!started) {
        unsigned failures = atomic_add_relaxed(&background.failures, 1) + 1;
        set_stage(STAGE_NOBODY);
        atomic_put_relaxed(&background_settled, failures >= START_FAILURES_MAX);
    }
    return started;
}

void background_start_if_due(void)
{
    if (is_allowed() && !reentry_is_inside()) {
        (void)start();
    }
}

static void wait_while(uint32_t stage)
{
    while (atomic_get_acquire(&background.stage) == stage) {
        os_wait(&background.stage, stage);
    }
}

static void order_to_leave(void)
{
    atomic_put_release(&background.leave, true);
    (void)atomic_fetch_add(&background.orders, 1);
    os_wake(&background.orders, 1);
    waker_ring(&page_purge_waker);
}

static void stop(void)
{
    wait_while(STAGE_STARTING);
    order_to_leave();
    wait_while(STAGE_WORKING);
    atomic_put_release(
        &background.leave, atomic_get_acquire(&background.retired));
}

void background_retire(void)
{
    atomic_put_release(&background.retired, true);
    atomic_put_relaxed(&background_settled, true);
    order_to_leave();
}

bool background_is_on(void)
{
    return atomic_get_relaxed(&background.wish) == WISH_ON &&
           (!atomic_get_relaxed(&background.forked) || background_is_running());
}

bool background_switch(bool on)
{
    if (reentry_is_inside()) {
        return false;
    }
    if (on) {
        atomic_put_relaxed(&background.wish, WISH_ON);
        atomic_put_relaxed(&background.failures, 0);
        return start();
    }
    atomic_put_relaxed(&background.wish, WISH_OFF);
    atomic_put_relaxed(&background_settled, true);
    stop();
    return true;
}

background_stats_t background_stats(void)
{
    return (background_stats_t){
        .threads =
            atomic_get_acquire(&background.stage) == STAGE_NOBODY ? 0 : 1,
        .runs = atomic_get_relaxed(&background.runs),
        .slept_ns = atomic_get_relaxed(&background.slept_ns),
    };
}

void background_postfork_child(void)
{
    atomic_put_relaxed(&background.stage, STAGE_NOBODY);
    atomic_put_relaxed(&background.leave, false);
    atomic_put_relaxed(&background.retired, false);
    atomic_put_relaxed(&background.forked, true);
    atomic_put_relaxed(
        &background_settled, atomic_get_relaxed(&background.wish) != WISH_ON);
    atomic_put_relaxed(&page_purge_waker.word, WAKER_ASLEEP);
}
