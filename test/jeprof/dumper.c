/*
 * What: a program that writes a heap_v2 dump of itself: stacks of its own
 * functions, inlined ones among them, and its memory map.
 *
 * Invariants: (I1) every sample is recorded, so figures are exact.
 *
 * Locking: none.
 */
#include <execinfo.h>
#include <stdio.h>
#include <stdlib.h>

#define DEPTH_MAX 64

static FILE *out;

/* Writes its stack with that many objects of 64 bytes. */
__attribute__((noinline)) static void record(int objects)
{
    void *stack[DEPTH_MAX];
    int depth = backtrace(stack, DEPTH_MAX);
    fputs("@", out);
    for (int i = 0; i < depth; i++) {
        fprintf(out, " %p", stack[i]);
    }
    for (int thread = -1; thread < 1; thread++) {
        fprintf(out, thread < 0 ? "\n  t*" : "\n  t0");
        fprintf(out, ": %d: %d [%d: %d]", objects, objects * 64, objects * 2,
            objects * 128);
    }
    fputs("\n", out);
}

static inline __attribute__((always_inline)) void small(int objects)
{
    record(objects);
}

__attribute__((noinline)) void parse(int objects)
{
    small(objects);
    __asm__ volatile("");
}

__attribute__((noinline)) void load(int objects)
{
    parse(objects);
    parse(2 * objects);
    __asm__ volatile("");
}

static void copy_map(void)
{
    char line[4096];
    FILE *map = fopen("/proc/self/maps", "r");
    fputs("\nMAPPED_LIBRARIES:\n", out);
    while (map != NULL && fgets(line, sizeof(line), map) != NULL) {
        fputs(line, out);
    }
    if (map != NULL) {
        fclose(map);
    }
}

int main(int argc, char **argv)
{
    out = argc > 1 ? fopen(argv[1], "w") : NULL;
    if (out == NULL) {
        return 1;
    }
    fputs("heap_v2/1\n  t*: 0: 0 [0: 0]\n  t0: 0: 0 [0: 0] main [x]\n", out);
    load(10);
    parse(5);
    copy_map();
    return fclose(out) != 0;
}
