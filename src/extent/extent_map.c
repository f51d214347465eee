/*
 * What: see extent_map.h.
 *
 * Invariants: as there.
 *
 * Locking: map_state.lock guards the creation of leaves.
 */
#include "extent/extent_map.h"

#include "os/mutex.h"
#include "os/os.h"

#define LEAF_BYTES (MAP_LEAF_PAGES * (1 + sizeof(extent_t *)))

_Atomic uintptr_t extent_map_root[MAP_ROOT_COUNT];

static struct {
    mutex_t lock;
} map_state;

void extent_map_boot(void)
{
    mutex_init(&map_state.lock, LOCK_RANK_EXTENT_MAP);
}

static bool create_leaf(uintptr_t index)
{
    bool done = true;
    mutex_lock(&map_state.lock);
    if (atomic_get_relaxed(&extent_map_root[index]) == 0) {
        void *leaf =
            os_map(bits_round_up(LEAF_BYTES, os_page_size()), os_page_size());
        if (leaf == NULL) {
            done = false;
        } else {
            uintptr_t bias = index << (MAP_LG_LEAF - LG_PAGE);
            atomic_put_release(&extent_map_root[index], (uintptr_t)leaf - bias);
        }
    }
    mutex_unlock(&map_state.lock);
    return done;
}

bool extent_map_ensure(uintptr_t addr, size_t size)
{
    uintptr_t last = (addr + (size - 1)) >> MAP_LG_LEAF;
    for (uintptr_t i = addr >> MAP_LG_LEAF; i <= last; i++) {
        if (i >= MAP_ROOT_COUNT) {
            return false;
        }
        if (atomic_get_acquire(&extent_map_root[i]) == 0 && !create_leaf(i)) {
            return false;
        }
    }
    return true;
}

extent_t *extent_map_find(const void *ptr)
{
    extent_t *e = extent_map_lookup((uintptr_t)ptr);
    if (e == NULL || extent_state(e) != EXTENT_ACTIVE ||
        (uintptr_t)ptr < e->addr || (uintptr_t)ptr >= extent_end(e)) {
        return NULL;
    }
    return e;
}

void extent_map_set_ends(extent_t *e)
{
    atomic_put_relaxed(extent_map_cell(e->addr), e);
    if (extent_size(e) > PAGE) {
        atomic_put_relaxed(extent_map_cell(extent_end(e) - PAGE), e);
    }
}

void extent_map_set_class(uintptr_t addr, unsigned class_byte)
{
    uintptr_t biased =
        atomic_get_relaxed(&extent_map_root[addr >> MAP_LG_LEAF]);
    _Atomic uint8_t *byte =
        (_Atomic uint8_t *)(biased + (addr >> LG_PAGE)); /* NOLINT */
    atomic_put_relaxed(byte, (uint8_t)class_byte);
}

void extent_map_set_slab(extent_t *e, unsigned class_byte)
{
    for (uintptr_t addr = e->addr; addr < extent_end(e); addr += PAGE) {
        atomic_put_relaxed(extent_map_cell(addr), e);
        extent_map_set_class(addr, class_byte);
    }
}

void extent_map_clear_classes(uintptr_t addr, size_t size)
{
    for (uintptr_t end = addr + size; addr < end; addr += PAGE) {
        extent_map_set_class(addr, 0);
    }
}

void extent_map_prefork(void)
{
    mutex_fork_drain(&map_state.lock);
}
