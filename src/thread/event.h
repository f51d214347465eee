/*
 * What: one byte countdown for all periodic work of a thread: giving back
 * idle cache contents, letting pages decay, following the CPU.
 *
 * Invariants: (I1) runs only on slow paths, with no lock held.
 *
 * Locking: the thread's own record.
 */
#ifndef JE_THREAD_EVENT_H
#define JE_THREAD_EVENT_H

#include "thread/tsd.h"

/* Does the work; again in EVENT_PERIOD slow calls. */
void event_run(tsd_t *tsd);

static inline void event_tick(tsd_t *tsd)
{
    if (JE_UNLIKELY(--tsd->countdown == 0)) {
        event_run(tsd);
    }
}

#endif
