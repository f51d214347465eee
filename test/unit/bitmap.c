/*
 * What: arrays of bits against arrays of flags.
 *
 * Invariants: (I1) words beyond those in use keep their values.
 *
 * Locking: none.
 */
#include "util/bitmap.h"

#include <string.h>

#include "harness.h"
#include "util/prng.h"

#define BITS 200

static uint64_t words[BITMAP_WORDS(BITS) + 1];
static bool flags[BITMAP_WORDS(BITS) * 64];

static unsigned find_flag(unsigned from, unsigned end)
{
    for (unsigned i = from; i < end; i++) {
        if (flags[i]) {
            return i;
        }
    }
    return BITMAP_NONE;
}

TEST(words_needed)
{
    EXPECT_EQ_U64(BITMAP_WORDS(0), 0);
    EXPECT_EQ_U64(BITMAP_WORDS(1), 1);
    EXPECT_EQ_U64(BITMAP_WORDS(64), 1);
    EXPECT_EQ_U64(BITMAP_WORDS(65), 2);
}

TEST(agrees_with_flags)
{
    uint64_t random = 2;
    memset(words, 0, sizeof(words));
    words[BITMAP_WORDS(BITS)] = 0x1234;
    for (unsigned i = 0; i < 20000; i++) {
        unsigned bit = (unsigned)prng_bits(&random, 32) % BITS;
        /* Mostly clearing for a while, so that it gets sparse. */
        flags[bit] = prng_bits(&random, 3) < (i / 1000 % 2 == 0 ? 6 : 1);
        if (flags[bit]) {
            bitmap_set(words, bit);
        } else {
            bitmap_clear(words, bit);
        }
        EXPECT(bitmap_has(words, bit) == flags[bit]);
        unsigned from = (unsigned)prng_bits(&random, 8);
        for (unsigned n = 1; n <= BITMAP_WORDS(BITS); n++) {
            EXPECT_EQ_U64(bitmap_find(words, n, from),
                from < n * 64 ? find_flag(from, n * 64) : BITMAP_NONE);
        }
    }
    for (unsigned i = 0; i < BITS; i++) {
        EXPECT(bitmap_has(words, i) == flags[i]);
    }
    EXPECT_EQ_U64(words[BITMAP_WORDS(BITS)], 0x1234);
}

TEST(fill)
{
    for (unsigned n = 0; n <= 4 * 64; n++) {
        memset(words, 0x5a, sizeof(words));
        bitmap_fill(words, 4, n);
        unsigned count = 0;
        for (unsigned i = 0; i < 4 * 64; i++) {
            EXPECT(bitmap_has(words, i) == (i < n));
        }
        for (unsigned i = 0; i < 4; i++) {
            count += bits_count(words[i]);
        }
        EXPECT_EQ_U64(count, n);
        EXPECT_EQ_U64(words[4], 0x5a5a5a5a5a5a5a5aULL);
    }
}

int main(void)
{
    return test_run(TEST_CASE(words_needed), TEST_CASE(agrees_with_flags),
        TEST_CASE(fill), NULL);
}
