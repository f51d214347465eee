/*
 * What: (room for) the heap profiler: which allocations are sampled, their
 * stacks (prof_stack), the table of live samples (prof_table) and the files
 * written from it (prof_dump). Sampled threads enter by the closed door of
 * cache/cache_bin.h, so that what is off costs nothing.
 *
 * Invariants: (I1) nothing of it runs while a lock of a lower layer is held.
 *
 * Locking: its own.
 */
#ifndef JE_PROF_PROF_H
#define JE_PROF_PROF_H

#include "arena/block.h"
#include "os/reentry.h"

#endif
