/*
 * What: the last so many sampled blocks, freed or not, as JSON: when, by
 * whom and from where each was allocated, and freed if it was.
 *
 * Invariants: (I1) an entry stays until newer ones push it out; (I2) entry
 * and sample point at one another as long as both live.
 *
 * Locking: list_lock (LOCK_RANK_PROF_RECENT) guards the list and all entries.
 * A dump copies one entry at a time and calls the program without it; two
 * dumps take turns by dump_lock.
 */
#ifndef JE_PROF_PROF_RECENT_H
#define JE_PROF_PROF_RECENT_H

#include "os/mutex.h"
#include "prof/prof_json.h"

/* Who did something, when, from where. */
typedef struct {
    uint64_t uid;
    const char *name;
    uint64_t ns;
    const uintptr_t *frames;
    unsigned count;
} prof_event_t;

typedef struct prof_recent prof_recent_t;

void prof_recent_boot(ssize_t max);

/* Notes a sample; *link is then the entry's until it is pushed out. */
void prof_recent_add(
    prof_recent_t **link, size_t size, size_t usize, const prof_event_t *alloc);

/* Whether the sample has an entry still. */
bool prof_recent_has(prof_recent_t *const *link);

/* Its block was freed; `event` may be NULL: nobody knows by whom. */
void prof_recent_release(prof_recent_t **link, const prof_event_t *event);

/* Entries kept: -1 unlimited, 0 none. */
ssize_t prof_recent_max(void);
/* Sets it and returns the one before. */
ssize_t prof_recent_set_max(ssize_t max);

void prof_recent_dump(const prof_json_t *json, uint64_t distance);

void prof_recent_prefork_outer(void);
void prof_recent_prefork(void);
void prof_recent_postfork_parent(void);
/*
 * Shows the lock of dumps, unless one is under way, and that of the list; each
 * held.
 */
void prof_recent_visit_locks(
    void (*visit)(const mutex_t *lock, bool dump, void *opaque), void *opaque);

#endif
