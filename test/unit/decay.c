/*
 * What: the decay curve against the same sum done with doubles, at its ends,
 * over jumps of the clock, and for values that want to overflow.
 *
 * Invariants: (I1) time is what the test says.
 *
 * Locking: none.
 */
#include "extent/decay.h"

#include <string.h>

#include "harness.h"
#include "util/prng.h"

#define NS_PER_MS 1000000ULL
#define START_NS  (77 * 1000 * NS_PER_MS)

static uint64_t step_of(ssize_t ms)
{
    return (uint64_t)ms * NS_PER_MS / DECAY_STEPS;
}

/* What may stay of one byte of that age in steps: 1 - smoothstep. */
static double share(unsigned age)
{
    double x = (double)age / DECAY_STEPS;
    return 1 - x * x * x * (10 - 15 * x + 6 * x * x);
}

/* ---- the model: bytes that became unused in each step, in doubles ---- */

static struct {
    double bucket[DECAY_STEPS];
    double last;
} model;

static double model_limit(unsigned steps, double bytes)
{
    for (unsigned s = 0; s < steps && s < DECAY_STEPS; s++) {
        memmove(&model.bucket[1], &model.bucket[0],
            (DECAY_STEPS - 1) * sizeof(double));
        model.bucket[0] = 0;
    }
    double more = bytes > model.last ? bytes - model.last : 0;
    if (steps > 0) {
        model.bucket[0] = more;
    }
    double limit = steps == 0 ? more : 0;
    for (unsigned age = 0; age < DECAY_STEPS; age++) {
        limit += model.bucket[age] * share(age);
    }
    if (steps > 0) {
        model.last = bytes < limit ? bytes : limit;
    }
    return limit;
}

/* Weights of 16 bits are off by up to ten units: a share of all buckets. */
static double model_sum(void)
{
    double sum = 0;
    for (unsigned age = 0; age < DECAY_STEPS; age++) {
        sum += model.bucket[age];
    }
    return sum;
}

TEST(agrees_with_floating_point)
{
    for (uint64_t seed = 1; seed <= 20; seed++) {
        uint64_t random = seed;
        decay_t decay;
        ssize_t ms = 1 + (ssize_t)prng_bits(&random, 16);
        memset(&model, 0, sizeof(model));
        decay_init(&decay, ms, START_NS);
        uint64_t now = START_NS;
        uint64_t epoch = START_NS;
        for (unsigned i = 0; i < 2000; i++) {
            now += step_of(ms) * prng_bits(&random, 8) / 64;
            if (prng_bits(&random, 8) == 0) {
                now += step_of(ms) * prng_bits(&random, 8);
            }
            unsigned steps = (unsigned)((now - epoch) / step_of(ms));
            epoch += steps * step_of(ms);
            size_t bytes = (size_t)prng_bits(&random, 17) << 12;
            double expected = model_limit(steps, (double)bytes);
            double got = (double)decay_limit(&decay, now, bytes);
            double tolerance = model_sum() / 5000 + 1;
            EXPECT(got > expected - tolerance && got < expected + tolerance);
            model.last = (double)decay.last_bytes;
        }
    }
}

/* Bytes freed at one moment: all stay at first, none at the end. */
TEST(curve)
{
    const size_t bytes = (size_t)1 << 30;
    decay_t decay;
    decay_init(&decay, 10000, START_NS);
    uint64_t step = step_of(10000);
    EXPECT_EQ_U64(decay_limit(&decay, START_NS, bytes), bytes);
    EXPECT_EQ_U64(decay_limit(&decay, START_NS + step - 1, bytes), bytes);
    EXPECT_EQ_U64(decay_limit(&decay, START_NS + step, bytes), bytes);
    size_t before = bytes;
    for (unsigned age = 1; age < DECAY_STEPS; age++) {
        size_t limit = decay_limit(&decay, START_NS + (age + 1) * step, before);
        EXPECT_LE_U64(limit, before);
        double expected = share(age) * (double)bytes;
        EXPECT((double)limit < expected + 1e-3 * (double)bytes);
        EXPECT((double)limit > expected - 1e-3 * (double)bytes);
        if (age == DECAY_STEPS / 2) {
            EXPECT_EQ_U64(limit, bytes / 2);
        }
        before = limit;
    }
    EXPECT_LE_U64(before, bytes / 1000);
    EXPECT_EQ_U64(
        decay_limit(&decay, START_NS + (DECAY_STEPS + 1) * step, before), 0);
}

/* Without new bytes the limit falls, however time is cut (I2). */
TEST(never_rises_by_itself)
{
    for (uint64_t seed = 1; seed <= 50; seed++) {
        uint64_t random = seed;
        decay_t decay;
        decay_init(&decay, 5000, START_NS);
        size_t unused = prng_bits(&random, 40) + 1;
        uint64_t now = START_NS + 1;
        size_t before = decay_limit(&decay, now, unused);
        while (now < START_NS + 7000 * NS_PER_MS) {
            now += prng_bits(&random, 28);
            size_t limit = decay_limit(&decay, now, unused);
            EXPECT_LE_U64(limit, before);
            before = limit;
            unused = limit < unused ? limit : unused;
        }
        EXPECT_EQ_U64(unused, 0);
    }
}

TEST(a_long_jump_forgets_all)
{
    decay_t decay;
    decay_init(&decay, 1000, START_NS);
    uint64_t step = step_of(1000);
    EXPECT_EQ_U64(decay_limit(&decay, START_NS + step, 4096), 4096);
    EXPECT_EQ_U64(decay_limit(&decay, START_NS + 1000 * step, 4096), 0);
    /* And the steps stay on their grid. */
    EXPECT_EQ_U64(decay_due_ns(&decay), START_NS + 1001 * step);
    EXPECT_EQ_U64(decay_limit(&decay, UINT64_MAX, 0), 0);
}

TEST(the_clock_goes_back)
{
    decay_t decay;
    decay_init(&decay, 1000, START_NS);
    uint64_t step = step_of(1000);
    EXPECT_EQ_U64(decay_limit(&decay, START_NS + step, 8192), 8192);
    EXPECT_EQ_U64(decay_limit(&decay, 5, 8192), 8192);
    EXPECT_EQ_U64(decay.epoch_ns, 5);
    EXPECT_LT_U64(decay_limit(&decay, 5 + 64 * step, 8192), 8192);
    EXPECT_EQ_U64(decay_limit(&decay, 5 + 130 * step, 0), 0);
}

TEST(never_and_at_once)
{
    decay_t decay;
    decay_init(&decay, -1, START_NS);
    EXPECT_EQ_U64(decay_limit(&decay, START_NS, 1), SIZE_MAX);
    EXPECT_EQ_U64(decay_limit(&decay, UINT64_MAX, SIZE_MAX), SIZE_MAX);
    EXPECT_EQ_U64(decay_due_ns(&decay), UINT64_MAX);
    decay_init(&decay, 0, START_NS);
    EXPECT_EQ_U64(decay_limit(&decay, START_NS, SIZE_MAX), 0);
    EXPECT_EQ_U64(decay_due_ns(&decay), UINT64_MAX);
}

TEST(range_of_times)
{
    EXPECT(decay_is_valid_ms(-1));
    EXPECT(decay_is_valid_ms(0));
    EXPECT(decay_is_valid_ms(1));
    EXPECT(decay_is_valid_ms(DECAY_MS_MAX));
    EXPECT(!decay_is_valid_ms(-2));
    EXPECT(!decay_is_valid_ms(DECAY_MS_MAX + 1));
    EXPECT(!decay_is_valid_ms(INT64_MIN));
    EXPECT(!decay_is_valid_ms(INT64_MAX));
}

/* The longest and the shortest time, the most bytes: nothing wraps. */
TEST(extremes)
{
    decay_t decay;
    decay_init(&decay, (ssize_t)DECAY_MS_MAX, 0);
    EXPECT_EQ_U64(decay.step_ns, (uint64_t)DECAY_MS_MAX * 1000000 / 128);
    EXPECT_EQ_U64(decay_limit(&decay, 0, SIZE_MAX), SIZE_MAX);
    EXPECT_EQ_U64(decay_limit(&decay, decay.step_ns, SIZE_MAX), SIZE_MAX);
    size_t half = decay_limit(&decay, 65 * decay.step_ns, SIZE_MAX);
    EXPECT_GT_U64(half, SIZE_MAX / 2 - SIZE_MAX / 1000);
    EXPECT_LT_U64(half, SIZE_MAX / 2 + SIZE_MAX / 1000);
    decay_init(&decay, 1, START_NS);
    EXPECT_GT_U64(decay.step_ns, 0);
    EXPECT_EQ_U64(decay_limit(&decay, START_NS + NS_PER_MS, 4096), 4096);
    EXPECT_EQ_U64(decay_limit(&decay, START_NS + 3 * NS_PER_MS, 4096), 0);
}

int main(void)
{
    return test_run(TEST_CASE(agrees_with_floating_point), TEST_CASE(curve),
        TEST_CASE(never_rises_by_itself), TEST_CASE(a_long_jump_forgets_all),
        TEST_CASE(the_clock_goes_back), TEST_CASE(never_and_at_once),
        TEST_CASE(range_of_times), TEST_CASE(extremes), NULL);
}
