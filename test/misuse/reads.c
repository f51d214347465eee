/*
 * What: reads beyond the ends of a live block. Harm is a byte of another
 * live block, or the secret of an earlier owner.
 *
 * Invariants: as in scene.h.
 *
 * Locking: none.
 */
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "scene.h"

#define MIB        ((size_t)1 << 20)
#define NOBODYS    "only bytes that no live block owns were read"
#define NO_SECRETS "nothing that the earlier owner wrote was read"

static void over(size_t size, size_t n)
{
    row_t *row = row_make_wide(size, n);
    wrong_read(row_victim(row) + size, n);
    finish();
}

static void under(size_t size, size_t n)
{
    row_t *row = row_make_wide(size, n);
    wrong_read(row_victim(row) - n, n);
    finish();
}

static void over_jump(size_t size, size_t distance)
{
    row_t *row = row_make_wide(size, distance);
    wrong_read(row_victim(row) + size + distance, 8);
    finish();
}

static void under_jump(size_t size, size_t distance)
{
    row_t *row = row_make_wide(size, distance);
    wrong_read(row_victim(row) - distance - 8, 8);
    finish();
}

static void over_strides(size_t size, size_t stride)
{
    row_t *row = row_make_wide(size, 64 * stride);
    for (size_t i = 0; i < 64; i++) {
        wrong_read(row_victim(row) + size + i * stride, 1);
    }
    finish();
}

static void under_strides(size_t size, size_t stride)
{
    row_t *row = row_make_wide(size, 64 * stride);
    for (size_t i = 1; i <= 64; i++) {
        wrong_read(row_victim(row) - i * stride, 1);
    }
    finish();
}

static void over_usable(size_t size, size_t n)
{
    row_t *row = row_make(size);
    wrong_read(row_victim(row) + malloc_usable_size(row_victim(row)), n);
    finish();
}

static void next_element(size_t size, size_t arg)
{
    row_t *row = row_make(size);
    wrong_read(row_victim(row) + size * arg, 4);
    finish();
}

/* The answer repeats as many bytes as the question claims to have. */
static void answer_too_long(size_t size, size_t claimed)
{
    row_t *row = row_make(size);
    unsigned char *answer = (unsigned char *)take(size + claimed);
    misuse_expect_fault(row_victim(row) + size, claimed);
    memcpy(answer, opaque(row_victim(row)), opaque_size(size + claimed));
    rows_check_read(row_victim(row) + size, claimed);
    give(answer);
    finish();
}

/* A string that lacks its NUL. */
static void no_nul(size_t size, size_t arg)
{
    row_t *row = row_make(size);
    misuse_expect_fault(row_victim(row) + size, 4096 + arg);
    size_t length = strnlen((char *)opaque(row_victim(row)), size + 4096);
    if (length > size) {
        rows_check_read(row_victim(row) + size, length - size);
    }
    finish();
}

static void of_free_neighbour(size_t size, size_t arg)
{
    row_t *row = row_make(size);
    unsigned char *next = row_next(row);
    secret_fill(next, size);
    row_give_at(row, row->victim + 1);
    wrong_read(
        row_victim(row) + size + arg, (size_t)(next - row_victim(row)) - arg);
    misuse_harm_if(secret_in(next, size), "a secret of a freed block was read");
    finish();
}

static void *take_aligned(size_t size)
{
    void *p = NULL;
    return posix_memalign(&p, 64, size) == 0 ? p : NULL;
}

static void of_aligned(size_t size, size_t n)
{
    row_t *row = row_make_by(size, take_aligned);
    wrong_read(row_victim(row) + size, n);
    finish();
}

static void read_behind(void *p)
{
    wrong_read(p, 16);
}

static void from_thread(size_t size, size_t arg)
{
    row_t *row = row_make(size);
    in_thread(read_behind, row_victim(row) + size + arg);
    finish();
}

static const misuse_case_t cases[] = {
    {"read_over_1", over, 1, SIZES_ALL, NOBODYS},
    {"read_over_8", over, 8, SIZES_ALL, NOBODYS},
    {"read_over_16", over, 16, SIZES_ALL, NOBODYS},
    {"read_over_64", over, 64, SIZES_ALL, NOBODYS},
    {"read_over_4096", over, 4096, SIZES_ALL, NOBODYS},
    {"read_over_1m", over, MIB, SIZES_SOME, NOBODYS},
    {"read_over_jump_64", over_jump, 64, SIZES_ALL, NOBODYS},
    {"read_over_jump_4096", over_jump, 4096, SIZES_FEW, NOBODYS},
    {"read_over_jump_65536", over_jump, 65536, SIZES_FEW, NOBODYS},
    {"read_over_jump_1m", over_jump, MIB, SIZES_SOME, NOBODYS},
    {"read_over_stride_64", over_strides, 64, SIZES_ALL, NOBODYS},
    {"read_over_stride_4096", over_strides, 4096, SIZES_FEW, NOBODYS},
    {"read_over_usable_8", over_usable, 8, SIZES_ALL, NOBODYS},
    {"read_over_element", next_element, 1, SIZES_ALL, NOBODYS},
    {"read_over_answer_512", answer_too_long, 512, SIZES_ALL, NOBODYS},
    {"read_over_answer_64k", answer_too_long, 65535, SIZES_4096, NOBODYS},
    {"read_over_no_nul", no_nul, 0, SIZES_ALL, NOBODYS},
    {"read_over_freed", of_free_neighbour, 0, SIZES_ALL, NO_SECRETS},
    {"read_over_aligned_64", of_aligned, 64, SIZES_ALL, NOBODYS},
    {"read_over_thread_16", from_thread, 0, SIZES_ALL, NOBODYS},
    {"read_under_1", under, 1, SIZES_ALL, NOBODYS},
    {"read_under_8", under, 8, SIZES_ALL, NOBODYS},
    {"read_under_16", under, 16, SIZES_ALL, NOBODYS},
    {"read_under_64", under, 64, SIZES_ALL, NOBODYS},
    {"read_under_4096", under, 4096, SIZES_ALL, NOBODYS},
    {"read_under_1m", under, MIB, SIZES_SOME, NOBODYS},
    {"read_under_jump_64", under_jump, 64, SIZES_ALL, NOBODYS},
    {"read_under_jump_4096", under_jump, 4096, SIZES_FEW, NOBODYS},
    {"read_under_jump_1m", under_jump, MIB, SIZES_SOME, NOBODYS},
    {"read_under_stride_64", under_strides, 64, SIZES_ALL, NOBODYS},
};

MISUSE_KIND(reads, "reads beyond a block", cases);
