/*
 * What: the code that this process has mapped, with the build id of each
 * file, so that a reader of a profile can tell whether the file that it finds
 * is the one that ran.
 *
 * Invariants: (I1) allocates nothing; no byte of a file is trusted.
 *
 * Locking: one visit at a time: those who write a profile hold its lock.
 */
#ifndef JE_PROF_PROF_MAPS_H
#define JE_PROF_PROF_MAPS_H

#include "os/peek.h"

/* Room for any build id as text. */
#define PROF_MAPS_ID_TEXT 129

/*
 * Calls `visit` for each executable mapping, lowest first, until it says
 * false; `build_id` is hexadecimal, empty where there is none.
 */
void prof_maps_visit(bool (*visit)(const os_mapping_t *mapping,
                         const char *build_id, void *opaque),
    void *opaque);

#endif
