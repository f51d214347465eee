/*
 * What: see sampling.h.
 *
 * Invariants: as there.
 *
 * Locking: as there.
 */
#include "thread/sampling.h"

#include <string.h>

#include "conf/sizeclass.h"
#include "prof/prof_pool.h"

/*
 * A window is large enough that the slow path is seldom met, and small enough
 * that the blocks in it stay in the processor's cache together.
 */
#define WINDOW_BYTES  ((size_t)16 << 10)
#define WINDOW_LEAST  4
#define WINDOW_BLOCKS 64

static_assert(WINDOW_BLOCKS <= UINT8_MAX, "`want` is a byte");

static size_t window_capacity(unsigned class_byte)
{
    size_t blocks = WINDOW_BYTES / sizeclass_size(class_byte - 1);
    return blocks < WINDOW_LEAST    ? WINDOW_LEAST
           : blocks > WINDOW_BLOCKS ? WINDOW_BLOCKS
                                    : blocks;
}

/* With a slot for the NULL at the bottom of each. */
static size_t slot_count(void)
{
    size_t count = 0;
    for (unsigned c = 1; c <= SAMPLING_CLASSES; c++) {
        count += window_capacity(c) + 1;
    }
    return count;
}

static size_t record_bytes(void)
{
    return sizeof(sampling_t) + slot_count() * sizeof(void *);
}

sampling_t *sampling_create(void)
{
    prof_enter();
    sampling_t *s = prof_self == NULL ? NULL : prof_pool_alloc(record_bytes());
    if (s == NULL) {
        prof_leave();
        return NULL;
    }
    memset(s, 0, record_bytes());
    memcpy(&s->bins, &cache_bins_closed, sizeof(s->bins));
    void **slot = s->slots;
    for (unsigned c = 1; c <= SAMPLING_CLASSES; c++) {
        slot += window_capacity(c);
        s->bottoms[c] = slot;
        s->bins.heads[c] = slot++;
    }
    return s;
}

void sampling_destroy(sampling_t *sampling, tcache_t *tcache)
{
    sampling_return(sampling, tcache);
    prof_pool_free(sampling, record_bytes());
    prof_leave();
}

/* A changed rate makes all countdowns void. */
static void follow_rate(sampling_t *sampling)
{
    uint32_t generation = prof_rate_generation();
    if (JE_UNLIKELY(sampling->generation != generation)) {
        sampling->generation = generation;
        memset(sampling->countdown, 0, sizeof(sampling->countdown));
    }
}

static void draw(sampling_t *sampling, unsigned class_byte)
{
    if (sampling->countdown[class_byte] == 0) {
        sampling->countdown[class_byte] =
            prof_rate_draw(&prof_self->random, sizeclass_size(class_byte - 1));
    }
}

bool sampling_is_due(sampling_t *sampling, size_t usize)
{
    if (usize > SC_LOOKUP_MAX) {
        return prof_is_due(prof_self, usize);
    }
    unsigned class_byte = (unsigned)sizeclass_lookup(usize);
    follow_rate(sampling);
    draw(sampling, class_byte);
    return --sampling->countdown[class_byte] == 0 &&
           prof_is_sampling(prof_self);
}

/* What this filling is to bring: more each time, up to the capacity. */
static unsigned next_want(
    sampling_t *sampling, unsigned class_byte, unsigned most)
{
    unsigned want = sampling->want[class_byte];
    unsigned capacity = (unsigned)window_capacity(class_byte);
    capacity = capacity < most ? capacity : most;
    want = want == 0 ? WINDOW_LEAST : 2 * want;
    want = want < capacity ? want : capacity;
    sampling->want[class_byte] = (uint8_t)want;
    uint64_t before_sample = sampling->countdown[class_byte] - 1;
    return want < before_sample ? want : (unsigned)before_sample;
}

/* Puts the topmost `count` blocks of the cache on top of the window. */
static void move(
    sampling_t *sampling, tcache_t *tcache, unsigned class_byte, unsigned count)
{
    void **from = tcache->bins.heads[class_byte];
    void **to = sampling->bins.heads[class_byte] - count;
    memcpy(to, from, count * sizeof(*from));
    sampling->bins.heads[class_byte] = to;
    sampling->countdown[class_byte] -= count;
    tcache->bins.heads[class_byte] = from + count;
    tcache->bins.requests[class_byte] += count;
}

void *sampling_pop(sampling_t *sampling, tcache_t *tcache, size_t class_byte)
{
    unsigned want = sampling->want[class_byte];
    unsigned cached = tcache_cached(tcache, (unsigned)class_byte);
    uint64_t before_sample = sampling->countdown[class_byte];
    if (before_sample <= want || 2 * cached < want || want < WINDOW_LEAST ||
        sampling->generation != prof_rate_generation() ||
        (sampling->calls + 1) % SAMPLING_CALLS_PER_EVENT == 0) {
        return NULL;
    }
    sampling->calls++;
    move(sampling, tcache, (unsigned)class_byte, cached < want ? cached : want);
    return cache_bins_pop(&sampling->bins, class_byte);
}

/* An empty stack gets a batch. */
static void refill(tcache_t *tcache, unsigned class_byte)
{
    void *p = tcache_holds(tcache, class_byte)
                  ? tcache_refill(tcache, class_byte)
                  : NULL;
    if (p != NULL) {
        tcache->bins.requests[class_byte]--;
        if (!cache_bins_push(&tcache->bins, class_byte, p)) {
            tcache_overflow(tcache, class_byte, p);
        }
    }
}

/*
 * A program that frees what it just took leaves the cache with the few blocks
 * of its first batch, over and over: then the cache gets more. Half of what
 * is wanted is enough, so that a batch more still finds room in the cache.
 */
void sampling_fill(sampling_t *sampling, tcache_t *tcache, unsigned class_byte)
{
    if (class_byte > SAMPLING_CLASSES ||
        sampling->bins.heads[class_byte] != sampling->bottoms[class_byte]) {
        return;
    }
    draw(sampling, class_byte);
    unsigned want =
        next_want(sampling, class_byte, tcache->cold[class_byte].max);
    unsigned cached = tcache_cached(tcache, class_byte);
    if (2 * cached < want) {
        move(sampling, tcache, class_byte, cached);
        want -= cached;
        refill(tcache, class_byte);
        cached = tcache_cached(tcache, class_byte);
    }
    move(sampling, tcache, class_byte, cached < want ? cached : want);
}

void sampling_return(sampling_t *sampling, tcache_t *tcache)
{
    for (unsigned c = 1; c <= SAMPLING_CLASSES; c++) {
        void **bottom = sampling->bottoms[c];
        for (void **p = sampling->bins.heads[c]; p < bottom; p++) {
            tcache->bins.requests[c]--;
            if (!cache_bins_push(&tcache->bins, c, *p)) {
                tcache_overflow(tcache, c, *p);
            }
            sampling->countdown[c]++;
        }
        sampling->bins.heads[c] = bottom;
        sampling->want[c] = 0;
    }
}

uint64_t sampling_held_bytes(const sampling_t *sampling)
{
    uint64_t bytes = 0;
    for (unsigned c = 1; c <= SAMPLING_CLASSES; c++) {
        bytes += (size_t)(sampling->bottoms[c] - sampling->bins.heads[c]) *
                 sizeclass_size(c - 1);
    }
    return bytes;
}
