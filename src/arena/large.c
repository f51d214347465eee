/*
 * What: see large.h.
 *
 * Invariants: as there.
 *
 * Locking: as there.
 */
#include "arena/large.h"

#include <string.h>

#include "conf/conf.h"
#include "os/os.h"
#include "util/prng.h"

void large_init(large_t *large, bool keeps_list, uint64_t seed)
{
    memset(large, 0, sizeof(*large));
    mutex_init(&large->lock, LOCK_RANK_LARGE);
    large->keeps_list = keeps_list;
    large->random = seed;
    list_init(&large->blocks);
}

void (*large_sample_observer)(extent_t *e);

/* Sampled blocks may be small; they count as the smallest large ones. */
static large_class_stats_t *stats_of(large_t *large, size_t usize)
{
    unsigned index = sizeclass_index(usize);
    return &large->stats[index > SC_SMALL_COUNT ? index - SC_SMALL_COUNT : 0];
}

/* Class byte of a usable size that caches may hold, else 0. */
static unsigned cached_class(size_t usize)
{
    return usize <= TCACHE_MAX_LIMIT ? sizeclass_index(usize) + 1 : 0;
}

static bool wants_guard(void)
{
    static _Atomic size_t count;
    size_t every = opt.san_guard_large;
    return every != 0 && atomic_add_relaxed(&count, 1) % every == every - 1;
}

static bool has_random_offset(size_t alignment)
{
    return opt.cache_oblivious && alignment < PAGE;
}

/* Bytes of the extent under a block. */
static size_t extent_bytes(size_t usize, bool random_offset)
{
    return bits_round_up(usize, PAGE) + (random_offset ? PAGE : 0);
}

static size_t draw_offset(large_t *large, size_t alignment)
{
    size_t unit = alignment > LARGE_OFFSET_UNIT ? alignment : LARGE_OFFSET_UNIT;
    unsigned lg_choices = LG_PAGE - bits_lowest(unit);
    return lg_choices == 0 ? 0 : prng_bits(&large->random, lg_choices) * unit;
}

/* Zero pages from the kernel from that size on, memset below. */
static void zero_block(page_store_t *ps, extent_t *e, char *ptr, size_t usize)
{
    if (extent_has(e, EXTENT_ZEROED)) {
        return;
    }
    if (usize >= opt.calloc_madvise_threshold &&
        extent_hooks_are_default(page_store_ops(ps).hooks) &&
        (extent_size(e) & (os_page_size() - 1)) == 0 &&
        (e->addr & (os_page_size() - 1)) == 0 && extent_hooks_purge_zeroes() &&
        os_purge_forced(extent_ptr(e), extent_size(e))) {
        return;
    }
    memset(ptr, 0, usize);
}

static void set_block(extent_t *e, char *ptr, size_t usize)
{
    e->u.large.ptr = ptr;
    e->u.large.usize = usize;
    uint64_t word = extent_word(e);
    unsigned class_byte =
        (word & EXTENT_SAMPLED) != 0 ? 0 : cached_class(usize);
    if (class_byte == extent_word_class(word)) {
        return;
    }
    word &= ~(EXTENT_CLASS_MASK << EXTENT_CLASS_SHIFT);
    atomic_put_relaxed(
        &e->word, word | ((uint64_t)class_byte << EXTENT_CLASS_SHIFT));
    extent_map_set_class(e->addr, class_byte);
}

static void note_alloc(large_t *large, extent_t *e, size_t usize)
{
    large_class_stats_t *stats = stats_of(large, usize);
    stats->nmalloc++;
    large->allocated_bytes += usize;
    if (large->keeps_list) {
        list_insert(&large->blocks, &e->list);
    }
}

static void note_free(large_t *large, extent_t *e, size_t usize)
{
    stats_of(large, usize)->ndalloc++;
    large->allocated_bytes -= usize;
    if (large->keeps_list) {
        list_remove(&e->list);
    }
}

static void *alloc_block(large_t *large, page_store_t *ps, size_t usize,
    size_t alignment, bool zero, uint64_t flags)
{
    bool random_offset = has_random_offset(alignment);
    size_t bytes = extent_bytes(usize, random_offset);
    if (bytes < usize) {
        return NULL;
    }
    size_t page_alignment = alignment > PAGE ? alignment : PAGE;
    extent_t *e = JE_UNLIKELY(wants_guard())
                      ? page_store_alloc_guarded(ps, bytes, page_alignment)
                      : page_store_alloc(ps, bytes, page_alignment);
    if (e == NULL) {
        return NULL;
    }
    mutex_lock(&large->lock);
    size_t offset = random_offset ? draw_offset(large, alignment) : 0;
    note_alloc(large, e, usize);
    stats_of(large, usize)->nrequests++;
    mutex_unlock(&large->lock);
    char *ptr = (char *)extent_ptr(e) + offset;
    e->u.large.size = 0;
    e->u.large.hits = 0;
    e->u.large.resized = false;
    e->u.large.sample = NULL;
    if (JE_UNLIKELY(flags != 0)) {
        extent_set_flag(e, flags, true);
    }
    set_block(e, ptr, usize);
    if (zero) {
        zero_block(ps, e, ptr, usize);
    }
    return ptr;
}

void *large_alloc(
    large_t *large, page_store_t *ps, size_t usize, size_t alignment, bool zero)
{
    return alloc_block(large, ps, usize, alignment, zero, 0);
}

void *large_alloc_sampled(
    large_t *large, page_store_t *ps, size_t usize, size_t alignment, bool zero)
{
    if (usize < SC_LARGE_MIN && alignment < PAGE) {
        alignment = PAGE;
    }
    return alloc_block(large, ps, usize, alignment, zero, EXTENT_SAMPLED);
}

/* Ends the sample, not yet the block. */
static void end_sample(extent_t *e)
{
    if (JE_UNLIKELY(extent_has(e, EXTENT_SAMPLED))) {
        if (e->u.large.sample != NULL) {
            large_sample_observer(e);
        }
        e->u.large.sample = NULL;
        extent_set_flag(e, EXTENT_SAMPLED, false);
    }
}

void large_set_sampled(extent_t *e, bool sampled)
{
    end_sample(e);
    extent_set_flag(e, EXTENT_SAMPLED, sampled);
    set_block(e, e->u.large.ptr, e->u.large.usize);
}

/* Takes the block off the books; the extent stays ACTIVE. */
static void forget(large_t *large, extent_t *e)
{
    size_t usize = e->u.large.usize;
    end_sample(e);
    mutex_lock(&large->lock);
    note_free(large, e, usize);
    stats_of(large, usize)->nrequests += e->u.large.hits;
    mutex_unlock(&large->lock);
    e->u.large.hits = 0;
    set_block(e, NULL, SC_MAX);
}

void large_free(large_t *large, page_store_t *ps, extent_t *e)
{
    forget(large, e);
    page_store_free(ps, e);
}

void large_free_clean(large_t *large, page_store_t *ps, extent_t *e)
{
    forget(large, e);
    page_store_free_clean(ps, e);
}

/* Puts a changed usable size on the books. */
static void rebook(large_t *large, extent_t *e, size_t usize)
{
    mutex_lock(&large->lock);
    note_free(large, e, e->u.large.usize);
    note_alloc(large, e, usize);
    stats_of(large, usize)->nrequests++;
    mutex_unlock(&large->lock);
    e->u.large.resized = true;
    set_block(e, e->u.large.ptr, usize);
}

/* Bytes of the block's extent when it has `usize` usable bytes. */
static size_t bytes_for(const extent_t *e, size_t usize)
{
    size_t offset = (uintptr_t)e->u.large.ptr - e->addr;
    bool spare_page = extent_size(e) > bits_round_up(e->u.large.usize, PAGE);
    return bits_round_up(usize, PAGE) + (spare_page || offset != 0 ? PAGE : 0);
}

static bool grow_to(page_store_t *ps, extent_t *e, size_t usize, bool zero)
{
    size_t old_size = extent_size(e);
    size_t bytes = bytes_for(e, usize);
    bool zeroed = true;
    if (bytes < usize || (bytes > old_size && !page_store_grow_in_place(
                                                  ps, e, bytes, &zeroed))) {
        return false;
    }
    if (zero) {
        char *ptr = e->u.large.ptr;
        size_t old_usize = e->u.large.usize;
        /* The old extent's own tail is never known to be zero. */
        size_t tail = old_size - ((uintptr_t)ptr - e->addr) - old_usize;
        size_t grown = usize - old_usize;
        memset(ptr + old_usize, 0, zeroed && tail < grown ? tail : grown);
    }
    return true;
}

bool large_resize_in_place(large_t *large, page_store_t *ps, extent_t *e,
    size_t usize_min, size_t usize_max, bool zero)
{
    size_t old_usize = e->u.large.usize;
    if (usize_max > old_usize) {
        if (grow_to(ps, e, usize_max, zero)) {
            rebook(large, e, usize_max);
            return true;
        }
        if (usize_min > old_usize && usize_min != usize_max &&
            grow_to(ps, e, usize_min, zero)) {
            rebook(large, e, usize_min);
            return true;
        }
    }
    if (usize_min <= old_usize && old_usize <= usize_max) {
        return true;
    }
    if (old_usize < usize_min || usize_max < SC_LARGE_MIN) {
        return false;
    }
    size_t bytes = bytes_for(e, usize_max);
    if (bytes < extent_size(e) && !page_store_shrink(ps, e, bytes)) {
        return false;
    }
    rebook(large, e, usize_max);
    return true;
}

void *large_resize_by_move(
    large_t *large, page_store_t *ps, extent_t *e, size_t usize, bool zero)
{
    size_t old_usize = e->u.large.usize;
    size_t offset = (uintptr_t)e->u.large.ptr - e->addr;
    size_t bytes = bytes_for(e, usize);
    if (old_usize < MOVE_PAGES_MIN || usize < old_usize || bytes < usize ||
        !extent_hooks_are_default(page_store_ops(ps).hooks)) {
        return NULL;
    }
    extent_t *to = page_store_alloc_roomy(ps, bytes, os_page_size());
    if (to == NULL) {
        return NULL;
    }
    bool zeroed = extent_has(to, EXTENT_ZEROED);
    size_t old_bytes = extent_size(e);
    /* Off the books before the pages go: the extent is free afterwards. */
    char *old_ptr = e->u.large.ptr;
    forget(large, e);
    if (!page_store_move(ps, e, to)) {
        mutex_lock(&large->lock);
        note_alloc(large, e, old_usize);
        mutex_unlock(&large->lock);
        set_block(e, old_ptr, old_usize);
        page_store_free(ps, to);
        return NULL;
    }
    mutex_lock(&large->lock);
    note_alloc(large, to, usize);
    stats_of(large, usize)->nrequests++;
    mutex_unlock(&large->lock);
    char *ptr = (char *)extent_ptr(to) + offset;
    to->u.large.hits = 0;
    to->u.large.resized = true;
    to->u.large.sample = NULL;
    set_block(to, ptr, usize);
    if (zero) {
        /* Behind the moved pages all is as it came from the store. */
        size_t tail = old_bytes - offset - old_usize;
        size_t grown = usize - old_usize;
        memset(ptr + old_usize, 0, zeroed && tail < grown ? tail : grown);
    }
    return ptr;
}

void large_note(
    large_t *large, unsigned index, uint64_t nrequests, uint64_t nflushes)
{
    large_class_stats_t *stats = &large->stats[index - SC_SMALL_COUNT];
    mutex_lock(&large->lock);
    stats->nrequests += nrequests;
    stats->nflushes += nflushes;
    mutex_unlock(&large->lock);
}

void large_reset(large_t *large, page_store_t *ps)
{
    for (;;) {
        mutex_lock(&large->lock);
        list_node_t *node = list_first(&large->blocks);
        mutex_unlock(&large->lock);
        if (node == NULL) {
            return;
        }
        large_free(large, ps, list_entry(node, extent_t, list));
    }
}
