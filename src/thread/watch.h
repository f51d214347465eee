/*
 * What: threads whose traffic somebody follows: by pointers into the record
 * (thread.allocatedp), by its peak (thread.peak.*), by functions to be called
 * after so and so many bytes.
 *
 * A watched thread's door is shut, so that each of its calls comes here; a
 * thread that nobody watches pays nothing.
 *
 *   unwatched --tsd_watch--> watched, for the rest of its life
 *
 * Invariants: (I1) the counters of a watched thread are exact between its
 * calls; (I2) functions of the program run outside of tsd_enter.
 *
 * Locking: the thread's own record; functions are added under a lock of the
 * caller's.
 */
#ifndef JE_THREAD_WATCH_H
#define JE_THREAD_WATCH_H

#include "thread/tsd.h"

/* Functions for all threads that there can be. */
#define WATCH_EVENTS_MAX 4

/* Called after each `interval` bytes of a thread, with its traffic so far. */
typedef struct {
    void (*call)(bool is_alloc, uint64_t allocated, uint64_t deallocated);
    uint64_t interval;
    bool is_alloc_only;
} watch_event_t;

/*
 * Adds a function for all threads; one that is there already is nothing to
 * do. False if there is no room. One call at a time.
 */
JE_MUST_USE bool watch_add(const watch_event_t *event);

/*
 * Follows all threads; `call` learns from each of every `batch` bytes that it
 * allocated, of several at once if a block was larger. Once, at boot.
 */
void watch_set_batches(uint64_t batch, void (*call)(uint64_t bytes));

/* Usable bytes that a watched thread just allocated, or freed. */
void watch_alloc(tsd_t *tsd, size_t usize);
void watch_free(tsd_t *tsd, size_t usize);

/* Most bytes that the thread had at once, more than at the last reset. */
uint64_t watch_peak(tsd_t *tsd);
void watch_peak_reset(tsd_t *tsd);

/* Called about every WATCH_ACTIVITY_BYTES; NULL ends it. */
#define WATCH_ACTIVITY_BYTES 65536
void watch_set_activity(tsd_t *tsd, const tsd_activity_t *activity);

#endif
