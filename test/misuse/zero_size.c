/*
 * What: uses of blocks of no bytes. Harm is a changed, or a read, byte of
 * another live block.
 *
 * Invariants: as in scene.h.
 *
 * Locking: none.
 */
#include <stdlib.h>

#include "scene.h"

#define NOBODYS "only bytes that no live block owns were touched"

static void *by_malloc(size_t size)
{
    (void)size;
    return malloc(opaque_size(0));
}

static void *by_calloc(size_t size)
{
    return calloc(opaque_size(0), size);
}

static void *by_realloc(size_t size)
{
    (void)size;
    return realloc(NULL, opaque_size(0));
}

static void *by_aligned_alloc(size_t size)
{
    (void)size;
    return aligned_alloc(16, opaque_size(0));
}

/* What is asked of the pages beside it. */
static void *by_valloc(size_t size)
{
    void *p = NULL;
    (void)size;
    return posix_memalign(&p, 4096, opaque_size(0)) == 0 ? p : NULL;
}

/* Its neighbours are of the smallest size, and own all their bytes. */
static unsigned char *place(row_alloc_t alloc)
{
    row_t *row = row_make(8);
    for (unsigned i = 8; i < 56; i++) {
        if (i % 2 == 0) {
            row_give_at(row, i);
        }
    }
    unsigned char *p = (unsigned char *)alloc(8);
    if (p == NULL) {
        misuse_refused();
    }
    row_more(8, 64);
    return p;
}

static void write_by(row_alloc_t alloc, size_t offset, size_t n)
{
    unsigned char *p = place(alloc);
    wrong_write(p + offset, n);
    rows_check();
    give(p);
    finish();
}

static void write_first(size_t size, size_t n)
{
    (void)size;
    write_by(by_malloc, 0, n);
}

static void write_at(size_t size, size_t offset)
{
    (void)size;
    write_by(by_malloc, offset, 1);
}

static void write_calloc(size_t size, size_t n)
{
    (void)size;
    write_by(by_calloc, 0, n);
}

static void write_realloc(size_t size, size_t n)
{
    (void)size;
    write_by(by_realloc, 0, n);
}

static void write_aligned(size_t size, size_t n)
{
    (void)size;
    write_by(by_aligned_alloc, 0, n);
}

static void write_page(size_t size, size_t n)
{
    (void)size;
    write_by(by_valloc, 0, n);
}

static void write_before(size_t size, size_t n)
{
    (void)size;
    write_by(by_malloc, (size_t)0 - n, n);
}

static void read_first(size_t size, size_t n)
{
    (void)size;
    unsigned char *p = place(by_malloc);
    wrong_read(p, n);
    give(p);
    finish();
}

/* What its last owner left there. */
static void read_secret(size_t size, size_t n)
{
    row_t *row = row_make(size < 8 ? size : 8);
    for (unsigned i = 0; i < row->count; i++) {
        secret_fill(row->p[i], 8);
        row_give_at(row, i);
    }
    for (unsigned i = 0; i < 64; i++) {
        unsigned char *p = (unsigned char *)malloc(opaque_size(0));
        misuse_expect_fault(p, n);
        misuse_harm_if(
            secret_in(p, n), "a secret of an earlier owner was read");
    }
    finish();
}

static void twice(size_t size, size_t arg)
{
    (void)size;
    unsigned char *p = place(by_malloc);
    give(p + arg);
    give(p + arg);
    finish();
}

static void write_freed(size_t size, size_t n)
{
    (void)size;
    unsigned char *p = place(by_malloc);
    give(p);
    wrong_write(p, n);
    check_calloc(8);
    finish();
}

static const misuse_case_t cases[] = {
    {"zero_write_1", write_first, 1, SIZES_ONE, NOBODYS},
    {"zero_write_8", write_first, 8, SIZES_ONE, NOBODYS},
    {"zero_write_16", write_first, 16, SIZES_ONE, NOBODYS},
    {"zero_write_64", write_first, 64, SIZES_ONE, NOBODYS},
    {"zero_write_4096", write_first, 4096, SIZES_ONE, NOBODYS},
    {"zero_write_at_8", write_at, 8, SIZES_ONE, NOBODYS},
    {"zero_write_at_32", write_at, 32, SIZES_ONE, NOBODYS},
    {"zero_write_before_1", write_before, 1, SIZES_ONE, NOBODYS},
    {"zero_write_before_8", write_before, 8, SIZES_ONE, NOBODYS},
    {"zero_calloc_1", write_calloc, 1, SIZES_ONE, NOBODYS},
    {"zero_calloc_16", write_calloc, 16, SIZES_ONE, NOBODYS},
    {"zero_realloc_1", write_realloc, 1, SIZES_ONE, NOBODYS},
    {"zero_realloc_16", write_realloc, 16, SIZES_ONE, NOBODYS},
    {"zero_aligned_1", write_aligned, 1, SIZES_ONE, NOBODYS},
    {"zero_aligned_32", write_aligned, 32, SIZES_ONE, NOBODYS},
    {"zero_page_1", write_page, 1, SIZES_ONE, NOBODYS},
    {"zero_page_8192", write_page, 8192, SIZES_ONE, NOBODYS},
    {"zero_read_1", read_first, 1, SIZES_ONE, NOBODYS},
    {"zero_read_16", read_first, 16, SIZES_ONE, NOBODYS},
    {"zero_read_64", read_first, 64, SIZES_ONE, NOBODYS},
    {"zero_read_secret", read_secret, 8, SIZES_ONE,
        "nothing that an earlier owner wrote was found"},
    {"zero_free_twice", twice, 0, SIZES_ONE,
        "the block was not given to two owners"},
    {"zero_write_freed", write_freed, 8, SIZES_ONE,
        "the freed bytes were nobody's, and calloc returned 0"},
};

MISUSE_KIND(zero_size, "uses of zero-size blocks", cases);
