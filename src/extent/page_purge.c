/*
 * What: see page_purge.h.
 *
 * Invariants: as there and in page_runs.h.
 *
 * Locking: as there.
 */
#include "extent/page_purge.h"

#include "conf/conf.h"
#include "os/os.h"

/* Extents purged between two acquisitions of the lock. */
#define PURGE_BATCH 32

/*
 * What is retained is decommitted, not only purged, if it is at least so
 * large, and at least that share of what the store has mapped. Decommitted
 * ranges are left out of core dumps and do not count against a limit of
 * memory, but each costs the process up to two mappings more: the share
 * bounds their number, whatever a program does. Where memory counts when it
 * is mapped it is worth more of them.
 */
#define DECOMMIT_MIN_BYTES        ((size_t)2 << 20)
#define DECOMMIT_SHARE            32
#define DECOMMIT_MIN_BYTES_STRICT ((size_t)64 << 10)
#define DECOMMIT_SHARE_STRICT     1024

waker_t page_purge_waker;

static void publish_due(page_store_t *ps, page_set_t set)
{
    atomic_put_relaxed(&ps->due_ns[set], decay_due_ns(&ps->decay[set]));
}

void page_purge_start_decay(
    page_store_t *ps, page_set_t set, ssize_t ms, uint64_t now_ns)
{
    decay_init(&ps->decay[set], ms, now_ns);
    publish_due(ps, set);
}

/* Whether the range beside the extent is retained and decommitted already. */
static bool is_parted(page_store_t *ps, const extent_t *other)
    JE_REQUIRES(&ps->lock)
{
    return page_runs_is_member(ps, &ps->sets[PAGE_SET_RETAINED], other) &&
           !extent_has(other, EXTENT_COMMITTED);
}

static bool is_beside_parted(page_store_t *ps, const extent_t *e)
    JE_REQUIRES(&ps->lock)
{
    const extent_t *next = extent_map_lookup(extent_end(e));
    const extent_t *previous = extent_map_lookup(e->addr - PAGE);
    return (is_parted(ps, next) && next->addr == extent_end(e)) ||
           (is_parted(ps, previous) && extent_end(previous) == e->addr);
}

static size_t mapped_bytes(page_store_t *ps) JE_REQUIRES(&ps->lock)
{
    size_t bytes = atomic_get_relaxed(&ps->active_bytes);
    for (page_set_t which = 0; which < PAGE_SET_COUNT; which++) {
        bytes += ps->sets[which].bytes;
    }
    return bytes;
}

/*
 * Marks a committed extent that is about to be retained if it shall be
 * decommitted: when it is large, or when it costs no mapping, as what is
 * beside it is decommitted.
 */
static void plan_parting(page_store_t *ps, extent_t *e) JE_REQUIRES(&ps->lock)
{
    size_t size = extent_size(e);
    size_t least =
        os_overcommits ? DECOMMIT_MIN_BYTES : DECOMMIT_MIN_BYTES_STRICT;
    size_t share = os_overcommits ? DECOMMIT_SHARE : DECOMMIT_SHARE_STRICT;
    bool large = size >= least && size >= mapped_bytes(ps) / share;
    if (opt.retain && page_runs_are_default(ps) &&
        extent_has(e, EXTENT_COMMITTED) && (large || is_beside_parted(ps, e))) {
        extent_set_flag(e, EXTENT_PARTING, true);
    }
}

/* Pages whose entries in the map nobody needs any more. */
typedef struct {
    uintptr_t low;
    uintptr_t high;
} forgettable_t;

/*
 * Since a range became part of the decommitted extent e: what lies inside of
 * it, in units of what can be forgotten. Nothing if not even one is whole.
 */
static forgettable_t find_forgettable(
    const extent_t *e, uintptr_t addr, size_t size)
{
    uintptr_t span = extent_map_span();
    uintptr_t first = e->addr + PAGE;
    uintptr_t last = extent_end(e) - PAGE;
    uintptr_t low = addr & ~(span - 1);
    uintptr_t high = (addr + size + span - 1) & ~(span - 1);
    low = low < first ? (first + span - 1) & ~(span - 1) : low;
    high = high > last || high < addr ? last & ~(span - 1) : high;
    bool none = extent_has(e, EXTENT_COMMITTED) || low >= high;
    return none ? (forgettable_t){0, 0} : (forgettable_t){low, high};
}

JE_NO_LOCK_ANALYSIS void page_purge_retain_locked(page_store_t *ps, extent_t *e)
{
    uintptr_t addr = e->addr;
    size_t size = extent_size(e);
    e = page_runs_put_locked(ps, PAGE_SET_RETAINED, e);
    plan_parting(ps, e);
    bool parting = extent_has(e, EXTENT_PARTING);
    forgettable_t inside = find_forgettable(e, addr, size);
    if (JE_LIKELY(!parting && inside.high == 0)) {
        return;
    }
    extent_set_remove(&ps->sets[PAGE_SET_RETAINED], e);
    extent_set_state(e, EXTENT_BUSY);
    mutex_unlock(&ps->lock);
    if (parting && page_ops_part(e)) {
        inside = find_forgettable(e, e->addr, extent_size(e));
    }
    extent_map_forget(inside.low, inside.high);
    mutex_lock(&ps->lock);
    (void)page_runs_put_locked(ps, PAGE_SET_RETAINED, e);
}

/* Takes the oldest extents out, as many as exceed `limit`. Lock held. */
static void collect(page_store_t *ps, page_set_t which, size_t limit,
    list_node_t *batch) JE_REQUIRES(&ps->lock)
{
    extent_set_t *set = &ps->sets[which];
    for (unsigned i = 0; i < PURGE_BATCH && set->bytes > limit; i++) {
        extent_t *e = extent_set_oldest(set);
        extent_set_remove(set, e);
        extent_set_state(e, EXTENT_BUSY);
        plan_parting(ps, e);
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
        extent_set_flag(e, EXTENT_PARTING, false);
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
        } else if (target == PAGE_SET_RETAINED) {
            page_purge_retain_locked(ps, e);
        } else {
            (void)page_runs_put_locked(ps, target, e);
        }
        mutex_unlock(&ps->lock);
    }
}

void page_purge_down_to(page_store_t *ps, page_set_t which, size_t limit)
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

void page_purge_now(page_store_t *ps, extent_t *e)
{
    list_node_t batch;
    list_init(&batch);
    bool kept = extent_has(e, EXTENT_KEPT);
    mutex_lock(&ps->lock);
    if (kept) {
        (void)page_runs_put_locked(ps, PAGE_SET_PINNED, e);
    } else {
        plan_parting(ps, e);
    }
    mutex_unlock(&ps->lock);
    if (kept) {
        return;
    }
    list_insert(&batch, &e->list);
    purge_batch(ps, PAGE_SET_DIRTY, &batch, false);
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
    page_purge_down_to(ps, which, limit);
    mutex_lock(&ps->lock);
    ps->purging[which] = false;
    mutex_unlock(&ps->lock);
}

void page_purge_decay(page_store_t *ps, uint64_t now_ns)
{
    decay_set(ps, PAGE_SET_DIRTY, now_ns);
    decay_set(ps, PAGE_SET_MUZZY, now_ns);
}

void page_purge_all(page_store_t *ps)
{
    page_purge_down_to(ps, PAGE_SET_DIRTY, 0);
    page_purge_down_to(ps, PAGE_SET_MUZZY, 0);
}

/* Unmaps one BUSY extent; true if it is gone. */
static bool unmap_one(page_ops_t ops, extent_t *e)
{
    return extent_hooks_dalloc(ops.hooks, extent_ptr(e), extent_size(e),
        extent_has(e, EXTENT_COMMITTED), ops.arena_ind);
}

/*
 * Unmaps the members of a set; those that the system keeps go back. Each
 * member is tried once: others may come meanwhile.
 */
static size_t trim_set(page_store_t *ps, page_set_t which)
{
    page_ops_t ops = page_store_ops(ps);
    extent_set_t *set = &ps->sets[which];
    size_t gone_bytes = 0;
    mutex_lock(&ps->lock);
    for (size_t left = set->count; left > 0 && set->count > 0; left--) {
        extent_t *e = page_runs_take_paged_locked(ps, which);
        if (e == NULL) {
            continue;
        }
        mutex_unlock(&ps->lock);
        bool gone = unmap_one(ops, e);
        mutex_lock(&ps->lock);
        if (gone) {
            gone_bytes += extent_size(e);
            extent_pool_give(&ps->pool, e);
        } else {
            (void)page_runs_put_locked(ps, which, e);
        }
    }
    mutex_unlock(&ps->lock);
    return gone_bytes;
}

size_t page_purge_trim(page_store_t *ps)
{
    size_t gone_bytes = 0;
    if (os_page_size() != PAGE) {
        /* What shares a page of the system is to be of one set. */
        page_purge_all(ps);
    }
    for (page_set_t which = 0; which < PAGE_SET_PINNED; which++) {
        gone_bytes += trim_set(ps, which);
    }
    return gone_bytes;
}

void page_purge_set_decay(
    page_store_t *ps, page_set_t set, ssize_t ms, uint64_t now_ns)
{
    mutex_lock(&ps->lock);
    page_purge_start_decay(ps, set, ms, now_ns);
    mutex_unlock(&ps->lock);
    if (ms == 0) {
        page_purge_down_to(ps, set, 0);
    }
}
