/*
 * What: see sampling.h.
 *
 * Invariants: as there.
 *
 * Locking: as there.
 */
#include "thread/sampling.h"

#include "conf/sizeclass.h"
#include "prof/prof_pool.h"

static_assert(TCACHE_BIN_COUNT <= 64, "`drawn` has a bit for each class");

/* The request that makes zero is the one that is due. */
static const uint64_t due_next = UINT64_MAX;

/*
 * The class counts from here on. Who looks at the counts meanwhile sees
 * less requested than reported, which counts as nothing.
 */
static void count_from(
    sampling_t *sampling, tcache_t *tcache, unsigned class_byte, uint64_t start)
{
    tcache_bin_t *cold = &tcache->cold[class_byte];
    uint64_t *requests = &tcache->bins.requests[class_byte];
    uint64_t difference = start - *requests;
    if ((int64_t)difference < 0) {
        *requests = start;
        cold->reported += difference;
    } else {
        cold->reported += difference;
        *requests = start;
    }
    cold->seen += difference;
    sampling->offset_bytes -= difference * sizeclass_bytes[class_byte];
}

sampling_t *sampling_create(tcache_t *tcache)
{
    prof_enter();
    sampling_t *s =
        prof_self == NULL ? NULL : prof_pool_alloc(sizeof(sampling_t));
    if (s == NULL) {
        prof_leave();
        return NULL;
    }
    *s = (sampling_t){.generation = prof_rate_generation()};
    for (unsigned c = 1; c < TCACHE_BIN_COUNT; c++) {
        count_from(s, tcache, c, due_next);
    }
    return s;
}

void sampling_destroy(sampling_t *sampling)
{
    prof_pool_free(sampling, sizeof(*sampling));
    prof_leave();
}

static void draw(sampling_t *sampling, tcache_t *tcache, unsigned class_byte)
{
    uint64_t blocks =
        prof_rate_draw(&prof_self->random, sizeclass_bytes[class_byte]);
    count_from(sampling, tcache, class_byte, -blocks);
    sampling->drawn |= UINT64_C(1) << class_byte;
}

static bool is_drawn(const sampling_t *sampling, unsigned class_byte)
{
    return (sampling->drawn >> class_byte & 1) != 0;
}

void sampling_follow(sampling_t *sampling, tcache_t *tcache)
{
    uint32_t generation = prof_rate_generation();
    if (JE_LIKELY(sampling->generation == generation)) {
        return;
    }
    sampling->generation = generation;
    for (unsigned c = 1; c < TCACHE_BIN_COUNT; c++) {
        if (is_drawn(sampling, c)) {
            draw(sampling, tcache, c);
        }
    }
}

/* A request that the cache refused was not served by it. */
static void uncount_refused(tcache_t *tcache, unsigned class_byte)
{
    if (tcache->bins.requests[class_byte] == 0) {
        tcache->bins.requests[class_byte] = due_next;
    }
}

static bool is_class_due(
    sampling_t *sampling, tcache_t *tcache, unsigned class_byte)
{
    const uint64_t *requests = &tcache->bins.requests[class_byte];
    uncount_refused(tcache, class_byte);
    sampling_follow(sampling, tcache);
    if (!is_drawn(sampling, class_byte)) {
        draw(sampling, tcache, class_byte);
    }
    if (*requests != due_next) {
        return false;
    }
    draw(sampling, tcache, class_byte);
    if (prof_is_sampling(prof_self)) {
        return true;
    }
    if (*requests == due_next) {
        count_from(sampling, tcache, class_byte, due_next - 1);
    }
    return false;
}

bool sampling_decide(sampling_t *sampling, tcache_t *tcache, size_t usize)
{
    return usize > TCACHE_MAX_LIMIT
               ? prof_is_due(prof_self, usize)
               : is_class_due(sampling, tcache, sizeclass_index(usize) + 1);
}

void sampling_skip(sampling_t *sampling, tcache_t *tcache, size_t usize)
{
    if (usize <= TCACHE_MAX_LIMIT) {
        unsigned class_byte = sizeclass_index(usize) + 1;
        count_from(sampling, tcache, class_byte,
            tcache->bins.requests[class_byte] + 1);
    }
}
