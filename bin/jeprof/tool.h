/*
 * What: runs other programs: Graphviz, objdump, viewers.
 *
 * Invariants: (I1) no shell is between us and the program.
 *
 * Locking: none.
 */
#ifndef JEPROF_TOOL_H
#define JEPROF_TOOL_H

#include <stdbool.h>

#include "mem.h"

/*
 * Where the program is, by --tools ("tool:path" or directories, comma
 * between), else by PATH; NULL if nowhere.
 */
char *tool_find(const char *name, const char *spec);

/*
 * Runs it with `input` on its stdin, adds what it prints to `output`. Returns
 * its exit status, or -1 if it could not be run or died.
 */
int tool_run(const char *const argv[], const text_t *input, text_t *output);

/* Starts it and does not wait. */
bool tool_start(const char *const argv[]);

#endif
