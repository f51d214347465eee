/*
 * What: the slow halves of mutex.h: spinning, sleeping, and the checks of
 * debug builds.
 *
 * Invariants: (I1) a thread sleeps only after it set the word to 2, and the
 * unlock that finds 2 wakes one sleeper, so no wake-up is lost.
 *
 * Locking: see the name.
 */
#include "os/mutex.h"

#include "os/os.h"

/* Default of opt.mutex_max_spin; longer than any critical section of ours. */
#define MUTEX_SPIN_DEFAULT 600

static struct {
    int64_t max_spin;
    _Atomic int cpus; /* 0 = not asked yet: most programs never contend */
    /* mutex_self of the thread that holds every lock because it forks. */
    _Atomic uintptr_t forking;
} mutex_state = {.max_spin = MUTEX_SPIN_DEFAULT};

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

void mutex_reinit(mutex_t *mutex)
{
    if (config_debug && mutex_is_owner(mutex)) {
        mutex_held.count[mutex->rank]--;
    }
    mutex->retaken = 0;
    atomic_put_relaxed(&mutex->word, 0);
    atomic_put_relaxed(&mutex->waiters, 0);
}

mutex_stats_t mutex_stats_read(const mutex_t *mutex)
{
    return mutex->stats;
}

/* True if the lock was got by spinning. */
static bool spin(mutex_t *mutex)
{
    int64_t limit = spin_limit();
    for (int64_t i = 0; limit < 0 || i < limit; i++) {
        os_spin_pause();
        uint32_t free_word = 0;
        if (atomic_get_relaxed(&mutex->word) == 0 &&
            atomic_compare_exchange_weak_explicit(&mutex->word, &free_word, 1,
                memory_order_acquire, memory_order_relaxed)) {
            return true;
        }
    }
    return false;
}

void mutex_fork_begin(void)
{
    atomic_put_relaxed(&mutex_state.forking, mutex_self());
}

void mutex_fork_end(void)
{
    atomic_put_relaxed(&mutex_state.forking, 0);
}

static bool is_forking(void)
{
    return atomic_get_relaxed(&mutex_state.forking) == mutex_self();
}

/* True if the caller holds the lock and may take it again (I4). */
bool mutex_retake(mutex_t *mutex)
{
    if (!is_forking() || !mutex_is_owner(mutex)) {
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
    while (
        atomic_exchange_explicit(&mutex->word, 2, memory_order_acquire) != 0) {
        os_wait(&mutex->word, 2);
    }
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
    return atomic_get_relaxed(&mutex->word) != 0 &&
           mutex->last_owner == mutex_self();
}
