/*
 * What: one function that is called at the end of each thread that asks for
 * it: by a key for thread-specific data, or, if all keys were taken before
 * this library was opened, by the list of what C++ destroys then, which the
 * C library may have. Without both, a key is tried for again and again.
 *
 * Invariants: (I1) one key at most.
 *
 * Locking: a flag; who finds it taken does without.
 */
#ifndef JE_OS_THREAD_END_H
#define JE_OS_THREAD_END_H

#include "util/common.h"

/* False if the system has, for now, no way to call anything. */
JE_MUST_USE bool thread_end_boot(void (*call)(void *argument));
JE_MUST_USE bool thread_end_is_possible(void);

/*
 * The calling thread wants the call, once, with that argument. May allocate
 * through libc. False if there is no memory, or if it is not possible.
 */
JE_MUST_USE bool thread_end_ask(void *argument);

#endif
