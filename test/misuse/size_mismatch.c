/*
 * What: frees that name a size, or an alignment, that is not the block's.
 * Harm is that a block is then given to somebody for whom it is too small,
 * or what a heap that lost its order does.
 *
 * Invariants: as in scene.h.
 *
 * Locking: none.
 */
#include <malloc.h>
#include <stdlib.h>

#include "scene.h"

#define FITS "whoever got the block next found room for all that was asked"

#define NAMED_MAX ((size_t)2 << 20)

/* Blocks of the size that was named, beside those that live. */
static void end_with(size_t named)
{
    if (named <= NAMED_MAX) {
        row_more(named < 8 ? 8 : named, named <= 4096 ? 64 : 8);
    }
    finish();
}

/*
 * The scene of a program that uses both sizes: a size that nobody used yet
 * means a way of freeing on which some libraries look at the block itself.
 */
static row_t *row_beside(size_t size, size_t named)
{
    row_t *row = row_make(size);
    if (named <= NAMED_MAX) {
        others_come_and_go(named < 8 ? 8 : named, 8);
    }
    return row;
}

static void free_as(size_t size, size_t named)
{
    NEEDS(sdallocx);
    row_t *row = row_beside(size, named);
    sdallocx(row_drop(row), opaque_size(named), 0);
    end_with(named);
}

static void half(size_t size, size_t arg)
{
    free_as(size, size / 2 + arg);
}

static void times(size_t size, size_t factor)
{
    free_as(size, size * factor);
}

static void more(size_t size, size_t bytes)
{
    free_as(size, size + bytes);
}

static void less(size_t size, size_t bytes)
{
    free_as(size, size - bytes);
}

static void constant(size_t size, size_t named)
{
    free_as(size, named);
}

static void usable_and(size_t size, size_t bytes)
{
    NEEDS(sdallocx);
    row_t *row = row_make(size);
    size_t named = malloc_usable_size(row_victim(row)) + bytes;
    sdallocx(row_drop(row), opaque_size(named), 0);
    end_with(named);
}

static void standard(size_t size, size_t factor)
{
    NEEDS(free_sized);
    row_t *row = row_beside(size, size * factor);
    free_sized(row_drop(row), opaque_size(size * factor));
    end_with(size * factor);
}

static void standard_half(size_t size, size_t arg)
{
    NEEDS(free_sized);
    row_t *row = row_beside(size, size / 2);
    free_sized(row_drop(row), opaque_size(size / 2 + arg));
    end_with(size / 2 + arg);
}

/* The block was asked for without the alignment that the free names. */
static void aligned_too_much(size_t size, size_t alignment)
{
    NEEDS(free_aligned_sized);
    row_t *row = row_make(size);
    give(aligned_alloc(alignment, opaque_size(size)));
    free_aligned_sized(row_drop(row), alignment, size);
    row_more(size, 64);
    for (unsigned i = 0; i < 16; i++) {
        void *p = aligned_alloc(alignment, opaque_size(size));
        misuse_harm_if((uintptr_t)p % alignment != 0,
            "aligned_alloc returned a misaligned block");
        misuse_harm_if(rows_touch(p, size), "two live blocks overlap");
    }
    finish();
}

/* The other way round: the size alone means another class. */
static void alignment_forgotten(size_t size, size_t alignment)
{
    NEEDS(free_sized);
    void *p = NULL;
    row_beside(size, size);
    if (posix_memalign(&p, alignment, size) != 0) {
        misuse_broken("no memory for the scene");
    }
    free_sized(opaque(p), size);
    end_with(size);
}

static void flags_differ(size_t size, size_t lg_align)
{
    NEEDS(sdallocx);
    row_t *row = row_make(size);
    give(aligned_alloc((size_t)1 << lg_align, opaque_size(size)));
    sdallocx(row_drop(row), size, (int)lg_align);
    end_with(size);
}

static void past_cache(size_t size, size_t factor)
{
    NEEDS(sdallocx);
    row_t *row = row_beside(size, size * factor);
    sdallocx(row_drop(row), opaque_size(size * factor), WITHOUT_CACHE);
    end_with(size * factor);
}

/* Many, so that they cannot all wait for their check. */
static void many(size_t size, size_t factor)
{
    NEEDS(sdallocx);
    row_t *row = row_beside(size, size * factor);
    for (unsigned i = 0; i < row->count; i += 2) {
        row->state[i] = ROW_GONE;
        sdallocx(opaque(row->p[i]), opaque_size(size * factor), 0);
    }
    end_with(size * factor);
}

static const misuse_case_t cases[] = {
    {"sized_half", half, 0, SIZES_16, FITS},
    {"sized_twice", times, 2, SIZES_ALL, FITS},
    {"sized_ten_times", times, 10, SIZES_ALL, FITS},
    {"sized_1_less", less, 1, SIZES_ALL, FITS},
    {"sized_8_less", less, 8, SIZES_16, FITS},
    {"sized_1_more", more, 1, SIZES_ALL, FITS},
    {"sized_16_more", more, 16, SIZES_ALL, FITS},
    {"sized_usable_and_1", usable_and, 1, SIZES_ALL, FITS},
    {"sized_0", constant, 0, SIZES_ALL, FITS},
    {"sized_1", constant, 1, SIZES_ALL, FITS},
    {"sized_48", constant, 48, SIZES_ALL, FITS},
    {"sized_14000", constant, 14000, SIZES_ALL, FITS},
    {"sized_1m", constant, (size_t)1 << 20, SIZES_ALL, FITS},
    {"sized_impossible", constant, SIZE_MAX - 100, SIZES_ALL, FITS},
    {"sized_c23_twice", standard, 2, SIZES_ALL, FITS},
    {"sized_c23_half", standard_half, 0, SIZES_16, FITS},
    {"sized_no_cache_twice", past_cache, 2, SIZES_ALL, FITS},
    {"sized_many_twice", many, 2, SIZES_ALL, FITS},
    {"sized_alignment_512", aligned_too_much, 512, SIZES_ALL, FITS},
    {"sized_alignment_4096", aligned_too_much, 4096, SIZES_ALL, FITS},
    {"sized_alignment_lost_512", alignment_forgotten, 512, SIZES_ALL, FITS},
    {"sized_alignment_lost_4096", alignment_forgotten, 4096, SIZES_ALL, FITS},
    {"sized_flags_4096", flags_differ, ALIGNED_4096, SIZES_ALL, FITS},
};

MISUSE_KIND(size_mismatch, "frees with a wrong size", cases);
