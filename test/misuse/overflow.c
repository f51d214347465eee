/*
 * What: writes behind the end of a live block. Harm is a changed byte of
 * another live block, or what a heap that lost its order does.
 *
 * Invariants: as in scene.h.
 *
 * Locking: none.
 */
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "scene.h"

#define MIB           ((size_t)1 << 20)
#define NOBODYS_BYTES "only bytes that no live block owns changed"

static void *take_zeroed(size_t size)
{
    return calloc(1, size);
}

static void *take_aligned(size_t size)
{
    void *p = NULL;
    return posix_memalign(&p, 64, size) == 0 ? p : NULL;
}

static void *take_resized(size_t size)
{
    void *p = malloc(size / 2 + 1);
    return realloc(p, size);
}

static void linear(size_t size, size_t n)
{
    row_t *row = row_make_wide(size, n);
    wrong_write(row_victim(row) + size, n);
    finish();
}

static void jump(size_t size, size_t distance)
{
    row_t *row = row_make_wide(size, distance);
    wrong_write(row_victim(row) + size + distance, 8);
    finish();
}

/* One byte each `stride`, 64 times: a column of a matrix too many. */
static void strides(size_t size, size_t stride)
{
    row_t *row = row_make_wide(size, 64 * stride);
    for (size_t i = 0; i < 64; i++) {
        wrong_write(row_victim(row) + size + i * stride, 1);
    }
    finish();
}

/* The block of the same number too far. */
static void stride_of_size(size_t size, size_t arg)
{
    row_t *row = row_make(size);
    wrong_write(row_victim(row) + size * arg, 4);
    finish();
}

static void behind_usable(size_t size, size_t n)
{
    row_t *row = row_make(size);
    wrong_write(row_victim(row) + malloc_usable_size(row_victim(row)), n);
    finish();
}

static void of_zeroed(size_t size, size_t n)
{
    row_t *row = row_make_by(size, take_zeroed);
    wrong_write(row_victim(row) + size, n);
    finish();
}

static void of_aligned(size_t size, size_t n)
{
    row_t *row = row_make_by(size, take_aligned);
    wrong_write(row_victim(row) + size, n);
    finish();
}

static void of_resized(size_t size, size_t n)
{
    row_t *row = row_make_by(size, take_resized);
    wrong_write(row_victim(row) + size, n);
    finish();
}

/* The string that fills its block, and its NUL. */
static void nul(size_t size, size_t arg)
{
    row_t *row = row_make(size);
    volatile unsigned char *end = (unsigned char *)opaque(row_victim(row));
    misuse_expect_fault(row_victim(row) + size + arg, 1);
    end[size + arg] = 0;
    finish();
}

/* An int with the index after the last one. */
static void index_of_int(size_t size, size_t arg)
{
    row_t *row = row_make(size);
    wrong_write(row_victim(row) + size / 4 * 4 + 4 * arg, 4);
    finish();
}

static void clear_too_much(size_t size, size_t n)
{
    row_t *row = row_make(size);
    misuse_expect_fault(row_victim(row) + size, n);
    memset(opaque(row_write(row)), 0, size + opaque_size(n));
    finish();
}

/* Into a free block, which then serves calloc. */
static void into_free(size_t size, size_t n)
{
    row_t *row = row_make(size);
    unsigned char *next = row_give_at(row, row->victim + 1);
    wrong_write(
        row_victim(row) + size, (size_t)(next - row_victim(row)) - size + n);
    check_calloc(size);
    finish();
}

static void then_realloc(size_t size, size_t n)
{
    row_t *row = row_make(size);
    wrong_write(row_victim(row) + size, n);
    row_drop(row);
    unsigned char *p =
        (unsigned char *)realloc(opaque(row_victim(row)), size * 2);
    misuse_harm_if(p == NULL || rows_touch(p, size * 2),
        "realloc returned a block that overlaps another");
    finish();
}

static void write_8_behind(void *p)
{
    wrong_write(p, 8);
}

static void from_thread(size_t size, size_t arg)
{
    row_t *row = row_make(size);
    in_thread(write_8_behind, row_victim(row) + size + arg);
    finish();
}

/* The block is never freed: only its neighbours and the exit can tell. */
static void never_freed(size_t size, size_t n)
{
    row_t *row = row_make(size);
    wrong_write(row_victim(row) + size, n);
    rows_check();
    row_drop(row);
    finish();
}

/* The process ends with all its blocks. */
static void then_exit(size_t size, size_t n)
{
    row_t *row = row_make(size);
    wrong_write(row_victim(row) + size, n);
    rows_check();
}

/* Its length field says more than there is, and it is copied to. */
static void copied_too_long(size_t size, size_t more)
{
    row_t *row = row_make(size);
    size_t n = size + more;
    void *from = take(n);
    memset(from, SCENE_WRONG, n);
    misuse_expect_fault(row_victim(row) + size, more);
    memcpy(opaque(row_write(row)), from, opaque_size(n));
    give(from);
    finish();
}

/* Shrunk in its place or not: the old end is not the new one. */
static void after_shrinking(size_t size, size_t arg)
{
    row_t *row = row_make(size);
    unsigned char *p = row_drop(row);
    size_t half = size / 2;
    p = (unsigned char *)realloc(opaque(p), half);
    row_more(half, 16);
    wrong_write(p + half, size - half - arg);
    rows_check();
    give(p);
    finish();
}

static const misuse_case_t cases[] = {
    {"overflow_1", linear, 1, SIZES_ALL, NOBODYS_BYTES},
    {"overflow_8", linear, 8, SIZES_ALL, NOBODYS_BYTES},
    {"overflow_16", linear, 16, SIZES_ALL, NOBODYS_BYTES},
    {"overflow_64", linear, 64, SIZES_ALL, NOBODYS_BYTES},
    {"overflow_4096", linear, 4096, SIZES_ALL, NOBODYS_BYTES},
    {"overflow_1m", linear, MIB, SIZES_SOME, NOBODYS_BYTES},
    {"overflow_jump_16", jump, 16, SIZES_ALL, NOBODYS_BYTES},
    {"overflow_jump_64", jump, 64, SIZES_ALL, NOBODYS_BYTES},
    {"overflow_jump_256", jump, 256, SIZES_ALL, NOBODYS_BYTES},
    {"overflow_jump_4096", jump, 4096, SIZES_FEW, NOBODYS_BYTES},
    {"overflow_jump_65536", jump, 65536, SIZES_FEW, NOBODYS_BYTES},
    {"overflow_jump_1m", jump, MIB, SIZES_SOME, NOBODYS_BYTES},
    {"overflow_stride_16", strides, 16, SIZES_ALL, NOBODYS_BYTES},
    {"overflow_stride_64", strides, 64, SIZES_ALL, NOBODYS_BYTES},
    {"overflow_stride_4096", strides, 4096, SIZES_FEW, NOBODYS_BYTES},
    {"overflow_next_element", stride_of_size, 1, SIZES_ALL, NOBODYS_BYTES},
    {"overflow_far_element", stride_of_size, 5, SIZES_ALL, NOBODYS_BYTES},
    {"overflow_usable_1", behind_usable, 1, SIZES_ALL, NOBODYS_BYTES},
    {"overflow_usable_8", behind_usable, 8, SIZES_ALL, NOBODYS_BYTES},
    {"overflow_usable_64", behind_usable, 64, SIZES_ALL, NOBODYS_BYTES},
    {"overflow_calloc_1", of_zeroed, 1, SIZES_ALL, NOBODYS_BYTES},
    {"overflow_calloc_16", of_zeroed, 16, SIZES_ALL, NOBODYS_BYTES},
    {"overflow_aligned_1", of_aligned, 1, SIZES_ALL, NOBODYS_BYTES},
    {"overflow_aligned_64", of_aligned, 64, SIZES_ALL, NOBODYS_BYTES},
    {"overflow_resized_8", of_resized, 8, SIZES_ALL, NOBODYS_BYTES},
    {"overflow_nul", nul, 0, SIZES_ALL, NOBODYS_BYTES},
    {"overflow_nul_behind_8", nul, 8, SIZES_ALL, NOBODYS_BYTES},
    {"overflow_int_index", index_of_int, 0, SIZES_ALL, NOBODYS_BYTES},
    {"overflow_int_index_4", index_of_int, 4, SIZES_ALL, NOBODYS_BYTES},
    {"overflow_memset_8", clear_too_much, 8, SIZES_ALL, NOBODYS_BYTES},
    {"overflow_memset_512", clear_too_much, 512, SIZES_ALL, NOBODYS_BYTES},
    {"overflow_memcpy_32", copied_too_long, 32, SIZES_ALL, NOBODYS_BYTES},
    {"overflow_memcpy_8192", copied_too_long, 8192, SIZES_ALL, NOBODYS_BYTES},
    {"overflow_into_free_8", into_free, 8, SIZES_ALL,
        "what became of the free block, its next owner finds it in order"},
    {"overflow_into_free_all", into_free, 24, SIZES_64,
        "what became of the free block, its next owner finds it in order"},
    {"overflow_then_realloc_8", then_realloc, 8, SIZES_ALL, NOBODYS_BYTES},
    {"overflow_thread_8", from_thread, 0, SIZES_ALL, NOBODYS_BYTES},
    {"overflow_not_freed_16", never_freed, 16, SIZES_ALL, NOBODYS_BYTES},
    {"overflow_exit_16", then_exit, 16, SIZES_ALL, NOBODYS_BYTES},
    {"overflow_after_shrink", after_shrinking, 0, SIZES_16, NOBODYS_BYTES},
};

MISUSE_KIND(overflow, "writes behind a block", cases);
