/*
 * What: see checked.h.
 *
 * Invariants: as there.
 *
 * Locking: as there.
 */
#include "api/checked.h"

#include <errno.h>
#include <string.h>

#include "api/foreign.h"
#include "arena/arena_table.h"
#include "arena/block.h"
#include "arena/ledger.h"
#include "os/valgrind.h"
#include "thread/tsd.h"

static bool is_intercepted(void)
{
    return valgrind_mode == VALGRIND_INTERCEPTED;
}

static bool is_aligned(const void *ptr, size_t alignment)
{
    return alignment == 0 || ((uintptr_t)ptr & (alignment - 1)) == 0;
}

/* ---- blocks of ours ---- */

/* From the start of a region to its block. */
static size_t front_of(size_t alignment)
{
    return alignment > VALGRIND_REDZONE ? alignment : VALGRIND_REDZONE;
}

/* The region that a request takes; 0 if it is too much. */
static size_t region_size(const checked_request_t *request)
{
    size_t front = front_of(request->alignment);
    size_t size = front + request->size + VALGRIND_REDZONE;
    return request->size > SC_MAX || front > SC_MAX || size > SC_MAX
               ? 0
               : sizeclass_usize_aligned(size, request->alignment);
}

/*
 * The region loses its old contents for memcheck. Until here the block is
 * nobody's; the caller begins it.
 */
static void *prepare(const checked_request_t *request)
{
    size_t usize = region_size(request);
    char *region = usize == 0 ? NULL
                              : request->take(request->size, usize,
                                    request->alignment, false, request->place);
    if (region == NULL) {
        return NULL;
    }
    ledger_block_t block = {
        .ptr = region + front_of(request->alignment),
        .size = request->size,
        .region = region,
        .usize = usize,
        .arena = extent_arena(block_find(region).extent),
    };
    valgrind_forbid(region, usize);
    return ledger_add(&block) ? block.ptr : NULL;
}

/* ---- blocks of Valgrind's ---- */

/* The manual arena that the block would have come from, or NULL. */
static arena_t *manual_arena(arena_t *arena)
{
    if (arena == NULL && tsd_is_record(tsd_self)) {
        arena = tsd_self->arena;
    }
    return arena != NULL && arena->manual ? arena : NULL;
}

static void *alloc_public(const checked_request_t *request)
{
    const ledger_public_t *public = ledger_public();
    void *p;
    if (request->alignment > VALGRIND_REDZONE) {
        p = public->memalign(request->alignment, request->size);
        if (p != NULL && request->zero) {
            memset(p, 0, request->size);
        }
    } else if (request->zero) {
        p = public->calloc(1, request->size);
    } else {
        p = public->malloc(request->size);
    }
    arena_t *arena = p == NULL ? NULL : manual_arena(request->arena);
    if (arena != NULL) {
        ledger_block_t block = {
            .ptr = p, .size = request->size, .arena = arena->ind};
        if (ledger_add(&block)) {
            ledger_mark(p);
        }
    }
    return p;
}

/* ---- both ---- */

void *checked_alloc(const checked_request_t *request)
{
    if (is_intercepted()) {
        return alloc_public(request);
    }
    void *p = prepare(request);
    if (p != NULL) {
        valgrind_begin(p, request->size);
        if (request->zero) {
            memset(p, 0, request->size);
        }
    }
    return p;
}

/* Of what the ledger does not know. */
static bool free_unknown(
    void *ptr, checked_give_t *give, const alloc_place_t *home)
{
    if (!is_intercepted()) {
        return extent_map_find(ptr) == NULL && foreign_free_unseen(ptr);
    }
    if (block_find(ptr).extent != NULL) {
        give(ptr, home); /* from before Valgrind was found to intercept */
    } else {
        ledger_public()->free(ptr);
    }
    return true;
}

void checked_free(void *ptr, checked_give_t *give, const alloc_place_t *home)
{
    ledger_block_t block;
    bool is_known = ledger_remove(ptr, &block);
    if (is_known && block.region == NULL) {
        ledger_public()->free(ptr);
    } else if (is_known || !free_unknown(ptr, give, home)) {
        valgrind_end(ptr); /* what is no block is reported by this */
        if (is_known) {
            ledger_detain(&block);
        }
    }
    if (is_intercepted()) {
        return;
    }
    for (void *r = ledger_release(); r != NULL; r = ledger_release()) {
        give(r, home);
    }
}

size_t checked_usable_size(const void *ptr)
{
    ledger_block_t block;
    if (ledger_find(ptr, &block) && block.region != NULL) {
        return block.size;
    }
    block_t ours = block_find(ptr);
    if (ours.extent != NULL || !is_intercepted()) {
        return ours.usize;
    }
    return ledger_public()->usable_size((void *)(uintptr_t)ptr);
}

arena_t *checked_arena(const void *ptr)
{
    ledger_block_t block;
    return ledger_find(ptr, &block)
               ? manual_arena(arena_table_lookup(block.arena))
               : NULL;
}

bool checked_realloc(void *ptr, size_t size, bool is_plain, void **result)
{
    ledger_block_t block;
    bool is_known = ledger_find(ptr, &block);
    if (is_known || block_find(ptr).extent != NULL) {
        return false;
    }
    if (is_intercepted()) {
        if (is_plain) {
            *result = ledger_public()->realloc(ptr, size);
        }
        return is_plain;
    }
    *result = NULL;
    if (extent_map_find(ptr) != NULL ||
        !foreign_realloc_unseen(ptr, size, result)) {
        valgrind_end(ptr);
    }
    if (*result == NULL) {
        errno = ENOMEM;
    }
    return true;
}

/* The size between two that takes least work; 0 if there is no room. */
static size_t nearest_size(
    const ledger_block_t *block, size_t least, size_t most)
{
    size_t front = (size_t)((char *)block->ptr - (char *)block->region);
    size_t room = block->usize - front - VALGRIND_REDZONE;
    if (block->size > most) {
        return most;
    }
    if (block->size >= least) {
        return block->size;
    }
    return most < room ? most : least <= room ? room : 0;
}

size_t checked_resize_in_place(
    void *ptr, size_t size, size_t extra, size_t alignment, bool zero)
{
    ledger_block_t block;
    if (!ledger_find(ptr, &block) || block.region == NULL || size > SC_MAX ||
        !is_aligned(ptr, alignment)) {
        return checked_usable_size(ptr);
    }
    size_t most = extra > SC_MAX - size ? SC_MAX : size + extra;
    size_t new_size = nearest_size(&block, size, most);
    if (new_size == 0 || new_size == block.size) {
        return block.size;
    }
    valgrind_resize(ptr, block.size, new_size);
    ledger_set_size(ptr, new_size);
    if (zero && new_size > block.size) {
        memset((char *)ptr + block.size, 0, new_size - block.size);
    }
    return new_size;
}
