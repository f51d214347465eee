/*
 * What: the lock: exclusion, the counters of contention, what debug builds
 * notice, and a lock found held after fork.
 *
 * Invariants: (I1) no test waits for time to pass; they wait for the word
 * that shows what the other thread does. Spinning shows nowhere until it is
 * over: that test goes on until there was time enough.
 *
 * Locking: this is about nothing else.
 */
#include "os/mutex.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"
#include "jemalloc/jemalloc.h"
#include "os/os.h"

#define THREADS 4
#define ROUNDS  20000

static mutex_t mutex;
static uint64_t guarded;

static void begin(int64_t max_spin)
{
    je_free(je_malloc(1)); /* boots */
    mutex_boot(max_spin);
    mutex_init(&mutex, LOCK_RANK_BIN);
    guarded = 0;
}

JE_NO_LOCK_ANALYSIS
static void lock(void)
{
    mutex_lock(&mutex);
}

JE_NO_LOCK_ANALYSIS
static void unlock(void)
{
    mutex_unlock(&mutex);
}

static void *count(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < ROUNDS; i++) {
        lock();
        guarded++;
        unlock();
    }
    return NULL;
}

TEST(excludes)
{
    const int64_t spins[] = {0, 600, -1};
    for (unsigned s = 0; s < 3; s++) {
        begin(spins[s]);
        pthread_t threads[THREADS];
        for (unsigned i = 0; i < THREADS; i++) {
            REQUIRE(pthread_create(&threads[i], NULL, count, NULL) == 0);
        }
        for (unsigned i = 0; i < THREADS; i++) {
            pthread_join(threads[i], NULL);
        }
        mutex_stats_t stats = mutex_stats_read(&mutex);
        EXPECT_EQ_U64(guarded, THREADS * ROUNDS);
        EXPECT_EQ_U64(stats.n_ops, THREADS * ROUNDS);
        EXPECT_LE_U64(stats.n_wait + stats.n_spin, stats.n_ops);
        EXPECT_GE_U64(stats.n_owner_switch, 1);
        EXPECT(spins[s] != 0 || stats.n_spin == 0);
        EXPECT(spins[s] != -1 || stats.n_wait == 0);
        EXPECT_LE_U64(stats.max_wait_ns, stats.total_wait_ns);
        EXPECT_LT_U64(stats.max_waiters, THREADS);
        EXPECT_EQ_U64(atomic_get_relaxed(&mutex.word), 0);
        EXPECT_EQ_U64(atomic_get_relaxed(&mutex.waiters), 0);
    }
    begin(600);
}

static void *lock_once(void *arg)
{
    (void)arg;
    lock();
    guarded++;
    unlock();
    return NULL;
}

/* Two threads sleep until the owner lets go. */
TEST(waiters_are_counted)
{
    begin(0);
    lock();
    pthread_t threads[2];
    for (uint32_t i = 0; i < 2; i++) {
        REQUIRE(pthread_create(&threads[i], NULL, lock_once, NULL) == 0);
        while (atomic_get_relaxed(&mutex.waiters) != i + 1) {
            os_yield();
        }
    }
    EXPECT_EQ_U64(guarded, 0);
    mutex_stats_t before = mutex_stats_read(&mutex);
    EXPECT_EQ_U64(before.n_ops, 1);
    EXPECT_EQ_U64(before.n_wait, 0);
    unlock();
    pthread_join(threads[0], NULL);
    pthread_join(threads[1], NULL);
    mutex_stats_t stats = mutex_stats_read(&mutex);
    EXPECT_EQ_U64(guarded, 2);
    EXPECT_EQ_U64(stats.n_ops, 3);
    EXPECT_EQ_U64(stats.n_wait, 2);
    EXPECT_EQ_U64(stats.n_spin, 0);
    EXPECT_EQ_U64(stats.n_owner_switch, 3);
    EXPECT_EQ_U64(stats.max_waiters, 2);
    EXPECT_EQ_U64(atomic_get_relaxed(&mutex.waiters), 0);
    EXPECT_GT_U64(stats.max_wait_ns, 0);
    EXPECT_GE_U64(stats.total_wait_ns, stats.max_wait_ns);
    begin(600);
}

static _Atomic bool is_about_to_lock;

static void *spin_once(void *arg)
{
    atomic_put_release(&is_about_to_lock, true);
    return lock_once(arg);
}

static mutex_stats_t spin_for(unsigned held_us)
{
    pthread_t thread;
    begin(-1);
    atomic_put_release(&is_about_to_lock, false);
    lock();
    REQUIRE(pthread_create(&thread, NULL, spin_once, NULL) == 0);
    while (!atomic_get_acquire(&is_about_to_lock)) {
        os_yield();
    }
    usleep(held_us);
    unlock();
    pthread_join(thread, NULL);
    return mutex_stats_read(&mutex);
}

TEST(spinning_is_counted)
{
    mutex_stats_t stats = {0};
    for (unsigned us = 100; us < 2000000 && stats.n_spin == 0; us *= 3) {
        stats = spin_for(us);
    }
    EXPECT_EQ_U64(stats.n_spin, 1);
    EXPECT_EQ_U64(stats.n_ops, 2);
    EXPECT_EQ_U64(stats.n_wait, 0);
    EXPECT_EQ_U64(stats.total_wait_ns, 0);
    begin(600);
}

TEST(one_owner)
{
    begin(600);
    for (unsigned i = 0; i < 5; i++) {
        EXPECT(!mutex_is_owner(&mutex));
        lock();
        EXPECT(mutex_is_owner(&mutex));
        unlock();
    }
    mutex_stats_t stats = mutex_stats_read(&mutex);
    EXPECT_EQ_U64(stats.n_ops, 5);
    EXPECT_EQ_U64(stats.n_owner_switch, 1);
    EXPECT_EQ_U64(stats.n_wait + stats.n_spin, 0);
}

static void *try_it(void *arg)
{
    bool *got = arg;
    *got = mutex_trylock(&mutex);
    if (*got) {
        unlock();
    }
    return NULL;
}

static bool another_thread_gets_it(void)
{
    bool got = false;
    pthread_t thread;
    REQUIRE(pthread_create(&thread, NULL, try_it, &got) == 0);
    pthread_join(thread, NULL);
    return got;
}

TEST(trylock)
{
    begin(600);
    EXPECT(another_thread_gets_it());
    lock();
    EXPECT(!another_thread_gets_it());
    unlock();
    EXPECT_EQ_U64(mutex_stats_read(&mutex).n_ops, 2);
}

/* ---- fork ---- */

static void reinit_in_child(void *arg)
{
    if (arg == NULL) {
        mutex_reinit(&mutex);
    } else {
        mutex_fork_end_in_child();
    }
    EXPECT(!mutex_is_owner(&mutex));
    lock();
    EXPECT(mutex_is_owner(&mutex));
    unlock();
    EXPECT(another_thread_gets_it());
}

TEST(held_while_forking)
{
    if (test_is_emulated()) {
        test_skip("the emulator fails when a program with threads forks");
    }
    begin(600);
    /* Outermost, as forking takes all locks of the library. */
    mutex_init(&mutex, LOCK_RANK_CTL);
    lock();
    static test_child_t child;
    for (int all = 0; all < 2; all++) {
        child = test_in_child(reinit_in_child, all != 0 ? &mutex : NULL);
        EXPECT_EQ_I64(child.status, 0);
        EXPECT_EQ_STR(child.err, "");
    }
    unlock();
}

/* Between the two halves of a fork the holder goes in and out at will. */
TEST(retaken_while_forking)
{
    begin(600);
    mutex_init(&mutex, LOCK_RANK_CTL);
    lock();
    mutex_fork_begin();
    for (unsigned depth = 1; depth < 4; depth++) {
        for (unsigned i = 0; i < depth; i++) {
            lock();
        }
        EXPECT_EQ_U64(mutex.retaken, depth);
        EXPECT(!another_thread_gets_it());
        for (unsigned i = 0; i < depth; i++) {
            unlock();
        }
        EXPECT(!another_thread_gets_it());
    }
    mutex_fork_end();
    EXPECT_EQ_U64(mutex.retaken, 0);
    EXPECT(!another_thread_gets_it());
    unlock();
    EXPECT(another_thread_gets_it());
}

/* A lock that came into being meanwhile, of any rank, is an ordinary one. */
TEST(born_while_forking)
{
    static mutex_t outer;
    begin(600);
    mutex_init(&outer, LOCK_RANK_CTL);
    lock();
    mutex_fork_begin();
    mutex_lock(&outer);
    mutex_unlock(&outer);
    EXPECT_EQ_U64(atomic_get_relaxed(&outer.word), 0);
    mutex_fork_end();
    unlock();
}

/* A lock of a closed rank is free, and nobody but the forking thread's. */
TEST(drained_for_a_fork)
{
    static mutex_t inner;
    begin(0);
    mutex_init(&inner, LOCK_RANK_CACHE_SLOTS);
    mutex_fork_begin();
    mutex_fork_drain(&mutex);
    EXPECT_EQ_U64(atomic_get_relaxed(&mutex.word), 0);
    EXPECT(mutex_is_closed(&mutex));
    EXPECT(!mutex_is_closed(&inner));
    pthread_t thread;
    REQUIRE(pthread_create(&thread, NULL, count, NULL) == 0);
    for (unsigned i = 0; i < ROUNDS; i++) {
        lock();
        EXPECT_EQ_U64(guarded, 0);
        unlock();
    }
    EXPECT_EQ_U64(guarded, 0);
    mutex_fork_end();
    pthread_join(thread, NULL);
    EXPECT_EQ_U64(guarded, ROUNDS);
    EXPECT(!mutex_is_closed(&mutex));
}

static void *drain(void *arg)
{
    mutex_fork_begin();
    mutex_fork_drain(&mutex);
    uint64_t seen = guarded;
    for (unsigned i = 0; i < ROUNDS; i++) {
        os_spin_pause();
    }
    *(uint64_t *)arg += guarded - seen;
    mutex_fork_end();
    return NULL;
}

/* Whoever was inside comes out before the drain is done. */
TEST(draining_waits_for_holders)
{
    static const int64_t spins[] = {0, 600};
    for (unsigned s = 0; s < 2; s++) {
        begin(spins[s]);
        uint64_t changed = 0;
        pthread_t threads[2];
        REQUIRE(pthread_create(&threads[0], NULL, count, NULL) == 0);
        REQUIRE(pthread_create(&threads[1], NULL, count, NULL) == 0);
        for (unsigned i = 0; i < 20; i++) {
            pthread_t forking;
            REQUIRE(pthread_create(&forking, NULL, drain, &changed) == 0);
            pthread_join(forking, NULL);
        }
        pthread_join(threads[0], NULL);
        pthread_join(threads[1], NULL);
        EXPECT_EQ_U64(changed, 0);
        EXPECT_EQ_U64(guarded, 2 * ROUNDS);
    }
}

/* ---- what debug builds notice ---- */

JE_NO_LOCK_ANALYSIS
static void wrong_order(void *arg)
{
    (void)arg;
    mutex_t outer;
    mutex_init(&outer, LOCK_RANK_CTL);
    mutex_lock(&mutex);
    mutex_lock(&outer);
}

JE_NO_LOCK_ANALYSIS
static void right_order(void *arg)
{
    (void)arg;
    mutex_t outer;
    mutex_t same;
    mutex_init(&outer, LOCK_RANK_CTL);
    mutex_init(&same, LOCK_RANK_BIN);
    mutex_lock(&outer);
    mutex_lock(&mutex);
    mutex_lock(&same);
    mutex_unlock(&outer);
    mutex_unlock(&same);
    mutex_unlock(&mutex);
    mutex_lock(&outer);
    mutex_unlock(&outer);
}

JE_NO_LOCK_ANALYSIS
static void unlock_unheld(void *arg)
{
    (void)arg;
    mutex_unlock(&mutex);
}

static test_child_t child_of(void (*fn)(void *))
{
    static test_child_t child;
    child = test_in_child(fn, NULL);
    return child;
}

TEST(order_is_checked)
{
    begin(600);
    EXPECT_EQ_I64(child_of(right_order).status, 0);
    if (!config_debug) {
        test_skip("ranks are checked in debug builds only");
    }
    test_child_t child = child_of(wrong_order);
    EXPECT(WIFSIGNALED(child.status) && WTERMSIG(child.status) == SIGABRT);
    EXPECT(strstr(child.err, "mutex_check_lock: Failed assertion") != NULL);
    child = child_of(unlock_unheld);
    EXPECT(WIFSIGNALED(child.status) && WTERMSIG(child.status) == SIGABRT);
    EXPECT(strstr(child.err, "mutex_check_unlock: Failed assertion") != NULL);
}

int main(void)
{
    return test_run(TEST_CASE(excludes), TEST_CASE(waiters_are_counted),
        TEST_CASE(spinning_is_counted), TEST_CASE(one_owner),
        TEST_CASE(trylock), TEST_CASE(held_while_forking),
        TEST_CASE(retaken_while_forking), TEST_CASE(born_while_forking),
        TEST_CASE(drained_for_a_fork), TEST_CASE(draining_waits_for_holders),
        TEST_CASE(order_is_checked), NULL);
}
