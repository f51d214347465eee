/*
 * What: the bytes of a file, however it is kept: plain, gzipped, on stdin.
 *
 * Invariants: (I1) bytes stay until the program ends.
 *
 * Locking: none.
 */
#ifndef JEPROF_INPUT_H
#define JEPROF_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct input {
    const char *name;
    const char *bytes;
    size_t len;
    uint64_t modified_at; /* seconds; 0 if unknown */
} input_t;

/* "-" is stdin. Ends the program with a message if it cannot be read. */
input_t input_open(const char *name);

/* Takes bytes that are there already. */
input_t input_of(const char *name, const char *bytes, size_t len);

/* Whether the file begins with these bytes; false if it cannot be read. */
bool input_begins(const char *name, const void *magic, size_t len);

#endif
