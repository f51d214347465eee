/*
 * What: see sampling.h.
 *
 * Invariants: as there.
 *
 * Locking: as there.
 */
#include "thread/sampling.h"

#include <string.h>

#include "cache/cache_slots.h"
#include "conf/sizeclass.h"
#include "prof/prof_pool.h"

/*
 * A window is large enough that the slow path is seldom met, and small enough
 * that the blocks in it stay in the processor's cache together.
 */
#define WINDOW_BYTES  ((size_t)16 << 10)
#define WINDOW_LEAST  4
#define WINDOW_BLOCKS 128

static_assert(WINDOW_BLOCKS <= UINT8_MAX, "`want` is a byte");

static size_t window_capacity(unsigned class_byte)
{
    size_t blocks = WINDOW_BYTES / sizeclass_size(class_byte - 1);
    return blocks < WINDOW_LEAST    ? WINDOW_LEAST
           : blocks > WINDOW_BLOCKS ? WINDOW_BLOCKS
                                    : blocks;
}

sampling_t *sampling_create(void)
{
    prof_enter();
    sampling_t *s =
        prof_self == NULL ? NULL : prof_pool_alloc(sizeof(sampling_t));
    if (s == NULL) {
        prof_leave();
        return NULL;
    }
    memset(s, 0, sizeof(*s));
    memcpy(&s->bins, &cache_bins_closed, sizeof(s->bins));
    return s;
}

/* The stack of an empty window goes. */
static void free_stack(sampling_t *sampling, unsigned class_byte)
{
    void **bottom = sampling->windows[class_byte].bottom;
    unsigned lg = sampling->windows[class_byte].lg_words;
    if (bottom != NULL) {
        cache_slots_free(bottom + 1 - (1U << lg), lg);
    }
    sampling->windows[class_byte].bottom = NULL;
    sampling->windows[class_byte].lg_words = 0;
    sampling->bins.heads[class_byte] = cache_bins_closed.heads[class_byte];
}

/* An empty window gets a stack as large as the cache's; false: it has none. */
static bool ensure_stack(
    sampling_t *sampling, const tcache_t *tcache, unsigned class_byte)
{
    unsigned lg = tcache->cold[class_byte].lg_words;
    if (tcache->cold[class_byte].bottom == NULL) {
        return false;
    }
    if (sampling->windows[class_byte].lg_words == lg) {
        return true;
    }
    void **words = cache_slots_alloc(lg);
    if (words == NULL) {
        return false;
    }
    free_stack(sampling, class_byte);
    void **bottom = words + (1U << lg) - 1;
    *bottom = NULL;
    sampling->windows[class_byte].bottom = bottom;
    sampling->windows[class_byte].lg_words = (uint8_t)lg;
    sampling->bins.heads[class_byte] = bottom;
    return true;
}

void sampling_destroy(sampling_t *sampling, tcache_t *tcache)
{
    sampling_return(sampling, tcache);
    for (unsigned c = 1; c <= SAMPLING_CLASSES; c++) {
        free_stack(sampling, c);
    }
    prof_pool_free(sampling, sizeof(*sampling));
    prof_leave();
}

/* A changed rate makes all countdowns void. */
static void follow_rate(sampling_t *sampling)
{
    uint32_t generation = prof_rate_generation();
    if (JE_UNLIKELY(sampling->generation != generation)) {
        sampling->generation = generation;
        for (unsigned c = 1; c <= SAMPLING_CLASSES; c++) {
            sampling->windows[c].countdown = 0;
        }
    }
}

static void draw(sampling_t *sampling, unsigned class_byte)
{
    if (sampling->windows[class_byte].countdown == 0) {
        sampling->windows[class_byte].countdown =
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
    return --sampling->windows[class_byte].countdown == 0 &&
           prof_is_sampling(prof_self);
}

/* What this filling is to bring: more each time, up to the capacity. */
static unsigned next_want(
    sampling_t *sampling, unsigned class_byte, unsigned most)
{
    window_t *window = &sampling->windows[class_byte];
    unsigned room = (1U << window->lg_words) - 1;
    unsigned capacity = (unsigned)window_capacity(class_byte);
    capacity = capacity < most ? capacity : most;
    capacity = capacity < room ? capacity : room;
    unsigned want = window->want == 0 ? WINDOW_LEAST : 2U * window->want;
    want = want < capacity ? want : capacity;
    window->want = (uint8_t)want;
    uint64_t before_sample = window->countdown - 1;
    return want < before_sample ? want : (unsigned)before_sample;
}

/* Counts blocks that go from the cache to the window. */
static inline void note(
    sampling_t *sampling, tcache_t *tcache, size_t class_byte, unsigned count)
{
    sampling->windows[class_byte].countdown -= count;
    tcache->bins.requests[class_byte] += count;
}

/* Puts the topmost `count` blocks of the cache on top of the window. */
JE_NOINLINE static void move(
    sampling_t *sampling, tcache_t *tcache, unsigned class_byte, unsigned count)
{
    void **from = tcache->bins.heads[class_byte];
    void **to = sampling->bins.heads[class_byte] - count;
    memcpy(to, from, count * sizeof(*from));
    sampling->bins.heads[class_byte] = to;
    tcache->bins.heads[class_byte] = from + count;
    note(sampling, tcache, class_byte, count);
}

/* All that the cache holds goes into the empty window: the stacks change. */
static inline void exchange(
    sampling_t *sampling, tcache_t *tcache, size_t class_byte, unsigned count)
{
    tcache_bin_t *cold = &tcache->cold[class_byte];
    void **bottom = sampling->windows[class_byte].bottom;
    sampling->bins.heads[class_byte] = tcache->bins.heads[class_byte];
    sampling->windows[class_byte].bottom = cold->bottom;
    cold->bottom = bottom;
    tcache->bins.heads[class_byte] = bottom;
    tcache->bins.limits[class_byte] = bottom - cold->capacity;
    note(sampling, tcache, class_byte, count);
}

void *sampling_pop(sampling_t *sampling, tcache_t *tcache, size_t class_byte)
{
    const window_t *window = &sampling->windows[class_byte];
    const tcache_bin_t *cold = &tcache->cold[class_byte];
    uint64_t want = window->want;
    if (window->lg_words != cold->lg_words || want == 0 ||
        sampling->generation != prof_rate_generation() ||
        (sampling->calls + 1) % SAMPLING_CALLS_PER_EVENT == 0) {
        return NULL;
    }
    uint64_t cached = (uint64_t)(cold->bottom - tcache->bins.heads[class_byte]);
    if (2 * cached < want || window->countdown <= 2 * want) {
        return NULL;
    }
    sampling->calls++;
    if (JE_LIKELY(cached <= 2 * want)) {
        exchange(sampling, tcache, class_byte, (unsigned)cached);
    } else {
        move(sampling, tcache, (unsigned)class_byte, (unsigned)want);
    }
    void **head = sampling->bins.heads[class_byte];
    sampling->bins.heads[class_byte] = head + 1;
    return *head;
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
        *sampling->bins.heads[class_byte] != NULL ||
        !ensure_stack(sampling, tcache, class_byte)) {
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
        void **bottom = sampling->windows[c].bottom;
        if (bottom == NULL) {
            continue;
        }
        for (void **p = sampling->bins.heads[c]; p < bottom; p++) {
            tcache->bins.requests[c]--;
            if (!cache_bins_push(&tcache->bins, c, *p)) {
                tcache_overflow(tcache, c, *p);
            }
            sampling->windows[c].countdown++;
        }
        sampling->bins.heads[c] = bottom;
        sampling->windows[c].want = 0;
    }
}

uint64_t sampling_held_bytes(const sampling_t *sampling)
{
    uint64_t bytes = 0;
    for (unsigned c = 1; c <= SAMPLING_CLASSES; c++) {
        bytes += sampling->windows[c].bottom == NULL
                     ? 0
                     : (size_t)(sampling->windows[c].bottom -
                                sampling->bins.heads[c]) *
                           sizeclass_size(c - 1);
    }
    return bytes;
}
