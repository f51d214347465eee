/*
 * What: what happens around fork: every lock is taken in order before, and
 * released (parent) or made anew (child) after, so that the child finds
 * every structure whole.
 *
 * Invariants: (I1) the order is that of os/lock_rank.h; (I2) handlers of the
 * program that were registered before ours, and so run inside them, may use
 * everything: the forking thread may retake what it holds (os/mutex.h, I4).
 *
 * Locking: all of it.
 */
#ifndef JE_API_FORK_H
#define JE_API_FORK_H

#include "util/common.h"

/*
 * Registers the handlers; all that they lock must be booted by then. False if
 * the system refuses.
 */
JE_MUST_USE bool fork_boot(void);

#endif
