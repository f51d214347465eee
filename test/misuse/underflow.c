/*
 * What: writes before the start of a live block. Harm is a changed byte of
 * another live block, or what a heap that lost its order does.
 *
 * Invariants: as in scene.h.
 *
 * Locking: none.
 */
#include <stdlib.h>

#include "scene.h"

#define MIB           ((size_t)1 << 20)
#define NOBODYS_BYTES "only bytes that no live block owns changed"

static void linear(size_t size, size_t n)
{
    row_t *row = row_make_wide(size, n);
    wrong_write(row_victim(row) - n, n);
    finish();
}

static void jump(size_t size, size_t distance)
{
    row_t *row = row_make_wide(size, distance);
    wrong_write(row_victim(row) - distance - 8, 8);
    finish();
}

static void strides(size_t size, size_t stride)
{
    row_t *row = row_make_wide(size, 64 * stride);
    for (size_t i = 1; i <= 64; i++) {
        wrong_write(row_victim(row) - i * stride, 1);
    }
    finish();
}

/* The index -1 of an array of such blocks. */
static void previous_element(size_t size, size_t arg)
{
    row_t *row = row_make(size);
    wrong_write(row_victim(row) - size * arg, 4);
    finish();
}

static void *take_aligned(size_t size)
{
    void *p = NULL;
    return posix_memalign(&p, 128, size) == 0 ? p : NULL;
}

static void *take_zeroed(size_t size)
{
    return calloc(size, 1);
}

static void of_aligned(size_t size, size_t n)
{
    row_t *row = row_make_by(size, take_aligned);
    wrong_write(row_victim(row) - n, n);
    finish();
}

static void of_zeroed(size_t size, size_t n)
{
    row_t *row = row_make_by(size, take_zeroed);
    wrong_write(row_victim(row) - n, n);
    finish();
}

/* What some allocators keep there. */
static void zero_before(size_t size, size_t words)
{
    row_t *row = row_make(size);
    for (size_t i = 1; i <= words; i++) {
        wrong_store(row_victim(row) - i * sizeof(uintptr_t), 0);
    }
    finish();
}

/* A length that looks like one of a much larger block. */
static void large_number_before(size_t size, size_t number)
{
    row_t *row = row_make(size);
    wrong_store(row_victim(row) - sizeof(uintptr_t), number);
    finish();
}

/* Back into a free block, which then serves calloc. */
static void into_free(size_t size, size_t n)
{
    row_t *row = row_make(size);
    unsigned char *before = row_give_at(row, row->victim - 1);
    wrong_write(before + size - n, n);
    check_calloc(size);
    finish();
}

static void write_before(void *p)
{
    wrong_write((unsigned char *)p - 8, 8);
}

static void from_thread(size_t size, size_t arg)
{
    row_t *row = row_make(size);
    in_thread(write_before, row_victim(row) - arg);
    finish();
}

static void then_exit(size_t size, size_t n)
{
    row_t *row = row_make(size);
    wrong_write(row_victim(row) - n, n);
    rows_check();
}

static const misuse_case_t cases[] = {
    {"underflow_1", linear, 1, SIZES_ALL, NOBODYS_BYTES},
    {"underflow_8", linear, 8, SIZES_ALL, NOBODYS_BYTES},
    {"underflow_16", linear, 16, SIZES_ALL, NOBODYS_BYTES},
    {"underflow_64", linear, 64, SIZES_ALL, NOBODYS_BYTES},
    {"underflow_4096", linear, 4096, SIZES_ALL, NOBODYS_BYTES},
    {"underflow_1m", linear, MIB, SIZES_SOME, NOBODYS_BYTES},
    {"underflow_jump_64", jump, 64, SIZES_ALL, NOBODYS_BYTES},
    {"underflow_jump_4096", jump, 4096, SIZES_FEW, NOBODYS_BYTES},
    {"underflow_jump_65536", jump, 65536, SIZES_FEW, NOBODYS_BYTES},
    {"underflow_jump_1m", jump, MIB, SIZES_SOME, NOBODYS_BYTES},
    {"underflow_stride_64", strides, 64, SIZES_ALL, NOBODYS_BYTES},
    {"underflow_stride_4096", strides, 4096, SIZES_FEW, NOBODYS_BYTES},
    {"underflow_element", previous_element, 1, SIZES_ALL, NOBODYS_BYTES},
    {"underflow_aligned_8", of_aligned, 8, SIZES_ALL, NOBODYS_BYTES},
    {"underflow_aligned_128", of_aligned, 128, SIZES_ALL, NOBODYS_BYTES},
    {"underflow_calloc_16", of_zeroed, 16, SIZES_ALL, NOBODYS_BYTES},
    {"underflow_zero_words_2", zero_before, 2, SIZES_ALL, NOBODYS_BYTES},
    {"underflow_large_number", large_number_before, 0x20001, SIZES_ALL,
        NOBODYS_BYTES},
    {"underflow_into_free_8", into_free, 8, SIZES_ALL,
        "what became of the free block, its next owner finds it in order"},
    {"underflow_thread_8", from_thread, 0, SIZES_ALL, NOBODYS_BYTES},
    {"underflow_exit_16", then_exit, 16, SIZES_ALL, NOBODYS_BYTES},
};

MISUSE_KIND(underflow, "writes before a block", cases);
