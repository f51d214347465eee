/*
 * What: the slow halves of mutex.h: spinning, sleeping, and the checks of
 * debug builds.
 *
 * Invariants: (I1) a thread sleeps only after it set the word to contended,
 * and the unlock that finds that wakes one sleeper, so no wake-up is lost; (I2)
 * a thread that waits for the gate holds no lock of a rank that is being
 * drained, for locks are taken in the order of their ranks. The one exception
 * is that of is_closed_for_me.
 *
 * Locking: see the name.
 */
#include "os/mutex.h"

#include <string.h>

#include "os/os.h"

/* Default of opt.mutex_max_spin; longer than any critical section of ours. */
#define MUTEX_SPIN_DEFAULT 600

/* Threads that one thread wakes after a fork. */
#define GATE_WAKES 2

static struct {
    int64_t max_spin;
    _Atomic int cpus; /* 0 = not asked yet: most programs never contend */
    /* mutex_self of the thread that has every lock because it forks. */
    _Atomic uintptr_t forking;
} mutex_state = {.max_spin = MUTEX_SPIN_DEFAULT};

uint32_t mutex_word_held = MUTEX_HELD;

/* Debug builds: how many locks of each rank this thread holds. */
static JE_THREAD_LOCAL struct {
    unsigned count[LOCK_RANK_COUNT];
} mutex_held;

void mutex_boot(int64_t max_spin)
{
    mutex_state.max_spin = max_spin;
}

/* On a single CPU the holder cannot get on while we spin. */
static int64_t spin_limit(void)
{
    int cpus = atomic_get_relaxed(&mutex_state.cpus);
    if (JE_UNLIKELY(cpus == 0)) {
        cpus = (int)os_affinity_cpus();
        atomic_put_relaxed(&mutex_state.cpus, cpus);
    }
    return cpus == 1 ? 0 : mutex_state.max_spin;
}

void mutex_init(mutex_t *mutex, lock_rank_t rank)
{
    *mutex = (mutex_t){.rank = rank};
}

static bool is_forking(void)
{
    return atomic_get_relaxed(&mutex_state.forking) == mutex_self();
}

void mutex_reinit(mutex_t *mutex)
{
    if (config_debug && mutex_is_owner(mutex)) {
        mutex_held.count[mutex->rank]--;
    }
    mutex->retaken = 0;
    atomic_put_relaxed(&mutex->word, 0);
    atomic_put_relaxed(&mutex->waiters, 0);
}

/* Whether a thread of this process holds it; others are no more. */
static bool is_word_held(uint32_t word)
{
    return word >> MUTEX_LG_STATES == mutex_word_held >> MUTEX_LG_STATES &&
           word != 0;
}

mutex_stats_t mutex_stats_read(const mutex_t *mutex)
{
    return mutex->stats;
}

/* Sleeps until the lock is the caller's. */
static void wait_for_word(mutex_t *mutex)
{
    uint32_t contended = mutex_word_held - MUTEX_HELD + MUTEX_CONTENDED;
    while (is_word_held(atomic_exchange(&mutex->word, contended))) {
        os_wait(&mutex->word, contended);
    }
}

/* True if the lock was got by spinning. */
static bool spin(mutex_t *mutex)
{
    int64_t limit = spin_limit();
    for (int64_t i = 0; limit < 0 || i < limit; i++) {
        os_spin_pause();
        uint32_t word = atomic_get_relaxed(&mutex->word);
        if (!is_word_held(word) &&
            atomic_compare_exchange_weak_explicit(&mutex->word, &word,
                mutex_word_held, memory_order_seq_cst, memory_order_relaxed)) {
            return true;
        }
    }
    return false;
}

/*
 * True if the caller has the lock and may take it again (I4): because it took
 * it before fork_begin, or because it was drained and whoever took it since
 * is about to step back, or was in the parent process.
 */
bool mutex_retake(mutex_t *mutex)
{
    if (!is_forking() ||
        (mutex->rank > LOCK_RANK_FORK_TAKES && !mutex_is_closed(mutex))) {
        return false;
    }
    mutex->retaken++;
    return true;
}

void mutex_lock_slow(mutex_t *mutex)
{
    if (mutex_retake(mutex)) {
        return;
    }
    if (spin(mutex)) {
        mutex->stats.n_spin++;
        return;
    }
    uint64_t start = os_clock_precise_ns();
    uint32_t waiters = atomic_add_relaxed(&mutex->waiters, 1) + 1;
    wait_for_word(mutex);
    (void)atomic_sub_relaxed(&mutex->waiters, 1);
    uint64_t waited = os_clock_precise_ns() - start;
    mutex_stats_t *stats = &mutex->stats;
    stats->n_wait++;
    stats->total_wait_ns += waited;
    if (waited > stats->max_wait_ns) {
        stats->max_wait_ns = waited;
    }
    if (waiters > stats->max_waiters) {
        stats->max_waiters = waiters;
    }
}

/* ---- the gate ---- */

_Atomic uint32_t mutex_gate;

/*
 * A hook of the program that runs under one grow lock may allocate from
 * another arena that has to grow: it must get through, or the first lock is
 * never free. At worst the child lacks what that arena was about to map.
 */
static bool is_closed_for_me(const mutex_t *mutex)
{
    return mutex_is_closed(mutex) && !is_forking() &&
           !(mutex->rank == LOCK_RANK_PAGE_GROW && reentry_is_inside());
}

/* Lets go of a lock that nothing was done with. */
static void step_back(mutex_t *mutex)
{
    if ((atomic_exchange(&mutex->word, 0) & MUTEX_CONTENDED) != 0) {
        os_wake(&mutex->word, 1);
    }
}

/*
 * Each thread that the gate let through wakes the next ones, before it waits
 * for anything else: who forks should not have to wake them all. If the gate
 * is shut again, whoever opens it does.
 */
static void wake_next(void)
{
    if (atomic_load(&mutex_gate) == 0) {
        os_wake(&mutex_gate, GATE_WAKES);
    }
}

JE_COLD void mutex_wait_for_gate(mutex_t *mutex)
{
    while (is_closed_for_me(mutex)) {
        uint32_t gate = atomic_get_acquire(&mutex_gate);
        step_back(mutex);
        if (gate > mutex->rank) {
            os_wait(&mutex_gate, gate);
            wake_next();
        }
        wait_for_word(mutex);
    }
}

void mutex_fork_begin(void)
{
    atomic_put_relaxed(&mutex_state.forking, mutex_self());
}

void mutex_fork_drain(mutex_t *mutex)
{
    if (!mutex_is_closed(mutex)) {
        atomic_store(&mutex_gate, mutex->rank + 1U);
    }
    /* Whoever takes it after that comes to the gate. */
    if (is_word_held(atomic_load(&mutex->word))) {
        wait_for_word(mutex);
        step_back(mutex);
    }
}

void mutex_fork_end(void)
{
    atomic_put_relaxed(&mutex_state.forking, 0);
    atomic_store(&mutex_gate, 0);
    os_wake(&mutex_gate, GATE_WAKES);
}

/* Looking at each lock would take longer than all else that a fork does. */
void mutex_fork_end_in_child(void)
{
    mutex_word_held += 1U << MUTEX_LG_STATES;
    memset(&mutex_held, 0, sizeof(mutex_held));
    atomic_put_relaxed(&mutex_state.forking, 0);
    atomic_store(&mutex_gate, 0);
}

void mutex_unlock_slow(mutex_t *mutex)
{
    os_wake(&mutex->word, 1);
}

void mutex_check_lock(mutex_t *mutex)
{
    if (!config_debug || is_forking()) {
        return;
    }
    for (unsigned rank = mutex->rank + 1; rank < LOCK_RANK_COUNT; rank++) {
        assert(mutex_held.count[rank] == 0);
    }
    mutex_held.count[mutex->rank]++;
}

void mutex_check_unlock(mutex_t *mutex)
{
    if (!config_debug || is_forking()) {
        return;
    }
    assert(mutex_is_owner(mutex));
    mutex_held.count[mutex->rank]--;
}

bool mutex_is_owner(const mutex_t *mutex)
{
    return (is_word_held(atomic_get_relaxed(&mutex->word)) ||
               mutex->retaken != 0) &&
           mutex->last_owner == mutex_self();
}
