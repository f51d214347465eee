/*
 * What: one thread's (or one explicit) cache: the stacks of cache_bin.h with
 * what they need on a miss, on overflow, and when idle.
 *
 * A stack starts small. Repeated misses double the batch that a fill brings,
 * up to half of the class's largest capacity; idle classes give back three
 * quarters of what they hold and fill less next time. So a thread holds what
 * it uses.
 *
 * Invariants: (I1) capacity <= max of the class; (I2) slots, limit and
 * sentinel of a class are set together; (I3) cached = filled - requests +
 * freed - flushed, from which frees are known without counting them.
 *
 * Locking: a cache belongs to one thread, until it is claimed
 * (tcache_steal.h); statistics read it racily.
 */
#ifndef JE_CACHE_TCACHE_H
#define JE_CACHE_TCACHE_H

#include "arena/block.h"
#include "cache/cache_bin.h"
#include "cache/large_cache.h"
#include "util/list.h"

/* The cold half of a class. */
typedef struct {
    void **bottom;    /* the sentinel, NULL before the first use */
    uint8_t lg_words; /* size of the array below bottom */
    bool missed;      /* a miss since the last idle check */
    bool overflowed;  /* an overflow since then */
    uint16_t capacity;
    uint16_t batch;    /* what the next fill asks for */
    uint16_t max;      /* what the capacity may grow to; 0: not cached */
    uint16_t stolen;   /* empty slots below the top ones, see tcache_steal.h */
    uint64_t reported; /* requests the arena knows of */
    uint64_t seen;     /* requests at the last idle check */
    uint64_t filled;
    uint64_t flushed;
} tcache_bin_t;

/* What others must know to empty the cache of a thread that sleeps. */
typedef struct {
    cache_bins_t **doors;  /* the thread's; NULL: an explicit cache */
    _Atomic uint32_t busy; /* depth of slow calls that use the cache */
    _Atomic bool claimed;  /* the owner must settle before it uses it */
    bool emptied;          /* since it was claimed */
    uint32_t round;        /* of looks at all caches, the last one here */
    uint32_t visit;        /* of visits to all caches, the last one here */
    uint64_t activity;     /* changes with each use; as of the last look */
} tcache_owner_t;

typedef struct tcache {
    cache_bins_t bins; /* first: the hot path's pointer points here */
    arena_t *arena;    /* where fills come from; NULL: unused */
    unsigned shard;
    unsigned max_class; /* largest class byte that it holds */
    list_node_t link;   /* in tcache_table */
    large_cache_t large;
    tcache_owner_t owner;
    tcache_bin_t cold[TCACHE_BIN_COUNT];
} tcache_t;

/* Largest class byte that a new cache holds, from opt.tcache_max. */
unsigned tcache_max_class(void);

/* Slots that a class of a new cache may grow to; 0 if it is not cached. */
unsigned tcache_class_max(unsigned class_byte);

/* Computes the limits of all classes. */
void tcache_boot(void);

/* `doors` are the thread-local words through which the owner sees the cache. */
void tcache_init(
    tcache_t *tcache, arena_t *arena, unsigned shard, cache_bins_t **doors);

/* Limits of a cache, by class byte. */
typedef struct {
    unsigned max_class;
    uint16_t max[TCACHE_BIN_COUNT];
} tcache_limits_t;

void tcache_get_limits(const tcache_t *tcache, tcache_limits_t *limits);

/* Classes whose limit changes start again from empty. */
void tcache_set_limits(tcache_t *tcache, const tcache_limits_t *limits);

/* The limits of new caches. */
const tcache_limits_t *tcache_default_limits(void);

/* The default of a class that tcache_max does not reach. */
unsigned tcache_class_usual(unsigned class_byte);

/* Whether blocks of a class are held. */
static inline bool tcache_holds(const tcache_t *tcache, unsigned class_byte)
{
    return tcache->cold[class_byte].max != 0;
}

/* Serves a miss: fills the stack and pops. NULL when out of memory. */
JE_MUST_USE void *tcache_refill(tcache_t *tcache, unsigned class_byte);

/* Takes a block that found its stack full. */
void tcache_overflow(tcache_t *tcache, unsigned class_byte, void *ptr);

/* Gives back what idle classes hold. */
void tcache_shrink_idle(tcache_t *tcache);

/* Gives `count` blocks of a class back that have left their stack. */
void tcache_return(
    tcache_t *tcache, unsigned class_byte, void *const *ptrs, unsigned count);

/* Gives everything back and tells the arena all request counts. */
void tcache_flush(tcache_t *tcache);

/* As flush, and returns the memory of the stacks. */
void tcache_fini(tcache_t *tcache);

/* Blocks of a class that the cache holds now. */
static inline unsigned tcache_cached(
    const tcache_t *tcache, unsigned class_byte)
{
    void **bottom = tcache->cold[class_byte].bottom;
    return bottom == NULL
               ? 0
               : (unsigned)(bottom - tcache->bins.heads[class_byte]) -
                     tcache->cold[class_byte].stolen;
}

/* Bytes this cache has served, and taken, since it was made. */
void tcache_traffic(
    const tcache_t *tcache, uint64_t *allocated, uint64_t *deallocated);

#endif
