/*
 * What: a program whose heap is profiled: plain functions, recursion, two
 * functions of one name, threads, objects of many sizes.
 *
 * Invariants: (I1) the same blocks in the same order each time.
 *
 * Locking: none; threads run one after another.
 */
#include <pthread.h>
#include <stdlib.h>

#define KEPT 4096

static void *kept[KEPT];
static unsigned kept_count;

__attribute__((noinline)) static void keep(void *block)
{
    kept[kept_count++ % KEPT] = block;
}

__attribute__((noinline)) static void small(unsigned n)
{
    keep(malloc(n % 200 + 1));
    keep(calloc(n % 7 + 1, 48));
}

__attribute__((noinline)) static void large(unsigned n)
{
    keep(malloc(20000 + 3000 * (n % 9)));
    keep(realloc(malloc(100), 70000));
}

__attribute__((noinline)) static void deep(unsigned n, unsigned size)
{
    if (n == 0) {
        keep(malloc(size));
    } else {
        deep(n - 1, size);
    }
    __asm__ volatile("");
}

static void *run(void *arg)
{
    for (unsigned i = 0; i < 300; i++) {
        small(i);
        deep(i % 12, i * 5 + 16);
    }
    return arg;
}

int main(void)
{
    pthread_t thread;
    for (unsigned i = 0; i < 500; i++) {
        small(i);
        large(i);
    }
    for (int i = 0; i < 2; i++) {
        if (pthread_create(&thread, NULL, run, NULL) != 0 ||
            pthread_join(thread, NULL) != 0) {
            return 1;
        }
    }
    for (unsigned i = 0; i < kept_count && i < KEPT; i += 3) {
        free(kept[i]);
    }
    return 0;
}
