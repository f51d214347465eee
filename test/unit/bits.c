/*
 * What: the bit tricks against loops.
 *
 * Invariants: none.
 *
 * Locking: none.
 */
#include "util/bits.h"

#include "harness.h"
#include "util/hash.h"
#include "util/prng.h"

static void check(uint64_t x)
{
    unsigned lowest = 0;
    unsigned highest = 63;
    unsigned count = 0;
    while ((x >> lowest & 1) == 0) {
        lowest++;
    }
    while ((x >> highest & 1) == 0) {
        highest--;
    }
    for (unsigned i = 0; i < 64; i++) {
        count += x >> i & 1;
    }
    EXPECT_EQ_U64(bits_lowest(x), lowest);
    EXPECT_EQ_U64(bits_highest(x), highest);
    EXPECT_EQ_U64(bits_count(x), count);
    EXPECT(bits_is_pow2(x) == (count == 1));
    EXPECT_EQ_U64(bits_lg_ceil(x), highest + (count != 1));
}

TEST(agrees_with_loops)
{
    uint64_t random = 1;
    EXPECT(!bits_is_pow2(0));
    EXPECT_EQ_U64(bits_count(0), 0);
    check(UINT64_MAX);
    for (unsigned i = 0; i < 64; i++) {
        check(1ULL << i);
        check((1ULL << i) | 1);
        check(UINT64_MAX >> i);
        for (unsigned k = 0; k < 100; k++) {
            check((prng_bits(&random, 64) >> i) | 1ULL << (63 - i));
        }
    }
}

TEST(rounding)
{
    for (size_t unit = 1; unit <= 256; unit *= 2) {
        for (size_t x = 0; x <= 1000; x++) {
            EXPECT_EQ_U64(bits_round_up(x, unit), (x + unit - 1) / unit * unit);
            EXPECT_EQ_U64(bits_round_down(x, unit), x / unit * unit);
        }
    }
    EXPECT_EQ_U64(bits_round_up(SIZE_MAX, 4096), 0); /* wraps, as it says */
    EXPECT_EQ_U64(bits_round_down(SIZE_MAX, 4096), SIZE_MAX - 4095);
    EXPECT_EQ_U64(bits_round_up(SIZE_MAX - 4095, 4096), SIZE_MAX - 4095);
}

/* Each input bit reaches each output bit in about half of all words. */
TEST(mixing)
{
    unsigned changes[64][64] = {{0}};
    uint64_t random = 1;
    for (unsigned i = 0; i < 1000; i++) {
        uint64_t x = prng_bits(&random, 64);
        for (unsigned in = 0; in < 64; in++) {
            uint64_t diff = hash_mix(x) ^ hash_mix(x ^ 1ULL << in);
            for (unsigned out = 0; out < 64; out++) {
                changes[in][out] += diff >> out & 1;
            }
        }
    }
    for (unsigned in = 0; in < 64; in++) {
        for (unsigned out = 0; out < 64; out++) {
            EXPECT_GT_U64(changes[in][out], 250);
            EXPECT_LT_U64(changes[in][out], 750);
        }
    }
}

TEST(random_bits)
{
    for (unsigned bits = 1; bits <= 64; bits++) {
        uint64_t random = bits;
        uint64_t ones = 0;
        uint64_t zeros = 0;
        for (unsigned i = 0; i < 200; i++) {
            uint64_t x = prng_bits(&random, bits);
            EXPECT(bits == 64 || x >> bits == 0);
            ones |= x;
            zeros |= ~x;
        }
        uint64_t all = UINT64_MAX >> (64 - bits);
        EXPECT_EQ_U64(ones, all);
        EXPECT_EQ_U64(zeros & all, all);
    }
}

int main(void)
{
    return test_run(TEST_CASE(agrees_with_loops), TEST_CASE(rounding),
        TEST_CASE(mixing), TEST_CASE(random_bits), NULL);
}
