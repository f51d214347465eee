/*
 * What: which modules of the process stay where they are: the program and the
 * libraries that it was linked with, directly or through others. The dynamic
 * linker's list says which those are; it is read once, early.
 *
 * Invariants: (I1) a module that can be unloaded never counts; one that stays
 * may be missing.
 *
 * Locking: linkage_boot before there is a second thread; then read only.
 */
#ifndef JE_OS_LINKAGE_H
#define JE_OS_LINKAGE_H

#include "util/common.h"

void linkage_boot(void);

/* Whether the module that fills these addresses is one that stays. */
bool linkage_stays(uintptr_t start, uintptr_t end);

#endif
