/*
 * What: a program frees what it has and goes to sleep, its second thread
 * too; prints what is resident before, at the peak, and SECONDS later. No
 * option is set, and nobody calls the allocator while it sleeps.
 *
 *   idle large|all [SECONDS]
 *
 * `large` is 256 blocks of 1 MiB; `all` adds 300,000 small ones, of which
 * every 20th is kept.
 *
 * Invariants: fails above 110 % of the start (large), 30 % of the peak (all).
 *
 * Locking: none.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LARGE       256
#define LARGE_BYTES ((size_t)1 << 20)
#define KEPT_ONE_IN 20

static const struct {
    size_t size;
    unsigned count;
} small_plan[] = {{512, 150000}, {1024, 100000}, {2048, 50000}};
#define SMALL_MAX 150000

static char *large[LARGE];
static char *small[3][SMALL_MAX];

/* Reads without stdio, whose buffer would come from the heap. */
static long resident_kib(void)
{
    char text[200] = "";
    FILE *f = fopen("/proc/self/statm", "r");
    long pages = 0;
    if (f != NULL) {
        setvbuf(f, NULL, _IONBF, 0);
        if (fgets(text, sizeof(text), f) != NULL) {
            pages = strtol(strchr(text, ' '), NULL, 10);
        }
        fclose(f);
    }
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static void *sleeper(void *arg)
{
    free(malloc(100));
    for (;;) {
        pause();
    }
    return arg;
}

static char *alloc_touched(size_t size)
{
    char *p = malloc(size);
    if (p == NULL) {
        exit(2);
    }
    return memset(p, 1, size);
}

static void fill_large(void)
{
    for (unsigned i = 0; i < LARGE; i++) {
        large[i] = alloc_touched(LARGE_BYTES);
    }
}

static void fill_small(void)
{
    for (unsigned s = 0; s < 3; s++) {
        for (unsigned i = 0; i < small_plan[s].count; i++) {
            small[s][i] = alloc_touched(small_plan[s].size);
        }
    }
}

static void free_all(int with_small)
{
    for (unsigned i = 0; i < LARGE; i++) {
        free(large[i]);
    }
    for (unsigned s = 0; with_small && s < 3; s++) {
        for (unsigned i = 0; i < small_plan[s].count; i++) {
            if (i % KEPT_ONE_IN != 0) {
                free(small[s][i]);
            }
        }
    }
}

static double cpu_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
    int all = argc > 1 && strcmp(argv[1], "all") == 0;
    unsigned seconds = argc > 2 ? (unsigned)atoi(argv[2]) : 12;
    pthread_t thread;
    /* The program's own tables are not what is measured. */
    memset(small, 1, sizeof(small));
    memset(large, 1, sizeof(large));
    if (pthread_create(&thread, NULL, sleeper, NULL) != 0) {
        return 2;
    }
    usleep(100000);
    free(malloc(100));
    long start = resident_kib();
    fill_large();
    if (all) {
        fill_small();
    }
    long peak = resident_kib();
    free_all(all);
    double before = cpu_seconds();
    sleep(seconds);
    double used = cpu_seconds() - before;
    long end = resident_kib();
    printf("%s: %ld KiB at first, %ld at the peak, %ld (%.1f %% of %s) after "
           "%u s asleep, %.3f %% of a CPU meanwhile\n",
        all ? "all" : "large", start, peak, end,
        100.0 * (double)end / (double)(all ? peak : start),
        all ? "the peak" : "the first", seconds, 100.0 * used / seconds);
    return all ? end * 10 > peak * 3 : end * 10 > start * 11;
}
