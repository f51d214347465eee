/*
 * What: the heap profiler as the rest of the library sees it: its switches,
 * the record of a thread, the life of a sample.
 *
 *   due? --yes--> a block with pages of its own, whose descriptor names the
 *   sample --prof_sample--> counted (prof_table) --freed, resized--> forgotten
 *
 * A block is found to be sampled by the flag of its descriptor alone: the
 * address map calls it large, so that a fast free never sees it.
 *
 * Invariants: (I1) nothing of it runs while a lock of a lower layer is held;
 * (I2) a sampled extent has a sample, others have none; (I3) off, it costs
 * nothing and has no memory.
 *
 * Locking: its own; see the parts. A prof_thread_t belongs to its thread.
 */
#ifndef JE_PROF_PROF_H
#define JE_PROF_PROF_H

#include "arena/block.h"
#include "prof/prof_dump.h"
#include "prof/prof_log.h"
#include "prof/prof_rate.h"
#include "prof/prof_recent.h"
#include "prof/prof_stats.h"
#include "prof/prof_table.h"

typedef struct prof_thread {
    prof_identity_t *identity;
    uint64_t random;
    uint64_t distance;      /* bytes to the next sample, of large blocks */
    uint32_t generation;    /* of the rate that was drawn from */
    bool active;            /* thread.prof.active */
    uint64_t interval_seen; /* traffic at the last sample */
    uintptr_t *frames;      /* room for two stacks */
    bool busy;              /* the room is in use */
} prof_thread_t;

/* NULL while the profiler is off, in young and in dying threads. */
extern JE_THREAD_LOCAL prof_thread_t *prof_self;

/* What opt says, with prof_leak counted in; fixed at boot. */
bool prof_is_on(void);

/* Before there is a second thread; false when no memory is to be had. */
JE_MUST_USE bool prof_boot(void);

/* What asks libc for something: the exit handler, the log at start-up. */
JE_MUST_USE bool prof_boot_process(void);

/* The calling thread's record, on its first slow call, and its end. */
void prof_enter(void);
void prof_leave(void);

/* ---- decisions ---- */

/* Whether samples are taken now, in this thread. */
bool prof_is_sampling(const prof_thread_t *thread);

/* Whether a block that no class countdown counts is due; counts it if not. */
bool prof_is_due(prof_thread_t *thread, size_t usize);

/* The same, if there is no more to it than counting. */
static inline bool prof_passes(prof_thread_t *thread, size_t usize)
{
    if (thread->generation != prof_rate_generation() ||
        usize >= thread->distance) {
        return false;
    }
    thread->distance -= usize;
    return true;
}

/* After an allocation: the dump of a new peak, if one is due. */
void prof_dump_peak(void);

static inline void prof_poll(void)
{
    if (JE_UNLIKELY(atomic_get_relaxed(&page_store_peak.risen))) {
        prof_dump_peak();
    }
}

/* ---- samples ---- */

/*
 * Makes a sample of the live block of an extent with EXTENT_SAMPLED, `traffic`
 * bytes into the life of the thread, which has a record. False if there is no
 * memory for it.
 */
bool prof_sample(extent_t *e, size_t size, uint64_t traffic);

/* ---- switches ---- */

bool prof_is_active(void);
void prof_set_active(bool on);
bool prof_thread_active_init(void);
void prof_set_thread_active_init(bool on);
bool prof_gdump(void);
void prof_set_gdump(bool on);

/* Forgets all samples; a new lg of the distance, or SIZE_MAX for the old. */
void prof_reset(size_t lg);

/* Bytes between interval dumps, 0 for never. */
uint64_t prof_interval(void);

/* ---- hooks of the program ---- */

typedef void (*prof_backtrace_hook_t)(
    void **frames, unsigned *count, unsigned max);
typedef void (*prof_sample_hook_t)(
    const void *ptr, size_t size, void **frames, unsigned count, size_t usize);
typedef void (*prof_sample_free_hook_t)(const void *ptr, size_t usize);

/* Our own unless another was set. */
prof_backtrace_hook_t prof_backtrace_hook(void);
void prof_set_backtrace_hook(prof_backtrace_hook_t hook);
prof_sample_hook_t prof_sample_hook(void);
void prof_set_sample_hook(prof_sample_hook_t hook);
prof_sample_free_hook_t prof_sample_free_hook(void);
void prof_set_sample_free_hook(prof_sample_free_hook_t hook);

/* ---- fork: locks that are taken, those that are drained, after it ---- */

void prof_prefork_outer(void);
void prof_prefork(void);
void prof_postfork_parent(void);
void prof_postfork_child(void);

#endif
