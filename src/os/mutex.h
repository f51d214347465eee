/*
 * What: a lock of one word with contention counters: spins a little, then
 * sleeps in the kernel.
 *
 * Invariants: (I1) word is 0 free, else held, the lowest bits telling how: 1,
 * or 2 if perhaps waited for; above them the generation of the process, so
 * that in a fork child nothing that the parent's threads held is held;
 * (I2) the counters are written only by the holder; (I3) debug builds check
 * rank (lock_rank.h) and ownership; (I4) around a fork the forking thread has
 * all locks to itself, and may take even those again that it holds: handlers
 * of the program that run inside ours allocate too.
 *
 * Fork takes the few outermost locks. For the thousands below them, whose
 * pages the child would have to copy if they were written, there is a gate:
 * whoever gets a lock of a rank that is closed lets it go and waits. The
 * forking thread closes rank after rank, and looks until nobody holds a lock
 * of that rank any more. That a lock was taken and that the gate was looked
 * at must have one order everywhere: both are sequentially consistent, as are
 * closing it and looking at the locks.
 *
 * Locking: see the name.
 */
#ifndef JE_OS_MUTEX_H
#define JE_OS_MUTEX_H

#include "os/lock_rank.h"
#include "os/reentry.h"
#include "util/atomic.h"
#include "util/common.h"
#include "util/fail.h"

#ifdef __clang__
#    define JE_CAPABILITY       __attribute__((capability("mutex")))
#    define JE_ACQUIRES(m)      __attribute__((acquire_capability(m)))
#    define JE_TRY_ACQUIRES(m)  __attribute__((try_acquire_capability(true, m)))
#    define JE_RELEASES(m)      __attribute__((release_capability(m)))
#    define JE_REQUIRES(m)      __attribute__((requires_capability(m)))
#    define JE_NO_LOCK_ANALYSIS __attribute__((no_thread_safety_analysis))
#else
#    define JE_CAPABILITY
#    define JE_ACQUIRES(m)
#    define JE_TRY_ACQUIRES(m)
#    define JE_RELEASES(m)
#    define JE_REQUIRES(m)
#    define JE_NO_LOCK_ANALYSIS
#endif

typedef struct {
    uint64_t n_ops;          /* acquisitions */
    uint64_t n_wait;         /* acquisitions that slept */
    uint64_t n_spin;         /* acquisitions won by spinning */
    uint64_t n_owner_switch; /* acquisitions by another thread than before */
    uint64_t total_wait_ns;
    uint64_t max_wait_ns;
    uint32_t max_waiters;
} mutex_stats_t;

typedef struct JE_CAPABILITY {
    _Atomic uint32_t word;
    _Atomic uint32_t waiters;
    lock_rank_t rank;
    uint32_t retaken; /* I4: how often, on top of the first time */
    uintptr_t last_owner;
    mutex_stats_t stats;
} mutex_t;

/* Spins before sleeping; from opt.mutex_max_spin, -1 for ever. */
void mutex_boot(int64_t max_spin);

void mutex_init(mutex_t *mutex, lock_rank_t rank);

/* Frees the lock, whoever held it. */
void mutex_reinit(mutex_t *mutex);

/* Copies the counters; call it while holding the lock. */
mutex_stats_t mutex_stats_read(const mutex_t *mutex);

/*
 * From fork_begin on, with the outer locks held, the gate may be closed. No
 * other thread than the caller passes it, in this or the child process, until
 * fork_end; then the parent has to unlock the outer locks, while in the child
 * all locks of the library are free.
 */
void mutex_fork_begin(void);
void mutex_fork_end(void);
void mutex_fork_end_in_child(void);

/*
 * Closes all locks of this one's rank and waits until nobody holds this one.
 * The ranks before must have been drained.
 */
void mutex_fork_drain(mutex_t *mutex);

/* The word of a lock that is held and not waited for. */
extern uint32_t mutex_word_held;

/* Bits of a word: held and not waited for, held and perhaps waited for. */
#define MUTEX_HELD      1U
#define MUTEX_CONTENDED 2U
#define MUTEX_LG_STATES 2

/* Locks of this and higher ranks are open. */
extern _Atomic uint32_t mutex_gate;

static inline bool mutex_is_closed(const mutex_t *mutex)
{
    return JE_UNLIKELY(
        mutex->rank < atomic_load_explicit(&mutex_gate, memory_order_seq_cst));
}

void mutex_lock_slow(mutex_t *mutex);
/* The caller has the lock, and loses it while it is closed for him. */
void mutex_wait_for_gate(mutex_t *mutex);
bool mutex_retake(mutex_t *mutex);
void mutex_unlock_slow(mutex_t *mutex);
void mutex_check_lock(mutex_t *mutex);
void mutex_check_unlock(mutex_t *mutex);
bool mutex_is_owner(const mutex_t *mutex);

/* A word that differs between live threads. */
static inline uintptr_t mutex_self(void)
{
    return (uintptr_t)&reentry_depth;
}

static inline void mutex_note_owner(mutex_t *mutex)
{
    uintptr_t me = mutex_self();
    mutex->stats.n_ops++;
    if (mutex->last_owner != me) {
        mutex->last_owner = me;
        mutex->stats.n_owner_switch++;
    }
    if (config_debug) {
        mutex_check_lock(mutex);
    }
}

JE_NO_LOCK_ANALYSIS
static inline void mutex_lock(mutex_t *mutex) JE_ACQUIRES(mutex)
{
    uint32_t free_word = 0;
    if (JE_UNLIKELY(
            !atomic_compare_exchange_strong_explicit(&mutex->word, &free_word,
                mutex_word_held, memory_order_seq_cst, memory_order_relaxed))) {
        mutex_lock_slow(mutex);
    }
    if (mutex_is_closed(mutex)) {
        mutex_wait_for_gate(mutex);
    }
    mutex_note_owner(mutex);
}

/* True if it got the lock. */
JE_NO_LOCK_ANALYSIS
static inline bool mutex_trylock(mutex_t *mutex) JE_TRY_ACQUIRES(mutex)
{
    uint32_t free_word = 0;
    if (!atomic_compare_exchange_strong_explicit(&mutex->word, &free_word,
            mutex_word_held, memory_order_seq_cst, memory_order_relaxed)) {
        return mutex_retake(mutex);
    }
    if (mutex_is_closed(mutex)) {
        mutex_wait_for_gate(mutex);
    }
    mutex_note_owner(mutex);
    return true;
}

JE_NO_LOCK_ANALYSIS
static inline void mutex_unlock(mutex_t *mutex) JE_RELEASES(mutex)
{
    if (JE_UNLIKELY(mutex->retaken != 0)) {
        mutex->retaken--;
        return;
    }
    if (config_debug) {
        mutex_check_unlock(mutex);
    }
    if (JE_UNLIKELY(
            (atomic_exchange_explicit(&mutex->word, 0, memory_order_release) &
                MUTEX_CONTENDED) != 0)) {
        mutex_unlock_slow(mutex);
    }
}

#endif
