/*
 * What: the descriptor of a range of pages, 128 bytes, out of band.
 *
 *   word    arena 12 | state 3 | shard 6 | class byte 8 | flags
 *   state   UNUSED --map, cut--> BUSY --> ACTIVE or RETAINED
 *           ACTIVE --page_store_free--> DIRTY    --page_store_move--> RETAINED
 *           DIRTY --purge--> MUZZY --purge--> RETAINED   (or straight there)
 *           DIRTY, MUZZY, RETAINED --page_store_alloc--> ACTIVE
 *           any of these --taken out to act on it--> BUSY --> the next one
 *           with EXTENT_KEPT PINNED stands for DIRTY to RETAINED
 *           joined or unmapped --> UNUSED;  GUARD beside a guarded ACTIVE one
 *
 * Invariants: (I1) descriptors are type-stable: their memory is never
 * unmapped or used for anything else, so a stale pointer to one may be read;
 * (I2) a free extent has no neighbour of the same arena and state, as
 * committed as it is, that hooks let it be merged with; (I3) the `word` of a
 * member of a set changes only under the page store's lock; a BUSY or ACTIVE
 * extent's belongs to whoever took it.
 *
 * Locking: fields belong to the holder of the extent: the page store's lock
 * when free, the bin's lock for a slab's bitmap, the caller when ACTIVE.
 */
#ifndef JE_EXTENT_EXTENT_H
#define JE_EXTENT_EXTENT_H

#include "conf/limits.h"
#include "util/atomic.h"
#include "util/bitmap.h"
#include "util/heap.h"
#include "util/list.h"

typedef enum {
    EXTENT_UNUSED,
    EXTENT_ACTIVE,
    EXTENT_DIRTY,
    EXTENT_MUZZY,
    EXTENT_RETAINED,
    EXTENT_BUSY,
    EXTENT_GUARD,
    EXTENT_PINNED,
} extent_state_t;

typedef struct extent {
    _Atomic uint64_t word;
    /* Bytes, a multiple of PAGE; a slab counts free regions in the rest. */
    _Atomic size_t size_and_free;
    list_node_t list; /* age in a set, or the arena's slabs or large blocks */
    uintptr_t addr;   /* heap.h finds its key right before the node */
    heap_node_t heap; /* address order in a set, or among a bin's slabs */
    union {
        uint64_t bitmap[SLAB_REGIONS_MAX / 64]; /* slab: set = free */
        struct {
            void *ptr;    /* what the program holds */
            size_t usize; /* what it may use from there */
            size_t size;  /* what it asked for, if blocks are sealed */
            size_t hits;  /* times a cache handed it out again */
            bool resized; /* its present size was never asked of malloc */
            void *sample; /* with EXTENT_SAMPLED: what the profiler knows */
        } large;
    } u;
} extent_t;

static_assert(sizeof(void *) != 8 || sizeof(extent_t) == 128,
    "two cache lines a descriptor");
static_assert(
    offsetof(extent_t, heap) == offsetof(extent_t, addr) + sizeof(uintptr_t),
    "heap.h expects the key before the node");
static_assert(SLAB_REGIONS_MAX < PAGE, "free regions count below a page");

#define EXTENT_ARENA_SHIFT 0
#define EXTENT_ARENA_MASK  0xfffULL
#define EXTENT_STATE_SHIFT 12
#define EXTENT_STATE_MASK  0x7ULL
#define EXTENT_SHARD_SHIFT 15
#define EXTENT_SHARD_MASK  0x3fULL
#define EXTENT_CLASS_SHIFT 21
#define EXTENT_CLASS_MASK  0xffULL
#define EXTENT_SLAB        (1ULL << 29) /* cut into regions */
#define EXTENT_ZEROED      (1ULL << 30) /* reads as zero everywhere */
#define EXTENT_COMMITTED   (1ULL << 31) /* may be touched */
#define EXTENT_GUARDED     (1ULL << 32) /* has guard extents at both sides */
#define EXTENT_CACHED      (1ULL << 33) /* large, freed, in a thread's cache */
#define EXTENT_PARTING     (1ULL << 34) /* BUSY, to be decommitted */
#define EXTENT_SAMPLED     (1ULL << 35) /* a block of any size, in profiles */
#define EXTENT_KEPT        (1ULL << 36) /* its memory can never be given back */

/* What a slab's pointer must agree on to belong to one bin. */
#define EXTENT_BIN_MASK                                                        \
    ((EXTENT_ARENA_MASK << EXTENT_ARENA_SHIFT) |                               \
        (EXTENT_SHARD_MASK << EXTENT_SHARD_SHIFT) |                            \
        (EXTENT_CLASS_MASK << EXTENT_CLASS_SHIFT) | EXTENT_SLAB |              \
        (EXTENT_STATE_MASK << EXTENT_STATE_SHIFT))

static inline uint64_t extent_word(const extent_t *e)
{
    return atomic_get_relaxed(&e->word);
}

static inline unsigned extent_word_arena(uint64_t word)
{
    return (unsigned)((word >> EXTENT_ARENA_SHIFT) & EXTENT_ARENA_MASK);
}

static inline extent_state_t extent_word_state(uint64_t word)
{
    return (extent_state_t)((word >> EXTENT_STATE_SHIFT) & EXTENT_STATE_MASK);
}

static inline unsigned extent_word_shard(uint64_t word)
{
    return (unsigned)((word >> EXTENT_SHARD_SHIFT) & EXTENT_SHARD_MASK);
}

static inline unsigned extent_word_class(uint64_t word)
{
    return (unsigned)((word >> EXTENT_CLASS_SHIFT) & EXTENT_CLASS_MASK);
}

static inline unsigned extent_arena(const extent_t *e)
{
    return extent_word_arena(extent_word(e));
}

static inline extent_state_t extent_state(const extent_t *e)
{
    return extent_word_state(extent_word(e));
}

static inline bool extent_has(const extent_t *e, uint64_t flag)
{
    return (extent_word(e) & flag) != 0;
}

static inline void extent_set_flag(extent_t *e, uint64_t flag, bool on)
{
    uint64_t word = extent_word(e);
    atomic_put_relaxed(&e->word, on ? word | flag : word & ~flag);
}

static inline void extent_set_state(extent_t *e, extent_state_t state)
{
    uint64_t word = extent_word(e);
    word &= ~(EXTENT_STATE_MASK << EXTENT_STATE_SHIFT);
    atomic_put_relaxed(
        &e->word, word | ((uint64_t)state << EXTENT_STATE_SHIFT));
}

static inline size_t extent_size(const extent_t *e)
{
    return atomic_get_relaxed(&e->size_and_free) & ~PAGE_MASK;
}

/* Sets the size; the count of free regions becomes 0. */
static inline void extent_set_size(extent_t *e, size_t size)
{
    atomic_put_relaxed(&e->size_and_free, size);
}

static inline uintptr_t extent_end(const extent_t *e)
{
    return e->addr + extent_size(e);
}

static inline void *extent_ptr(const extent_t *e)
{
    return (void *)e->addr; /* NOLINT(performance-no-int-to-ptr) */
}

static inline extent_t *extent_of_heap(heap_node_t *node)
{
    return node == NULL ? NULL : list_entry(node, extent_t, heap);
}

/* Fills a descriptor in; flags are EXTENT_ZEROED and its like. */
void extent_init(extent_t *e, unsigned arena_ind, void *addr, size_t size,
    extent_state_t state, uint64_t flags);

/*
 * A free list of descriptors. Refilled from the shared base in batches, so
 * that descriptors outlive any arena (I1).
 */
typedef struct {
    heap_node_t *first; /* linked through heap.next */
    size_t count;
} extent_pool_t;

JE_MUST_USE extent_t *extent_pool_take(extent_pool_t *pool);
void extent_pool_give(extent_pool_t *pool, extent_t *e);

/* True if `count` descriptors can now be taken without failing. */
JE_MUST_USE bool extent_pool_reserve(extent_pool_t *pool, size_t count);

/* Bytes of all descriptors there are, in use or not. */
size_t extent_pool_bytes(void);

/* Moves everything over. */
void extent_pool_merge(extent_pool_t *to, extent_pool_t *from);

#endif
