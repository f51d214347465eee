/*
 * What: the estimate of a heap from samples: the law of the countdowns at
 * every rate, twenty places of known size, the table with and without
 * accumulation, threads that end, resets.
 *
 * Invariants: (I1) seeds are fixed: a run is like every other.
 *
 * Locking: none.
 */
#include "prof/prof.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/conf.h"
#include "harness.h"
#include "jemalloc/jemalloc.h"
#include "os/frame.h"
#include "prof/prof_leak.h"
#include "prof/prof_pool.h"
#include "prof/prof_text.h"
#include "thread/tsd.h"
#include "util/exponent.h"

const char *je_malloc_conf =
    "prof:true,lg_prof_sample:14,prof_accum:true,prof_stats:true,"
    "junk:false,debug_double_free_max_scan:0";

static double absolute(double x)
{
    return x < 0 ? -x : x;
}

static double root(double x)
{
    double r = x > 1 ? x : 1;
    for (int i = 0; i < 100; i++) {
        r = (r + x / r) / 2;
    }
    return r;
}

/* ---- numbers ---- */

TEST(functions)
{
    double largest = 0;
    for (double x = 1e-300; x < 1e300; x *= 1.37) {
        /* ln x + ln 1/x = 0, ln x^2 = 2 ln x */
        double ln = exponent_ln(x);
        double error = absolute(ln + exponent_ln(1 / x));
        largest = error > largest ? error : largest;
    }
    EXPECT(largest < 1e-12);
    EXPECT(absolute(exponent_ln(2.718281828459045) - 1) < 1e-15);
    for (double x = 1e-18; x < 1e3; x *= 1.21) {
        double fall = exponent_fall(x);
        EXPECT(fall > 0 && fall <= 1);
        if (x < 1e-9) { /* x - x^2/2 */
            EXPECT(absolute(fall / (x - x * x / 2) - 1) < 1e-14);
        } else if (x < 30) { /* the inverse function */
            EXPECT(absolute(-exponent_ln(1 - fall) / x - 1) < 1e-3 ||
                   fall > 1 - 1e-12);
        }
    }
}

/* Mean and share of the first block, at each rate that can be observed. */
TEST(countdowns)
{
    enum { DRAWS = 20000 };
    for (unsigned lg = 0; lg <= 63; lg++) {
        uint64_t random = 1234 + lg;
        prof_rate_set(lg);
        EXPECT_EQ_U64(prof_rate_distance(), (uint64_t)1 << lg);
        for (size_t usize = 8; usize <= 65536; usize *= 8) {
            double share =
                lg == 0 ? 1 : exponent_fall((double)usize * prof_rate());
            double mean = 0;
            unsigned draws = lg == 0 ? 10 : DRAWS;
            for (unsigned i = 0; i < draws; i++) {
                uint64_t n = prof_rate_draw(&random, usize);
                EXPECT(n >= 1);
                mean += (double)n / draws;
            }
            /* 1/p and its deviation, sqrt(1-p)/p; 0.5 % where 1 - 1/R counts */
            double expected = 1 / share;
            if (lg >= 7 && expected < 4e18) {
                double deviation = expected / root(draws);
                EXPECT(absolute(mean - expected) <
                       3.5 * deviation + expected / 100);
            }
        }
    }
    prof_rate_set(14);
}

TEST(weights)
{
    prof_counts_t all = prof_table_weigh(100, 1);
    EXPECT_EQ_U64(all.estimated_eighths, 8);
    EXPECT_EQ_U64(all.estimated_bytes, 100);
    prof_counts_t seldom = prof_table_weigh(1, 1.0 / 9223372036854775808.0);
    EXPECT_GT_U64(seldom.estimated_bytes, (uint64_t)1 << 52);
    size_t size = (size_t)1 << (sizeof(size_t) == 8 ? 40 : 30);
    prof_counts_t large = prof_table_weigh(size, 1.0 / 524288);
    EXPECT_EQ_U64(large.estimated_bytes, size);
    EXPECT_EQ_U64(large.estimated_eighths, 8);
}

/* What is printed becomes the estimate when a reader scales it. */
TEST(printed_numbers)
{
    prof_profile_t profile = {.distance = 524288,
        .rate = 1.0 / 524288,
        .unbias = true,
        .accumulates = true};
    for (size_t usize = 8; usize < 1 << 24; usize = usize * 3 / 2) {
        prof_counts_t one = prof_table_weigh(usize, profile.rate);
        prof_counts_t sum = {0};
        for (unsigned i = 0; i < 1000; i++) {
            sum.objects += one.objects;
            sum.bytes += one.bytes;
            sum.estimated_eighths += one.estimated_eighths;
            sum.estimated_bytes += one.estimated_bytes;
        }
        prof_value_t printed = prof_text_value(&profile, &sum);
        double mean = (double)printed.bytes / (double)printed.objects;
        double scaled =
            (double)printed.bytes / exponent_fall(mean * profile.rate);
        EXPECT(absolute(scaled / (double)sum.estimated_bytes - 1) < 0.01);
        /* Of one size, the raw count, but for the three fractional bits. */
        EXPECT(absolute((double)printed.objects - 1000) <= 1000.0 / 16 + 1);
    }
    /* Readers scale by that rule even where each allocation is a sample. */
    profile.distance = 1;
    profile.rate = 1;
    prof_counts_t every = prof_table_weigh(8, 1);
    every.objects *= 8192;
    every.bytes *= 8192;
    every.estimated_eighths *= 8192;
    every.estimated_bytes *= 8192;
    prof_value_t exact = prof_text_value(&profile, &every);
    double mean = (double)exact.bytes / (double)exact.objects;
    double scaled = (double)exact.bytes / exponent_fall(mean);
    EXPECT(absolute(scaled - 65536) < 1);
    prof_value_t none = prof_text_value(&profile, &(prof_counts_t){0});
    EXPECT_EQ_U64(none.objects + none.bytes, 0);
}

/* ---- twenty places ---- */

enum { PLACES = 20, PER_PLACE = 600, ROUNDS = 20 };

static void *blocks[PLACES][PER_PLACE];

static size_t size_of_place(unsigned place)
{
    static const size_t sizes[PLACES] = {8, 16, 48, 64, 96, 128, 200, 256, 500,
        640, 1024, 1500, 2048, 3000, 4096, 5000, 8192, 12000, 16384, 40000};
    return sizes[place];
}

/* Alone in its KiB of code, so that an address tells the place. */
#define PLACE_BYTES 1024
#define PLACE(n)                                                               \
    __attribute__((noinline, aligned(PLACE_BYTES))) static void place_##n(     \
        void)                                                                  \
    {                                                                          \
        for (unsigned i = 0; i < PER_PLACE; i++) {                             \
            blocks[n][i] = je_malloc(size_of_place(n));                        \
        }                                                                      \
    }

PLACE(0)
PLACE(1)
PLACE(2)
PLACE(3)
PLACE(4)
PLACE(5)
PLACE(6)
PLACE(7)
PLACE(8)
PLACE(9)
PLACE(10)
PLACE(11)
PLACE(12)
PLACE(13)
PLACE(14)
PLACE(15)
PLACE(16)
PLACE(17)
PLACE(18)
PLACE(19)

static void (*const places[PLACES])(void) = {place_0, place_1, place_2, place_3,
    place_4, place_5, place_6, place_7, place_8, place_9, place_10, place_11,
    place_12, place_13, place_14, place_15, place_16, place_17, place_18,
    place_19};

static void free_all(void)
{
    for (unsigned p = 0; p < PLACES; p++) {
        for (unsigned i = 0; i < PER_PLACE; i++) {
            je_free(blocks[p][i]);
        }
    }
}

static int place_of(const prof_stack_view_t *stack)
{
    for (uint32_t i = 0; i < stack->frame_count; i++) {
        for (int p = 0; p < PLACES; p++) {
            if (stack->frames[i] - (uintptr_t)places[p] < PLACE_BYTES) {
                return p;
            }
        }
    }
    return -1;
}

static void measure(double estimates[PLACES])
{
    prof_view_t view;
    memset(estimates, 0, PLACES * sizeof(*estimates));
    REQUIRE(prof_table_view(&view));
    for (size_t i = 0; i < view.stack_count; i++) {
        int p = place_of(&view.stacks[i]);
        if (p >= 0) {
            estimates[p] += (double)view.stacks[i].line.live.estimated_bytes;
        }
    }
    prof_table_view_end(&view);
}

/* Places may alternate, so that one's countdown runs into another's. */
static void seed(uint64_t number)
{
    je_free(je_malloc(1));
    REQUIRE(prof_self != NULL);
    tsd_flush(tsd_self);
    prof_reset(SIZE_MAX);
    prof_self->random = number * 0x9e3779b97f4a7c15ULL;
}

TEST(twenty_places)
{
    if (FRAME_REGISTERS == 1) {
        test_skip("no stacks on this processor");
    }
    double sums[PLACES] = {0};
    double worst = 0;
    for (unsigned round = 0; round < ROUNDS; round++) {
        double estimates[PLACES];
        seed(round + 1);
        for (unsigned p = 0; p < PLACES; p++) {
            places[p]();
        }
        measure(estimates);
        free_all();
        for (unsigned p = 0; p < PLACES; p++) {
            size_t usize = sizeclass_usize(size_of_place(p));
            double share = exponent_fall((double)usize * prof_rate());
            double deviation =
                (double)usize * root(PER_PLACE * (1 - share) / share);
            double off = estimates[p] - (double)usize * PER_PLACE;
            double sigmas = absolute(off) / deviation;
            worst = sigmas > worst ? sigmas : worst;
            sums[p] += off / deviation;
        }
    }
    /* 400 normal variables: the largest is seldom above 3.6. */
    EXPECT(worst < 3.9);
    double total = 0;
    for (unsigned p = 0; p < PLACES; p++) {
        EXPECT(absolute(sums[p]) / root(ROUNDS) < 3.5);
        total += sums[p];
    }
    test_note("worst %.2f, bias %.2f standard errors", worst,
        total / root(ROUNDS * PLACES));
    EXPECT(absolute(total) / root(ROUNDS * PLACES) < 3);
}

/* Freed again: nothing is live, everything was. */
TEST(balance)
{
    prof_view_t view;
    seed(77);
    for (unsigned p = 0; p < PLACES; p++) {
        places[p]();
    }
    free_all();
    REQUIRE(prof_table_view(&view));
    EXPECT_EQ_U64(view.all.live.objects, 0);
    EXPECT_EQ_U64(view.all.live.bytes, 0);
    EXPECT_EQ_U64(view.all.live.estimated_bytes, 0);
    EXPECT_EQ_U64(view.all.live.estimated_eighths, 0);
    EXPECT_GT_U64(view.all.total.objects, 1000);
    prof_table_view_end(&view);
    prof_reset(SIZE_MAX);
    REQUIRE(prof_table_view(&view));
    EXPECT_EQ_U64(view.all.total.objects, 0);
    EXPECT_EQ_U64(view.stack_count, 0);
    EXPECT_GE_U64(view.thread_count, 1);
    prof_table_view_end(&view);
}

/* ---- what a block goes through ---- */

static uint64_t live_objects(void)
{
    prof_view_t view;
    REQUIRE(prof_table_view(&view));
    uint64_t objects = view.all.live.objects;
    prof_table_view_end(&view);
    return objects;
}

static void sample_everything(void)
{
    seed(1);
    prof_reset(0);
}

TEST(every_way_out)
{
    sample_everything();
    void *p = je_malloc(100);
    EXPECT_EQ_U64(live_objects(), 1);
    EXPECT_EQ_U64((uintptr_t)p & PAGE_MASK, 0);
    EXPECT_EQ_U64(je_malloc_usable_size(p), 112);
    memset(p, 1, 100);
    p = je_realloc(p, 110); /* the same class: stays */
    EXPECT_EQ_U64(je_malloc_usable_size(p), 112);
    p = je_realloc(p, 3000);
    EXPECT_EQ_U64(((char *)p)[99], 1);
    EXPECT_EQ_U64(live_objects(), 1);
    p = je_realloc(p, 300000);
    EXPECT_EQ_U64(((char *)p)[99], 1);
    EXPECT_EQ_U64(live_objects(), 1);
    p = je_realloc(p, 3000000);
    p = je_realloc(p, 50000);
    EXPECT_EQ_U64(live_objects(), 1);
    EXPECT_EQ_U64(je_xallocx(p, 60000, 0, 0) >= 50000, 1);
    EXPECT_EQ_U64(live_objects(), 1);
    p = je_realloc(p, 20);
    je_free_sized(p, 20);
    EXPECT_EQ_U64(live_objects(), 0);
    p = je_mallocx(500, MALLOCX_TCACHE_NONE);
    EXPECT_EQ_U64(live_objects(), 1);
    je_sdallocx(p, 500, MALLOCX_TCACHE_NONE);
    EXPECT_EQ_U64(live_objects(), 0);
    p = je_mallocx(500, 0);
    je_sdallocx(p, 500, 0);
    EXPECT_EQ_U64(live_objects(), 0);
    p = je_aligned_alloc(8192, 100);
    EXPECT_EQ_U64((uintptr_t)p & 8191, 0);
    EXPECT_EQ_U64(live_objects(), 1);
    je_free(p);
    p = je_calloc(100, 10);
    for (unsigned i = 0; i < 1000; i++) {
        EXPECT_EQ_U64(((char *)p)[i], 0);
    }
    je_free(p);
    for (size_t size = 1; size < 100000; size = size * 5 / 3 + 1) {
        p = je_malloc(size);
        EXPECT_EQ_U64(je_malloc_usable_size(p), sizeclass_usize(size));
        je_free(p);
    }
    EXPECT_EQ_U64(live_objects(), 0);
}

TEST(switches)
{
    sample_everything();
    prof_set_active(false);
    void *p = je_malloc(64);
    prof_set_active(true);
    EXPECT_EQ_U64(live_objects(), 0);
    prof_self->active = false;
    void *q = je_malloc(64);
    prof_self->active = true;
    EXPECT_EQ_U64(live_objects(), 0);
    je_free(p);
    je_free(q);
    p = je_malloc(64);
    EXPECT_EQ_U64(live_objects(), 1);
    prof_reset(SIZE_MAX);
    EXPECT_EQ_U64(live_objects(), 0);
    je_free(p); /* of an epoch that is over */
    EXPECT_EQ_U64(live_objects(), 0);
}

static void *allocate_and_leave(void *opaque)
{
    (void)opaque;
    void *p = je_malloc(200);
    prof_table_set_name(prof_self->identity, "a name that is far too long");
    return p;
}

/* A dead thread is known as long as it has live samples. */
TEST(threads_that_end)
{
    sample_everything();
    size_t before;
    prof_view_t view;
    REQUIRE(prof_table_view(&view));
    before = view.thread_count;
    prof_table_view_end(&view);
    pthread_t thread;
    void *p;
    REQUIRE(pthread_create(&thread, NULL, allocate_and_leave, NULL) == 0);
    REQUIRE(pthread_join(thread, &p) == 0);
    REQUIRE(prof_table_view(&view));
    EXPECT_EQ_U64(view.thread_count, before + 1);
    EXPECT_EQ_STR(view.threads[before].name, "a name that is ");
    EXPECT_EQ_U64(view.threads[before].line.live.objects, 1);
    prof_table_view_end(&view);
    je_free(p);
    REQUIRE(prof_table_view(&view));
    EXPECT_EQ_U64(view.thread_count, before);
    /* Its total went to the stack. */
    EXPECT_GE_U64(view.all.total.objects, 1);
    prof_table_view_end(&view);
}

TEST(by_class)
{
    sample_everything();
    prof_stats_t live[2];
    prof_stats_t accum[2];
    unsigned index = sizeclass_index(192);
    prof_stats_get(index, &live[0], &accum[0]);
    void *p = je_malloc(170);
    prof_stats_get(index, &live[1], &accum[1]);
    EXPECT_EQ_U64(live[1].count - live[0].count, 1);
    EXPECT_EQ_U64(live[1].requested_bytes - live[0].requested_bytes, 170);
    je_free(p);
    prof_stats_get(index, &live[1], &accum[1]);
    EXPECT_EQ_U64(live[1].count, live[0].count);
    EXPECT_EQ_U64(accum[1].count - accum[0].count, 1);
    EXPECT_EQ_U64(accum[1].requested_bytes - accum[0].requested_bytes, 170);
}

static int find_class(const char *kind, size_t index)
{
    char name[64];
    size_t mib[8];
    size_t depth = 8;
    snprintf(name, sizeof(name), "prof.stats.%s.%zu.live", kind, index);
    return je_mallctlnametomib(name, mib, &depth);
}

/* Classes have controls, up to the last one. */
TEST(controls_of_classes)
{
    unsigned bins;
    unsigned lextents;
    size_t size = sizeof(unsigned);
    REQUIRE(je_mallctl("arenas.nbins", &bins, &size, NULL, 0) == 0);
    REQUIRE(je_mallctl("arenas.nlextents", &lextents, &size, NULL, 0) == 0);
    EXPECT_EQ_I64(find_class("bins", bins - 1), 0);
    EXPECT_EQ_I64(find_class("bins", bins), ENOENT);
    EXPECT_EQ_I64(find_class("lextents", lextents - 1), 0);
    EXPECT_EQ_I64(find_class("lextents", lextents), ENOENT);
}

TEST(suppression_patterns)
{
    static const struct {
        const char *pattern;
        const char *text;
        bool matches;
    } cases[] = {{"foo", "a_foo_b", true}, {"foo", "fo", false},
        {"foo*", "foobar", true}, {"foo*", "xfoobar", false},
        {"*bar", "foobar", true}, {"*bar", "foobarx", false},
        {"f*b*r", "foobar", true}, {"f*b*r", "foobaz", false}, {"*", "", true},
        {"**a", "bca", true}, {"libfoo", "/lib/libfoo.so", true}};
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (prof_leak_matches(cases[i].pattern, strlen(cases[i].pattern),
                cases[i].text) != cases[i].matches) {
            test_note("%s and %s", cases[i].pattern, cases[i].text);
        }
        EXPECT(prof_leak_matches(cases[i].pattern, strlen(cases[i].pattern),
                   cases[i].text) == cases[i].matches);
    }
}

TEST(pool)
{
    void *seen[64];
    for (size_t bytes = 1; bytes < 100000; bytes = bytes * 3 / 2 + 1) {
        for (unsigned i = 0; i < 64; i++) {
            seen[i] = prof_pool_alloc(bytes);
            REQUIRE(seen[i] != NULL);
            EXPECT_EQ_U64((uintptr_t)seen[i] % 16, 0);
            memset(seen[i], (int)i, bytes);
        }
        for (unsigned i = 0; i < 64; i++) {
            EXPECT_EQ_U64(((unsigned char *)seen[i])[bytes - 1], i);
            prof_pool_free(seen[i], bytes);
        }
        EXPECT_EQ_PTR(prof_pool_alloc(bytes), seen[63]);
        prof_pool_free(seen[63], bytes);
    }
}

int main(void)
{
    return test_run(TEST_CASE(functions), TEST_CASE(countdowns),
        TEST_CASE(weights), TEST_CASE(printed_numbers),
        TEST_CASE(twenty_places), TEST_CASE(balance), TEST_CASE(every_way_out),
        TEST_CASE(switches), TEST_CASE(threads_that_end), TEST_CASE(by_class),
        TEST_CASE(controls_of_classes), TEST_CASE(suppression_patterns),
        TEST_CASE(pool), NULL);
}
