/*
 * What: how many bytes may stay unused at time t. What became unused at one
 * moment is given back along a smooth curve over the decay time.
 *
 * The past is kept in DECAY_STEPS buckets, one for each step of the decay
 * time; each bucket holds the bytes that became unused in that step. What
 * may stay is the sum over the buckets, each weighed with the share that is
 * still allowed at its age.
 *
 * Invariants: (I1) pure arithmetic: time is an argument, nothing is purged
 * here; (I2) the limit never rises unless bytes become unused.
 *
 * Locking: the owner's.
 */
#ifndef JE_EXTENT_DECAY_H
#define JE_EXTENT_DECAY_H

#include "util/common.h"

/* Enough for a curve without visible steps; 1 KiB a curve. */
#define DECAY_STEPS 128

typedef struct {
    ssize_t time_ms;             /* -1 never, 0 at once */
    uint64_t step_ns;            /* time_ms / DECAY_STEPS */
    uint64_t epoch_ns;           /* start of the current step */
    size_t last_bytes;           /* unused bytes when the step began */
    size_t backlog[DECAY_STEPS]; /* [0] is the newest step */
} decay_t;

/* Longest decay time: nanosecond arithmetic must not overflow. */
#define DECAY_MS_MAX                                                           \
    (sizeof(ssize_t) == 8 ? (int64_t)18446744072000 : (int64_t)INT32_MAX)

/* False if the time is out of range. */
bool decay_is_valid_ms(int64_t time_ms);

void decay_init(decay_t *decay, ssize_t time_ms, uint64_t now_ns);

/* When decay_limit could next say less; UINT64_MAX for never. */
static inline uint64_t decay_due_ns(const decay_t *decay)
{
    return decay->time_ms > 0 ? decay->epoch_ns + decay->step_ns : UINT64_MAX;
}

/*
 * Advances to `now_ns`; `bytes` are unused at this moment. Returns how many
 * may stay. The caller purges the rest.
 */
size_t decay_limit(decay_t *decay, uint64_t now_ns, size_t bytes);

#endif
