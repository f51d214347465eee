/*
 * What: see page_store.h.
 *
 * Invariants: as there and in page_runs.h.
 *
 * Locking: as there.
 */
#include "extent/page_store.h"

#include "conf/conf.h"
#include "os/os.h"

/* Extents purged between two acquisitions of the lock. */
#define PURGE_BATCH 32

/* Descriptors left over by destroyed arenas, for the next ones. */
static struct {
    mutex_t lock;
    extent_pool_t pool;
} spare;

waker_t page_store_waker;

void page_store_boot(void)
{
    mutex_init(&spare.lock, LOCK_RANK_POOL);
}

static void publish_due(page_store_t *ps, page_set_t set)
{
    atomic_put_relaxed(&ps->due_ns[set], decay_due_ns(&ps->decay[set]));
}

static void start_decay(
    page_store_t *ps, page_set_t set, ssize_t ms, uint64_t now_ns)
{
    decay_init(&ps->decay[set], ms, now_ns);
    publish_due(ps, set);
}

void page_store_init(page_store_t *ps, unsigned arena_ind,
    extent_hooks_t *hooks, ssize_t dirty_ms, ssize_t muzzy_ms, uint64_t now_ns)
{
    mutex_init(&ps->lock, LOCK_RANK_PAGE_STORE);
    mutex_init(&ps->grow_lock, LOCK_RANK_PAGE_GROW);
    atomic_put_relaxed(&ps->hooks, &extent_hooks_default);
    (void)page_store_set_hooks(ps, hooks);
    ps->arena_ind = arena_ind;
    ps->purging[0] = false;
    ps->purging[1] = false;
    ps->never_splits = false;
    extent_set_init(&ps->sets[PAGE_SET_DIRTY], EXTENT_DIRTY);
    extent_set_init(&ps->sets[PAGE_SET_MUZZY], EXTENT_MUZZY);
    extent_set_init(&ps->sets[PAGE_SET_RETAINED], EXTENT_RETAINED);
    start_decay(ps, PAGE_SET_DIRTY, dirty_ms, now_ns);
    start_decay(ps, PAGE_SET_MUZZY, muzzy_ms, now_ns);
    ps->pool = (extent_pool_t){0};
    ps->purge_stats[PAGE_SET_DIRTY] = (page_purge_stats_t){0};
    ps->purge_stats[PAGE_SET_MUZZY] = (page_purge_stats_t){0};
    ps->abandoned_bytes = 0;
    atomic_put_relaxed(&ps->active_bytes, 0);
    ps->grow_next = GROW_MIN_BYTES;
    ps->grow_limit = GROW_MAX_BYTES;
    mutex_lock(&spare.lock);
    extent_pool_merge(&ps->pool, &spare.pool);
    mutex_unlock(&spare.lock);
}

extent_hooks_t *page_store_set_hooks(page_store_t *ps, extent_hooks_t *hooks)
{
    return atomic_exchange(&ps->hooks, hooks);
}

/* ---- growing ---- */

static void advance_grow_step(page_store_t *ps, size_t got)
{
    size_t next = ps->grow_next;
    while (next <= got && next < ps->grow_limit) {
        next = bits_round_up(next + next / 2, HUGEPAGE);
    }
    ps->grow_next = next > ps->grow_limit ? ps->grow_limit : next;
}

/* Asks the hooks for `size` bytes; *flags tells how they come. */
static void *map_run(
    page_ops_t ops, size_t size, size_t alignment, uint64_t *flags)
{
    bool zero = false;
    bool commit = false;
    uintptr_t p = (uintptr_t)extent_hooks_alloc(
        ops.hooks, NULL, size, alignment, &zero, &commit, ops.arena_ind);
    *flags = (zero ? EXTENT_ZEROED : 0) | (commit ? EXTENT_COMMITTED : 0);
    /* The low byte of the answer is room for flags of the hook. */
    return (void *)bits_round_down(p, EXTENT_ALLOC_FLAG_MASK + 1);
}

/*
 * New address space: a step of the growing series if that can be had and
 * cut, else just what is asked; also for alignments so large that keeping
 * the slack would eat the address space.
 */
static void *map_more(
    page_store_t *ps, size_t *size, size_t alignment, uint64_t *flags)
{
    page_ops_t ops = page_store_ops(ps);
    size_t page = os_page_size();
    size_t exact = bits_round_up(*size, page);
    size_t slack = alignment > page ? alignment - page : 0;
    if (exact < *size || exact + slack < exact) {
        return NULL;
    }
    if (opt.retain && !ps->never_splits && slack <= GROW_MIN_BYTES) {
        *size = exact + slack > ps->grow_next
                    ? bits_round_up(exact + slack, page)
                    : ps->grow_next;
        void *p = map_run(ops, *size, page, flags);
        if (p != NULL) {
            return p;
        }
    }
    *size = exact;
    return map_run(ops, exact, alignment > page ? alignment : page, flags);
}

/* New address space as a BUSY extent. Grow lock held. */
static extent_t *map_extent(page_store_t *ps, size_t size, size_t alignment)
{
    uint64_t flags;
    void *p = map_more(ps, &size, alignment, &flags);
    if (p == NULL) {
        return NULL;
    }
    page_ops_t ops = page_store_ops(ps);
    bool mapped = extent_map_ensure((uintptr_t)p, size);
    mutex_lock(&ps->lock);
    extent_t *e = mapped ? extent_pool_take(&ps->pool) : NULL;
    if (e != NULL) {
        extent_init(e, ps->arena_ind, p, size, EXTENT_BUSY, flags);
        extent_map_set_ends(e);
        advance_grow_step(ps, size);
    }
    mutex_unlock(&ps->lock);
    if (e == NULL && !extent_hooks_dalloc(ops.hooks, p, size,
                         (flags & EXTENT_COMMITTED) != 0, ops.arena_ind)) {
        mutex_lock(&ps->lock);
        ps->abandoned_bytes += size;
        mutex_unlock(&ps->lock);
    }
    return e;
}

/*
 * Takes again, in case another thread grew the store meanwhile, then grows.
 * A step that the hooks do not let us cut stays whole; the second round
 * then maps just what is asked, which needs no cut.
 */
static extent_t *grow_and_take(
    page_store_t *ps, size_t size, size_t alignment, size_t room)
{
    extent_t *e = NULL;
    mutex_lock(&ps->grow_lock);
    for (unsigned round = 0; round < 2 && e == NULL; round++) {
        mutex_lock(&ps->lock);
        e = page_runs_take_locked(ps, size, alignment, room);
        mutex_unlock(&ps->lock);
        if (e != NULL) {
            break;
        }
        extent_t *fresh =
            map_extent(ps, ps->never_splits ? size : size + room, alignment);
        if (fresh == NULL) {
            break;
        }
        mutex_lock(&ps->lock);
        if ((extent_size(fresh) == size || ps->never_splits) &&
            (fresh->addr & (alignment - 1)) == 0) {
            e = fresh;
        } else {
            page_runs_put_locked(ps, PAGE_SET_RETAINED, fresh);
            e = page_runs_take_locked(ps, size, alignment, room);
        }
        mutex_unlock(&ps->lock);
    }
    mutex_unlock(&ps->grow_lock);
    return e;
}

/* ---- the public operations ---- */

static void note_active(page_store_t *ps, size_t more, size_t less)
{
    atomic_bump(&ps->active_bytes, more - less);
}

/* Hands a BUSY extent out, committed; puts it back if that fails. */
static extent_t *hand_out(page_store_t *ps, extent_t *e)
{
    if (!extent_has(e, EXTENT_COMMITTED) &&
        !page_ops_commit(page_store_ops(ps), e)) {
        mutex_lock(&ps->lock);
        note_active(ps, 0, extent_size(e));
        page_runs_put_locked(ps, PAGE_SET_RETAINED, e);
        mutex_unlock(&ps->lock);
        return NULL;
    }
    extent_set_state(e, EXTENT_ACTIVE);
    return e;
}

static extent_t *alloc_with_room(
    page_store_t *ps, size_t size, size_t alignment, size_t room)
{
    assert(size != 0 && (size & PAGE_MASK) == 0 && alignment >= PAGE);
    mutex_lock(&ps->lock);
    extent_t *e = page_runs_take_locked(ps, size, alignment, room);
    if (e != NULL) {
        note_active(ps, extent_size(e), 0);
    }
    mutex_unlock(&ps->lock);
    if (JE_UNLIKELY(e == NULL)) {
        e = grow_and_take(ps, size, alignment, room);
        if (e == NULL) {
            return NULL;
        }
        mutex_lock(&ps->lock);
        note_active(ps, extent_size(e), 0);
        mutex_unlock(&ps->lock);
    }
    return hand_out(ps, e);
}

extent_t *page_store_alloc(page_store_t *ps, size_t size, size_t alignment)
{
    return alloc_with_room(ps, size, alignment, 0);
}

extent_t *page_store_alloc_roomy(
    page_store_t *ps, size_t size, size_t alignment)
{
    extent_t *e =
        size * 2 > size ? alloc_with_room(ps, size, alignment, size) : NULL;
    return e != NULL ? e : alloc_with_room(ps, size, alignment, 0);
}

/* Whether a free must be followed by purging at once. */
static bool purges_at_once(const page_store_t *ps)
{
    return ps->decay[PAGE_SET_DIRTY].time_ms == 0;
}

static void purge_until(page_store_t *ps, page_set_t which, size_t limit);
static void purge_batch(
    page_store_t *ps, page_set_t which, list_node_t *batch, bool muzzy);
static void free_guards(page_store_t *ps, extent_t *e);

/* Takes an ACTIVE extent off the books: BUSY, its contents garbage. */
static void retire(page_store_t *ps, extent_t *e) JE_REQUIRES(&ps->lock)
{
    note_active(ps, 0, extent_size(e));
    uint64_t word =
        extent_word(e) &
        (EXTENT_COMMITTED | (EXTENT_ARENA_MASK << EXTENT_ARENA_SHIFT));
    extent_set_size(e, extent_size(e));
    atomic_put_relaxed(
        &e->word, word | ((uint64_t)EXTENT_BUSY << EXTENT_STATE_SHIFT));
}

void page_store_free(page_store_t *ps, extent_t *e)
{
    if (JE_UNLIKELY(extent_has(e, EXTENT_GUARDED))) {
        free_guards(ps, e);
    }
    mutex_lock(&ps->lock);
    retire(ps, e);
    page_runs_put_locked(ps, PAGE_SET_DIRTY, e);
    bool purge = purges_at_once(ps);
    mutex_unlock(&ps->lock);
    if (purge) {
        purge_until(ps, PAGE_SET_DIRTY, 0);
    } else {
        waker_ring(&page_store_waker);
    }
}

void page_store_free_clean(page_store_t *ps, extent_t *e)
{
    list_node_t batch;
    list_init(&batch);
    if (JE_UNLIKELY(extent_has(e, EXTENT_GUARDED))) {
        free_guards(ps, e);
    }
    mutex_lock(&ps->lock);
    retire(ps, e);
    mutex_unlock(&ps->lock);
    list_insert(&batch, &e->list);
    purge_batch(ps, PAGE_SET_DIRTY, &batch, false);
}

/* ---- guard pages ---- */

extent_t *page_store_alloc_guarded(
    page_store_t *ps, size_t size, size_t alignment)
{
    size_t guard = bits_round_up(GUARD_PAGES * os_page_size(), alignment);
    size_t body = bits_round_up(size, os_page_size());
    if (!page_runs_are_default(ps) || body + 2 * guard < size) {
        return page_store_alloc(ps, size, alignment);
    }
    extent_t *left = page_store_alloc(ps, body + 2 * guard,
        alignment > os_page_size() ? alignment : os_page_size());
    if (left == NULL) {
        return NULL;
    }
    mutex_lock(&ps->lock);
    extent_t *e = page_runs_cut_locked(ps, left, guard);
    extent_t *right = e == NULL ? NULL : page_runs_cut_locked(ps, e, body);
    if (right == NULL) {
        if (e != NULL) {
            (void)page_runs_join_locked(ps, left, e);
        }
        mutex_unlock(&ps->lock);
        page_store_free(ps, left);
        return NULL;
    }
    note_active(ps, 0, 2 * guard);
    extent_set_state(left, EXTENT_GUARD);
    extent_set_state(right, EXTENT_GUARD);
    extent_set_flag(e, EXTENT_GUARDED, true);
    mutex_unlock(&ps->lock);
    (void)os_forbid(extent_ptr(left), guard);
    (void)os_forbid(extent_ptr(right), guard);
    return e;
}

/* Joins the guards to the extent they protect. */
static void free_guards(page_store_t *ps, extent_t *e)
{
    extent_t *left = extent_map_lookup(e->addr - PAGE);
    extent_t *right = extent_map_lookup(extent_end(e));
    bool permitted = os_permit(extent_ptr(left), extent_size(left)) &&
                     os_permit(extent_ptr(right), extent_size(right));
    mutex_lock(&ps->lock);
    extent_set_flag(e, EXTENT_GUARDED, false);
    if (permitted) {
        size_t guards = extent_size(left) + extent_size(right);
        note_active(ps, guards, 0);
        e->addr = left->addr;
        extent_set_size(e, extent_size(e) + guards);
        extent_map_set_ends(e);
        extent_pool_give(&ps->pool, left);
        extent_pool_give(&ps->pool, right);
    } else {
        /* Pages that stay forbidden cannot be reused: give them up. */
        ps->abandoned_bytes += extent_size(left) + extent_size(right);
    }
    mutex_unlock(&ps->lock);
}

/* ---- in place ---- */

/* Bytes of free extents that follow `end` without a gap, up to `want`. */
static size_t free_bytes_behind(page_store_t *ps, const extent_t *e,
    uintptr_t end, size_t want) JE_REQUIRES(&ps->lock)
{
    size_t found = 0;
    while (found < want) {
        extent_t *next = extent_map_lookup(end + found);
        page_set_t which = 0;
        while (which < PAGE_SET_COUNT &&
               !page_runs_is_neighbour(ps, &ps->sets[which], e, next)) {
            which++;
        }
        if (which == PAGE_SET_COUNT || next->addr != end + found) {
            break;
        }
        found += extent_size(next);
    }
    return found;
}

/* Takes the first `want` bytes, or all if it has less, out of its set. */
static extent_t *take_neighbour(page_store_t *ps, extent_t *next, size_t want)
    JE_REQUIRES(&ps->lock)
{
    page_set_t which = 0;
    while (ps->sets[which].state != extent_state(next)) {
        which++;
    }
    extent_set_remove(&ps->sets[which], next);
    extent_set_state(next, EXTENT_BUSY);
    if (extent_size(next) <= want) {
        return next;
    }
    return page_runs_trim_locked(ps, which, next, want, PAGE);
}

bool page_store_grow_in_place(
    page_store_t *ps, extent_t *e, size_t new_size, bool *zeroed)
{
    size_t old_size = extent_size(e);
    size_t want = new_size - old_size;
    *zeroed = true;
    if (extent_has(e, EXTENT_GUARDED)) {
        return false;
    }
    mutex_lock(&ps->lock);
    bool possible = free_bytes_behind(ps, e, extent_end(e), want) >= want;
    while (possible && extent_size(e) < new_size) {
        /* With the program's hooks the lock was dropped: look again. */
        want = new_size - extent_size(e);
        uintptr_t end = extent_end(e);
        if (free_bytes_behind(ps, e, end, 1) == 0) {
            possible = false;
            break;
        }
        extent_t *next = take_neighbour(ps, extent_map_lookup(end), want);
        if (next == NULL) {
            possible = false;
            break;
        }
        bool next_zeroed = extent_has(next, EXTENT_ZEROED);
        if (!page_runs_join_locked(ps, e, next)) {
            page_runs_put_locked(ps, PAGE_SET_DIRTY, next);
            possible = false;
            break;
        }
        *zeroed = *zeroed && next_zeroed;
    }
    note_active(ps, extent_size(e), old_size);
    mutex_unlock(&ps->lock);
    if (!possible && extent_size(e) > old_size) {
        (void)page_store_shrink(ps, e, old_size);
    }
    return extent_size(e) >= new_size;
}

bool page_store_shrink(page_store_t *ps, extent_t *e, size_t new_size)
{
    assert(new_size >= PAGE && new_size < extent_size(e));
    if (extent_has(e, EXTENT_GUARDED)) {
        return false;
    }
    mutex_lock(&ps->lock);
    extent_t *tail = page_runs_cut_locked(ps, e, new_size);
    mutex_unlock(&ps->lock);
    if (tail == NULL) {
        return false;
    }
    page_store_free(ps, tail);
    return true;
}

bool page_store_move(page_store_t *ps, extent_t *from, extent_t *to)
{
    size_t size = extent_size(from);
    size_t mask = os_page_size() - 1;
    if (!page_runs_are_default(ps) || extent_size(to) < size ||
        ((from->addr | to->addr | size) & mask) != 0 ||
        os_is_sbrk(extent_ptr(from)) || os_is_sbrk(extent_ptr(to)) ||
        extent_has(from, EXTENT_GUARDED) ||
        !os_move_pages(extent_ptr(from), extent_ptr(to), size)) {
        return false;
    }
    mutex_lock(&ps->lock);
    note_active(ps, 0, size);
    extent_set_state(from, EXTENT_BUSY);
    extent_set_flag(from, EXTENT_ZEROED, true);
    page_runs_put_locked(ps, PAGE_SET_RETAINED, from);
    mutex_unlock(&ps->lock);
    return true;
}

/* ---- giving back ---- */

/* Takes the oldest extents out, as many as exceed `limit`. Lock held. */
static void collect(page_store_t *ps, page_set_t which, size_t limit,
    list_node_t *batch) JE_REQUIRES(&ps->lock)
{
    extent_set_t *set = &ps->sets[which];
    for (unsigned i = 0; i < PURGE_BATCH && set->bytes > limit; i++) {
        extent_t *e = extent_set_oldest(set);
        extent_set_remove(set, e);
        extent_set_state(e, EXTENT_BUSY);
        list_insert(batch, &e->list);
    }
}

static bool goes_muzzy(const page_store_t *ps, page_set_t which)
{
    return which == PAGE_SET_DIRTY && ps->decay[PAGE_SET_MUZZY].time_ms != 0;
}

/* Purges one BUSY extent; the answer is the set that it belongs to now. */
static page_set_t purge_one(page_ops_t ops, extent_t *e, bool muzzy)
{
    if (muzzy && page_ops_purge_lazy(ops, e)) {
        return PAGE_SET_MUZZY;
    }
    return page_ops_release(ops, e) == PAGE_OPS_GONE ? PAGE_SET_COUNT
                                                     : PAGE_SET_RETAINED;
}

/* Purges the batch, outside of the lock, and files the remains. */
static void purge_batch(
    page_store_t *ps, page_set_t which, list_node_t *batch, bool muzzy)
{
    page_ops_t ops = page_store_ops(ps);
    list_node_t *node;
    while ((node = list_first(batch)) != NULL) {
        list_remove(node);
        extent_t *e = list_entry(node, extent_t, list);
        size_t pages = extent_size(e) >> LG_PAGE;
        page_set_t target = purge_one(ops, e, muzzy);
        mutex_lock(&ps->lock);
        ps->purge_stats[which].nmadvise++;
        ps->purge_stats[which].purged += pages;
        if (target == PAGE_SET_COUNT) {
            extent_pool_give(&ps->pool, e);
        } else {
            page_runs_put_locked(ps, target, e);
        }
        mutex_unlock(&ps->lock);
    }
}

/* Purges the oldest until at most `limit` bytes stay in the set. */
static void purge_until(page_store_t *ps, page_set_t which, size_t limit)
{
    list_node_t batch;
    list_init(&batch);
    bool first = true;
    for (;;) {
        mutex_lock(&ps->lock);
        collect(ps, which, limit, &batch);
        bool muzzy = goes_muzzy(ps, which);
        if (first && !list_is_empty(&batch)) {
            ps->purge_stats[which].npurge++;
        }
        mutex_unlock(&ps->lock);
        if (list_is_empty(&batch)) {
            return;
        }
        first = false;
        purge_batch(ps, which, &batch, muzzy);
    }
}

static void decay_set(page_store_t *ps, page_set_t which, uint64_t now_ns)
{
    mutex_lock(&ps->lock);
    decay_t *decay = &ps->decay[which];
    bool due = !ps->purging[which] && now_ns >= decay_due_ns(decay);
    size_t limit = SIZE_MAX;
    if (due) {
        ps->purging[which] = true;
        limit = decay_limit(decay, now_ns, ps->sets[which].bytes);
        publish_due(ps, which);
    }
    mutex_unlock(&ps->lock);
    if (!due) {
        return;
    }
    purge_until(ps, which, limit);
    mutex_lock(&ps->lock);
    ps->purging[which] = false;
    mutex_unlock(&ps->lock);
}

void page_store_decay(page_store_t *ps, uint64_t now_ns)
{
    decay_set(ps, PAGE_SET_DIRTY, now_ns);
    decay_set(ps, PAGE_SET_MUZZY, now_ns);
}

void page_store_purge_all(page_store_t *ps)
{
    purge_until(ps, PAGE_SET_DIRTY, 0);
    purge_until(ps, PAGE_SET_MUZZY, 0);
}

void page_store_set_decay(
    page_store_t *ps, page_set_t set, ssize_t ms, uint64_t now_ns)
{
    mutex_lock(&ps->lock);
    start_decay(ps, set, ms, now_ns);
    mutex_unlock(&ps->lock);
    if (ms == 0) {
        purge_until(ps, set, 0);
    }
}

/* ---- the end ---- */

void page_store_destroy(page_store_t *ps)
{
    page_ops_t ops = page_store_ops(ps);
    page_store_purge_all(ps);
    mutex_lock(&ps->lock);
    extent_set_t *set = &ps->sets[PAGE_SET_RETAINED];
    extent_t *e;
    while ((e = extent_set_oldest(set)) != NULL) {
        extent_set_remove(set, e);
        mutex_unlock(&ps->lock);
        extent_hooks_destroy(ops.hooks, extent_ptr(e), extent_size(e),
            extent_has(e, EXTENT_COMMITTED), ops.arena_ind);
        mutex_lock(&ps->lock);
        extent_pool_give(&ps->pool, e);
    }
    extent_pool_t rest = ps->pool;
    ps->pool = (extent_pool_t){0};
    mutex_unlock(&ps->lock);
    mutex_lock(&spare.lock);
    extent_pool_merge(&spare.pool, &rest);
    mutex_unlock(&spare.lock);
}

void page_store_prefork_spare(void)
{
    mutex_fork_drain(&spare.lock);
}

void page_store_prefork_grow(page_store_t *ps)
{
    mutex_fork_drain(&ps->grow_lock);
}

void page_store_prefork(page_store_t *ps)
{
    mutex_fork_drain(&ps->lock);
}

void page_store_postfork_child(page_store_t *ps)
{
    /* Whoever was purging is not in this process. */
    for (unsigned i = 0; i < 2; i++) {
        if (ps->purging[i]) {
            ps->purging[i] = false;
        }
    }
}

void page_store_check(page_store_t *ps)
{
    mutex_lock(&ps->lock);
    for (page_set_t which = 0; which < PAGE_SET_COUNT; which++) {
        extent_set_t *set = &ps->sets[which];
        extent_set_check(set);
        list_foreach (node, &set->by_age) {
            extent_t *e = list_entry(node, extent_t, list);
            assert(extent_arena(e) == ps->arena_ind);
            assert(extent_map_lookup(e->addr) == e);
            assert(extent_map_lookup(extent_end(e) - PAGE) == e);
        }
    }
    mutex_unlock(&ps->lock);
}
