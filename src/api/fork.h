/*
 * What: what happens around fork: every lock is taken or drained in order
 * before, and all are free again after, so that the child finds every
 * structure whole.
 *
 * Invariants: (I1) the order is that of os/lock_rank.h; (I2) handlers of the
 * program that were registered before ours, and so run inside them, may use
 * everything (os/mutex.h, I4); (I3) nothing is written in every arena, for
 * that would copy pages of all of them in both processes.
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
