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

/* A block of `want` bytes from the hooks, zeroed; NULL if there is none. */
static base_block_t *map_block(
    const base_t *base, size_t want, size_t alignment)
{
    bool zero = true;
    bool commit = true;
    uintptr_t block = (uintptr_t)extent_hooks_alloc(
        base->hooks, NULL, want, alignment, &zero, &commit, base->arena_ind);
    /* The low byte of the answer is room for flags of the hook. */
    return (base_block_t *)bits_round_down(block, EXTENT_ALLOC_FLAG_MASK + 1);
}

/* What an ended base left, with room for `need` bytes; mostly NULL. */
static base_block_t *take_spare(size_t need)
{
    mutex_lock(&base_shared.lock);
    base_block_t **link = &base_shared.spare;
    while (*link != NULL && (*link)->size < need) {
        link = &(*link)->next;
    }
    base_block_t *block = *link;
    if (block != NULL) {
        *link = block->next;
        base_shared.mapped_bytes -= block->size;
    }
    mutex_unlock(&base_shared.lock);
    return block;
}

/* Memory of the program break, or what the kernel did not want back. */
static void keep_spare(base_block_t *block, size_t size, unsigned arena_ind)
{
    if (!extent_hooks_purge_forced(
            &extent_hooks_default, block, size, 0, size, arena_ind)) {
        memset(block, 0, size);
    }
    mutex_lock(&base_shared.lock);
    block->size = size;
    block->next = base_shared.spare;
    base_shared.spare = block;
    base_shared.mapped_bytes += size;
    mutex_unlock(&base_shared.lock);
}

/* A block with room for `size` bytes; no lock held, as hooks may allocate. */
static base_block_t *new_block(const base_t *base, size_t size, bool huge)
{
    bool custom = !extent_hooks_are_default(base->hooks);
    base_block_t *spare =
        custom ? NULL : take_spare(size + sizeof(base_block_t));
    if (spare != NULL) {
        return spare;
    }
    size_t unit = custom || huge ? HUGEPAGE : BASE_BLOCK_BYTES;
    size_t need = size + sizeof(base_block_t);
    size_t want = bits_round_up(need, unit);
    if (want < size) {
        return NULL;
    }
    base_block_t *block =
        map_block(base, want, unit == HUGEPAGE ? HUGEPAGE : os_page_size());
    if (block == NULL && !custom) {
        /* A tight address space: be content with what is needed. */
        want = bits_round_up(need, os_page_size());
        block = map_block(base, want, os_page_size());
    }
    if (block != NULL) {
        block->size = want;
        if (huge) {
            (void)os_advise_huge(block, want, true);
        }
    }
    return block;
}

/* Makes a block the one to allocate from; the rest of the last is lost. */
static void install(base_t *base, base_block_t *block) JE_REQUIRES(&base->lock)
{
    block->next = base->blocks;
    base->blocks = block;
    base->block_count++;
    base->next = (char *)block + sizeof(*block);
    base->end = (char *)block + block->size;
    base->mapped_bytes += block->size;
    base->resident_bytes += PAGE;
}

/* The next `size` bytes of the newest block; NULL if it has too little. */
static void *bump(base_t *base, size_t size, size_t alignment)
    JE_REQUIRES(&base->lock)
{
    uintptr_t addr = bits_round_up((uintptr_t)base->next, alignment);
    uintptr_t end = (uintptr_t)base->end;
    if (base->next == NULL || addr > end || size > end - addr) {
        return NULL;
    }
    char *p = (char *)addr; /* NOLINT(performance-no-int-to-ptr) */
    base->resident_bytes += bits_round_up((uintptr_t)(p + size), PAGE) -
                            bits_round_up((uintptr_t)base->next, PAGE);
    base->next = p + size;
    base->allocated_bytes += size;
    return p;
}

void *base_alloc(base_t *base, size_t size, size_t alignment)
{
    if (alignment < QUANTUM) {
        alignment = QUANTUM;
    }
    size = bits_round_up(size, QUANTUM);
    mutex_lock(&base->lock);
    void *p = bump(base, size, alignment);
    bool huge = wants_huge(base);
    mutex_unlock(&base->lock);
    if (JE_LIKELY(p != NULL)) {
        return p;
    }
    base_block_t *block = new_block(base, size + alignment, huge);
    if (block == NULL) {
        return NULL;
    }
    mutex_lock(&base->lock);
    install(base, block);
    p = bump(base, size, alignment);
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
        bool gone = extent_hooks_dalloc(hooks, block, size, true, arena_ind);
        if (!gone && extent_hooks_are_default(hooks)) {
            keep_spare(block, size, arena_ind);
        } else if (!gone &&
                   !extent_hooks_decommit(
                       hooks, block, size, 0, size, arena_ind) &&
                   !extent_hooks_purge_forced(
                       hooks, block, size, 0, size, arena_ind)) {
            (void)extent_hooks_purge_lazy(
                hooks, block, size, 0, size, arena_ind);
        }
        block = next;
    }
}
