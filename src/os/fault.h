/*
 * What: being told when the program touches what cannot be touched, before
 * whoever the signal was for is told.
 *
 *   SIGSEGV --> look: ours, and to be tried again --> return
 *                 | everything else
 *                 v
 *               what was installed before: its handler with its mask and
 *               flags, nothing if it was ignored, else the end of the
 *               process, with a core that shows the access
 *
 * A handler that the program installs later takes the place of this one.
 *
 * Invariants: (I1) async-signal-safe, as `look` has to be; (I2) errno is
 * kept.
 *
 * Locking: none.
 */
#ifndef JE_OS_FAULT_H
#define JE_OS_FAULT_H

#include "os/frame.h"

typedef enum {
    FAULT_ACCESS, /* the processor does not say which */
    FAULT_READ,
    FAULT_WRITE,
} fault_kind_t;

typedef struct {
    uintptr_t addr;
    fault_kind_t kind;
    frame_t frame; /* of who did it; pc 0: not known */
} fault_t;

/* True if the access can now be tried again. */
typedef bool fault_look_t(const fault_t *fault);

/* False if the system does not let faults be caught. */
JE_MUST_USE bool fault_boot(fault_look_t *look);

#endif
