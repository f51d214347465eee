/*
 * What: what a thread costs that allocates once and sleeps: resident memory
 * of many threads, each with one block of 64 bytes, less that of as many
 * threads which never call the allocator, each in a process of its own.
 *
 * Invariants: (I1) default options; the first call of the process is made
 * before anything is measured; (I2) the kernel's count of each thread's own
 * stack and descriptor is in both numbers alike.
 *
 * Locking: none; the threads wait at barriers.
 */
#define _GNU_SOURCE
#include "harness.h"
#include <jemalloc/jemalloc.h>

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define THREADS     500
#define STACK_BYTES ((size_t)64 << 10)

/* What the library may add; and that with a thread of the C library's. */
#define LIMIT_OWN_BYTES   (12 * 1024)
#define LIMIT_TOTAL_BYTES (20 * 1024)

static struct {
    pthread_barrier_t up;
    pthread_barrier_t down;
    size_t block_bytes; /* 0 if they never call */
} crowd;

static void *sleep_with_one(void *unused)
{
    char *p = crowd.block_bytes == 0 ? unused : malloc(crowd.block_bytes);
    if (p != NULL) {
        *(volatile char *)p = 1;
    }
    pthread_barrier_wait(&crowd.up);
    pthread_barrier_wait(&crowd.down);
    free(p);
    return NULL;
}

/* Exact, other than VmRSS, which lags behind; 0 if the kernel has none. */
static size_t resident_bytes(void)
{
    static char text[4096];
    int fd = open("/proc/self/smaps_rollup", O_RDONLY | O_CLOEXEC);
    ssize_t length = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
    if (fd >= 0) {
        close(fd);
    }
    text[length < 0 ? 0 : length] = '\0';
    const char *line = strstr(text, "Rss:");
    return line == NULL ? 0 : strtoul(line + 4, NULL, 10) * 1024;
}

/* Prints how many bytes more there are when all are up. */
static void measure(void *unused)
{
    pthread_t threads[THREADS];
    pthread_attr_t attributes;
    (void)unused;
    free(malloc(64));
    REQUIRE(pthread_barrier_init(&crowd.up, NULL, THREADS + 1) == 0);
    REQUIRE(pthread_barrier_init(&crowd.down, NULL, THREADS + 1) == 0);
    pthread_attr_init(&attributes);
    REQUIRE(pthread_attr_setstacksize(&attributes, STACK_BYTES) == 0);
    size_t before = resident_bytes();
    for (unsigned i = 0; i < THREADS; i++) {
        REQUIRE(pthread_create(
                    &threads[i], &attributes, sleep_with_one, NULL) == 0);
    }
    pthread_barrier_wait(&crowd.up);
    size_t after = resident_bytes();
    pthread_barrier_wait(&crowd.down);
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    dprintf(STDERR_FILENO, "%zu\n", after - before);
}

static size_t bytes_each(size_t block_bytes)
{
    static test_child_t child;
    crowd.block_bytes = block_bytes;
    child = test_in_child(measure, NULL);
    EXPECT_EQ_I64(child.status, 0);
    return strtoul(child.err, NULL, 10) / THREADS;
}

TEST(a_thread_with_one_block)
{
    if (HAS_SANITIZER || getenv("MALLOC_CONF") != NULL) {
        test_skip("a sanitizer, or options, cost something for each thread");
    }
    if (resident_bytes() == 0) {
        test_skip("no /proc/self/smaps_rollup");
    }
    if (sysconf(_SC_PAGESIZE) != 4096 || test_is_emulated()) {
        test_skip("the limits are for pages of 4 KiB");
    }
    size_t without = bytes_each(0);
    size_t with = bytes_each(64);
    test_note("resident bytes of a thread: %zu, of one with a block of 64: "
              "%zu",
        without, with);
    EXPECT_GT_U64(without, 0);
    EXPECT_LE_U64(with, without + LIMIT_OWN_BYTES);
    EXPECT_LE_U64(with, LIMIT_TOTAL_BYTES);
}

int main(void)
{
    return test_run(TEST_CASE(a_thread_with_one_block), NULL);
}
