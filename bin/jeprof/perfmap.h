/*
 * What: names of code that a program made while it ran, which is in no file:
 * Java, JavaScript and others list it for profilers in /tmp/perf-PID.map,
 * lines "START SIZE NAME", numbers hexadecimal.
 *
 * Invariants: (I1) of two that cover a place the later line counts: its code
 * was made where the other's had been.
 *
 * Locking: none.
 */
#ifndef JEPROF_PERFMAP_H
#define JEPROF_PERFMAP_H

#include <stddef.h>
#include <stdint.h>

typedef struct perfmap_code {
    uint64_t start;
    uint64_t size;
    size_t line;
    uint32_t name;
} perfmap_code_t;

typedef struct perfmap {
    perfmap_code_t *code;
    size_t count, room;
} perfmap_t;

/* Ends the program with a message if there is no such line in it. */
void perfmap_read(
    perfmap_t *m, const char *name, const char *bytes, size_t len);

/* What is there; NULL if nothing is known. */
const perfmap_code_t *perfmap_find(const perfmap_t *m, uint64_t address);

#endif
