/*
 * What: see page_ops.h.
 *
 * Invariants: as there.
 *
 * Locking: as there.
 */
#include "extent/page_ops.h"

#include "os/os.h"

/* Flags that both parts of a cut extent keep. */
#define INHERITED (EXTENT_ZEROED | EXTENT_COMMITTED | EXTENT_KEPT)

void page_ops_cut(extent_t *e, extent_t *rest, size_t size)
{
    uint64_t word = extent_word(e);
    extent_init(rest, extent_word_arena(word), (char *)extent_ptr(e) + size,
        extent_size(e) - size, extent_word_state(word), word & INHERITED);
    extent_set_size(e, size);
    extent_map_set_ends(e);
    extent_map_set_ends(rest);
}

void page_ops_join(extent_t *a, const extent_t *b)
{
    assert(extent_end(a) == b->addr);
    extent_set_size(a, extent_size(a) + extent_size(b));
    if (!extent_has(b, EXTENT_ZEROED)) {
        extent_set_flag(a, EXTENT_ZEROED, false);
    }
    extent_map_set_ends(a);
}

bool page_ops_may_split(page_ops_t ops, const extent_t *e, size_t size)
{
    return extent_hooks_are_default(ops.hooks) ||
           extent_hooks_split(ops.hooks, extent_ptr(e), extent_size(e), size,
               extent_size(e) - size, extent_has(e, EXTENT_COMMITTED),
               ops.arena_ind);
}

bool page_ops_may_merge(page_ops_t ops, const extent_t *a, const extent_t *b)
{
    if (extent_hooks_are_default(ops.hooks)) {
        return os_is_sbrk(extent_ptr(a)) == os_is_sbrk(extent_ptr(b));
    }
    return extent_hooks_merge(ops.hooks, extent_ptr(a), extent_size(a),
        extent_ptr(b), extent_size(b), extent_has(a, EXTENT_COMMITTED),
        ops.arena_ind);
}

bool page_ops_commit(page_ops_t ops, extent_t *e)
{
    if (extent_has(e, EXTENT_COMMITTED)) {
        return true;
    }
    void *addr = extent_ptr(e);
    size_t size = extent_size(e);
    bool done = extent_hooks_are_default(ops.hooks)
                    ? extent_hooks_default_commit(addr, size)
                    : extent_hooks_commit(
                          ops.hooks, addr, size, 0, size, ops.arena_ind);
    if (!done) {
        return false;
    }
    extent_set_flag(e, EXTENT_COMMITTED | EXTENT_ZEROED, true);
    return true;
}

bool page_ops_purge_lazy(page_ops_t ops, extent_t *e)
{
    extent_set_flag(e, EXTENT_ZEROED, false);
    return extent_hooks_purge_lazy(ops.hooks, extent_ptr(e), extent_size(e), 0,
        extent_size(e), ops.arena_ind);
}

bool page_ops_part(extent_t *e)
{
    extent_set_flag(e, EXTENT_PARTING, false);
    if (!extent_hooks_default_decommit(extent_ptr(e), extent_size(e))) {
        return false;
    }
    extent_set_flag(e, EXTENT_COMMITTED | EXTENT_ZEROED, false);
    return true;
}

static bool decommit(page_ops_t ops, extent_t *e)
{
    size_t size = extent_size(e);
    if (extent_hooks_are_default(ops.hooks)) {
        return extent_has(e, EXTENT_PARTING) && page_ops_part(e);
    }
    if (!extent_hooks_decommit(
            ops.hooks, extent_ptr(e), size, 0, size, ops.arena_ind)) {
        return false;
    }
    extent_set_flag(e, EXTENT_COMMITTED | EXTENT_ZEROED, false);
    return true;
}

page_ops_fate_t page_ops_release(page_ops_t ops, extent_t *e)
{
    void *addr = extent_ptr(e);
    size_t size = extent_size(e);
    bool committed = extent_has(e, EXTENT_COMMITTED);
    bool may_unmap = !extent_hooks_are_default(ops.hooks) || !opt.retain;
    if (may_unmap &&
        extent_hooks_dalloc(ops.hooks, addr, size, committed, ops.arena_ind)) {
        return PAGE_OPS_GONE;
    }
    if (!committed || decommit(ops, e)) {
        return PAGE_OPS_KEPT;
    }
    if (extent_hooks_purge_forced(
            ops.hooks, addr, size, 0, size, ops.arena_ind)) {
        extent_set_flag(e, EXTENT_ZEROED, true);
    } else {
        extent_set_flag(e, EXTENT_ZEROED, false);
        (void)extent_hooks_purge_lazy(
            ops.hooks, addr, size, 0, size, ops.arena_ind);
    }
    return PAGE_OPS_KEPT;
}
