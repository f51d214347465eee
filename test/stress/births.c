/*
 * What: a great many short threads, eight at a time, each with a thousand
 * allocations. What the process holds at the end is compared with what it
 * held after the first thousand threads.
 *
 *   births [THREADS [LARGEST]]
 *
 * Exits with 1 if the end is more than 10 % above. Default 100,000 threads;
 * one block in a hundred has up to LARGEST bytes, default 20,000.
 *
 * Invariants: a thread frees all but one block, which another frees.
 *
 * Locking: blocks change hands by an exchange.
 */
#include <jemalloc/jemalloc.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define AT_A_TIME   8
#define ALLOCATIONS 1000
#define LIVE        100
#define FIRST       1000

static unsigned long largest = 20000;
static _Atomic(char *) left[AT_A_TIME];

/* All of them live at once, or the number of arenas is one of chance. */
static pthread_barrier_t gate;

static void *live_shortly(void *arg)
{
    uint64_t seed = (uint64_t)(uintptr_t)arg * 0x9e3779b97f4a7c15U + 1;
    char *blocks[LIVE] = {NULL};
    free(malloc(1));
    pthread_barrier_wait(&gate);
    for (int i = 0; i < ALLOCATIONS; i++) {
        seed = seed * 6364136223846793005U + 1442695040888963407U;
        size_t size = 1 + (seed >> 33) % (i % 100 == 0 ? largest : 2000);
        char *p = malloc(size);
        if (p == NULL) {
            abort();
        }
        p[0] = 1;
        p[size - 1] = 1;
        free(blocks[i % LIVE]);
        blocks[i % LIVE] = p;
    }
    free(atomic_exchange(&left[seed >> 61], blocks[0]));
    for (int i = 1; i < LIVE; i++) {
        free(blocks[i]);
    }
    return NULL;
}

static size_t resident(void)
{
    char text[200];
    size_t pages = 0;
    FILE *statm = fopen("/proc/self/statm", "r");
    if (statm != NULL && fgets(text, sizeof(text), statm) != NULL) {
        char *second = strchr(text, ' ');
        pages = second == NULL ? 0 : strtoul(second, NULL, 10);
    }
    if (statm != NULL) {
        fclose(statm);
    }
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

/* The number, or 0 with a word about what is wrong. */
static unsigned long number(const char *text, unsigned long least)
{
    char *rest;
    unsigned long n = strtoul(text, &rest, 10);
    if (*text == '\0' || *rest != '\0' || n < least) {
        fprintf(
            stderr, "births: '%s' is no number of at least %lu\n", text, least);
        return 0;
    }
    return n;
}

int main(int argc, char **argv)
{
    unsigned long n = argc > 1 ? number(argv[1], 2 * FIRST) : 100000;
    largest = argc > 2 ? number(argv[2], 1) : largest;
    if (n == 0 || largest == 0) {
        return 2;
    }
    pthread_barrier_init(&gate, NULL, AT_A_TIME);
    size_t first = 0;
    size_t highest = 0;
    for (unsigned long i = 0; i < n; i += AT_A_TIME) {
        pthread_t threads[AT_A_TIME];
        for (unsigned long k = 0; k < AT_A_TIME; k++) {
            if (pthread_create(
                    &threads[k], NULL, live_shortly, (void *)(i + k)) != 0) {
                fprintf(stderr, "births: cannot start thread %lu\n", i + k);
                return 2;
            }
        }
        for (int k = 0; k < AT_A_TIME; k++) {
            pthread_join(threads[k], NULL);
        }
        if (i % 400 == 0) {
            size_t now = resident();
            highest = now > highest ? now : highest;
        }
        if (i + AT_A_TIME >= FIRST && first == 0) {
            first = highest > resident() ? highest : resident();
        }
    }
    size_t last = resident();
    printf("%lu threads: %zu KiB after %d of them, %zu KiB at the end "
           "(%+.1f %%), highest %zu KiB\n",
        n, first >> 10, FIRST, last >> 10,
        ((double)last / (double)first - 1) * 100, highest >> 10);
    return last > first + first / 10;
}
