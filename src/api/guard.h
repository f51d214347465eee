/*
 * What: the life of the blocks that opt.guard_sample chooses
 * (arena/guarded.h): who allocated and who freed them is kept, and what is
 * done to them by mistake is reported with both: at the very access, by a
 * handler of faults, or when the block is freed.
 *
 * Invariants: (I1) what the handler calls is async-signal-safe, takes no lock
 * and needs little stack; (I2) a report is complete before the process ends;
 * (I3) off, nothing is installed.
 *
 * Locking: none held on entry.
 */
#ifndef JE_API_GUARD_H
#define JE_API_GUARD_H

#include "arena/guarded.h"

/* If options want it and blocks are not watched otherwise. */
void guard_boot(void);

/* NULL if it is to be an ordinary block. */
JE_MUST_USE void *guard_alloc(
    size_t size, size_t usize, size_t alignment, bool zero);

/* Of a pointer into the range; `usize` of the block, 0 after a report. */
size_t guard_free(void *ptr);

/*
 * Bytes that were asked for. False, after a report in the name of
 * `operation`, if no block that lives starts there.
 */
JE_MUST_USE bool guard_size(
    const void *ptr, const char *operation, size_t *size);

/* Whether a block may be freed as one of `size` bytes; reported if not. */
JE_MUST_USE bool guard_has_size(const void *ptr, size_t size);

#endif
