/*
 * What: see arena.h.
 *
 * Invariants: as there.
 *
 * Locking: as there.
 */
#include "arena/arena.h"

#include <string.h>

#include "arena/ledger.h"
#include "util/hash.h"

/* ---- create ---- */

static bool create_bins(arena_t *arena)
{
    unsigned count = 0;
    for (unsigned i = 0; i < SC_SMALL_COUNT; i++) {
        count += sizeclass_slabs[i].shards;
    }
    bin_t *bins = base_alloc(&arena->base, count * sizeof(bin_t), JE_CACHELINE);
    if (bins == NULL) {
        return false;
    }
    for (unsigned i = 0; i < SC_SMALL_COUNT; i++) {
        arena->bins[i] = bins;
        for (unsigned s = 0; s < sizeclass_slabs[i].shards; s++) {
            bin_init(bins++, i + 1, s);
        }
    }
    return true;
}

arena_t *arena_create(unsigned ind, const arena_config_t *config)
{
    base_t base;
    /* The slot may have had an arena before, with a setting of its own. */
    extent_hooks_set_dss(ind, extent_hooks_dss_default());
    base_init(&base,
        config->metadata_use_hooks ? config->hooks : &extent_hooks_default,
        ind);
    arena_t *arena = base_alloc(&base, sizeof(*arena), JE_CACHELINE);
    if (arena == NULL) {
        return NULL;
    }
    /* From here on the base lives in the arena that it holds. */
    arena->base = base;
    arena->ind = ind;
    arena->manual = config->manual;
    arena->created_ns = config->now_ns;
    if (!create_bins(arena)) {
        base_destroy(&arena->base);
        return NULL;
    }
    page_store_init(&arena->pages, ind, config->hooks, config->dirty_decay_ms,
        config->muzzy_decay_ms, config->now_ns);
    if (config->dirty_limit != 0) {
        arena->pages.dirty_limit = config->dirty_limit;
    }
    large_init(&arena->large, config->manual,
        hash_mix((uintptr_t)arena ^ config->now_ns));
    return arena;
}

/* ---- without a cache ---- */

bin_t *arena_bin(arena_t *arena, unsigned class_byte, unsigned shard)
{
    unsigned shards = sizeclass_slabs[class_byte - 1].shards;
    return &arena->bins[class_byte - 1][shards == 1 ? 0 : shard % shards];
}

void *arena_alloc(arena_t *arena, size_t usize, size_t alignment, bool zero)
{
    if (usize > SC_SMALL_MAX) {
        return large_alloc(
            &arena->large, &arena->pages, usize, alignment, zero);
    }
    void *p;
    unsigned class_byte = sizeclass_index(usize) + 1;
    if (bin_fill(arena_bin(arena, class_byte, 0), &arena->pages, &p, 1, 1) ==
        0) {
        return NULL;
    }
    if (zero) {
        memset(p, 0, usize);
    }
    return p;
}

void *arena_alloc_sampled(
    arena_t *arena, size_t usize, size_t alignment, bool zero)
{
    return large_alloc_sampled(
        &arena->large, &arena->pages, usize, alignment, zero);
}

/* ---- batches ---- */

static unsigned fill_large(arena_t *arena, unsigned class_byte, void **out,
    unsigned want, uint64_t nrequests)
{
    size_t usize = sizeclass_size(class_byte - 1);
    unsigned got = 0;
    while (got < want) {
        void *p = large_alloc(&arena->large, &arena->pages, usize, 0, false);
        if (p == NULL) {
            break;
        }
        out[got++] = p;
    }
    /* Each block counted itself as a request; the cache counts those. */
    large_note(&arena->large, class_byte - 1, nrequests - got, 0);
    return got;
}

unsigned arena_fill(arena_t *arena, unsigned class_byte, unsigned shard,
    void **out, unsigned want, uint64_t nrequests)
{
    if (class_byte > SC_SMALL_COUNT) {
        return fill_large(arena, class_byte, out, want, nrequests);
    }
    return bin_fill(arena_bin(arena, class_byte, shard), &arena->pages, out,
        want, nrequests);
}

void arena_note_requests(
    arena_t *arena, unsigned class_byte, unsigned shard, uint64_t nrequests)
{
    if (nrequests == 0) {
        return;
    }
    if (class_byte > SC_SMALL_COUNT) {
        large_note(&arena->large, class_byte - 1, nrequests, 0);
        return;
    }
    bin_t *bin = arena_bin(arena, class_byte, shard);
    mutex_lock(&bin->lock);
    bin->stats.nrequests += nrequests;
    mutex_unlock(&bin->lock);
}

/* ---- the end ---- */

static void foreach_bin(arena_t *arena, void (*action)(bin_t *))
{
    for (unsigned i = 0; i < SC_SMALL_COUNT; i++) {
        for (unsigned s = 0; s < sizeclass_slabs[i].shards; s++) {
            action(&arena->bins[i][s]);
        }
    }
}

void arena_reset(arena_t *arena)
{
    ledger_end_arena(arena->ind);
    large_reset(&arena->large, &arena->pages);
    for (unsigned i = 0; i < SC_SMALL_COUNT; i++) {
        for (unsigned s = 0; s < sizeclass_slabs[i].shards; s++) {
            bin_reset(&arena->bins[i][s], &arena->pages);
        }
    }
}

void arena_destroy(arena_t *arena)
{
    arena_reset(arena);
    page_store_destroy(&arena->pages);
    base_destroy(&arena->base);
}

void arena_decay(arena_t *arena, uint64_t now_ns)
{
    if (page_purge_is_due(&arena->pages, now_ns)) {
        page_purge_decay(&arena->pages, now_ns);
    }
}

/* Whether what is in the set goes after some time. */
static bool decays(page_store_t *ps, page_set_t set)
{
    mutex_lock(&ps->lock);
    bool does = ps->decay[set].time_ms > 0;
    mutex_unlock(&ps->lock);
    return does;
}

void arena_decay_deserted(arena_t *arena, uint64_t now_ns)
{
    uint64_t since = atomic_get_relaxed(&arena->deserted_ns);
    bool long_ago = since != 0 && now_ns - since >= ARENA_DESERTED_NS;
    if (since == 0) {
        atomic_put_relaxed(&arena->deserted_ns, now_ns);
    }
    for (page_set_t set = PAGE_SET_DIRTY; set <= PAGE_SET_MUZZY; set++) {
        if (long_ago && decays(&arena->pages, set)) {
            page_purge_down_to(&arena->pages, set, 0);
        }
    }
    arena_decay(arena, now_ns);
}

size_t arena_decaying_bytes(arena_t *arena)
{
    page_store_t *ps = &arena->pages;
    size_t bytes = 0;
    mutex_lock(&ps->lock);
    for (page_set_t set = PAGE_SET_DIRTY; set <= PAGE_SET_MUZZY; set++) {
        if (ps->decay[set].time_ms > 0) {
            bytes += ps->sets[set].bytes;
        }
    }
    mutex_unlock(&ps->lock);
    return bytes;
}

/* ---- fork ---- */

static void drain_bin(bin_t *bin)
{
    mutex_fork_drain(&bin->lock);
}

void arena_prefork(arena_t *arena, lock_rank_t rank)
{
    switch (rank) {
    case LOCK_RANK_PAGE_GROW:
        page_store_prefork_grow(&arena->pages);
        break;
    case LOCK_RANK_LARGE:
        mutex_fork_drain(&arena->large.lock);
        break;
    case LOCK_RANK_BIN:
        foreach_bin(arena, drain_bin);
        break;
    case LOCK_RANK_PAGE_STORE:
        page_store_prefork(&arena->pages);
        break;
    case LOCK_RANK_BASE:
        mutex_fork_drain(&arena->base.lock);
        break;
    default:
        break;
    }
}

void arena_postfork_child(arena_t *arena)
{
    page_store_postfork_child(&arena->pages);
}

void arena_check(arena_t *arena)
{
    foreach_bin(arena, bin_check);
    page_store_check(&arena->pages);
}
