/*
 * What: see prof_pool.h.
 *
 * Invariants: as there.
 *
 * Locking: as there.
 */
#include "prof/prof_pool.h"

#include "conf/limits.h"
#include "extent/base.h"
#include "util/bits.h"

/* Four sizes a doubling, from 32 bytes on. */
#define LG_SMALLEST 5
#define CLASSES     (4 * (48 - LG_SMALLEST))

typedef struct spare {
    struct spare *next;
} spare_t;

static struct {
    mutex_t lock;
    spare_t *spares[CLASSES];
} pool;

static unsigned class_of(size_t bytes, size_t *rounded)
{
    size_t least = (size_t)1 << LG_SMALLEST;
    if (bytes <= least) {
        *rounded = least;
        return 0;
    }
    unsigned lg = bits_highest(bytes - 1);
    size_t step = (size_t)1 << (lg - 2);
    *rounded = bits_round_up(bytes, step);
    size_t quarter = (*rounded - ((size_t)1 << lg)) / step; /* 1..4 */
    return 4 * (lg - LG_SMALLEST) + (unsigned)quarter;
}

void prof_pool_boot(void)
{
    mutex_init(&pool.lock, LOCK_RANK_PROF_POOL);
}

void *prof_pool_alloc(size_t bytes)
{
    size_t rounded;
    unsigned c = class_of(bytes, &rounded);
    if (c >= CLASSES) {
        return NULL;
    }
    mutex_lock(&pool.lock);
    spare_t *spare = pool.spares[c];
    if (spare != NULL) {
        pool.spares[c] = spare->next;
    }
    mutex_unlock(&pool.lock);
    return spare != NULL ? spare : base_alloc(&base_shared, rounded, QUANTUM);
}

void prof_pool_free(void *memory, size_t bytes)
{
    size_t rounded;
    spare_t *spare = memory;
    unsigned c = class_of(bytes, &rounded);
    mutex_lock(&pool.lock);
    spare->next = pool.spares[c];
    pool.spares[c] = spare;
    mutex_unlock(&pool.lock);
}

void prof_pool_prefork(void)
{
    mutex_fork_drain(&pool.lock);
}
