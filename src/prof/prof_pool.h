/*
 * What: memory for the profiler's own records: from the shared base, reused
 * by size.
 *
 * Invariants: (I1) what is handed out is aligned to 16 bytes and not zeroed;
 * (I2) never calls malloc.
 *
 * Locking: one lock, inside which the base's is taken.
 */
#ifndef JE_PROF_PROF_POOL_H
#define JE_PROF_PROF_POOL_H

#include "util/common.h"

void prof_pool_boot(void);

/* NULL when no memory is to be had. */
JE_MUST_USE void *prof_pool_alloc(size_t bytes);

/* `bytes` as it was asked for. */
void prof_pool_free(void *memory, size_t bytes);

void prof_pool_prefork(void);

#endif
