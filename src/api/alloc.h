/*
 * What: the hot path, and the only place that chooses between cache, arena
 * and large: behind every public function stands one of these.
 *
 * The fast half is inline: one thread-local word, one table, one stack. What
 * it cannot do, for whatever reason, goes to alloc_slow or free_slow: first
 * call, empty or full stack, large block, instrumented thread, call from
 * inside a hook, thread after its death.
 *
 * Invariants: (I1) errno is ENOMEM after an allocation failed, and untouched
 * by everything else; (I2) a free never fails.
 *
 * Locking: none held on entry; the slow path takes what it needs.
 */
#ifndef JE_API_ALLOC_H
#define JE_API_ALLOC_H

#include "api/hardened.h"
#include "arena/seal.h"
#include "cache/cache_bin.h"
#include "conf/sizeclass.h"
#include "extent/extent_map.h"
#include "thread/tsd.h"

/* Where a request wants its block from, and to which cache it returns. */
typedef enum {
    ALLOC_CACHE_AUTO,
    ALLOC_CACHE_NONE,
    ALLOC_CACHE_EXPLICIT,
} alloc_cache_t;

typedef struct alloc_place {
    alloc_cache_t cache;
    bool is_region;   /* asked by checked.c, for the block of another place */
    tcache_t *tcache; /* if explicit */
    arena_t *arena;   /* NULL: the thread's */
} alloc_place_t;

static const alloc_place_t alloc_place_default = {.cache = ALLOC_CACHE_AUTO};
#define ALLOC_PLACE_DEFAULT alloc_place_default

/* malloc beyond the inline half. Sets errno on failure. */
void *alloc_slow(size_t size);

/* The same with an alignment, a power of two. */
void *alloc_aligned_slow(size_t alignment, size_t size);

/* free beyond the inline half. */
void free_slow(void *ptr);
void free_sized_slow(void *ptr, size_t size);

/*
 * A block of `usize` bytes (from sizeclass, for a request of `size`; 0 fails)
 * at a multiple of `alignment` (a power of two, or 0). Sets errno on failure.
 */
void *alloc_block(size_t size, size_t usize, size_t alignment, bool zero,
    const alloc_place_t *place);

/*
 * After a live block got another usable size where it is: it may become a
 * sample, or cease to be one.
 */
void alloc_resample(tsd_t *tsd, void *ptr, size_t size);

/* Takes a block back to a place. */
void free_block(void *ptr, const alloc_place_t *place);

/* Usable size of a live block that has no class byte; of NULL 0. */
size_t alloc_usable_size_slow(const void *ptr);

/* Bytes past the old usable size, as options want them. */
void alloc_fill_grown(void *ptr, size_t old_usize, size_t usize, bool zero);

/* The calling thread's record; NULL if it must do without. Boots. */
tsd_t *alloc_tsd(void);

/* The inline half alone: NULL if it cannot serve the request. */
JE_ALWAYS_INLINE void *alloc_fast(size_t size)
{
    return JE_LIKELY(size <= SC_LOOKUP_MAX)
               ? cache_bins_pop(tsd_door, sizeclass_lookup(size))
               : NULL;
}

JE_ALWAYS_INLINE void *alloc_default(size_t size)
{
    void *p = alloc_fast(size);
    return JE_LIKELY(p != NULL) ? p : alloc_slow(size);
}

JE_ALWAYS_INLINE void free_default(void *ptr)
{
    size_t class_byte = extent_map_class(ptr);
    if (JE_UNLIKELY(
            !cache_bins_push(tsd_doors[CACHE_DOOR_GIVE], class_byte, ptr))) {
        free_slow(ptr);
    }
}

/* `size` is what was asked for, or anything up to the usable size. */
JE_ALWAYS_INLINE void free_sized_default(void *ptr, size_t size)
{
    if (JE_LIKELY(ptr != NULL && size <= SC_LOOKUP_MAX) &&
        JE_LIKELY(cache_bins_push(
            tsd_doors[CACHE_DOOR_GIVE_SIZED], sizeclass_lookup(size), ptr))) {
        return;
    }
    free_sized_slow(ptr, size);
}

/*
 * A small class that is the class of a multiple of the alignment is itself
 * aligned to it: rounding the size up is all that it takes.
 */
JE_ALWAYS_INLINE void *alloc_aligned_fast(size_t alignment, size_t size)
{
    size_t multiple = (size + (alignment - 1)) & ~(alignment - 1);
    return JE_LIKELY(alignment <= PAGE && multiple - 1 < SC_LOOKUP_MAX)
               ? cache_bins_pop(tsd_door, sizeclass_lookup(multiple))
               : NULL;
}

JE_ALWAYS_INLINE void *alloc_aligned_default(size_t alignment, size_t size)
{
    void *p = alloc_aligned_fast(alignment, size);
    return JE_LIKELY(p != NULL) ? p : alloc_aligned_slow(alignment, size);
}

/* Usable size of a live block; of NULL 0. */
static inline size_t alloc_usable_size(const void *ptr)
{
    size_t class_byte = extent_map_class(ptr);
    size_t usize = sizeclass_usable[class_byte];
    return JE_LIKELY(usize != 0) ? usize : alloc_usable_size_slow(ptr);
}

static inline void free_sized_aligned_default(
    void *ptr, size_t size, size_t alignment)
{
    if (bits_is_pow2(alignment) && !seal_is_on()) {
        size = sizeclass_usize_aligned(size, alignment);
    }
    free_sized_default(ptr, size);
}

#endif
