/*
 * What: reads a profile of any format that we know into the one profile.
 *
 * Invariants: (I1) several files add up; those read as a base are kept apart
 * for subtraction; (I2) damaged input gives what can be had and one warning,
 * or ends with one message if there is nothing; (I3) the values added are
 * estimates: what the sampling left out is put back, line by line.
 *
 * Locking: none.
 */
#ifndef JEPROF_READ_H
#define JEPROF_READ_H

#include "cursor.h"
#include "input.h"
#include "maps.h"
#include "profile.h"

/* Which threads' numbers of a threaded profile count. */
typedef struct read_options {
    bool is_base;
    int threads; /* THREADS_... of settings.h */
    int64_t thread;
} read_options_t;

void read_profile(profile_t *p, input_t in, read_options_t options);

/*
 * Gives the location the frames that a text names, outermost first, "--"
 * between; a name may end in its function's start, "<0000000000001550>".
 */
void read_named_frames(
    profile_t *p, uint32_t location, const char *names, size_t len);

/* ---- For the readers of single formats ------------------------------------
 */

typedef enum sampling {
    SAMPLING_NONE,
    SAMPLING_EXPONENTIAL, /* heap_v2: each byte is hit with one chance */
    SAMPLING_FIXED        /* one sample each so many bytes */
} sampling_t;

typedef struct reading {
    profile_t *p;
    input_t in;
    read_options_t options;
    maps_t maps;
    sampling_t sampling;
    double period;
    uint32_t *steps; /* of the stack that is being read, leaf first */
    size_t depth, steps_room;
    /* Addresses seen before, with their locations. */
    index_t pc_index;
    uint64_t *pcs;
    size_t pcs_count, pcs_room;
    uint32_t *pc_locations;
    size_t pc_locations_room;
    uint64_t line; /* number of the line that is being read */
    uint64_t bad_lines;
    uint64_t stacks;
} reading_t;

/* Appends an address to the stack that is being read. */
void reading_push(reading_t *r, uint64_t address, bool is_return);
/* Adds counters of the stack that was read. */
void reading_add(reading_t *r, int64_t thread, double value[VALUES]);
/* Undoes the sampling of one pair of counters. */
void reading_unsample(const reading_t *r, double *objects, double *bytes);
/* Notes a line that makes no sense; says so once. */
void reading_bad_line(reading_t *r, cursor_t line);
/* Reads the memory map behind the heading, if there is one. */
void reading_maps(reading_t *r, cursor_t where);

bool read_text(reading_t *r);
bool read_cpu(reading_t *r);
bool read_proto(reading_t *r);

#endif
