/*
 * What: see waker.h.
 *
 * Invariants: as there.
 *
 * Locking: as there.
 */
#include "os/waker.h"

void waker_ring_slow(waker_t *waker)
{
    uint32_t asleep = WAKER_ASLEEP;
    if (atomic_compare_exchange_strong(&waker->word, &asleep, WAKER_RUNG)) {
        os_wake(&waker->word, 1);
    }
}

void waker_prepare(waker_t *waker)
{
    atomic_store(&waker->word, WAKER_ASLEEP);
}

void waker_sleep(waker_t *waker)
{
    while (atomic_load(&waker->word) == WAKER_ASLEEP) {
        os_wait(&waker->word, WAKER_ASLEEP);
    }
    waker_answer(waker);
}

void waker_answer(waker_t *waker)
{
    atomic_store(&waker->word, WAKER_AWAKE);
}
