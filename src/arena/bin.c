/*
 * What: see bin.h.
 *
 * Invariants: as there.
 *
 * Locking: as there.
 */
#include "arena/bin.h"

#include "arena/seal.h"
#include "conf/conf.h"
#include "os/os.h"
#include "os/valgrind.h"

/* Slabs asked for at a time when a class has few regions a slab. */
#define NEW_SLABS_MAX 8

void bin_init(bin_t *bin, unsigned class_byte, unsigned shard)
{
    mutex_init(&bin->lock, LOCK_RANK_BIN);
    bin->class_byte = (uint8_t)class_byte;
    bin->shard = (uint8_t)shard;
    bin->current = NULL;
    heap_init(&bin->nonfull);
    list_init(&bin->slabs);
    bin->random = opt.randomize ? os_random() : 0;
    bin->stats = (bin_stats_t){0};
}

/* ---- slabs come and go ---- */

/* Every n-th slab of opt.san_guard_small gets guard pages. */
static bool wants_guard(void)
{
    static _Atomic size_t count;
    size_t every = opt.san_guard_small;
    return every != 0 && atomic_add_relaxed(&count, 1) % every == every - 1;
}

static extent_t *new_slab(bin_t *bin, page_store_t *ps)
{
    const sizeclass_slab_t *shape = slab_shape(bin->class_byte);
    extent_t *slab = JE_UNLIKELY(wants_guard())
                         ? page_store_alloc_guarded(ps, shape->slab_bytes, PAGE)
                         : page_store_alloc(ps, shape->slab_bytes, PAGE);
    if (slab != NULL) {
        if (seal_is_on()) {
            seal_regions(
                extent_ptr(slab), shape, extent_has(slab, EXTENT_ZEROED));
        }
        slab_init(slab, bin->class_byte, bin->shard);
        extent_map_set_slab(slab, bin->class_byte);
    }
    return slab;
}

static void release_slab(page_store_t *ps, extent_t *slab)
{
    extent_map_clear_classes(slab->addr, extent_size(slab));
    page_store_free(ps, slab);
}

static void release_slabs(page_store_t *ps, list_node_t *slabs)
{
    list_node_t *node;
    while ((node = list_first(slabs)) != NULL) {
        list_remove(node);
        release_slab(ps, list_entry(node, extent_t, list));
    }
}

static void adopt(bin_t *bin, list_node_t *fresh)
{
    list_node_t *node;
    while ((node = list_first(fresh)) != NULL) {
        list_remove(node);
        list_insert(&bin->slabs, node);
        extent_t *slab = list_entry(node, extent_t, list);
        heap_insert(&bin->nonfull, &slab->heap);
        bin->stats.nonfull_slabs++;
        bin->stats.nslabs++;
        bin->stats.curslabs++;
    }
}

/* Makes the lowest slab with free regions the current one. */
static bool next_slab(bin_t *bin)
{
    extent_t *slab = extent_of_heap(heap_first(&bin->nonfull));
    if (slab == NULL) {
        return false;
    }
    heap_remove(&bin->nonfull, &slab->heap);
    bin->stats.nonfull_slabs--;
    if (slab_free_count(slab) != slab_shape(bin->class_byte)->regions) {
        bin->stats.nreslabs++;
    }
    bin->current = slab;
    return true;
}

/* ---- fill ---- */

static unsigned take_regions(bin_t *bin, void **out, unsigned want)
{
    const sizeclass_slab_t *shape = slab_shape(bin->class_byte);
    unsigned got = 0;
    while (got < want) {
        if ((bin->current == NULL || slab_free_count(bin->current) == 0) &&
            !next_slab(bin)) {
            break;
        }
        got += JE_UNLIKELY(opt.randomize)
                   ? slab_take_any(bin->current, shape, out + got, want - got,
                         &bin->random)
                   : slab_take(bin->current, shape, out + got, want - got);
    }
    return got;
}

/* Asks for as many slabs as the rest of the batch needs. */
static void new_slabs(
    bin_t *bin, page_store_t *ps, list_node_t *fresh, unsigned regions)
{
    unsigned per_slab = slab_shape(bin->class_byte)->regions;
    for (unsigned i = 0; i < NEW_SLABS_MAX; i++) {
        extent_t *slab = new_slab(bin, ps);
        if (slab == NULL) {
            return;
        }
        list_insert(fresh, &slab->list);
        if (regions <= per_slab) {
            return;
        }
        regions -= per_slab;
    }
}

unsigned bin_fill(
    bin_t *bin, page_store_t *ps, void **out, unsigned want, uint64_t nrequests)
{
    list_node_t fresh;
    list_init(&fresh);
    unsigned got = 0;
    for (;;) {
        bool had_fresh = !list_is_empty(&fresh);
        mutex_lock(&bin->lock);
        adopt(bin, &fresh);
        unsigned more = take_regions(bin, out + got, want - got);
        got += more;
        bin->stats.nmalloc += more;
        bin->stats.curregs += more;
        if (!had_fresh) {
            bin->stats.nrequests += nrequests;
            bin->stats.nfills++;
            nrequests = 0;
        }
        mutex_unlock(&bin->lock);
        if (got == want) {
            return got;
        }
        new_slabs(bin, ps, &fresh, want - got);
        if (list_is_empty(&fresh)) {
            return got;
        }
    }
}

/* ---- flush ---- */

/* After regions came back: files the slab where it now belongs. */
static void refile(
    bin_t *bin, extent_t *slab, unsigned free_before, list_node_t *empty)
{
    if (slab_free_count(slab) == slab_shape(bin->class_byte)->regions) {
        if (free_before != 0) {
            heap_remove(&bin->nonfull, &slab->heap);
            bin->stats.nonfull_slabs--;
        }
        bin->stats.curslabs--;
        list_remove(&slab->list);
        list_insert(empty, &slab->list);
    } else if (free_before == 0) {
        heap_insert(&bin->nonfull, &slab->heap);
        bin->stats.nonfull_slabs++;
    }
}

/* A block that was freed twice, as long as its slab was there to tell. */
typedef struct {
    uintptr_t addr;
    unsigned region_bytes;
} double_free_t;

JE_COLD static double_free_t double_free_of(
    const extent_t *slab, unsigned word, uint64_t bits)
{
    unsigned region_bytes =
        slab_shape(extent_word_class(extent_word(slab)))->region_bytes;
    uintptr_t region = (uintptr_t)word * 64 + bits_lowest(bits);
    return (double_free_t){slab->addr + region * region_bytes, region_bytes};
}

/* Takes one word's worth back; what was free already goes to `twice`. */
static inline unsigned take_back(bin_t *bin, const bin_return_t *returned,
    double_free_t *twice, list_node_t *empty)
{
    extent_t *slab = returned->slab;
    unsigned before = slab_free_count(slab);
    uint64_t free_already =
        slab_give_bits(slab, returned->word, returned->bits);
    if (JE_UNLIKELY(free_already != 0)) {
        *twice = double_free_of(slab, returned->word, free_already);
    }
    unsigned after = slab_free_count(slab);
    if ((before == 0 || after == slab_shape(bin->class_byte)->regions) &&
        slab != bin->current && after != before) {
        refile(bin, slab, before, empty);
    }
    return after - before;
}

unsigned bin_flush(bin_t *bin, page_store_t *ps, bin_return_t *returns,
    unsigned count, uint64_t bin_word, uint64_t nrequests)
{
    list_node_t empty;
    list_init(&empty);
    unsigned left = 0;
    unsigned taken = 0;
    double_free_t twice = {0, 0};
    mutex_lock(&bin->lock);
    for (unsigned i = 0; i < count; i++) {
        uint64_t word = extent_word(returns[i].slab);
        if ((word & EXTENT_BIN_MASK) != bin_word) {
            returns[left++] = returns[i];
        } else {
            taken += take_back(bin, &returns[i], &twice, &empty);
        }
    }
    bin->stats.ndalloc += taken;
    bin->stats.curregs -= taken;
    bin->stats.nrequests += nrequests;
    bin->stats.nflushes++;
    mutex_unlock(&bin->lock);
    release_slabs(ps, &empty);
    if (JE_UNLIKELY(twice.addr != 0)) {
        fail_misuse("double free of %p: a block of size class %u, free already",
            (void *)twice.addr, twice.region_bytes);
    }
    return left;
}

/* ---- reset and checks ---- */

void bin_reset(bin_t *bin, page_store_t *ps)
{
    list_node_t slabs;
    list_init(&slabs);
    mutex_lock(&bin->lock);
    list_splice(&slabs, &bin->slabs);
    heap_init(&bin->nonfull);
    bin->current = NULL;
    bin->stats.curregs = 0;
    bin->stats.curslabs = 0;
    bin->stats.nonfull_slabs = 0;
    mutex_unlock(&bin->lock);
    release_slabs(ps, &slabs);
}

void bin_visit(
    bin_t *bin, void (*visit)(const extent_t *slab, void *opaque), void *opaque)
{
    mutex_lock(&bin->lock);
    list_foreach (node, &bin->slabs) {
        visit(list_entry(node, extent_t, list), opaque);
    }
    mutex_unlock(&bin->lock);
}

void bin_check(bin_t *bin)
{
    size_t slabs = 0;
    size_t used = 0;
    unsigned regions = slab_shape(bin->class_byte)->regions;
    mutex_lock(&bin->lock);
    list_foreach (node, &bin->slabs) {
        extent_t *slab = list_entry(node, extent_t, list);
        slab_check(slab);
        assert(extent_state(slab) == EXTENT_ACTIVE);
        assert(extent_map_class(extent_ptr(slab)) == bin->class_byte ||
               valgrind_mode == VALGRIND_OURS);
        slabs++;
        used += regions - slab_free_count(slab);
    }
    assert(slabs == bin->stats.curslabs && used == bin->stats.curregs);
    mutex_unlock(&bin->lock);
}
