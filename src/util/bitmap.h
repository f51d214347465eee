/*
 * What: arrays of bits, for sets of small numbers that are searched for the
 * first member.
 *
 * Invariants: (I1) bits beyond the size given by the owner are zero.
 *
 * Locking: the owner's.
 */
#ifndef JE_UTIL_BITMAP_H
#define JE_UTIL_BITMAP_H

#include "util/bits.h"

#define BITMAP_WORD_BITS 64
#define BITMAP_WORDS(n)  (((n) + BITMAP_WORD_BITS - 1) / BITMAP_WORD_BITS)
#define BITMAP_NONE      ((unsigned)-1)

static inline bool bitmap_has(const uint64_t *words, unsigned bit)
{
    return (words[bit / 64] >> (bit % 64)) & 1;
}

static inline void bitmap_set(uint64_t *words, unsigned bit)
{
    words[bit / 64] |= 1ULL << (bit % 64);
}

static inline void bitmap_clear(uint64_t *words, unsigned bit)
{
    words[bit / 64] &= ~(1ULL << (bit % 64));
}

/* Sets the first `nbits` bits of `nwords` words and clears the others. */
static inline void bitmap_fill(uint64_t *words, unsigned nwords, unsigned nbits)
{
    for (unsigned i = 0; i < nwords; i++) {
        if (nbits >= 64) {
            words[i] = ~0ULL;
            nbits -= 64;
        } else {
            words[i] = (1ULL << nbits) - 1;
            nbits = 0;
        }
    }
}

/* The first set bit at or after `from` below nwords * 64, or BITMAP_NONE. */
static inline unsigned bitmap_find(
    const uint64_t *words, unsigned nwords, unsigned from)
{
    unsigned i = from / 64;
    if (i >= nwords) {
        return BITMAP_NONE;
    }
    uint64_t word = words[i] & (~0ULL << (from % 64));
    while (word == 0) {
        if (++i == nwords) {
            return BITMAP_NONE;
        }
        word = words[i];
    }
    return i * 64 + bits_lowest(word);
}

#endif
