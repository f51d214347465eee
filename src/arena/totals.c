/*
 * What: see totals.h.
 *
 * Invariants: as there.
 *
 * Locking: as there.
 */
#include "arena/totals.h"

static size_t bins_allocated(arena_t *arena)
{
    size_t bytes = 0;
    for (unsigned i = 0; i < SC_SMALL_COUNT; i++) {
        for (unsigned s = 0; s < sizeclass_slabs[i].shards; s++) {
            bin_t *bin = &arena->bins[i][s];
            mutex_lock(&bin->lock);
            bytes += bin->stats.curregs * sizeclass_size(i);
            mutex_unlock(&bin->lock);
        }
    }
    return bytes;
}

static void add_base(totals_t *out, base_t *base)
{
    mutex_lock(&base->lock);
    out->metadata += base->allocated_bytes;
    out->resident += base->resident_bytes;
    out->mapped += base->mapped_bytes;
    mutex_unlock(&base->lock);
}

static void add_arena(arena_t *arena, void *opaque)
{
    totals_t *out = opaque;
    page_store_t *ps = &arena->pages;
    out->allocated += bins_allocated(arena);
    mutex_lock(&arena->large.lock);
    out->allocated += arena->large.allocated_bytes;
    mutex_unlock(&arena->large.lock);
    mutex_lock(&ps->lock);
    out->active += atomic_get_relaxed(&ps->active_bytes);
    out->dirty += ps->sets[PAGE_SET_DIRTY].bytes;
    out->muzzy += ps->sets[PAGE_SET_MUZZY].bytes;
    out->pinned += ps->sets[PAGE_SET_PINNED].bytes;
    out->retained += ps->sets[PAGE_SET_RETAINED].bytes;
    mutex_unlock(&ps->lock);
    add_base(out, &arena->base);
}

void totals_read(totals_t *out)
{
    *out = (totals_t){0};
    arena_table_visit(add_arena, out);
    add_base(out, &base_shared);
    out->mapped += out->active + out->dirty + out->muzzy + out->pinned;
    out->resident += out->active + out->dirty + out->pinned;
}
