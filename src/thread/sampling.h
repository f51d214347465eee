/*
 * What: which of a thread's allocations the profiler samples, and which are
 * guarded (arena/guarded.h), found out without an instruction on the fast
 * path.
 *
 * For each class that caches hold a countdown is drawn: so many blocks until
 * the next of either kind. The cache counts its requests anyway; for a thread
 * with such a record it counts them from minus the countdown up to zero, and
 * a request that makes zero goes to the slow path (cache_bin.h).
 *
 * Sized deallocation does not look at the address map, where such a block
 * shows: its door is closed, and the slow path looks there.
 *
 * Invariants: (I1) between calls a class counts from -1 or below, or is at 0:
 * then the last request was refused; (I2) what statistics make of the counts,
 * differences and bytes, does not notice a new countdown.
 *
 * Locking: a thread's own, between tsd_enter and tsd_leave.
 */
#ifndef JE_THREAD_SAMPLING_H
#define JE_THREAD_SAMPLING_H

#include "arena/guarded.h"
#include "cache/tcache.h"
#include "conf/sizeclass.h"
#include "prof/prof.h"

typedef struct sampling {
    uint64_t drawn;        /* a bit for each class that has a countdown */
    uint64_t guards;       /* a bit for each whose next event is a guard's */
    uint64_t random;       /* for their countdowns */
    double guard_scale;    /* minus the mean of a continuous one */
    uint64_t offset_bytes; /* what the counts say too little, in bytes */
    uint32_t generation;   /* of the rate that the countdowns are drawn from */
    uint32_t thread;       /* who this is: see guard.c; 0: not asked yet */
    uint32_t asked;        /* how often its name was wanted */
    char name[16];
} sampling_t;

/* For the thread's own cache; NULL if memory is short. */
sampling_t *sampling_create(tcache_t *tcache);
void sampling_destroy(sampling_t *sampling);

typedef enum {
    SAMPLING_NOTHING,
    SAMPLING_PROFILE,
    SAMPLING_GUARD, /* never of a block larger than caches hold */
} sampling_due_t;

/*
 * What the allocation of `usize` bytes that is about to be made is to be. If
 * it is neither, it must be counted: by the thread's cache, or by
 * sampling_skip.
 */
JE_MUST_USE sampling_due_t sampling_decide(
    sampling_t *sampling, tcache_t *tcache, size_t usize);

/* The same; most calls come when the class has a countdown that is not over. */
JE_MUST_USE static inline sampling_due_t sampling_due(
    sampling_t *sampling, tcache_t *tcache, size_t usize)
{
    if (usize <= SC_LOOKUP_MAX &&
        sampling->generation == prof_rate_generation() &&
        tcache->bins.requests[sizeclass_lookup(usize)] + 1 > 1) {
        return SAMPLING_NOTHING;
    }
    return sampling_decide(sampling, tcache, usize);
}

/* A block that was to be guarded will be counted like others. */
void sampling_pass(sampling_t *sampling, tcache_t *tcache, size_t usize);

/* Counts an allocation that goes past the thread's cache. */
void sampling_skip(sampling_t *sampling, tcache_t *tcache, size_t usize);

/* After the rate may have changed: countdowns from the new one. */
void sampling_follow(sampling_t *sampling, tcache_t *tcache);

#endif
