/*
 * What: a small, fast pseudo-random sequence for placement decisions.
 *
 * Invariants: (I1) never for secrets; (I2) full period over the 64-bit state.
 *
 * Locking: the owner of the state serialises its use.
 */
#ifndef JE_UTIL_PRNG_H
#define JE_UTIL_PRNG_H

#include "util/common.h"

/*
 * The top `bits` bits (1..64) of the next state. A linear congruential step
 * (Knuth's MMIX constants): its high bits are the good ones.
 */
static inline uint64_t prng_bits(uint64_t *state, unsigned bits)
{
    *state = *state * 6364136223846793005ULL + 1442695040888963407ULL;
    return *state >> (64 - bits);
}

#endif
