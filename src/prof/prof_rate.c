/*
 * What: see prof_rate.h.
 *
 * Invariants: as there.
 *
 * Locking: as there.
 */
#include "prof/prof_rate.h"

#include <string.h>

#include "util/atomic.h"
#include "util/exponent.h"
#include "util/prng.h"

/* Beyond that no program allocates. */
#define DRAW_MAX ((uint64_t)1 << 62)

_Atomic uint32_t prof_rate_changes;

static struct {
    _Atomic unsigned lg;
    /* Bits of doubles: */
    _Atomic uint64_t share;         /* 1/R */
    _Atomic uint64_t minus_ln_miss; /* -ln(1 - 1/R) */
} rate;

static void put_double(_Atomic uint64_t *to, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    atomic_put_relaxed(to, bits);
}

static double get_double(const _Atomic uint64_t *from)
{
    uint64_t bits = atomic_get_relaxed(from);
    double value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

static double power_of_half(unsigned lg)
{
    double x = 1;
    for (unsigned i = 0; i < lg; i++) {
        x /= 2;
    }
    return x;
}

void prof_rate_set(unsigned lg)
{
    lg = lg < PROF_RATE_LG_MAX ? lg : PROF_RATE_LG_MAX;
    double x = power_of_half(lg);
    /* -ln(1 - x) = x + x^2/2 + ...; rounding 1 - x would lose it all. */
    double sum = 0;
    double power = x;
    for (unsigned k = 1; k < 64 && lg != 0; k++) {
        sum += power / k;
        power *= x;
    }
    put_double(&rate.share, x);
    put_double(&rate.minus_ln_miss, sum);
    atomic_put_relaxed(&rate.lg, lg);
    (void)atomic_add_relaxed(&prof_rate_changes, 1);
}

unsigned prof_rate_lg(void)
{
    return atomic_get_relaxed(&rate.lg);
}

uint64_t prof_rate_distance(void)
{
    return (uint64_t)1 << prof_rate_lg();
}

double prof_rate(void)
{
    return get_double(&rate.share);
}

/* An exponential variable of mean 1; never 0. */
static double exponential(uint64_t *random)
{
    double u = ((double)prng_bits(random, 53) + 0.5) / 9007199254740992.0;
    return -exponent_ln(u);
}

uint64_t prof_rate_draw(uint64_t *random, size_t usize)
{
    if (prof_rate_lg() == 0) {
        return 1;
    }
    double miss = get_double(&rate.minus_ln_miss);
    /* P(n or more) = P(E >= (n - 1) usize miss) = (1 - 1/R)^((n-1) usize) */
    double n = exponential(random) / (miss * (double)usize);
    return n < (double)DRAW_MAX ? (uint64_t)n + 1 : DRAW_MAX;
}
