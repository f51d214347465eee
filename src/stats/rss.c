/*
 * What: see rss.h.
 *
 * Invariants: as there. (I3) Extents, metadata and what is not ours are told
 * apart in one walk upwards through the mappings: an extent that reaches over
 * the end of one is remembered for the next.
 *
 * Locking: as there; base.lock while its list of blocks is read.
 */
#include "stats/rss.h"

#include <string.h>

#include "arena/slab.h"
#include "os/os.h"
#include "os/resident.h"

/* Who a page belongs to while it is looked at. */
typedef enum {
    OWNER_OTHER,
    OWNER_FILE,
    OWNER_METADATA,
    OWNER_STATISTICS,
    OWNER_ACTIVE,
    OWNER_CACHED, /* a large block in a thread's cache */
    OWNER_DIRTY,
    OWNER_MUZZY,
    OWNER_PINNED,
    OWNER_RETAINED,
    OWNER_COUNT
} owner_t;

/* Memory of ours that is no extent, sorted by address. */
typedef struct {
    uintptr_t start;
    uintptr_t end;
    owner_t owner;
} range_t;

/* A stretch of addresses with one owner. */
typedef struct {
    uintptr_t start;
    uintptr_t end;
    owner_t owner;
    const extent_t *slab; /* or NULL */
} piece_t;

typedef struct {
    int pages_fd;
    range_t *ranges;
    size_t range_count;
    size_t range_room;
    piece_t piece; /* the last one looked at */
    /* Of the mapping that is being looked at: bytes by certainty. */
    size_t own[OWNER_COUNT];
    size_t shared[OWNER_COUNT];
    bool has_ours;
    /* Sums over all mappings. */
    size_t resident[OWNER_COUNT];
    size_t huge;
    size_t slab_used;
    size_t slab_free;
    size_t large_used;
    size_t large_padding;
    size_t active_absent;
    size_t free_absent; /* of these, in free regions */
} walk_t;

/* ---- ranges ---- */

static void add_range(walk_t *walk, uintptr_t start, size_t size, owner_t owner)
{
    if (walk->range_count < walk->range_room) {
        walk->ranges[walk->range_count] = (range_t){start, start + size, owner};
    }
    walk->range_count++;
}

static void add_base(walk_t *walk, base_t *base)
{
    mutex_lock(&base->lock);
    for (base_block_t *b = base->blocks; b != NULL; b = b->next) {
        add_range(walk, (uintptr_t)b, b->size, OWNER_METADATA);
    }
    for (base_block_t *b = base->spare; b != NULL; b = b->next) {
        add_range(walk, (uintptr_t)b, b->size, OWNER_METADATA);
    }
    mutex_unlock(&base->lock);
}

static void add_leaf(uintptr_t leaf, uintptr_t first_addr, void *opaque)
{
    (void)first_addr;
    add_range(opaque, leaf,
        bits_round_up(EXTENT_MAP_LEAF_BYTES, os_page_size()), OWNER_METADATA);
}

/* Of the mapping: its last bytes may be too few for a range. */
static size_t ranges_bytes(const walk_t *walk)
{
    return bits_round_up(
        walk->range_room * sizeof(*walk->ranges), os_page_size());
}

static void add_all(walk_t *walk)
{
    walk->range_count = 0;
    add_base(walk, &base_shared);
    unsigned narenas = arena_table_narenas();
    for (unsigned i = 0; i < narenas; i++) {
        arena_t *arena = arena_table_lookup(i);
        if (arena != NULL) {
            add_base(walk, &arena->base);
        }
    }
    extent_map_visit_leaves(add_leaf, walk);
    add_range(walk, (uintptr_t)extent_map_root, sizeof(extent_map_root),
        OWNER_METADATA);
    size_t bytes;
    uintptr_t current = snapshot_memory_locked(&bytes);
    add_range(walk, current, bytes, OWNER_STATISTICS);
    add_range(
        walk, (uintptr_t)walk->ranges, ranges_bytes(walk), OWNER_STATISTICS);
}

/* Insertion: new blocks mostly lie below older ones, but they are few. */
static void sort_ranges(walk_t *walk)
{
    for (size_t i = 1; i < walk->range_count; i++) {
        range_t moved = walk->ranges[i];
        size_t at = i;
        for (; at > 0 && walk->ranges[at - 1].start > moved.start; at--) {
            walk->ranges[at] = walk->ranges[at - 1];
        }
        walk->ranges[at] = moved;
    }
}

static bool collect_ranges(walk_t *walk)
{
    add_all(walk);
    do {
        size_t bytes = bits_round_up(
            2 * walk->range_count * sizeof(range_t), os_page_size());
        if (walk->ranges != NULL) {
            (void)os_unmap(walk->ranges, ranges_bytes(walk));
        }
        walk->ranges = os_map(bytes, os_page_size());
        if (walk->ranges == NULL) {
            return false;
        }
        walk->range_room = bytes / sizeof(range_t);
        add_all(walk);
    } while (walk->range_count > walk->range_room);
    sort_ranges(walk);
    return true;
}

/* The first range that ends behind `addr`, or NULL. */
static const range_t *next_range(const walk_t *walk, uintptr_t addr)
{
    size_t low = 0;
    size_t high = walk->range_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (walk->ranges[middle].end <= addr) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < walk->range_count ? &walk->ranges[low] : NULL;
}

/* ---- pieces ---- */

static owner_t owner_of(uint64_t word)
{
    switch (extent_word_state(word)) {
    case EXTENT_ACTIVE:
        return (word & EXTENT_CACHED) != 0 ? OWNER_CACHED : OWNER_ACTIVE;
    case EXTENT_DIRTY:
    case EXTENT_BUSY:
        return OWNER_DIRTY;
    case EXTENT_MUZZY:
        return OWNER_MUZZY;
    case EXTENT_PINNED:
        return OWNER_PINNED;
    case EXTENT_RETAINED:
    case EXTENT_GUARD:
        return OWNER_RETAINED;
    default:
        return OWNER_OTHER;
    }
}

static void note_slab(walk_t *walk, const extent_t *e)
{
    unsigned class_byte = extent_word_class(extent_word(e));
    const sizeclass_slab_t *shape = slab_shape(class_byte);
    unsigned free_count = slab_free_count(e);
    size_t used = free_count > shape->regions ? 0
                                              : (shape->regions - free_count) *
                                                    (size_t)shape->region_bytes;
    walk->slab_used += used;
    walk->slab_free += extent_size(e) - used;
}

static void note_large(walk_t *walk, const extent_t *e)
{
    size_t usize =
        e->u.large.usize < extent_size(e) ? e->u.large.usize : extent_size(e);
    walk->large_used += usize;
    walk->large_padding += extent_size(e) - usize;
}

/* An extent begins at `addr`: becomes the piece. */
JE_RACY static bool find_extent(walk_t *walk, uintptr_t addr)
{
    const extent_t *e = extent_map_lookup(addr);
    if (e == NULL || e->addr != addr) {
        return false;
    }
    uint64_t word = extent_word(e);
    owner_t owner = owner_of(word);
    size_t size = extent_size(e);
    if (owner == OWNER_OTHER || size == 0) {
        return false;
    }
    unsigned class_byte = extent_word_class(word);
    bool is_slab = owner == OWNER_ACTIVE && (word & EXTENT_SLAB) != 0 &&
                   class_byte - 1 < SC_SMALL_COUNT;
    walk->piece = (piece_t){addr, addr + size, owner, is_slab ? e : NULL};
    if (is_slab) {
        note_slab(walk, e);
    } else if (owner == OWNER_ACTIVE) {
        note_large(walk, e);
    }
    return true;
}

/* The piece that begins at `addr` and is nobody's, up to `end` at most. */
static void find_foreign(
    walk_t *walk, uintptr_t addr, uintptr_t end, owner_t owner)
{
    const range_t *range = next_range(walk, addr);
    if (range != NULL && range->start <= addr) {
        walk->piece = (piece_t){addr, range->end, range->owner, NULL};
        return;
    }
    if (range != NULL && range->start < end) {
        end = range->start;
    }
    uintptr_t at = addr + PAGE;
    while (at < end) {
        if (extent_map_cell(at) == NULL) {
            at = bits_round_up(at + 1, (uintptr_t)1 << MAP_LG_LEAF);
            at = at == 0 ? end : at; /* behind the last of 32 bits */
            continue;
        }
        const extent_t *e = extent_map_lookup(at);
        if (e != NULL && e->addr == at &&
            owner_of(extent_word(e)) != OWNER_OTHER) {
            break;
        }
        at += PAGE;
    }
    walk->piece = (piece_t){addr, at < end ? at : end, owner, NULL};
}

static void find_piece(
    walk_t *walk, uintptr_t addr, uintptr_t end, owner_t foreign)
{
    if (addr >= walk->piece.start && addr < walk->piece.end &&
        walk->piece.owner > OWNER_FILE) {
        return; /* the rest of what the mapping before began with */
    }
    if (!find_extent(walk, addr)) {
        find_foreign(walk, addr, end, foreign);
    }
}

/* ---- pages ---- */

/* Bytes of free regions of a slab in a page of it that is not there. */
JE_RACY static size_t free_bytes_in(
    const extent_t *slab, uintptr_t start, uintptr_t end)
{
    const sizeclass_slab_t *shape =
        slab_shape(extent_word_class(extent_word(slab)));
    size_t from = start - slab->addr;
    size_t to = end - slab->addr;
    size_t bytes = to - from;
    for (size_t i = from / shape->region_bytes; i < shape->regions; i++) {
        size_t low = i * shape->region_bytes;
        size_t high = low + shape->region_bytes;
        if (low >= to) {
            break;
        }
        bool is_free =
            ((racy_get(slab->u.bitmap[i / 64]) >> (i % 64)) & 1) != 0;
        low = low < from ? from : low;
        high = high > to ? to : high;
        bytes -= is_free ? 0 : high - low;
    }
    return bytes;
}

static void note_page(
    walk_t *walk, uintptr_t start, uintptr_t end, uint8_t state)
{
    owner_t owner = walk->piece.owner;
    size_t bytes = end - start;
    if (state == OS_PAGE_OWN) {
        walk->own[owner] += bytes;
    } else if (state == OS_PAGE_SHARED) {
        walk->shared[owner] += bytes;
    } else if (owner == OWNER_ACTIVE) {
        walk->active_absent += bytes;
        if (walk->piece.slab != NULL) {
            walk->free_absent += free_bytes_in(walk->piece.slab, start, end);
        }
    }
}

/* States of the pages of [start, end), part of the present piece. */
static void note_pages(walk_t *walk, uintptr_t start, uintptr_t end)
{
    uint8_t states[OS_PAGES_AT_ONCE];
    size_t page = os_page_size();
    while (start < end) {
        uintptr_t first = start & ~(uintptr_t)(page - 1);
        size_t count = (end - first + page - 1) / page;
        count = count < OS_PAGES_AT_ONCE ? count : OS_PAGES_AT_ONCE;
        if (!os_pages_read(walk->pages_fd, first, count, states)) {
            memset(states, OS_PAGE_SHARED, count);
        }
        for (size_t i = 0; i < count && start < end; i++) {
            uintptr_t next = first + (i + 1) * page;
            next = next < end ? next : end;
            note_page(walk, start, next, states[i]);
            start = next;
        }
    }
}

/* ---- mappings ---- */

/* Part of what the pages that may be zeroes come to in this mapping. */
static void settle_mapping(walk_t *walk, const os_resident_t *mapping)
{
    size_t own = 0;
    size_t shared = 0;
    for (unsigned i = 0; i < OWNER_COUNT; i++) {
        own += walk->own[i];
        shared += walk->shared[i];
    }
    size_t counted =
        mapping->resident_bytes > own ? mapping->resident_bytes - own : 0;
    for (unsigned i = 0; i < OWNER_COUNT; i++) {
        size_t part = walk->shared[i];
        if (shared > counted) {
            part = (size_t)((double)part * (double)counted / (double)shared);
        }
        if (i == OWNER_ACTIVE) {
            walk->active_absent += walk->shared[i] - part;
        }
        walk->resident[i] += walk->own[i] + part;
    }
}

static void visit_mapping(const os_resident_t *mapping, void *opaque)
{
    walk_t *walk = opaque;
    owner_t foreign = mapping->has_file ? OWNER_FILE : OWNER_OTHER;
    bool has_pages = mapping->resident_bytes != 0;
    bool all_foreign = true;
    memset(walk->own, 0, sizeof(walk->own));
    memset(walk->shared, 0, sizeof(walk->shared));
    for (uintptr_t at = mapping->start; at < mapping->end;) {
        find_piece(walk, at, mapping->end, foreign);
        uintptr_t end =
            walk->piece.end < mapping->end ? walk->piece.end : mapping->end;
        if (walk->piece.owner > OWNER_FILE) {
            all_foreign = false;
        }
        if (walk->piece.owner == foreign && at == mapping->start &&
            end == mapping->end) {
            walk->own[foreign] = mapping->resident_bytes;
        } else if (has_pages) {
            note_pages(walk, at, end);
        } else if (walk->piece.owner == OWNER_ACTIVE) {
            note_page(walk, at, end, OS_PAGE_ABSENT);
        }
        at = end;
    }
    walk->huge += all_foreign ? 0 : mapping->huge_bytes;
    settle_mapping(walk, mapping);
}

/* ---- the bill ---- */

static void write_bill(const walk_t *walk, rss_t *bill)
{
    size_t cached = snapshot_cached_small_locked();
    size_t used = walk->slab_used + walk->large_used;
    *bill = (rss_t){
        .blocks = used > cached ? used - cached : 0,
        .thread_caches = cached + walk->resident[OWNER_CACHED],
        .slab_free = walk->slab_free - walk->free_absent,
        .large_padding = walk->large_padding,
        .untouched = walk->active_absent - walk->free_absent,
        .dirty = walk->resident[OWNER_DIRTY],
        .muzzy = walk->resident[OWNER_MUZZY],
        .pinned = walk->resident[OWNER_PINNED],
        .retained = walk->resident[OWNER_RETAINED],
        .metadata = walk->resident[OWNER_METADATA],
        .statistics = walk->resident[OWNER_STATISTICS],
        .files = walk->resident[OWNER_FILE],
        .other = walk->resident[OWNER_OTHER],
        .huge_pages = walk->huge,
    };
    bill->total = bill->blocks + bill->thread_caches + bill->slab_free +
                  bill->large_padding + bill->dirty + bill->muzzy +
                  bill->pinned + bill->retained + bill->metadata +
                  bill->statistics + bill->files + bill->other -
                  bill->untouched;
}

bool rss_collect(rss_t *bill)
{
    walk_t walk = {.pages_fd = os_pages_open()};
    bool done = collect_ranges(&walk);
    if (done) {
        done = os_visit_resident(visit_mapping, &walk);
        write_bill(&walk, bill);
        bill->vm_rss = os_resident_set();
    }
    if (walk.ranges != NULL) {
        (void)os_unmap(walk.ranges, ranges_bytes(&walk));
    }
    os_pages_close(walk.pages_fd);
    return done;
}

const rss_t *rss_get_locked(void)
{
    static rss_t bill;
    static uint64_t epoch;
    static bool known;
    uint64_t now = snapshot_epoch_locked();
    if (!known || epoch != now) {
        known = rss_collect(&bill);
        epoch = now;
    }
    return known ? &bill : NULL;
}
