/*
 * What: see hardened.h.
 *
 * Invariants: as there.
 *
 * Locking: as there.
 */
#include "api/hardened.h"

#include <errno.h>
#include <string.h>

#include "api/foreign.h"
#include "arena/arena_table.h"
#include "arena/block.h"
#include "arena/hollow.h"
#include "arena/seal.h"
#include "conf/conf.h"
#include "thread/event.h"

/* A small region and what its seal says. */
typedef struct {
    void *ptr;
    unsigned class_byte;
    size_t bytes;
    uint64_t what;
} region_t;

/* ---- reports ---- */

JE_COLD static void report_overrun(const void *ptr, size_t size, const void *at)
{
    fail_misuse("buffer overflow: the block %p of %zu bytes was written to "
                "past its end, at %p",
        ptr, size, at);
}

JE_COLD static void report_underrun(const void *ptr, size_t size)
{
    fail_misuse("buffer underflow: something was written right before the "
                "block %p of %zu bytes, or past the end of its neighbour",
        ptr, size);
}

JE_COLD static void report_double_free(const void *ptr, size_t bytes)
{
    fail_misuse("double free of %p: a block of size class %zu, free already",
        ptr, bytes);
}

JE_COLD static void report_size(const void *ptr, size_t size, size_t actual)
{
    fail_misuse("size mismatch: free of %p as a block of %zu bytes, which "
                "was allocated with %zu",
        ptr, size, actual);
}

/* What its seal says nothing about. */
JE_COLD static void report_broken(const void *ptr, size_t bytes)
{
    fail_misuse("buffer overflow: the end of the block %p of size class %zu "
                "was overwritten",
        ptr, bytes);
}

JE_COLD static void report_dead(const region_t *region, const char *operation)
{
    if (region->what == SEAL_FREE) {
        fail_misuse("%s of %p, a block of size class %zu that is free already",
            operation, region->ptr, region->bytes);
    } else {
        report_broken(region->ptr, region->bytes);
    }
}

/* ---- small blocks ---- */

static size_t size_of(const region_t *region)
{
    return region->bytes - seal_slack(region->what);
}

static bool is_live(const region_t *region)
{
    return seal_is_live(region->what, region->bytes);
}

/*
 * The region that starts there if any does, with what its seal says; class
 * byte 0 if none can. Its end lies in a slab of its class: it can be read.
 */
JE_ALWAYS_INLINE region_t region_if_any(void *ptr)
{
    region_t region = {
        .ptr = ptr, .class_byte = (unsigned)extent_map_class(ptr)};
    if (JE_UNLIKELY(region.class_byte - 1 >= SC_SMALL_COUNT)) {
        region.class_byte = 0;
        return region;
    }
    region.bytes = sizeclass_bytes[region.class_byte];
    uintptr_t end = (uintptr_t)ptr + region.bytes;
    bool is_near = ((uintptr_t)ptr ^ (end - 1)) >> LG_PAGE == 0;
    if (!is_near && extent_map_class((const void *)(end - 1)) != /* NOLINT */
                        region.class_byte) {
        region.class_byte = 0;
        return region;
    }
    region.what = seal_read(end);
    return region;
}

/* The same, ptr NULL if no region starts there. A live seal tells, too. */
static inline region_t region_at(void *ptr)
{
    region_t region = region_if_any(ptr);
    if (region.class_byte == 0 ||
        (!is_live(&region) && block_find(ptr).extent == NULL)) {
        region.ptr = NULL;
    }
    return region;
}

/*
 * What the neighbour before it ends with is a seal, too. Where a page begins
 * it may be another slab's, or nobody's: its own is taken instead.
 */
static inline bool has_good_neighbour(const region_t *region)
{
    uintptr_t ptr = (uintptr_t)region->ptr;
    uint64_t before =
        seal_read((ptr & PAGE_MASK) == 0 ? ptr + region->bytes : ptr);
    return !seal_both(
        before != SEAL_FREE, !seal_is_live(before, region->bytes));
}

/* No bytes and one are the same to who computes sizes by type. */
static bool is_size(size_t size, size_t actual)
{
    return size == HARDENED_ANY_SIZE || size == actual ||
           (size <= 1 && actual <= 1);
}

/* Whether the block is in order; reports what is not. */
static inline bool check_region(const region_t *region, size_t size)
{
    size_t actual = size_of(region);
    uintptr_t end = (uintptr_t)region->ptr + region->bytes;
    if (JE_UNLIKELY(!seal_has_slack(end, seal_slack(region->what)))) {
        report_overrun(region->ptr, actual,
            seal_overrun(region->ptr, region->bytes, region->what));
        return false;
    }
    if (JE_UNLIKELY(!has_good_neighbour(region))) {
        report_underrun(region->ptr, actual);
        return false;
    }
    if (JE_UNLIKELY(!is_size(size, actual))) {
        report_size(region->ptr, size, actual);
        return false;
    }
    return true;
}

void *hardened_malloc(size_t size)
{
    tsd_t *tsd = tsd_self;
    void *p = NULL;
    if (!tsd_may_seal(tsd) || size - 1 >= SC_LOOKUP_MAX - SEAL_BYTES) {
        return NULL;
    }
    size_t class_byte = sizeclass_lookup(size + SEAL_BYTES);
    if (JE_LIKELY(!tcache_enter(&tsd->tcache))) {
        p = cache_bins_pop(&tsd->tcache.bins, class_byte);
    }
    tcache_leave(&tsd->tcache);
    if (JE_UNLIKELY(p == NULL)) {
        return NULL;
    }
    size_t bytes = sizeclass_bytes[class_byte];
    if (JE_UNLIKELY(
            !seal_begin(p, bytes, size, 0, quarantine_lg[class_byte] == 0))) {
        seal_report_touched(p, bytes);
        return NULL;
    }
    if (JE_UNLIKELY(opt.junk_alloc)) {
        memset(p, JUNK_ALLOC, size);
    }
    return p;
}

/* Through the quarantine to the thread's cache. False: not this way. */
JE_ALWAYS_INLINE bool give_to_cache(const region_t *region)
{
    tsd_t *tsd = tsd_self;
    unsigned c = region->class_byte;
    if (!tsd_may_seal(tsd) || (region->what & SEAL_APART) != 0 ||
        !tcache_holds(&tsd->tcache, c)) {
        return false;
    }
    bool entered = !tcache_enter(&tsd->tcache);
    void *p = NULL; /* leaves the quarantine for it */
    bool good = true;
    if (JE_LIKELY(entered)) {
        p = tsd->quarantine == NULL
                ? region->ptr
                : quarantine_exchange(tsd->quarantine, c, region->ptr);
        good = seal_end_and_look(
            region->ptr, p == NULL ? region->ptr : p, region->bytes);
        if (JE_LIKELY(good) && p != NULL &&
            !cache_bins_push(&tsd->tcache.bins, c, p)) {
            tcache_overflow(&tsd->tcache, c, p);
            event_tick(tsd);
        }
    }
    tcache_leave(&tsd->tcache);
    if (JE_UNLIKELY(!good)) {
        seal_report_touched(p, region->bytes);
    }
    return entered;
}

bool hardened_free_small(void *ptr)
{
    region_t region = region_if_any(ptr);
    if (JE_UNLIKELY(region.class_byte == 0) || JE_UNLIKELY(!is_live(&region))) {
        return false;
    }
    uintptr_t end = (uintptr_t)ptr + region.bytes;
    return JE_LIKELY(seal_both(seal_has_slack(end, seal_slack(region.what)),
               has_good_neighbour(&region))) &&
           give_to_cache(&region);
}

/* ---- large blocks ---- */

static size_t large_front(const extent_t *e)
{
    return (uintptr_t)e->u.large.ptr - e->addr;
}

static void fill_around(extent_t *e)
{
    char *ptr = e->u.large.ptr;
    size_t size = e->u.large.size;
    if (opt.canary) {
        memset(extent_ptr(e), seal_config.canary, large_front(e));
        memset(ptr + size, seal_config.canary,
            extent_end(e) - (uintptr_t)ptr - size);
    }
}

static const char *first_other(const char *from, const char *to)
{
    while (from != to && (uint8_t)*from == seal_config.canary) {
        from++;
    }
    return from == to ? NULL : from;
}

static bool check_large(const extent_t *e, size_t size)
{
    const char *ptr = e->u.large.ptr;
    size_t actual = e->u.large.size;
    const char *start = extent_ptr(e);
    const char *at =
        opt.canary ? first_other(ptr + actual, start + extent_size(e)) : NULL;
    if (at != NULL) {
        report_overrun(ptr, actual, at);
        return false;
    }
    if (opt.canary && first_other(start, ptr) != NULL) {
        report_underrun(ptr, actual);
        return false;
    }
    if (!is_size(size, actual)) {
        report_size(ptr, size, actual);
        return false;
    }
    return true;
}

/*
 * The block ends with its pages, as near as its alignment lets it, so that
 * what lies behind is another page: a guard, if options say so. A sample
 * stays where it was announced.
 */
static void *begin_large(extent_t *e, size_t size, size_t alignment)
{
    size_t unit = alignment > QUANTUM ? alignment : QUANTUM;
    size_t shift = (extent_size(e) - size) & ~(unit - 1);
    if (!extent_has(e, EXTENT_SAMPLED) && e->u.large.ptr == extent_ptr(e)) {
        e->u.large.ptr = (char *)extent_ptr(e) + (shift & PAGE_MASK);
    }
    e->u.large.size = size;
    fill_around(e);
    return e->u.large.ptr;
}

static void free_large(
    extent_t *e, size_t size, checked_give_t *give, const alloc_place_t *home)
{
    tsd_t *tsd = tsd_self;
    if (!check_large(e, size)) {
        return;
    }
    bool is_ordinary = !arena_table_lookup(extent_arena(e))->manual &&
                       !extent_has(e, EXTENT_SAMPLED);
    if (is_ordinary && tsd_may_seal(tsd) && tsd->quarantine != NULL) {
        tsd->direct_deallocated += e->u.large.usize;
        quarantine_push_large(tsd->quarantine, e);
        event_tick(tsd);
    } else {
        give(e->u.large.ptr, home);
    }
}

/* ---- all ---- */

/* Small ones have room for a seal. */
static size_t region_size(const checked_request_t *request)
{
    size_t size = request->size;
    if (size > SC_MAX - SEAL_BYTES) {
        return 0;
    }
    /* No region is but a seal: what is looked at begins before it. */
    size_t usize = sizeclass_usize_aligned(
        (size != 0 ? size : 1) + SEAL_BYTES, request->alignment);
    if (usize <= SC_SMALL_MAX) {
        return usize;
    }
    size_t alignment = request->alignment > PAGE ? request->alignment : PAGE;
    return sizeclass_usize_aligned(
        size < SC_LARGE_MIN ? SC_LARGE_MIN : size, alignment);
}

void *hardened_alloc(const checked_request_t *request)
{
    size_t usize = region_size(request);
    bool is_small = usize <= SC_SMALL_MAX;
    size_t size = request->size;
    if (size == 0 && opt.guard_zero_size && request->alignment <= QUANTUM) {
        void *p = hollow_take();
        if (p != NULL) {
            return p;
        }
    }
    size_t alignment =
        is_small || request->alignment > PAGE ? request->alignment : PAGE;
    void *p = request->take(size, usize, alignment,
        !is_small && (request->zero || seal_config.has_zero), request->place);
    if (p == NULL) {
        return NULL;
    }
    if (extent_map_class(p) == 0 || !is_small) {
        p = begin_large(
            extent_map_lookup((uintptr_t)p), size, request->alignment);
    } else if (!seal_begin(p, usize, size,
                   request->arena != NULL ? SEAL_APART : 0, true)) {
        seal_report_touched(p, usize);
        return hardened_alloc(request);
    }
    bool is_sample = is_small && extent_map_class(p) == 0;
    bool zero = request->zero && (!seal_config.has_zero || is_sample);
    if (zero || (opt.junk_alloc && !request->zero)) {
        memset(p, zero ? 0 : JUNK_ALLOC, size);
    }
    return p;
}

JE_COLD static void free_hollow(void *ptr, size_t size)
{
    if (!hollow_give(ptr)) {
        fail_misuse("free of %p, which is no block of zero bytes, or free "
                    "already",
            ptr);
    } else if (!is_size(size, 0)) {
        report_size(ptr, size, 0);
    }
}

void hardened_free(
    void *ptr, size_t size, checked_give_t *give, const alloc_place_t *home)
{
    region_t region = region_at(ptr);
    if (JE_LIKELY(region.ptr != NULL)) {
        if (JE_UNLIKELY(!is_live(&region))) {
            if (region.what == SEAL_FREE) {
                report_double_free(ptr, region.bytes);
            } else {
                report_broken(ptr, region.bytes);
            }
        } else if (check_region(&region, size) && !give_to_cache(&region)) {
            seal_end(ptr, region.bytes);
            give(ptr, home);
        }
        return;
    }
    block_t block = block_find(ptr);
    if (block.extent != NULL) {
        free_large(block.extent, size, give, home);
    } else if (hollow_has(ptr)) {
        free_hollow(ptr, size);
    } else {
        foreign_free(ptr);
    }
}

bool hardened_size(const void *ptr, const char *operation, size_t *size)
{
    region_t region = region_at((void *)(uintptr_t)ptr);
    if (region.ptr != NULL) {
        *size = size_of(&region);
        if (!is_live(&region)) {
            report_dead(&region, operation);
        }
        return is_live(&region);
    }
    block_t block = block_find(ptr);
    if (block.extent != NULL) {
        *size = block.extent->u.large.size;
        return true;
    }
    *size = hollow_has(ptr) ? 0 : SIZE_MAX;
    if (*size == 0 && !hollow_is_live(ptr)) {
        fail_misuse("%s of %p, which is no block of zero bytes, or free "
                    "already",
            operation, ptr);
        return false;
    }
    return *size == 0;
}

bool hardened_resize(void *ptr, size_t size)
{
    region_t region = region_at(ptr);
    if (region.ptr != NULL) {
        if (size == 0 || size > SC_LOOKUP_MAX - SEAL_BYTES ||
            sizeclass_lookup(size + SEAL_BYTES) != region.class_byte ||
            !check_region(&region, HARDENED_ANY_SIZE)) {
            return false;
        }
        seal_resize(ptr, region.bytes, region.what, size);
        return true;
    }
    block_t block = block_find(ptr);
    if (block.extent == NULL || extent_has(block.extent, EXTENT_SAMPLED)) {
        return false;
    }
    extent_t *e = block.extent;
    size_t room = extent_end(e) - (uintptr_t)ptr;
    if (size > room || room - size >= PAGE ||
        !check_large(e, HARDENED_ANY_SIZE)) {
        return false;
    }
    char *start = e->u.large.ptr;
    if (size > e->u.large.size) {
        memset(start + e->u.large.size, 0, size - e->u.large.size);
    }
    e->u.large.size = size;
    fill_around(e);
    return true;
}

/* ---- everything ---- */

/* How often something odd is looked at again: a call may be under way. */
#define LOOKS 20

static bool is_in_order(region_t *region)
{
    uintptr_t end = (uintptr_t)region->ptr + region->bytes;
    region->what = seal_read(end);
    return region->what == SEAL_FREE
               ? seal_is_untouched(region->ptr, region->bytes)
               : is_live(region) &&
                     seal_has_slack(end, seal_slack(region->what));
}

JE_COLD static void report_region(const region_t *region)
{
    if (region->what == SEAL_FREE) {
        seal_report_touched(region->ptr, region->bytes);
    } else if (!is_live(region)) {
        report_broken(region->ptr, region->bytes);
    } else {
        report_overrun(region->ptr, size_of(region),
            seal_overrun(region->ptr, region->bytes, region->what));
    }
}

/* Blocks that other threads are just taking or giving look odd. */
static bool stays_odd(region_t *region)
{
    for (unsigned i = 0; i < LOOKS; i++) {
        if (is_in_order(region)) {
            return false;
        }
        _Atomic uint32_t nothing = 0;
        os_wait_for(&nothing, 0, 1000000);
    }
    return true;
}

/* Odd regions of a slab go to `odd`, which has room for one. */
static void check_slab(const extent_t *slab, void *opaque)
{
    region_t *odd = opaque;
    unsigned class_byte = extent_word_class(extent_word(slab));
    const sizeclass_slab_t *shape = slab_shape(class_byte);
    region_t region = {extent_ptr(slab), class_byte, shape->region_bytes, 0};
    for (unsigned i = 0; i < shape->regions && odd->ptr == NULL; i++) {
        if (!is_in_order(&region)) {
            *odd = region;
        }
        region.ptr = (char *)region.ptr + shape->region_bytes;
    }
}

static void check_arena(arena_t *arena)
{
    for (unsigned c = 1; c <= SC_SMALL_COUNT; c++) {
        for (unsigned s = 0; s < slab_shape(c)->shards; s++) {
            region_t odd = {.ptr = NULL};
            bin_visit(arena_bin(arena, c, s), check_slab, &odd);
            if (odd.ptr != NULL && stays_odd(&odd)) {
                report_region(&odd);
            }
        }
    }
}

/* What hooks of the program mapped may be gone when the process exits. */
void hardened_check_all(void)
{
    for (unsigned i = 0; i < arena_table_narenas(); i++) {
        arena_t *arena = arena_table_lookup(i);
        if (arena != NULL && page_runs_are_default(&arena->pages)) {
            check_arena(arena);
        }
    }
}
