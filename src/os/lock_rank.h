/*
 * What: the lock order, and the only place where it is written: outermost
 * first. A thread may take a lock only if its rank is not above (before) the
 * rank of any lock it holds.
 *
 * Invariants: (I1) debug builds check each acquisition against this list.
 *
 * Locking: this is about nothing else.
 */
#ifndef JE_OS_LOCK_RANK_H
#define JE_OS_LOCK_RANK_H

typedef enum {
    /* Controls that look at arenas, one at a time; calls everything below. */
    LOCK_RANK_CTL,
    /* Writing a profile, and what files are called; its hook allocates. */
    LOCK_RANK_PROF_DUMP,
    /* Handing the list of recent samples to the program, in turns. */
    LOCK_RANK_PROF_RECENT_DUMP,
    /* The lists of live threads and explicit caches; stats walk them. */
    LOCK_RANK_TCACHE_TABLE,
    /* Creating arenas and assigning threads to them. */
    LOCK_RANK_ARENA_TABLE,
    /* The log of sampled blocks, and the list of the last ones. */
    LOCK_RANK_PROF_LOG,
    LOCK_RANK_PROF_RECENT,
    /* Threads as profiles know them; whoever looks at all samples. */
    LOCK_RANK_PROF_THREADS,
    /* A part of the samples: stacks and their counts. */
    LOCK_RANK_PROF_SHARD,
    /* Samples counted by size class. */
    LOCK_RANK_PROF_STATS,
    /* Memory of all that. */
    LOCK_RANK_PROF_POOL,
    /* Growing one page store, in turns; the only lock over an alloc hook. */
    LOCK_RANK_PAGE_GROW,
    /* An arena's list and counters of large blocks. */
    LOCK_RANK_LARGE,
    /* A leaf: one size class of one arena. Nothing is taken inside. */
    LOCK_RANK_BIN,
    /* One arena's sets of free extents and its descriptors. */
    LOCK_RANK_PAGE_STORE,
    /* Descriptors that destroyed arenas left over. */
    LOCK_RANK_POOL,
    /* Creating leaves of the address map. */
    LOCK_RANK_EXTENT_MAP,
    /* Metadata allocation; called from almost everywhere. */
    LOCK_RANK_BASE,
    /* A leaf: which blocks live, while memcheck watches. */
    LOCK_RANK_LEDGER,
    /* A leaf: the slots of guarded blocks. */
    LOCK_RANK_GUARDED,
    /* A leaf: free arrays for thread caches. Last, as fork takes it last. */
    LOCK_RANK_CACHE_SLOTS,
    LOCK_RANK_COUNT
} lock_rank_t;

/* Up to here fork takes the locks; those below it drains (os/mutex.h). */
#define LOCK_RANK_FORK_TAKES LOCK_RANK_ARENA_TABLE

#endif
