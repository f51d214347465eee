/*
 * What: where a section of a loaded program or library lies. Most of what the
 * profiler needs is in segments; the file alone tells of sections.
 *
 * Invariants: (I1) async-signal-safe, no lock, nothing allocated; (I2) no
 * byte of the file is trusted: whatever it holds, every loop ends.
 *
 * Locking: none.
 */
#ifndef JE_PROF_PROF_SECTIONS_H
#define JE_PROF_PROF_SECTIONS_H

#include <link.h>

#include "util/common.h"

typedef struct {
    uint64_t addr; /* before the module was moved to where it is */
    uint64_t size;
} prof_section_t;

/*
 * Finds the section `name` of the file at `path`, whose header must be
 * `loaded`, the one in memory: files are replaced while programs run.
 */
bool prof_sections_find(const char *path, const ElfW(Ehdr) * loaded,
    const char *name, prof_section_t *section);

#endif
