/*
 * What: bit scans, counts, rounding and bitmaps against their definitions.
 *
 * Invariants: as in proof.h.
 *
 * Locking: none.
 */
#include "proof.h"

#include "util/bitmap.h"

PROOF(lowest, uint64_t x)
{
    if (x == 0) {
        return true;
    }
    unsigned i = bits_lowest(x);
    return i < 64 && (x >> i & 1) != 0 && (x & ((1ULL << i) - 1)) == 0;
}

PROOF(highest, uint64_t x)
{
    if (x == 0) {
        return true;
    }
    unsigned i = bits_highest(x);
    return i < 64 && x >> i == 1;
}

PROOF(lg_ceil, uint64_t x)
{
    if (x == 0) {
        return true;
    }
    unsigned i = bits_lg_ceil(x);
    bool holds = i >= 64 || x <= 1ULL << i;
    bool least = i == 0 || x > 1ULL << (i - 1);
    return i <= 64 && holds && least;
}

PROOF(count, uint64_t x)
{
    unsigned sum = 0;
    for (unsigned byte = 0; byte < 8; byte++) {
        unsigned in_byte = 0;
        for (unsigned i = 0; i < 8; i++) {
            in_byte += (unsigned)(x >> (8 * byte + i) & 1);
        }
        sum += in_byte;
    }
    return bits_count(x) == sum;
}

PROOF(is_pow2, uint64_t x)
{
    return bits_is_pow2(x) == (bits_count(x) == 1);
}

PROOF(round_up, size_t x, unsigned lg)
{
    if (lg > 63) {
        return true;
    }
    size_t unit = (size_t)1 << lg;
    size_t up = bits_round_up(x, unit);
    if (x > (size_t)0 - unit) {
        return up == 0;
    }
    return up >= x && up - x < unit && is_multiple(up, unit);
}

PROOF(round_down, size_t x, unsigned lg)
{
    if (lg > 63) {
        return true;
    }
    size_t unit = (size_t)1 << lg;
    size_t down = bits_round_down(x, unit);
    return down <= x && x - down < unit && is_multiple(down, unit);
}

/* ---- bitmaps of two words; prove.py goes through all numbers of bits ---- */

#define WORDS 2

static bool bit_of(uint64_t low, uint64_t high, unsigned bit)
{
    return ((bit < 64 ? low >> bit : high >> (bit & 63)) & 1) != 0;
}

PROOF(bitmap_set, uint64_t low, uint64_t high, unsigned bit, unsigned other)
{
    uint64_t words[WORDS] = {low, high};
    bool had = bitmap_has(words, bit);
    bitmap_set(words, bit);
    bool set = bitmap_has(words, bit) && had == bit_of(low, high, bit);
    return set &&
           IMPLIES(other < 128 && other != bit,
               bit_of(words[0], words[1], other) == bit_of(low, high, other));
}

PROOF(bitmap_clear, uint64_t low, uint64_t high, unsigned bit, unsigned other)
{
    uint64_t words[WORDS] = {low, high};
    bitmap_clear(words, bit);
    return !bitmap_has(words, bit) &&
           IMPLIES(other < 128 && other != bit,
               bit_of(words[0], words[1], other) == bit_of(low, high, other));
}

PROOF(bitmap_fill, uint64_t low, uint64_t high, unsigned bits, unsigned any)
{
    uint64_t words[WORDS] = {low, high};
    bitmap_fill(words, WORDS, bits);
    return IMPLIES(any < 128, bit_of(words[0], words[1], any) == (any < bits));
}

static bool is_lowest(uint64_t word, unsigned bit)
{
    uint64_t one = 1ULL << bit;
    return (word & one) != 0 && (word & (one - 1)) == 0;
}

/* What is found is set and nothing before it is; none if there is none. */
PROOF(bitmap_find, uint64_t low, uint64_t high, unsigned word, unsigned bit)
{
    uint64_t words[WORDS] = {low, high};
    unsigned from = word << 6 | (bit & 63);
    unsigned found = bitmap_find(words, WORDS, from);
    uint64_t low_left = from < 64 ? low & ~0ULL << from : 0;
    uint64_t high_left = from <= 64   ? high
                         : from < 128 ? high & ~0ULL << (from - 64)
                                      : 0;
    if (low_left != 0) {
        return found < 64 && is_lowest(low_left, found);
    }
    if (high_left != 0) {
        return found >= 64 && found < 128 && is_lowest(high_left, found - 64);
    }
    return found == BITMAP_NONE;
}

PROOF(bitmap_find_beyond, uint64_t low, uint64_t high, unsigned from)
{
    uint64_t words[WORDS] = {low, high};
    return bitmap_find(words, WORDS, from) == BITMAP_NONE;
}
