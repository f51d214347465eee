/*
 * What: filling in descriptors, and the pool they come from.
 *
 * Invariants: as in extent.h.
 *
 * Locking: a pool is guarded by its owner's lock.
 */
#include "extent/extent.h"

#include "extent/base.h"

/* Descriptors taken from the base at a time: half a page. */
#define EXTENT_POOL_BATCH 16

/* Of all pools. */
static _Atomic size_t total_bytes;

void extent_init(extent_t *e, unsigned arena_ind, void *addr, size_t size,
    extent_state_t state, uint64_t flags)
{
    assert(((uintptr_t)addr & PAGE_MASK) == 0 && (size & PAGE_MASK) == 0);
    e->addr = (uintptr_t)addr;
    extent_set_size(e, size);
    list_init(&e->list);
    atomic_put_relaxed(
        &e->word, flags | ((uint64_t)arena_ind << EXTENT_ARENA_SHIFT) |
                      ((uint64_t)state << EXTENT_STATE_SHIFT));
}

static bool refill(extent_pool_t *pool)
{
    extent_t *batch =
        base_alloc(&base_shared, EXTENT_POOL_BATCH * sizeof(extent_t), 128);
    if (batch == NULL) {
        return false;
    }
    (void)atomic_add_relaxed(&total_bytes, EXTENT_POOL_BATCH * sizeof(*batch));
    /* Backwards, so that they are handed out in address order. */
    for (unsigned i = EXTENT_POOL_BATCH; i-- > 0;) {
        extent_pool_give(pool, &batch[i]);
    }
    return true;
}

extent_t *extent_pool_take(extent_pool_t *pool)
{
    if (pool->first == NULL && !refill(pool)) {
        return NULL;
    }
    heap_node_t *node = pool->first;
    pool->first = node->next;
    pool->count--;
    return extent_of_heap(node);
}

void extent_pool_give(extent_pool_t *pool, extent_t *e)
{
    extent_set_state(e, EXTENT_UNUSED);
    e->heap.next = pool->first;
    pool->first = &e->heap;
    pool->count++;
}

bool extent_pool_reserve(extent_pool_t *pool, size_t count)
{
    while (pool->count < count) {
        if (!refill(pool)) {
            return false;
        }
    }
    return true;
}

size_t extent_pool_bytes(void)
{
    return atomic_get_relaxed(&total_bytes);
}

void extent_pool_merge(extent_pool_t *to, extent_pool_t *from)
{
    while (from->first != NULL) {
        heap_node_t *node = from->first;
        from->first = node->next;
        extent_pool_give(to, extent_of_heap(node));
    }
    from->count = 0;
}
