/*
 * What: ways to start a process other than plain fork, while threads
 * allocate: vfork and exec, posix_spawn, clone with shared memory; and what a
 * fork child of a process with a background thread does.
 *
 * Invariants: a child that hangs is killed by its alarm, and counts as
 * failed.
 *
 * Locking: the threads stop at a flag.
 */
#define _GNU_SOURCE
#include "harness.h"
#include <jemalloc/jemalloc.h>

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define THREADS 4
#define ROUNDS  100

const char *malloc_conf = "background_thread:true,dirty_decay_ms:300";

extern char **environ;

static atomic_bool stop;

static void *noise(void *arg)
{
    size_t seed = (size_t)arg;
    void *ring[64] = {NULL};
    for (size_t i = 0; !atomic_load(&stop); i++) {
        seed = (seed * 1103515245U + 12345U) & 0xfffffU;
        free(ring[i % 64]);
        ring[i % 64] = malloc(i % 50 == 0 ? seed : seed % 3000);
        if (i % 500 == 0) {
            usleep(1000);
        }
    }
    for (int i = 0; i < 64; i++) {
        free(ring[i]);
    }
    return NULL;
}

static pthread_t threads[THREADS];

static void begin(void)
{
    atomic_store(&stop, false);
    for (size_t i = 0; i < THREADS; i++) {
        REQUIRE(pthread_create(
                    &threads[i], NULL, noise, (void *)(i * 7919 + 1)) == 0);
    }
}

static void end(void)
{
    atomic_store(&stop, true);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
}

static void expect_success(pid_t pid)
{
    int status = -1;
    REQUIRE(pid > 0);
    EXPECT_EQ_I64(waitpid(pid, &status, 0), pid);
    EXPECT_EQ_I64(status, 0);
}

static char *const command[] = {(char *)"sh", (char *)"-c", (char *)":", NULL};

TEST(vfork_and_exec)
{
    begin();
    for (int i = 0; i < ROUNDS; i++) {
        pid_t pid = vfork();
        if (pid == 0) {
            execv("/bin/sh", command);
            _exit(127);
        }
        expect_success(pid);
        free(malloc(1000 + (size_t)i * 100));
    }
    end();
}

TEST(spawn)
{
    begin();
    for (int i = 0; i < ROUNDS; i++) {
        pid_t pid;
        posix_spawn_file_actions_t actions;
        REQUIRE(posix_spawn_file_actions_init(&actions) == 0);
        REQUIRE(posix_spawn_file_actions_addopen(
                    &actions, 0, "/dev/null", 0, 0) == 0);
        REQUIRE(posix_spawn(
                    &pid, "/bin/sh", &actions, NULL, command, environ) == 0);
        posix_spawn_file_actions_destroy(&actions);
        expect_success(pid);
    }
    end();
}

/* In the parent's memory, as its thread: what it does is seen there. */
static char *left_behind;

static int share_memory(void *arg)
{
    for (size_t i = 1; i < 200000; i += 1 + i / 3) {
        char *p = malloc(i);
        if (p == NULL) {
            return 2;
        }
        p[i - 1] = 1;
        free(p);
    }
    free(arg);
    left_behind = malloc(70000);
    strcpy(left_behind, "left behind");
    return 0;
}

TEST(clone_with_shared_memory)
{
    if (test_is_emulated()) {
        test_skip("the emulator makes a fork of it");
    }
    size_t stack_bytes = (size_t)256 << 10;
    if (HAS_SANITIZER) {
        test_skip("a sanitizer keeps a state of each thread");
    }
    char *stack = mmap(NULL, stack_bytes, PROT_READ | PROT_WRITE,
        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    REQUIRE(stack != MAP_FAILED);
    begin();
    for (int i = 0; i < ROUNDS; i++) {
        pid_t pid = clone(share_memory, stack + stack_bytes,
            CLONE_VM | CLONE_VFORK | SIGCHLD, malloc(3000));
        expect_success(pid);
        EXPECT_EQ_STR(left_behind, "left behind");
        free(left_behind);
    }
    end();
    munmap(stack, stack_bytes);
}

/* ---- the background thread in a child ---- */

static size_t resident(void)
{
    char text[200];
    FILE *statm = fopen("/proc/self/statm", "r");
    size_t pages = 0;
    if (statm != NULL && fgets(text, sizeof(text), statm) != NULL) {
        char *second = strchr(text, ' ');
        pages = second == NULL ? 0 : strtoul(second, NULL, 10);
    }
    if (statm != NULL) {
        fclose(statm);
    }
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

#define BLOCKS      64
#define BLOCK_BYTES ((size_t)1 << 20)

/* Frees, and then never calls the allocator on behalf of itself. */
static int free_and_sleep(void)
{
    static char *blocks[BLOCKS];
    alarm(90);
    for (int i = 0; i < BLOCKS; i++) {
        blocks[i] = malloc(BLOCK_BYTES);
        if (blocks[i] == NULL) {
            return 2;
        }
        memset(blocks[i], 1, BLOCK_BYTES);
    }
    size_t full = resident();
    for (int i = 0; i < BLOCKS; i++) {
        free(blocks[i]);
    }
    for (int i = 0; i < 600; i++) {
        usleep(50000);
        if (resident() < full - BLOCKS / 2 * BLOCK_BYTES) {
            return 0;
        }
    }
    return 3;
}

static int after_two_forks(void)
{
    int status = -1;
    pid_t pid = fork();
    if (pid == 0) {
        _exit(free_and_sleep());
    }
    return waitpid(pid, &status, 0) == pid ? status : -1;
}

TEST(background_thread_comes_back)
{
    if (test_is_emulated()) {
        test_skip("the emulator fails when a program with threads forks");
    }
    bool on = false;
    size_t length = sizeof(on);
    if (HAS_SANITIZER) {
        test_skip("no new threads in a sanitizer's child");
    }
    REQUIRE(mallctl("opt.background_thread", &on, &length, NULL, 0) == 0);
    REQUIRE(on);
    begin();
    EXPECT_EQ_I64(free_and_sleep(), 0);
    pid_t pid = fork();
    if (pid == 0) {
        _exit(free_and_sleep());
    }
    expect_success(pid);
    pid = fork();
    if (pid == 0) {
        _exit(after_two_forks() != 0);
    }
    expect_success(pid);
    end();
}

int main(void)
{
    return test_run(TEST_CASE(vfork_and_exec), TEST_CASE(spawn),
        TEST_CASE(clone_with_shared_memory),
        TEST_CASE(background_thread_comes_back), NULL);
}
