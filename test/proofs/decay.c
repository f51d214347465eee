/*
 * What: the arithmetic of decay for any clock and any amount: one bucket, one
 * step of the clock. The curve itself is counted out in enumerate.c.
 *
 * Invariants: as in proof.h.
 *
 * Locking: none.
 */
#include "proof.h"

#include <string.h>

/* All buckets are empty here: moving them changes nothing. */
#define memmove(to, from, bytes) ((void)0)
#define memset(to, byte, bytes)  ((void)0)
#include "extent/decay.c"

/* The curve begins with all, ends with nothing and never rises. */
PROOF(weight, unsigned age)
{
    return weight(0) == WEIGHT_ONE && weight(DECAY_STEPS) == 0 &&
           weight(age + 1) <= weight(age) && weight(age) <= WEIGHT_ONE;
}

/*
 * The clock's part of decay_limit, for all clocks: nothing has become unused,
 * so only the step moves. Forward by whole steps, and to the past at once.
 */
PROOF(clock, uint64_t epoch_ns, uint64_t now_ns, uint64_t step_ns)
{
    decay_t decay = {0};
    if (step_ns == 0) {
        return true;
    }
    decay.time_ms = 1;
    decay.step_ns = step_ns;
    decay.epoch_ns = epoch_ns;
    size_t limit = decay_limit(&decay, now_ns, 0);
    return limit == 0 && decay.epoch_ns <= now_ns &&
           now_ns - decay.epoch_ns < step_ns &&
           IMPLIES(now_ns >= epoch_ns, decay.epoch_ns >= epoch_ns);
}

/* No decay time makes a step of nothing, or overflows. */
PROOF(step, int64_t time_ms, uint64_t now_ns)
{
    decay_t decay;
    if (!decay_is_valid_ms(time_ms) || time_ms <= 0) {
        return true;
    }
    decay_init(&decay, (ssize_t)time_ms, now_ns);
    return decay.step_ns != 0 && decay.step_ns <= UINT64_MAX / DECAY_STEPS &&
           decay.step_ns * DECAY_STEPS <= (uint64_t)time_ms * NS_PER_MS &&
           (uint64_t)time_ms <= UINT64_MAX / NS_PER_MS &&
           decay.epoch_ns == now_ns;
}

/* -1 is for ever, 0 is at once, whatever the clock says. */
PROOF(never_and_at_once, uint64_t now_ns, size_t bytes)
{
    decay_t never = {.time_ms = -1};
    decay_t at_once = {.time_ms = 0};
    return decay_limit(&never, now_ns, bytes) == SIZE_MAX &&
           decay_limit(&at_once, now_ns, bytes) == 0;
}
