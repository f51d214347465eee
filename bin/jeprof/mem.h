/*
 * What: the memory of this program: blocks that are all known, so that a
 * whole run can be forgotten at once, arrays that grow, and text that grows.
 *
 * Invariants: (I1) no function here returns NULL: without memory the program
 * ends with a message; (I2) every block is zeroed; (I3) mem_free_all leaves
 * no block behind.
 *
 * Locking: none; the program has one thread.
 */
#ifndef JEPROF_MEM_H
#define JEPROF_MEM_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

void *mem_alloc(size_t bytes);
void *mem_resize(void *block, size_t bytes);
void mem_free(void *block);
void mem_free_all(void);

/*
 * The array `at` of elements of `size` bytes, with room for element number
 * `count`; `room` is how many fit. Grows by halves.
 */
void *mem_room(void *at, size_t count, size_t *room, size_t size);

#define MEM_PUSH(array, count, room)                                           \
    ((array) = mem_room((array), (count), &(room), sizeof(*(array))),          \
        &(array)[(count)++])

/* Text under construction; `at` is always terminated once it is not NULL. */
typedef struct text {
    char *at;
    size_t len;
    size_t room;
} text_t;

void text_clear(text_t *t);
void text_add(text_t *t, const void *bytes, size_t len);
void text_string(text_t *t, const char *string);
void text_char(text_t *t, char c);
__attribute__((format(printf, 2, 3))) void text_format(
    text_t *t, const char *format, ...);

/* What is written to `file` until the end is collected as text. */
typedef struct capture {
    FILE *file;
    char *at; /* known at the end; the holder frees it with free */
    size_t len;
} capture_t;

void capture_begin(capture_t *c);
void capture_end(capture_t *c);

/* A copy of `len` bytes, terminated. */
char *mem_copy(const char *bytes, size_t len);
__attribute__((format(printf, 1, 2))) char *mem_format(const char *format, ...);

#endif
