/*
 * What: that samples are taken as often as the rate says, whichever way a
 * request takes, and that statistics do not notice: the counts of a cache
 * serve both.
 *
 * Invariants: (I1) limits are five standard deviations wide.
 *
 * Locking: none; what threads share is atomic.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "harness.h"
#include "jemalloc/jemalloc.h"

const char *malloc_conf = "prof:true,lg_prof_sample:12";

#define RATE 4096.0

static atomic_uint_fast64_t samples;

static void on_sample(
    const void *ptr, size_t size, void **frames, unsigned count, size_t usize)
{
    (void)ptr;
    (void)size;
    (void)frames;
    (void)count;
    (void)usize;
    atomic_fetch_add(&samples, 1);
}

static void set(const char *name, void *value, size_t size)
{
    REQUIRE(mallctl(name, NULL, NULL, value, size) == 0);
}

static uint64_t get(const char *name)
{
    uint64_t value = 0;
    size_t size = sizeof(value);
    REQUIRE(mallctl(name, &value, &size, NULL, 0) == 0);
    return value;
}

static void listen(void)
{
    void (*hook)(const void *, size_t, void **, unsigned, size_t) = on_sample;
    set("experimental.hooks.prof_sample", (void *)&hook, sizeof(hook));
}

/* How many of so many blocks are samples, times their number. */
static void expect_rate(uint64_t seen, uint64_t blocks, double usize)
{
    double chance = 1;
    for (double byte = 0; byte < usize; byte++) {
        chance *= 1 - 1 / RATE;
    }
    chance = 1 - chance;
    double mean = (double)blocks * chance;
    double error = (double)seen - mean;
    EXPECT(error * error <= 25 * mean * (1 - chance));
}

static void *(*volatile plain)(size_t) = malloc;

static void *from_cache(size_t size)
{
    return plain(size);
}

static void *zeroed(size_t size)
{
    return calloc(1, size);
}

static void *past_cache(size_t size)
{
    return mallocx(size, MALLOCX_TCACHE_NONE);
}

static void *of_arena(size_t size)
{
    return mallocx(size, MALLOCX_ARENA(0) | MALLOCX_ALIGN(64));
}

static void *resized(size_t size)
{
    return realloc(NULL, size);
}

TEST(each_way_is_sampled)
{
    static void *(*const ways[])(size_t) = {
        from_cache, zeroed, past_cache, of_arena, resized};
    static const size_t sizes[] = {64, 512, 4096, 10240, 32768};
    enum { BLOCKS = 40000 };
    listen();
    for (unsigned w = 0; w < sizeof(ways) / sizeof(ways[0]); w++) {
        for (unsigned s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
            uint64_t before = atomic_load(&samples);
            uint64_t blocks = BLOCKS / (1 + sizes[s] / 2048);
            for (uint64_t i = 0; i < blocks; i++) {
                free(ways[w](sizes[s]));
            }
            expect_rate(
                atomic_load(&samples) - before, blocks, (double)sizes[s]);
        }
    }
}

/* A thread's traffic is known to the byte, samples or not. */
TEST(traffic_is_exact)
{
    unsigned tcache;
    size_t size = sizeof(tcache);
    REQUIRE(mallctl("tcache.create", &tcache, &size, NULL, 0) == 0);
    static void *blocks[1000];
    uint64_t allocated = get("thread.allocated");
    uint64_t deallocated = get("thread.deallocated");
    for (unsigned round = 0; round < 20; round++) {
        for (unsigned i = 0; i < 1000; i++) {
            blocks[i] = i % 3 == 0 ? mallocx(96, MALLOCX_TCACHE(tcache))
                                   : plain(i % 2 == 0 ? 320 : 20480);
        }
        uint64_t expected = 334 * 96 + 333 * 320 + 333 * 20480;
        EXPECT_EQ_U64(
            get("thread.allocated") - allocated, (round + 1) * expected);
        for (unsigned i = 0; i < 1000; i++) {
            free(blocks[i]);
        }
        EXPECT_EQ_U64(
            get("thread.deallocated") - deallocated, (round + 1) * expected);
    }
    set("tcache.destroy", &tcache, sizeof(tcache));
}

static void *until_sampled(void *arg)
{
    uint64_t before = atomic_load(&samples);
    (void)arg;
    free(plain(64));
    while (atomic_load(&samples) == before) {
        free(plain(64)); /* never beyond the fast path */
    }
    return NULL;
}

static void *turn_of_silence(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < 100000; i++) {
        free(plain(64));
    }
    return NULL;
}

TEST(running_threads_follow_the_rate)
{
    listen();
    size_t seldom = 50;
    set("prof.reset", &seldom, sizeof(seldom));
    uint64_t before = atomic_load(&samples);
    turn_of_silence(NULL);
    EXPECT_EQ_U64(atomic_load(&samples), before);
    pthread_t thread;
    REQUIRE(pthread_create(&thread, NULL, until_sampled, NULL) == 0);
    nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    size_t often = 12;
    set("prof.reset", &often, sizeof(often));
    EXPECT_EQ_I64(pthread_join(thread, NULL), 0);
}

TEST(each_allocation_or_none)
{
    listen();
    size_t each = 0;
    bool off = false;
    bool on = true;
    set("prof.reset", &each, sizeof(each));
    uint64_t before = atomic_load(&samples);
    turn_of_silence(NULL);
    EXPECT_EQ_U64(atomic_load(&samples) - before, 100000);
    set("prof.active", &off, sizeof(off));
    before = atomic_load(&samples);
    turn_of_silence(NULL);
    EXPECT_EQ_U64(atomic_load(&samples) - before, 0);
    set("prof.active", &on, sizeof(on));
    turn_of_silence(NULL);
    EXPECT_GE_U64(atomic_load(&samples) - before, 100000 - 1);
    size_t usual = 12;
    set("prof.reset", &usual, sizeof(usual));
}

int main(void)
{
    return test_run(TEST_CASE(each_way_is_sampled), TEST_CASE(traffic_is_exact),
        TEST_CASE(running_threads_follow_the_rate),
        TEST_CASE(each_allocation_or_none), TEST_CASE(traffic_is_exact), NULL);
}
