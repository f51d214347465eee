/*
 * What: one cache over an arena of its own: how stacks grow with misses,
 * what an overflow gives back, what idle classes keep, and that the byte
 * counts are exact at every moment.
 *
 * Invariants: (I1) the arena serves this cache alone, so its counters are
 * the cache's.
 *
 * Locking: none; the tests use one thread.
 */
#include "cache/tcache.h"

#include <string.h>

#include "arena/arena_table.h"
#include "cache/cache_slots.h"
#include "conf/conf_boot.h"
#include "harness.h"
#include "util/prng.h"

static arena_t *arena;
static tcache_t cache;

static void begin(void)
{
    je_free(je_malloc(1)); /* boots */
    int error;
    arena = arena_table_create(&extent_hooks_default, true, &error);
    REQUIRE(arena != NULL);
    tcache_init(&cache, arena, 0, NULL);
}

/* Everything is home: nothing is live in the arena. */
static void end(void)
{
    tcache_fini(&cache);
    arena_check(arena);
    for (unsigned c = 1; c <= SC_SMALL_COUNT; c++) {
        EXPECT_EQ_U64(arena_bin(arena, c, 0)->stats.curregs, 0);
    }
    EXPECT_EQ_U64(arena->large.allocated_bytes, 0);
    EXPECT_EQ_I64(arena_table_destroy(arena->ind), 0);
}

static void *pop(unsigned c)
{
    void *p = cache_bins_pop(&cache.bins, c);
    return p != NULL ? p : tcache_refill(&cache, c);
}

static void push(unsigned c, void *p)
{
    if (!cache_bins_push(&cache.bins, c, p)) {
        tcache_overflow(&cache, c, p);
    }
}

static unsigned class_of(size_t size)
{
    return sizeclass_index(size) + 1;
}

TEST(limits_are_as_documented)
{
    begin();
    for (unsigned c = 1; c <= SC_SMALL_COUNT; c++) {
        unsigned twice = 2 * slab_shape(c)->regions;
        unsigned expected = twice < 20 ? 20 : twice > 200 ? 200 : twice;
        EXPECT_EQ_U64(tcache_class_max(c), expected);
    }
    for (unsigned c = SC_SMALL_COUNT + 1; c <= TCACHE_CLASS_COUNT; c++) {
        EXPECT_EQ_U64(tcache_class_max(c), 20);
    }
    EXPECT_EQ_U64(tcache_max_class(), TCACHE_CLASS_COUNT);
    EXPECT_EQ_U64(tcache_class_max(0), 0);
    end();
}

/* Each miss in a row brings twice as many, up to half of the maximum. */
/* Fills double up to `most`, half of what the class may grow to. */
static void expect_growing_fills(unsigned most)
{
    begin();
    unsigned c = class_of(64);
    bin_t *bin = arena_bin(arena, c, 0);
    unsigned batch = 4;
    unsigned live = 0;
    void *p[2000];
    for (unsigned fill = 1; fill <= 10; fill++) {
        uint64_t before = bin->stats.nmalloc;
        p[live++] = pop(c);
        EXPECT_EQ_U64(bin->stats.nmalloc - before, batch);
        EXPECT_EQ_U64(bin->stats.nfills, fill);
        EXPECT_EQ_U64(tcache_cached(&cache, c), batch - 1);
        while (tcache_cached(&cache, c) != 0) {
            p[live++] = pop(c);
        }
        batch = batch * 2 > most ? most : batch * 2;
    }
    while (live != 0) {
        push(c, p[--live]);
    }
    EXPECT_LE_U64(tcache_cached(&cache, c), 2 * most);
    end();
}

TEST(fills_grow)
{
    expect_growing_fills(256); /* 32 KiB */
}

/* With many threads it is the formula that holds. */
TEST(fills_grow_less_in_a_crowd)
{
    static tcache_t others[8];
    static cache_bins_t *doors[CACHE_DOORS];
    begin();
    end();
    for (unsigned i = 0; i < 8; i++) {
        tcache_init(&others[i], arena_table_first(), 0, doors);
    }
    expect_growing_fills(tcache_class_max(class_of(64)) / 2);
    for (unsigned i = 0; i < 8; i++) {
        tcache_fini(&others[i]);
    }
}

/* Who sets one number of the formula gets what it says, room or not. */
TEST(what_was_set_is_the_limit)
{
    begin();
    end();
    conf_opt_t former = opt;
    for (unsigned i = 0; i < 3; i++) {
        conf_opt_t changed = former;
        changed.lg_tcache_nslots_mul += i == 0;
        changed.tcache_nslots_small_min += i == 1 ? 2 : 0;
        changed.tcache_nslots_small_max -= i == 2 ? 2 : 0;
        conf_reset_for_test(&changed);
        tcache_boot();
        expect_growing_fills(tcache_class_max(class_of(64)) / 2);
    }
    conf_reset_for_test(&former);
    tcache_boot();
}

/* What was freed last is handed out first, lowest addresses come first. */
TEST(order)
{
    begin();
    unsigned c = class_of(64);
    char *a = pop(c);
    char *b = pop(c);
    EXPECT_EQ_PTR(b, a + 64);
    push(c, a);
    push(c, b);
    EXPECT_EQ_PTR(pop(c), b);
    EXPECT_EQ_PTR(pop(c), a);
    push(c, a);
    push(c, b);
    end();
}

/* A full stack gives the oldest half back and keeps the newest. */
TEST(overflow_gives_the_oldest_back)
{
    begin();
    unsigned c = class_of(2048);
    unsigned max = tcache_class_max(c);
    void *p[64];
    REQUIRE(max == 20);
    REQUIRE(arena_fill(arena, c, 0, p, 64, 0) == 64);
    unsigned cached = 0;
    for (unsigned i = 0; i < 64; i++) {
        push(c, p[i]);
        unsigned now = tcache_cached(&cache, c);
        EXPECT_LE_U64(now, max);
        EXPECT(now == cached + 1 || now < cached);
        cached = now;
        EXPECT_EQ_PTR(*cache.bins.heads[c], p[i]);
        EXPECT_EQ_U64(arena_bin(arena, c, 0)->stats.ndalloc + cached, i + 1);
    }
    EXPECT_EQ_U64(cache.cold[c].capacity, max);
    /* Those that are left are the newest, newest first. */
    for (unsigned i = 63; cached != 0; i--, cached--) {
        EXPECT_EQ_PTR(pop(c), p[i]);
        block_free(p[i]);
    }
    end();
}

TEST(idle_classes_shrink)
{
    begin();
    unsigned c = class_of(128);
    unsigned other = class_of(64);
    void *p[40];
    for (unsigned i = 0; i < 40; i++) {
        p[i] = pop(c);
    }
    for (unsigned i = 0; i < 40; i++) {
        push(c, p[i]);
    }
    push(other, pop(other));
    tcache_shrink_idle(&cache); /* both were used */
    unsigned cached = tcache_cached(&cache, c);
    unsigned batch = cache.cold[c].batch;
    EXPECT_GE_U64(cached, 20);
    push(other, pop(other));
    unsigned busy = tcache_cached(&cache, other);
    tcache_shrink_idle(&cache);
    EXPECT_EQ_U64(tcache_cached(&cache, c), cached / 4);
    EXPECT_EQ_U64(cache.cold[c].batch, batch / 2);
    EXPECT_EQ_U64(tcache_cached(&cache, other), busy);
    for (unsigned i = 0; i < 8; i++) {
        tcache_shrink_idle(&cache);
    }
    EXPECT_EQ_U64(tcache_cached(&cache, c), 0);
    EXPECT_EQ_U64(tcache_cached(&cache, other), 0);
    EXPECT_EQ_U64(cache.cold[c].batch, 0);
    /* And starts small again. */
    uint64_t before = arena_bin(arena, c, 0)->stats.nmalloc;
    push(c, pop(c));
    EXPECT_EQ_U64(arena_bin(arena, c, 0)->stats.nmalloc - before, 4);
    end();
}

/* ---- exact counts ---- */

static struct {
    void *live[400];
    unsigned class_byte[400];
    unsigned count;
    uint64_t allocated;
    uint64_t deallocated;
    uint64_t requests[TCACHE_BIN_COUNT];
} model;

static void check_traffic(void)
{
    uint64_t allocated;
    uint64_t deallocated;
    tcache_traffic(&cache, &allocated, &deallocated);
    EXPECT_EQ_U64(allocated, model.allocated);
    EXPECT_EQ_U64(deallocated, model.deallocated);
}

static void traffic_step(uint64_t *random)
{
    unsigned kind = (unsigned)prng_bits(random, 10);
    if (kind == 0) {
        tcache_flush(&cache);
    } else if (kind < 8) {
        tcache_shrink_idle(&cache);
    } else if (kind % 2 == 0 && model.count < 400) {
        unsigned c = 1 + (unsigned)prng_bits(random, 32) % TCACHE_CLASS_COUNT;
        void *p = pop(c);
        REQUIRE(p != NULL);
        *(uint64_t *)p = (uintptr_t)p;
        model.live[model.count] = p;
        model.class_byte[model.count++] = c;
        model.allocated += sizeclass_size(c - 1);
        model.requests[c]++;
    } else if (model.count != 0) {
        unsigned i = (unsigned)prng_bits(random, 32) % model.count;
        unsigned c = model.class_byte[i];
        EXPECT_EQ_U64(*(uint64_t *)model.live[i], (uintptr_t)model.live[i]);
        push(c, model.live[i]);
        model.deallocated += sizeclass_size(c - 1);
        model.live[i] = model.live[--model.count];
        model.class_byte[i] = model.class_byte[model.count];
    }
}

static void run_traffic(uint64_t seed, unsigned steps)
{
    memset(&model, 0, sizeof(model));
    tcache_traffic(&cache, &model.allocated, &model.deallocated);
    memcpy(model.requests, cache.bins.requests, sizeof(model.requests));
    for (unsigned i = 0; i < steps; i++) {
        traffic_step(&seed);
        check_traffic();
    }
    while (model.count != 0) {
        unsigned c = model.class_byte[--model.count];
        push(c, model.live[model.count]);
        model.deallocated += sizeclass_size(c - 1);
    }
    tcache_flush(&cache);
    check_traffic();
    EXPECT_EQ_U64(model.allocated, model.deallocated);
    for (unsigned c = 1; c <= SC_SMALL_COUNT; c++) {
        EXPECT_EQ_U64(
            arena_bin(arena, c, 0)->stats.nrequests, model.requests[c]);
    }
    for (unsigned c = SC_SMALL_COUNT + 1; c <= TCACHE_CLASS_COUNT; c++) {
        EXPECT_EQ_U64(arena->large.stats[c - 1 - SC_SMALL_COUNT].nrequests,
            model.requests[c]);
    }
}

TEST(traffic_is_exact)
{
    for (uint64_t seed = 1; seed <= 5; seed++) {
        begin();
        run_traffic(seed, 6000);
        end();
    }
}

/* ---- options ---- */

static void reboot(unsigned most, size_t tcache_max)
{
    conf_opt_t changed = opt;
    conf_ranges_t *list = &changed.tcache_ncached_max;
    list->n = 1;
    list->seg[0].start = 0;
    list->seg[0].end = TCACHE_MAX_LIMIT;
    list->seg[0].count = most;
    changed.tcache_max = tcache_max;
    conf_reset_for_test(&changed);
    tcache_boot();
}

/* A flush leaves no request uncounted, also where there is nothing to flush. */
TEST(requests_of_empty_stacks_are_noted)
{
    begin();
    unsigned c = class_of(64);
    void *p[200];
    unsigned count = 0;
    do {
        p[count++] = pop(c);
    } while (tcache_cached(&cache, c) != 0);
    tcache_flush(&cache);
    EXPECT_EQ_U64(arena_bin(arena, c, 0)->stats.nrequests, count);
    tcache_flush(&cache);
    EXPECT_EQ_U64(arena_bin(arena, c, 0)->stats.nrequests, count);
    while (count != 0) {
        push(c, p[--count]);
    }
    end();
}

/* Caches come and go without end: the stacks of all classes are reused. */
TEST(stacks_are_given_back)
{
    size_t before = 0;
    for (unsigned round = 0; round < 4; round++) {
        begin();
        for (unsigned c = 1; c < TCACHE_BIN_COUNT; c++) {
            push(c, pop(c));
            EXPECT_NE_PTR(cache.cold[c].bottom, NULL);
        }
        end();
        if (round == 0) {
            before = base_shared.allocated_bytes;
        }
    }
    EXPECT_EQ_U64(base_shared.allocated_bytes, before);
}

TEST(tiny_capacities)
{
    begin();
    end();
    conf_opt_t former = opt;
    for (unsigned most = 0; most <= 5; most++) {
        reboot(most, TCACHE_MAX_LIMIT);
        begin();
        EXPECT_EQ_U64(tcache_class_max(1), most);
        run_traffic(most, 3000);
        void *p[8];
        REQUIRE(arena_fill(arena, 3, 0, p, 8, 0) == 8);
        for (unsigned i = 0; i < 8; i++) {
            push(3, p[i]);
            EXPECT_LE_U64(tcache_cached(&cache, 3), most);
        }
        EXPECT(tcache_cached(&cache, 3) != 0 || most == 0);
        end();
    }
    conf_reset_for_test(&former);
    tcache_boot();
}

TEST(reach)
{
    begin();
    end();
    conf_opt_t former = opt;
    reboot(8, 4096);
    begin();
    EXPECT_EQ_U64(tcache_max_class(), class_of(4096));
    EXPECT_EQ_U64(tcache_class_max(class_of(4096)), 8);
    EXPECT_EQ_U64(tcache_class_max(class_of(5120)), 0);
    run_traffic(3, 2000);
    end();
    conf_reset_for_test(&former);
    tcache_boot();
}

/* ---- no memory for stacks ---- */

static void *no_memory(extent_hooks_t *hooks, void *addr, size_t size,
    size_t alignment, bool *zero, bool *commit, unsigned arena_ind)
{
    (void)hooks, (void)addr, (void)size, (void)alignment;
    (void)zero, (void)commit, (void)arena_ind;
    return NULL;
}

static void without_slots(void *arg)
{
    (void)arg;
    static extent_hooks_t refusing;
    begin();
    refusing = extent_hooks_default;
    refusing.alloc = no_memory;
    /* One class has its first stack; then there is no more memory. */
    push(5, pop(5));
    unsigned lg_words = cache.cold[5].lg_words;
    EXPECT(extent_pool_reserve(&arena->pages.pool, 2000));
    base_shared.hooks = &refusing;
    while (base_alloc(&base_shared, QUANTUM, QUANTUM) != NULL) {
    }
    for (unsigned lg = CACHE_SLOTS_LG_MIN; lg <= CACHE_SLOTS_LG_MAX; lg++) {
        while (cache_slots_alloc(lg) != NULL) {
        }
    }
    run_traffic(1, 3000);
    EXPECT_EQ_PTR(cache.cold[6].bottom, NULL);
    EXPECT_EQ_U64(cache.cold[5].lg_words, lg_words);
}

TEST(no_memory_for_stacks)
{
    static test_child_t child;
    child = test_in_child(without_slots, NULL);
    EXPECT_EQ_I64(child.status, 0);
    EXPECT_EQ_STR(child.err, "");
}

int main(void)
{
    return test_run(TEST_CASE(limits_are_as_documented), TEST_CASE(fills_grow),
        TEST_CASE(fills_grow_less_in_a_crowd),
        TEST_CASE(what_was_set_is_the_limit), TEST_CASE(order),
        TEST_CASE(overflow_gives_the_oldest_back),
        TEST_CASE(idle_classes_shrink), TEST_CASE(traffic_is_exact),
        TEST_CASE(requests_of_empty_stacks_are_noted),
        TEST_CASE(stacks_are_given_back), TEST_CASE(tiny_capacities),
        TEST_CASE(reach), TEST_CASE(no_memory_for_stacks), NULL);
}
