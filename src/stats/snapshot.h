/*
 * What: the counters of all modules, collected at one moment into one
 * structure, which stays until the next refresh: what stats.* and the report
 * show. Also the lock that keeps arenas alive while they are looked at.
 *
 * Invariants: (I1) the memory comes from the system directly, so that
 * looking does not change what is seen; (I2) no lock of an allocating thread
 * is held over more than one bin, one large list or one set; (I3) merged is
 * the sum over `arenas`, and what belongs to no arena counts for arena 0.
 *
 * Locking: snapshot_lock guards the current snapshot; whoever destroys an
 * arena holds it. Calls into all lower layers are allowed inside.
 */
#ifndef JE_STATS_SNAPSHOT_H
#define JE_STATS_SNAPSHOT_H

#include "arena/arena_table.h"
#include "os/mutex.h"

/* Whether the heap profiler is part of this build. */
#define SNAPSHOT_HAS_PROF true

#define STATS_TYPE_BOOL     bool
#define STATS_TYPE_SIZE     size_t
#define STATS_TYPE_SSIZE    ssize_t
#define STATS_TYPE_UNSIGNED unsigned
#define STATS_TYPE_U32      uint32_t
#define STATS_TYPE_U64      uint64_t
#define STATS_TYPE_TEXT     const char *

/* Classes of free runs: the large classes and one, two, three pages. */
#define SNAPSHOT_RUN_COUNT (LARGE_CLASS_COUNT + 3)

/* Positions of locks in `mutexes`. */
enum {
#define STATS_ARENA_MUTEX(name, help) SNAPSHOT_MUTEX_##name,
#include "stats/fields.def"
    SNAPSHOT_ARENA_MUTEX_COUNT
};
enum {
#define STATS_GLOBAL_MUTEX(name, help) SNAPSHOT_GLOBAL_##name,
#include "stats/fields.def"
    SNAPSHOT_GLOBAL_MUTEX_COUNT
};

typedef struct {
#define STATS_SUM(kind, name, help) STATS_TYPE_##kind name;
#include "stats/fields.def"
} snapshot_sum_t;

typedef struct {
#define STATS_BIN(kind, name, help) STATS_TYPE_##kind name;
#include "stats/fields.def"
    mutex_stats_t mutex; /* of all shards */
} snapshot_bin_t;

typedef struct {
#define STATS_LEXTENT(kind, name, help) STATS_TYPE_##kind name;
#include "stats/fields.def"
} snapshot_lextent_t;

typedef struct {
#define STATS_EXTENT(kind, name, help) STATS_TYPE_##kind name;
#include "stats/fields.def"
} snapshot_extent_t;

/* Huge pages of one sort, and of all sorts, of one arena. */
#define SNAPSHOT_HPA_RUN_COUNT   64
#define SNAPSHOT_HPA_ALLOC_COUNT 9

typedef struct {
#define STATS_HPA_SLABS(kind, name, help) STATS_TYPE_##kind name;
#include "stats/fields.def"
} snapshot_hpa_slabs_t;

typedef struct {
#define STATS_HPA_ALLOC(kind, name, help) STATS_TYPE_##kind name;
#include "stats/fields.def"
} snapshot_hpa_alloc_t;

typedef struct {
#define STATS_HPA_SEC(kind, name, help) STATS_TYPE_##kind name;
#define STATS_HPA(kind, name, help)     STATS_TYPE_##kind name;
#include "stats/fields.def"
    snapshot_hpa_slabs_t slabs; /* all of them */
    snapshot_hpa_alloc_t alloc[SNAPSHOT_HPA_ALLOC_COUNT];
    snapshot_hpa_slabs_t full_slabs;
    snapshot_hpa_slabs_t empty_slabs;
    snapshot_hpa_slabs_t nonfull_slabs[SNAPSHOT_HPA_RUN_COUNT];
} snapshot_hpa_t;

/* What every arena has of them: nothing. */
extern const snapshot_hpa_t snapshot_no_hpa;

typedef struct {
    const arena_t *arena; /* to compare with, never to follow */
    unsigned ind;
    char name[ARENA_NAME_MAX];
#define STATS_ARENA(kind, name, key, merge, help) STATS_TYPE_##kind name;
#define STATS_MEMORY(kind, name, merge, help)     STATS_TYPE_##kind name;
#include "stats/fields.def"
    uint64_t created_ns;
    /* Requests as they were shown last: never fewer, though caches race. */
    uint64_t requests_before[TCACHE_BIN_COUNT];
    snapshot_sum_t small;
    snapshot_sum_t large;
    mutex_stats_t mutexes[SNAPSHOT_ARENA_MUTEX_COUNT];
    snapshot_bin_t bins[SC_SMALL_COUNT];
    snapshot_lextent_t lextents[LARGE_CLASS_COUNT];
    snapshot_extent_t extents[SNAPSHOT_RUN_COUNT];
} snapshot_arena_t;

typedef struct {
#define STATS_TOTAL(kind, name, help) STATS_TYPE_##kind name;
#include "stats/fields.def"
} snapshot_total_t;

typedef struct {
#define STATS_BACKGROUND(kind, name, help) STATS_TYPE_##kind name;
#include "stats/fields.def"
} snapshot_background_t;

typedef struct {
    size_t map_bytes; /* of the mapping that this lies in */
    unsigned capacity;
    unsigned count; /* of arenas */
    uint64_t destroyed_count;
    snapshot_total_t total;
    snapshot_background_t background;
    size_t cached_large_bytes; /* of the thread caches' */
    mutex_stats_t mutexes[SNAPSHOT_GLOBAL_MUTEX_COUNT];
    snapshot_arena_t merged;
    snapshot_arena_t destroyed;
    snapshot_arena_t arenas[]; /* by index, ascending */
} snapshot_t;

/* Calls of realloc(ptr, 0); written by api/. */
extern _Atomic size_t stats_zero_reallocs;

void snapshot_boot(void);

void snapshot_lock(void);
void snapshot_unlock(void);

/* Collects anew and counts the epoch. False when no memory is to be had. */
JE_MUST_USE bool snapshot_refresh_locked(void);

/* The current snapshot; the first call makes it. NULL: out of memory. */
const snapshot_t *snapshot_get_locked(void);

/* How many refreshes there were. */
uint64_t snapshot_epoch_locked(void);

/* Refreshes, and copies for use without the lock. NULL: out of memory. */
snapshot_t *snapshot_copy(void);
void snapshot_release(snapshot_t *copy);

/* Where the current snapshot lies, and how long it is. */
uintptr_t snapshot_memory_locked(size_t *bytes);

/* Bytes of small blocks in caches, as of the last refresh. */
size_t snapshot_cached_small_locked(void);

/* An ordinary arena that was alive at the refresh, or NULL. */
const snapshot_arena_t *snapshot_find(const snapshot_t *snapshot, size_t ind);

/* Pages in use right now, in bytes, over all arenas. */
size_t snapshot_active_now(void);

/* Bytes of the smallest run in a class of runs. */
size_t snapshot_run_bytes(unsigned run_class);

/* Zeroes the counters of all locks that mutexes.* show. */
void snapshot_reset_mutexes(void);

void snapshot_prefork(void);
void snapshot_postfork_parent(void);

#endif
