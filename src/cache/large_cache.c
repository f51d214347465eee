/*
 * What: see large_cache.h.
 *
 * Invariants: as there.
 *
 * Locking: as there.
 */
#include "cache/large_cache.h"

#include "arena/arena_table.h"

/* Takes what a slot holds; NULL if it is empty or somebody was faster. */
static extent_t *take(large_cache_t *cache, unsigned slot)
{
    extent_t *e = atomic_exchange_explicit(
        &cache->slots[slot].extent, NULL, memory_order_acquire);
    if (e != NULL) {
        (void)atomic_sub_relaxed(&cache->bytes, extent_size(e));
        extent_set_flag(e, EXTENT_CACHED, false);
    }
    return e;
}

void *large_cache_pop(large_cache_t *cache, size_t usize)
{
    for (unsigned i = 0; i < LARGE_CACHE_SLOTS; i++) {
        if (cache->slots[i].usize != usize) {
            continue;
        }
        extent_t *e = take(cache, i);
        if (e != NULL) {
            atomic_put_relaxed(&cache->used, true);
            e->u.large.hits++;
            return e->u.large.ptr;
        }
    }
    return NULL;
}

static void give_back(large_cache_t *cache, unsigned slot)
{
    extent_t *e = take(cache, slot);
    if (e != NULL) {
        arena_t *owner = arena_table_lookup(extent_arena(e));
        large_free(&owner->large, &owner->pages, e);
    }
}

/* An empty slot, emptied if need be. */
static unsigned find_slot(large_cache_t *cache)
{
    for (unsigned i = 0; i < LARGE_CACHE_SLOTS; i++) {
        if (atomic_get_relaxed(&cache->slots[i].extent) == NULL) {
            return i;
        }
    }
    unsigned slot = cache->next;
    cache->next = (slot + 1) % LARGE_CACHE_SLOTS;
    give_back(cache, slot);
    return slot;
}

/* Gives back until there is room for that many bytes. */
JE_NOINLINE static void make_room(large_cache_t *cache, size_t bytes)
{
    for (unsigned i = 0; i < LARGE_CACHE_SLOTS; i++) {
        if (atomic_get_relaxed(&cache->bytes) + bytes > LARGE_CACHE_BYTES) {
            give_back(cache, i);
        }
    }
}

bool large_cache_push(large_cache_t *cache, extent_t *extent)
{
    size_t bytes = extent_size(extent);
    if (bytes > LARGE_CACHE_BYTES || extent->u.large.resized ||
        extent_has(extent, EXTENT_GUARDED)) {
        return false;
    }
    unsigned slot = find_slot(cache);
    if (atomic_get_relaxed(&cache->bytes) + bytes > LARGE_CACHE_BYTES) {
        make_room(cache, bytes);
    }
    extent_set_flag(extent, EXTENT_CACHED, true);
    (void)atomic_add_relaxed(&cache->bytes, bytes);
    atomic_put_relaxed(&cache->used, true);
    cache->slots[slot].usize = extent->u.large.usize;
    atomic_put_release(&cache->slots[slot].extent, extent);
    return true;
}

void large_cache_flush(large_cache_t *cache)
{
    for (unsigned i = 0; i < LARGE_CACHE_SLOTS; i++) {
        give_back(cache, i);
    }
}

void large_cache_shrink_idle(large_cache_t *cache)
{
    if (!atomic_get_relaxed(&cache->used)) {
        large_cache_flush(cache);
    }
    atomic_put_relaxed(&cache->used, false);
}

size_t large_cache_reclaim_idle(large_cache_t *cache)
{
    if (atomic_exchange(&cache->used, false)) {
        return atomic_get_relaxed(&cache->bytes);
    }
    for (unsigned i = 0; i < LARGE_CACHE_SLOTS; i++) {
        extent_t *e = take(cache, i);
        if (e != NULL) {
            arena_t *owner = arena_table_lookup(extent_arena(e));
            large_free_clean(&owner->large, &owner->pages, e);
        }
    }
    return 0;
}
