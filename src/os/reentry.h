/*
 * What: how deep this thread is inside code that is not ours but was called
 * by us: extent hooks, later the unwinder and profiling hooks.
 *
 * Invariants: (I1) zero in ordinary code; (I2) api/ serves allocations made
 * at a depth above zero from arena 0 without a thread cache.
 *
 * Locking: none; one counter a thread.
 */
#ifndef JE_OS_REENTRY_H
#define JE_OS_REENTRY_H

#include "util/common.h"

extern JE_THREAD_LOCAL unsigned reentry_depth;

/*
 * Told when a thread goes in or comes out; set once at boot by the layer that
 * keeps the fast path away from calls made inside.
 */
extern void (*reentry_observer)(bool inside);

static inline void reentry_enter(void)
{
    if (reentry_depth++ == 0 && reentry_observer != NULL) {
        reentry_observer(true);
    }
}

static inline void reentry_leave(void)
{
    if (--reentry_depth == 0 && reentry_observer != NULL) {
        reentry_observer(false);
    }
}

static inline bool reentry_is_inside(void)
{
    return reentry_depth != 0;
}

#endif
