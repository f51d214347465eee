/*
 * What: the log of sampled blocks that were freed while it ran, written as
 * one JSON object when it stops.
 *
 * Invariants: (I1) equal stacks and equal threads are kept once; (I2) a log
 * that could not be written can be started again; (I3) what finds no memory
 * is left out.
 *
 * Locking: log.lock, LOCK_RANK_PROF_LOG. The file is written under the dump
 * lock, taken before.
 */
#ifndef JE_PROF_PROF_LOG_H
#define JE_PROF_PROF_LOG_H

#include "os/mutex.h"
#include "prof/prof_recent.h"

void prof_log_boot(void);

/* A log to `path`, or NULL for a name of its own. False: not possible. */
JE_MUST_USE bool prof_log_start(const char *path);

/* Writes it. False if none runs or the file cannot be written. */
JE_MUST_USE bool prof_log_stop(void);

bool prof_log_is_running(void);

void prof_log_add(
    const prof_event_t *alloc, const prof_event_t *dalloc, size_t usize);

void prof_log_prefork(void);

#endif
