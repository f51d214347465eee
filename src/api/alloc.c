/*
 * What: the slow half of alloc.h, as one staircase: miss, instrumented,
 * direct, without a record.
 *
 * Invariants: as in alloc.h. (I3) While the program's hooks run, the door is
 * shut (tsd.c), so that what they allocate comes here and is served from
 * arena 0 without a cache.
 *
 * Locking: as there.
 */
#include "api/alloc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/foreign.h"
#include "api/guard.h"
#include "api/init.h"
#include "arena/arena_table.h"
#include "arena/background.h"
#include "conf/conf.h"
#include "os/log.h"
#include "os/os.h"
#include "os/reentry.h"
#include "os/valgrind.h"
#include "thread/event.h"
#include "thread/watch.h"

tsd_t *alloc_tsd(void)
{
    tsd_t *tsd = tsd_self;
    if (JE_LIKELY(tsd_is_record(tsd))) {
        return JE_UNLIKELY(reentry_is_inside()) ? NULL : tsd;
    }
    if (tsd != NULL || reentry_is_inside() || !init_ensure() ||
        !init_is_ready()) {
        return NULL;
    }
    return tsd_create();
}

JE_COLD static void *fail_alloc(bool aligned)
{
    if (opt.xmalloc) {
        log_write(aligned ? "<jemalloc>: Error allocating aligned memory: out "
                            "of memory\n"
                          : "<jemalloc>: Error in malloc(): out of memory\n");
        abort();
    }
    errno = ENOMEM;
    return NULL;
}

/* ---- what options want written into blocks ---- */

static void fill_fresh(void *ptr, bool zero)
{
    if (!zero && JE_UNLIKELY(opt.junk_alloc) && valgrind_mode == VALGRIND_OFF &&
        !seal_is_on()) {
        memset(ptr, JUNK_ALLOC, alloc_usable_size(ptr));
    }
}

void alloc_fill_grown(void *ptr, size_t old_usize, size_t usize, bool zero)
{
    if (usize > old_usize && !zero && JE_UNLIKELY(opt.junk_alloc)) {
        memset((char *)ptr + old_usize, JUNK_ALLOC, usize - old_usize);
    }
}

static void fill_freed(void *ptr, unsigned class_byte)
{
    if (JE_LIKELY(!opt.junk_free) || valgrind_mode != VALGRIND_OFF ||
        seal_is_on()) {
        return;
    }
    size_t usize = class_byte != 0 ? sizeclass_size(class_byte - 1)
                                   : block_find(ptr).usize;
    memset(ptr, JUNK_FREE, usize);
}

/* ---- allocation ---- */

/* The class byte under which a cache may hold the request, or 0. */
static unsigned cacheable_class(size_t usize, size_t alignment)
{
    if (usize <= SC_SMALL_MAX ||
        (usize <= TCACHE_MAX_LIMIT && alignment <= LARGE_OFFSET_UNIT)) {
        return sizeclass_index(usize) + 1;
    }
    return 0;
}

static arena_t *arena_for(tsd_t *tsd, size_t usize)
{
    if (JE_UNLIKELY(usize >= arena_table_oversize_threshold()) &&
        !tsd->arena->manual) {
        arena_t *oversize = arena_table_oversize();
        if (oversize != NULL) {
            return oversize;
        }
    }
    return tsd->arena;
}

/* The allocation is not one of the requests that the thread's cache counts. */
static inline void skip_sampling(tsd_t *tsd, size_t usize)
{
    if (JE_UNLIKELY(tsd->sampling != NULL)) {
        sampling_skip(tsd->sampling, &tsd->tcache, usize);
    }
}

static void *alloc_direct(
    tsd_t *tsd, arena_t *arena, size_t usize, size_t alignment, bool zero)
{
    if (arena == NULL) {
        arena = arena_for(tsd, usize);
    }
    void *p = arena_alloc(arena, usize, alignment, zero);
    if (p != NULL) {
        tsd->direct_allocated += usize;
        skip_sampling(tsd, usize);
    }
    return p;
}

static void *alloc_cached(tsd_t *tsd, tcache_t *tcache, unsigned class_byte,
    size_t usize, bool zero, arena_t *arena)
{
    void *p = cache_bins_pop(&tcache->bins, class_byte);
    if (p == NULL) {
        if (!tcache_holds(tcache, class_byte) || arena != NULL) {
            return alloc_direct(tsd, arena, usize, 0, zero);
        }
        p = tcache_refill(tcache, class_byte);
    }
    if (p == NULL) {
        return NULL;
    }
    if (tcache != &tsd->tcache) {
        tsd->direct_allocated += usize;
        skip_sampling(tsd, usize);
    }
    return zero ? memset(p, 0, usize) : p;
}

/* A large block, from the few that the thread freed last if one fits. */
static void *alloc_large(tsd_t *tsd, tcache_t *tcache, size_t usize,
    size_t alignment, bool zero, arena_t *arena)
{
    if (tcache != NULL && alignment <= LARGE_OFFSET_UNIT && arena == NULL) {
        void *p = large_cache_pop(&tcache->large, usize);
        if (p != NULL) {
            tsd->direct_allocated += usize;
            return zero ? memset(p, 0, usize) : p;
        }
    }
    return alloc_direct(tsd, arena, usize, alignment, zero);
}

static tcache_t *choose_tcache(tsd_t *tsd, const alloc_place_t *place)
{
    switch (place->cache) {
    case ALLOC_CACHE_AUTO:
        return tsd->tcache_enabled ? &tsd->tcache : NULL;
    case ALLOC_CACHE_EXPLICIT:
        if (place->tcache->arena == NULL) { /* it was flushed */
            place->tcache->arena = tsd->arena;
        }
        return place->tcache;
    default:
        return NULL;
    }
}

/* ---- samples ---- */

/* A failed record leaves an ordinary large block, or a small one unnoticed. */
static void make_sample(tsd_t *tsd, extent_t *e, size_t size)
{
    uint64_t allocated = 0;
    uint64_t deallocated;
    if (prof_interval() != 0) {
        tsd_traffic(tsd, &allocated, &deallocated);
    }
    if (!prof_sample(e, size, allocated) && e->u.large.usize > SC_SMALL_MAX) {
        large_set_sampled(e, false);
    }
}

/* Large ones are sampled so often that how they are got matters. */
static void *alloc_sampled(tsd_t *tsd, size_t size, size_t usize,
    size_t alignment, bool zero, const alloc_place_t *place)
{
    void *p = NULL;
    if (usize > TCACHE_MAX_LIMIT) {
        p = alloc_large(tsd, choose_tcache(tsd, place), usize, alignment, zero,
            place->arena);
        if (p != NULL) {
            large_set_sampled(extent_map_lookup((uintptr_t)p), true);
        }
    } else {
        arena_t *arena =
            place->arena != NULL ? place->arena : arena_for(tsd, usize);
        p = arena_alloc_sampled(arena, usize, alignment, zero);
        tsd->direct_allocated += p == NULL ? 0 : usize;
    }
    if (p != NULL) {
        make_sample(tsd, extent_map_lookup((uintptr_t)p), size);
    }
    return p;
}

/* A block with another size counts as a new one. */
static bool is_resample_due(tsd_t *tsd, size_t usize)
{
    tsd_enter(tsd);
    sampling_due_t due = sampling_due(tsd->sampling, &tsd->tcache, usize);
    if (due == SAMPLING_GUARD) {
        sampling_pass(tsd->sampling, &tsd->tcache, usize);
    }
    if (due != SAMPLING_PROFILE) {
        sampling_skip(tsd->sampling, &tsd->tcache, usize);
    }
    tsd_leave(tsd);
    return due == SAMPLING_PROFILE;
}

void alloc_resample(tsd_t *tsd, void *ptr, size_t size)
{
    if (JE_LIKELY(!prof_is_on())) {
        return;
    }
    extent_t *e = extent_map_lookup((uintptr_t)ptr);
    bool due = tsd != NULL && tsd->sampling != NULL &&
               is_resample_due(tsd, e->u.large.usize);
    if (due || extent_has(e, EXTENT_SAMPLED)) {
        large_set_sampled(e, due);
    }
    if (due) {
        make_sample(tsd, e, size);
    }
}

/* Calls during boot, inside hooks, in dying threads. */
static void *alloc_without_record(
    size_t usize, size_t alignment, bool zero, const alloc_place_t *place)
{
    int state = atomic_get_acquire(&init_state);
    if (state != INIT_READY && state != INIT_SERVING) {
        return NULL;
    }
    arena_t *arena = place->arena != NULL ? place->arena : arena_table_first();
    return arena_alloc(arena, usize, alignment, zero);
}

/*
 * Out of memory: what the thread caches, or what arenas keep unused, may be
 * the room that is missing. False if nothing can help.
 */
JE_COLD static bool make_room(size_t usize)
{
    if (!init_is_ready() || reentry_is_inside() || usize > os_address_limit()) {
        return false;
    }
    if (tsd_is_record(tsd_self)) {
        tsd_flush(tsd_self);
    }
    arena_table_trim_all();
    return true;
}

/* From a cache or an arena, for a thread with a record. */
static void *alloc_ordinary(tsd_t *tsd, size_t usize, size_t alignment,
    bool zero, const alloc_place_t *place)
{
    tcache_t *tcache = choose_tcache(tsd, place);
    unsigned class_byte = cacheable_class(usize, alignment);
    if (tcache == NULL || class_byte == 0) {
        return alloc_large(tsd, tcache, usize, alignment, zero, place->arena);
    }
    return alloc_cached(tsd, tcache, class_byte, usize, zero, place->arena);
}

/* NULL if there is no slot, or a guarded block is not what was asked for. */
static void *alloc_guarded(tsd_t *tsd, size_t size, size_t usize,
    size_t alignment, bool zero, const alloc_place_t *place)
{
    void *p = place->cache == ALLOC_CACHE_EXPLICIT || place->arena != NULL ||
                      tsd->arena->manual
                  ? NULL
                  : guard_alloc(size, usize, alignment, zero);
    if (p == NULL) {
        sampling_pass(tsd->sampling, &tsd->tcache, usize);
    } else {
        tsd->direct_allocated += usize;
    }
    return p;
}

/* What the thread's countdowns say. */
static void *alloc_chosen(tsd_t *tsd, size_t size, size_t usize,
    size_t alignment, bool zero, const alloc_place_t *place)
{
    void *p = NULL;
    switch (sampling_due(tsd->sampling, &tsd->tcache, usize)) {
    case SAMPLING_PROFILE:
        return alloc_sampled(tsd, size, usize, alignment, zero, place);
    case SAMPLING_GUARD:
        p = alloc_guarded(tsd, size, usize, alignment, zero, place);
        break;
    default:
        break;
    }
    return p != NULL ? p : alloc_ordinary(tsd, usize, alignment, zero, place);
}

/* A sample if one is due, else the ordinary; and the thread's periodic work. */
static void *alloc_counted(tsd_t *tsd, size_t size, size_t usize,
    size_t alignment, bool zero, const alloc_place_t *place)
{
    tsd_enter(tsd);
    bool watched = tsd_is_watched(tsd);
    sampling_t *sampling = tsd->sampling;
    void *p = JE_UNLIKELY(sampling != NULL)
                  ? alloc_chosen(tsd, size, usize, alignment, zero, place)
                  : alloc_ordinary(tsd, usize, alignment, zero, place);
    event_tick(tsd);
    tsd_leave(tsd);
    if (JE_UNLIKELY(sampling != NULL)) {
        prof_poll();
    }
    if (JE_UNLIKELY(watched) && p != NULL) {
        watch_alloc(tsd, usize);
    }
    return p;
}

static void *alloc_once(size_t size, size_t usize, size_t alignment, bool zero,
    const alloc_place_t *place)
{
    tsd_t *tsd = alloc_tsd();
    return JE_LIKELY(tsd != NULL)
               ? alloc_counted(tsd, size, usize, alignment, zero, place)
               : alloc_without_record(usize, alignment, zero, place);
}

/* While memcheck watches. */
JE_COLD static void *alloc_checked(
    size_t size, size_t alignment, bool zero, const alloc_place_t *place)
{
    alloc_place_t region_place = *place;
    region_place.is_region = true;
    checked_request_t request = {
        size, alignment, zero, place->arena, &region_place, alloc_block};
    void *p = checked_alloc(&request);
    return p != NULL ? p : fail_alloc(alignment != 0);
}

/* While blocks are sealed. */
static void *alloc_hardened(
    size_t size, size_t alignment, bool zero, const alloc_place_t *place)
{
    alloc_place_t region_place = *place;
    region_place.is_region = true;
    checked_request_t request = {
        size, alignment, zero, place->arena, &region_place, alloc_block};
    return hardened_alloc(&request);
}

void *alloc_block(size_t size, size_t usize, size_t alignment, bool zero,
    const alloc_place_t *place)
{
    if (JE_UNLIKELY(usize == 0)) {
        return fail_alloc(alignment != 0);
    }
    if (JE_UNLIKELY(valgrind_mode != VALGRIND_OFF) && !place->is_region) {
        return alloc_checked(size, alignment, zero || opt.zero, place);
    }
    if (seal_is_on() && !place->is_region) {
        return alloc_hardened(size, alignment, zero || opt.zero, place);
    }
    zero = zero || (opt.zero && !place->is_region);
    void *p = alloc_once(size, usize, alignment, zero, place);
    if (JE_UNLIKELY(p == NULL) && make_room(usize)) {
        p = alloc_once(size, usize, alignment, zero, place);
    }
    if (JE_UNLIKELY(p == NULL)) {
        return fail_alloc(alignment != 0);
    }
    fill_fresh(p, zero);
    background_check();
    return p;
}

/* Before the first call the options that usable sizes follow are not read. */
static inline void boot_first(void)
{
    if (JE_UNLIKELY(tsd_self == NULL)) {
        (void)alloc_tsd();
    }
}

static inline bool is_open(const tsd_t *tsd, unsigned door)
{
    return (const void *)tsd_doors[door] == (const void *)tsd;
}

/* Sizes between the reach of the fast path and the cache's. */
static inline void *pop_coarse(size_t size)
{
    tsd_t *tsd = tsd_self;
    void *p = NULL;
    if (JE_LIKELY(is_open(tsd, CACHE_DOOR_TAKE))) {
        if (JE_LIKELY(!tcache_enter(&tsd->tcache))) {
            p = cache_bins_pop(
                &tsd->tcache.bins, sizeclass_lookup_coarse(size));
        }
        tcache_leave(&tsd->tcache);
    }
    return p;
}

/*
 * One of the few large blocks that the thread freed last. A door tells
 * whether blocks are counted.
 */
static inline void *pop_large(size_t size)
{
    tsd_t *tsd = tsd_self;
    void *p = NULL;
    if (JE_LIKELY(is_open(tsd, CACHE_DOOR_GIVE_SIZED))) {
        if (JE_LIKELY(!tcache_enter(&tsd->tcache))) {
            size_t usize = sizeclass_usize_large(size);
            p = usize == 0 ? NULL : large_cache_pop(&tsd->tcache.large, usize);
            tsd->direct_allocated += p == NULL ? 0 : usize;
            event_tick(tsd);
        }
        tcache_leave(&tsd->tcache);
    }
    return p;
}

/* One that is no sample; what was counted for nothing is taken back. */
static void *pop_counted(tsd_t *tsd, size_t usize)
{
    prof_thread_t *thread = prof_self;
    if (usize == 0 || (thread != NULL && !prof_passes(thread, usize))) {
        return NULL;
    }
    void *p = large_cache_pop(&tsd->tcache.large, usize);
    if (p == NULL && thread != NULL) {
        thread->distance += usize;
    }
    return p;
}

/* The same while blocks are counted. */
JE_NOINLINE static void *pop_large_counted(size_t size)
{
    tsd_t *tsd = tsd_self;
    void *p = NULL;
    if (is_open(tsd, CACHE_DOOR_TAKE) && tsd->sampling != NULL) {
        if (JE_LIKELY(!tcache_enter(&tsd->tcache))) {
            size_t usize = sizeclass_usize_large(size);
            p = pop_counted(tsd, usize);
            tsd->direct_allocated += p == NULL ? 0 : usize;
            event_tick(tsd);
        }
        tcache_leave(&tsd->tcache);
    }
    return p;
}

JE_NOINLINE static void *alloc_slowest(size_t size)
{
    boot_first();
    return alloc_block(
        size, sizeclass_usize(size), 0, false, &ALLOC_PLACE_DEFAULT);
}

JE_NOINLINE static void *alloc_sealed(size_t size)
{
    void *p = hardened_malloc(size);
    return JE_LIKELY(p != NULL) ? p : alloc_slowest(size);
}

static inline void *alloc_slower(size_t size)
{
    return seal_is_on() ? alloc_sealed(size) : alloc_slowest(size);
}

JE_NOINLINE static void *alloc_slow_large(size_t size)
{
    void *p = pop_large(size);
    if (JE_UNLIKELY(p == NULL)) {
        p = pop_large_counted(size);
    }
    return JE_LIKELY(p != NULL) ? p : alloc_slower(size);
}

void *alloc_slow(size_t size)
{
    if (size > SC_LOOKUP_MAX && size <= TCACHE_MAX_LIMIT) {
        void *p = pop_coarse(size);
        if (JE_LIKELY(p != NULL)) {
            return p;
        }
    }
    return size > TCACHE_MAX_LIMIT ? alloc_slow_large(size)
                                   : alloc_slower(size);
}

void *alloc_aligned_slow(size_t alignment, size_t size)
{
    boot_first();
    return alloc_block(size,
        sizeclass_usize_aligned(size == 0 ? 1 : size, alignment), alignment,
        false, &ALLOC_PLACE_DEFAULT);
}

/* ---- release ---- */

/* What no arena has; the usable size of a guarded block. */
static size_t free_alien(void *ptr)
{
    if (guarded_has(ptr)) {
        return guard_free(ptr);
    }
    foreign_free(ptr);
    return 0;
}

/* Past the stacks: a large block may stay with the thread, all else goes. */
static void free_direct(tsd_t *tsd, tcache_t *tcache, void *ptr)
{
    block_t block = block_find(ptr);
    if (JE_UNLIKELY(block.extent == NULL)) {
        tsd->direct_deallocated += free_alien(ptr);
        return;
    }
    tsd->direct_deallocated += block.usize;
    if (JE_UNLIKELY(extent_has(block.extent, EXTENT_SAMPLED)) &&
        block.usize > TCACHE_MAX_LIMIT) {
        large_set_sampled(block.extent, false);
    }
    if (tcache == NULL || block.usize <= TCACHE_MAX_LIMIT ||
        extent_arena(block.extent) != tsd->arena->ind || tsd->arena->manual ||
        !large_cache_push(&tcache->large, block.extent)) {
        block_return(ptr, block);
    }
}

/* Whether the block is among the last few that the cache took. */
static void check_double_free(
    const tcache_t *tcache, unsigned class_byte, const void *ptr)
{
    unsigned cached = tcache_cached(tcache, class_byte);
    unsigned scan = opt.debug_double_free_max_scan;
    void **head = tcache->bins.heads[class_byte];
    for (unsigned i = 0; i < scan && i < cached; i++) {
        if (JE_UNLIKELY(head[i] == ptr)) {
            fail_misuse("double free of %p: a block of size class %zu, "
                        "still in this thread's cache",
                ptr, sizeclass_size(class_byte - 1));
        }
    }
}

static void free_without_record(void *ptr)
{
    block_t block = block_find(ptr);
    if (JE_UNLIKELY(block.extent == NULL)) {
        (void)free_alien(ptr);
    } else {
        block_return(ptr, block);
    }
}

static void free_cached(
    tsd_t *tsd, tcache_t *tcache, unsigned class_byte, void *ptr)
{
    if (tcache != &tsd->tcache) {
        tsd->direct_deallocated += sizeclass_size(class_byte - 1);
    }
    if (JE_UNLIKELY(opt.debug_double_free_max_scan != 0)) {
        check_double_free(tcache, class_byte, ptr);
    }
    if (!cache_bins_push(&tcache->bins, class_byte, ptr)) {
        tcache_overflow(tcache, class_byte, ptr);
    }
}

/* What did not go past the thread's cache is of the class. */
JE_COLD static void note_free(tsd_t *tsd, unsigned class_byte, uint64_t direct)
{
    size_t usize = class_byte == 0 ? 0 : sizeclass_size(class_byte - 1);
    watch_free(tsd, direct != 0 ? (size_t)direct : usize);
}

/* Where the regions of ended blocks go. */
static const alloc_place_t region_place = {.is_region = true};

void free_block(void *ptr, const alloc_place_t *place)
{
    if (ptr == NULL) {
        return;
    }
    if (JE_UNLIKELY(valgrind_mode != VALGRIND_OFF) && !place->is_region) {
        checked_free(ptr, free_block, &region_place); /* leaves no frame */
        return;
    }
    if (seal_is_on() && !place->is_region) {
        hardened_free(ptr, HARDENED_ANY_SIZE, free_block, &region_place);
        return;
    }
    unsigned class_byte = (unsigned)extent_map_class(ptr);
    tsd_t *tsd = alloc_tsd();
    fill_freed(ptr, class_byte);
    if (JE_UNLIKELY(tsd == NULL)) {
        free_without_record(ptr);
    } else {
        tsd_enter(tsd);
        bool watched = tsd_is_watched(tsd);
        uint64_t direct = tsd->direct_deallocated;
        tcache_t *tcache = choose_tcache(tsd, place);
        if (tcache != NULL && class_byte != 0 &&
            tcache_holds(tcache, class_byte)) {
            free_cached(tsd, tcache, class_byte, ptr);
        } else {
            free_direct(tsd, tcache, ptr);
        }
        event_tick(tsd);
        tsd_leave(tsd);
        if (JE_UNLIKELY(watched)) {
            note_free(tsd, class_byte, tsd->direct_deallocated - direct);
        }
    }
}

/* The extent of a large block as the thread's cache holds them, or NULL. */
static inline extent_t *cacheable_large(const tsd_t *tsd, const void *ptr)
{
    const uint64_t mask = (EXTENT_ARENA_MASK << EXTENT_ARENA_SHIFT) |
                          (EXTENT_STATE_MASK << EXTENT_STATE_SHIFT) |
                          (EXTENT_CLASS_MASK << EXTENT_CLASS_SHIFT) |
                          EXTENT_SLAB | EXTENT_CACHED | EXTENT_SAMPLED;
    const arena_t *arena = tsd->arena;
    uint64_t expected =
        arena->ind | ((uint64_t)EXTENT_ACTIVE << EXTENT_STATE_SHIFT);
    extent_t *e = extent_map_lookup((uintptr_t)ptr);
    return e != NULL && (extent_word(e) & mask) == expected &&
                   e->u.large.ptr == ptr && !arena->manual
               ? e
               : NULL;
}

static inline bool free_to_large_cache(void *ptr)
{
    tsd_t *tsd = tsd_self;
    bool done = false;
    if (JE_LIKELY(is_open(tsd, CACHE_DOOR_GIVE))) {
        extent_t *e = cacheable_large(tsd, ptr);
        if (e == NULL) {
            return false;
        }
        if (JE_LIKELY(!tcache_enter(&tsd->tcache))) {
            size_t usize = e->u.large.usize;
            done = large_cache_push(&tsd->tcache.large, e);
            tsd->direct_deallocated += done ? usize : 0;
            event_tick(tsd);
        }
        tcache_leave(&tsd->tcache);
    }
    return done;
}

void free_slow(void *ptr)
{
    if (ptr != NULL && free_to_large_cache(ptr)) {
        return;
    }
    if (seal_is_on() && hardened_free_small(ptr)) {
        return;
    }
    free_block(ptr, &ALLOC_PLACE_DEFAULT);
}

JE_NOINLINE static void free_sized_slowest(void *ptr, size_t size)
{
    if (seal_is_on()) {
        if (ptr != NULL) {
            hardened_free(ptr, size, free_block, &region_place);
        }
        return;
    }
    if (guarded_has(ptr) && !guard_has_size(ptr, size)) {
        return;
    }
    /* Else the map knows better, and this path can afford it. */
    free_block(ptr, &ALLOC_PLACE_DEFAULT);
}

/*
 * While blocks are sampled or guarded the size is not believed: the map knows
 * which ones are, and all others are as fast as without their size.
 */
void free_sized_slow(void *ptr, size_t size)
{
    if (JE_UNLIKELY(!cache_bins_push(
            tsd_doors[CACHE_DOOR_GIVE], extent_map_class(ptr), ptr))) {
        free_sized_slowest(ptr, size);
    }
}

size_t alloc_usable_size_slow(const void *ptr)
{
    if (ptr == NULL) {
        return 0;
    }
    if (JE_UNLIKELY(valgrind_mode != VALGRIND_OFF)) {
        return checked_usable_size(ptr);
    }
    if (seal_is_on()) {
        size_t size;
        if (hardened_size(ptr, "size query", &size)) {
            return size;
        }
    }
    block_t block = block_find(ptr);
    if (JE_LIKELY(block.extent != NULL)) {
        return block.usize;
    }
    size_t size = 0;
    if (guarded_has(ptr)) {
        return guard_size(ptr, "size query", &size) ? size : 0;
    }
    return foreign_usable_size(ptr, "size query");
}
