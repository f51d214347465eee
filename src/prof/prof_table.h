/*
 * What: what is live, by stack and allocating thread, and with prof_accum
 * what there ever was.
 *
 *   stack  --records-->  (thread, live, total), one for each thread
 *
 * Each sample stands for more than itself: next to the raw numbers goes an
 * estimate of how many objects and bytes it represents, made for its own
 * size, so that lines of mixed sizes stay right (prof_unbias).
 *
 * Invariants: (I1) a record with live samples exists, and so do its stack and
 * its thread; (I2) without prof_accum others do not exist; with it they do as
 * long as their thread runs, then their totals move to the stack; (I3) a
 * sample of an earlier epoch belongs to no record.
 *
 * Locking: stacks and records: a lock for each of SHARDS parts of the table,
 * chosen by the stack's hash; the list of threads and resetting:
 * threads_lock, taken before. Memory comes from prof_pool inside them.
 */
#ifndef JE_PROF_PROF_TABLE_H
#define JE_PROF_PROF_TABLE_H

#include "os/mutex.h"
#include "util/list.h"

#define PROF_NAME_MAX 16

typedef struct {
    uint64_t objects;
    uint64_t bytes;
    uint64_t estimated_eighths; /* objects, with three fractional bits */
    uint64_t estimated_bytes;
} prof_counts_t;

typedef struct prof_record prof_record_t;
typedef struct prof_stack prof_stack_t;

/* A thread as profiles know it; it may outlive the thread itself. */
typedef struct prof_identity {
    list_node_t link; /* in the list of all, ascending uid */
    uint64_t uid;
    char name[PROF_NAME_MAX];    /* under threads_lock */
    _Atomic uint32_t references; /* the thread itself, and its records */
    _Atomic bool exited;
    uint32_t epoch;         /* of the list below */
    prof_record_t *records; /* with prof_accum; under threads_lock */
} prof_identity_t;

/* A sample that was taken; filled in by prof_table_add. */
typedef struct {
    prof_record_t *record;
    uint32_t epoch;
    prof_counts_t counts; /* what it added */
} prof_entry_t;

/* False when no memory is to be had. */
JE_MUST_USE bool prof_table_boot(bool accumulates);

/* ---- threads ---- */

/* NULL when no memory is to be had. */
JE_MUST_USE prof_identity_t *prof_table_enter(void);

/* The thread ends; its identity may stay. */
void prof_table_leave(prof_identity_t *identity);

void prof_table_set_name(prof_identity_t *identity, const char *name);
void prof_table_get_name(
    const prof_identity_t *identity, char name[PROF_NAME_MAX]);

/* ---- samples ---- */

/* Numbers of a sample of `usize` bytes at a mean distance of 1 / `rate`. */
prof_counts_t prof_table_weigh(size_t usize, double rate);

/* Adds entry->counts; false when no memory is to be had. */
JE_MUST_USE bool prof_table_add(prof_identity_t *identity,
    const uintptr_t *frames, unsigned count, prof_entry_t *entry);

void prof_table_remove(const prof_entry_t *entry);

/*
 * The stack and thread of a live sample; frames are copied, at most `max`.
 * False if its epoch is over.
 */
bool prof_table_describe(const prof_entry_t *entry, uintptr_t *frames,
    unsigned max, unsigned *count, uint64_t *uid, char name[PROF_NAME_MAX]);

/* Drops everything but the threads. */
void prof_table_reset(void);

/* ---- looking at all of it ---- */

typedef struct {
    prof_counts_t live;
    prof_counts_t total;
} prof_line_t;

typedef struct {
    uint64_t uid;
    prof_line_t line;
    char name[PROF_NAME_MAX];
} prof_thread_view_t;

typedef struct {
    uint32_t thread; /* index in threads */
    prof_line_t line;
} prof_record_view_t;

typedef struct {
    const uintptr_t *frames;
    const prof_record_view_t *records; /* ascending uid */
    uint32_t frame_count;
    uint32_t record_count;
    prof_line_t line;
} prof_stack_view_t;

/* A copy of everything, in memory of its own. */
typedef struct {
    prof_line_t all;
    const prof_thread_view_t *threads;
    size_t thread_count;
    const prof_stack_view_t *stacks;
    size_t stack_count;
    void *memory;
    size_t memory_bytes;
} prof_view_t;

/* False when no memory is to be had. */
JE_MUST_USE bool prof_table_view(prof_view_t *view);
void prof_table_view_end(prof_view_t *view);

/* ---- fork and statistics ---- */

void prof_table_prefork(void);

/* Shows every lock, held; the one of the threads is marked. */
void prof_table_visit_locks(
    void (*visit)(const mutex_t *lock, bool threads, void *opaque),
    void *opaque);

#endif
