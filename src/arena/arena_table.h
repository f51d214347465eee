/*
 * What: all arenas: find by index, create, and choose one for a thread.
 *
 *   0 .. narenas_auto-1     assigned to threads, created on first use
 *   narenas_auto            reserved for huge requests, if the threshold is on
 *   above                   made by the program
 *
 * Invariants: (I1) arena 0 exists from boot on; (I2) a slot once created is
 * emptied only by arena_table_destroy; (I3) the number of CPUs is looked up
 * when a second arena could matter, not before: most programs never ask.
 *
 * Locking: `lock` guards creation, destruction and assignment; lookup is
 * lock-free.
 */
#ifndef JE_ARENA_ARENA_TABLE_H
#define JE_ARENA_ARENA_TABLE_H

#include "arena/arena.h"

/* Creates arena 0. False when no memory is to be had. */
JE_MUST_USE bool arena_table_boot(void);

/* The arena in a slot, or NULL if it was never created. */
arena_t *arena_table_lookup(unsigned ind);

/* As lookup, but creates with default hooks what may be created there. */
arena_t *arena_table_get(unsigned ind);

/* Arena 0. */
arena_t *arena_table_first(void);

/* Automatic arenas: opt.narenas, or what the CPUs ask for. */
unsigned arena_table_narenas_auto(void);

/* Slots in use or reserved, as arenas.narenas tells. */
unsigned arena_table_narenas(void);

/* The arena for huge requests of automatic arenas; NULL if there is none. */
arena_t *arena_table_oversize(void);

/* Smallest usable size that goes there; SIZE_MAX when the feature is off. */
size_t arena_table_oversize_threshold(void);

/*
 * The least loaded automatic arena, lowest index first, with the caller
 * counted in; never NULL.
 */
arena_t *arena_table_bind(void);

/* As bind, to a given arena. */
void arena_table_bind_to(arena_t *arena);
void arena_table_unbind(arena_t *arena);

/* How many threads are bound to it. */
unsigned arena_table_nthreads(const arena_t *arena);

/* The automatic arena of the CPU the caller runs on (opt.percpu_arena). */
arena_t *arena_table_of_cpu(void);

/* Makes an arena for the program; NULL and an errno number in *error. */
arena_t *arena_table_create(
    extent_hooks_t *hooks, bool metadata_use_hooks, int *error);

/* Destroys a manual arena that no thread is bound to; else EFAULT. */
int arena_table_destroy(unsigned ind);

/* Totals of destroyed arenas. */
typedef struct {
    uint64_t count;
    bin_stats_t bins[SC_SMALL_COUNT];
    large_class_stats_t large[LARGE_CLASS_COUNT];
    page_purge_stats_t purge[2];
} arena_destroyed_stats_t;

void arena_table_destroyed_stats(arena_destroyed_stats_t *out);

/* Decay times that arenas created from now on start with. */
ssize_t arena_table_decay_default(page_set_t set);
void arena_table_set_decay_default(page_set_t set, ssize_t ms);

/*
 * Lets a busy thread's arena decay, and once a second all others, so that
 * arenas without a busy thread are not forgotten.
 */
void arena_table_tick(arena_t *own);

/*
 * Lets all arenas decay. Returns the bytes that are still to be given back
 * as time goes by.
 */
size_t arena_table_decay_all(void);

/* Unmaps what no arena uses; see page_purge_trim. */
void arena_table_trim_all(void);

/* Walks all arenas; aborts on a broken invariant (debug builds). */
void arena_table_check(void);

/* Calls `visit` for each arena; none can be destroyed meanwhile. */
void arena_table_visit(
    void (*visit)(arena_t *arena, void *opaque), void *opaque);

/* Gives back everything unused in all arenas. */
void arena_table_purge_all(void);

/* The table first, then what the arenas have, to be drained. */
void arena_table_prefork(void);
void arena_table_prefork_arenas(void);
void arena_table_postfork_parent(void);
void arena_table_postfork_child(void);

#endif
