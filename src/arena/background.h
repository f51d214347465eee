/*
 * What: the one thread of our own, which lets pages decay while the program
 * does nothing.
 *
 * By default it is started once the program has itself started a thread; a
 * program with a single thread gets none. background_thread:true starts it in
 * any case, background_thread:false, written out, never; the control of that
 * name changes it at run time.
 *
 * Invariants: (I1) it blocks all signals and never allocates from the heap;
 * (I2) at most one wake-up a second while something decays, none afterwards;
 * (I3) it is gone in a fork child and not started there by
 * default.
 *
 * Locking: atomic words; background_switch is called by one thread at a time.
 */
#ifndef JE_ARENA_BACKGROUND_H
#define JE_ARENA_BACKGROUND_H

#include "arena/arena_table.h"

/* `reclaim` frees what idle caches hold; true if there will be more. */
void background_boot(bool (*reclaim)(void));

/* The program has a second thread: one of its own allocates. */
void background_note_threads(void);

extern _Atomic bool background_threads;

/* Some thread's cache is in use: it may be left full. */
static inline void background_note_cache(void)
{
    if (atomic_get_relaxed(&background_threads)) {
        waker_ring(&page_purge_waker);
    }
}

void background_start_if_due(void);

/* Somebody attends to the work, or nobody may. */
extern _Atomic bool background_settled;

/*
 * To be called at the end of slow allocations, where no lock is held: starts
 * the thread if the rules above allow it. Not where memory is freed: the C
 * library frees while it holds locks that starting a thread needs.
 */
static inline void background_check(void)
{
    if (JE_UNLIKELY(!atomic_get_relaxed(&background_settled))) {
        background_start_if_due();
    }
}

bool background_is_running(void);

/*
 * The program's first thread ends, and others go on. The process would not end
 * with the last of them if ours stayed: it leaves, for good.
 */
void background_retire(void);

/* Whether the program wants the thread, whatever it does by itself. */
bool background_is_on(void);

/*
 * Starts the thread, or ends it and waits until it is gone. False if the
 * system refuses, or when called by the program's hooks.
 */
JE_MUST_USE bool background_switch(bool on);

typedef struct {
    size_t threads;
    uint64_t runs; /* looks, by all threads there were */
    uint64_t slept_ns;
} background_stats_t;

background_stats_t background_stats(void);

void background_postfork_child(void);

#endif
