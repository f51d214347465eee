/*
 * What: see base.h.
 *
 * Invariants: as there.
 *
 * Locking: as there.
 */
#include "extent/base.h"

#include <string.h>

#include "conf/limits.h"
#include "os/os.h"
#include "util/bits.h"

/*
 * Bytes of a block from the built-in table: address space only, pages are
 * touched as they are used. Blocks from custom hooks are whole huge pages,
 * as the interface promises.
 */
#define BASE_BLOCK_BYTES ((size_t)1 << 20)

/* opt.metadata_thp:auto begins when a base needs this many blocks. */
#define BASE_THP_AUTO_BLOCKS 2

base_t base_shared;

void base_init(base_t *base, extent_hooks_t *hooks, unsigned arena_ind)
{
    memset(base, 0, sizeof(*base));
    mutex_init(&base->lock, LOCK_RANK_BASE);
    base->hooks = hooks;
    base->arena_ind = arena_ind;
}

static bool wants_huge(const base_t *base)
{
    return opt.metadata_thp == CONF_METADATA_THP_ALWAYS ||
           (opt.metadata_thp == CONF_METADATA_THP_AUTO &&
               base->block_count >= BASE_THP_AUTO_BLOCKS);
}

static void advise(const base_t *base, void *addr, size_t size)
{
    if (wants_huge(base)) {
        (void)os_advise_huge(addr, size, true);
    }
}

static bool grow(base_t *base, size_t size)
{
    bool custom = !extent_hooks_are_default(base->hooks);
    size_t unit = custom || wants_huge(base) ? HUGEPAGE : BASE_BLOCK_BYTES;
    size_t want = bits_round_up(size + sizeof(base_block_t), unit);
    if (want < size) {
        return false;
    }
    bool zero = true;
    bool commit = true;
    size_t alignment = unit == HUGEPAGE ? HUGEPAGE : os_page_size();
    base_block_t *block = extent_hooks_alloc(
        base->hooks, NULL, want, alignment, &zero, &commit, base->arena_ind);
    if (block == NULL && !custom && want == BASE_BLOCK_BYTES) {
        /* A tight address space: be content with what is needed. */
        want = bits_round_up(size + sizeof(base_block_t), os_page_size());
        block = extent_hooks_alloc(base->hooks, NULL, want, os_page_size(),
            &zero, &commit, base->arena_ind);
    }
    if (block == NULL) {
        return false;
    }
    advise(base, block, want);
    block->next = base->blocks;
    block->size = want;
    base->blocks = block;
    base->block_count++;
    base->next = (char *)block + sizeof(*block);
    base->end = (char *)block + want;
    base->mapped_bytes += want;
    base->resident_bytes += PAGE;
    return true;
}

void *base_alloc(base_t *base, size_t size, size_t alignment)
{
    if (alignment < QUANTUM) {
        alignment = QUANTUM;
    }
    size = bits_round_up(size, QUANTUM);
    mutex_lock(&base->lock);
    char *p = (char *)bits_round_up((uintptr_t)base->next, alignment);
    if (base->next == NULL || p + size > base->end || p + size < p) {
        if (!grow(base, size + alignment)) {
            mutex_unlock(&base->lock);
            return NULL;
        }
        p = (char *)bits_round_up((uintptr_t)base->next, alignment);
    }
    base->resident_bytes += bits_round_up((uintptr_t)(p + size), PAGE) -
                            bits_round_up((uintptr_t)base->next, PAGE);
    base->next = p + size;
    base->allocated_bytes += size;
    mutex_unlock(&base->lock);
    return p;
}

void base_destroy(base_t *base)
{
    base_block_t *block = base->blocks;
    extent_hooks_t *hooks = base->hooks;
    unsigned arena_ind = base->arena_ind;
    while (block != NULL) {
        /* The base itself may live in its last block: copy, then release. */
        base_block_t *next = block->next;
        size_t size = block->size;
        if (!extent_hooks_dalloc(hooks, block, size, true, arena_ind) &&
            !extent_hooks_decommit(hooks, block, size, 0, size, arena_ind) &&
            !extent_hooks_purge_forced(
                hooks, block, size, 0, size, arena_ind)) {
            (void)extent_hooks_purge_lazy(
                hooks, block, size, 0, size, arena_ind);
        }
        block = next;
    }
}
