/*
 * What: (room for) sleeping until a deadline or a signal, for threads of our
 * own. It arrives together with its first user, arena/background.
 *
 * Invariants: (I1) a signal sent before the sleep begins is not lost.
 *
 * Locking: none beyond the word it sleeps on.
 */
#ifndef JE_OS_WAKER_H
#define JE_OS_WAKER_H

#include "util/common.h"

#endif
