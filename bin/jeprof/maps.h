/*
 * What: the memory map of a process as text, and which image an address of
 * it belongs to.
 *
 * Invariants: (I1) only executable mappings of files are kept, sorted, the
 * later of two that overlap cut off.
 *
 * Locking: none.
 */
#ifndef JEPROF_MAPS_H
#define JEPROF_MAPS_H

#include "profile.h"

typedef struct mapping {
    uint64_t start;
    uint64_t end;
    uint64_t offset;
    uint32_t image;
} mapping_t;

typedef struct maps {
    mapping_t *at;
    size_t count;
    size_t room;
    const mapping_t *last; /* where the last look-up ended */
} maps_t;

/*
 * Reads lines as in /proc/PID/maps, and lines "build-id START HEX" behind
 * them. `dumped_at` is when, 0 if unknown. Returns how many mappings it kept.
 */
size_t maps_read(
    maps_t *m, profile_t *p, const char *bytes, size_t len, uint64_t dumped_at);

void maps_add(maps_t *m, mapping_t mapping);
void maps_sort(maps_t *m);
/* NULL if the address is in none. */
const mapping_t *maps_find(maps_t *m, uint64_t address);

/* The location of an address. */
uint32_t maps_locate(maps_t *m, profile_t *p, uint64_t address);

#endif
