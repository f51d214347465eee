/*
 * What: see tcache.h.
 *
 * Invariants: as there.
 *
 * Locking: as there.
 */
#include "cache/tcache.h"

#include <string.h>

#include "arena/background.h"
#include "cache/cache_slots.h"
#include "conf/conf.h"

/* Batch of the first fill of a class: little, most classes stay cold. */
#define FIRST_BATCH_SMALL 4
#define FIRST_BATCH_LARGE 1

/* Slots that nothing can exceed. */
#define NSLOTS_LIMIT CONF_NCACHED_MAX
static_assert(NSLOTS_LIMIT < 1 << CACHE_SLOTS_LG_MAX, "an array has room");

/* An idle class keeps one in this many of its blocks at each check. */
#define IDLE_KEEP_DIVISOR 4

/*
 * While a process has so few threads, one may hold so many bytes of a small
 * class, if these are not too many blocks: 9 MiB in all at the very most.
 */
#define ROOMY_THREADS 8
#define ROOMY_BYTES   ((size_t)32 << 10)
#define ROOMY_SLOTS   512

static tcache_limits_t limits;

static struct {
    _Atomic unsigned threads; /* that have a cache */
    uint16_t roomy[TCACHE_BIN_COUNT];
} crowd;

static void *const null_slot = NULL;

#define CLOSED_6 CLOSED, CLOSED, CLOSED, CLOSED, CLOSED, CLOSED
#define CLOSED   ((void **)(uintptr_t)&null_slot)
#define CLOSED_42                                                              \
    CLOSED_6, CLOSED_6, CLOSED_6, CLOSED_6, CLOSED_6, CLOSED_6, CLOSED_6

static_assert(TCACHE_BIN_COUNT == 42, "CLOSED_42 closes every bin");

const cache_bins_t cache_bins_closed = {
    .heads = {CLOSED_42},
    .limits = {CLOSED_42},
};

/* ---- limits ---- */

/* The documented formula: twice a slab's regions, within bounds, even. */
static unsigned small_max(unsigned class_byte)
{
    size_t n = slab_shape(class_byte)->regions;
    ssize_t lg = opt.lg_tcache_nslots_mul;
    n = lg >= 0 ? n << lg : n >> -lg;
    size_t low = opt.tcache_nslots_small_min;
    size_t high = opt.tcache_nslots_small_max;
    low = low < 2 ? 2 : low + low % 2;
    high = high < 2 ? 2 : high - high % 2;
    n += n % 2;
    n = n < low ? low : n;
    return (unsigned)(n > high ? high : n);
}

unsigned tcache_class_usual(unsigned class_byte)
{
    unsigned usual = class_byte <= SC_SMALL_COUNT ? small_max(class_byte)
                                                  : opt.tcache_nslots_large;
    size_t count =
        sizeclass_listed(&opt.tcache_ncached_max, class_byte - 1, usual);
    return count > NSLOTS_LIMIT ? NSLOTS_LIMIT : (unsigned)count;
}

/*
 * What a class of small blocks may grow to while there are few threads: what
 * the formula says is far from what a program takes and frees at a time when
 * slabs have few regions. Who set one of its numbers gets what it says.
 */
static unsigned roomy_max(unsigned class_byte, unsigned usual)
{
    bool as_set = opt.lg_tcache_nslots_mul != CONF_LG_NSLOTS_MUL ||
                  opt.tcache_nslots_small_min != CONF_NSLOTS_SMALL_MIN ||
                  opt.tcache_nslots_small_max != CONF_NSLOTS_SMALL_MAX ||
                  opt.tcache_ncached_max.n != 0;
    if (as_set || usual == 0 || class_byte > SC_SMALL_COUNT) {
        return usual;
    }
    size_t n = ROOMY_BYTES / sizeclass_bytes[class_byte];
    n = n > ROOMY_SLOTS ? ROOMY_SLOTS : n - n % 2;
    return n > usual ? (unsigned)n : usual;
}

void tcache_boot(void)
{
    size_t reach = opt.tcache_max;
    if (reach > TCACHE_MAX_LIMIT) {
        reach = TCACHE_MAX_LIMIT;
    }
    limits.max_class = sizeclass_index(reach) + 1;
    for (unsigned c = 1; c < TCACHE_BIN_COUNT; c++) {
        limits.max[c] =
            c > limits.max_class ? 0 : (uint16_t)tcache_class_usual(c);
        crowd.roomy[c] = (uint16_t)roomy_max(c, limits.max[c]);
    }
}

unsigned tcache_max_class(void)
{
    return limits.max_class;
}

unsigned tcache_class_max(unsigned class_byte)
{
    return limits.max[class_byte];
}

const tcache_limits_t *tcache_default_limits(void)
{
    return &limits;
}

void tcache_get_limits(const tcache_t *tcache, tcache_limits_t *out)
{
    out->max_class = tcache->max_class;
    for (unsigned c = 0; c < TCACHE_BIN_COUNT; c++) {
        out->max[c] = tcache->cold[c].max;
    }
}

/* ---- stacks ---- */

/* Blocks that the class may grow to now. */
static unsigned class_reach(const tcache_t *tcache, unsigned class_byte)
{
    unsigned max = tcache->cold[class_byte].max;
    return max == limits.max[class_byte] &&
                   atomic_get_relaxed(&crowd.threads) <= ROOMY_THREADS
               ? crowd.roomy[class_byte]
               : max;
}

void tcache_init(
    tcache_t *tcache, arena_t *arena, unsigned shard, cache_bins_t **doors)
{
    memset(tcache, 0, sizeof(*tcache));
    memcpy(&tcache->bins, &cache_bins_closed, sizeof(tcache->bins));
    tcache->arena = arena;
    tcache->shard = shard;
    tcache->owner.doors = doors;
    if (doors != NULL) {
        (void)atomic_add_relaxed(&crowd.threads, 1);
    }
    tcache->max_class = limits.max_class;
    for (unsigned c = 1; c < TCACHE_BIN_COUNT; c++) {
        tcache->cold[c].max = limits.max[c];
    }
    list_init(&tcache->link);
}

static unsigned lg_words_for(unsigned capacity)
{
    unsigned lg = bits_lg_ceil(capacity + 1);
    return lg < CACHE_SLOTS_LG_MIN ? CACHE_SLOTS_LG_MIN : lg;
}

static void free_slots(tcache_bin_t *cold)
{
    if (cold->bottom != NULL) {
        cache_slots_free(
            cold->bottom + 1 - (1U << cold->lg_words), cold->lg_words);
    }
}

/*
 * Gives a class room for at least `capacity` blocks, keeping its contents.
 * Without memory it keeps the room it has; false if that is none.
 */
static bool ensure_capacity(
    tcache_t *tcache, unsigned class_byte, unsigned capacity)
{
    tcache_bin_t *cold = &tcache->cold[class_byte];
    unsigned max = class_reach(tcache, class_byte);
    if (cold->bottom != NULL && capacity <= cold->capacity) {
        return true;
    }
    unsigned lg = lg_words_for(capacity < max ? capacity : max);
    void **words = cache_slots_alloc(lg);
    if (words == NULL) {
        return cold->bottom != NULL;
    }
    unsigned cached = tcache_cached(tcache, class_byte);
    void **bottom = words + (1U << lg) - 1;
    *bottom = NULL;
    void **head = bottom - cached;
    if (cold->bottom != NULL) {
        memcpy(head, tcache->bins.heads[class_byte], cached * sizeof(*head));
        free_slots(cold);
    }
    capacity = (1U << lg) - 1;
    cold->capacity = (uint16_t)(capacity < max ? capacity : max);
    cold->lg_words = (uint8_t)lg;
    cold->bottom = bottom;
    tcache->bins.heads[class_byte] = head;
    tcache->bins.limits[class_byte] = bottom - cold->capacity;
    return true;
}

/* Requests that the arena has not been told of; they count as told now. */
static uint64_t take_requests(tcache_t *tcache, unsigned class_byte)
{
    tcache_bin_t *cold = &tcache->cold[class_byte];
    uint64_t requests = tcache->bins.requests[class_byte];
    uint64_t more = requests - cold->reported;
    cold->reported = requests;
    return more;
}

/* ---- miss ---- */

/* What this fill asks for: more each time the class misses again soon. */
static unsigned next_batch(tcache_t *tcache, unsigned class_byte)
{
    tcache_bin_t *cold = &tcache->cold[class_byte];
    unsigned most = class_reach(tcache, class_byte) / 2;
    if (cold->batch == 0) {
        cold->batch = class_byte <= SC_SMALL_COUNT ? FIRST_BATCH_SMALL
                                                   : FIRST_BATCH_LARGE;
    } else if (cold->missed) {
        cold->batch = (uint16_t)(cold->batch * 2);
    }
    cold->missed = true;
    if (cold->batch > most) {
        cold->batch = (uint16_t)(most == 0 ? 1 : most);
    }
    return cold->batch;
}

/*
 * The request is counted before it is served, so that the arena hears of it
 * with this fill; one that fails is taken back, which the next exchange
 * tells: `reported` is then one ahead, and differences wrap.
 */
void *tcache_refill(tcache_t *tcache, unsigned class_byte)
{
    tcache_bin_t *cold = &tcache->cold[class_byte];
    void *p = NULL;
    background_note_cache();
    unsigned batch = cold->max == 0 ? 0 : next_batch(tcache, class_byte);
    tcache->bins.requests[class_byte]++;
    cold->filled++;
    if (batch <= 1 || !ensure_capacity(tcache, class_byte, 2 * batch)) {
        uint64_t told = take_requests(tcache, class_byte);
        if (arena_fill(tcache->arena, class_byte, tcache->shard, &p, 1, told) ==
            0) {
            tcache->bins.requests[class_byte]--;
            cold->filled--;
        }
        return p;
    }
    if (batch > cold->capacity) {
        batch = cold->capacity; /* there was no memory for more room */
    }
    void **first = cold->bottom - batch;
    unsigned got = arena_fill(tcache->arena, class_byte, tcache->shard, first,
        batch, take_requests(tcache, class_byte));
    if (got == 0) {
        tcache->bins.requests[class_byte]--;
        cold->filled--;
        return NULL;
    }
    void **head = cold->bottom - got;
    if (got < batch) {
        memmove(head, first, got * sizeof(*head));
    }
    cold->filled += got - 1;
    tcache->bins.heads[class_byte] = head + 1;
    return *head;
}

/* ---- overflow ---- */

void tcache_return(
    tcache_t *tcache, unsigned class_byte, void *const *ptrs, unsigned count)
{
    block_flush(tcache->arena, class_byte, ptrs, count,
        take_requests(tcache, class_byte));
    tcache->cold[class_byte].flushed += count;
}

/* Gives the `count` oldest blocks back; the others move to the bottom. */
static void flush_oldest(tcache_t *tcache, unsigned class_byte, unsigned count)
{
    tcache_bin_t *cold = &tcache->cold[class_byte];
    void **head = tcache->bins.heads[class_byte];
    unsigned keep = (unsigned)(cold->bottom - head) - count;
    tcache_return(tcache, class_byte, cold->bottom - count, count);
    memmove(cold->bottom - keep, head, keep * sizeof(*head));
    tcache->bins.heads[class_byte] = cold->bottom - keep;
}

static unsigned kept_after_flush(unsigned class_byte, unsigned capacity)
{
    unsigned div = class_byte <= SC_SMALL_COUNT ? opt.lg_tcache_flush_small_div
                                                : opt.lg_tcache_flush_large_div;
    return capacity >> div;
}

void tcache_overflow(tcache_t *tcache, unsigned class_byte, void *ptr)
{
    tcache_bin_t *cold = &tcache->cold[class_byte];
    unsigned max = class_reach(tcache, class_byte);
    unsigned want = cold->bottom == NULL ? 2 : 2U * cold->capacity;
    bool grows =
        cold->bottom == NULL || (cold->overflowed && cold->capacity < max);
    background_note_cache();
    cold->overflowed = true;
    if (max == 0 || (grows && !ensure_capacity(tcache, class_byte, want))) {
        tcache_return(tcache, class_byte, &ptr, 1);
        return;
    }
    unsigned cached = tcache_cached(tcache, class_byte);
    if (cached == cold->capacity) {
        unsigned keep = kept_after_flush(class_byte, cold->capacity);
        flush_oldest(tcache, class_byte, cached > keep ? cached - keep : 1);
    }
    (void)cache_bins_push(&tcache->bins, class_byte, ptr);
}

/* ---- idle, and the end ---- */

static void shrink_class(tcache_t *tcache, unsigned class_byte)
{
    tcache_bin_t *cold = &tcache->cold[class_byte];
    uint64_t requests = tcache->bins.requests[class_byte];
    unsigned cached = tcache_cached(tcache, class_byte);
    if (requests == cold->seen) {
        unsigned keep = cached / IDLE_KEEP_DIVISOR;
        if (cached > keep) {
            flush_oldest(tcache, class_byte, cached - keep);
        }
        cold->batch = (uint16_t)(cold->batch / 2);
    }
    cold->seen = requests;
    cold->missed = false;
    cold->overflowed = false;
}

void tcache_shrink_idle(tcache_t *tcache)
{
    large_cache_shrink_idle(&tcache->large);
    for (unsigned c = 1; c <= tcache->max_class; c++) {
        if (tcache->cold[c].bottom != NULL) {
            shrink_class(tcache, c);
        }
    }
}

void tcache_flush(tcache_t *tcache)
{
    large_cache_flush(&tcache->large);
    for (unsigned c = 1; c <= tcache->max_class; c++) {
        unsigned cached = tcache_cached(tcache, c);
        if (cached != 0) {
            flush_oldest(tcache, c, cached);
        } else {
            arena_note_requests(
                tcache->arena, c, tcache->shard, take_requests(tcache, c));
        }
    }
}

void tcache_fini(tcache_t *tcache)
{
    tcache_flush(tcache);
    for (unsigned c = 1; c < TCACHE_BIN_COUNT; c++) {
        free_slots(&tcache->cold[c]);
    }
    if (tcache->owner.doors != NULL) {
        (void)atomic_sub_relaxed(&crowd.threads, 1);
    }
}

/* An empty class without a stack, as if it had never been used. */
static void forget_stack(tcache_t *tcache, unsigned class_byte)
{
    tcache_bin_t *cold = &tcache->cold[class_byte];
    free_slots(cold);
    cold->bottom = NULL;
    cold->capacity = 0;
    cold->lg_words = 0;
    cold->batch = 0;
    tcache->bins.heads[class_byte] = cache_bins_closed.heads[class_byte];
    tcache->bins.limits[class_byte] = cache_bins_closed.limits[class_byte];
}

void tcache_set_limits(tcache_t *tcache, const tcache_limits_t *new_limits)
{
    tcache_flush(tcache);
    tcache->max_class = new_limits->max_class;
    for (unsigned c = 1; c < TCACHE_BIN_COUNT; c++) {
        if (tcache->cold[c].max != new_limits->max[c]) {
            forget_stack(tcache, c);
            tcache->cold[c].max = new_limits->max[c];
        }
    }
}

void tcache_traffic(
    const tcache_t *tcache, uint64_t *allocated, uint64_t *deallocated)
{
    *allocated = 0;
    *deallocated = 0;
    for (unsigned c = 1; c < TCACHE_BIN_COUNT; c++) {
        const tcache_bin_t *cold = &tcache->cold[c];
        uint64_t requests = tcache->bins.requests[c];
        /* Blocks may come in without a request: others' and those of flags. */
        unsigned cached = tcache_cached(tcache, c);
        if ((requests | cold->flushed | cached) == 0) {
            continue;
        }
        uint64_t freed = requests + cached - cold->filled + cold->flushed;
        *allocated += requests * sizeclass_bytes[c];
        *deallocated += freed * sizeclass_bytes[c];
    }
}
