/*
 * What: catching a signal that the program has no use for.
 *
 * Invariants: (I1) a handler of the program is never replaced.
 *
 * Locking: none.
 */
#ifndef JE_OS_SIGNAL_H
#define JE_OS_SIGNAL_H

#include "util/common.h"

typedef enum {
    OS_SIGNAL_CAUGHT,
    OS_SIGNAL_IN_USE, /* the program has a handler for it */
    OS_SIGNAL_REFUSED /* the system does not let it be caught */
} os_signal_t;

/*
 * From now on `handler` runs, in any thread, when the signal comes; system
 * calls that it interrupts go on if they can. Default actions, and a parent's
 * wish to ignore it, are replaced.
 */
os_signal_t os_signal_catch(int number, void (*handler)(int number));

#endif
