/*
 * What: look-ups without a lock, while others write: the map of pages
 * (extent_map.c) and the table of explicit caches (tcache_table.c).
 *
 * Invariants: as in explore.h.
 *
 * Locking: none.
 */
#include "explore.h"

#include <stdlib.h>

#include "cache/cache_slots.h"
#include "cache/tcache_table.h"
#include "extent/extent_map.h"

/* ---- the map ---- */

#define CLASS 5
#define ADDR  ((uintptr_t)3 << MAP_LG_LEAF | PAGES(7))

static extent_t extent;
static _Atomic bool handed_over;
static unsigned leaves;
static char *leaf_memory; /* zero, but for what a model touches */

void *os_map(size_t size, size_t alignment)
{
    (void)size;
    (void)alignment;
    MODEL_REQUIRE(leaves == 0);
    leaves++;
    return leaf_memory;
}

size_t os_page_bytes = PAGE;

static void setup_map(void)
{
    size_t page = (ADDR >> LG_PAGE) & (MAP_LEAF_PAGES - 1);
    leaf_memory[page] = 0;
    ((extent_t **)(void *)(leaf_memory + MAP_LEAF_PAGES))[page] = NULL;
    mutex_boot(0);
    extent_map_boot();
}

/* A slab is made and one of its blocks given to another thread. */
static void make_slab(void)
{
    MODEL_REQUIRE(extent_map_ensure(ADDR, PAGE));
    extent.addr = ADDR;
    extent_set_size(&extent, PAGE);
    extent_set_state(&extent, EXTENT_ACTIVE);
    extent_map_set_slab(&extent, CLASS);
    atomic_put_release(&handed_over, true);
}

/* Whatever the moment: nothing, or what is registered. */
static void look(void)
{
    void *block = (void *)ADDR;
    bool is_mine = atomic_get_acquire(&handed_over);
    size_t class_byte = extent_map_class(block);
    extent_t *e = extent_map_lookup(ADDR);
    MODEL_REQUIRE(class_byte == 0 || class_byte == CLASS);
    MODEL_REQUIRE(e == NULL || e == &extent);
    if (is_mine) {
        MODEL_REQUIRE(class_byte == CLASS && e == &extent);
        MODEL_REQUIRE(extent_map_find(block) == &extent);
    }
}

static void make_or_look(unsigned me)
{
    if (me == 0) {
        make_slab();
    } else {
        look();
    }
}

/* Two arenas come to one leaf. */
static void make_or_ensure(unsigned me)
{
    if (me == 0) {
        make_slab();
    } else {
        MODEL_REQUIRE(extent_map_ensure(ADDR + PAGE, PAGE));
        look();
    }
}

static void one_leaf(void)
{
    MODEL_REQUIRE(leaves == 1 && extent_map_find((void *)ADDR) == &extent);
}

/* ---- explicit caches ---- */

static tcache_t memory;

void *cache_slots_alloc(unsigned lg_words)
{
    (void)lg_words;
    return &memory;
}

void tcache_init(
    tcache_t *tcache, arena_t *arena, unsigned shard, cache_bins_t **doors)
{
    (void)shard;
    (void)doors;
    tcache->arena = arena;
    list_init(&tcache->link);
}

static void setup_table(void)
{
    mutex_boot(0);
    tcache_table_boot();
}

/* The number is known to be the first; it is alive, or not yet. */
static void create_or_use(unsigned me)
{
    arena_t *arena = (arena_t *)64;
    if (me == 0) {
        unsigned id;
        MODEL_REQUIRE(tcache_table_create(arena, &id) == 0 && id == 0);
        return;
    }
    tcache_t *tcache = tcache_table_lookup(0);
    if (tcache != NULL) {
        MODEL_REQUIRE(tcache->arena == arena);
    }
}

static void is_created(void)
{
    MODEL_REQUIRE(tcache_table_lookup(0) == &memory);
}

static const model_t models[] = {
    {"make a slab, look it up", 2, setup_map, make_or_look, one_leaf},
    {"make two slabs of one leaf", 2, setup_map, make_or_ensure, one_leaf},
    {"make three slabs of one leaf", 3, setup_map, make_or_ensure, one_leaf},
    {"create a cache, look it up", 2, setup_table, create_or_use, is_created},
};

int main(int argc, char **argv)
{
    leaf_memory = calloc(1, EXTENT_MAP_LEAF_BYTES);
    if (leaf_memory == NULL) {
        return 2;
    }
    return model_main(models, sizeof(models) / sizeof(models[0]), argc, argv);
}
