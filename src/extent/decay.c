/*
 * What: see decay.h.
 *
 * Invariants: as there.
 *
 * Locking: as there.
 */
#include "extent/decay.h"

#include <string.h>

#include "util/fail.h"

#define NS_PER_MS 1000000U
/* Fixed point of the weights: 16 bits keep the products within 64. */
#define WEIGHT_ONE ((uint64_t)1 << 16)

bool decay_is_valid_ms(int64_t time_ms)
{
    return time_ms >= -1 && time_ms <= DECAY_MS_MAX;
}

void decay_init(decay_t *decay, ssize_t time_ms, uint64_t now_ns)
{
    memset(decay, 0, sizeof(*decay));
    decay->time_ms = time_ms;
    decay->epoch_ns = now_ns;
    if (time_ms > 0) {
        decay->step_ns = (uint64_t)time_ms * NS_PER_MS / DECAY_STEPS;
    }
}

/*
 * Share of a bucket of that age that may stay: 1 - s(x), where s is the
 * smoothstep polynomial 6x^5 - 15x^4 + 10x^3 and x runs from 0 to 1.
 */
static uint64_t weight(unsigned age)
{
    uint64_t x = (uint64_t)age * WEIGHT_ONE / DECAY_STEPS;
    uint64_t x3 = (x * x / WEIGHT_ONE) * x / WEIGHT_ONE;
    /* 10 - 15x + 6x^2 is positive on [0, 1]. */
    uint64_t factor = 10 * WEIGHT_ONE + 6 * (x * x / WEIGHT_ONE) - 15 * x;
    uint64_t s = x3 * factor / WEIGHT_ONE;
    return s >= WEIGHT_ONE ? 0 : WEIGHT_ONE - s;
}

static void shift(decay_t *decay, uint64_t steps)
{
    size_t keep = steps >= DECAY_STEPS ? 0 : DECAY_STEPS - (size_t)steps;
    memmove(&decay->backlog[DECAY_STEPS - keep], &decay->backlog[0],
        keep * sizeof(decay->backlog[0]));
    memset(&decay->backlog[0], 0,
        (DECAY_STEPS - keep) * sizeof(decay->backlog[0]));
}

size_t decay_limit(decay_t *decay, uint64_t now_ns, size_t bytes)
{
    if (decay->time_ms <= 0) {
        return decay->time_ms < 0 ? SIZE_MAX : 0;
    }
    if (now_ns < decay->epoch_ns) {
        /* The clock went back: start the step anew. */
        decay->epoch_ns = now_ns;
    }
    uint64_t steps = (now_ns - decay->epoch_ns) / decay->step_ns;
    if (steps > 0) {
        decay->epoch_ns += steps * decay->step_ns;
        shift(decay, steps);
        /* What is new became unused during the last full step. */
        decay->backlog[0] =
            bytes > decay->last_bytes ? bytes - decay->last_bytes : 0;
    }
    uint64_t limit = 0;
    for (unsigned i = 0; i < DECAY_STEPS; i++) {
        if (decay->backlog[i] != 0) {
            limit += decay->backlog[i] / WEIGHT_ONE * weight(i) +
                     decay->backlog[i] % WEIGHT_ONE * weight(i) / WEIGHT_ONE;
        }
    }
    if (steps == 0 && bytes > decay->last_bytes) {
        limit += bytes - decay->last_bytes;
    } else if (steps > 0) {
        decay->last_bytes = bytes < limit ? bytes : (size_t)limit;
    }
    return limit > SIZE_MAX ? SIZE_MAX : (size_t)limit;
}
