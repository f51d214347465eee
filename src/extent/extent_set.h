/*
 * What: the free extents of one state of one page store, findable by size
 * (best fit, then lowest address) and by age.
 *
 * Invariants: (I1) class i of `heaps` is non-empty iff bit i of `nonempty`;
 * (I2) `bytes` is the sum of the members' sizes, `class_bytes` of those of a
 * class; (I3) every member has the
 * set's state.
 *
 * Locking: the page store's lock.
 */
#ifndef JE_EXTENT_EXTENT_SET_H
#define JE_EXTENT_EXTENT_SET_H

#include "conf/sizeclass.h"
#include "extent/extent.h"

typedef struct {
    heap_t heaps[SC_RUN_COUNT];
    uint64_t nonempty[BITMAP_WORDS(SC_RUN_COUNT)];
    list_node_t by_age; /* oldest first */
    size_t bytes;
    size_t count;
    uint32_t class_counts[SC_RUN_COUNT];
    size_t class_bytes[SC_RUN_COUNT];
    extent_state_t state;
} extent_set_t;

/*
 * `set` is zeroed memory: what is not touched here is not resident before the
 * first member comes.
 */
void extent_set_init(extent_set_t *set, extent_state_t state);

/* Inserts as the youngest; sets the extent's state. */
void extent_set_insert(extent_set_t *set, extent_t *e);
void extent_set_remove(extent_set_t *set, extent_t *e);

/*
 * Cuts `size` bytes off the front of a member that keeps at least a page;
 * the caller owns them from then on. Cheaper than remove and insert.
 */
void extent_set_cut_front(extent_set_t *set, extent_t *e, size_t size);

/*
 * A member that holds an aligned run of `size` bytes: the best fit among the
 * classes, the lowest address within one. NULL if there is none. Stays a
 * member.
 */
extent_t *extent_set_fit(
    const extent_set_t *set, size_t size, size_t alignment);

static inline extent_t *extent_set_oldest(const extent_set_t *set)
{
    list_node_t *node = list_first(&set->by_age);
    return node == NULL ? NULL : list_entry(node, extent_t, list);
}

/* Walks everything; aborts on a broken invariant (debug builds). */
void extent_set_check(const extent_set_t *set);

#endif
