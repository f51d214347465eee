/*
 * What: the register of live caches, for statistics, and the explicit
 * caches that programs make and name by number.
 *
 * Invariants: (I1) every live cache is in the list; (I2) numbers are handed
 * out last-destroyed-first, else ascending.
 *
 * Locking: `lock` guards list and table; finding an explicit cache by number
 * takes none.
 */
#ifndef JE_CACHE_TCACHE_TABLE_H
#define JE_CACHE_TCACHE_TABLE_H

#include "cache/tcache.h"

void tcache_table_boot(void);

void tcache_table_insert(tcache_t *tcache);
/* Leaves the stacks whole, for the owner to flush. */
void tcache_table_remove(tcache_t *tcache);

/*
 * Calls `visit` once for each live cache with the register locked, which is
 * free for others now and then. One visitor at a time.
 */
void tcache_table_visit(
    void (*visit)(const tcache_t *tcache, void *opaque), void *opaque);

/* Counters of the register's lock. */
mutex_stats_t tcache_table_mutex_stats(void);
void tcache_table_reset_mutex_stats(void);

/*
 * Gives back what threads keep that have slept since the last call. True if
 * it should be called again: some threads were awake.
 */
bool tcache_table_reclaim_idle(void);

/* The same from all threads, whatever they are doing. */
bool tcache_table_reclaim_all_for_test(void);

/* Makes all threads settle before they use their caches again. */
void tcache_table_claim_all(void);

/* The owner of a claimed cache wants to use it again. */
void tcache_table_settle(tcache_t *tcache);

/* A new explicit cache over `arena`: 0 and *id, else an errno number. */
JE_MUST_USE int tcache_table_create(arena_t *arena, unsigned *id);

/* The cache of a number, or NULL if it is not alive. */
tcache_t *tcache_table_lookup(unsigned id);

/*
 * Empties, or ends, the cache of a number. EFAULT if it is not alive. The next
 * thread that uses an emptied one ties it to its own arena.
 */
JE_MUST_USE int tcache_table_flush(unsigned id);
JE_MUST_USE int tcache_table_destroy(unsigned id);

/*
 * In a fork child: forgets the caches of threads but `own` (may be NULL) and
 * unbinds them from their arenas. What they held stays allocated.
 */
void tcache_table_keep_only(const tcache_t *own);

void tcache_table_prefork(void);
void tcache_table_postfork_parent(void);

#endif
