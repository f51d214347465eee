/*
 * What: bit tricks on words: scans, rounding to powers of two and multiples.
 *
 * Invariants: (I1) pure functions; (I2) scans of zero are the caller's bug.
 *
 * Locking: none.
 */
#ifndef JE_UTIL_BITS_H
#define JE_UTIL_BITS_H

#include "util/common.h"
#include "util/fail.h"

/* Index of the lowest set bit. */
static inline unsigned bits_lowest(uint64_t x)
{
    assert(x != 0);
    return (unsigned)__builtin_ctzll(x);
}

/* Index of the highest set bit: floor(log2(x)). */
static inline unsigned bits_highest(uint64_t x)
{
    assert(x != 0);
    return 63U - (unsigned)__builtin_clzll(x);
}

/* ceil(log2(x)) for x >= 1. */
static inline unsigned bits_lg_ceil(uint64_t x)
{
    assert(x != 0);
    return x == 1 ? 0 : bits_highest(x - 1) + 1;
}

static inline unsigned bits_count(uint64_t x)
{
    /* The baseline of x86-64 has no instruction for it. */
    x -= (x >> 1) & 0x5555555555555555ULL;
    x = (x & 0x3333333333333333ULL) + ((x >> 2) & 0x3333333333333333ULL);
    x = (x + (x >> 4)) & 0x0f0f0f0f0f0f0f0fULL;
    return (unsigned)((x * 0x0101010101010101ULL) >> 56);
}

static inline bool bits_is_pow2(uint64_t x)
{
    return x != 0 && (x & (x - 1)) == 0;
}

/* Rounds to multiples of `unit`, a power of two. Up may wrap to 0. */
static inline size_t bits_round_up(size_t x, size_t unit)
{
    return (x + (unit - 1)) & ~(unit - 1);
}

static inline size_t bits_round_down(size_t x, size_t unit)
{
    return x & ~(unit - 1);
}

#endif
