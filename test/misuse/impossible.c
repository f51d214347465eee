/*
 * What: requests that nobody can serve: sizes beyond the address space,
 * products that overflow, alignments that are none. Harm is that memory is
 * returned; refused means that the error is the one that the interface names.
 *
 * Invariants: as in scene.h.
 *
 * Locking: none.
 */
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>

#include "scene.h"

#define NO_ERRNO "memory was refused, but errno does not tell why"

/* An allocation that must have failed so. */
static void expect_refused(const void *p, int error)
{
    misuse_harm_if(p != NULL, "memory for an impossible request");
    if (p == NULL && errno == error) {
        misuse_refused();
    }
    go_on(64);
}

static void by_malloc(size_t size, size_t bytes)
{
    errno = 0;
    expect_refused(malloc(opaque_size(bytes - size + 64)), ENOMEM);
}

static void by_calloc(size_t size, size_t bytes)
{
    errno = 0;
    expect_refused(calloc(1, opaque_size(bytes - size + 64)), ENOMEM);
}

/* num * size is a little more than 2^64. */
static void overflow(size_t size, size_t more)
{
    errno = 0;
    expect_refused(
        calloc(opaque_size(SIZE_MAX / size + 1 + more), opaque_size(size)),
        ENOMEM);
}

/* The same the other way round, as some check only one factor. */
static void overflow_of_size(size_t size, size_t more)
{
    errno = 0;
    expect_refused(
        calloc(opaque_size(size), opaque_size(SIZE_MAX / size + 1 + more)),
        ENOMEM);
}

static void overflow_of_array(size_t size, size_t more)
{
    void *p = take(size);
    errno = 0;
    expect_refused(reallocarray(opaque(p), opaque_size(SIZE_MAX / size + 1),
                       opaque_size(size + more)),
        ENOMEM);
}

/* A failed realloc leaves the block as it is. */
static void by_realloc(size_t size, size_t bytes)
{
    row_t *row = row_make(size);
    errno = 0;
    void *p = realloc(row_victim(row), opaque_size(bytes));
    expect_refused(p, ENOMEM);
    finish();
}

static void by_realloc_of_null(size_t size, size_t bytes)
{
    errno = 0;
    expect_refused(realloc(NULL, opaque_size(bytes - size + 64)), ENOMEM);
}

static void by_aligned_alloc(size_t size, size_t bytes)
{
    errno = 0;
    expect_refused(aligned_alloc(size, opaque_size(bytes)), ENOMEM);
}

static void by_memalign(size_t size, size_t bytes)
{
    errno = 0;
    expect_refused(memalign(size, opaque_size(bytes)), ENOMEM);
}

static void expect_status(int status, int error, const void *p)
{
    misuse_harm_if(
        status == 0 || p != NULL, "memory for an impossible request");
    errno = status;
    expect_refused(p, error);
}

static void by_posix_memalign(size_t size, size_t bytes)
{
    void *p = NULL;
    expect_status(posix_memalign(&p, size, opaque_size(bytes)), ENOMEM, p);
}

static void by_valloc(size_t size, size_t bytes)
{
    errno = 0;
    expect_refused(valloc(opaque_size(bytes - size + 64)), ENOMEM);
}

static void by_pvalloc(size_t size, size_t bytes)
{
    NEEDS(pvalloc);
    errno = 0;
    expect_refused(pvalloc(opaque_size(bytes - size + 64)), ENOMEM);
}

static void by_mallocx(size_t size, size_t bytes)
{
    NEEDS(mallocx);
    errno = ENOMEM; /* is not part of its interface */
    expect_refused(mallocx(opaque_size(bytes - size + 64), 0), ENOMEM);
}

static void by_rallocx(size_t size, size_t bytes)
{
    NEEDS(rallocx);
    row_t *row = row_make(size);
    errno = ENOMEM;
    expect_refused(rallocx(row_victim(row), opaque_size(bytes), 0), ENOMEM);
    finish();
}

static void by_nallocx(size_t size, size_t bytes)
{
    NEEDS(nallocx);
    errno = ENOMEM;
    misuse_harm_if(nallocx(opaque_size(bytes - size + 64), 0) != 0,
        "a size for an impossible request");
    misuse_refused();
}

/* ---- alignments ---- */

static void bad_aligned_alloc(size_t size, size_t alignment)
{
    errno = 0;
    expect_refused(aligned_alloc(opaque_size(alignment), size), EINVAL);
}

static void bad_posix_memalign(size_t size, size_t alignment)
{
    void *p = NULL;
    expect_status(posix_memalign(&p, opaque_size(alignment), size), EINVAL, p);
}

static void huge_alignment(size_t size, size_t alignment)
{
    void *p = NULL;
    expect_status(posix_memalign(&p, opaque_size(alignment), size), ENOMEM, p);
}

#define LARGEST ((size_t)PTRDIFF_MAX)

static const misuse_case_t cases[] = {
    {"huge_malloc_half", by_malloc, LARGEST + 1, SIZES_ONE, NO_ERRNO},
    {"huge_malloc_max", by_malloc, SIZE_MAX, SIZES_ONE, NO_ERRNO},
    {"huge_malloc_max_less", by_malloc, SIZE_MAX - 4095, SIZES_ALL, NO_ERRNO},
    {"huge_malloc_largest", by_malloc, LARGEST - 4096, SIZES_ONE, NO_ERRNO},
    {"huge_calloc_max", by_calloc, SIZE_MAX, SIZES_ONE, NO_ERRNO},
    {"huge_calloc_half", by_calloc, LARGEST + 1, SIZES_ONE, NO_ERRNO},
    {"huge_calloc_product", overflow, 0, SIZES_ALL & ~1u, NO_ERRNO},
    {"huge_calloc_product_1", overflow, 1, SIZES_ALL, NO_ERRNO},
    {"huge_calloc_swapped", overflow_of_size, 1, SIZES_ALL, NO_ERRNO},
    {"huge_reallocarray", overflow_of_array, 1, SIZES_ALL, NO_ERRNO},
    {"huge_realloc_half", by_realloc, LARGEST + 1, SIZES_ALL, NO_ERRNO},
    {"huge_realloc_max", by_realloc, SIZE_MAX, SIZES_ALL, NO_ERRNO},
    {"huge_realloc_max_8", by_realloc, SIZE_MAX - 8, SIZES_ALL, NO_ERRNO},
    {"huge_realloc_null", by_realloc_of_null, SIZE_MAX, SIZES_ONE, NO_ERRNO},
    {"huge_aligned_max", by_aligned_alloc, SIZE_MAX - 63, SIZES_ONE, NO_ERRNO},
    {"huge_aligned_half", by_aligned_alloc, LARGEST + 1, SIZES_ONE, NO_ERRNO},
    {"huge_memalign_max", by_memalign, SIZE_MAX - 8, SIZES_ONE, NO_ERRNO},
    {"huge_posix_max", by_posix_memalign, SIZE_MAX, SIZES_ONE, NO_ERRNO},
    {"huge_posix_half", by_posix_memalign, LARGEST, SIZES_ONE, NO_ERRNO},
    {"huge_valloc_max", by_valloc, SIZE_MAX, SIZES_ONE, NO_ERRNO},
    {"huge_pvalloc_max", by_pvalloc, SIZE_MAX, SIZES_ONE, NO_ERRNO},
    {"huge_mallocx_max", by_mallocx, SIZE_MAX, SIZES_ONE, NO_ERRNO},
    {"huge_rallocx_max", by_rallocx, SIZE_MAX, SIZES_FEW, NO_ERRNO},
    {"huge_nallocx_max", by_nallocx, SIZE_MAX, SIZES_ONE, NO_ERRNO},
    {"align_aligned_0", bad_aligned_alloc, 0, SIZES_FEW, NO_ERRNO},
    {"align_aligned_3", bad_aligned_alloc, 3, SIZES_FEW, NO_ERRNO},
    {"align_aligned_48", bad_aligned_alloc, 48, SIZES_FEW, NO_ERRNO},
    {"align_posix_0", bad_posix_memalign, 0, SIZES_FEW, NO_ERRNO},
    {"align_posix_4", bad_posix_memalign, 4, SIZES_FEW, NO_ERRNO},
    {"align_posix_24", bad_posix_memalign, 24, SIZES_FEW, NO_ERRNO},
    {"align_posix_huge", huge_alignment, LARGEST + 1, SIZES_FEW, NO_ERRNO},
};

MISUSE_KIND(impossible, "impossible requests", cases);
