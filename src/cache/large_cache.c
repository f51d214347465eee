/*
 * What: see large_cache.h.
 *
 * Invariants: as there.
 *
 * Locking: as there.
 */
#include "cache/large_cache.h"

#include "arena/arena_table.h"

/* What a slot holds leaves it. */
static extent_t *take(large_cache_t *cache, unsigned slot)
{
    extent_t *e = cache->extents[slot];
    cache->usizes[slot] = 0;
    atomic_bump(&cache->bytes, -extent_size(e));
    extent_set_flag(e, EXTENT_CACHED, false);
    return e;
}

void *large_cache_pop(large_cache_t *cache, size_t usize)
{
    for (unsigned i = 0; i < LARGE_CACHE_SLOTS; i++) {
        if (cache->usizes[i] == usize) {
            extent_t *e = take(cache, i);
            cache->uses++;
            e->u.large.hits++;
            return e->u.large.ptr;
        }
    }
    return NULL;
}

static void give_back(large_cache_t *cache, unsigned slot)
{
    if (cache->usizes[slot] != 0) {
        extent_t *e = take(cache, slot);
        arena_t *owner = arena_table_lookup(extent_arena(e));
        large_free(&owner->large, &owner->pages, e);
    }
}

/* The empty slot, and the cache with room, keep the block. */
static bool hold(large_cache_t *cache, unsigned slot, extent_t *extent)
{
    extent_set_flag(extent, EXTENT_CACHED, true);
    atomic_bump(&cache->bytes, extent_size(extent));
    cache->uses++;
    cache->usizes[slot] = extent->u.large.usize;
    cache->extents[slot] = extent;
    return true;
}

/* Empties a slot, and more of them until there is room for the block. */
JE_NOINLINE static bool push_after_giving(
    large_cache_t *cache, extent_t *extent)
{
    size_t most = LARGE_CACHE_BYTES - extent_size(extent);
    unsigned slot = cache->next;
    cache->next = (slot + 1) % LARGE_CACHE_SLOTS;
    give_back(cache, slot);
    for (unsigned i = 0; i < LARGE_CACHE_SLOTS; i++) {
        if (atomic_get_relaxed(&cache->bytes) > most) {
            give_back(cache, i);
        }
    }
    return hold(cache, slot, extent);
}

bool large_cache_push(large_cache_t *cache, extent_t *extent)
{
    size_t bytes = extent_size(extent);
    if (bytes > LARGE_CACHE_BYTES || extent->u.large.resized ||
        extent_has(extent, EXTENT_GUARDED)) {
        return false;
    }
    if (atomic_get_relaxed(&cache->bytes) + bytes <= LARGE_CACHE_BYTES) {
        for (unsigned i = 0; i < LARGE_CACHE_SLOTS; i++) {
            if (cache->usizes[i] == 0) {
                return hold(cache, i, extent);
            }
        }
    }
    return push_after_giving(cache, extent);
}

void large_cache_flush(large_cache_t *cache)
{
    for (unsigned i = 0; i < LARGE_CACHE_SLOTS; i++) {
        give_back(cache, i);
    }
}

void large_cache_shrink_idle(large_cache_t *cache)
{
    if (cache->uses == cache->seen) {
        large_cache_flush(cache);
    }
    cache->seen = cache->uses;
}

void large_cache_flush_clean(large_cache_t *cache)
{
    for (unsigned i = 0; i < LARGE_CACHE_SLOTS; i++) {
        if (cache->usizes[i] != 0) {
            extent_t *e = take(cache, i);
            arena_t *owner = arena_table_lookup(extent_arena(e));
            large_free_clean(&owner->large, &owner->pages, e);
        }
    }
}
