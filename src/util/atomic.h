/*
 * What: the few atomic operations that the library uses, with the memory
 * order in the name, so that each use says what it relies on.
 *
 * Invariants: (I1) generic over lock-free scalar types only.
 *
 * Locking: this is what locks are made of.
 */
#ifndef JE_UTIL_ATOMIC_H
#define JE_UTIL_ATOMIC_H

#include "util/common.h"

#include <stdatomic.h>

#define atomic_get_relaxed(p) atomic_load_explicit((p), memory_order_relaxed)
#define atomic_get_acquire(p) atomic_load_explicit((p), memory_order_acquire)
#define atomic_put_relaxed(p, v)                                               \
    atomic_store_explicit((p), (v), memory_order_relaxed)
#define atomic_put_release(p, v)                                               \
    atomic_store_explicit((p), (v), memory_order_release)
#define atomic_add_relaxed(p, v)                                               \
    atomic_fetch_add_explicit((p), (v), memory_order_relaxed)
#define atomic_sub_relaxed(p, v)                                               \
    atomic_fetch_sub_explicit((p), (v), memory_order_relaxed)

/*
 * Adds to a counter that only the caller writes (or that a lock guards) and
 * that others read at any time: a plain add for the CPU, not a locked one.
 */
#define atomic_bump(p, v) atomic_put_relaxed((p), atomic_get_relaxed(p) + (v))

/*
 * One access, whole and not repeated, to a plain variable that another thread
 * may be using: for the few places where the owner must not pay for sharing.
 * Functions that do so carry JE_RACY, or ThreadSanitizer tells of them.
 */
#define racy_get(x)    (*(__typeof__(x) const volatile *)&(x))
#define racy_put(x, v) (*(__typeof__(x) volatile *)&(x) = (v))
#define JE_RACY        __attribute__((no_sanitize("thread")))

#endif
