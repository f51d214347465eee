/*
 * What: the counter of reentry.h.
 *
 * Invariants: as there.
 *
 * Locking: none.
 */
#include "os/reentry.h"

JE_THREAD_LOCAL unsigned reentry_depth;
