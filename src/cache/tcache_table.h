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
void tcache_table_remove(tcache_t *tcache);

/* Calls `visit` for each live cache with the register locked. */
void tcache_table_visit(
    void (*visit)(const tcache_t *tcache, void *opaque), void *opaque);

/*
 * Gives back the large blocks that sleeping threads keep. Returns the bytes
 * still held, because they were used a moment ago.
 */
size_t tcache_table_reclaim_idle(void);

/* A new explicit cache over `arena`: 0 and *id, else an errno number. */
JE_MUST_USE int tcache_table_create(arena_t *arena, unsigned *id);

/* The cache of a number, or NULL if it is not alive. */
tcache_t *tcache_table_lookup(unsigned id);

/* Empties, or ends, the cache of a number. EFAULT if it is not alive. */
JE_MUST_USE int tcache_table_flush(unsigned id);
JE_MUST_USE int tcache_table_destroy(unsigned id);

/*
 * In a fork child: forgets the caches of threads but `own` (may be NULL) and
 * unbinds them from their arenas. What they held stays allocated.
 */
void tcache_table_keep_only(const tcache_t *own);

void tcache_table_prefork(void);
void tcache_table_postfork_parent(void);
void tcache_table_postfork_child(void);

#endif
