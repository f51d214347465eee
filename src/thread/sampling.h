/*
 * What: which of a thread's allocations the profiler samples, found out
 * without an instruction on the fast path.
 *
 * For each small class a countdown is drawn: so many blocks until the next
 * sample. While profiling is on, the thread's door for taking blocks does not
 * show its cache but a *window* of a few blocks of each class, taken from the
 * cache, never more than come before the next sample. Blocks go back to the
 * cache itself. So a window runs empty, the slow path counts, and refills it:
 * mostly by letting the two stacks change places.
 *
 *      cache --sampling_pop, _fill--> window --fast path--> program
 *        ^------------------- fast path -------------------'
 *
 * Sized deallocation does not look at the address map, where a sample shows:
 * its door is closed, and the slow path tells samples by their alignment.
 *
 * Invariants: (I1) a window holds fewer blocks than the countdown was when it
 * was filled, and these are subtracted from it; (I2) blocks in a window count
 * as handed out by the cache.
 *
 * Locking: a thread's own.
 */
#ifndef JE_THREAD_SAMPLING_H
#define JE_THREAD_SAMPLING_H

#include "cache/tcache.h"
#include "prof/prof.h"

/* Classes that the fast path serves: up to SC_LOOKUP_MAX. */
#define SAMPLING_CLASSES 29

/* The cold half of a window. */
typedef struct {
    uint64_t countdown; /* blocks until the next sample; 0: to be drawn */
    void **bottom;      /* NULL before the first use */
    uint8_t want;       /* blocks of the next filling */
    uint8_t lg_words;   /* size of the stack */
} window_t;

typedef struct sampling {
    cache_bins_t bins;   /* what the door shows */
    uint8_t calls;       /* slow ones since the last that counted as an event */
    uint32_t generation; /* of the rate that the countdowns are drawn from */
    window_t windows[SAMPLING_CLASSES + 1];
} sampling_t;

/* The calling thread's, NULL if profiling is off or memory is short. */
sampling_t *sampling_create(void);
void sampling_destroy(sampling_t *sampling, tcache_t *tcache);

/*
 * Windows make many more slow calls: only one in so many counts for the
 * thread's periodic work, or caches would look idle between two looks.
 */
#define SAMPLING_CALLS_PER_EVENT 16

static inline bool sampling_is_event(sampling_t *sampling)
{
    return ++sampling->calls % SAMPLING_CALLS_PER_EVENT == 0;
}

/* Counts an allocation of `usize` bytes; true if it is to be a sample. */
bool sampling_is_due(sampling_t *sampling, size_t usize);

/*
 * Fills the empty window of a class and takes a block from it, if that is all
 * there is to do: no sample is due, the cache has enough, the thread's
 * periodic work can wait. NULL otherwise: nothing was done.
 */
void *sampling_pop(sampling_t *sampling, tcache_t *tcache, size_t class_byte);

/* Moves blocks of a class from the cache into the empty window. */
void sampling_fill(sampling_t *sampling, tcache_t *tcache, unsigned class_byte);

/* Puts what the windows hold back into the cache. */
void sampling_return(sampling_t *sampling, tcache_t *tcache);

/* Bytes of blocks in windows. */
uint64_t sampling_held_bytes(const sampling_t *sampling);

#endif
