/*
 * What: see page_runs.h.
 *
 * Invariants: as there. (I4) With the built-in hooks cutting and joining
 * need no call, so they happen under the lock; with the program's hooks the
 * lock is dropped around each call and the extents are BUSY meanwhile.
 *
 * Locking: as there.
 */
#include "extent/page_runs.h"

#include "os/os.h"

/* How many times too large an extent may be that cannot be cut. */
#define WHOLE_WASTE_MAX 4

/*
 * Committed at a time at least, and that share of what is there.
 */
#define COMMIT_STEP_BYTES ((size_t)1 << 20)
#define COMMIT_SHARE      16

/* ---- putting back, with neighbours joined ---- */

bool page_runs_is_member(
    const page_store_t *ps, const extent_set_t *set, const extent_t *other)
{
    if (other == NULL) {
        return false;
    }
    uint64_t word = extent_word(other);
    return extent_word_arena(word) == ps->arena_ind &&
           extent_word_state(word) == set->state;
}

bool page_runs_is_neighbour(const page_store_t *ps, const extent_set_t *set,
    const extent_t *e, const extent_t *other)
{
    return other != e && page_runs_is_member(ps, set, other) &&
           ((extent_word(other) ^ extent_word(e)) & EXTENT_COMMITTED) == 0;
}

static bool may_merge(page_store_t *ps, const extent_t *a, const extent_t *b)
    JE_REQUIRES(&ps->lock) JE_NO_LOCK_ANALYSIS
{
    page_ops_t ops = page_store_ops(ps);
    if (extent_hooks_are_default(ops.hooks)) {
        return page_ops_may_merge(ops, a, b);
    }
    mutex_unlock(&ps->lock);
    bool may = page_ops_may_merge(ops, a, b);
    mutex_lock(&ps->lock);
    return may;
}

/* Joins the BUSY extents a and b, a first; false if refused. */
bool page_runs_join_locked(page_store_t *ps, extent_t *a, extent_t *b)
{
    if (!may_merge(ps, a, b)) {
        return false;
    }
    page_ops_join(a, b);
    extent_pool_give(&ps->pool, b);
    return true;
}

static extent_t *join_next(page_store_t *ps, extent_set_t *set, extent_t *e)
    JE_REQUIRES(&ps->lock)
{
    extent_t *next = extent_map_lookup(extent_end(e));
    while (page_runs_is_neighbour(ps, set, e, next) &&
           next->addr == extent_end(e)) {
        extent_set_remove(set, next);
        extent_set_state(next, EXTENT_BUSY);
        if (!page_runs_join_locked(ps, e, next)) {
            extent_set_insert(set, next);
            break;
        }
        next = extent_map_lookup(extent_end(e));
    }
    return e;
}

static extent_t *join_previous(page_store_t *ps, extent_set_t *set, extent_t *e)
    JE_REQUIRES(&ps->lock)
{
    extent_t *previous = extent_map_lookup(e->addr - PAGE);
    while (page_runs_is_neighbour(ps, set, e, previous) &&
           extent_end(previous) == e->addr) {
        extent_set_remove(set, previous);
        extent_set_state(previous, EXTENT_BUSY);
        if (!page_runs_join_locked(ps, previous, e)) {
            extent_set_insert(set, previous);
            break;
        }
        e = previous;
        previous = extent_map_lookup(e->addr - PAGE);
    }
    return e;
}

extent_t *page_runs_put_locked(page_store_t *ps, page_set_t which, extent_t *e)
{
    extent_set_t *set =
        &ps->sets[extent_has(e, EXTENT_KEPT) ? PAGE_SET_PINNED : which];
    e = join_next(ps, set, e);
    e = join_previous(ps, set, e);
    extent_map_set_ends(e);
    extent_set_insert(set, e);
    return e;
}

/* ---- taking out ---- */

/* Asks the hooks for a cut; drops the lock if they are the program's. */
static bool may_split(page_store_t *ps, const extent_t *e, size_t size)
    JE_REQUIRES(&ps->lock) JE_NO_LOCK_ANALYSIS
{
    page_ops_t ops = page_store_ops(ps);
    if (extent_hooks_are_default(ops.hooks)) {
        return true;
    }
    mutex_unlock(&ps->lock);
    bool may = page_ops_may_split(ops, e, size);
    mutex_lock(&ps->lock);
    ps->never_splits = !may;
    return may;
}

/*
 * Cuts the BUSY extent e behind `size` bytes. Returns the rest, BUSY, or
 * NULL if refused or out of descriptors.
 */
extent_t *page_runs_cut_locked(page_store_t *ps, extent_t *e, size_t size)
{
    extent_t *rest = extent_pool_take(&ps->pool);
    if (rest == NULL) {
        return NULL;
    }
    if (!may_split(ps, e, size)) {
        extent_pool_give(&ps->pool, rest);
        return NULL;
    }
    page_ops_cut(e, rest, size);
    return rest;
}

/*
 * Trims the BUSY extent e, taken from `which`, to `size` bytes at the
 * aligned place; the ends go back. NULL (all put back) if hooks refuse.
 */
extent_t *page_runs_trim_locked(page_store_t *ps, page_set_t which, extent_t *e,
    size_t size, size_t alignment)
{
    size_t lead = bits_round_up(e->addr, alignment) - e->addr;
    if (lead != 0) {
        extent_t *rest = page_runs_cut_locked(ps, e, lead);
        if (rest == NULL) {
            (void)page_runs_put_locked(ps, which, e);
            return NULL;
        }
        (void)page_runs_put_locked(ps, which, e);
        e = rest;
    }
    if (extent_size(e) != size) {
        extent_t *rest = page_runs_cut_locked(ps, e, size);
        if (rest == NULL) {
            (void)page_runs_put_locked(ps, which, e);
            return NULL;
        }
        (void)page_runs_put_locked(ps, which, rest);
    }
    return e;
}

/* The common case: the front of a member, with the built-in hooks. */
static extent_t *take_front(page_store_t *ps, extent_set_t *set, extent_t *e,
    size_t size) JE_REQUIRES(&ps->lock)
{
    if (!extent_pool_reserve(&ps->pool, PAGE_RUNS_DESCRIPTORS)) {
        return NULL;
    }
    extent_t *front = extent_pool_take(&ps->pool);
    extent_init(front, ps->arena_ind, extent_ptr(e), size, EXTENT_BUSY,
        extent_word(e) & (EXTENT_ZEROED | EXTENT_COMMITTED | EXTENT_KEPT));
    extent_set_cut_front(set, e, size);
    extent_map_set_ends(front);
    atomic_put_relaxed(extent_map_cell(e->addr), e);
    return front;
}

/*
 * Hooks that allow no cut: a member as it is, if not too much of it would be
 * wasted.
 */
static extent_t *take_whole(
    extent_set_t *set, extent_t *e, size_t size, size_t alignment)
{
    if ((e->addr & (alignment - 1)) != 0 ||
        extent_size(e) / WHOLE_WASTE_MAX > size) {
        return NULL;
    }
    extent_set_remove(set, e);
    extent_set_state(e, EXTENT_BUSY);
    return e;
}

size_t page_runs_commit_step(const extent_t *e, size_t size, size_t alignment)
{
    size_t available = extent_end(e) - bits_round_up(e->addr, alignment);
    size_t step = available / COMMIT_SHARE;
    step = step < COMMIT_STEP_BYTES ? COMMIT_STEP_BYTES : step;
    step = bits_round_up(size > step ? size : step, os_page_size());
    return step < size || step > available ? available : step;
}

/* `room` more bytes are to be free behind the run; they stay in the set. */
static extent_t *take_from(page_store_t *ps, page_set_t which, size_t size,
    size_t alignment, size_t room) JE_REQUIRES(&ps->lock)
{
    extent_set_t *set = &ps->sets[which];
    if (set->count == 0) {
        return NULL;
    }
    extent_t *e = extent_set_fit(set, size + room, alignment);
    if (e == NULL) {
        return NULL;
    }
    if (JE_UNLIKELY(ps->never_splits)) {
        return take_whole(set, e, size, alignment);
    }
    bool is_default = page_runs_are_default(ps);
    if (JE_UNLIKELY(!extent_has(e, EXTENT_COMMITTED)) && is_default) {
        size = page_runs_commit_step(e, size, alignment);
    }
    if (extent_size(e) > size && (e->addr & (alignment - 1)) == 0 &&
        is_default) {
        return take_front(ps, set, e, size);
    }
    extent_set_remove(set, e);
    extent_set_state(e, EXTENT_BUSY);
    return page_runs_trim_locked(ps, which, e, size, alignment);
}

extent_t *page_runs_take_oldest_locked(page_store_t *ps, page_set_t which)
{
    extent_t *e = extent_set_oldest(&ps->sets[which]);
    extent_set_remove(&ps->sets[which], e);
    extent_set_state(e, EXTENT_BUSY);
    return e;
}

extent_t *page_runs_take_paged_locked(page_store_t *ps, page_set_t which)
{
    extent_t *e = page_runs_take_oldest_locked(ps, which);
    size_t page = os_page_size();
    uintptr_t first = bits_round_up(e->addr, page);
    uintptr_t end = bits_round_down(extent_end(e), page);
    return first < end ? page_runs_trim_locked(ps, which, e, end - first, page)
                       : e;
}

extent_t *page_runs_take_locked(
    page_store_t *ps, size_t size, size_t alignment, size_t room)
{
    extent_t *e = take_from(ps, PAGE_SET_PINNED, size, alignment, room);
    for (page_set_t which = 0; e == NULL && which < PAGE_SET_PINNED; which++) {
        e = take_from(ps, which, size, alignment, room);
    }
    return e;
}
