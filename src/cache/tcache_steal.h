/*
 * What: empties the caches of threads that sleep, without their help, and
 * without costing a running thread anything.
 *
 * The fast path takes no lock and tells nobody what it does. So:
 *
 *   1. claim    `claimed` is set and the owner's door closed.
 *   2. barrier  in every running thread. A fast call that began before may be
 *               under way for as long as its thread sleeps or is stopped in
 *               it: one call a thread. Every later call finds the door
 *               closed, comes to the slow path, and settles there first.
 *   3. look     Who is in a slow call (`busy`) is left alone, and so is whose
 *               door is open again: a slow call that began before the claim
 *               opened it. The heads of the others are read.
 *   4. barrier  again: what a call stored before it moved a head is seen.
 *   5. steal    the slots from the heads down. What is left are NULLs,
 *               which the fast path takes for the bottom of the stack.
 *
 * A call under way touches one slot: a push the free one above the head, a
 * pop the topmost one, which it may have read already. Therefore that one is
 * left in the classes that the fast path pops; the other classes are popped
 * in slow calls only.
 *
 * Invariants: (I1) the owner uses its cache between tcache_enter and
 * tcache_leave or through its door, never else; (I2) when a cache is stolen
 * from, its owner's door is closed until it settles; (I3) only an owner that
 * settled finds its stacks whole again.
 *
 * Locking: claiming, stealing and settling happen under the lock of
 * tcache_table.
 */
#ifndef JE_CACHE_TCACHE_STEAL_H
#define JE_CACHE_TCACHE_STEAL_H

#include "cache/tcache.h"

/* Caches emptied between two barriers: what a thread that wakes up waits for.
 */
#define TCACHE_STEAL_BATCH 8

/* The owner goes in, and out. True: it must settle before it goes on. */
static inline bool tcache_enter(tcache_t *tcache)
{
    atomic_bump(&tcache->owner.busy, 1);
    atomic_signal_fence(memory_order_seq_cst);
    return JE_UNLIKELY(atomic_get_acquire(&tcache->owner.claimed));
}

static inline void tcache_leave(tcache_t *tcache)
{
    atomic_put_release(
        &tcache->owner.busy, atomic_get_relaxed(&tcache->owner.busy) - 1);
}

/* Whether the cache was used since the last call. */
JE_MUST_USE bool tcache_was_active(tcache_t *tcache);

/* Whether the cache of a thread holds enough to be worth the trouble. */
JE_MUST_USE bool tcache_is_worth_stealing(const tcache_t *tcache);

/*
 * Steps 1 to 5 for at most TCACHE_STEAL_BATCH caches of threads. False if the
 * system has no such barrier: then nothing is stolen, and never will be.
 */
bool tcache_steal(tcache_t *const *victims, unsigned count);

/* Step 1 alone, for a thread's cache: its next call comes to the slow path. */
void tcache_claim(tcache_t *tcache);

/* Makes the owner's stacks whole and gives the cache back to it. */
void tcache_settle(tcache_t *tcache);

#endif
