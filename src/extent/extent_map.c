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
#include "os/resident.h"
#include "os/valgrind.h"

_Atomic uintptr_t extent_map_root[MAP_ROOT_COUNT];

static struct {
    mutex_t lock;
    _Atomic unsigned leaf_count;
    _Atomic uintptr_t first; /* root indexes in use lie in first..last */
    _Atomic uintptr_t last;
} map_state;

void extent_map_boot(void)
{
    mutex_init(&map_state.lock, LOCK_RANK_EXTENT_MAP);
}

static size_t leaf_bytes(void)
{
    return bits_round_up(EXTENT_MAP_LEAF_BYTES, os_page_size());
}

/* The caller holds the lock. */
static void note_leaf(uintptr_t index)
{
    bool is_first = atomic_add_relaxed(&map_state.leaf_count, 1) == 0;
    if (is_first || index < atomic_get_relaxed(&map_state.first)) {
        atomic_put_relaxed(&map_state.first, index);
    }
    if (index > atomic_get_relaxed(&map_state.last)) {
        atomic_put_relaxed(&map_state.last, index);
    }
}

static bool create_leaf(uintptr_t index)
{
    bool done = true;
    mutex_lock(&map_state.lock);
    if (atomic_get_relaxed(&extent_map_root[index]) == 0) {
        void *leaf = os_map(leaf_bytes(), os_page_size());
        if (leaf == NULL) {
            done = false;
        } else {
            uintptr_t bias = index << (MAP_LG_LEAF - LG_PAGE);
            atomic_put_release(&extent_map_root[index], (uintptr_t)leaf - bias);
            note_leaf(index);
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

/* While memcheck watches no class shows: all is looked up in full. */
static unsigned shown(unsigned class_byte)
{
    return JE_LIKELY(valgrind_mode != VALGRIND_OURS) ? class_byte : 0;
}

static void set_byte(uintptr_t addr, unsigned class_byte)
{
    uintptr_t biased =
        atomic_get_relaxed(&extent_map_root[addr >> MAP_LG_LEAF]);
    _Atomic uint8_t *byte =
        (_Atomic uint8_t *)(biased + (addr >> LG_PAGE)); /* NOLINT */
    atomic_put_relaxed(byte, (uint8_t)class_byte);
}

void extent_map_set_class(uintptr_t addr, unsigned class_byte)
{
    set_byte(addr, shown(class_byte));
}

void extent_map_set_slab(extent_t *e, unsigned class_byte)
{
    class_byte = shown(class_byte);
    for (uintptr_t addr = e->addr; addr < extent_end(e); addr += PAGE) {
        atomic_put_relaxed(extent_map_cell(addr), e);
        set_byte(addr, class_byte);
    }
}

void extent_map_clear_classes(uintptr_t addr, size_t size)
{
    for (uintptr_t end = addr + size; addr < end; addr += PAGE) {
        set_byte(addr, 0);
    }
}

/* ---- the map itself, seen from outside ---- */

void extent_map_visit_leaves(
    void (*visit)(uintptr_t leaf, uintptr_t first_addr, void *opaque),
    void *opaque)
{
    if (atomic_get_relaxed(&map_state.leaf_count) == 0) {
        return;
    }
    uintptr_t last = atomic_get_relaxed(&map_state.last);
    for (uintptr_t i = atomic_get_relaxed(&map_state.first); i <= last; i++) {
        uintptr_t biased = atomic_get_acquire(&extent_map_root[i]);
        if (biased != 0) {
            visit(biased + (i << (MAP_LG_LEAF - LG_PAGE)), i << MAP_LG_LEAF,
                opaque);
        }
    }
}

static void add_resident(uintptr_t leaf, uintptr_t first_addr, void *opaque)
{
    size_t *bytes = opaque;
    (void)first_addr;
    *bytes += os_resident_bytes(leaf, leaf_bytes());
}

size_t extent_map_resident_bytes(void)
{
    size_t bytes = 0;
    extent_map_visit_leaves(add_resident, &bytes);
    return bytes;
}

size_t extent_map_mapped_bytes(void)
{
    return atomic_get_relaxed(&map_state.leaf_count) * leaf_bytes();
}

/* Whole system pages of [first, end). */
static void give_back(uintptr_t first, uintptr_t end)
{
    size_t page = os_page_size();
    first = (first + page - 1) & ~(page - 1);
    end &= ~(page - 1);
    if (first < end) {
        (void)os_purge_forced((void *)first, end - first); /* NOLINT */
    }
}

static void forget_in_leaf(uintptr_t leaf, size_t first, size_t end)
{
    uintptr_t cells = leaf + MAP_LEAF_PAGES;
    give_back(leaf + first, leaf + end);
    give_back(
        cells + first * sizeof(extent_t *), cells + end * sizeof(extent_t *));
}

void extent_map_forget(uintptr_t low, uintptr_t high)
{
    while (low < high) {
        uintptr_t index = low >> MAP_LG_LEAF;
        uintptr_t bias = index << (MAP_LG_LEAF - LG_PAGE);
        uintptr_t leaf = atomic_get_relaxed(&extent_map_root[index]) + bias;
        uintptr_t end = (index + 1) << MAP_LG_LEAF;
        end = end == 0 || end > high ? high : end;
        forget_in_leaf(leaf, (low >> LG_PAGE) - bias, (end >> LG_PAGE) - bias);
        low = end;
    }
}

void extent_map_prefork(void)
{
    mutex_fork_drain(&map_state.lock);
}
