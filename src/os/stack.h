/*
 * What: how far up a thread's own stack is known to be readable, so that a
 * walk along it need not ask the kernel page by page. Asked once a thread,
 * and again when it has gone deeper.
 *
 * Invariants: (I1) only of the stack that the system gave to the thread,
 * which stays as long as the thread does; of others, a coroutine's or a signal
 * handler's, nothing is known; (I2) async-signal-safe, errno kept.
 *
 * Locking: a thread's own.
 */
#ifndef JE_OS_STACK_H
#define JE_OS_STACK_H

#include "util/atomic.h"

typedef struct {
    _Atomic uintptr_t low; /* 0: not asked yet */
    _Atomic uintptr_t end; /* 0: not to be told */
} os_stack_t;

extern JE_THREAD_LOCAL os_stack_t os_stack_self;

uintptr_t os_stack_ask(uintptr_t sp);

/* The end of what is readable from that stack pointer on; 0 if unknown. */
static inline uintptr_t os_stack_end(uintptr_t sp)
{
    uintptr_t end = atomic_get_relaxed(&os_stack_self.end);
    return JE_LIKELY(sp >= atomic_get_relaxed(&os_stack_self.low) && sp < end)
               ? end
               : os_stack_ask(sp);
}

#endif
