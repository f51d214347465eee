/*
 * What: blocks that are freed twice. Harm is that two owners get the same
 * bytes, or what a heap that lost its order does.
 *
 * Invariants: as in scene.h.
 *
 * Locking: none.
 */
#include <malloc.h>
#include <stdlib.h>

#include "scene.h"

#define NOT_TWICE "the block was not given to two owners"

static void *take_zeroed(size_t size)
{
    return calloc(1, size);
}

static void *take_aligned(size_t size)
{
    return aligned_alloc(64, size);
}

static void *take_page(size_t size)
{
    void *p = NULL;
    return posix_memalign(&p, 4096, size) == 0 ? p : NULL;
}

static void *take_resized(size_t size)
{
    return realloc(malloc(1), size);
}

/* ---- with others between ---- */

static void after_frees(size_t size, size_t n)
{
    row_t *row = row_make(size);
    unsigned char *p = row_give(row);
    if (n > 0) {
        others_come_and_go(size, n);
    }
    give(p);
    finish();
}

/* Frees of the row itself between, so that the block is not taken again. */
static void after_row(size_t size, size_t n)
{
    row_t *row = row_make(size);
    unsigned char *p = row_give(row);
    for (unsigned i = 0, freed = 0; i < row->count && freed < n; i++) {
        if (i != row->victim) {
            row_give_at(row, i);
            freed++;
        }
    }
    give(p);
    finish();
}

static void after_other_class(size_t size, size_t other)
{
    row_t *row = row_make(size);
    unsigned char *p = row_give(row);
    others_come_and_go(other, 64);
    give(p);
    finish();
}

static void after_takes(size_t size, size_t n)
{
    row_t *row = row_make(size);
    for (unsigned i = 0; i < row->count; i += 2) {
        if (i != row->victim) {
            row_give_at(row, i);
        }
    }
    unsigned char *p = row_give(row);
    row_more(size, (unsigned)n);
    give(p);
    finish();
}

/* ---- more than one block, more than twice ---- */

static void three_times(size_t size, size_t times)
{
    row_t *row = row_make(size);
    unsigned char *p = row_give(row);
    for (size_t i = 1; i < times; i++) {
        give(p);
    }
    finish();
}

static void around_another(size_t size, size_t arg)
{
    row_t *row = row_make(size);
    unsigned char *p = row_give(row);
    row_give_at(row, row->victim + 1 + (unsigned)arg);
    give(p);
    finish();
}

static void pairs(size_t size, size_t step)
{
    row_t *row = row_make(size);
    for (unsigned i = 0; i < row->count; i += (unsigned)step) {
        row_give_at(row, i);
    }
    for (unsigned i = 0; i < row->count; i += (unsigned)step) {
        give(row->p[i]);
    }
    finish();
}

static void backwards(size_t size, size_t arg)
{
    row_t *row = row_make(size);
    for (unsigned i = 0; i < row->count; i++) {
        row_give_at(row, i);
    }
    for (unsigned i = row->count; i > arg; i--) {
        give(row->p[i - 1]);
    }
    finish();
}

/* ---- ways to be freed ---- */

static void from(size_t size, row_alloc_t alloc)
{
    row_t *row = row_make_by(size, alloc);
    unsigned char *p = row_give(row);
    give(p);
    finish();
}

static void of_zeroed(size_t size, size_t arg)
{
    (void)arg;
    from(size, take_zeroed);
}

static void of_aligned(size_t size, size_t arg)
{
    (void)arg;
    from(size, take_aligned);
}

static void of_page(size_t size, size_t arg)
{
    (void)arg;
    from(size, take_page);
}

static void of_resized(size_t size, size_t arg)
{
    (void)arg;
    from(size, take_resized);
}

static void after_move(size_t size, size_t factor)
{
    row_t *row = row_make(size);
    unsigned char *p = row_drop(row);
    void *q = realloc(opaque(p), size * factor);
    give(p);
    if (q == p) {
        give(p); /* it grew in place */
    }
    finish();
}

static void after_realloc_to_nothing(size_t size, size_t arg)
{
    row_t *row = row_make(size);
    unsigned char *p = row_drop(row);
    if (realloc(opaque(p), opaque_size(arg)) != NULL) {
        give(p);
    }
    give(p);
    finish();
}

static void sized(size_t size, size_t arg)
{
    NEEDS(sdallocx);
    row_t *row = row_make(size);
    sdallocx(row_drop(row), size, 0);
    sdallocx(opaque(row_victim(row)), size, (int)arg);
    finish();
}

static void sized_after_free(size_t size, size_t arg)
{
    NEEDS(free_sized);
    row_t *row = row_make(size);
    free_sized(row_give(row), size + arg);
    finish();
}

static void past_cache(size_t size, size_t flags)
{
    NEEDS(dallocx);
    row_t *row = row_make(size);
    dallocx(row_drop(row), (int)flags);
    dallocx(opaque(row_victim(row)), (int)flags);
    finish();
}

static void freed_past_cache(size_t size, size_t flags)
{
    NEEDS(dallocx);
    row_t *row = row_make(size);
    dallocx(row_drop(row), (int)flags);
    give(row_victim(row));
    finish();
}

/* ---- threads ---- */

static void give_errand(void *p)
{
    give(p);
}

static void in_other_thread(size_t size, size_t arg)
{
    row_t *row = row_make(size);
    in_thread(give_errand, row_give(row) + arg);
    finish();
}

static void in_two_threads(size_t size, size_t arg)
{
    row_t *row = row_make(size);
    unsigned char *p = row_drop(row) + arg;
    in_thread(give_errand, p);
    in_thread(give_errand, p);
    finish();
}

static void after_other_thread(size_t size, size_t arg)
{
    row_t *row = row_make(size);
    unsigned char *p = row_drop(row) + arg;
    in_thread(give_errand, p);
    give(p);
    finish();
}

static void give_twice(void *p)
{
    give(p);
    give(p);
}

static void twice_in_a_thread(size_t size, size_t arg)
{
    row_t *row = row_make(size);
    in_thread(give_twice, row_drop(row) + arg);
    finish();
}

/* ---- owners ---- */

/* The stale pointer frees the next owner's block. */
static void of_next_owner(size_t size, size_t arg)
{
    row_t *row = row_make(size);
    unsigned char *p = row_give(row);
    unsigned char *owner = take_again(p, size, 4 * row->count);
    give(p + arg);
    if (owner != NULL) {
        unsigned char *third = take_again(owner, size, 4 * row->count);
        misuse_harm_if(third != NULL, "two live blocks overlap");
        give(owner);
    }
    finish();
}

static void measured_between(size_t size, size_t arg)
{
    row_t *row = row_make(size);
    unsigned char *p = row_give(row);
    (void)malloc_usable_size(opaque(p));
    give(p + arg);
    finish();
}

/* ---- the end of the process ---- */

static unsigned char *at_exit;

static void give_at_exit(void)
{
    give(at_exit);
    finish();
}

static void in_atexit(size_t size, size_t arg)
{
    row_t *row = row_make(size);
    at_exit = row_give(row) + arg;
    if (atexit(give_at_exit) != 0) {
        misuse_broken("no room for a function at exit");
    }
}

static void then_exit(size_t size, size_t arg)
{
    row_t *row = row_make(size);
    unsigned char *p = row_give(row);
    give(p + arg);
}

static const misuse_case_t cases[] = {
    {"double_free_at_once", after_frees, 0, SIZES_ALL, NOT_TWICE},
    {"double_free_after_1", after_frees, 1, SIZES_ALL, NOT_TWICE},
    {"double_free_after_64", after_frees, 64, SIZES_ALL, NOT_TWICE},
    {"double_free_after_10000", after_frees, 10000, SIZES_FEW, NOT_TWICE},
    {"double_free_behind_1", after_row, 1, SIZES_ALL, NOT_TWICE},
    {"double_free_behind_6", after_row, 6, SIZES_ALL, NOT_TWICE},
    {"double_free_behind_60", after_row, 60, SIZES_ALL, NOT_TWICE},
    {"double_free_after_others", after_other_class, 48, SIZES_ALL, NOT_TWICE},
    {"double_free_after_takes", after_takes, 16, SIZES_ALL, NOT_TWICE},
    {"double_free_thrice", three_times, 3, SIZES_ALL, NOT_TWICE},
    {"double_free_ten_times", three_times, 10, SIZES_ALL, NOT_TWICE},
    {"double_free_around", around_another, 0, SIZES_ALL, NOT_TWICE},
    {"double_free_all", pairs, 1, SIZES_ALL, NOT_TWICE},
    {"double_free_each_third", pairs, 3, SIZES_ALL, NOT_TWICE},
    {"double_free_backwards", backwards, 0, SIZES_ALL, NOT_TWICE},
    {"double_free_calloc", of_zeroed, 0, SIZES_ALL, NOT_TWICE},
    {"double_free_aligned", of_aligned, 0, SIZES_ALL, NOT_TWICE},
    {"double_free_page", of_page, 0, SIZES_ALL, NOT_TWICE},
    {"double_free_resized", of_resized, 0, SIZES_ALL, NOT_TWICE},
    {"double_free_moved_2", after_move, 2, SIZES_ALL, NOT_TWICE},
    {"double_free_moved_10", after_move, 10, SIZES_ALL, NOT_TWICE},
    {"double_free_realloc_0", after_realloc_to_nothing, 0, SIZES_ALL,
        NOT_TWICE},
    {"double_free_sized", sized, 0, SIZES_ALL, NOT_TWICE},
    {"double_free_sized_late", sized_after_free, 0, SIZES_ALL, NOT_TWICE},
    {"double_free_no_cache", past_cache, WITHOUT_CACHE, SIZES_ALL, NOT_TWICE},
    {"double_free_dallocx", past_cache, 0, SIZES_ALL, NOT_TWICE},
    {"double_free_mixed", freed_past_cache, WITHOUT_CACHE, SIZES_ALL,
        NOT_TWICE},
    {"double_free_thread", in_other_thread, 0, SIZES_ALL, NOT_TWICE},
    {"double_free_two_threads", in_two_threads, 0, SIZES_ALL, NOT_TWICE},
    {"double_free_after_thread", after_other_thread, 0, SIZES_ALL, NOT_TWICE},
    {"double_free_in_thread", twice_in_a_thread, 0, SIZES_ALL, NOT_TWICE},
    {"double_free_of_owner", of_next_owner, 0, SIZES_ALL,
        "the freed block had no next owner yet"},
    {"double_free_measured", measured_between, 0, SIZES_ALL, NOT_TWICE},
    {"double_free_atexit", in_atexit, 0, SIZES_ALL, NOT_TWICE},
    {"double_free_exit", then_exit, 0, SIZES_ALL,
        "the process ended before anybody could get the block"},
};

MISUSE_KIND(double_free, "double frees", cases);
