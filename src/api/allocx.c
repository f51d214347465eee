/*
 * What: the extended family, whose flags word packs alignment, zeroing,
 * cache and arena; the layout is ABI.
 *
 *   bits 0-5 lg alignment | 6 zero | 8-19 cache | 20-31 arena
 *
 * Invariants: (I1) a function looks only at the bits it needs.
 *
 * Locking: none.
 */
#include <errno.h>

#include "api/alloc.h"
#include "api/init.h"
#include "api/resize.h"
#include "arena/arena_table.h"
#include "arena/guarded.h"
#include "cache/tcache_table.h"
#include "os/log.h"
#include "os/valgrind.h"

#define FLAG_ALIGN_MASK   0x3f
#define FLAG_TCACHE_SHIFT 8
#define FLAG_TCACHE_MASK  0xfffU
#define FLAG_ARENA_SHIFT  20
#define FLAG_ARENA_MASK   0xfffU

/* Values of the cache field. */
#define FLAG_TCACHE_AUTO  0
#define FLAG_TCACHE_NONE  1
#define FLAG_TCACHE_FIRST 2

/* What is too much for a size_t becomes the largest, which nobody can have. */
static size_t flag_alignment(int flags)
{
    unsigned lg = (unsigned)flags & FLAG_ALIGN_MASK;
    lg = lg < LG_PTR_BITS ? lg : LG_PTR_BITS - 1;
    return lg == 0 ? 0 : (size_t)1 << lg;
}

static bool flag_zero(int flags)
{
    return (flags & MALLOCX_ZERO) != 0;
}

JE_COLD static void invalid_tcache(unsigned id)
{
    log_printf("<jemalloc>: invalid tcache id (%u).\n", id);
    abort();
}

static void place_cache(int flags, alloc_place_t *place)
{
    unsigned field = ((unsigned)flags >> FLAG_TCACHE_SHIFT) & FLAG_TCACHE_MASK;
    place->tcache = NULL;
    if (field == FLAG_TCACHE_AUTO) {
        place->cache = ALLOC_CACHE_AUTO;
    } else if (field == FLAG_TCACHE_NONE) {
        place->cache = ALLOC_CACHE_NONE;
    } else {
        place->cache = ALLOC_CACHE_EXPLICIT;
        place->tcache = tcache_table_lookup(field - FLAG_TCACHE_FIRST);
        if (place->tcache == NULL) {
            invalid_tcache(field - FLAG_TCACHE_FIRST);
        }
    }
}

/* False if the flags name an arena that cannot be had. */
static bool place_arena(int flags, alloc_place_t *place)
{
    unsigned field = ((unsigned)flags >> FLAG_ARENA_SHIFT) & FLAG_ARENA_MASK;
    place->arena = NULL;
    if (field == 0) {
        return true;
    }
    place->arena = arena_table_get(field - 1);
    return place->arena != NULL;
}

JE_NOINLINE static void *mallocx_general(size_t size, int flags)
{
    alloc_place_t place = ALLOC_PLACE_DEFAULT;
    if (!init_ensure()) {
        errno = ENOMEM;
        return NULL;
    }
    place_cache(flags, &place);
    if (!place_arena(flags, &place)) {
        errno = ENOMEM;
        return NULL;
    }
    size_t alignment = flag_alignment(flags);
    return alloc_block(size, sizeclass_usize_aligned(size, alignment),
        alignment, flag_zero(flags), &place);
}

JEMALLOC_EXPORT void *je_mallocx(size_t size, int flags)
{
    return JE_LIKELY(flags == 0) ? alloc_default(size)
                                 : mallocx_general(size, flags);
}

JEMALLOC_EXPORT void *je_rallocx(void *ptr, size_t size, int flags)
{
    resize_request_t request = {
        .size = size,
        .alignment = flag_alignment(flags),
        .zero = flag_zero(flags),
    };
    place_cache(flags, &request.place);
    if (!place_arena(flags, &request.place)) {
        errno = ENOMEM;
        return NULL;
    }
    return resize_block(ptr, &request);
}

JEMALLOC_EXPORT size_t je_xallocx(
    void *ptr, size_t size, size_t extra, int flags)
{
    return resize_in_place(
        ptr, size, extra, flag_alignment(flags), flag_zero(flags));
}

JEMALLOC_EXPORT size_t je_sallocx(const void *ptr, int flags)
{
    (void)flags;
    return alloc_usable_size(ptr);
}

JE_NOINLINE static void dallocx_general(void *ptr, int flags)
{
    alloc_place_t place = ALLOC_PLACE_DEFAULT;
    place_cache(flags, &place);
    free_block(ptr, &place);
}

JEMALLOC_EXPORT void je_dallocx(void *ptr, int flags)
{
    if (JE_LIKELY(flags == 0)) {
        free_default(ptr);
    } else {
        dallocx_general(ptr, flags);
    }
}

JEMALLOC_EXPORT void je_sdallocx(void *ptr, size_t size, int flags)
{
    /* NULL is no block: only here it may not be passed, as documented. */
    if (JE_LIKELY(flags == 0 && size <= SC_LOOKUP_MAX) &&
        JE_LIKELY(cache_bins_push(
            tsd_doors[CACHE_DOOR_GIVE_SIZED], sizeclass_lookup(size), ptr))) {
        return;
    }
    if (flags == 0) {
        free_sized_slow(ptr, size);
    } else {
        dallocx_general(ptr, flags);
    }
}

JEMALLOC_EXPORT size_t je_nallocx(size_t size, int flags)
{
    if (!init_ensure()) {
        return 0;
    }
    size_t usize = sizeclass_usize_aligned(size, flag_alignment(flags));
    /* What is promised here may be used. */
    bool is_exact = JE_UNLIKELY(valgrind_mode != VALGRIND_OFF) ||
                    seal_is_on() ||
                    (guarded_is_on() && usize <= GUARDED_SIZE_MAX);
    return is_exact && usize != 0 ? size : usize;
}

#if CONFIG_EXPERIMENTAL_SMALLOCX
typedef struct {
    void *ptr;
    size_t size;
} smallocx_return_t;

/* The name carries the version, so that nobody takes it for stable. */
JEMALLOC_EXPORT smallocx_return_t je_smallocx(size_t size, int flags);

smallocx_return_t je_smallocx(size_t size, int flags)
{
    void *p = je_mallocx(size, flags);
    return (smallocx_return_t){p, p == NULL ? 0 : alloc_usable_size(p)};
}
#endif
