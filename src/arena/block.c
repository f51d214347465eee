/*
 * What: see block.h.
 *
 * Invariants: as there.
 *
 * Locking: as there.
 */
#include "arena/block.h"

#include "arena/arena_table.h"

static struct {
    bool (*take_alien)(void *ptr);
} block_state;

void block_set_alien_taker(bool (*take)(void *ptr))
{
    block_state.take_alien = take;
}

JE_COLD static void report_alien(void *ptr, unsigned class_byte)
{
    if (block_state.take_alien != NULL && block_state.take_alien(ptr)) {
        return;
    }
    fail_misuse("%p was freed as a block of size class %zu but is none: "
                "not the start of a live block, or freed with a wrong size",
        ptr, sizeclass_size(class_byte - 1));
}

/* The slab of a block that was freed under this class; NULL if none. */
static extent_t *slab_under(unsigned class_byte, const void *ptr)
{
    const uint64_t mask = EXTENT_SLAB |
                          (EXTENT_CLASS_MASK << EXTENT_CLASS_SHIFT) |
                          (EXTENT_STATE_MASK << EXTENT_STATE_SHIFT);
    uint64_t expected = EXTENT_SLAB |
                        ((uint64_t)class_byte << EXTENT_CLASS_SHIFT) |
                        ((uint64_t)EXTENT_ACTIVE << EXTENT_STATE_SHIFT);
    extent_t *slab = extent_map_lookup((uintptr_t)ptr);
    return slab != NULL && (extent_word(slab) & mask) == expected ? slab : NULL;
}

/*
 * Sorts pointers by home into `returns`: neighbours in the list that share a
 * word of a slab's bitmap become one entry. Pointers without a home are
 * reported and dropped.
 */
static unsigned find_homes(unsigned class_byte, void *const *ptrs,
    unsigned count, bin_return_t *returns)
{
    const sizeclass_slab_t shape = *slab_shape(class_byte);
    void *const *const end = ptrs + count;
    bin_return_t home = {NULL, 0, 0};
    extent_t *slab = NULL;
    uintptr_t first = 0;
    unsigned found = 0;
    for (; ptrs != end; ptrs++) {
        uintptr_t addr = (uintptr_t)*ptrs;
        if (slab == NULL || addr - first >= shape.used_bytes) {
            slab = slab_under(class_byte, *ptrs);
            first = slab == NULL ? addr + 1 : slab->addr;
        }
        unsigned region = slab_region_at(&shape, addr - first);
        if (JE_UNLIKELY(region == SLAB_NO_REGION)) {
            report_alien(*ptrs, class_byte);
            continue;
        }
        uint64_t bit = 1ULL << (region % 64);
        if (slab != home.slab || region / 64 != home.word ||
            (home.bits & bit) != 0) {
            returns[found] = home;
            found += home.bits != 0;
            home = (bin_return_t){slab, 0, region / 64};
        }
        home.bits |= bit;
        /* Blocks freed as they were allocated come last one first. */
        while (ptrs + 1 != end &&
               (uintptr_t)ptrs[1] == addr - shape.region_bytes &&
               (bit >>= 1) != 0 && (home.bits & bit) == 0) {
            home.bits |= bit;
            addr -= shape.region_bytes;
            ptrs++;
        }
    }
    returns[found] = home;
    return found + (home.bits != 0);
}

/* Whether a region came from this arena. */
static bool is_home(arena_t *home, uint64_t word)
{
    return home != NULL && extent_word_arena(word) == home->ind;
}

static void flush_small(arena_t *home, unsigned class_byte, void *const *ptrs,
    unsigned count, uint64_t nrequests)
{
    bin_return_t returns[BIN_FLUSH_MAX + 1];
    while (count != 0) {
        unsigned batch = count < BIN_FLUSH_MAX ? count : BIN_FLUSH_MAX;
        unsigned left = find_homes(class_byte, ptrs, batch, returns);
        while (left != 0) {
            uint64_t word = extent_word(returns[0].slab) & EXTENT_BIN_MASK;
            arena_t *owner = arena_table_lookup(extent_word_arena(word));
            bin_t *bin = arena_bin(owner, class_byte, extent_word_shard(word));
            uint64_t note = is_home(home, word) ? nrequests : 0;
            left = bin_flush(bin, &owner->pages, returns, left, word, note);
            nrequests -= note;
        }
        ptrs += batch;
        count -= batch;
    }
    if (nrequests != 0 && home != NULL) {
        arena_note_requests(home, class_byte, 0, nrequests);
    }
}

static void flush_large(arena_t *home, unsigned class_byte, void *const *ptrs,
    unsigned count, uint64_t nrequests)
{
    for (unsigned i = 0; i < count; i++) {
        extent_t *e = extent_map_find(ptrs[i]);
        if (JE_UNLIKELY(e == NULL || extent_has(e, EXTENT_SLAB) ||
                        e->u.large.ptr != ptrs[i] ||
                        extent_word_class(extent_word(e)) != class_byte)) {
            report_alien(ptrs[i], class_byte);
            continue;
        }
        arena_t *owner = arena_table_lookup(extent_arena(e));
        large_free(&owner->large, &owner->pages, e);
    }
    if (home != NULL) {
        large_note(&home->large, class_byte - 1, nrequests, 1);
    }
}

void block_flush(arena_t *home, unsigned class_byte, void *const *ptrs,
    unsigned count, uint64_t nrequests)
{
    if (class_byte > SC_SMALL_COUNT) {
        flush_large(home, class_byte, ptrs, count, nrequests);
    } else {
        flush_small(home, class_byte, ptrs, count, nrequests);
    }
}

/* ---- single blocks ---- */

JE_COLD void block_report(const void *ptr, const char *operation)
{
    const extent_t *e = extent_map_find(ptr);
    if (e == NULL) {
        fail_misuse("%s of %p, which this allocator does not own: never "
                    "allocated here, or freed already",
            operation, ptr);
    } else if (extent_has(e, EXTENT_CACHED) && e->u.large.ptr == ptr) {
        fail_misuse("%s of %p, a block of %zu bytes that is free already",
            operation, ptr, e->u.large.usize);
    } else {
        fail_misuse("%s of %p, which points into a block or slab at %p but "
                    "not to the start of a block",
            operation, ptr, extent_ptr(e));
    }
}

block_t block_find(const void *ptr)
{
    extent_t *e = extent_map_find(ptr);
    if (e != NULL && !extent_has(e, EXTENT_SLAB)) {
        if (e->u.large.ptr == ptr && !extent_has(e, EXTENT_CACHED)) {
            return (block_t){e, e->u.large.usize};
        }
    } else if (e != NULL) {
        unsigned class_byte = extent_word_class(extent_word(e));
        const sizeclass_slab_t *shape = slab_shape(class_byte);
        if (slab_region_of(e, shape, ptr) != SLAB_NO_REGION) {
            return (block_t){e, shape->region_bytes};
        }
    }
    return (block_t){NULL, 0};
}

block_t block_inspect(const void *ptr, const char *operation)
{
    block_t block = block_find(ptr);
    if (JE_UNLIKELY(block.extent == NULL)) {
        block_report(ptr, operation);
    }
    return block;
}

void block_return(void *ptr, block_t block)
{
    if (extent_has(block.extent, EXTENT_SLAB)) {
        flush_small(
            NULL, extent_word_class(extent_word(block.extent)), &ptr, 1, 0);
    } else {
        arena_t *owner = arena_table_lookup(extent_arena(block.extent));
        large_free(&owner->large, &owner->pages, block.extent);
    }
}

void block_free(void *ptr)
{
    block_t block = block_inspect(ptr, "free");
    if (block.extent != NULL) {
        block_return(ptr, block);
    }
}
