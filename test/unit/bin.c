/*
 * What: one bin over a page store of its own: batches out and back, which
 * slab serves first, which one goes back, what a double free says, and
 * threads against one bin.
 *
 * Invariants: (I1) every live region carries a tag that nobody else writes.
 *
 * Locking: the bin's.
 */
#include "arena/bin.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "conf/conf_boot.h"
#include "harness.h"
#include "util/prng.h"

#define TEST_ARENA 4001

static page_store_t store;
static bin_t bin;

static void begin_with(extent_hooks_t *hooks, size_t size)
{
    je_free(je_malloc(1)); /* boots */
    memset(&store, 0, sizeof(store));
    page_store_init(&store, TEST_ARENA, hooks, -1, 0, 0);
    bin_init(&bin, sizeclass_index(size) + 1, 0);
}

static void begin(size_t size)
{
    begin_with(&extent_hooks_default, size);
}

static void end(void)
{
    bin_check(&bin);
    page_store_check(&store);
    bin_reset(&bin, &store);
    bin_check(&bin);
    EXPECT_EQ_U64(atomic_get_relaxed(&store.active_bytes), 0);
    page_store_destroy(&store);
}

static bin_return_t return_of(void *p)
{
    extent_t *slab = extent_map_find(p);
    REQUIRE(slab != NULL);
    unsigned class_byte = extent_word_class(extent_word(slab));
    unsigned region = slab_region_of(slab, slab_shape(class_byte), p);
    REQUIRE(region != SLAB_NO_REGION);
    return (bin_return_t){slab, 1ULL << (region % 64), region / 64};
}

/* Gives blocks back, each as an entry of its own. */
static void flush(void **blocks, unsigned count)
{
    while (count != 0) {
        bin_return_t returns[BIN_FLUSH_MAX];
        unsigned batch = count < BIN_FLUSH_MAX ? count : BIN_FLUSH_MAX;
        for (unsigned i = 0; i < batch; i++) {
            returns[i] = return_of(blocks[i]);
        }
        uint64_t word = extent_word(return_of(blocks[0]).slab);
        EXPECT_EQ_U64(
            bin_flush(&bin, &store, returns, batch, word & EXTENT_BIN_MASK, 0),
            0);
        blocks += batch;
        count -= batch;
    }
}

static void fill(void **out, unsigned want)
{
    REQUIRE(bin_fill(&bin, &store, out, want, 0) == want);
}

TEST(a_fresh_slab_from_its_start)
{
    for (unsigned c = 1; c <= SC_SMALL_COUNT; c++) {
        begin(sizeclass_size(c - 1));
        const sizeclass_slab_t *shape = slab_shape(c);
        void *p[SLAB_REGIONS_MAX];
        fill(p, shape->regions);
        for (unsigned i = 1; i < shape->regions; i++) {
            EXPECT_EQ_PTR(p[i], (char *)p[i - 1] + shape->region_bytes);
        }
        EXPECT_EQ_U64(extent_map_class(p[0]), c);
        EXPECT_EQ_U64(extent_map_class(p[shape->regions - 1]), c);
        EXPECT_EQ_U64(bin.stats.curslabs, 1);
        EXPECT_EQ_U64(bin.stats.nslabs, 1);
        EXPECT_EQ_U64(bin.stats.curregs, shape->regions);
        end();
    }
}

/* opt.san_guard_small: each third slab has guard pages, and no other. */
TEST(every_third_slab_is_guarded)
{
    begin(1024);
    conf_opt_t before = opt;
    conf_opt_t changed = opt;
    changed.san_guard_small = 3;
    conf_reset_for_test(&changed);
    for (unsigned i = 0; i < 9; i++) {
        void *p[4];
        fill(p, 4);
        EXPECT_EQ_U64(
            extent_has(extent_map_find(p[0]), EXTENT_GUARDED), i % 3 == 2);
    }
    conf_reset_for_test(&before);
    EXPECT_EQ_U64(bin.stats.curslabs, 9);
    end();
}

TEST(counters)
{
    begin(64);
    void *p[100];
    EXPECT_EQ_U64(bin_fill(&bin, &store, p, 100, 7), 100);
    EXPECT_EQ_U64(bin_fill(&bin, &store, p, 0, 2), 0);
    bin_return_t entry = return_of(p[0]);
    uint64_t word = extent_word(entry.slab) & EXTENT_BIN_MASK;
    entry.bits = 0xff; /* eight neighbours in one entry */
    EXPECT_EQ_U64(bin_flush(&bin, &store, &entry, 1, word, 5), 0);
    EXPECT_EQ_U64(bin.stats.nmalloc, 100);
    EXPECT_EQ_U64(bin.stats.ndalloc, 8);
    EXPECT_EQ_U64(bin.stats.curregs, 92);
    EXPECT_EQ_U64(bin.stats.nrequests, 14);
    EXPECT_EQ_U64(bin.stats.nfills, 2);
    EXPECT_EQ_U64(bin.stats.nflushes, 1);
    EXPECT_EQ_U64(bin.stats.nslabs, 2);
    EXPECT_EQ_U64(bin.stats.curslabs, 2);
    EXPECT_EQ_U64(bin.stats.nonfull_slabs, 1);
    EXPECT_EQ_U64(bin.stats.nreslabs, 0);
    end();
}

/* Four regions a slab; the current one is the highest. */
TEST(lowest_address_first)
{
    begin(1024);
    void *p[16];
    fill(p, 16);
    void *low = p[1];
    void *middle = p[6];
    flush(&middle, 1);
    flush(&low, 1);
    EXPECT_EQ_U64(bin.stats.nonfull_slabs, 2);
    void *q[2];
    fill(q, 2);
    EXPECT_EQ_PTR(q[0], low);
    EXPECT_EQ_PTR(q[1], middle);
    EXPECT_EQ_U64(bin.stats.nreslabs, 2);
    EXPECT_EQ_U64(bin.stats.nslabs, 4);
    end();
}

TEST(empty_slabs_go_back)
{
    begin(1024);
    void *p[12];
    fill(p, 12);
    EXPECT_EQ_U64(atomic_get_relaxed(&store.active_bytes), 3 * PAGE);
    flush(p, 3);
    EXPECT_EQ_U64(bin.stats.curslabs, 3);
    flush(p + 3, 1);
    EXPECT_EQ_U64(bin.stats.curslabs, 2);
    EXPECT_EQ_U64(bin.stats.nonfull_slabs, 0);
    EXPECT_EQ_U64(atomic_get_relaxed(&store.active_bytes), 2 * PAGE);
    EXPECT_EQ_U64(extent_map_class(p[0]), 0);
    EXPECT_EQ_PTR(extent_map_find(p[0]), NULL);
    /* But not the current one. */
    flush(p + 4, 8);
    EXPECT_EQ_U64(bin.stats.curslabs, 1);
    EXPECT_EQ_U64(bin.stats.curregs, 0);
    EXPECT_EQ_U64(extent_map_class(p[11]), bin.class_byte);
    end();
}

/* What belongs to another bin stays in the batch, at its front. */
TEST(only_its_own)
{
    begin(512);
    bin_t other;
    bin_init(&other, bin.class_byte, 1);
    void *p[4];
    void *q[4];
    fill(p, 4);
    EXPECT_EQ_U64(bin_fill(&other, &store, q, 4, 0), 4);
    bin_return_t returns[8];
    for (unsigned i = 0; i < 4; i++) {
        returns[2 * i] = return_of(p[i]);
        returns[2 * i + 1] = return_of(q[i]);
    }
    uint64_t word = extent_word(returns[0].slab) & EXTENT_BIN_MASK;
    uint64_t other_word = extent_word(returns[1].slab) & EXTENT_BIN_MASK;
    EXPECT_NE_U64(word, other_word);
    EXPECT_EQ_U64(bin_flush(&bin, &store, returns, 8, word, 0), 4);
    for (unsigned i = 0; i < 4; i++) {
        EXPECT_EQ_PTR(returns[i].slab, extent_map_find(q[i]));
        EXPECT_EQ_U64(returns[i].bits, return_of(q[i]).bits);
    }
    EXPECT_EQ_U64(bin.stats.curregs, 0);
    EXPECT_EQ_U64(other.stats.curregs, 4);
    EXPECT_EQ_U64(bin_flush(&other, &store, returns, 4, other_word, 0), 0);
    bin_check(&other);
    bin_reset(&other, &store);
    end();
}

/* ---- misuse ---- */

static void free_twice(void *p)
{
    flush(&p, 1);
    flush(&p, 1);
}

TEST(double_free_ends_the_process)
{
    begin(1024);
    void *p[4];
    fill(p, 4);
    char message[128];
    snprintf(message, sizeof(message),
        "<jemalloc>: double free of %p: a block of size class 1024, free "
        "already\n",
        p[2]);
    static test_child_t child;
    child = test_in_child(free_twice, p[2]);
    EXPECT(WIFSIGNALED(child.status) && WTERMSIG(child.status) == SIGABRT);
    EXPECT_EQ_STR(child.err, message);
    end();
}

static unsigned reports;

static void count_report(const char *message)
{
    (void)message;
    reports++;
}

static void no_sink(const char *message)
{
    (void)message;
}

/* Where the program goes on, nothing is counted twice. */
TEST(double_free_survived)
{
    begin(1024);
    fail_set_sink(no_sink);
    fail_set_safety_abort(count_report);
    reports = 0;
    void *p[8];
    fill(p, 8);
    void *twice[] = {p[0], p[1], p[1], p[2], p[3], p[0]};
    flush(twice, 6);
    EXPECT_EQ_U64(reports, 1);
    EXPECT_EQ_U64(bin.stats.ndalloc, 4);
    EXPECT_EQ_U64(bin.stats.curregs, 4);
    EXPECT_EQ_U64(bin.stats.curslabs, 1);
    bin_check(&bin);
    flush(p + 4, 1);
    flush(p + 4, 1);
    EXPECT_EQ_U64(reports, 2);
    EXPECT_EQ_U64(bin.stats.curregs, 3);
    fail_set_sink(NULL);
    fail_set_safety_abort(NULL);
    end();
}

/* ---- no memory ---- */

static unsigned allowed;

static void *few(extent_hooks_t *hooks, void *addr, size_t size,
    size_t alignment, bool *zero, bool *commit, unsigned arena_ind)
{
    (void)hooks;
    if (allowed == 0) {
        return NULL;
    }
    allowed--;
    return extent_hooks_default.alloc(
        &extent_hooks_default, addr, size, alignment, zero, commit, arena_ind);
}

TEST(out_of_memory)
{
    static extent_hooks_t hooks;
    hooks = extent_hooks_default;
    hooks.alloc = few;
    void *p[4096];
    for (unsigned n = 0; n < 3; n++) {
        allowed = n;
        begin_with(&hooks, 14336);
        store.grow_next = PAGES(7);
        store.grow_limit = PAGES(7);
        unsigned got = bin_fill(&bin, &store, p, 16, 0);
        /* A step is one slab of two, or what a large system page holds. */
        size_t step = bits_round_up(PAGES(7), os_page_size());
        EXPECT_EQ_U64(got, n * (step / PAGES(7)) * 2);
        EXPECT_EQ_U64(bin.stats.curregs, got);
        EXPECT_EQ_U64(bin_fill(&bin, &store, p + got, 1, 0), 0);
        bin_check(&bin);
        flush(p, got);
        end();
    }
}

/* ---- at random ---- */

#define LIVE 2000

TEST(at_random)
{
    uint64_t random = 42;
    static void *live[LIVE];
    for (unsigned c = 1; c <= SC_SMALL_COUNT; c++) {
        begin(sizeclass_size(c - 1));
        unsigned count = 0;
        for (unsigned round = 0; round < 150; round++) {
            unsigned n = 1 + (unsigned)prng_bits(&random, 6);
            if (prng_bits(&random, 1) == 0 && count + n <= LIVE) {
                fill(live + count, n);
                for (unsigned i = count; i < count + n; i++) {
                    *(void **)live[i] = live[i];
                }
                count += n;
            } else {
                for (n = n < count ? n : count; n != 0; n--) {
                    unsigned i = (unsigned)prng_bits(&random, 32) % count;
                    EXPECT_EQ_PTR(*(void **)live[i], live[i]);
                    flush(&live[i], 1);
                    live[i] = live[--count];
                }
            }
            EXPECT_EQ_U64(bin.stats.curregs, count);
            bin_check(&bin);
        }
        flush(live, count);
        EXPECT_LE_U64(bin.stats.curslabs, 1);
        end();
    }
}

/* ---- threads ---- */

#define THREADS 4
#define BATCH   40

static void *hammer(void *arg)
{
    uint64_t random = (uintptr_t)arg;
    void *live[4 * BATCH];
    unsigned count = 0;
    for (unsigned i = 0; i < 3000; i++) {
        unsigned n = 1 + (unsigned)prng_bits(&random, 5);
        if (count + n <= 4 * BATCH && prng_bits(&random, 1) == 0) {
            unsigned got = bin_fill(&bin, &store, live + count, n, n);
            REQUIRE(got == n);
            for (; n != 0; n--) {
                *(uint64_t *)live[count++] = (uintptr_t)arg;
            }
        } else {
            n = n < count ? n : count;
            for (unsigned k = count - n; k < count; k++) {
                EXPECT_EQ_U64(*(uint64_t *)live[k], (uintptr_t)arg);
            }
            flush(live + count - n, n);
            count -= n;
        }
    }
    flush(live, count);
    return NULL;
}

TEST(threads)
{
    const size_t sizes[] = {8, 80, 1024, 4096, 14336};
    for (unsigned s = 0; s < 5; s++) {
        begin(sizes[s]);
        pthread_t threads[THREADS];
        for (uintptr_t i = 0; i < THREADS; i++) {
            REQUIRE(pthread_create(&threads[i], NULL, hammer,
                        (void *)(i + 1)) == 0); /* NOLINT */
        }
        for (unsigned i = 0; i < THREADS; i++) {
            pthread_join(threads[i], NULL);
        }
        EXPECT_EQ_U64(bin.stats.curregs, 0);
        EXPECT_EQ_U64(bin.stats.nmalloc, bin.stats.ndalloc);
        EXPECT_EQ_U64(bin.stats.nrequests, bin.stats.nmalloc);
        end();
    }
}

int main(void)
{
    return test_run(TEST_CASE(a_fresh_slab_from_its_start),
        TEST_CASE(every_third_slab_is_guarded), TEST_CASE(counters),
        TEST_CASE(lowest_address_first), TEST_CASE(empty_slabs_go_back),
        TEST_CASE(only_its_own), TEST_CASE(double_free_ends_the_process),
        TEST_CASE(double_free_survived), TEST_CASE(out_of_memory),
        TEST_CASE(at_random), TEST_CASE(threads), NULL);
}
