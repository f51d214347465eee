/*
 * What: the libc family: arguments are checked, errno is set, alloc.h and
 * resize.h do the rest.
 *
 * Invariants: (I1) every free-like function leaves errno alone; (I2) what
 * fails returns NULL (or an errno number) and changes nothing.
 *
 * Locking: none.
 */
#include <errno.h>
#include <string.h>

#include "api/alloc.h"
#include "api/init.h"
#include "api/resize.h"
#include "conf/conf.h"
#include "os/log.h"
#include "os/os.h"
#include "stats/snapshot.h"

JEMALLOC_EXPORT void *je_malloc(size_t size)
{
    return alloc_default(size);
}

JE_NOINLINE static void *calloc_slow(size_t num, size_t size)
{
    size_t bytes;
    if (JE_UNLIKELY(__builtin_mul_overflow(num, size, &bytes))) {
        errno = ENOMEM;
        return NULL;
    }
    /* Before the first call the option that usize depends on is not read. */
    (void)alloc_tsd();
    return alloc_block(
        bytes, sizeclass_usize(bytes), 0, true, &ALLOC_PLACE_DEFAULT);
}

JEMALLOC_EXPORT void *je_calloc(size_t num, size_t size)
{
    size_t bytes;
    bool overflow = __builtin_mul_overflow(num, size, &bytes);
    if (JE_LIKELY(!overflow && bytes <= SC_LOOKUP_MAX)) {
        size_t class_byte = sizeclass_lookup(bytes);
        void *p = cache_bins_pop(tsd_door, class_byte);
        if (JE_LIKELY(p != NULL)) {
            return memset(p, 0, sizeclass_bytes[class_byte]);
        }
    }
    return calloc_slow(num, size);
}

JEMALLOC_EXPORT void je_free(void *ptr)
{
    free_default(ptr);
}

JEMALLOC_EXPORT void je_free_sized(void *ptr, size_t size)
{
    free_sized_default(ptr, size);
}

JEMALLOC_EXPORT void je_free_aligned_sized(
    void *ptr, size_t alignment, size_t size)
{
    free_sized_aligned_default(ptr, size, alignment);
}

/* realloc(p, 0): an option says what that means. */
static void *realloc_to_nothing(void *ptr)
{
    (void)atomic_add_relaxed(&stats_zero_reallocs, 1);
    switch (opt.zero_realloc) {
    case CONF_ZERO_REALLOC_FREE:
        free_default(ptr);
        return NULL;
    case CONF_ZERO_REALLOC_ABORT:
        log_write("Called realloc(non-null-ptr, 0) with zero_realloc:abort "
                  "set\n");
        abort();
    default:
        return resize_block(
            ptr, &(resize_request_t){1, 0, false, {.cache = ALLOC_CACHE_NONE}});
    }
}

/* Where the class changes: the fast half needs no room on the stack. */
JE_NOINLINE static void *realloc_slow(void *ptr, size_t size)
{
    if (JE_UNLIKELY(size == 0)) {
        return realloc_to_nothing(ptr);
    }
    return resize_block(
        ptr, &(resize_request_t){size, 0, false, ALLOC_PLACE_DEFAULT});
}

JEMALLOC_EXPORT void *je_realloc(void *ptr, size_t size)
{
    if (JE_UNLIKELY(ptr == NULL)) {
        return alloc_default(size);
    }
    unsigned class_byte = (unsigned)extent_map_class(ptr);
    if (size - 1 < SC_LOOKUP_MAX && class_byte == sizeclass_lookup(size) &&
        !seal_is_on()) {
        return ptr;
    }
    return realloc_slow(ptr, size);
}

/* A block at a multiple of a power of two; NULL and errno ENOMEM. */
static void *aligned(size_t alignment, size_t size)
{
    return alloc_aligned_default(alignment, size == 0 ? 1 : size);
}

JE_COLD static void *bad_alignment(void)
{
    if (opt.xmalloc) {
        log_write("<jemalloc>: Error allocating aligned memory: invalid "
                  "alignment\n");
        abort();
    }
    errno = EINVAL;
    return NULL;
}

/* What the fast half cannot serve, with errno kept. */
JE_NOINLINE static int posix_memalign_slow(
    void **memptr, size_t alignment, size_t size)
{
    int saved = errno;
    bool valid = alignment >= sizeof(void *) && bits_is_pow2(alignment);
    void *p = valid ? alloc_aligned_slow(alignment, size) : bad_alignment();
    errno = saved;
    if (p == NULL) {
        return valid ? ENOMEM : EINVAL;
    }
    *memptr = p;
    return 0;
}

JEMALLOC_EXPORT int je_posix_memalign(
    void **memptr, size_t alignment, size_t size)
{
    void *p = alignment >= sizeof(void *) && bits_is_pow2(alignment)
                  ? alloc_aligned_fast(alignment, size)
                  : NULL;
    if (JE_UNLIKELY(p == NULL)) {
        return posix_memalign_slow(memptr, alignment, size);
    }
    *memptr = p;
    return 0;
}

JEMALLOC_EXPORT void *je_aligned_alloc(size_t alignment, size_t size)
{
    return bits_is_pow2(alignment) ? aligned(alignment, size) : bad_alignment();
}

JEMALLOC_EXPORT void *je_memalign(size_t alignment, size_t size)
{
    return je_aligned_alloc(alignment, size);
}

JEMALLOC_EXPORT void *je_valloc(size_t size)
{
    (void)init_ensure();
    return aligned(os_page_size(), size);
}

/* The header has it only where libc has it too. */
JEMALLOC_EXPORT void *je_pvalloc(size_t size);

JEMALLOC_EXPORT void *je_pvalloc(size_t size)
{
    (void)init_ensure();
    size_t rounded = bits_round_up(size, os_page_size());
    if (rounded < size) {
        errno = ENOMEM;
        return NULL;
    }
    return aligned(os_page_size(), rounded == 0 ? os_page_size() : rounded);
}

JEMALLOC_EXPORT size_t je_malloc_usable_size(
    JEMALLOC_USABLE_SIZE_CONST void *ptr)
{
    return alloc_usable_size(ptr);
}
