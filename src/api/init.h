/*
 * What: the library's start: lazy, once, re-entrant.
 *
 *   COLD --first call--> BOOTING (own memory only) --> SERVING (arena 0
 *   works; libc is being asked for keys and handlers, which may allocate)
 *   --> READY, or FAILED for good, or COLD again when memory, or a
 *   thread-specific key, was not to be had: the next call tries again
 *
 * Invariants: (I1) boot order is the list of calls in init.c; (I2) a nested
 * call on the booting thread is served from arena 0 once SERVING; (I3) other
 * threads wait for READY or FAILED.
 *
 * Locking: one atomic state word.
 */
#ifndef JE_API_INIT_H
#define JE_API_INIT_H

#include "util/atomic.h"
#include "util/common.h"

typedef enum {
    INIT_COLD,
    INIT_BOOTING,
    INIT_SERVING,
    INIT_READY,
    INIT_FAILED,
} init_state_t;

extern _Atomic int init_state;

static inline bool init_is_ready(void)
{
    return atomic_get_acquire(&init_state) == INIT_READY;
}

/* Boots if nobody has. True if the heap can serve the caller. */
bool init_run(void);

static inline bool init_ensure(void)
{
    return JE_LIKELY(init_is_ready()) || init_run();
}

#endif
