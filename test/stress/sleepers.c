/*
 * What: threads that fill their caches and then sleep for good; prints what
 * their caches hold at first and SECONDS later, and what is resident. None of
 * them calls the allocator meanwhile.
 *
 *   sleepers [THREADS [SECONDS]]
 *
 * Invariants: fails if more than LIMIT_BYTES a thread are still cached.
 *
 * Locking: none.
 */
#include <jemalloc/jemalloc.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* 64 MiB for 5,000 threads. */
#define LIMIT_BYTES ((size_t)64 * 1024 * 1024 / 5000)

/* About 1 MiB in all, as a server's request may use. */
static const struct {
    size_t size;
    unsigned count;
} plan[] = {{64, 200}, {128, 200}, {512, 100}, {1024, 100}, {2048, 60},
    {4096, 20}, {8192, 15}, {16384, 10}, {32768, 12}};
#define PLANS (sizeof(plan) / sizeof(plan[0]))

static pthread_barrier_t filled;

static size_t cached_bytes(void)
{
    size_t bytes = 0;
    size_t size = sizeof(bytes);
    uint64_t epoch = 1;
    (void)mallctl("epoch", NULL, NULL, &epoch, sizeof(epoch));
    if (mallctl("stats.arenas.4096.tcache_bytes", &bytes, &size, NULL, 0)) {
        exit(2);
    }
    return bytes;
}

static long resident_kib(void)
{
    long pages[2] = {0, 0};
    FILE *f = fopen("/proc/self/statm", "r");
    if (f != NULL) {
        if (fscanf(f, "%ld %ld", &pages[0], &pages[1]) != 2) {
            pages[1] = 0;
        }
        fclose(f);
    }
    return pages[1] * (sysconf(_SC_PAGESIZE) / 1024);
}

static void use(size_t size, unsigned count)
{
    void *p[200];
    for (unsigned i = 0; i < count; i++) {
        p[i] = malloc(size);
        if (p[i] == NULL) {
            exit(2);
        }
        memset(p[i], 1, size);
    }
    for (unsigned i = 0; i < count; i++) {
        free(p[i]);
    }
}

static void *sleeper(void *arg)
{
    /* Several rounds: stacks grow with what is asked of them. */
    for (unsigned round = 0; round < 8; round++) {
        for (unsigned i = 0; i < PLANS; i++) {
            use(plan[i].size, plan[i].count);
        }
    }
    (void)pthread_barrier_wait(&filled);
    for (;;) {
        pause();
    }
    return arg;
}

int main(int argc, char **argv)
{
    unsigned threads = argc > 1 ? (unsigned)atoi(argv[1]) : 5000;
    unsigned seconds = argc > 2 ? (unsigned)atoi(argv[2]) : 30;
    pthread_attr_t attr;
    pthread_t thread;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, 64 << 10);
    pthread_barrier_init(&filled, NULL, threads + 1);
    for (unsigned i = 0; i < threads; i++) {
        int error = pthread_create(&thread, &attr, sleeper, NULL);
        if (error != 0) {
            printf("thread %u of %u: %s\n", i, threads, strerror(error));
            return 2;
        }
    }
    (void)pthread_barrier_wait(&filled);
    printf("%u threads asleep: %zu KiB cached, %ld KiB resident\n", threads,
        cached_bytes() >> 10, resident_kib());
    fflush(stdout);
    size_t cached = 0;
    for (unsigned i = 0; i < seconds; i++) {
        sleep(1);
        cached = cached_bytes();
        if (i % 5 == 4 || i + 1 == seconds) {
            printf("after %u s: %zu KiB cached, %ld KiB resident\n", i + 1,
                cached >> 10, resident_kib());
            fflush(stdout);
        }
    }
    return cached > LIMIT_BYTES * threads;
}
