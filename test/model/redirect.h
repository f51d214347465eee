/*
 * What: included before each source of a model: calls of the system go to the
 * explorer, and accesses that are racy on purpose become ordinary ones:
 * model_racy tells which are seen.
 *
 * Invariants: none.
 *
 * Locking: none.
 */
#ifndef JE_TEST_REDIRECT_H
#define JE_TEST_REDIRECT_H

#include <string.h>

#define os_wait               model_os_wait
#define os_wake               model_os_wake
#define os_yield              model_yield
#define os_barrier_everywhere model_os_barrier
#define os_clock_precise_ns   model_os_clock
#define os_affinity_cpus      model_os_cpus

#include "util/atomic.h"

#undef JE_RACY
#undef racy_get
#undef racy_put
#define JE_RACY
#define racy_get(x)    (x)
#define racy_put(x, v) ((x) = (v))

/* Word by word, so that each is seen. */
void *model_move(void *to, const void *from, size_t bytes);
#define memmove model_move

#endif
