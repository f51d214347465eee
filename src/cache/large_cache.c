/*
 * What: see large_cache.h.
 *
 * Invariants: as there.
 *
 * Locking: as there.
 */
#include "cache/large_cache.h"

#include "arena/arena_table.h"

void *large_cache_pop(large_cache_t *cache, size_t usize)
{
    for (unsigned i = 0; i < LARGE_CACHE_SLOTS; i++) {
        extent_t *e = cache->slots[i];
        if (e != NULL && e->u.large.usize == usize) {
            cache->slots[i] = NULL;
            cache->bytes -= extent_size(e);
            cache->used = true;
            extent_set_flag(e, EXTENT_CACHED, false);
            e->u.large.hits++;
            return e->u.large.ptr;
        }
    }
    return NULL;
}

static void give_back(large_cache_t *cache, unsigned slot)
{
    extent_t *e = cache->slots[slot];
    if (e == NULL) {
        return;
    }
    cache->slots[slot] = NULL;
    cache->bytes -= extent_size(e);
    extent_set_flag(e, EXTENT_CACHED, false);
    arena_t *owner = arena_table_lookup(extent_arena(e));
    large_free(&owner->large, &owner->pages, e);
}

bool large_cache_push(large_cache_t *cache, extent_t *extent)
{
    if (extent_size(extent) > LARGE_CACHE_BYTES || extent->u.large.resized ||
        extent_has(extent, EXTENT_GUARDED)) {
        return false;
    }
    unsigned slot = cache->next;
    for (unsigned i = 0; i < LARGE_CACHE_SLOTS; i++) {
        if (cache->slots[i] == NULL) {
            slot = i;
            break;
        }
    }
    give_back(cache, slot);
    cache->next = (slot + 1) % LARGE_CACHE_SLOTS;
    for (unsigned i = 0; i < LARGE_CACHE_SLOTS &&
                         cache->bytes + extent_size(extent) > LARGE_CACHE_BYTES;
         i++) {
        give_back(cache, i);
    }
    extent_set_flag(extent, EXTENT_CACHED, true);
    cache->slots[slot] = extent;
    cache->bytes += extent_size(extent);
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
    if (!cache->used) {
        large_cache_flush(cache);
    }
    cache->used = false;
}
