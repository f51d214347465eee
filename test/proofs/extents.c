/*
 * What: addresses and words: the map of pages, the packed word of a
 * descriptor, and the count of a slab, for all values.
 *
 * Invariants: as in proof.h.
 *
 * Locking: none.
 */
#include "proof.h"

#include "arena/slab.h"
#include "os/os.h"

/*
 * The map is looked at through this: the root's word tells where a leaf is,
 * and what would be loaded from the leaf is its address.
 */
static uintptr_t seen(const volatile void *address);
#undef atomic_get_relaxed
#undef atomic_get_acquire
#define atomic_get_relaxed(p) seen(p)
#define atomic_get_acquire(p) seen(p)
#include "extent/extent_map.h"

static uintptr_t leaf;
static uintptr_t root_index;

static uintptr_t seen(const volatile void *address)
{
    uintptr_t from_root = (uintptr_t)address - (uintptr_t)extent_map_root;
    if (from_root < sizeof(extent_map_root)) {
        root_index = from_root / sizeof(uintptr_t);
        return leaf - (root_index << (MAP_LG_LEAF - LG_PAGE));
    }
    return (uintptr_t)address;
}

/* A leaf that lies where memory can. */
static bool is_leaf(uintptr_t at)
{
    uintptr_t root = (uintptr_t)extent_map_root;
    return at >= PAGE && at <= UINTPTR_MAX - EXTENT_MAP_LEAF_BYTES &&
           root <= UINTPTR_MAX - sizeof(extent_map_root) &&
           (at + EXTENT_MAP_LEAF_BYTES <= root ||
               at >= root + sizeof(extent_map_root));
}

/*
 * The root's word of leaf L is L minus a bias, which is never 0; byte and
 * cell lie in the leaf, and the page's number tells where.
 */
PROOF(map_address, uintptr_t addr, uintptr_t at)
{
    uintptr_t index = addr >> MAP_LG_LEAF;
    leaf = at;
    if (index >= MAP_ROOT_COUNT || !is_leaf(at) ||
        at == index << (MAP_LG_LEAF - LG_PAGE)) {
        return true;
    }
    size_t page = (addr >> LG_PAGE) - (index << (MAP_LG_LEAF - LG_PAGE));
    uintptr_t byte = extent_map_class((void *)addr);
    bool same_index = root_index == index;
    uintptr_t cell = (uintptr_t)extent_map_cell(addr);
    return same_index && root_index == index && page < MAP_LEAF_PAGES &&
           byte == at + page &&
           cell == at + MAP_LEAF_PAGES + page * sizeof(extent_t *) &&
           cell + sizeof(extent_t *) <= at + EXTENT_MAP_LEAF_BYTES;
}

/* No address beyond the root's reach is looked up. */
PROOF(map_beyond, uintptr_t addr)
{
    return IMPLIES(addr >> CONFIG_LG_VADDR != 0,
        extent_map_class((void *)addr) == 0 && extent_map_cell(addr) == NULL);
}

/* ---- the word of a descriptor ---- */

#undef atomic_get_relaxed
#undef atomic_get_acquire
#define atomic_get_relaxed(p) atomic_load_explicit((p), memory_order_relaxed)

/* A field's setter leaves the others alone. */
PROOF(word_fields, uint64_t word, unsigned state, unsigned bit, bool on)
{
    extent_t e;
    if (state > EXTENT_PINNED || bit < 29 || bit > 36) {
        return true;
    }
    atomic_put_relaxed(&e.word, word);
    extent_set_state(&e, (extent_state_t)state);
    extent_set_flag(&e, 1ULL << bit, on);
    uint64_t now = extent_word(&e);
    return extent_word_state(now) == state &&
           extent_word_arena(now) == extent_word_arena(word) &&
           extent_word_shard(now) == extent_word_shard(word) &&
           extent_word_class(now) == extent_word_class(word) &&
           extent_has(&e, 1ULL << bit) == on &&
           ((now ^ word) & ~(EXTENT_STATE_MASK << EXTENT_STATE_SHIFT) &
               ~(1ULL << bit)) == 0;
}

/* What fields hold fits, and no two of them share a bit. */
PROOF(word_layout, unsigned arena, unsigned shard, unsigned class_byte)
{
    if (arena >= ARENA_LIMIT || shard >= BIN_SHARDS_MAX ||
        class_byte >= TCACHE_BIN_COUNT) {
        return true;
    }
    uint64_t word = (uint64_t)arena << EXTENT_ARENA_SHIFT |
                    (uint64_t)shard << EXTENT_SHARD_SHIFT |
                    (uint64_t)class_byte << EXTENT_CLASS_SHIFT;
    return extent_word_arena(word) == arena &&
           extent_word_shard(word) == shard &&
           extent_word_class(word) == class_byte &&
           extent_word_state(word) == 0 && word < EXTENT_SLAB;
}

/* Free regions are counted beside the size and never reach it. */
PROOF(slab_give, uint64_t free_bits, uint64_t given, size_t pages, unsigned had)
{
    extent_t e;
    if (pages == 0 || pages >> (CONFIG_LG_VADDR - LG_PAGE) != 0 ||
        had > SLAB_REGIONS_MAX - 64) {
        return true;
    }
    extent_set_size(&e, PAGES(pages) + had);
    e.u.bitmap[3] = free_bits;
    uint64_t already = slab_give_bits(&e, 3, given);
    return already == (free_bits & given) &&
           e.u.bitmap[3] == (free_bits | given) &&
           slab_free_count(&e) == had + bits_count(given & ~free_bits) &&
           extent_size(&e) == PAGES(pages);
}
