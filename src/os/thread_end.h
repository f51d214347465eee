/*
 * What: one function that is called at the end of each thread that asks for
 * it: by a key for thread-specific data, or, if all keys were taken before
 * this library was opened, by the list of what C++ destroys then, which the
 * C library may have.
 *
 * Invariants: none.
 *
 * Locking: none; booted once.
 */
#ifndef JE_OS_THREAD_END_H
#define JE_OS_THREAD_END_H

#include "util/common.h"

/* False if the system has no way to call anything. */
JE_MUST_USE bool thread_end_boot(void (*call)(void *argument));

/*
 * The calling thread wants the call, once, with that argument. May allocate
 * through libc. False if there is no memory or thread_end_boot had no way.
 */
JE_MUST_USE bool thread_end_ask(void *argument);

#endif
