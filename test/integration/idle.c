/*
 * What: a program that freed its memory and went to sleep gives it back all
 * the same, through the one thread of the allocator; a program that has no
 * threads of its own gets none, and neither does one that forbids it.
 *
 * Invariants: the thread blocks every signal, and has the documented name.
 *
 * Locking: none.
 */
#include "harness.h"
#include <jemalloc/jemalloc.h>

#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* One second of decay, so that the test need not wait for ten. */
#define CONF   "dirty_decay_ms:1000,junk:false"
#define MIB    ((size_t)1 << 20)
#define BLOCKS 64

/* SIGKILL, SIGSTOP, and the signals that C libraries keep: 32 to 34. */
#define UNBLOCKABLE (1ULL << 8 | 1ULL << 18 | 7ULL << 31)

/*
 * A C library that does not tell of threads: there the allocator knows of
 * those that allocate.
 */
static void *sleeper(void *arg)
{
    (void)arg;
#ifndef __GLIBC__
    free(malloc(1));
#endif
    for (;;) {
        pause();
    }
    return NULL;
}

/* Copies the line of a file that starts with `key`. */
static bool status_line(
    const char *path, const char *key, char *out, size_t size)
{
    bool found = false;
    FILE *f = fopen(path, "r");
    while (f != NULL && !found && fgets(out, (int)size, f) != NULL) {
        found = strncmp(out, key, strlen(key)) == 0;
    }
    if (f != NULL) {
        fclose(f);
    }
    return found;
}

/* In KiB: pages would have to be the kernel's own. */
static long resident_kib(void)
{
    char line[200];
    long kib = 0;
    if (!status_line("/proc/self/status", "VmRSS:", line, sizeof(line)) ||
        sscanf(line, "VmRSS: %ld", &kib) != 1) {
        kib = 0;
    }
    return kib;
}

static bool task_line(const char *id, const char *key, char *out, size_t size)
{
    char path[300];
    snprintf(path, sizeof(path), "/proc/self/task/%s/status", id);
    return status_line(path, key, out, size);
}

/* Threads of ours in this process; *masked tells of their signals. */
static int own_threads(bool *masked)
{
    int count = 0;
    char line[200];
    struct dirent *entry;
    DIR *tasks = opendir("/proc/self/task");
    while (tasks != NULL && (entry = readdir(tasks)) != NULL) {
        if (entry->d_name[0] != '.' &&
            task_line(entry->d_name, "Name:", line, sizeof(line)) &&
            strstr(line, "jemalloc_bg_thd") != NULL) {
            count++;
            unsigned long long mask = 0;
            *masked = task_line(entry->d_name, "SigBlk:", line, sizeof(line)) &&
                      sscanf(line, "SigBlk: %llx", &mask) == 1 &&
                      (mask | UNBLOCKABLE) == ~0ULL;
        }
    }
    if (tasks != NULL) {
        closedir(tasks);
    }
    return count;
}

/* Fills, frees, sleeps; prints KiB above the start and threads of ours. */
static void fill_free_sleep(void *arg)
{
    static char *blocks[BLOCKS];
    bool masked = false;
    pthread_t thread;
    if (arg != NULL) {
        pthread_create(&thread, NULL, sleeper, NULL);
        usleep(50000);
    }
    free(malloc(MIB));
    long before = resident_kib();
    for (int i = 0; i < BLOCKS; i++) {
        blocks[i] = malloc(MIB);
        memset(blocks[i], 1, MIB);
    }
    for (int i = 0; i < BLOCKS; i++) {
        free(blocks[i]);
    }
    sleep(5);
    long above = resident_kib() - before;
    int threads = own_threads(&masked);
    fprintf(stderr, "%s threads %d %s\n", above < 4096 ? "back" : "held",
        threads, masked ? "masked" : "-");
    _exit(0);
}

/* The library reads its options at start-up, so each case is a program. */
static test_child_t run(const char *conf, const char *what)
{
    setenv("MALLOC_CONF", conf, 1);
    setenv("IDLE_CASE", what, 1);
    char self[300] = "";
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    self[n < 0 ? 0 : n] = '\0';
    char command[700];
    const char *emulator = getenv("JE_EMULATOR");
    snprintf(command, sizeof(command), "%s '%s' 2>&1",
        emulator != NULL ? emulator : "", self);
    static test_child_t result;
    result.err[0] = '\0';
    FILE *f = popen(command, "r");
    if (f != NULL) {
        size_t got = fread(result.err, 1, sizeof(result.err) - 1, f);
        result.err[got] = '\0';
        result.status = pclose(f);
    }
    unsetenv("IDLE_CASE");
    return result;
}

TEST(threaded_program_gives_back)
{
    static test_child_t r;
    r = run(CONF, "threads");
    EXPECT_EQ_STR(r.err, "back threads 1 masked\n");
}

TEST(single_threaded_program_gets_no_thread)
{
    static test_child_t r;
    r = run(CONF, "single");
    EXPECT(strstr(r.err, "threads 0 ") != NULL);
}

TEST(forbidden_thread_never_comes)
{
    static test_child_t r;
    r = run(CONF ",background_thread:false", "threads");
    EXPECT_EQ_STR(r.err, "held threads 0 -\n");
}

TEST(asked_for_in_a_single_threaded_program)
{
    static test_child_t r;
    r = run(CONF ",background_thread:true", "single");
    EXPECT_EQ_STR(r.err, "back threads 1 masked\n");
}

int main(void)
{
    const char *what = getenv("IDLE_CASE");
    if (what != NULL) {
        fill_free_sleep(strcmp(what, "threads") == 0 ? &what : NULL);
    }
    return test_run(TEST_CASE(threaded_program_gives_back),
        TEST_CASE(single_threaded_program_gets_no_thread),
        TEST_CASE(forbidden_thread_never_comes),
        TEST_CASE(asked_for_in_a_single_threaded_program), NULL);
}
