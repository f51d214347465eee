/*
 * What: the per-thread record, its birth on a thread's first slow call and
 * its death when the thread ends.
 *
 * The *doors* are what the fast path uses: the thread's cache, or the closed
 * cache, which sends every call to the slow path. They are one word for each
 * kind of call; while profiling is on, one is shut (sampling.h). The slow
 * path looks at another word, the record itself:
 *
 *   NULL      no record yet              --tsd_create--> a record
 *   BORN      the record is being made   (nested calls do without); NULL again
 *             if there is no memory for it
 *   a record  ordinary life              --thread exit--> DEAD
 *   DEAD      exited: do without for the rest of this thread
 *
 * Invariants: (I1) an open door belongs to a record whose cache is enabled;
 * (I2) the door of instrumented threads is never open; (I3) eight bytes of
 * static TLS for each word and no more.
 *
 * Locking: a record belongs to its thread, and so does its cache, between
 * tsd_enter and tsd_leave.
 */
#ifndef JE_THREAD_TSD_H
#define JE_THREAD_TSD_H

#include "cache/tcache_steal.h"
#include "thread/quarantine.h"
#include "thread/sampling.h"

/* Called now and then with a thread's traffic. */
typedef struct {
    void (*call)(void *context, uint64_t allocated, uint64_t deallocated);
    void *context;
} tsd_activity_t;

/*
 * A thread's traffic in usable bytes: of a watched thread as of its last
 * call, of others as of its last event.
 */
typedef struct {
    uint64_t allocated;
    uint64_t deallocated;
    int64_t peak;  /* the largest difference of the two */
    int64_t floor; /* what thread.peak.read counts from */
    tsd_activity_t activity;
} tsd_traffic_t;

typedef struct tsd {
    tcache_t tcache; /* first: the doors point to its bins */
    arena_t *arena;
    sampling_t *sampling;     /* NULL unless options want it */
    quarantine_t *quarantine; /* NULL unless options want it */
    bool may_seal;            /* sealed blocks may take the short way */
    bool tcache_enabled;
    uint8_t countdown; /* slow calls until the next event */
    uint8_t events;
    /* Usable bytes that went past the cache. */
    uint64_t direct_allocated;
    uint64_t direct_deallocated;
    uint8_t watch; /* TSD_WATCH_*, see watch.h */
    tsd_traffic_t traffic;
} tsd_t;

enum {
    TSD_WATCH_NOT,
    TSD_WATCH_DUE, /* begins with the next call; the door is shut */
    TSD_WATCH_ON,
};

#define TSD_BORN ((tsd_t *)1)
#define TSD_DEAD ((tsd_t *)2)

/* One variable, so that who needs both finds its place but once. */
typedef struct {
    cache_bins_t *doors[CACHE_DOORS];
    tsd_t *self;
} tsd_words_t;

extern JE_THREAD_LOCAL tsd_words_t tsd_words;
#define tsd_doors tsd_words.doors
#define tsd_door  tsd_words.doors[CACHE_DOOR_TAKE]
#define tsd_self  tsd_words.self

/*
 * `main_ends` is called when the program's first thread ends and others go on.
 * False if the system calls nobody when a thread ends: until it does, threads
 * do without records.
 */
JE_MUST_USE bool tsd_boot(bool instrumented, void (*main_ends)(void));

static inline bool tsd_is_record(const tsd_t *tsd)
{
    return (uintptr_t)tsd > (uintptr_t)TSD_DEAD;
}

/* Whether sealed blocks may come from and go to the thread's cache. */
static inline bool tsd_may_seal(const tsd_t *tsd)
{
    return JE_LIKELY(tsd_is_record(tsd)) && tsd->may_seal;
}

/* Makes the calling thread's record; NULL if it must do without. */
tsd_t *tsd_create(void);

/* Takes the cache back from whoever reclaimed what it held. */
void tsd_settle(tsd_t *tsd);

/* Around everything that a thread does with its cache, the fast path apart. */
static inline void tsd_enter(tsd_t *tsd)
{
    if (tcache_enter(&tsd->tcache)) {
        tsd_settle(tsd);
    }
}

static inline void tsd_leave(tsd_t *tsd)
{
    tcache_leave(&tsd->tcache);
}

/* Whether a call of the thread is under way. */
static inline bool tsd_is_busy(const tsd_t *tsd)
{
    return atomic_get_relaxed(&tsd->tcache.owner.busy) != 0;
}

/* Closes the doors, or opens them if the record's state allows. */
void tsd_shut_door(void);
void tsd_open_door(void);

/*
 * Switches the thread's cache; it is flushed when it goes off, and has the
 * limits of a new one when it goes on.
 */
void tsd_set_tcache_enabled(tsd_t *tsd, bool enabled);

/* Gives back what the thread's cache holds. */
void tsd_flush(tsd_t *tsd);

/* Moves the thread to another arena; cached blocks stay cached. */
void tsd_set_arena(tsd_t *tsd, arena_t *arena);

/* From now on no door opens; the caller is the only thread. */
void tsd_instrument(void);

/* From now on each call of the thread, or of all threads, is followed. */
void tsd_watch(tsd_t *tsd);
void tsd_watch_all(void);

/* From now on samples are taken at a new rate. */
void tsd_follow_rate(void);

/* To be asked before the thread's traffic changes. */
static inline bool tsd_is_watched(tsd_t *tsd)
{
    if (JE_LIKELY(tsd->watch == TSD_WATCH_NOT)) {
        return false;
    }
    tsd_watch(tsd);
    return true;
}

/* In a fork child: the other threads are gone, and their records with them. */
void tsd_postfork_child(void);

/* Usable bytes allocated and freed by this thread so far. */
void tsd_traffic(tsd_t *tsd, uint64_t *allocated, uint64_t *deallocated);

/* Brings tsd->traffic up to date. */
void tsd_count_traffic(tsd_t *tsd);

/* What the thread has more than it was given by others, or less. */
static inline int64_t tsd_held(const tsd_traffic_t *traffic)
{
    return (int64_t)(traffic->allocated - traffic->deallocated);
}

static inline void tsd_note_peak(tsd_traffic_t *traffic)
{
    int64_t held = tsd_held(traffic);
    if (held > traffic->peak) {
        traffic->peak = held;
    }
}

#endif
