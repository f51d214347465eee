/*
 * What: fork from a program whose threads allocate all the time. The child
 * must be able to use everything: allocate, free what the parent had, start
 * threads, ask the control tree, fork again.
 *
 * Invariants: a child that hangs is killed by its alarm, and counts as
 * failed.
 *
 * Locking: the threads stop at a flag.
 */
#include "harness.h"
#include <jemalloc/jemalloc.h>

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/*
 * A sanitizer's own allocator takes no part in fork: its locks may be held
 * in the child for ever, and a new thread needs them.
 */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#    define CHILD_MAY_START_THREADS 0
#elif defined(__has_feature)
#    define CHILD_MAY_START_THREADS                                            \
        (!__has_feature(address_sanitizer) && !__has_feature(thread_sanitizer))
#else
#    define CHILD_MAY_START_THREADS 1
#endif

#define THREADS 4
#define FORKS   150
/* Enough for a lock left out of the handlers to be held at one of them. */
#define BIRTH_FORKS 3000

static atomic_bool stop;

static void *noise(void *arg)
{
    size_t size = (size_t)(uintptr_t)arg;
    void *ring[64] = {NULL};

    for (size_t i = 0; !atomic_load(&stop); i++) {
        size = (size * 1103515245u + 12345u) & 0xfffff;
        free(ring[i % 64]);
        ring[i % 64] = malloc(i % 50 == 0 ? size : size % 3000);
        if (i % 1000 == 0) {
            mallctl("arena.0.decay", NULL, NULL, NULL, 0);
        }
    }
    for (int i = 0; i < 64; i++) {
        free(ring[i]);
    }
    return NULL;
}

static void *child_thread(void *arg)
{
    (void)arg;
    for (size_t i = 0; i < 500; i++) {
        char *p = malloc(1 + i * 97 % 30000);
        if (p == NULL) {
            return (void *)1;
        }
        p[0] = 1;
        free(p);
    }
    return NULL;
}

/* Returns the exit status: 0 when everything works. */
static int child(char **blocks, int n, int depth)
{
    alarm(30);
    for (int i = 0; i < n; i++) {
        if (blocks[i][10] != (char)i) {
            return 2;
        }
        blocks[i] = realloc(blocks[i], 50 + (size_t)i * 300);
        if (blocks[i] == NULL || blocks[i][10] != (char)i) {
            return 3;
        }
        free(blocks[i]);
    }
    pthread_t thread;
    void *result = NULL;
    if (CHILD_MAY_START_THREADS) {
        if (pthread_create(&thread, NULL, child_thread, NULL) != 0) {
            return 4;
        }
        pthread_join(thread, &result);
    }
    if (result != NULL || child_thread(NULL) != NULL) {
        return 5;
    }
    uint64_t epoch = 1;
    size_t allocated = 0, length = sizeof(allocated);
    if (mallctl("epoch", NULL, NULL, &epoch, sizeof(epoch)) != 0 ||
        mallctl("stats.allocated", &allocated, &length, NULL, 0) != 0 ||
        mallctl("arena.4096.purge", NULL, NULL, NULL, 0) != 0) {
        return 6;
    }
    if (depth > 0) {
        pid_t pid = fork();
        if (pid == 0) {
            _exit(child(NULL, 0, depth - 1));
        }
        int status = -1;
        if (waitpid(pid, &status, 0) != pid || status != 0) {
            return 7;
        }
    }
    return 0;
}

TEST(fork_while_threads_allocate)
{
    enum { N = 100 };
    static char *blocks[N];
    pthread_t threads[THREADS];

    for (int i = 0; i < N; i++) {
        blocks[i] = malloc(20 + (size_t)i * 400);
        REQUIRE(blocks[i] != NULL);
        blocks[i][10] = (char)i;
    }
    for (int i = 0; i < THREADS; i++) {
        REQUIRE(pthread_create(&threads[i], NULL, noise,
                    (void *)(uintptr_t)(i * 7919 + 1)) == 0);
    }
    for (int i = 0; i < FORKS; i++) {
        int status = -1;
        pid_t pid = fork();
        if (pid == 0) {
            _exit(child(blocks, N, i % 20 == 0 ? 2 : 0));
        }
        REQUIRE(pid > 0);
        EXPECT_EQ_I64(waitpid(pid, &status, 0), pid);
        EXPECT_EQ_I64(status, 0);
        free(malloc(1000 + (size_t)i * 100));
    }
    atomic_store(&stop, true);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    for (int i = 0; i < N; i++) {
        EXPECT_EQ_I64(blocks[i][10], (char)i);
        free(blocks[i]);
    }
}

/* Threads that live for one allocation: their caches come and go. */
static void *births(void *arg)
{
    (void)arg;
    while (!atomic_load(&stop)) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, child_thread, NULL) == 0) {
            pthread_join(thread, NULL);
        }
    }
    return NULL;
}

TEST(fork_while_threads_are_born)
{
    pthread_t threads[THREADS];
    if (!CHILD_MAY_START_THREADS) {
        test_skip("the sanitizer's own locks may be held in the child");
    }
    atomic_store(&stop, false);
    for (int i = 0; i < THREADS; i++) {
        REQUIRE(pthread_create(&threads[i], NULL, births, NULL) == 0);
    }
    for (int i = 0; i < BIRTH_FORKS; i++) {
        int status = -1;
        pid_t pid = fork();
        if (pid == 0) {
            pthread_t thread;
            alarm(20);
            _exit(pthread_create(&thread, NULL, child_thread, NULL) != 0 ||
                  pthread_join(thread, NULL) != 0);
        }
        REQUIRE(pid > 0);
        EXPECT_EQ_I64(waitpid(pid, &status, 0), pid);
        EXPECT_EQ_I64(status, 0);
    }
    atomic_store(&stop, true);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
}

static void *fork_in_thread(void *arg)
{
    int status = -1;
    pid_t pid = fork();
    if (pid == 0) {
        _exit(child(NULL, 0, 1));
    }
    waitpid(pid, &status, 0);
    *(int *)arg = status;
    return NULL;
}

TEST(fork_from_another_thread)
{
    int status = -1;
    pthread_t thread;
    REQUIRE(pthread_create(&thread, NULL, fork_in_thread, &status) == 0);
    pthread_join(thread, NULL);
    EXPECT_EQ_I64(status, 0);
}

TEST(fork_with_background_threads)
{
    bool on = true, off = false, is_on = true;
    size_t length = sizeof(is_on);
    int status = -1;

    if (mallctl("background_thread", NULL, NULL, &on, sizeof(on)) != 0) {
        test_skip("no background threads here");
    }
    pid_t pid = fork();
    if (pid == 0) {
        if (mallctl("background_thread", &is_on, &length, NULL, 0) != 0 ||
            is_on) {
            _exit(21);
        }
        _exit(child(NULL, 0, 1));
    }
    EXPECT_EQ_I64(waitpid(pid, &status, 0), pid);
    EXPECT_EQ_I64(status, 0);
    EXPECT_EQ_I64(
        mallctl("background_thread", NULL, NULL, &off, sizeof(off)), 0);
}

int main(void)
{
    return test_run(TEST_CASE(fork_while_threads_allocate),
        TEST_CASE(fork_while_threads_are_born),
        TEST_CASE(fork_from_another_thread),
        TEST_CASE(fork_with_background_threads), NULL);
}
