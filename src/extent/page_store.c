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
#include "os/reentry.h"

/*
 * What destroyed arenas left: descriptors, and ranges that the system did not
 * take back (of the program break, or refused), for those that grow next.
 */
page_store_peak_t page_store_peak;

static struct {
    mutex_t lock;
    extent_pool_t pool;
    list_node_t orphans; /* BUSY */
    _Atomic size_t orphan_bytes;
} spare;

void page_store_boot(void)
{
    mutex_init(&spare.lock, LOCK_RANK_POOL);
    list_init(&spare.orphans);
}

void page_store_init(page_store_t *ps, unsigned arena_ind,
    extent_hooks_t *hooks, ssize_t dirty_ms, ssize_t muzzy_ms, uint64_t now_ns)
{
    mutex_init(&ps->lock, LOCK_RANK_PAGE_STORE);
    mutex_init(&ps->grow_lock, LOCK_RANK_PAGE_GROW);
    atomic_put_relaxed(&ps->hooks, hooks);
    ps->arena_ind = arena_ind;
    extent_set_init(&ps->sets[PAGE_SET_DIRTY], EXTENT_DIRTY);
    extent_set_init(&ps->sets[PAGE_SET_MUZZY], EXTENT_MUZZY);
    extent_set_init(&ps->sets[PAGE_SET_RETAINED], EXTENT_RETAINED);
    extent_set_init(&ps->sets[PAGE_SET_PINNED], EXTENT_PINNED);
    page_purge_start_decay(ps, PAGE_SET_DIRTY, dirty_ms, now_ns);
    page_purge_start_decay(ps, PAGE_SET_MUZZY, muzzy_ms, now_ns);
    atomic_put_relaxed(&ps->oversize_bytes, opt.oversize_threshold);
    ps->dirty_limit = SIZE_MAX;
    ps->grow_next = GROW_MIN_BYTES;
    ps->grow_limit = GROW_MAX_BYTES;
    mutex_lock(&spare.lock);
    extent_pool_merge(&ps->pool, &spare.pool);
    mutex_unlock(&spare.lock);
}

static extent_t *commit_taken(page_store_t *ps, extent_t *e, size_t size)
    JE_REQUIRES(&ps->lock);

/* The program's hooks are not to find what they did not decommit. */
static void commit_retained(page_store_t *ps)
{
    extent_set_t *set = &ps->sets[PAGE_SET_RETAINED];
    mutex_lock(&ps->lock);
    for (size_t left = set->count; left > 0 && set->count > 0; left--) {
        extent_t *e = extent_set_oldest(set);
        extent_set_remove(set, e);
        extent_set_state(e, EXTENT_BUSY);
        if (extent_has(e, EXTENT_COMMITTED) ||
            commit_taken(ps, e, extent_size(e)) != NULL) {
            (void)page_runs_put_locked(ps, PAGE_SET_RETAINED, e);
        }
    }
    mutex_unlock(&ps->lock);
}

extent_hooks_t *page_store_set_hooks(page_store_t *ps, extent_hooks_t *hooks)
{
    if (page_runs_are_default(ps) && !extent_hooks_are_default(hooks)) {
        commit_retained(ps);
    }
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

/* From there on a growth step is committed as it is used. */
#define RESERVE_MIN_BYTES (2 * GROW_MIN_BYTES)

/* Asks for `size` bytes; *flags tells how they come. */
static void *map_run(
    page_ops_t ops, size_t size, size_t alignment, bool step, uint64_t *flags)
{
    bool is_default = extent_hooks_are_default(ops.hooks);
    if (step && is_default && size >= RESERVE_MIN_BYTES) {
        void *reserved =
            extent_hooks_default_reserve(size, alignment, ops.arena_ind);
        if (reserved != NULL) {
            *flags = EXTENT_ZEROED;
            return reserved;
        }
    }
    bool zero = false;
    bool commit = is_default && !step; /* all of it will be used */
    uintptr_t p = (uintptr_t)extent_hooks_alloc(
        ops.hooks, NULL, size, alignment, &zero, &commit, ops.arena_ind);
    bool kept = (p & EXTENT_ALLOC_FLAG_PINNED) != 0;
    *flags = (zero ? EXTENT_ZEROED : 0) | (commit ? EXTENT_COMMITTED : 0) |
             (kept ? EXTENT_KEPT : 0);
    /* The low byte of the answer is room for flags of the hook. */
    return (void *)bits_round_down(p, EXTENT_ALLOC_FLAG_MASK + 1);
}

/* Sizes that are tried, one after the other. */
#define MAP_ATTEMPTS 4

/*
 * What is asked for next; 0 is nothing. First a step of the growing series,
 * if it can be had and cut, else a small one, so that requests which are no
 * multiple of the system's pages share one; then just what is wanted, as for
 * alignments so large that keeping the slack would eat the address space. The
 * program break offers no alignment: there the slack is retained after all.
 */
static size_t attempt_size(const page_store_t *ps, size_t exact, size_t slack,
    bool exactly, unsigned attempt)
{
    size_t wanted = bits_round_up(exact + slack, os_page_size());
    bool steps = opt.retain && !exactly && slack <= GROW_MIN_BYTES;
    switch (attempt) {
    case 0:
        wanted = wanted > ps->grow_next ? wanted : ps->grow_next;
        return steps ? wanted : 0;
    case 1:
        return steps && wanted < GROW_MIN_BYTES &&
                       ps->grow_next > GROW_MIN_BYTES
                   ? GROW_MIN_BYTES
                   : 0;
    case 2:
        return exact;
    default:
        return slack != 0 && slack <= GROW_MAX_BYTES && !ps->never_splits
                   ? wanted
                   : 0;
    }
}

/*
 * New address space. One call of map_run, so that compilers have no frame
 * for it: all of what grows a store lies on a thread's stack at once.
 */
static void *map_more(page_store_t *ps, size_t *size, size_t alignment,
    bool exactly, uint64_t *flags)
{
    size_t page = os_page_size();
    size_t exact = bits_round_up(*size, page);
    size_t slack = alignment > page ? alignment - page : 0;
    if (exact < *size || exact + slack < exact) {
        return NULL;
    }
    for (unsigned attempt = 0; attempt < MAP_ATTEMPTS; attempt++) {
        *size = attempt_size(ps, exact, slack, exactly, attempt);
        void *p = *size == 0
                      ? NULL
                      : map_run(page_store_ops(ps), *size,
                            *size == exact && slack != 0 ? alignment : page,
                            *size != exact, flags);
        if (p != NULL) {
            return p;
        }
    }
    return NULL;
}

/* Keeps a BUSY extent of a store that ends for another store. */
static void leave_orphan(page_ops_t ops, extent_t *e)
{
    if (extent_has(e, EXTENT_COMMITTED)) {
        extent_set_flag(e, EXTENT_ZEROED,
            extent_hooks_purge_forced(ops.hooks, extent_ptr(e), extent_size(e),
                0, extent_size(e), ops.arena_ind));
    }
    mutex_lock(&spare.lock);
    list_insert(&spare.orphans, &e->list);
    (void)atomic_add_relaxed(&spare.orphan_bytes, extent_size(e));
    mutex_unlock(&spare.lock);
}

/* A range that another store left, or NULL. */
static extent_t *adopt_orphan(page_store_t *ps, size_t size)
{
    extent_t *found = NULL;
    mutex_lock(&spare.lock);
    list_foreach (node, &spare.orphans) {
        extent_t *e = list_entry(node, extent_t, list);
        if (extent_size(e) >= size) {
            found = e;
            break;
        }
    }
    if (found != NULL) {
        list_remove(&found->list);
        (void)atomic_sub_relaxed(&spare.orphan_bytes, extent_size(found));
        extent_init(found, ps->arena_ind, extent_ptr(found), extent_size(found),
            EXTENT_BUSY,
            extent_word(found) & (EXTENT_ZEROED | EXTENT_COMMITTED));
        extent_map_set_ends(found);
    }
    mutex_unlock(&spare.lock);
    return found;
}

size_t page_store_orphan_bytes(void)
{
    return atomic_get_relaxed(&spare.orphan_bytes);
}

/*
 * New address space as a BUSY extent. Grow lock held. With a frame of its own,
 * which is gone when what was mapped is committed.
 */
JE_NOINLINE static extent_t *map_extent(
    page_store_t *ps, size_t size, size_t alignment, bool exactly)
{
    if (page_store_orphan_bytes() >= size && page_runs_are_default(ps)) {
        extent_t *orphan = adopt_orphan(ps, size + alignment);
        if (orphan != NULL) {
            return orphan;
        }
    }
    uint64_t flags;
    void *p = map_more(ps, &size, alignment, exactly, &flags);
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
    if (e == NULL && ((flags & EXTENT_KEPT) != 0 ||
                         !extent_hooks_dalloc(ops.hooks, p, size,
                             (flags & EXTENT_COMMITTED) != 0, ops.arena_ind))) {
        mutex_lock(&ps->lock);
        ps->abandoned_bytes += size;
        mutex_unlock(&ps->lock);
    }
    return e;
}

/* ---- taking ---- */

/*
 * Commits a BUSY extent, outside of the lock, and puts what it has beyond
 * `size` back. If the system refuses all goes back: NULL.
 */
JE_NO_LOCK_ANALYSIS
static extent_t *commit_taken(page_store_t *ps, extent_t *e, size_t size)
{
    page_ops_t ops = page_store_ops(ps);
    mutex_unlock(&ps->lock);
    bool done = page_ops_commit(ops, e);
    mutex_lock(&ps->lock);
    if (!done) {
        (void)page_runs_put_locked(ps, PAGE_SET_RETAINED, e);
        return NULL;
    }
    if (extent_size(e) > size && extent_hooks_are_default(ops.hooks)) {
        extent_t *rest = page_runs_cut_locked(ps, e, size);
        if (rest != NULL) {
            (void)page_runs_put_locked(ps, PAGE_SET_RETAINED, rest);
        }
    }
    return e;
}

void page_store_watch_peak(bool on)
{
    if (on && !atomic_get_relaxed(&page_store_peak.watched)) {
        atomic_put_relaxed(&page_store_peak.active, 0);
        atomic_put_relaxed(&page_store_peak.highest, 0);
    }
    atomic_put_relaxed(&page_store_peak.watched, on);
}

static void note_peak(size_t more, size_t less)
{
    intptr_t change = (intptr_t)(more - less);
    intptr_t now = atomic_add_relaxed(&page_store_peak.active, change) + change;
    if (now > atomic_get_relaxed(&page_store_peak.highest) && more > less) {
        atomic_put_relaxed(&page_store_peak.highest, now);
        atomic_put_relaxed(&page_store_peak.risen, true);
    }
}

static void note_active(page_store_t *ps, size_t more, size_t less)
{
    if (JE_UNLIKELY(atomic_get_relaxed(&page_store_peak.watched))) {
        note_peak(more, less);
    }
    atomic_bump(&ps->active_bytes, more - less);
    atomic_put_relaxed(
        &ps->active_pages, atomic_get_relaxed(&ps->active_bytes) >> LG_PAGE);
}

/*
 * Commits a BUSY extent. If it was taken longer than is asked it joins what
 * is left of the step before it, which what is asked is then cut from.
 */
JE_COLD static extent_t *commit_and_take(page_store_t *ps, extent_t *e,
    size_t size, size_t alignment) JE_REQUIRES(&ps->lock)
{
    bool longer = extent_size(e) > size && page_runs_are_default(ps);
    e = commit_taken(ps, e, extent_size(e));
    if (e == NULL || !longer) {
        return e;
    }
    (void)page_runs_put_locked(ps, PAGE_SET_RETAINED, e);
    return page_runs_take_locked(ps, size, alignment, 0);
}

/* A BUSY extent becomes the caller's: ACTIVE and committed, or NULL. */
static extent_t *hand_out(page_store_t *ps, extent_t *e, size_t size,
    size_t alignment) JE_REQUIRES(&ps->lock)
{
    while (e != NULL && JE_UNLIKELY(!extent_has(e, EXTENT_COMMITTED))) {
        e = commit_and_take(ps, e, size, alignment);
    }
    if (e != NULL) {
        note_active(ps, extent_size(e), 0);
        extent_set_state(e, EXTENT_ACTIVE);
    }
    return e;
}

/* From the sets. */
static extent_t *take(
    page_store_t *ps, size_t size, size_t alignment, size_t room)
{
    mutex_lock(&ps->lock);
    extent_t *e = page_runs_take_locked(ps, size, alignment, room);
    e = hand_out(ps, e, size, alignment);
    mutex_unlock(&ps->lock);
    return e;
}

/* From an extent that is no member of a set yet. */
static extent_t *take_fresh(page_store_t *ps, extent_t *fresh, size_t size,
    size_t alignment, size_t room)
{
    mutex_lock(&ps->lock);
    extent_t *e = fresh;
    if ((extent_size(fresh) != size && !ps->never_splits) ||
        (fresh->addr & (alignment - 1)) != 0) {
        (void)page_runs_put_locked(ps, PAGE_SET_RETAINED, fresh);
        e = page_runs_take_locked(ps, size, alignment, room);
    }
    e = hand_out(ps, e, size, alignment);
    mutex_unlock(&ps->lock);
    return e;
}

/*
 * Takes again, in case another thread grew the store meanwhile, then grows.
 * A step that the hooks do not let us cut stays whole, and of a range that
 * cannot be committed in parts nothing can be had; the second round then
 * maps just what is asked, which needs neither.
 */
static extent_t *grow_and_take(
    page_store_t *ps, size_t size, size_t alignment, size_t room)
{
    extent_t *e = NULL;
    mutex_lock(&ps->grow_lock);
    for (unsigned round = 0; round < 2 && e == NULL; round++) {
        e = take(ps, size, alignment, room);
        if (e != NULL) {
            break;
        }
        bool exactly = ps->never_splits || round != 0;
        extent_t *fresh = map_extent(
            ps, ps->never_splits ? size : size + room, alignment, exactly);
        if (fresh == NULL) {
            break;
        }
        e = take_fresh(ps, fresh, size, alignment, room);
    }
    mutex_unlock(&ps->grow_lock);
    return e;
}

/* ---- the public operations ---- */

static extent_t *alloc_with_room(
    page_store_t *ps, size_t size, size_t alignment, size_t room)
{
    assert(size != 0 && (size & PAGE_MASK) == 0 && alignment >= PAGE);
    extent_t *e = take(ps, size, alignment, room);
    if (JE_UNLIKELY(e == NULL)) {
        e = grow_and_take(ps, size, alignment, room);
    }
    return e;
}

/* How long somebody else's purging is waited for, a millisecond at a time. */
#define PURGE_WAITS 100

static bool is_purging(page_store_t *ps)
{
    mutex_lock(&ps->lock);
    bool is = ps->purging[PAGE_SET_DIRTY] || ps->purging[PAGE_SET_MUZZY];
    mutex_unlock(&ps->lock);
    return is;
}

/*
 * What a thread that purges holds is free, but not in a set: just what is
 * missing, perhaps. True if it may be there by now.
 */
static bool await_purge(page_store_t *ps)
{
    unsigned waits = 0;
    while (waits < PURGE_WAITS && !reentry_is_inside() && is_purging(ps)) {
        _Atomic uint32_t nothing = 0;
        os_wait_for(&nothing, 0, 1000000);
        waits++;
    }
    return waits != 0;
}

/*
 * Unmapping what is unused may make room for what is wanted; first of all for
 * descriptors, for growing may take all of it again.
 */
JE_COLD static extent_t *alloc_after_trim(
    page_store_t *ps, size_t size, size_t alignment)
{
    if (size > os_address_limit() ||
        (page_purge_trim(ps) == 0 && !await_purge(ps))) {
        return NULL;
    }
    mutex_lock(&ps->lock);
    bool described = extent_pool_reserve(&ps->pool, PAGE_RUNS_DESCRIPTORS);
    mutex_unlock(&ps->lock);
    return described ? alloc_with_room(ps, size, alignment, 0) : NULL;
}

extent_t *page_store_alloc(page_store_t *ps, size_t size, size_t alignment)
{
    extent_t *e = alloc_with_room(ps, size, alignment, 0);
    return JE_LIKELY(e != NULL) ? e : alloc_after_trim(ps, size, alignment);
}

extent_t *page_store_alloc_roomy(
    page_store_t *ps, size_t size, size_t alignment)
{
    extent_t *e =
        size * 2 > size ? alloc_with_room(ps, size, alignment, size) : NULL;
    return e != NULL ? e : page_store_alloc(ps, size, alignment);
}

/* Whether a free must be followed by purging at once. */
static bool purges_at_once(const page_store_t *ps)
{
    return ps->decay[PAGE_SET_DIRTY].time_ms == 0;
}

static void free_guards(page_store_t *ps, extent_t *e);

/* Takes an ACTIVE extent off the books: BUSY, its contents garbage. */
static void retire(page_store_t *ps, extent_t *e) JE_REQUIRES(&ps->lock)
{
    note_active(ps, 0, extent_size(e));
    uint64_t word =
        extent_word(e) & (EXTENT_COMMITTED | EXTENT_KEPT |
                             (EXTENT_ARENA_MASK << EXTENT_ARENA_SHIFT));
    extent_set_size(e, extent_size(e));
    atomic_put_relaxed(
        &e->word, word | ((uint64_t)EXTENT_BUSY << EXTENT_STATE_SHIFT));
}

/*
 * Too large to keep until its time has come: beyond a threshold that somebody
 * set, or beyond the usual one if there is much already.
 */
static bool is_oversize(page_store_t *ps, const extent_t *e)
    JE_REQUIRES(&ps->lock)
{
    size_t size = extent_size(e);
    size_t threshold = atomic_get_relaxed(&ps->oversize_bytes);
    if (ps->dirty_limit != SIZE_MAX) {
        return size > ps->dirty_limit;
    }
    return threshold != 0 && size >= threshold &&
           (threshold != CONF_OVERSIZE_THRESHOLD ||
               ps->sets[PAGE_SET_DIRTY].bytes + size > OVERSIZE_DIRTY_BYTES);
}

void page_store_free(page_store_t *ps, extent_t *e)
{
    if (JE_UNLIKELY(extent_has(e, EXTENT_GUARDED))) {
        free_guards(ps, e);
    }
    mutex_lock(&ps->lock);
    bool oversize = is_oversize(ps, e);
    retire(ps, e);
    if (!oversize) {
        (void)page_runs_put_locked(ps, PAGE_SET_DIRTY, e);
    }
    bool purge = purges_at_once(ps);
    bool full = ps->sets[PAGE_SET_DIRTY].bytes > ps->dirty_limit;
    mutex_unlock(&ps->lock);
    if (JE_UNLIKELY(oversize)) {
        page_purge_now(ps, e);
    } else if (purge || full) {
        page_purge_down_to(ps, PAGE_SET_DIRTY, purge ? 0 : ps->dirty_limit);
    } else {
        waker_ring(&page_purge_waker);
    }
}

void page_store_free_clean(page_store_t *ps, extent_t *e)
{
    if (JE_UNLIKELY(extent_has(e, EXTENT_GUARDED))) {
        free_guards(ps, e);
    }
    mutex_lock(&ps->lock);
    retire(ps, e);
    mutex_unlock(&ps->lock);
    page_purge_now(ps, e);
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
    ps->guard_bytes += 2 * guard;
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
    size_t guards = extent_size(left) + extent_size(right);
    ps->guard_bytes -= guards;
    if (permitted) {
        note_active(ps, guards, 0);
        e->addr = left->addr;
        extent_set_size(e, extent_size(e) + guards);
        extent_map_set_ends(e);
        extent_pool_give(&ps->pool, left);
        extent_pool_give(&ps->pool, right);
    } else {
        /* Pages that stay forbidden cannot be reused: give them up. */
        ps->abandoned_bytes += guards;
    }
    mutex_unlock(&ps->lock);
}

/* ---- in place ---- */

/*
 * The set that a free extent right at `addr` is in, which `e` may be joined
 * with; PAGE_SET_COUNT if none.
 */
static page_set_t set_of(page_store_t *ps, const extent_t *e, uintptr_t addr)
    JE_REQUIRES(&ps->lock)
{
    extent_t *next = extent_map_lookup(addr);
    /* With the built-in hooks what is not committed can be. */
    bool any = page_runs_are_default(ps);
    bool kept = extent_has(e, EXTENT_KEPT);
    page_set_t which = kept ? PAGE_SET_PINNED : 0;
    page_set_t last = kept ? PAGE_SET_COUNT : PAGE_SET_PINNED;
    while (which < last &&
           !(any ? page_runs_is_member(ps, &ps->sets[which], next)
                 : page_runs_is_neighbour(ps, &ps->sets[which], e, next))) {
        which++;
    }
    return which == last || next->addr != addr ? PAGE_SET_COUNT : which;
}

/* Bytes of free extents that follow `end` without a gap, up to `want`. */
static size_t free_bytes_behind(page_store_t *ps, const extent_t *e,
    uintptr_t end, size_t want) JE_REQUIRES(&ps->lock)
{
    size_t found = 0;
    while (found < want && set_of(ps, e, end + found) != PAGE_SET_COUNT) {
        found += extent_size(extent_map_lookup(end + found));
    }
    return found;
}

/*
 * Takes the first `want` bytes, or all if it has less, of the free extent at
 * `addr` out of its set, committed; NULL if that cannot be.
 */
static extent_t *take_neighbour(page_store_t *ps, const extent_t *e,
    uintptr_t addr, size_t want) JE_REQUIRES(&ps->lock)
{
    page_set_t which = set_of(ps, e, addr);
    if (which == PAGE_SET_COUNT) {
        return NULL;
    }
    extent_t *next = extent_map_lookup(addr);
    extent_set_remove(&ps->sets[which], next);
    extent_set_state(next, EXTENT_BUSY);
    if (JE_UNLIKELY(!extent_has(next, EXTENT_COMMITTED)) &&
        page_runs_are_default(ps)) {
        size_t step = page_runs_commit_step(next, want, PAGE);
        if (step < extent_size(next)) {
            next = page_runs_trim_locked(ps, which, next, step, PAGE);
        }
        return next == NULL ? NULL : commit_taken(ps, next, want);
    }
    return extent_size(next) <= want
               ? next
               : page_runs_trim_locked(ps, which, next, want, PAGE);
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
        /* The lock may have been dropped around a call: look again. */
        extent_t *next =
            take_neighbour(ps, e, extent_end(e), new_size - extent_size(e));
        if (next == NULL) {
            possible = false;
            break;
        }
        bool next_zeroed = extent_has(next, EXTENT_ZEROED);
        if (!page_runs_join_locked(ps, e, next)) {
            (void)page_runs_put_locked(ps, PAGE_SET_DIRTY, next);
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
        extent_has(from, EXTENT_GUARDED | EXTENT_KEPT) ||
        extent_has(to, EXTENT_KEPT) ||
        !os_move_pages(extent_ptr(from), extent_ptr(to), size)) {
        return false;
    }
    mutex_lock(&ps->lock);
    note_active(ps, 0, size);
    extent_set_state(from, EXTENT_BUSY);
    extent_set_flag(from, EXTENT_ZEROED, true);
    page_purge_retain_locked(ps, from);
    mutex_unlock(&ps->lock);
    return true;
}

/* ---- the end ---- */

/*
 * False if the built-in table had to leave the extent to other stores. It
 * leaves alone what it did not make and what nobody else may have.
 */
static bool destroy_extent(page_ops_t ops, extent_t *e)
{
    bool committed = extent_has(e, EXTENT_COMMITTED);
    if (!extent_hooks_are_default(ops.hooks)) {
        extent_hooks_destroy(
            ops.hooks, extent_ptr(e), extent_size(e), committed, ops.arena_ind);
        return true;
    }
    if (extent_has(e, EXTENT_KEPT) ||
        extent_hooks_dalloc(ops.hooks, extent_ptr(e), extent_size(e), committed,
            ops.arena_ind)) {
        return true;
    }
    leave_orphan(ops, e);
    return false;
}

/*
 * What the store has left to destroy of a set, or NULL. The hooks of programs
 * hear of whole pages of the system; the parts that differ from what they share
 * a page with are given up.
 */
static extent_t *take_last(page_store_t *ps, page_set_t which)
    JE_REQUIRES(&ps->lock)
{
    extent_set_t *set = &ps->sets[which];
    while (set->count > 0) {
        if (page_runs_are_default(ps)) {
            return page_runs_take_oldest_locked(ps, which);
        }
        extent_t *e = page_runs_take_paged_locked(ps, which);
        if (e == NULL) {
            e = page_runs_take_oldest_locked(ps, which);
        }
        if (os_is_paged(extent_ptr(e), extent_size(e))) {
            return e;
        }
        ps->abandoned_bytes += extent_size(e);
        extent_pool_give(&ps->pool, e);
    }
    return NULL;
}

void page_store_destroy(page_store_t *ps)
{
    page_ops_t ops = page_store_ops(ps);
    page_purge_all(ps);
    mutex_lock(&ps->lock);
    extent_t *e;
    while ((e = take_last(ps, PAGE_SET_PINNED)) != NULL ||
           (e = take_last(ps, PAGE_SET_RETAINED)) != NULL) {
        mutex_unlock(&ps->lock);
        bool kept = !destroy_extent(ops, e);
        mutex_lock(&ps->lock);
        if (!kept) {
            extent_pool_give(&ps->pool, e);
        }
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
