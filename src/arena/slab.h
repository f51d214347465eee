/*
 * What: one extent cut into equal regions. The bitmap of free regions lies
 * in the descriptor, so that no write of the program can reach it.
 *
 * Invariants: (I1) the number of set bits equals slab_free_count; (I2) bits
 * beyond the class's regions are clear.
 *
 * Locking: none here; the owning bin's lock.
 */
#ifndef JE_ARENA_SLAB_H
#define JE_ARENA_SLAB_H

#include "conf/sizeclass.h"
#include "extent/extent.h"

#define SLAB_NO_REGION ((unsigned)-1)

static inline const sizeclass_slab_t *slab_shape(unsigned class_byte)
{
    return &sizeclass_slabs[class_byte - 1];
}

static inline unsigned slab_free_count(const extent_t *slab)
{
    return (unsigned)(atomic_get_relaxed(&slab->size_and_free) & PAGE_MASK);
}

/* Makes all regions of a fresh extent free. */
void slab_init(extent_t *slab, unsigned class_byte, unsigned shard);

/* Takes up to `want` regions, lowest addresses first; returns how many. */
unsigned slab_take(
    extent_t *slab, const sizeclass_slab_t *shape, void **out, unsigned want);

/* The same in random order, whichever they are. */
unsigned slab_take_any(extent_t *slab, const sizeclass_slab_t *shape,
    void **out, unsigned want, uint64_t *random);

/* Number of the region that starts so many bytes into a slab, if one does. */
static inline unsigned slab_region_at(
    const sizeclass_slab_t *shape, uint64_t offset)
{
    if (offset >= shape->used_bytes) {
        return SLAB_NO_REGION;
    }
    unsigned region = (unsigned)((offset * shape->reciprocal) >> 32);
    return region * (uint64_t)shape->region_bytes == offset ? region
                                                            : SLAB_NO_REGION;
}

/* Region number of a pointer; SLAB_NO_REGION if it is not a region's start. */
static inline unsigned slab_region_of(
    const extent_t *slab, const sizeclass_slab_t *shape, const void *ptr)
{
    return slab_region_at(shape, (uintptr_t)ptr - slab->addr);
}

/*
 * Takes the regions `bits` of one bitmap word back. Returns those that were
 * free already, which is somebody's mistake; they are not counted twice.
 */
static inline uint64_t slab_give_bits(
    extent_t *slab, unsigned word, uint64_t bits)
{
    uint64_t free_already = slab->u.bitmap[word] & bits;
    slab->u.bitmap[word] |= bits;
    bits &= ~free_already;
    bool is_one = (bits & (bits - 1)) == 0;
    atomic_bump(&slab->size_and_free, is_one ? bits != 0 : bits_count(bits));
    return free_already;
}

/* Aborts on a broken invariant (debug builds). */
void slab_check(const extent_t *slab);

#endif
