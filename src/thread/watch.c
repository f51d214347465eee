/*
 * What: see watch.h.
 *
 * Invariants: as there.
 *
 * Locking: as there.
 */
#include "thread/watch.h"

#include "os/reentry.h"

static struct {
    watch_event_t events[WATCH_EVENTS_MAX];
    _Atomic unsigned count; /* those below are complete and stay */
    uint64_t batch;         /* 0: nobody is told */
    void (*tell)(uint64_t bytes);
} watchers;

static bool is_same(const watch_event_t *a, const watch_event_t *b)
{
    return a->call == b->call && a->interval == b->interval &&
           a->is_alloc_only == b->is_alloc_only;
}

bool watch_add(const watch_event_t *event)
{
    unsigned count = atomic_get_relaxed(&watchers.count);
    for (unsigned i = 0; i < count; i++) {
        if (is_same(&watchers.events[i], event)) {
            return true;
        }
    }
    if (count == WATCH_EVENTS_MAX) {
        return false;
    }
    watchers.events[count] = *event;
    atomic_put_release(&watchers.count, count + 1);
    tsd_watch_all();
    return true;
}

/* Whether a counter that went on passed a multiple of the interval. */
static bool has_passed(uint64_t before, uint64_t now, uint64_t interval)
{
    return before / interval != now / interval;
}

static void call_events(const tsd_traffic_t *t, bool is_alloc, uint64_t usize)
{
    uint64_t now = is_alloc ? t->allocated : t->deallocated;
    unsigned count = atomic_get_acquire(&watchers.count);
    for (unsigned i = 0; i < count; i++) {
        const watch_event_t *event = &watchers.events[i];
        if ((is_alloc || !event->is_alloc_only) &&
            has_passed(now - usize, now, event->interval)) {
            reentry_enter();
            event->call(is_alloc, t->allocated, t->deallocated);
            reentry_leave();
        }
    }
}

static void call_activity(const tsd_traffic_t *t, uint64_t usize)
{
    tsd_activity_t activity = t->activity;
    uint64_t now = t->allocated + t->deallocated;
    if (activity.call != NULL &&
        has_passed(now - usize, now, WATCH_ACTIVITY_BYTES)) {
        reentry_enter();
        activity.call(activity.context, t->allocated, t->deallocated);
        reentry_leave();
    }
}

void watch_set_batches(uint64_t batch, void (*call)(uint64_t bytes))
{
    watchers.tell = call;
    watchers.batch = batch;
    tsd_watch_all();
}

static void tell_batches(uint64_t before, uint64_t now)
{
    uint64_t batch = watchers.batch;
    if (batch != 0 && has_passed(before, now, batch)) {
        reentry_enter();
        watchers.tell((now / batch - before / batch) * batch);
        reentry_leave();
    }
}

void watch_alloc(tsd_t *tsd, size_t usize)
{
    tsd_traffic_t *t = &tsd->traffic;
    t->allocated += usize;
    tsd_note_peak(t);
    tell_batches(t->allocated - usize, t->allocated);
    call_events(t, true, usize);
    call_activity(t, usize);
}

void watch_free(tsd_t *tsd, size_t usize)
{
    tsd_traffic_t *t = &tsd->traffic;
    t->deallocated += usize;
    call_events(t, false, usize);
    call_activity(t, usize);
}

uint64_t watch_peak(tsd_t *tsd)
{
    tsd_watch(tsd);
    int64_t more = tsd->traffic.peak - tsd->traffic.floor;
    return more > 0 ? (uint64_t)more : 0;
}

void watch_peak_reset(tsd_t *tsd)
{
    tsd_watch(tsd);
    tsd->traffic.peak = tsd_held(&tsd->traffic);
    tsd->traffic.floor = tsd->traffic.peak;
}

void watch_set_activity(tsd_t *tsd, const tsd_activity_t *activity)
{
    if (activity->call != NULL) {
        tsd_watch(tsd);
    }
    tsd->traffic.activity = *activity;
}
