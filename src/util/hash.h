/*
 * What: mixing of words into well spread words, for hash tables and seeds.
 *
 * Invariants: (I1) pure; every input bit reaches every output bit.
 *
 * Locking: none.
 */
#ifndef JE_UTIL_HASH_H
#define JE_UTIL_HASH_H

#include "util/common.h"

/* A bijection of 64-bit words: two multiply-xorshift rounds. */
static inline uint64_t hash_mix(uint64_t x)
{
    x ^= x >> 32;
    x *= 0xd6e8feb86659fd93ULL;
    x ^= x >> 32;
    x *= 0xd6e8feb86659fd93ULL;
    x ^= x >> 32;
    return x;
}

#endif
