/*
 * What: signals: a handler that runs a thousand times a second on every
 * thread and does not allocate; one that leaves by siglongjmp, but never out
 * of an allocation; threads whose handlers have a stack of their own.
 *
 * Invariants: what threads wrote into their blocks is there afterwards.
 *
 * Locking: the threads stop at a flag.
 */
#include "harness.h"
#include <jemalloc/jemalloc.h>

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define THREADS    6
#define LIVE       200
#define RUN_MS     700   /* and on until enough were caught, */
#define RUN_MS_MAX 60000 /* on a machine with other work, but not for ever */
#define CAUGHT     50
#define STACK      65536
#define PERIOD_NS  1000000

static atomic_bool stop;
static atomic_uint started;
static atomic_ulong caught, left;
static _Thread_local volatile sig_atomic_t may_leave;
static _Thread_local sigjmp_buf out;

static void count(int signal)
{
    (void)signal;
    int saved = errno;
    char on_this_stack[2000];
    memset(on_this_stack, 1, sizeof(on_this_stack));
    errno = on_this_stack[100];
    atomic_fetch_add(&caught, 1);
    errno = saved;
}

static void count_and_leave(int signal)
{
    count(signal);
    if (may_leave) {
        may_leave = 0;
        atomic_fetch_add(&left, 1);
        siglongjmp(out, 1);
    }
}

/* Allocates, checks and frees; returns the number of broken blocks. */
static size_t work_once(unsigned char **blocks, size_t *lengths, uint64_t *seed)
{
    size_t wrong = 0;
    *seed = *seed * 6364136223846793005U + 1442695040888963407U;
    size_t i = (size_t)(*seed >> 33) % LIVE;
    if (blocks[i] != NULL) {
        wrong += blocks[i][0] != (unsigned char)i;
        wrong += blocks[i][lengths[i] - 1] != (unsigned char)i;
        if ((*seed >> 60) == 3) {
            blocks[i] = realloc(blocks[i], lengths[i] + 5000);
            wrong += blocks[i][lengths[i] - 1] != (unsigned char)i;
        }
        free(blocks[i]);
    }
    lengths[i] =
        1 + (size_t)(*seed >> 20) % ((*seed >> 40) % 64 == 0 ? 300000 : 2000);
    blocks[i] = malloc(lengths[i]);
    memset(blocks[i], (int)i, lengths[i]);
    return wrong;
}

/* Here no allocation is under way. */
__attribute__((noinline)) static void be_left(void)
{
    if (sigsetjmp(out, 1) == 0) {
        may_leave = 1;
        for (volatile int i = 0; i < 2000 && may_leave; i++) {
        }
        may_leave = 0;
    }
}

static void *work(void *arg)
{
    unsigned char *blocks[LIVE] = {NULL};
    size_t lengths[LIVE];
    uint64_t seed = (uintptr_t)arg;
    size_t wrong = 0;
    static char stacks[THREADS + 1][STACK];
    stack_t mine = {.ss_sp = stacks[(size_t)arg], .ss_size = STACK};
    stack_t before;
    bool has_mine = (size_t)arg % 2 == 1;
    if (has_mine && sigaltstack(&mine, &before) != 0) {
        return arg;
    }
    atomic_fetch_add(&started, 1);
    while (!atomic_load(&stop)) {
        for (int i = 0; i < 50; i++) {
            wrong += work_once(blocks, lengths, &seed);
        }
        be_left();
    }
    for (int i = 0; i < LIVE; i++) {
        free(blocks[i]);
    }
    /* Sanitizers give every thread such a stack, and take it back. */
    if (has_mine && sigaltstack(&before, NULL) != 0) {
        return arg;
    }
    return wrong == 0 ? NULL : arg;
}

static uint64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void run(void (*handler)(int))
{
    pthread_t threads[THREADS];
    struct sigaction action = {.sa_handler = handler};
    action.sa_flags = SA_RESTART | SA_ONSTACK;
    REQUIRE(sigaction(SIGUSR1, &action, NULL) == 0);
    atomic_store(&stop, false);
    atomic_store(&started, 0);
    atomic_store(&caught, 0);
    for (size_t i = 0; i < THREADS; i++) {
        REQUIRE(pthread_create(&threads[i], NULL, work, (void *)(i + 1)) == 0);
    }
    while (atomic_load(&started) < THREADS) {
        usleep(1000);
    }
    uint64_t start = now_ms();
    while (now_ms() - start < RUN_MS ||
           (atomic_load(&caught) <= CAUGHT && now_ms() - start < RUN_MS_MAX)) {
        struct timespec period = {0, PERIOD_NS};
        for (int i = 0; i < THREADS; i++) {
            pthread_kill(threads[i], SIGUSR1);
        }
        nanosleep(&period, NULL);
    }
    atomic_store(&stop, true);
    for (int i = 0; i < THREADS; i++) {
        void *wrong = NULL;
        pthread_join(threads[i], &wrong);
        EXPECT_EQ_PTR(wrong, NULL);
    }
    test_note("%lu signals caught, %lu left", atomic_load(&caught),
        atomic_load(&left));
    EXPECT_GT_U64(atomic_load(&caught), CAUGHT);
}

TEST(handlers_disturb_nothing)
{
    run(count);
}

TEST(handlers_leave_by_a_jump)
{
    run(count_and_leave);
    EXPECT_GT_U64(atomic_load(&left), 0);
}

int main(void)
{
    return test_run(TEST_CASE(handlers_disturb_nothing),
        TEST_CASE(handlers_leave_by_a_jump), NULL);
}
