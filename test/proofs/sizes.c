/*
 * What: size classes, for every size, alignment and setting: the computed
 * functions. That the tables say the same is counted out in enumerate.c.
 *
 * Invariants: as in proof.h.
 *
 * Locking: none.
 */
#include "proof.h"

#include "conf/sizeclass.c"

/* ---- request -> class -> size ---- */

PROOF(class_is_smallest, size_t size)
{
    if (size > SC_MAX) {
        return true;
    }
    unsigned index = sizeclass_index(size);
    return index < SC_COUNT && sizeclass_size(index) >= size &&
           IMPLIES(index != 0, sizeclass_size(index - 1) < size);
}

PROOF(class_is_monotone, size_t a, size_t b)
{
    return IMPLIES(
        a <= b && b <= SC_MAX, sizeclass_index(a) <= sizeclass_index(b));
}

/* What is said to a sized free may be anything up to the usable size. */
PROOF(class_of_sized_free, size_t size, size_t said)
{
    return IMPLIES(size <= SC_MAX && said >= size &&
                       said <= sizeclass_size(sizeclass_index(size)),
        sizeclass_index(said) == sizeclass_index(size));
}

PROOF(class_inverse, unsigned index)
{
    return IMPLIES(index < SC_COUNT,
        sizeclass_index(sizeclass_size(index)) == index &&
            sizeclass_size(index) <= SC_MAX &&
            IMPLIES(
                index != 0, sizeclass_size(index) > sizeclass_size(index - 1)));
}

PROOF(class_last)
{
    return sizeclass_size(SC_COUNT - 1) == SC_MAX &&
           sizeclass_size(SC_SMALL_COUNT - 1) == SC_SMALL_MAX &&
           sizeclass_size(SC_SMALL_COUNT) == SC_LARGE_MIN &&
           sizeclass_size(TCACHE_CLASS_COUNT - 1) == TCACHE_MAX_LIMIT;
}

/* limits.h: rounding stays under 20 %, from where the steps are four. */
PROOF(class_waste, size_t size)
{
    if (size <= 64 || size > SC_MAX) {
        return true;
    }
    size_t usize = sizeclass_size(sizeclass_index(size));
    return (usize - size) < usize / 5 + (usize % 5 != 0);
}

/* I2 of sizeclass.h, and that blocks of 16 bytes and more have 16. */
PROOF(class_keeps_alignment, size_t size, unsigned lg)
{
    if (lg > LG_PAGE || size == 0 || size > SC_SMALL_MAX) {
        return true;
    }
    size_t alignment = (size_t)1 << lg;
    size_t usize = sizeclass_size(sizeclass_index(size));
    return IMPLIES(
               is_multiple(size, alignment), is_multiple(usize, alignment)) &&
           IMPLIES(size > 8, usize % QUANTUM == 0);
}

/* ---- usable size ---- */

PROOF(usize, size_t size)
{
    size_t usize = sizeclass_usize(size);
    if (size > SC_MAX) {
        return usize == 0;
    }
    return usize >= size && usize <= SC_MAX && usize >= 8 &&
           (usize <= SC_SMALL_MAX ||
               (usize >= SC_LARGE_MIN && usize % PAGE == 0));
}

PROOF(usize_is_monotone, size_t a, size_t b)
{
    return IMPLIES(
        a <= b && b <= SC_MAX, sizeclass_usize(a) <= sizeclass_usize(b));
}

PROOF(usize_of_sized_free, size_t size, size_t said)
{
    size_t usize = sizeclass_usize(size);
    return IMPLIES(
        said >= size && said <= usize, sizeclass_usize(said) == usize);
}

PROOF(usize_large, size_t size)
{
    size_t usize = sizeclass_usize_large(size);
    if (size > SC_MAX) {
        return usize == 0;
    }
    return usize >= size && usize >= SC_LARGE_MIN && usize <= SC_MAX &&
           usize % PAGE == 0 &&
           IMPLIES(opt.disable_large_size_classes && size > SC_LARGE_MIN,
               usize - size < PAGE);
}

/* ---- with an alignment ---- */

/* A block of pages and what its place needs exceed a word. */
static bool is_beyond(size_t size, size_t alignment)
{
    size_t lead = alignment < PAGE ? PAGE : alignment;
    return alignment > SC_MAX || size > SC_MAX ||
           sizeclass_usize_large(size) > SIZE_MAX - lead;
}

/* Small sizes fit in small alignments; the class keeps the alignment. */
PROOF(aligned_small, size_t size, unsigned lg)
{
    if (lg > LG_PAGE || size > SC_SMALL_MAX) {
        return true;
    }
    size_t alignment = (size_t)1 << lg;
    size_t usize = sizeclass_usize_aligned(size, alignment);
    return usize >= size && usize != 0 &&
           (usize == SC_LARGE_MIN ||
               (usize <= SC_SMALL_MAX && is_multiple(usize, alignment)));
}

/* 0 exactly if there is no such block, else whole pages. */
PROOF(aligned_large, size_t size, unsigned lg)
{
    if (lg > 63 || (lg <= LG_PAGE && size <= SC_SMALL_MAX)) {
        return true;
    }
    size_t alignment = (size_t)1 << lg;
    size_t usize = sizeclass_usize_aligned(size, alignment);
    if (lg != 0 && is_beyond(size, alignment)) {
        return usize == 0;
    }
    return IMPLIES(size <= SC_MAX,
        usize >= size && usize >= SC_LARGE_MIN && usize % PAGE == 0);
}

PROOF(aligned_zero_is_none, size_t size)
{
    return sizeclass_usize_aligned(size, 0) == sizeclass_usize(size) &&
           sizeclass_usize_aligned(size, 1) == sizeclass_usize(size);
}

PROOF(aligned_of_sized_free, size_t size, size_t said, unsigned lg)
{
    if (lg > 63) {
        return true;
    }
    size_t alignment = (size_t)1 << lg;
    size_t usize = sizeclass_usize_aligned(size, alignment);
    return IMPLIES(said >= size && said <= usize,
        sizeclass_usize_aligned(said, alignment) == usize);
}

PROOF(aligned_is_monotone, size_t a, size_t b, unsigned lg)
{
    if (lg > 63) {
        return true;
    }
    size_t alignment = (size_t)1 << lg;
    size_t usize = sizeclass_usize_aligned(b, alignment);
    return IMPLIES(
        a <= b && usize != 0, sizeclass_usize_aligned(a, alignment) <= usize);
}

/* ---- runs of pages ---- */

static bool is_run(size_t bytes)
{
    return bytes >= PAGE && bytes >> CONFIG_LG_VADDR == 0;
}

PROOF(run_floor, size_t a, size_t b)
{
    if (!is_run(a) || !is_run(b) || a > b) {
        return true;
    }
    return sizeclass_run_floor(a) <= sizeclass_run_floor(b) &&
           sizeclass_run_floor(b) < SC_RUN_COUNT;
}

/* Whatever lies in a class from the ceil of what is wanted on is enough. */
PROOF(run_ceil, size_t have, size_t want)
{
    if (!is_run(have) || !is_run(want) || have % PAGE + want % PAGE != 0) {
        return true;
    }
    unsigned class = sizeclass_run_ceil(want);
    return class <= SC_RUN_COUNT &&
           IMPLIES(sizeclass_run_floor(have) >= class, have >= want) &&
           IMPLIES(have >= want, sizeclass_run_floor(have) + 1 >= class);
}
