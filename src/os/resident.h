/*
 * What: which pages of this process are in memory: of a range, and of each
 * mapping, as the kernel tells.
 *
 * Invariants: (I1) allocates nothing, keeps errno.
 *
 * Locking: none; what others map, touch and unmap meanwhile may be seen or
 * not.
 */
#ifndef JE_OS_RESIDENT_H
#define JE_OS_RESIDENT_H

#include "util/common.h"

/*
 * Bytes of a range of whole system pages that are in memory, or that were
 * only read so far. 0 where the system does not tell.
 */
size_t os_resident_bytes(uintptr_t addr, size_t size);

#endif
