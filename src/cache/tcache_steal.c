/*
 * What: see tcache_steal.h.
 *
 * Invariants: as there.
 *
 * Locking: as there.
 */
#include "cache/tcache_steal.h"

#include <string.h>

#include "conf/sizeclass.h"

/*
 * A thread that holds less is left alone: it wakes up faster with its door
 * open, and thousands of them still hold little.
 */
#define WORTH_BYTES 4096

/* Blocks that go back at a time. */
#define CHUNK 64

/* Distinguishes a pair of calls from none in the sum of all heads. */
#define ACTIVITY_FACTOR 0x9e3779b97f4a7c15ULL

typedef void **heads_t[TCACHE_BIN_COUNT];

JE_RACY bool tcache_was_active(tcache_t *tcache)
{
    uint64_t sum = racy_get(tcache->large.uses);
    for (unsigned c = 1; c < TCACHE_BIN_COUNT; c++) {
        sum += racy_get(tcache->bins.requests[c]) * ACTIVITY_FACTOR;
        sum += (uintptr_t)racy_get(tcache->bins.heads[c]);
    }
    bool active = sum != tcache->owner.activity;
    tcache->owner.activity = sum;
    return active;
}

/* What a call under way may already have read. */
static unsigned left_on_top(unsigned class_byte)
{
    return class_byte <= sizeclass_lookup(SC_LOOKUP_MAX) ? 1 : 0;
}

JE_RACY bool tcache_is_worth_stealing(const tcache_t *tcache)
{
    size_t bytes = atomic_get_relaxed(&tcache->large.bytes);
    for (unsigned c = 1; c < TCACHE_BIN_COUNT; c++) {
        const tcache_bin_t *cold = &tcache->cold[c];
        uintptr_t held = (uintptr_t)racy_get(cold->bottom) -
                         (uintptr_t)racy_get(tcache->bins.heads[c]);
        size_t cached = held / sizeof(void *) - racy_get(cold->stolen);
        if (racy_get(cold->bottom) != NULL && cached > left_on_top(c)) {
            bytes += (cached - left_on_top(c)) * sizeclass_size(c - 1);
        }
    }
    return bytes > WORTH_BYTES;
}

JE_RACY void tcache_claim(tcache_t *tcache)
{
    tcache->owner.emptied = false;
    atomic_put_relaxed(&tcache->owner.claimed, true);
    /* Casting away const is safe: nothing writes through a closed door. */
    for (unsigned i = 0; i < CACHE_DOORS; i++) {
        racy_put(tcache->owner.doors[i],
            (cache_bins_t *)(uintptr_t)&cache_bins_closed);
    }
}

/*
 * Whether the owner opened its door after it was closed here: it was just
 * doing so and had seen no claim yet. It is left alone, as if still busy.
 */
JE_RACY static bool is_door_open(const tcache_t *tcache)
{
    for (unsigned i = 0; i < CACHE_DOORS; i++) {
        if (racy_get(tcache->owner.doors[i]) != &cache_bins_closed) {
            return true;
        }
    }
    return false;
}

JE_RACY static void read_heads(const tcache_t *tcache, heads_t heads)
{
    for (unsigned c = 1; c < TCACHE_BIN_COUNT; c++) {
        heads[c] = racy_get(tcache->bins.heads[c]);
    }
}

JE_RACY static void steal_class(
    tcache_t *tcache, unsigned class_byte, void **head)
{
    tcache_bin_t *cold = &tcache->cold[class_byte];
    void **slot = head + left_on_top(class_byte);
    while (slot < cold->bottom) {
        void *taken[CHUNK];
        unsigned count = 0;
        for (; slot < cold->bottom && count < CHUNK; slot++) {
            taken[count++] = racy_get(*slot);
            racy_put(*slot, NULL);
        }
        cold->stolen = (uint16_t)(cold->stolen + count);
        tcache_return(tcache, class_byte, taken, count);
    }
    cold->batch = (uint16_t)(cold->batch / 2);
    cold->missed = false;
    cold->overflowed = false;
}

static void steal_all(tcache_t *tcache, heads_t heads)
{
    large_cache_flush_clean(&tcache->large);
    for (unsigned c = 1; c < TCACHE_BIN_COUNT; c++) {
        if (tcache->cold[c].bottom != NULL) {
            steal_class(tcache, c, heads[c]);
        }
    }
    tcache->owner.emptied = true;
}

bool tcache_steal(tcache_t *const *victims, unsigned count)
{
    assert(count <= TCACHE_STEAL_BATCH);
    heads_t heads[TCACHE_STEAL_BATCH];
    bool left_alone[TCACHE_STEAL_BATCH];
    for (unsigned i = 0; i < count; i++) {
        tcache_claim(victims[i]);
    }
    if (!os_barrier_everywhere()) {
        return false;
    }
    for (unsigned i = 0; i < count; i++) {
        left_alone[i] = atomic_get_acquire(&victims[i]->owner.busy) != 0 ||
                        is_door_open(victims[i]);
        read_heads(victims[i], heads[i]);
    }
    if (!os_barrier_everywhere()) {
        return false;
    }
    for (unsigned i = 0; i < count; i++) {
        if (!left_alone[i]) {
            steal_all(victims[i], heads[i]);
        }
    }
    return true;
}

void tcache_settle(tcache_t *tcache)
{
    for (unsigned c = 1; c < TCACHE_BIN_COUNT; c++) {
        tcache_bin_t *cold = &tcache->cold[c];
        if (cold->stolen == 0) {
            continue;
        }
        unsigned left = tcache_cached(tcache, c);
        void **head = cold->bottom - left;
        memmove(head, tcache->bins.heads[c], left * sizeof(*head));
        tcache->bins.heads[c] = head;
        cold->stolen = 0;
    }
    atomic_put_release(&tcache->owner.claimed, false);
}
