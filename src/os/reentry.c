/*
 * What: the counter and the observer of reentry.h.
 *
 * Invariants: as there.
 *
 * Locking: none.
 */
#include "os/reentry.h"

JE_THREAD_LOCAL JE_COPIED unsigned reentry_depth;

void (*reentry_observer)(bool inside);
