/*
 * What: the controls of the calling thread: live counters, peaks, functions
 * called after so many bytes, the limits of its cache.
 *
 * Invariants: (I1) counters read through pointers agree with those read by
 * name, call by call.
 *
 * Locking: none.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/types.h>

#include "harness.h"
#include "jemalloc/jemalloc.h"

const char *je_malloc_conf = "narenas:2,abort_conf:true,tcache_max:16384";

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static int act(const char *name)
{
    return je_mallctl(name, NULL, NULL, NULL, 0);
}

static int get(const char *name, void *value, size_t size)
{
    return je_mallctl(name, value, &size, NULL, 0);
}

static int set(const char *name, const void *value, size_t size)
{
    return je_mallctl(name, NULL, NULL, (void *)(uintptr_t)value, size);
}

static uint64_t get_u64(const char *name)
{
    uint64_t value = 0;
    EXPECT_EQ_I64(get(name, &value, sizeof(value)), 0);
    return value;
}

static void in_thread(void *(*body)(void *), void *arg)
{
    pthread_t thread;
    REQUIRE(pthread_create(&thread, NULL, body, arg) == 0);
    REQUIRE(pthread_join(thread, NULL) == 0);
}

/* ---- counters ---- */

/* Calls of all kinds and sizes; what is allocated is freed. */
static void use_everything(unsigned tcache)
{
    static const size_t sizes[] = {
        1, 100, 4096, 5000, 14336, 16384, 32768, 100000, 1 << 20, 9 << 20};
    for (size_t i = 0; i < COUNT(sizes); i++) {
        size_t n = sizes[i];
        void *p = je_malloc(n);
        p = je_realloc(p, n + n / 2);
        p = je_realloc(p, n);
        je_free(p);
        je_sdallocx(je_mallocx(n, MALLOCX_ZERO), n, 0);
        je_free(je_calloc(2, n));
        je_free(je_aligned_alloc(64, n));
        je_dallocx(je_mallocx(n, MALLOCX_TCACHE_NONE), MALLOCX_TCACHE_NONE);
        je_dallocx(
            je_mallocx(n, MALLOCX_TCACHE(tcache)), MALLOCX_TCACHE(tcache));
    }
}

static void *follow_counters(void *arg)
{
    uint64_t *allocated = NULL;
    uint64_t *deallocated = NULL;
    unsigned tcache = 0;
    bool watch = *(bool *)arg;
    EXPECT_EQ_I64(get("tcache.create", &tcache, sizeof(tcache)), 0);
    if (watch) {
        EXPECT_EQ_I64(
            get("thread.allocatedp", &allocated, sizeof(allocated)), 0);
        EXPECT_EQ_I64(
            get("thread.deallocatedp", &deallocated, sizeof(deallocated)), 0);
        REQUIRE(allocated != NULL && deallocated != NULL);
        EXPECT_EQ_U64(*allocated, get_u64("thread.allocated"));
    }
    uint64_t before[] = {
        get_u64("thread.allocated"), get_u64("thread.deallocated")};
    use_everything(tcache);
    uint64_t after[] = {
        get_u64("thread.allocated"), get_u64("thread.deallocated")};
    EXPECT_EQ_U64(after[0] - before[0], after[1] - before[1]);
    static uint64_t unwatched;
    if (watch) {
        EXPECT_EQ_U64(*allocated, after[0]);
        EXPECT_EQ_U64(*deallocated, after[1]);
        EXPECT_EQ_U64(after[0] - before[0], unwatched);
        void *p = je_malloc(100);
        EXPECT_EQ_U64(*allocated - after[0], 112);
        je_free(p);
        EXPECT_EQ_U64(*deallocated - after[1], 112);
        p = je_malloc(100000);
        size_t old = je_malloc_usable_size(p);
        size_t now = je_xallocx(p, 50000, 0, 0);
        EXPECT_LT_U64(now, old);
        EXPECT_EQ_U64(*allocated - after[0], 112 + old + now);
        EXPECT_EQ_U64(*deallocated - after[1], 112 + old);
        je_free(p);
    } else {
        unwatched = after[0] - before[0];
    }
    EXPECT_EQ_I64(set("tcache.destroy", &tcache, sizeof(tcache)), 0);
    return NULL;
}

TEST(counters)
{
    bool watch = false;
    in_thread(follow_counters, &watch);
    watch = true;
    in_thread(follow_counters, &watch);
}

static void *follow_without_cache(void *arg)
{
    bool off = false;
    bool on = true;
    uint64_t *allocated = NULL;
    (void)arg;
    EXPECT_EQ_I64(get("thread.allocatedp", &allocated, sizeof(allocated)), 0);
    REQUIRE(allocated != NULL);
    EXPECT_EQ_I64(set("thread.tcache.enabled", &off, sizeof(off)), 0);
    uint64_t before = *allocated;
    je_free(je_malloc(100));
    EXPECT_EQ_U64(*allocated - before, 112);
    EXPECT_EQ_I64(set("thread.tcache.enabled", &on, sizeof(on)), 0);
    je_free(je_malloc(100));
    EXPECT_EQ_U64(*allocated - before, 224);
    EXPECT_EQ_U64(*allocated, get_u64("thread.allocated"));
    return NULL;
}

TEST(counters_without_cache)
{
    in_thread(follow_without_cache, NULL);
}

/* Of a size that the thread itself never asked its cache for. */
static void *free_unasked(void *arg)
{
    uint64_t before = get_u64("thread.deallocated");
    je_free(arg);
    EXPECT_EQ_U64(get_u64("thread.deallocated") - before, 224);
    return NULL;
}

TEST(blocks_of_others)
{
    in_thread(free_unasked, je_malloc(224));
}

/* ---- peak ---- */

static void *climb(void *arg)
{
    (void)arg;
    EXPECT_EQ_I64(act("thread.peak.reset"), 0);
    EXPECT_EQ_U64(get_u64("thread.peak.read"), 0);
    void *p = je_malloc(100000);
    void *q = je_malloc(100);
    size_t held = je_malloc_usable_size(p) + je_malloc_usable_size(q);
    je_free(p);
    EXPECT_EQ_U64(get_u64("thread.peak.read"), held);
    EXPECT_EQ_I64(act("thread.peak.reset"), 0);
    je_free(q);
    EXPECT_EQ_U64(get_u64("thread.peak.read"), 0);
    p = je_malloc(50);
    EXPECT_EQ_U64(get_u64("thread.peak.read"), 0);
    q = je_malloc(500);
    EXPECT_EQ_U64(get_u64("thread.peak.read"), 512 + 64 - 112);
    je_free(p);
    je_free(q);
    EXPECT_EQ_I64(set("thread.peak.reset", &held, sizeof(held)), EPERM);
    EXPECT_EQ_I64(set("thread.peak.read", &held, sizeof(held)), EPERM);
    return NULL;
}

/* Before anybody asked, the peak is noted now and then only. */
static void *climb_unseen(void *arg)
{
    (void)arg;
    void *blocks[200];
    for (size_t i = 0; i < COUNT(blocks); i++) {
        blocks[i] = je_malloc(40960);
    }
    for (size_t i = 0; i < COUNT(blocks); i++) {
        je_free(blocks[i]);
    }
    EXPECT_LE_U64(get_u64("thread.peak.read"), 200 * 40960);
    EXPECT_GE_U64(get_u64("thread.peak.read"), 100 * 40960);
    return NULL;
}

TEST(peak)
{
    in_thread(climb, NULL);
    in_thread(climb_unseen, NULL);
}

/* ---- functions ---- */

typedef struct {
    void (*call)(bool is_alloc, uint64_t allocated, uint64_t deallocated);
    uint64_t interval;
    bool is_alloc_only;
} event_t;

static _Thread_local unsigned allocs;
static _Thread_local unsigned frees;
static _Thread_local unsigned rare;
static atomic_uint anywhere;
static unsigned active;

static void on_event(bool is_alloc, uint64_t allocated, uint64_t deallocated)
{
    *(is_alloc ? &allocs : &frees) += 1;
    EXPECT_EQ_U64(allocated, get_u64("thread.allocated"));
    EXPECT_EQ_U64(deallocated, get_u64("thread.deallocated"));
    je_free(je_malloc(1000)); /* not counted, not followed */
    atomic_fetch_add(&anywhere, 1);
}

static void on_rare(bool is_alloc, uint64_t allocated, uint64_t deallocated)
{
    (void)allocated;
    (void)deallocated;
    EXPECT(is_alloc);
    rare++;
}

static void on_activity(void *context, uint64_t allocated, uint64_t freed)
{
    (void)allocated;
    (void)freed;
    *(unsigned *)context += 1;
}

static void *allocate_a_mebibyte(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < 1024; i++) {
        je_free(je_malloc(1024));
    }
    EXPECT_EQ_U64(allocs, 1024 / 64);
    EXPECT_EQ_U64(frees, 1024 / 64);
    EXPECT_EQ_U64(rare, 1);
    return NULL;
}

static atomic_int stage;

/* A thread that is there already, with its door open. */
static void *be_there(void *arg)
{
    (void)arg;
    void *kept[20];
    for (size_t i = 0; i < COUNT(kept); i++) {
        kept[i] = je_malloc(2048);
    }
    for (size_t i = 0; i < COUNT(kept); i++) {
        je_free(kept[i]);
    }
    atomic_store(&stage, 1);
    while (atomic_load(&stage) != 2) {
    }
    for (unsigned i = 0; i < 1024; i++) {
        je_free(je_malloc(2048));
    }
    EXPECT_GE_U64(allocs, 2048 / 64 - 1);
    EXPECT_LE_U64(allocs, 2048 / 64 + 1);
    return NULL;
}

TEST(events)
{
    const char *name = "experimental.hooks.thread_event";
    event_t bad[] = {{NULL, 1, false}, {on_event, 0, false}};
    event_t event = {on_event, 65536, false};
    event_t other = {on_rare, 1 << 20, true};
    pthread_t thread;
    EXPECT_EQ_I64(act(name), EINVAL);
    EXPECT_EQ_I64(set(name, &bad[0], sizeof(bad[0])), EINVAL);
    EXPECT_EQ_I64(set(name, &bad[1], sizeof(bad[1])), EINVAL);
    EXPECT_EQ_I64(set(name, &event, sizeof(event) - 1), EINVAL);
    REQUIRE(pthread_create(&thread, NULL, be_there, NULL) == 0);
    while (atomic_load(&stage) != 1) {
    }
    for (unsigned i = 0; i < 3; i++) {
        EXPECT_EQ_I64(set(name, &event, sizeof(event)), 0);
    }
    atomic_store(&stage, 2);
    REQUIRE(pthread_join(thread, NULL) == 0);
    EXPECT_EQ_I64(set(name, &other, sizeof(other)), 0);
    in_thread(allocate_a_mebibyte, NULL);
    unsigned calls = atomic_load(&anywhere);
    je_free(je_malloc(65536));
    EXPECT_EQ_U64(atomic_load(&anywhere), calls + 2);
    for (unsigned i = 2; i < 4; i++) {
        other.interval++;
        EXPECT_EQ_I64(set(name, &other, sizeof(other)), 0);
    }
    other.interval++;
    EXPECT_EQ_I64(set(name, &other, sizeof(other)), EINVAL);
    EXPECT_EQ_I64(set(name, &event, sizeof(event)), 0);
}

static void *with_activity(void *arg)
{
    struct {
        void (*call)(void *context, uint64_t allocated, uint64_t deallocated);
        void *context;
    } activity = {on_activity, &active}, old = {NULL, NULL};
    const char *name = "experimental.thread.activity_callback";
    size_t len = sizeof(old);
    (void)arg;
    EXPECT_EQ_I64(je_mallctl(name, &old, &len, &activity, sizeof(activity)), 0);
    EXPECT(old.call == NULL);
    for (unsigned i = 0; i < 1024; i++) {
        je_free(je_malloc(1024));
    }
    EXPECT_EQ_U64(active, 2048 / 64);
    EXPECT_EQ_I64(get(name, &old, sizeof(old)), 0);
    EXPECT(old.call == on_activity && old.context == &active);
    EXPECT_EQ_I64(set(name, &activity, 3), EINVAL);
    activity.call = NULL;
    EXPECT_EQ_I64(set(name, &activity, sizeof(activity)), 0);
    je_free(je_malloc(1 << 20));
    EXPECT_EQ_U64(active, 2048 / 64);
    return NULL;
}

TEST(activity)
{
    in_thread(with_activity, NULL);
}

/* ---- limits of the cache ---- */

static size_t limit_of(size_t size)
{
    size_t limit = 77;
    size_t len = sizeof(limit);
    EXPECT_EQ_I64(je_mallctl("thread.tcache.ncached_max.read_sizeclass", &limit,
                      &len, &size, sizeof(size)),
        0);
    return limit;
}

static int set_limits(const char *list)
{
    return set("thread.tcache.ncached_max.write", &list, sizeof(list));
}

static size_t set_max(size_t max)
{
    size_t now = 0;
    EXPECT_EQ_I64(set("thread.tcache.max", &max, sizeof(max)), 0);
    EXPECT_EQ_I64(get("thread.tcache.max", &now, sizeof(now)), 0);
    return now;
}

/* Blocks of a size that the cache holds after many were freed. */
static size_t cached_after_many(size_t size)
{
    void *blocks[300];
    uint64_t epoch = 1;
    size_t before = 0;
    size_t after = 0;
    const char *name = "stats.arenas.4096.tcache_bytes";
    EXPECT_EQ_I64(act("thread.tcache.flush"), 0);
    EXPECT_EQ_I64(set("epoch", &epoch, sizeof(epoch)), 0);
    EXPECT_EQ_I64(get(name, &before, sizeof(before)), 0);
    for (unsigned round = 0; round < 8; round++) {
        for (size_t i = 0; i < COUNT(blocks); i++) {
            blocks[i] = je_malloc(size);
        }
        for (size_t i = 0; i < COUNT(blocks); i++) {
            je_free(blocks[i]);
        }
    }
    EXPECT_EQ_I64(set("epoch", &epoch, sizeof(epoch)), 0);
    EXPECT_EQ_I64(get(name, &after, sizeof(after)), 0);
    return (after - before) / size;
}

static size_t cached_now(void)
{
    uint64_t epoch = 1;
    size_t bytes = 0;
    EXPECT_EQ_I64(set("epoch", &epoch, sizeof(epoch)), 0);
    EXPECT_EQ_I64(
        get("stats.arenas.4096.tcache_bytes", &bytes, sizeof(bytes)), 0);
    return bytes;
}

/* The largest class that a cache can have, and what lies beyond it. */
static void *change_top(void *arg)
{
    size_t max = 0;
    (void)arg;
    EXPECT_EQ_U64(set_max(32768), 32768);
    EXPECT_EQ_U64(limit_of(32768), 20);
    EXPECT_EQ_I64(set_limits("32769-50000:1"), 0);
    EXPECT_EQ_U64(limit_of(32768), 20);
    EXPECT_EQ_I64(set_limits("32768-50000:3"), 0);
    EXPECT_EQ_U64(limit_of(32768), 3);
    EXPECT_EQ_U64(limit_of(28672), 20);
    /* Who only looks keeps what is cached. */
    je_free(je_malloc(32768));
    size_t cached = cached_now();
    EXPECT_GE_U64(cached, 32768);
    EXPECT_EQ_I64(get("thread.tcache.max", &max, sizeof(max)), 0);
    EXPECT_EQ_U64(cached_now(), cached);
    EXPECT_EQ_U64(set_max(32768), 32768);
    EXPECT_EQ_U64(cached_now(), cached);
    return NULL;
}

TEST(limits_at_the_top)
{
    in_thread(change_top, NULL);
}

static void *change_limits(void *arg)
{
    size_t size = 32769;
    size_t limit;
    size_t len = sizeof(limit);
    const char *null = NULL;
    const char *name = "thread.tcache.ncached_max.read_sizeclass";
    static char endless[1001];
    (void)arg;
    EXPECT_EQ_U64(limit_of(16), 200);
    EXPECT_EQ_U64(limit_of(0), limit_of(8));
    EXPECT_EQ_U64(limit_of(16384), 20);
    EXPECT_EQ_U64(limit_of(20480), 0);
    EXPECT_EQ_I64(je_mallctl(name, &limit, &len, &size, sizeof(size)), EINVAL);
    EXPECT_EQ_I64(je_mallctl(name, &limit, &len, NULL, 0), EINVAL);
    EXPECT_EQ_I64(je_mallctl(name, &limit, &len, &size, 3), EINVAL);
    EXPECT_EQ_I64(set_limits("16-16:10"), 0);
    EXPECT_EQ_U64(limit_of(16), 10);
    EXPECT_EQ_U64(limit_of(17), 200);
    EXPECT_LE_U64(cached_after_many(16), 10);
    EXPECT_GT_U64(cached_after_many(16), 0);
    EXPECT_EQ_I64(
        set_limits("0x20-0100:0|100-200:8192|16-8:3|40000-50000:1|"), 0);
    EXPECT_EQ_U64(limit_of(32), 0);
    EXPECT_EQ_U64(limit_of(64), 0);
    EXPECT_EQ_U64(limit_of(80), 200);
    EXPECT_EQ_U64(limit_of(112), 8191);
    EXPECT_EQ_U64(limit_of(16), 10);
    EXPECT_EQ_U64(cached_after_many(64), 0);
    EXPECT_GT_U64(cached_after_many(112), 10);
    EXPECT_EQ_I64(set_limits("16-16:7|16:8"), EINVAL);
    EXPECT_EQ_I64(set_limits("16-16"), EINVAL);
    EXPECT_EQ_I64(set_limits("x"), EINVAL);
    EXPECT_EQ_I64(set_limits(""), 0);
    EXPECT_EQ_I64(set(name, NULL, 0), EINVAL);
    EXPECT_EQ_I64(
        set("thread.tcache.ncached_max.write", &null, sizeof(null)), EINVAL);
    EXPECT_EQ_I64(act("thread.tcache.ncached_max.write"), 0);
    memset(endless, '|', sizeof(endless) - 1);
    EXPECT_EQ_I64(set_limits(endless), EINVAL);
    EXPECT_EQ_U64(limit_of(16), 10);
    return NULL;
}

TEST(limits)
{
    in_thread(change_limits, NULL);
    EXPECT_EQ_U64(limit_of(16), 200);
}

static void *change_max(void *arg)
{
    size_t old = 0;
    size_t max = 100;
    size_t len = 3;
    bool flag = false;
    (void)arg;
    EXPECT_EQ_I64(
        je_mallctl("thread.tcache.max", &old, &len, &max, sizeof(max)), EINVAL);
    EXPECT_EQ_I64(set_limits("64-64:5"), 0);
    EXPECT_EQ_U64(set_max(1 << 30), 32768);
    EXPECT_EQ_U64(limit_of(32768), 20);
    EXPECT_EQ_U64(limit_of(64), 5);
    EXPECT_GT_U64(cached_after_many(32768), 0);
    EXPECT_EQ_U64(set_max(1000), 1024);
    EXPECT_EQ_U64(limit_of(1280), 0);
    EXPECT_EQ_U64(limit_of(1024) != 0, 1);
    EXPECT_EQ_U64(cached_after_many(1280), 0);
    EXPECT_EQ_U64(set_max(0), 8);
    len = sizeof(old);
    EXPECT_EQ_I64(
        je_mallctl("thread.tcache.max", &old, &len, &max, sizeof(max)), 0);
    EXPECT_EQ_U64(old, 8);
    EXPECT_EQ_I64(set("thread.tcache.enabled", &flag, sizeof(flag)), 0);
    EXPECT_EQ_U64(limit_of(64), 0);
    EXPECT_EQ_I64(set_limits("64-64:5"), ENOENT);
    flag = true;
    EXPECT_EQ_I64(set("thread.tcache.enabled", &flag, sizeof(flag)), 0);
    EXPECT_EQ_I64(get("thread.tcache.max", &old, sizeof(old)), 0);
    EXPECT_EQ_U64(old, 16384);
    EXPECT_EQ_U64(limit_of(64), 128);
    return NULL;
}

TEST(max)
{
    in_thread(change_max, NULL);
}

/* Limits come and go while blocks do. */
static void *churn_limits(void *arg)
{
    void *blocks[64] = {NULL};
    uint64_t seed = 5;
    (void)arg;
    for (unsigned i = 0; i < 20000; i++) {
        seed = seed * 6364136223846793005 + 1442695040888963407;
        void **slot = &blocks[seed >> 58];
        je_free(*slot);
        *slot = je_malloc((seed >> 30) % 40000);
        if (i % 100 == 0) {
            (void)set_max((seed >> 20) % 50000);
        } else if (i % 100 == 50) {
            EXPECT_EQ_I64(
                set_limits(i % 200 == 50 ? "0-5000:3" : "8-40000:0"), 0);
        }
    }
    for (size_t i = 0; i < COUNT(blocks); i++) {
        je_free(blocks[i]);
    }
    EXPECT_EQ_U64(get_u64("thread.allocated"), get_u64("thread.deallocated"));
    return NULL;
}

TEST(limits_while_busy)
{
    in_thread(churn_limits, NULL);
}

int main(void)
{
    return test_run(TEST_CASE(counters), TEST_CASE(counters_without_cache),
        TEST_CASE(blocks_of_others), TEST_CASE(peak), TEST_CASE(activity),
        TEST_CASE(limits), TEST_CASE(max), TEST_CASE(limits_while_busy),
        TEST_CASE(events), TEST_CASE(counters), TEST_CASE(limits_at_the_top),
        TEST_CASE(limits_while_busy), NULL);
}
