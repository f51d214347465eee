/*
 * What: one output file of the profiler at a time, through one buffer,
 * optionally as gzip. There is no compressor: the gzip is made of stored
 * blocks, which every reader takes.
 *
 * Invariants: (I1) a file that had an error is removed, not left behind half
 * written; (I2) allocates nothing.
 *
 * Locking: all of it under LOCK_RANK_PROF_DUMP, held by the caller.
 */
#ifndef JE_PROF_PROF_OUT_H
#define JE_PROF_PROF_OUT_H

#include "util/common.h"

/* 0, or an errno number; then nothing was begun. */
JE_MUST_USE int prof_out_begin(const char *path, bool gzip);

void prof_out_bytes(const void *data, size_t size);
void prof_out_text(const char *text);
JE_PRINTF(1, 2) void prof_out_print(const char *fmt, ...);

/* Appends what can be read from a file; false if it cannot be opened. */
bool prof_out_copy(const char *path);

/* Everything is written and the file has its name: 0, or an errno number. */
JE_MUST_USE int prof_out_end(void);

#endif
