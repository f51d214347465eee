/*
 * What: see ctl_block.h.
 *
 * Invariants: as there.
 *
 * Locking: as there.
 */
#include "ctl/ctl_block.h"

#include <errno.h>
#include <string.h>

#include "arena/arena_table.h"
#include "arena/block.h"
#include "arena/ledger.h"
#include "stats/snapshot.h"
#include "util/fail.h"

/* ---- where a block lies ---- */

int ctl_arenas_lookup(const ctl_call_t *call)
{
    const void *ptr;
    int error = ctl_need(call, &ptr, sizeof(ptr));
    if (error != 0) {
        return error;
    }
    const extent_t *e = extent_map_find(ledger_region(ptr));
    if (e == NULL) {
        return EINVAL;
    }
    unsigned ind = extent_arena(e);
    return ctl_give(call, &ind, sizeof(ind));
}

/* ---- how full is what a block lies in ---- */

static_assert(sizeof(void *) != 8 || sizeof(ctl_utilization_t) == 48,
    "the documented layout");

static bool is_in_bin(const extent_t *slab, uint64_t word)
{
    return (extent_word(slab) & EXTENT_BIN_MASK) == (word & EXTENT_BIN_MASK);
}

/* The slab that the next region will come from. */
static void *next_slab(const bin_t *bin)
{
    const extent_t *slab = bin->current;
    if (slab == NULL || slab_free_count(slab) == 0) {
        slab = extent_of_heap(heap_first(&bin->nonfull));
    }
    return slab == NULL ? NULL : extent_ptr(slab);
}

/* snapshot_lock is held. A slab that ended meanwhile leaves zeros. */
static void examine_slab(const extent_t *slab, ctl_utilization_t *out)
{
    uint64_t word = extent_word(slab);
    unsigned class_byte = extent_word_class(word);
    arena_t *arena = arena_table_lookup(extent_word_arena(word));
    if (arena == NULL) {
        return;
    }
    const sizeclass_slab_t *shape = slab_shape(class_byte);
    bin_t *bin = arena_bin(arena, class_byte, extent_word_shard(word));
    mutex_lock(&bin->lock);
    if (is_in_bin(slab, word)) {
        out->slabcur_addr = next_slab(bin);
        out->nfree = slab_free_count(slab);
        out->nregs = shape->regions;
        out->size = shape->slab_bytes;
        out->bin_nregs = bin->stats.curslabs * shape->regions;
        out->bin_nfree = out->bin_nregs - bin->stats.curregs;
    }
    mutex_unlock(&bin->lock);
}

static void examine(const void *ptr, ctl_utilization_t *out)
{
    *out = (ctl_utilization_t){0};
    const extent_t *e = extent_map_find(ledger_region(ptr));
    if (e == NULL) {
        return;
    }
    if (extent_has(e, EXTENT_SLAB)) {
        examine_slab(e, out);
    } else {
        out->nregs = 1;
        out->size = extent_size(e);
    }
}

int ctl_utilization_query(const ctl_call_t *call)
{
    const void *ptr;
    ctl_utilization_t found;
    if (call->oldp == NULL || call->oldlenp == NULL ||
        *call->oldlenp != sizeof(found) ||
        ctl_need(call, &ptr, sizeof(ptr)) != 0) {
        return EINVAL;
    }
    snapshot_lock();
    examine(ptr, &found);
    snapshot_unlock();
    return ctl_give(call, &found, sizeof(found));
}

int ctl_utilization_batch_query(const ctl_call_t *call)
{
    ctl_utilization_row_t row;
    size_t n = call->newlen / sizeof(void *);
    if (call->oldp == NULL || call->oldlenp == NULL || call->newp == NULL ||
        n == 0 || call->newlen % sizeof(void *) != 0 ||
        *call->oldlenp != n * sizeof(row)) {
        return EINVAL;
    }
    snapshot_lock();
    for (size_t i = 0; i < n; i++) {
        const void *ptr;
        ctl_utilization_t found;
        memcpy(&ptr, (const char *)call->newp + i * sizeof(ptr), sizeof(ptr));
        examine(ptr, &found);
        row = (ctl_utilization_row_t){found.nfree, found.nregs, found.size};
        memcpy((char *)call->oldp + i * sizeof(row), &row, sizeof(row));
    }
    snapshot_unlock();
    return 0;
}

/* ---- allocation in batches, and the safety hook ---- */

typedef struct {
    void **ptrs;
    size_t num;
    size_t size;
    int flags;
} batch_t;

static struct {
    ctl_mallocx_t _Atomic mallocx;
} batch_state;

void ctl_set_mallocx(ctl_mallocx_t mallocx)
{
    atomic_put_relaxed(&batch_state.mallocx, mallocx);
}

int ctl_batch_alloc(const ctl_call_t *call)
{
    batch_t batch;
    size_t filled = 0;
    int error = ctl_want_output(call, sizeof(filled));
    if (error != 0) {
        return error;
    }
    if (ctl_need(call, &batch, sizeof(batch)) != 0) {
        *call->oldlenp = 0;
        return EINVAL;
    }
    ctl_mallocx_t mallocx = atomic_get_relaxed(&batch_state.mallocx);
    while (filled < batch.num) {
        void *ptr = mallocx(batch.size, batch.flags);
        if (ptr == NULL) {
            break;
        }
        batch.ptrs[filled++] = ptr;
    }
    return ctl_give(call, &filled, sizeof(filled));
}

int ctl_safety_check_abort(const ctl_call_t *call)
{
    fail_abort_t action;
    int error = ctl_need(call, &action, sizeof(action));
    if (error == 0) {
        fail_set_safety_abort(action);
    }
    return error;
}
