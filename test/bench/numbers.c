/*
 * What: number theory with numbers on the heap, every result a new block of
 * its own length: products of two primes are factored by a walk that runs
 * into itself (rho), and written out in decimal. A single thread, blocks of 8
 * to 40 bytes that live for microseconds.
 *
 * Invariants: (I1) digits are 32 bits, lowest first, the highest is not zero;
 * zero has no digits; (I2) a function returns a new number and leaves its
 * arguments to the caller; (I3) factors that do not multiply to the product
 * end the program.
 *
 * Locking: none, one thread.
 */
#include "work.h"

typedef struct {
    uint32_t length;
    uint32_t digits[];
} number_t;

static uint64_t made;

static number_t *number_new(uint32_t length)
{
    number_t *n = work_get(sizeof(*n) + length * sizeof(n->digits[0]));

    n->length = length;
    memset(n->digits, 0, length * sizeof(n->digits[0]));
    made++;
    return n;
}

static number_t *number_trim(number_t *n)
{
    while (n->length != 0 && n->digits[n->length - 1] == 0) {
        n->length--;
    }
    return n;
}

static number_t *number_of(uint64_t value)
{
    number_t *n = number_new(2);

    n->digits[0] = (uint32_t)value;
    n->digits[1] = (uint32_t)(value >> 32);
    return number_trim(n);
}

static int number_compare(const number_t *a, const number_t *b)
{
    if (a->length != b->length) {
        return a->length < b->length ? -1 : 1;
    }
    for (uint32_t i = a->length; i-- > 0;) {
        if (a->digits[i] != b->digits[i]) {
            return a->digits[i] < b->digits[i] ? -1 : 1;
        }
    }
    return 0;
}

static number_t *number_add(const number_t *a, const number_t *b)
{
    uint32_t length = (a->length > b->length ? a->length : b->length) + 1;
    number_t *sum = number_new(length);
    uint64_t carry = 0;

    for (uint32_t i = 0; i < length; i++) {
        carry += i < a->length ? a->digits[i] : 0;
        carry += i < b->length ? b->digits[i] : 0;
        sum->digits[i] = (uint32_t)carry;
        carry >>= 32;
    }
    return number_trim(sum);
}

/* The distance between a and b. */
static number_t *number_distance(const number_t *a, const number_t *b)
{
    int64_t borrow = 0;
    number_t *rest;

    if (number_compare(a, b) < 0) {
        return number_distance(b, a);
    }
    rest = number_new(a->length);
    for (uint32_t i = 0; i < a->length; i++) {
        borrow += a->digits[i];
        borrow -= i < b->length ? b->digits[i] : 0;
        rest->digits[i] = (uint32_t)borrow;
        borrow >>= 32;
    }
    return number_trim(rest);
}

static number_t *number_times(const number_t *a, const number_t *b)
{
    number_t *product = number_new(a->length + b->length);

    for (uint32_t i = 0; i < a->length; i++) {
        uint64_t carry = 0;

        for (uint32_t j = 0; j < b->length; j++) {
            carry +=
                (uint64_t)a->digits[i] * b->digits[j] + product->digits[i + j];
            product->digits[i + j] = (uint32_t)carry;
            carry >>= 32;
        }
        product->digits[i + b->length] = (uint32_t)carry;
    }
    return number_trim(product);
}

/* `a` shifted up by less than 32 bits, with one more digit on top. */
static number_t *number_shifted(const number_t *a, unsigned bits)
{
    number_t *up = number_new(a->length + 1);

    for (uint32_t i = 0; i < a->length; i++) {
        uint64_t wide = (uint64_t)a->digits[i] << bits;

        up->digits[i] |= (uint32_t)wide;
        up->digits[i + 1] |= (uint32_t)(wide >> 32);
    }
    return up;
}

/* rest -= guess * by, from digit `at` on; true if that was too much. */
static int take_away(
    number_t *rest, uint32_t at, const number_t *by, uint64_t guess)
{
    uint64_t carry = 0;
    int64_t borrow = 0;

    for (uint32_t i = 0; i <= by->length; i++) {
        carry += guess * (i < by->length ? by->digits[i] : 0);
        borrow += (int64_t)rest->digits[at + i] - (uint32_t)carry;
        rest->digits[at + i] = (uint32_t)borrow;
        carry >>= 32;
        borrow >>= 32;
    }
    return borrow < 0;
}

static void put_back(number_t *rest, uint32_t at, const number_t *by)
{
    uint64_t carry = 0;

    for (uint32_t i = 0; i <= by->length; i++) {
        carry += rest->digits[at + i];
        carry += i < by->length ? by->digits[i] : 0;
        rest->digits[at + i] = (uint32_t)carry;
        carry >>= 32;
    }
}

/*
 * Long division: each digit of the quotient is guessed from the two highest
 * digits of what is left, never too small, and put right where too large.
 */
static number_t *number_divide(
    const number_t *a, const number_t *b, number_t **quotient)
{
    unsigned bits = (unsigned)__builtin_clz(b->digits[b->length - 1]);
    number_t *by = number_trim(number_shifted(b, bits));
    number_t *rest = number_shifted(a, bits);
    number_t *down;

    *quotient =
        number_new(a->length < b->length ? 0 : a->length - b->length + 1);
    for (uint32_t at = (*quotient)->length; at-- > 0;) {
        uint32_t high = at + by->length;
        uint64_t top =
            ((uint64_t)rest->digits[high] << 32) | rest->digits[high - 1];
        uint64_t guess = top / by->digits[by->length - 1];

        guess = guess > UINT32_MAX ? UINT32_MAX : guess;
        if (take_away(rest, at, by, guess)) {
            do {
                guess--;
                put_back(rest, at, by);
            } while (rest->digits[high] != 0);
        }
        (*quotient)->digits[at] = (uint32_t)guess;
    }
    number_trim(*quotient);
    number_trim(rest);
    down = number_new(rest->length);
    for (uint32_t i = 0; i < rest->length; i++) {
        uint64_t wide = i + 1 < rest->length ? rest->digits[i + 1] : 0;

        down->digits[i] = (uint32_t)(((wide << 32) | rest->digits[i]) >> bits);
    }
    free(by);
    free(rest);
    return number_trim(down);
}

static number_t *number_rest(const number_t *a, const number_t *b)
{
    number_t *quotient;
    number_t *rest = number_divide(a, b, &quotient);

    free(quotient);
    return rest;
}

static number_t *common_divisor(const number_t *a, const number_t *b)
{
    number_t *x = number_of(0), *y = number_of(0), *next;

    next = number_add(a, x);
    free(x);
    x = next;
    next = number_add(b, y);
    free(y);
    y = next;
    while (y->length != 0) {
        next = number_rest(x, y);
        free(x);
        x = y;
        y = next;
    }
    free(y);
    return x;
}

/* (x * x + 1) modulo n; x is dropped. */
static number_t *step(number_t *x, const number_t *one, const number_t *n)
{
    number_t *square = number_times(x, x);
    number_t *more = number_add(square, one);
    number_t *next = number_rest(more, n);

    free(x);
    free(square);
    free(more);
    return next;
}

static int is_one(const number_t *n)
{
    return n->length == 1 && n->digits[0] == 1;
}

/* A factor of n, or n itself where the walk from `seed` finds none. */
static number_t *find_factor(const number_t *n, uint64_t seed)
{
    number_t *one = number_of(1);
    number_t *slow = number_of(seed), *fast = number_of(seed);
    number_t *found = number_of(1);

    while (is_one(found)) {
        number_t *apart;

        slow = step(slow, one, n);
        fast = step(step(fast, one, n), one, n);
        apart = number_distance(slow, fast);
        free(found);
        found = common_divisor(n, apart);
        free(apart);
    }
    free(one);
    free(slow);
    free(fast);
    return found;
}

/* The sum of the decimal digits, each of which is a string for a moment. */
static uint64_t decimal_sum(const number_t *n)
{
    number_t *ten = number_of(10);
    number_t *zero = number_of(0);
    number_t *left = number_add(n, zero);
    uint64_t sum = 0;

    while (left->length != 0) {
        number_t *quotient;
        number_t *digit = number_divide(left, ten, &quotient);
        char *text = work_get(12);

        snprintf(text, 12, "%u", digit->length ? digit->digits[0] : 0);
        sum += (uint64_t)atoi(text);
        free(text);
        free(digit);
        free(left);
        left = quotient;
    }
    free(ten);
    free(zero);
    free(left);
    return sum;
}

static int is_prime(uint32_t n)
{
    for (uint32_t i = 3; i * i <= n; i += 2) {
        if (n % i == 0) {
            return 0;
        }
    }
    return n % 2 == 1;
}

static uint32_t some_prime(uint64_t *state, uint32_t from, uint32_t range)
{
    uint32_t n;

    do {
        n = from + work_below(state, range);
    } while (!is_prime(n));
    return n;
}

static uint64_t factor_one(uint64_t *state)
{
    number_t *p = number_of(some_prime(state, 30000, 60000));
    number_t *q = number_of(some_prime(state, 1u << 30, 1u << 30));
    number_t *r = number_of(some_prime(state, 1u << 30, 1u << 30));
    number_t *large = number_times(q, r);
    number_t *n = number_times(p, large);
    number_t *factor = find_factor(n, 2 + work_below(state, 1000));
    number_t *other, *rest, *again;
    uint64_t sum;

    rest = number_divide(n, factor, &other);
    again = number_times(factor, other);
    work_require(
        rest->length == 0 && number_compare(again, n) == 0 && !is_one(factor),
        "a factor is none");
    sum = decimal_sum(factor) + decimal_sum(n);
    free(p);
    free(q);
    free(r);
    free(large);
    free(n);
    free(factor);
    free(other);
    free(rest);
    free(again);
    return sum;
}

int main(int argc, char **argv)
{
    uint64_t rounds = work_arg(argc, argv, 1, 500);
    uint64_t state = 1, sum = 0;

    for (uint64_t i = 0; i < rounds; i++) {
        sum += factor_one(&state);
    }
    return work_report(made, sum);
}
