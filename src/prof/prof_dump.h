/*
 * What: dumps: when one is made by itself, what its file is called, which of
 * them are kept; and the leak summary that goes with the last one.
 *
 *   f <prefix>.<pid>.<seq>.f.heap        at exit
 *   i <prefix>.<pid>.<seq>.i<n>.heap     every 2^lg_prof_interval bytes
 *   m <prefix>.<pid>.<seq>.m<n>.heap     prof.dump without a name
 *   u <prefix>.<pid>.<seq>.u<n>.heap     new peak
 *
 * Invariants: (I1) a file is complete or absent; (I2) a number is used once,
 * also if its dump failed.
 *
 * Locking: dump_lock, LOCK_RANK_PROF_DUMP, around a whole dump; allocation
 * elsewhere goes on meanwhile.
 */
#ifndef JE_PROF_PROF_DUMP_H
#define JE_PROF_PROF_DUMP_H

#include "os/mutex.h"

typedef enum {
    PROF_DUMP_FINAL,
    PROF_DUMP_INTERVAL,
    PROF_DUMP_MANUAL,
    PROF_DUMP_PEAK,
    PROF_DUMP_KINDS
} prof_dump_kind_t;

typedef void (*prof_dump_hook_t)(const char *filename);

void prof_dump_boot(void);

/* A dump under a name of its own. False: the reason was printed. */
bool prof_dump_auto(prof_dump_kind_t kind);

/* A dump to `path`. False if it could not be written; says nothing. */
bool prof_dump_to(const char *path);

/* prof_dump_auto(MANUAL), saying nothing. */
bool prof_dump_manual(void);

/* The dump at exit, and the leak report if asked for. */
void prof_dump_at_exit(void);

void prof_dump_set_prefix(const char *prefix);
bool prof_dump_has_prefix(void);

/* Name of the next log file; false if it is too long or has no prefix. */
JE_MUST_USE bool prof_dump_log_name(char *path, size_t size);

prof_dump_hook_t prof_dump_hook(void);
void prof_dump_set_hook(prof_dump_hook_t hook);

/* Runs `action` with no dump under way. */
void prof_dump_exclude(void (*action)(size_t argument), size_t argument);

void prof_dump_prefork(void);
void prof_dump_postfork_parent(void);
void prof_dump_postfork_child(void);
/* Shows the lock, held; not at all while a dump is under way. */
void prof_dump_visit_lock(
    void (*visit)(const mutex_t *lock, void *opaque), void *opaque);

#endif
