/*
 * What: how often samples are taken: each allocated byte is chosen with
 * probability 1/R, independently, R = 2^lg; a block is sampled if one of its
 * bytes is. Since choices are independent, whoever allocates may keep a
 * countdown for each size and draw it whenever it likes.
 *
 * Invariants: (I1) at lg 0 everything is sampled; (I2) any lg from 0 to 63
 * gives finite numbers.
 *
 * Locking: none; changed under LOCK_RANK_PROF_DUMP.
 */
#ifndef JE_PROF_PROF_RATE_H
#define JE_PROF_PROF_RATE_H

#include "util/atomic.h"

#define PROF_RATE_LG_MAX 63

void prof_rate_set(unsigned lg);

unsigned prof_rate_lg(void);

/* Mean bytes between samples, R, and its inverse. */
uint64_t prof_rate_distance(void);
double prof_rate(void);

/* Changes whenever the rate does: what was drawn before is then void. */
extern _Atomic uint32_t prof_rate_changes;

static inline uint32_t prof_rate_generation(void)
{
    return atomic_get_relaxed(&prof_rate_changes);
}

/*
 * How many blocks of `usize` bytes there are up to and with the next sampled
 * one: geometric, with a mean of 1 / (1 - (1 - 1/R)^usize).
 */
uint64_t prof_rate_draw(uint64_t *random, size_t usize);

#endif
