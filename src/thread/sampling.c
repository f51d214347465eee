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

void sampling_fill(sampling_t *sampling, tcache_t *tcache, unsigned class_byte)
{
    if (class_byte > SAMPLING_CLASSES) {
        return;
    }
    void **bottom = sampling->bottoms[class_byte];
    unsigned count = tcache_cached(tcache, class_byte);
    if (sampling->bins.heads[class_byte] != bottom || count == 0) {
        return;
    }
    draw(sampling, class_byte);
    uint64_t before_sample = sampling->countdown[class_byte] - 1;
    size_t capacity = window_capacity(class_byte);
    count = count < capacity ? count : (unsigned)capacity;
    count = count < before_sample ? count : (unsigned)before_sample;
    void **from = tcache->bins.heads[class_byte];
    memcpy(bottom - count, from, count * sizeof(*from));
    sampling->bins.heads[class_byte] = bottom - count;
    sampling->countdown[class_byte] -= count;
    tcache->bins.heads[class_byte] = from + count;
    tcache->bins.requests[class_byte] += count;
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
