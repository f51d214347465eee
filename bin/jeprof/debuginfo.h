/*
 * What: DWARF of one file: which functions, inlined ones too, an address is
 * in, and at which source lines.
 *
 * Invariants: (I1) addresses are those of the file; (I2) looking up addresses
 * in ascending order reads each unit once; (I3) files and lines are read only
 * if they are wanted, for they cost most.
 *
 * Locking: none.
 */
#ifndef JEPROF_DEBUGINFO_H
#define JEPROF_DEBUGINFO_H

#include <elfutils/libdwfl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct debuginfo debuginfo_t;

/* Frames deeper than that in one address are left out. */
#define INLINED_MAX 128

typedef struct debuginfo_frame {
    uint32_t name; /* readable; 0 if there is none */
    uint32_t file;
    uint32_t line;
    uint32_t function_file; /* where the function is declared */
    uint32_t function_line;
    uint64_t start; /* of the function; 0 if inlined */
    bool is_inlined;
} debuginfo_frame_t;

/* NULL if the module has none. */
debuginfo_t *debuginfo_open(Dwfl_Module *module);
void debuginfo_close(debuginfo_t *d);

/* Fills `frames`, innermost first, and returns how many; 0: unknown. */
size_t debuginfo_lookup(debuginfo_t *d, uint64_t address, bool want_lines,
    debuginfo_frame_t frames[INLINED_MAX]);

#endif
