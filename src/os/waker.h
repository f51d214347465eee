/*
 * What: a bell between threads that make work and the one that does it. The
 * worker goes to sleep when there is nothing to do; whoever makes work rings.
 *
 *   AWAKE --waker_prepare--> ASLEEP --waker_ring--> RUNG --waker_answer-->
 * AWAKE
 *
 * RUNG without a worker means: work waits and nobody attends to it.
 *
 * Invariants: (I1) work made before waker_prepare is seen by the worker's
 * look after it, work made later rings: no bell is lost, as long as work is
 * made and looked for under one lock; (I2) ringing an awake worker is one
 * load.
 *
 * Locking: one atomic word.
 */
#ifndef JE_OS_WAKER_H
#define JE_OS_WAKER_H

#include "os/os.h"

enum {
    WAKER_ASLEEP, /* also before there is a worker */
    WAKER_RUNG,
    WAKER_AWAKE,
};

typedef struct {
    _Atomic uint32_t word;
} waker_t;

void waker_ring_slow(waker_t *waker);

static inline void waker_ring(waker_t *waker)
{
    if (JE_UNLIKELY(atomic_get_relaxed(&waker->word) == WAKER_ASLEEP)) {
        waker_ring_slow(waker);
    }
}

/* The worker announces that it will sleep; it looks for work once more. */
void waker_prepare(waker_t *waker);

/* Sleeps until the bell rings, if it has not yet; then is awake. */
void waker_sleep(waker_t *waker);

/* The worker is awake after all. */
void waker_answer(waker_t *waker);

#endif
