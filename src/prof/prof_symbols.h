/*
 * What: names for addresses of code, asked of jeprof: a program of its own,
 * beside this library (lib/../bin) or in PATH.
 *
 * Invariants: (I1) async-signal-safe, allocates nothing, a few hundred bytes
 * of stack; (I2) without jeprof, or without memory, there are no names.
 *
 * Locking: none; one question at a time in a process, others get no answer.
 */
#ifndef JE_PROF_PROF_SYMBOLS_H
#define JE_PROF_PROF_SYMBOLS_H

#include "util/common.h"

/* A text in memory of its own. */
typedef struct {
    char *bytes;
    size_t size; /* of the text, a NUL behind it */
    size_t mapped;
} prof_text_file_t;

/* All of a file; an empty text if it cannot be read. */
prof_text_file_t prof_symbols_read(int fd);
void prof_symbols_drop(prof_text_file_t *text);

/* The line that begins at *at, terminated; moves on. NULL at the end. */
char *prof_symbols_line(const prof_text_file_t *text, size_t *at);

typedef struct {
    int question; /* the map of the process, then an address a line */
    size_t count;
    char **names; /* one an address; NULL if jeprof was silent */
    prof_text_file_t answer;
    size_t mapped;
} prof_symbols_t;

/* Then addresses are added, in any number, and asked for at once. */
void prof_symbols_begin(prof_symbols_t *symbols);
void prof_symbols_add(prof_symbols_t *symbols, uintptr_t address);
void prof_symbols_ask(prof_symbols_t *symbols, bool with_lines);
void prof_symbols_end(prof_symbols_t *symbols);

/* Of the i-th that was added; NULL if it is not known. */
static inline const char *prof_symbols_name(
    const prof_symbols_t *symbols, size_t i)
{
    return symbols->names == NULL ? NULL : symbols->names[i];
}

/* The file that is mapped at an address, and where it begins there. */
JE_MUST_USE bool prof_symbols_module(
    uintptr_t address, char *path, size_t size, uintptr_t *start);

#endif
