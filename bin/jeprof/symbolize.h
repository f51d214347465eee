/*
 * What: gives every location of a profile its frames: finds the file of each
 * image, makes sure that it is the one that was running, and asks it.
 *
 * Invariants: (I1) afterwards each location has at least one frame; (I2) a
 * file that does not fit the profile gives no names: its addresses stay
 * addresses, and a warning says why.
 *
 * Locking: none.
 */
#ifndef JEPROF_SYMBOLIZE_H
#define JEPROF_SYMBOLIZE_H

#include "profile.h"

typedef struct symbolize_options {
    const char *program; /* NULL: what the profile says */
    const char *lib_prefix;
    const char *const *add_libs;
    size_t add_libs_count;
    const char *perf_map; /* file of perfmap.h, or NULL */
    bool want_lines;
    bool tell_files; /* say where symbols come from */
} symbolize_options_t;

void symbolize(profile_t *p, const symbolize_options_t *options);

#endif
