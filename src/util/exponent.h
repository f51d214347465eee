/*
 * What: the two transcendental functions that sampling needs, as the library
 * leans on no libm.
 *
 * Invariants: (I1) pure; (I2) relative error below 1e-15 in the stated range.
 *
 * Locking: none.
 */
#ifndef JE_UTIL_EXPONENT_H
#define JE_UTIL_EXPONENT_H

#include <string.h>

#include "util/common.h"

#define EXPONENT_LN2 0.693147180559945309417

/* Of the series below: as many as the last digit takes. */
enum { EXPONENT_LN_TERMS = 12, EXPONENT_FALL_TERMS = 12 };

/* ln x for 0 < x < infinity, x not subnormal. */
static inline double exponent_ln(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof(bits));
    int exponent = (int)(bits >> 52) - 1023;
    bits = (bits & ((1ULL << 52) - 1)) | 1023ULL << 52;
    double m; /* x = m * 2^exponent, m in [1, 2) */
    memcpy(&m, &bits, sizeof(m));
    if (m > 1.41421356237309504880) {
        m /= 2;
        exponent++;
    }
    /* ln m = 2 artanh s, |s| < 0.172: each term is 34 times smaller. */
    static const double odd[EXPONENT_LN_TERMS] = {1, 1. / 3, 1. / 5, 1. / 7,
        1. / 9, 1. / 11, 1. / 13, 1. / 15, 1. / 17, 1. / 19, 1. / 21, 1. / 23};
    double s = (m - 1) / (m + 1);
    double square = s * s;
    double sum = 0;
    for (int k = EXPONENT_LN_TERMS - 1; k >= 0; k--) {
        sum = sum * square + odd[k];
    }
    return 2 * s * sum + exponent * EXPONENT_LN2;
}

/* 1 - e^-x for x >= 0, exact for tiny x too. */
static inline double exponent_fall(double x)
{
    if (x > 64) {
        return 1;
    }
    /* e^-x = (e^-y)^(2^k) with y <= 1/4: 1 - e^-2y = f (2 - f). */
    int k = 0;
    while (x > 0.25) {
        x /= 2;
        k++;
    }
    static const double inverse[EXPONENT_FALL_TERMS] = {1. / 2, 1. / 3, 1. / 4,
        1. / 5, 1. / 6, 1. / 7, 1. / 8, 1. / 9, 1. / 10, 1. / 11, 1. / 12,
        1. / 13};
    /* Terms that are less than the last digit are left out. */
    int terms = x < 0x1p-10 ? 4 : EXPONENT_FALL_TERMS;
    double f = 1;
    for (int n = terms - 1; n >= 0; n--) {
        f = 1 - f * x * inverse[n];
    }
    f *= x;
    for (; k > 0; k--) {
        f = f * (2 - f);
    }
    return f;
}

#endif
