/*
 * What: the extended functions: mallocx, rallocx, xallocx, sallocx, dallocx,
 * sdallocx, nallocx, with every flag, explicit caches and arenas.
 *
 * Invariants: none beyond those of the functions.
 *
 * Locking: none.
 */
#include "harness.h"
#include <jemalloc/jemalloc.h>

#include <stdio.h>
#include <string.h>

#define MAXREQ (SIZE_MAX / 16 * 7 + 7)

static volatile size_t maxreq = MAXREQ;

static bool is_filled(const void *p, size_t from, size_t to, int value)
{
    const unsigned char *bytes = p;
    for (size_t i = from; i < to; i++) {
        if (bytes[i] != value) {
            return false;
        }
    }
    return true;
}

static unsigned arena_create(void)
{
    unsigned arena = 0;
    size_t length = sizeof(arena);
    EXPECT_EQ_I64(mallctl("arenas.create", &arena, &length, NULL, 0), 0);
    return arena;
}

static unsigned arena_of(void *p)
{
    unsigned arena = ~0u;
    size_t length = sizeof(arena);
    EXPECT_EQ_I64(mallctl("arenas.lookup", &arena, &length, &p, sizeof(p)), 0);
    return arena;
}

TEST(flag_bits)
{
    EXPECT_EQ_I64(MALLOCX_LG_ALIGN(12), 12);
    EXPECT_EQ_I64(MALLOCX_ALIGN(1), 0);
    EXPECT_EQ_I64(MALLOCX_ALIGN(4096), 12);
    EXPECT_EQ_I64(MALLOCX_ALIGN((size_t)1 << 31), 31);
#if SIZE_MAX > UINT32_MAX
    EXPECT_EQ_I64(MALLOCX_ALIGN((size_t)1 << 32), 32);
    EXPECT_EQ_I64(MALLOCX_ALIGN((size_t)1 << 40), 40);
#endif
    EXPECT_EQ_I64(MALLOCX_ZERO, 0x40);
    EXPECT_EQ_I64(MALLOCX_TCACHE(0), 0x200);
    EXPECT_EQ_I64(MALLOCX_TCACHE_NONE, 0x100);
    EXPECT_EQ_I64(MALLOCX_ARENA(0), 0x100000);
    EXPECT_EQ_I64(MALLCTL_ARENAS_ALL, 4096);
    EXPECT_EQ_I64(MALLCTL_ARENAS_DESTROYED, 4097);
}

TEST(mallocx_usable_is_nallocx)
{
    for (size_t size = 1; size < 3000000; size += 1 + size / 9) {
        for (int lg = 0; lg <= 17; lg += lg < 3 ? 3 : 1) {
            int flags = MALLOCX_LG_ALIGN(lg) | MALLOCX_ZERO;
            void *p = mallocx(size, flags);
            REQUIRE(p != NULL);
            EXPECT_EQ_U64((uintptr_t)p % ((size_t)1 << lg), 0);
            EXPECT_EQ_U64(sallocx(p, 0), nallocx(size, flags));
            EXPECT_EQ_U64(sallocx(p, flags), malloc_usable_size(p));
            EXPECT(is_filled(p, 0, size, 0));
            memset(p, 0xa7, sallocx(p, 0));
            sdallocx(p, size, MALLOCX_LG_ALIGN(lg));
        }
    }
}

TEST(limits)
{
    EXPECT_EQ_U64(nallocx(maxreq, 0), MAXREQ);
    EXPECT_EQ_U64(nallocx(maxreq + 1, 0), 0);
    EXPECT_EQ_U64(nallocx(SIZE_MAX, 0), 0);
    EXPECT_EQ_U64(nallocx(1, MALLOCX_LG_ALIGN(63)), 0);
    EXPECT_EQ_PTR(mallocx(maxreq + 1, 0), NULL);
    if (sizeof(void *) == 8) { /* in 4 GiB it may be there */
        EXPECT_EQ_PTR(mallocx(maxreq, 0), NULL);
    }
    EXPECT_EQ_PTR(mallocx(SIZE_MAX - maxreq + maxreq, 0), NULL);
    EXPECT_EQ_PTR(mallocx(1, MALLOCX_LG_ALIGN(63)), NULL);
    void *p = mallocx(100, 0);
    REQUIRE(p != NULL);
    memset(p, 0x11, 100);
    EXPECT_EQ_PTR(rallocx(p, maxreq + 1, 0), NULL);
    EXPECT_EQ_PTR(rallocx(p, 1, MALLOCX_LG_ALIGN(63)), NULL);
    EXPECT(is_filled(p, 0, 100, 0x11));
    dallocx(p, 0);
}

TEST(rallocx_keeps_and_zeroes)
{
    for (size_t from = 1; from < 1000000; from = from * 5 / 2 + 3) {
        for (size_t to = 1; to < 1000000; to = to * 5 / 2 + 4) {
            void *p = mallocx(from, 0);
            REQUIRE(p != NULL);
            size_t old = sallocx(p, 0);
            memset(p, 0x3c, old);
            p = rallocx(p, to, MALLOCX_ZERO);
            REQUIRE(p != NULL);
            size_t usable = sallocx(p, 0);
            EXPECT_EQ_U64(usable, nallocx(to, 0));
            EXPECT(is_filled(p, 0, old < to ? old : to, 0x3c));
            if (usable > old) {
                EXPECT(is_filled(p, old, usable, 0));
            }
            dallocx(p, 0);
        }
    }
}

TEST(rallocx_moves_for_alignment)
{
    void *keep[64];
    for (int i = 0; i < 64; i++) {
        void *p = mallocx(64, 0);
        REQUIRE(p != NULL);
        memset(p, i, 64);
        p = rallocx(p, 64, MALLOCX_ALIGN(8192));
        REQUIRE(p != NULL);
        EXPECT_EQ_U64((uintptr_t)p % 8192, 0);
        EXPECT(is_filled(p, 0, 64, i));
        keep[i] = p;
    }
    for (int i = 0; i < 64; i++) {
        sdallocx(keep[i], 64, MALLOCX_ALIGN(8192));
    }
}

TEST(rallocx_same_class_stays)
{
    void *p = mallocx(100, 0);
    REQUIRE(p != NULL);
    EXPECT_EQ_PTR(rallocx(p, 112, 0), p);
    EXPECT_EQ_PTR(rallocx(p, 97, 0), p);
    dallocx(p, 0);
}

TEST(xallocx_small)
{
    void *p = mallocx(100, 0);
    REQUIRE(p != NULL);
    EXPECT_EQ_U64(xallocx(p, 1, 0, 0), 112);
    EXPECT_EQ_U64(xallocx(p, 112, 0, 0), 112);
    EXPECT_EQ_U64(xallocx(p, 113, 0, 0), 112);
    EXPECT_EQ_U64(xallocx(p, 100, 1000, 0), 112);
    EXPECT_EQ_U64(xallocx(p, 20000, 0, 0), 112);
    EXPECT_EQ_U64(xallocx(p, maxreq + 1, 0, 0), 112);
    EXPECT_EQ_U64(xallocx(p, 1, SIZE_MAX - 1, 0), 112);
    EXPECT_EQ_U64(sallocx(p, 0), 112);
    dallocx(p, 0);
}

/* The largest of the small ones, too, has no pages of its own to grow. */
TEST(xallocx_between_small_and_large)
{
    size_t largest = nallocx(12289, 0);
    REQUIRE(largest < 16384);
    unsigned char *p[4];
    for (unsigned i = 0; i < 4; i++) {
        p[i] = mallocx(largest, 0);
        REQUIRE(p[i] != NULL);
        memset(p[i], (int)i + 1, largest);
    }
    for (unsigned i = 0; i < 4; i++) {
        EXPECT_EQ_U64(xallocx(p[i], 16384, 0, 0), largest);
        EXPECT_EQ_U64(xallocx(p[i], largest, 65536, MALLOCX_ZERO), largest);
        EXPECT_EQ_U64(sallocx(p[i], 0), largest);
    }
    for (unsigned i = 0; i < 4; i++) {
        EXPECT(is_filled(p[i], 0, largest, (int)i + 1));
        dallocx(p[i], 0);
    }
}

TEST(xallocx_large)
{
    size_t big = (size_t)4 << 20, small = (size_t)1 << 20;
    unsigned char *p = mallocx(big, 0);
    REQUIRE(p != NULL);
    memset(p, 0x42, big);
    size_t got = xallocx(p, small, 0, 0);
    EXPECT_EQ_U64(got, small); /* Default hooks let it shrink. */
    EXPECT_EQ_U64(sallocx(p, 0), got);
    EXPECT(is_filled(p, 0, got, 0x42));
    size_t grown = xallocx(p, small + 1, small, MALLOCX_ZERO);
    EXPECT(grown == small || (grown >= nallocx(small + 1, 0) &&
                                 grown <= nallocx(2 * small + 1, 0)));
    EXPECT(is_filled(p, 0, small, 0x42));
    EXPECT(is_filled(p, small, grown, 0));
    EXPECT_EQ_U64(sallocx(p, 0), grown);
    /* Never into the small range. */
    got = xallocx(p, 1, 0, 0);
    EXPECT_EQ_U64(got, grown);
    got = xallocx(p, 16384, 0, 0);
    EXPECT_EQ_U64(got, 16384);
    EXPECT_EQ_U64(xallocx(p, maxreq + 1, 0, 0), 16384);
    EXPECT_EQ_U64(xallocx(p, 16384, 0, MALLOCX_LG_ALIGN(40)), 16384);
    dallocx(p, 0);
}

/* With room behind the block, growing in place must succeed sometimes. */
TEST(xallocx_can_grow)
{
    unsigned grown = 0;
    for (int i = 0; i < 20; i++) {
        void *p = mallocx((size_t)2 << 20, 0);
        REQUIRE(p != NULL);
        REQUIRE(xallocx(p, (size_t)1 << 20, 0, 0) == (size_t)1 << 20);
        size_t got = xallocx(p, (size_t)2 << 20, 0, 0);
        grown += got == (size_t)2 << 20;
        dallocx(p, 0);
    }
    EXPECT_GT_U64(grown, 0);
}

/* Growth is zeroed from the old usable size on, slack bytes are kept. */
TEST(zero_spares_the_slack)
{
    unsigned char *p = mallocx(20000, MALLOCX_ZERO);
    REQUIRE(p != NULL);
    size_t usable = sallocx(p, 0);
    memset(p + 20000, 0x99, usable - 20000);
    p = rallocx(p, 200000, MALLOCX_ZERO);
    REQUIRE(p != NULL);
    EXPECT(is_filled(p, 0, 20000, 0));
    EXPECT(is_filled(p, 20000, usable, 0x99));
    EXPECT(is_filled(p, usable, sallocx(p, 0), 0));
    dallocx(p, 0);
}

TEST(explicit_caches)
{
    unsigned caches[5];
    void *blocks[5][40];
    for (int c = 0; c < 5; c++) {
        size_t length = sizeof(caches[c]);
        REQUIRE(mallctl("tcache.create", &caches[c], &length, NULL, 0) == 0);
        for (int other = 0; other < c; other++) {
            EXPECT_NE_U64(caches[c], caches[other]);
        }
    }
    for (int round = 0; round < 20; round++) {
        for (int c = 0; c < 5; c++) {
            for (int i = 0; i < 40; i++) {
                size_t size = (size_t)1 << (i % 15);
                blocks[c][i] = mallocx(size, (int)MALLOCX_TCACHE(caches[c]));
                REQUIRE(blocks[c][i] != NULL);
                memset(blocks[c][i], c, size);
            }
        }
        for (int c = 0; c < 5; c++) {
            for (int i = 0; i < 40; i++) {
                size_t size = (size_t)1 << (i % 15);
                int to = (int)MALLOCX_TCACHE(caches[(c + round) % 5]);
                EXPECT(is_filled(blocks[c][i], 0, size, c));
                if (i % 2 == 0) {
                    dallocx(blocks[c][i], to);
                } else {
                    sdallocx(blocks[c][i], size, to);
                }
            }
        }
        EXPECT_EQ_I64(mallctl("tcache.flush", NULL, NULL, &caches[round % 5],
                          sizeof(unsigned)),
            0);
    }
    for (int c = 0; c < 5; c++) {
        EXPECT_EQ_I64(
            mallctl("tcache.destroy", NULL, NULL, &caches[c], sizeof(unsigned)),
            0);
    }
    unsigned again = ~0u;
    size_t length = sizeof(again);
    REQUIRE(mallctl("tcache.create", &again, &length, NULL, 0) == 0);
    EXPECT_LE_U64(again, 4093);
    EXPECT_EQ_I64(
        mallctl("tcache.destroy", NULL, NULL, &again, sizeof(again)), 0);
}

TEST(explicit_cache_gives_back_last)
{
    unsigned cache = 0;
    size_t length = sizeof(cache);
    REQUIRE(mallctl("tcache.create", &cache, &length, NULL, 0) == 0);
    int flags = (int)MALLOCX_TCACHE(cache);
    void *p = mallocx(100, flags);
    void *own = mallocx(100, 0);
    REQUIRE(p != NULL && own != NULL);
    dallocx(p, flags);
    dallocx(own, 0);
    EXPECT_EQ_PTR(mallocx(100, flags), p); /* Last in, first out. */
    dallocx(p, flags);
    EXPECT_EQ_I64(
        mallctl("tcache.destroy", NULL, NULL, &cache, sizeof(cache)), 0);
}

/* What lies in a cache is given to nobody who does not name it. */
TEST(explicit_cache_keeps)
{
    static const size_t sizes[] = {100, 20000};
    static void *others[200];
    unsigned cache = 0;
    size_t length = sizeof(cache);
    REQUIRE(mallctl("tcache.create", &cache, &length, NULL, 0) == 0);
    int flags = (int)MALLOCX_TCACHE(cache);
    for (size_t s = 0; s < 2; s++) {
        void *p = mallocx(sizes[s], flags);
        REQUIRE(p != NULL);
        dallocx(p, flags);
        for (size_t i = 0; i < 200; i++) {
            others[i] = mallocx(sizes[s], MALLOCX_TCACHE_NONE);
            EXPECT(others[i] != p);
        }
        EXPECT_EQ_PTR(mallocx(sizes[s], flags), p);
        dallocx(p, flags);
        for (size_t i = 0; i < 200; i++) {
            dallocx(others[i], MALLOCX_TCACHE_NONE);
        }
    }
    EXPECT_EQ_I64(
        mallctl("tcache.destroy", NULL, NULL, &cache, sizeof(cache)), 0);
}

/* A flushed cache belongs to whoever uses it next, not to an arena's end. */
TEST(explicit_cache_outlives_its_arena)
{
    unsigned before;
    unsigned arena;
    unsigned cache;
    char name[64];
    size_t length = sizeof(arena);
    REQUIRE(mallctl("thread.arena", &before, &length, NULL, 0) == 0);
    REQUIRE(mallctl("arenas.create", &arena, &length, NULL, 0) == 0);
    REQUIRE(mallctl("thread.arena", NULL, NULL, &arena, sizeof(arena)) == 0);
    REQUIRE(mallctl("tcache.create", &cache, &length, NULL, 0) == 0);
    dallocx(mallocx(100, MALLOCX_TCACHE(cache)), MALLOCX_TCACHE(cache));
    REQUIRE(mallctl("thread.arena", NULL, NULL, &before, sizeof(before)) == 0);
    REQUIRE(mallctl("thread.tcache.flush", NULL, NULL, NULL, 0) == 0);
    REQUIRE(mallctl("tcache.flush", NULL, NULL, &cache, sizeof(cache)) == 0);
    (void)snprintf(name, sizeof(name), "arena.%u.destroy", arena);
    REQUIRE(mallctl(name, NULL, NULL, NULL, 0) == 0);
    for (int round = 0; round < 2; round++) {
        for (size_t size = 100; size <= 30000; size += 29900) {
            void *p = mallocx(size, MALLOCX_TCACHE(cache));
            EXPECT(p != NULL);
            dallocx(p, MALLOCX_TCACHE(cache));
        }
        EXPECT_EQ_I64(
            mallctl("tcache.flush", NULL, NULL, &cache, sizeof(cache)), 0);
        EXPECT_EQ_I64(
            mallctl("tcache.flush", NULL, NULL, &cache, sizeof(cache)), 0);
    }
    EXPECT_EQ_I64(
        mallctl("tcache.destroy", NULL, NULL, &cache, sizeof(cache)), 0);
}

TEST(arenas_are_kept_apart)
{
    unsigned arenas[3] = {arena_create(), arena_create(), arena_create()};
    static const size_t sizes[] = {8, 100, 4096, 14336, 20000, 1 << 20};

    for (int a = 0; a < 3; a++) {
        for (size_t i = 0; i < 6; i++) {
            int flags = MALLOCX_ARENA(arenas[a]) | MALLOCX_TCACHE_NONE;
            void *p = mallocx(sizes[i], flags);
            REQUIRE(p != NULL);
            EXPECT_EQ_U64(arena_of(p), arenas[a]);
            p = rallocx(p, sizes[i] * 3, flags);
            REQUIRE(p != NULL);
            EXPECT_EQ_U64(arena_of(p), arenas[a]);
            dallocx(p, MALLOCX_TCACHE_NONE);
        }
    }
}

/* An index beyond the existing arenas makes the arena on the fly. */
TEST(arena_on_the_fly)
{
    unsigned count = 0;
    size_t length = sizeof(count);
    REQUIRE(mallctl("arenas.narenas", &count, &length, NULL, 0) == 0);
    void *p = mallocx(100, MALLOCX_ARENA(count) | MALLOCX_TCACHE_NONE);
    if (p != NULL) {
        EXPECT_EQ_U64(arena_of(p), count);
        dallocx(p, MALLOCX_TCACHE_NONE);
    }
}

TEST(cache_none_with_zero_and_alignment)
{
    for (size_t size = 1; size < 100000; size = size * 2 + 1) {
        int flags = MALLOCX_TCACHE_NONE | MALLOCX_ZERO | MALLOCX_ALIGN(512);
        void *p = mallocx(size, flags);
        REQUIRE(p != NULL);
        EXPECT_EQ_U64((uintptr_t)p % 512, 0);
        EXPECT(is_filled(p, 0, sallocx(p, 0), 0));
        memset(p, 0xee, size);
        sdallocx(p, size, MALLOCX_TCACHE_NONE | MALLOCX_ALIGN(512));
    }
}

TEST(sdallocx_any_size_between)
{
    for (size_t size = 1; size < 60000; size += 1 + size / 5) {
        size_t usable = nallocx(size, 0);
        for (int i = 0; i <= 4; i++) {
            void *p = mallocx(size, 0);
            REQUIRE(p != NULL);
            sdallocx(p, size + (usable - size) * (size_t)i / 4, 0);
        }
    }
}

int main(void)
{
    return test_run(TEST_CASE(flag_bits), TEST_CASE(mallocx_usable_is_nallocx),
        TEST_CASE(limits), TEST_CASE(rallocx_keeps_and_zeroes),
        TEST_CASE(rallocx_moves_for_alignment),
        TEST_CASE(rallocx_same_class_stays), TEST_CASE(xallocx_small),
        TEST_CASE(xallocx_between_small_and_large), TEST_CASE(xallocx_large),
        TEST_CASE(xallocx_can_grow), TEST_CASE(zero_spares_the_slack),
        TEST_CASE(explicit_caches), TEST_CASE(explicit_cache_gives_back_last),
        TEST_CASE(explicit_cache_keeps),
        TEST_CASE(explicit_cache_outlives_its_arena),
        TEST_CASE(arenas_are_kept_apart), TEST_CASE(arena_on_the_fly),
        TEST_CASE(cache_none_with_zero_and_alignment),
        TEST_CASE(sdallocx_any_size_between), NULL);
}
