/*
 * What: see resize.h.
 *
 * Invariants: as there.
 *
 * Locking: as there.
 */
#include "api/resize.h"

#include <errno.h>
#include <string.h>

#include "api/foreign.h"
#include "api/guard.h"
#include "arena/arena_table.h"
#include "conf/conf.h"
#include "os/valgrind.h"
#include "thread/event.h"
#include "thread/watch.h"

static bool is_aligned(const void *ptr, size_t alignment)
{
    return alignment == 0 || ((uintptr_t)ptr & (alignment - 1)) == 0;
}

/* Counts a changed usable size as one block gone and one come. */
static void note_resized(void *ptr, size_t size, size_t old_usize, size_t usize)
{
    tsd_t *tsd = alloc_tsd();
    alloc_resample(tsd, ptr, size);
    if (tsd != NULL) {
        bool watched = tsd_is_watched(tsd);
        tsd->direct_allocated += usize;
        tsd->direct_deallocated += old_usize;
        event_tick(tsd);
        if (JE_UNLIKELY(watched)) {
            watch_free(tsd, old_usize);
            watch_alloc(tsd, usize);
        }
    }
}

/* The block in place or its pages moved; NULL if neither can be. */
static void *resize_large(
    void *ptr, block_t block, size_t usize, const resize_request_t *request)
{
    arena_t *owner = arena_table_lookup(extent_arena(block.extent));
    bool zero = request->zero || opt.zero;
    if (!large_resize_in_place(
            &owner->large, &owner->pages, block.extent, usize, usize, zero)) {
        arena_t *wanted = request->place.arena;
        ptr = request->alignment > PAGE || (wanted != NULL && wanted != owner)
                  ? NULL
                  : large_resize_by_move(&owner->large, &owner->pages,
                        block.extent, usize, zero);
    }
    if (ptr != NULL) {
        alloc_fill_grown(ptr, block.usize, usize, zero);
        note_resized(ptr, request->size, block.usize, usize);
    }
    return ptr;
}

/* Whether malloc and free would do the same. */
static bool is_plain(const resize_request_t *request)
{
    return request->place.cache == ALLOC_CACHE_AUTO &&
           request->place.arena == NULL && request->alignment == 0 &&
           !request->zero;
}

static void *resize_by_copy(
    void *ptr, size_t old_usize, size_t usize, const resize_request_t *request)
{
    bool plain = is_plain(request);
    void *to = plain ? alloc_default(request->size)
                     : alloc_block(request->size, usize, request->alignment,
                           request->zero, &request->place);
    if (to == NULL) {
        return NULL;
    }
    /* A guarded block has no more bytes than were asked for. */
    size_t room = guarded_has(to) ? request->size : usize;
    memcpy(to, ptr, old_usize < room ? old_usize : room);
    if (plain) {
        free_default(ptr);
    } else {
        free_block(ptr, &request->place);
    }
    return to;
}

/* A block of the C library stays there, unless flags ask for more. */
static void *resize_foreign(
    void *ptr, size_t usize, const resize_request_t *request)
{
    size_t old_usize = foreign_usable_size(ptr, "realloc");
    if (old_usize == 0) {
        errno = ENOMEM;
        return NULL;
    }
    if (request->alignment == 0 && !request->zero &&
        request->place.arena == NULL) {
        return foreign_realloc(ptr, request->size);
    }
    return resize_by_copy(ptr, old_usize, usize, request);
}

/* A guarded block moves whenever its size changes. */
static void *resize_guarded(
    void *ptr, size_t usize, const resize_request_t *request)
{
    size_t old_size;
    if (!guard_size(ptr, "realloc", &old_size)) {
        errno = ENOMEM;
        return NULL;
    }
    return old_size == request->size && is_aligned(ptr, request->alignment) &&
                   request->place.arena == NULL
               ? ptr
               : resize_by_copy(ptr, old_size, usize, request);
}

/*
 * While memcheck watches: the block moves even where its class would do, so
 * that uses of its old address show, but stays with its arena then.
 */
JE_COLD static void *resize_checked(
    void *ptr, size_t usize, const resize_request_t *request)
{
    void *to;
    size_t size = request->size;
    alloc_place_t place = request->place;
    bool is_plain =
        request->alignment == 0 && !request->zero && place.arena == NULL;
    if (checked_realloc(ptr, size, is_plain, &to)) {
        return to;
    }
    size_t old_size = checked_usable_size(ptr);
    if (old_size == size && is_aligned(ptr, request->alignment)) {
        return ptr;
    }
    if (place.arena == NULL && sizeclass_usize(old_size) == usize) {
        place.arena = checked_arena(ptr);
        place.cache = place.arena == NULL ? place.cache : ALLOC_CACHE_NONE;
    }
    to = alloc_block(size, usize, request->alignment, request->zero, &place);
    if (to != NULL) {
        memcpy(to, ptr, old_size < size ? old_size : size);
        free_block(ptr, &request->place);
    }
    return to;
}

/* While blocks are sealed: as long as the same region will do, it stays. */
static void *resize_hardened(
    void *ptr, size_t usize, const resize_request_t *request)
{
    size_t old_size;
    if (!hardened_size(ptr, "realloc", &old_size)) {
        if (old_size == SIZE_MAX) {
            return resize_foreign(ptr, usize, request);
        }
        errno = ENOMEM;
        return NULL;
    }
    bool stays = is_aligned(ptr, request->alignment) &&
                 request->place.arena == NULL && old_size != 0;
    return stays && hardened_resize(ptr, request->size)
               ? ptr
               : resize_by_copy(ptr, old_size, request->size, request);
}

void *resize_block(void *ptr, const resize_request_t *request)
{
    size_t usize = sizeclass_usize_aligned(request->size, request->alignment);
    if (JE_UNLIKELY(usize == 0)) {
        errno = ENOMEM;
        return NULL;
    }
    if (JE_UNLIKELY(valgrind_mode != VALGRIND_OFF)) {
        return resize_checked(ptr, usize, request);
    }
    if (seal_is_on()) {
        return resize_hardened(ptr, usize, request);
    }
    unsigned class_byte = (unsigned)extent_map_class(ptr);
    bool stays = is_aligned(ptr, request->alignment);
    if (class_byte != 0 && class_byte <= SC_SMALL_COUNT) {
        size_t old_usize = sizeclass_size(class_byte - 1);
        return old_usize == usize && stays
                   ? ptr
                   : resize_by_copy(ptr, old_usize, usize, request);
    }
    block_t block = block_find(ptr);
    if (JE_UNLIKELY(block.extent == NULL)) {
        return guarded_has(ptr) ? resize_guarded(ptr, usize, request)
                                : resize_foreign(ptr, usize, request);
    }
    if (block.usize <= SC_SMALL_MAX) { /* a sample, on pages of its own */
        return block.usize == usize && stays
                   ? ptr
                   : resize_by_copy(ptr, block.usize, usize, request);
    }
    if (usize >= SC_LARGE_MIN && stays) {
        void *moved = resize_large(ptr, block, usize, request);
        if (moved != NULL) {
            return moved;
        }
    }
    return resize_by_copy(ptr, block.usize, usize, request);
}

/* The most that there is room for. */
static size_t resize_hardened_in_place(
    void *ptr, size_t size, size_t extra, size_t alignment)
{
    size_t old_size;
    if (!hardened_size(ptr, "xallocx", &old_size) || old_size < SC_LARGE_MIN ||
        size < SC_LARGE_MIN || !is_aligned(ptr, alignment)) {
        return old_size == SIZE_MAX ? 0 : old_size;
    }
    if (extra <= SC_MAX && size + extra > size &&
        hardened_resize(ptr, size + extra)) {
        return size + extra;
    }
    return hardened_resize(ptr, size) ? size : old_size;
}

size_t resize_in_place(
    void *ptr, size_t size, size_t extra, size_t alignment, bool zero)
{
    if (JE_UNLIKELY(valgrind_mode != VALGRIND_OFF)) {
        return checked_resize_in_place(ptr, size, extra, alignment, zero);
    }
    if (seal_is_on()) {
        return resize_hardened_in_place(ptr, size, extra, alignment);
    }
    size_t old_usize = alloc_usable_size(ptr);
    if (old_usize <= SC_SMALL_MAX || size > SC_MAX ||
        !is_aligned(ptr, alignment)) {
        return old_usize;
    }
    if (extra > SC_MAX - size) {
        extra = SC_MAX - size;
    }
    size_t usize_min = sizeclass_usize_aligned(size, alignment);
    size_t usize_max = sizeclass_usize_aligned(size + extra, alignment);
    block_t block = block_find(ptr);
    if (usize_max < SC_LARGE_MIN || block.extent == NULL) {
        return old_usize;
    }
    if (usize_min < SC_LARGE_MIN) {
        usize_min = SC_LARGE_MIN;
    }
    arena_t *owner = arena_table_lookup(extent_arena(block.extent));
    zero = zero || opt.zero;
    if (!large_resize_in_place(&owner->large, &owner->pages, block.extent,
            usize_min, usize_max, zero)) {
        return old_usize;
    }
    size_t usize = alloc_usable_size(ptr);
    if (usize != old_usize) {
        alloc_fill_grown(ptr, old_usize, usize, zero);
        note_resized(ptr, size, old_usize, usize);
    }
    return usize;
}
