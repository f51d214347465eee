/*
 * What: see sampling.h.
 *
 * Invariants: as there.
 *
 * Locking: as there.
 */
#include "thread/sampling.h"

#include "cache/cache_slots.h"
#include "conf/conf.h"
#include "conf/sizeclass.h"
#include "os/os.h"
#include "util/bits.h"
#include "util/exponent.h"
#include "util/prng.h"

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

static unsigned record_lg(void)
{
    unsigned lg = bits_lg_ceil((sizeof(sampling_t) - 1) / sizeof(void *) + 1);
    return lg < CACHE_SLOTS_LG_MIN ? CACHE_SLOTS_LG_MIN : lg;
}

sampling_t *sampling_create(tcache_t *tcache)
{
    prof_enter();
    sampling_t *s = prof_self == NULL && !guarded_is_on()
                        ? NULL
                        : cache_slots_alloc(record_lg());
    if (s == NULL) {
        prof_leave();
        return NULL;
    }
    *s = (sampling_t){.generation = prof_rate_generation()};
    if (guarded_is_on()) {
        s->random = os_random();
        s->guard_scale =
            opt.guard_sample <= 1
                ? 0
                : 1 / exponent_ln(1 - 1 / (double)opt.guard_sample);
    }
    for (unsigned c = 1; c < TCACHE_BIN_COUNT; c++) {
        count_from(s, tcache, c, due_next);
    }
    return s;
}

void sampling_destroy(sampling_t *sampling)
{
    cache_slots_free(sampling, record_lg());
    prof_leave();
}

/* Blocks up to and with the next guarded one: geometric, with a mean of N. */
static uint64_t draw_guard(sampling_t *sampling)
{
    uint64_t bits = prng_bits(&sampling->random, 53);
    double u = ((double)bits + 0.5) / 9007199254740992.0;
    return (uint64_t)(exponent_ln(u) * sampling->guard_scale) + 1;
}

/*
 * Whichever comes first. Since neither draw remembers what was before, both
 * may be made anew whenever one of them is.
 */
static void draw(sampling_t *sampling, tcache_t *tcache, unsigned class_byte)
{
    uint64_t bit = UINT64_C(1) << class_byte;
    uint64_t blocks = UINT64_C(1) << 62; /* no program makes so many */
    sampling->guards &= ~bit;
    if (prof_self != NULL) {
        blocks =
            prof_rate_draw(&prof_self->random, sizeclass_bytes[class_byte]);
    }
    if (guarded_is_on()) {
        uint64_t to_guard = draw_guard(sampling);
        sampling->guards |= to_guard < blocks ? bit : 0;
        blocks = to_guard < blocks ? to_guard : blocks;
    }
    count_from(sampling, tcache, class_byte, -blocks);
    sampling->drawn |= bit;
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

/* A block that was due and is to be an ordinary one counts like others. */
void sampling_pass(sampling_t *sampling, tcache_t *tcache, size_t usize)
{
    unsigned class_byte = sizeclass_index(usize) + 1;
    if (tcache->bins.requests[class_byte] == due_next) {
        count_from(sampling, tcache, class_byte, due_next - 1);
    }
}

static sampling_due_t class_due(
    sampling_t *sampling, tcache_t *tcache, size_t usize)
{
    unsigned class_byte = sizeclass_index(usize) + 1;
    const uint64_t *requests = &tcache->bins.requests[class_byte];
    uncount_refused(tcache, class_byte);
    sampling_follow(sampling, tcache);
    if (!is_drawn(sampling, class_byte)) {
        draw(sampling, tcache, class_byte);
    }
    if (*requests != due_next) {
        return SAMPLING_NOTHING;
    }
    bool is_guard = (sampling->guards >> class_byte & 1) != 0;
    draw(sampling, tcache, class_byte);
    if (is_guard) {
        return SAMPLING_GUARD;
    }
    if (prof_self != NULL && prof_is_sampling(prof_self)) {
        return SAMPLING_PROFILE;
    }
    sampling_pass(sampling, tcache, usize);
    return SAMPLING_NOTHING;
}

sampling_due_t sampling_decide(
    sampling_t *sampling, tcache_t *tcache, size_t usize)
{
    if (usize <= TCACHE_MAX_LIMIT) {
        return class_due(sampling, tcache, usize);
    }
    return prof_self != NULL && prof_is_due(prof_self, usize)
               ? SAMPLING_PROFILE
               : SAMPLING_NOTHING;
}

void sampling_skip(sampling_t *sampling, tcache_t *tcache, size_t usize)
{
    if (usize <= TCACHE_MAX_LIMIT) {
        unsigned class_byte = sizeclass_index(usize) + 1;
        count_from(sampling, tcache, class_byte,
            tcache->bins.requests[class_byte] + 1);
    }
}
