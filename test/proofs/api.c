/*
 * What: the arguments of the public functions: aligned and sized fast paths,
 * flags, products and roundings, for all arguments. Whatever the calls would
 * do is replaced by a note of what they were asked for.
 *
 * Invariants: as in proof.h.
 *
 * Locking: none.
 */
#include "proof.h"

#include "cache/cache_bin.h"
#include "conf/sizeclass.c"

/* Tables as enumerate.c shows them to be. */
#define sizeclass_lookup(size) ((size_t)sizeclass_index(size) + 1)
/* A stack is named by its class byte. */
#define cache_bins_pop(bins, class_byte)       ((void *)(uintptr_t)(class_byte))
#define cache_bins_push(bins, class_byte, ptr) (given = (class_byte), true)
static size_t given;

/* For what the callers are proved to ask; sizes.c proves the answers. */
static size_t usize_aligned(size_t size, size_t alignment)
{
    return sizeclass_usize_aligned(size, alignment);
}

static size_t note_aligned(size_t size, size_t alignment);
#define sizeclass_usize_aligned(size, alignment) note_aligned(size, alignment)

#include "arena/seal.h"
#define seal_is_on() false
#include "api/alloc.h"
#include "api/init.h"
#include "api/resize.h"
#include "arena/arena_table.h"
#include "cache/tcache_table.h"
#include "os/log.h"
#include "os/os.h"
#include "os/valgrind.h"
#include "stats/snapshot.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <strings.h>

static size_t any_usize;
static size_t asked_size;
static size_t asked_usize;
static size_t asked_alignment;
static size_t page_size;
static unsigned asked_tcache;
static unsigned asked_arena;

static size_t note_aligned(size_t size, size_t alignment)
{
    asked_size = size;
    asked_alignment = alignment;
    return any_usize;
}

/* No class byte. */
#define NOTED ((void *)1024)

static void *note_block(size_t size, size_t usize, size_t alignment)
{
    asked_size = size;
    asked_usize = usize;
    asked_alignment = alignment;
    return NOTED;
}

void *alloc_slow(size_t size)
{
    return note_block(size, 0, 0);
}

void *alloc_aligned_slow(size_t alignment, size_t size)
{
    return note_block(size, 0, alignment);
}

void free_slow(void *ptr)
{
    (void)ptr;
}

void free_sized_slow(void *ptr, size_t size)
{
    (void)ptr;
    (void)size;
}

#define NONE ((void *)0)
#define alloc_block(size, usize, alignment, zero, place)                       \
    note_block(size, usize, alignment)
#define alloc_aligned_default(alignment, size) note_block(size, 0, alignment)
#define alloc_tsd()                            ((tsd_t *)0)
#define resize_block(...)                      NONE
#define resize_in_place(p, s, e, a, z)         ((size_t)0)
#define free_block(ptr, place)                 ((void)0)
#define init_ensure()                          true
#define os_page_size()                         page_size
#define log_write(text)                        ((void)0)
#define log_printf(...)                        ((void)0)
#define tcache_table_lookup(id)                (asked_tcache = (id), (tcache_t *)8)
#define arena_table_get(id)                    (asked_arena = (id), (arena_t *)8)
#define memset(p, byte, n)                     (p)
/* Asked for by opt.xmalloc and the like. */
#define abort() ((void)0)
#undef errno
#define errno               proof_errno
#define valgrind_mode       VALGRIND_OFF
#define alloc_default(size) note_block(size, 0, 0)
#define free_default(ptr)   ((void)0)
static int proof_errno;

#include "api/allocx.c"
#include "api/malloc.c"

static size_t class_bytes(const void *stack)
{
    return sizeclass_size((unsigned)(uintptr_t)stack - 1);
}

/* ---- alloc.h ---- */

PROOF(fast, size_t size)
{
    void *stack = alloc_fast(size);
    return IMPLIES(stack != NULL, class_bytes(stack) == sizeclass_usize(size));
}

/* The fast way and the slow one choose the same class. */
PROOF(aligned_fast, size_t size, unsigned lg)
{
    if (lg > 63) {
        return true;
    }
    size_t alignment = (size_t)1 << lg;
    void *stack = alloc_aligned_fast(alignment, size);
    if (stack == NULL) {
        return true;
    }
    size_t bytes = class_bytes(stack);
    return bytes >= size && is_multiple(bytes, alignment) &&
           bytes == usize_aligned(size, alignment);
}

/* A sized free finds the class that the block came from. */
PROOF(sized_free, size_t size, size_t said)
{
    void *block = (void *)64;
    if (size > SC_LOOKUP_MAX || said < size || said > sizeclass_usize(size)) {
        return true;
    }
    given = 0;
    free_sized_default(block, said);
    return IMPLIES(given != 0, given == (size_t)sizeclass_index(size) + 1);
}

/*
 * Asked for what malloc was asked for, with the same answer; usable sizes are
 * classes (class_inverse), so that theirs is the block's.
 */
PROOF(sized_aligned_free, size_t size, unsigned lg, size_t usize)
{
    void *block = (void *)64;
    if (lg > 63) {
        return true;
    }
    given = 0;
    any_usize = usize;
    free_sized_aligned_default(block, size, (size_t)1 << lg);
    return asked_size == size && asked_alignment == (size_t)1 << lg &&
           IMPLIES(given != 0, given == (size_t)sizeclass_index(usize) + 1);
}

/* ---- malloc.c ---- */

/* No product that exceeds a word is served, and none that fits is refused. */
PROOF(calloc, size_t num, size_t size)
{
    unsigned __int128 product = (unsigned __int128)num * size;
    asked_usize = 0;
    asked_size = 0;
    void *p = je_calloc(num, size);
    if (product > SIZE_MAX) {
        return p == NULL;
    }
    if (p == NOTED) {
        return asked_size == (size_t)product &&
               asked_usize == sizeclass_usize((size_t)product);
    }
    return class_bytes(p) >= (size_t)product;
}

PROOF(pvalloc, size_t size, unsigned lg)
{
    if (lg < LG_PAGE || lg > 16) {
        return true;
    }
    page_size = (size_t)1 << lg;
    asked_size = 0;
    void *p = je_pvalloc(size);
    if (size > SIZE_MAX - (page_size - 1)) {
        return p == NULL && asked_size == 0;
    }
    return asked_alignment == page_size && asked_size >= size &&
           asked_size >= page_size && is_multiple(asked_size, page_size) &&
           asked_size - size <= page_size;
}

/* Alignments that are none are refused, whatever they are. */
PROOF(posix_memalign, size_t alignment, size_t size)
{
    void *p = NULL;
    asked_alignment = 0;
    int error = je_posix_memalign(&p, alignment, size);
    bool is_one = alignment >= sizeof(void *) && alignment != 0 &&
                  (alignment & (alignment - 1)) == 0;
    if (!is_one) {
        return error == EINVAL && p == NULL;
    }
    return error == 0 && p != NULL &&
           IMPLIES(p == NOTED && asked_alignment != 0,
               asked_alignment == alignment && asked_size == size);
}

/* ---- allocx.c ---- */

PROOF(flag_alignment, int flags)
{
    size_t alignment = flag_alignment(flags);
    unsigned lg = (unsigned)flags & 63;
    return lg == 0 ? alignment == 0 : alignment == (size_t)1 << lg;
}

/* What the header's macros pack is what is unpacked. */
PROOF(flags, unsigned lg, bool zero, unsigned tcache, unsigned arena)
{
    if (lg > 63 || tcache > TCACHE_ID_LIMIT - 1 || arena >= ARENA_LIMIT) {
        return true;
    }
    int flags =
        MALLOCX_LG_ALIGN(lg) | (zero ? MALLOCX_ZERO : 0) |
        (int)((unsigned)MALLOCX_TCACHE((int)tcache) | (arena + 1U) << 20);
    alloc_place_t place = ALLOC_PLACE_DEFAULT;
    asked_tcache = UINT_MAX;
    asked_arena = UINT_MAX;
    place_cache(flags, &place);
    bool has_arena = place_arena(flags, &place);
    return has_arena && asked_arena == arena && asked_tcache == tcache &&
           place.cache == ALLOC_CACHE_EXPLICIT && flag_zero(flags) == zero &&
           flag_alignment(flags) == (lg == 0 ? 0 : (size_t)1 << lg);
}

PROOF(flags_without, unsigned lg)
{
    if (lg > 63) {
        return true;
    }
    alloc_place_t place = ALLOC_PLACE_DEFAULT;
    place_cache(MALLOCX_LG_ALIGN(lg), &place);
    bool automatic = place.cache == ALLOC_CACHE_AUTO && place.tcache == NULL;
    place_cache(MALLOCX_LG_ALIGN(lg) | MALLOCX_TCACHE_NONE, &place);
    bool none = place.cache == ALLOC_CACHE_NONE;
    return automatic && none && place_arena(MALLOCX_LG_ALIGN(lg), &place) &&
           place.arena == NULL;
}
