/*
 * What: the standard and traditional functions: zero sizes, limits, error
 * codes, errno, alignment, and the meaning of realloc(p, 0).
 *
 * Invariants: sizes go through volatile variables, so that no compiler
 * knows what will fail.
 *
 * Locking: none.
 */
#include "harness.h"
#include <jemalloc/jemalloc.h>

#include <errno.h>
#include <malloc.h>
#include <string.h>
#include <unistd.h>

#define PAGE      4096
#define SMALL_MAX 14336

/* The largest alignment that must be had in the addresses that there are. */
#define ALIGNMENT_MAX ((size_t)1 << (sizeof(size_t) == 8 ? 33 : 26))

/* Divides the largest size so that its square is too large. */
#define HALF ((size_t)1 << (4 * sizeof(size_t) - 1))

static volatile size_t too_big = SIZE_MAX / 16 * 7 + 8;
static volatile size_t size_max = SIZE_MAX;
static volatile size_t nothing = 0;

#ifndef JEMALLOC_OVERRIDE_PVALLOC
void *pvalloc(size_t size); /* where libc has none, the header has none */
#endif

static bool is_aligned(const void *p, size_t alignment)
{
    return ((uintptr_t)p & (alignment - 1)) == 0;
}

/* Every byte up to the usable size must take and keep a value. */
static void fill_and_check(void *p, size_t size)
{
    size_t usable = malloc_usable_size(p);
    unsigned char *bytes = p;

    EXPECT_GE_U64(usable, size);
    memset(p, 0xc3, usable);
    EXPECT_EQ_U64(bytes[0], 0xc3);
    EXPECT_EQ_U64(bytes[usable - 1], 0xc3);
}

TEST(malloc_zero)
{
    void *a = malloc(nothing), *b = malloc(nothing);

    REQUIRE(a != NULL && b != NULL);
    EXPECT_NE_PTR(a, b);
    EXPECT_EQ_U64(malloc_usable_size(a), 8);
    free(a);
    free(b);
}

TEST(malloc_alignment)
{
    for (size_t size = 1; size <= 3 * SMALL_MAX; size += 1 + size / 16) {
        void *p[8];
        for (int i = 0; i < 8; i++) {
            p[i] = malloc(size);
            REQUIRE(p[i] != NULL);
            fill_and_check(p[i], size);
            size_t usable = malloc_usable_size(p[i]);
            size_t lowest = usable & (~usable + 1);
            size_t natural = usable > SMALL_MAX ? 64
                             : lowest < PAGE    ? lowest
                                                : PAGE;
            EXPECT_EQ_U64((uintptr_t)p[i] % natural, 0);
            EXPECT_EQ_U64((uintptr_t)p[i] % (size <= 8 ? 8 : 16), 0);
        }
        for (int i = 0; i < 8; i++) {
            free(p[i]);
        }
    }
}

TEST(malloc_too_big)
{
    size_t sizes[] = {too_big, size_max, size_max - PAGE, size_max / 2 + 1};

    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        errno = 0;
        EXPECT_EQ_PTR(malloc(sizes[i]), NULL);
        EXPECT_EQ_I64(errno, ENOMEM);
        errno = 0;
        EXPECT_EQ_PTR(calloc(1, sizes[i]), NULL);
        EXPECT_EQ_I64(errno, ENOMEM);
        errno = 0;
        EXPECT_EQ_PTR(aligned_alloc(64, sizes[i]), NULL);
        EXPECT_EQ_I64(errno, ENOMEM);
        EXPECT_EQ_PTR(memalign(64, sizes[i]), NULL);
        EXPECT_EQ_PTR(valloc(sizes[i]), NULL);
        EXPECT_EQ_PTR(pvalloc(sizes[i]), NULL);
    }
}

TEST(success_keeps_errno)
{
    errno = 77;
    void *p = malloc(100);
    p = realloc(p, 100000);
    void *q = calloc(3, 5000);
    void *r = NULL;
    EXPECT_EQ_I64(posix_memalign(&r, 256, 100), 0);
    EXPECT_EQ_I64(errno, 77);
    free(p);
    free(q);
    free(r);
    free(NULL);
    EXPECT_EQ_I64(errno, 77);
    /* A large block whose pages go back to the kernel at once. */
    p = malloc((size_t)64 << 20);
    REQUIRE(p != NULL);
    memset(p, 1, 4 << 20);
    errno = 78;
    free(p);
    EXPECT_EQ_I64(errno, 78);
}

TEST(calloc_basics)
{
    EXPECT_EQ_U64(malloc_usable_size(calloc(nothing, 5)), 8);
    EXPECT_EQ_U64(malloc_usable_size(calloc(5, nothing)), 8);
    errno = 0;
    EXPECT_EQ_PTR(calloc(size_max / 2, 3), NULL);
    EXPECT_EQ_I64(errno, ENOMEM);
    errno = 0;
    EXPECT_EQ_PTR(calloc(size_max / HALF, size_max / HALF), NULL);
    EXPECT_EQ_I64(errno, ENOMEM);
    EXPECT_EQ_U64(malloc_usable_size(calloc(nothing, size_max)), 8);
}

TEST(calloc_zeroes_dirty_memory)
{
    for (size_t size = 1; size < ((size_t)1 << 25); size = size * 5 / 3 + 1) {
        for (int round = 0; round < 3; round++) {
            unsigned char *p = malloc(size);
            REQUIRE(p != NULL);
            memset(p, 0xff, malloc_usable_size(p));
            free(p);
            p = calloc(size, 1);
            REQUIRE(p != NULL);
            size_t dirty = 0;
            for (size_t i = 0; i < size; i++) {
                dirty += p[i] != 0;
            }
            EXPECT_EQ_U64(dirty, 0);
            memset(p, 0xff, size);
            free(p);
        }
    }
}

TEST(posix_memalign_arguments)
{
    static const size_t bad[] = {
        0, 1, 2, 3, sizeof(void *) / 2, 7, 12, 24, 100, SIZE_MAX};
    void *mark = &mark, *p = mark;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        EXPECT_EQ_I64(posix_memalign(&p, bad[i], 100), EINVAL);
        EXPECT_EQ_PTR(p, mark);
    }
    EXPECT_EQ_I64(posix_memalign(&p, 64, too_big), ENOMEM);
    EXPECT_EQ_I64(posix_memalign(&p, 64, size_max), ENOMEM);
    EXPECT_EQ_I64(posix_memalign(&p, size_max / 2 + 1, 1), ENOMEM);
    EXPECT_EQ_PTR(p, mark);
    EXPECT_EQ_I64(posix_memalign(&p, 8, nothing), 0);
    EXPECT_EQ_U64(malloc_usable_size(p), 8);
    free(p);
    EXPECT_EQ_I64(posix_memalign(&p, 64, nothing), 0);
    EXPECT_EQ_U64(malloc_usable_size(p), 64);
    EXPECT(is_aligned(p, 64));
    free(p);
}

TEST(posix_memalign_every_alignment)
{
    for (size_t alignment = 8; alignment <= ALIGNMENT_MAX; alignment *= 2) {
        static const size_t sizes[] = {1, 100, 5000, 20000, 300000};
        for (size_t i = 0; i < 5; i++) {
            void *p = NULL;
            REQUIRE(posix_memalign(&p, alignment, sizes[i]) == 0);
            EXPECT(is_aligned(p, alignment));
            fill_and_check(p, sizes[i]);
            if (alignment > PAGE && sizes[i] <= 16384) {
                EXPECT_EQ_U64(malloc_usable_size(p), 16384);
            }
            free(p);
        }
    }
}

TEST(aligned_alloc_arguments)
{
    /* Volatile: clang 14 dies of an alignment of 0 that it can see. */
    static const volatile size_t bad[] = {0, 3, 6, 24, SIZE_MAX};

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        errno = 0;
        EXPECT_EQ_PTR(aligned_alloc(bad[i], 100), NULL);
        EXPECT_EQ_I64(errno, EINVAL);
        EXPECT_EQ_PTR(memalign(bad[i], 100), NULL);
    }
    for (size_t alignment = 1; alignment <= 65536; alignment *= 2) {
        void *p = aligned_alloc(alignment, 10);
        void *q = memalign(alignment, 10);
        void *r = memalign(alignment, nothing);
        REQUIRE(p != NULL && q != NULL && r != NULL);
        EXPECT(is_aligned(p, alignment));
        EXPECT(is_aligned(q, alignment));
        EXPECT(is_aligned(r, alignment));
        free(p);
        free(q);
        free(r);
    }
    errno = 0;
    EXPECT_EQ_PTR(aligned_alloc(size_max / 2 + 1, 1), NULL);
    EXPECT_EQ_I64(errno, ENOMEM);
    void *p = aligned_alloc(32, nothing);
    EXPECT_EQ_U64(malloc_usable_size(p), 32);
    free(p);
}

TEST(valloc_and_pvalloc)
{
    static const size_t sizes[] = {0, 1, 100, 4096, 4097, 14336, 50000};

    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        void *p = valloc(sizes[i]), *q = pvalloc(sizes[i]);
        REQUIRE(p != NULL && q != NULL);
        EXPECT(is_aligned(p, PAGE));
        EXPECT(is_aligned(q, PAGE));
        fill_and_check(p, sizes[i]);
        fill_and_check(q, (sizes[i] + PAGE - 1) / PAGE * PAGE);
        free(p);
        free(q);
    }
    errno = 0;
    EXPECT_EQ_PTR(pvalloc(size_max), NULL);
    EXPECT_EQ_I64(errno, ENOMEM);
    EXPECT_EQ_PTR(pvalloc(size_max - 100), NULL);
}

TEST(realloc_contents)
{
    for (size_t from = 1; from < 2000000; from = from * 3 + 5) {
        for (size_t to = 1; to < 2000000; to = to * 3 + 7) {
            unsigned char *p = malloc(from);
            REQUIRE(p != NULL);
            for (size_t i = 0; i < from; i++) {
                p[i] = (unsigned char)(i * 7 + 1);
            }
            p = realloc(p, to);
            REQUIRE(p != NULL);
            size_t kept = from < to ? from : to, wrong = 0;
            for (size_t i = 0; i < kept; i++) {
                wrong += p[i] != (unsigned char)(i * 7 + 1);
            }
            EXPECT_EQ_U64(wrong, 0);
            fill_and_check(p, to);
            free(p);
        }
    }
}

TEST(realloc_special)
{
    void *p = realloc(NULL, nothing);
    REQUIRE(p != NULL);
    EXPECT_EQ_U64(malloc_usable_size(p), 8);
    void *same = realloc(p, 5);
    EXPECT_EQ_PTR(same, p);
    errno = 0;
    EXPECT_EQ_PTR(realloc(p, too_big), NULL);
    EXPECT_EQ_I64(errno, ENOMEM);
    fill_and_check(p, 5); /* The old block is untouched. */
    errno = 0;
    EXPECT_EQ_PTR(realloc(NULL, too_big), NULL);
    EXPECT_EQ_I64(errno, ENOMEM);
    errno = 55;
    EXPECT_EQ_PTR(realloc(p, nothing), NULL); /* zero_realloc:free */
    EXPECT_EQ_I64(errno, 55);
}

TEST(realloc_zero_counts)
{
    size_t before = 0, after = 0, length = sizeof(before);

    REQUIRE(mallctl("stats.zero_reallocs", &before, &length, NULL, 0) == 0);
    EXPECT_EQ_PTR(realloc(malloc(30), nothing), NULL);
    EXPECT_EQ_PTR(realloc(malloc(30000), nothing), NULL);
    REQUIRE(mallctl("stats.zero_reallocs", &after, &length, NULL, 0) == 0);
    EXPECT_EQ_U64(after, before + 2);
}

TEST(reallocarray_overflow)
{
    void *p = reallocarray(NULL, 10, 10);
    REQUIRE(p != NULL);
    errno = 0;
    void *none = reallocarray(p, size_max / 2, 3);
    EXPECT_EQ_PTR(none, NULL);
    EXPECT_EQ_I64(errno, ENOMEM);
    if (none == NULL) {
        free(p);
    }
    p = reallocarray(reallocarray(NULL, 3, 5), 100, 100);
    REQUIRE(p != NULL);
    EXPECT_GE_U64(malloc_usable_size(p), 10000);
    free(p);
}

TEST(usable_size_of_null)
{
    EXPECT_EQ_U64(malloc_usable_size(NULL), 0);
}

TEST(sized_frees)
{
    for (size_t size = 1; size < 200000; size += 1 + size / 7) {
        void *p = malloc(size), *q = malloc(size), *r = malloc(size);
        REQUIRE(p != NULL && q != NULL && r != NULL);
        size_t usable = malloc_usable_size(q);
        free_sized(p, size);
        free_sized(q, usable);
        free_sized(r, size + (usable - size) / 2);
        for (size_t alignment = 8; alignment <= 65536; alignment *= 8) {
            p = aligned_alloc(alignment, size);
            q = aligned_alloc(alignment, size);
            REQUIRE(p != NULL && q != NULL);
            free_aligned_sized(p, alignment, size);
            free_aligned_sized(q, alignment, malloc_usable_size(q));
        }
    }
    free_sized(NULL, 100);
    free_sized(NULL, 100000);
    free_aligned_sized(NULL, 64, 100);
    void *p = malloc(100);
    EXPECT(p != NULL);
    errno = 66;
    free_sized(p, 100);
    free_aligned_sized(aligned_alloc(64, 70), 64, 70);
    EXPECT_EQ_I64(errno, 66);
}

TEST(libc_uses_this_allocator)
{
    size_t length = sizeof(unsigned);
    unsigned arena = ~0u;
    char *copy = strdup("a string that libc copies");

    REQUIRE(copy != NULL);
    EXPECT_EQ_I64(
        mallctl("arenas.lookup", &arena, &length, &copy, sizeof(copy)), 0);
    EXPECT_LT_U64(arena, 4095);
    free(copy);
}

int main(void)
{
    return test_run(TEST_CASE(malloc_zero), TEST_CASE(malloc_alignment),
        TEST_CASE(malloc_too_big), TEST_CASE(success_keeps_errno),
        TEST_CASE(calloc_basics), TEST_CASE(calloc_zeroes_dirty_memory),
        TEST_CASE(posix_memalign_arguments),
        TEST_CASE(posix_memalign_every_alignment),
        TEST_CASE(aligned_alloc_arguments), TEST_CASE(valloc_and_pvalloc),
        TEST_CASE(realloc_contents), TEST_CASE(realloc_special),
        TEST_CASE(realloc_zero_counts), TEST_CASE(reallocarray_overflow),
        TEST_CASE(usable_size_of_null), TEST_CASE(sized_frees),
        TEST_CASE(libc_uses_this_allocator), NULL);
}
