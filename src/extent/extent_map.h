/*
 * What: address -> class byte (hot) and address -> descriptor (cold).
 *
 *   root, indexed by address bits 47..30: one word a GiB, 0 = nothing there
 *   leaf: 2^18 class bytes, then 2^18 descriptor pointers, backed lazily
 *
 * The root's word is the leaf's address minus the index of the leaf's first
 * page, so that adding the page number of a pointer gives its class byte.
 *
 * Invariants: (I1) a class byte is non-zero only on pages of a slab, and on
 * the first page of a large block of a cacheable class; (I2) the descriptor
 * of a live pointer is right; other entries may be stale or gone, but point
 * to a descriptor if to anything, never to unmapped memory; (I3) leaves live
 * for ever.
 *
 * Locking: readers take none; leaves are created under a lock; entries are
 * written by the owner of the range.
 */
#ifndef JE_EXTENT_EXTENT_MAP_H
#define JE_EXTENT_EXTENT_MAP_H

#include "extent/extent.h"
#include "os/os.h"

/* A leaf before it is rounded to system pages. */
#define EXTENT_MAP_LEAF_BYTES (MAP_LEAF_PAGES * (1 + sizeof(extent_t *)))

extern _Atomic uintptr_t extent_map_root[MAP_ROOT_COUNT];

void extent_map_boot(void);

/* Creates the leaves of a range, so that registering in it cannot fail. */
JE_MUST_USE bool extent_map_ensure(uintptr_t addr, size_t size);

/* Class byte of any address at all: two loads, two tests. */
JE_ALWAYS_INLINE size_t extent_map_class(const void *ptr)
{
    uintptr_t addr = (uintptr_t)ptr;
    uintptr_t index = addr >> MAP_LG_LEAF;
    if (JE_UNLIKELY(index >= MAP_ROOT_COUNT)) {
        return 0;
    }
    uintptr_t biased = atomic_get_relaxed(&extent_map_root[index]);
    if (JE_UNLIKELY(biased == 0)) {
        return 0;
    }
    _Atomic uint8_t *byte =
        (_Atomic uint8_t *)(biased + (addr >> LG_PAGE)); /* NOLINT */
    return atomic_get_relaxed(byte);
}

/* The cell of the descriptor pointer, or NULL if there is no leaf. */
static inline _Atomic(extent_t *) *extent_map_cell(uintptr_t addr)
{
    uintptr_t index = addr >> MAP_LG_LEAF;
    if (JE_UNLIKELY(index >= MAP_ROOT_COUNT)) {
        return NULL;
    }
    uintptr_t biased = atomic_get_acquire(&extent_map_root[index]);
    if (JE_UNLIKELY(biased == 0)) {
        return NULL;
    }
    uintptr_t leaf = biased + (index << (MAP_LG_LEAF - LG_PAGE));
    size_t page = (addr >> LG_PAGE) & (MAP_LEAF_PAGES - 1);
    return (_Atomic(extent_t *) *)(leaf + MAP_LEAF_PAGES) + page; /* NOLINT */
}

/* Descriptor registered at an address; may be NULL or stale (I2). */
static inline extent_t *extent_map_lookup(uintptr_t addr)
{
    _Atomic(extent_t *) *cell = extent_map_cell(addr);
    return cell == NULL ? NULL : atomic_get_relaxed(cell);
}

/*
 * Descriptor of the ACTIVE extent that contains `ptr`; NULL if there is
 * none. Safe for any address; the answer is stable only for live blocks.
 */
extent_t *extent_map_find(const void *ptr);

/* Registers the first and the last page. */
void extent_map_set_ends(extent_t *e);

/* Registers every page, and the class byte on each: slabs. */
void extent_map_set_slab(extent_t *e, unsigned class_byte);

/* Sets the class byte of the page at `addr`. */
void extent_map_set_class(uintptr_t addr, unsigned class_byte);

/* Zeroes the class bytes of a range. */
void extent_map_clear_classes(uintptr_t addr, size_t size);

/* Bytes of addresses that the leaves take, and how many are in memory. */
size_t extent_map_mapped_bytes(void);
size_t extent_map_resident_bytes(void);

/* Calls `visit` for each leaf and the addresses it describes, ascending. */
void extent_map_visit_leaves(
    void (*visit)(uintptr_t leaf, uintptr_t first_addr, void *opaque),
    void *opaque);

/*
 * The pages in [low, high) are inside of one free extent: nobody looks for
 * their entries, which go back to the system as far as they fill its pages.
 */
void extent_map_forget(uintptr_t low, uintptr_t high);

/* Bytes of address space whose descriptors fill one page of a leaf. */
static inline size_t extent_map_span(void)
{
    return PAGES(os_page_size() / sizeof(extent_t *));
}

void extent_map_prefork(void);

#endif
