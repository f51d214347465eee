/*
 * What: see extent_set.h.
 *
 * Invariants: as there.
 *
 * Locking: as there.
 */
#include "extent/extent_set.h"

/* Members looked at in a class that only may contain a fit. */
#define FIT_PROBES 8

void extent_set_init(extent_set_t *set, extent_state_t state)
{
    list_init(&set->by_age);
    set->state = state;
}

static void class_insert(extent_set_t *set, extent_t *e)
{
    unsigned class = sizeclass_run_floor(extent_size(e));
    heap_insert(&set->heaps[class], &e->heap);
    bitmap_set(set->nonempty, class);
    set->class_counts[class]++;
    set->class_bytes[class] += extent_size(e);
}

static void class_remove(extent_set_t *set, extent_t *e)
{
    unsigned class = sizeclass_run_floor(extent_size(e));
    heap_remove(&set->heaps[class], &e->heap);
    set->class_counts[class]--;
    set->class_bytes[class] -= extent_size(e);
    if (heap_is_empty(&set->heaps[class])) {
        bitmap_clear(set->nonempty, class);
    }
}

void extent_set_insert(extent_set_t *set, extent_t *e)
{
    extent_set_state(e, set->state);
    class_insert(set, e);
    list_insert(&set->by_age, &e->list);
    set->bytes += extent_size(e);
    set->count++;
}

void extent_set_remove(extent_set_t *set, extent_t *e)
{
    assert(extent_state(e) == set->state);
    class_remove(set, e);
    list_remove(&e->list);
    set->bytes -= extent_size(e);
    set->count--;
}

void extent_set_cut_front(extent_set_t *set, extent_t *e, size_t size)
{
    size_t rest = extent_size(e) - size;
    assert(rest >= PAGE && rest < extent_size(e));
    bool same_class =
        sizeclass_run_floor(rest) == sizeclass_run_floor(extent_size(e));
    if (!same_class) {
        class_remove(set, e);
    }
    /* No member lies inside the cut, so the order by address holds. */
    e->addr += size;
    extent_set_size(e, rest);
    if (!same_class) {
        class_insert(set, e);
    } else {
        set->class_bytes[sizeclass_run_floor(rest)] -= size;
    }
    set->bytes -= size;
}

static bool fits(const extent_t *e, size_t size, size_t alignment)
{
    uintptr_t start = bits_round_up(e->addr, alignment);
    return start >= e->addr && start < extent_end(e) &&
           extent_end(e) - start >= size;
}

/* The lowest member that fits, of the lowest and a few beside it. */
static extent_t *probe_class(
    const heap_t *heap, size_t size, size_t alignment, bool exact_first)
{
    heap_node_t *node = heap_first(heap);
    extent_t *found = NULL;
    for (unsigned i = 0; node != NULL && i < FIT_PROBES; i++) {
        extent_t *e = extent_of_heap(node);
        if (fits(e, size, alignment)) {
            if (!exact_first || extent_size(e) == size) {
                return e;
            }
            found = found == NULL ? e : found;
        }
        node = i == 0 ? node->child : node->next;
    }
    return found;
}

extent_t *extent_set_fit(const extent_set_t *set, size_t size, size_t alignment)
{
    unsigned nwords = BITMAP_WORDS(SC_RUN_COUNT);
    unsigned floor = sizeclass_run_floor(size);
    unsigned class = bitmap_find(set->nonempty, nwords, floor);
    while (class != BITMAP_NONE) {
        /* Sizes differ within a class: the same size is no waste at all. */
        extent_t *e =
            probe_class(&set->heaps[class], size, alignment, class == floor);
        if (e != NULL) {
            return e;
        }
        class = bitmap_find(set->nonempty, nwords, class + 1);
    }
    return NULL;
}

/* The members of a class are what its counters say. */
static void check_class(const extent_set_t *set, unsigned class)
{
    size_t bytes = 0;
    size_t count = 0;
    list_foreach (node, &set->by_age) {
        size_t size = extent_size(list_entry(node, extent_t, list));
        if (sizeclass_run_floor(size) == class) {
            bytes += size;
            count++;
        }
    }
    assert(bytes == set->class_bytes[class]);
    assert(count == set->class_counts[class]);
}

void extent_set_check(const extent_set_t *set)
{
    size_t bytes = 0;
    size_t count = 0;
    list_foreach (node, &set->by_age) {
        extent_t *e = list_entry(node, extent_t, list);
        assert(extent_state(e) == set->state);
        assert(bitmap_has(set->nonempty, sizeclass_run_floor(extent_size(e))));
        bytes += extent_size(e);
        count++;
    }
    assert(bytes == set->bytes && count == set->count);
    for (unsigned i = 0; i < SC_RUN_COUNT; i++) {
        assert(bitmap_has(set->nonempty, i) != heap_is_empty(&set->heaps[i]));
        if (set->class_counts[i] != 0 || set->class_bytes[i] != 0) {
            check_class(set, i);
        }
    }
}
