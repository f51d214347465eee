/*
 * What: blocks of no bytes at all. With opt.guard_zero_size a request for
 * zero bytes gets an address of its own that cannot be read or written.
 *
 * Invariants: (I1) an address is given to one holder at a time; (I2) there
 * are HOLLOW_MAX of them, and whoever gets none makes do with a byte.
 *
 * Locking: none; one atomic word for 64 addresses.
 */
#ifndef JE_ARENA_HOLLOW_H
#define JE_ARENA_HOLLOW_H

#include "conf/limits.h"
#include "util/atomic.h"

#define HOLLOW_MAX   ((size_t)65536)
#define HOLLOW_BYTES (HOLLOW_MAX * QUANTUM)

/* Where they lie; 0 if there are none. */
extern _Atomic uintptr_t hollow_start;

/* NULL if all are in use, or the system has no room. */
void *hollow_take(void);

static inline bool hollow_has(const void *ptr)
{
    uintptr_t start = atomic_get_relaxed(&hollow_start);
    return start != 0 && (uintptr_t)ptr - start < HOLLOW_BYTES;
}

/* False if nobody holds that address: it was given back already, say. */
JE_MUST_USE bool hollow_give(const void *ptr);

/* Whether somebody holds it. */
bool hollow_is_live(const void *ptr);

#endif
