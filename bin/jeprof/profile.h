/*
 * What: a profile in memory: samples of stacks of locations, which belong to
 * images and, once symbolised, have frames.
 *
 * Invariants: (I1) a location is a place in an image, not an address, so that
 * processes that loaded the image elsewhere share it; (I2) equal stacks have
 * one number, leaf first; (I3) function 0, image 0 are "unknown"; (I4) values
 * are estimates of what was there, the sampling has been undone.
 *
 * Locking: none.
 */
#ifndef JEPROF_PROFILE_H
#define JEPROF_PROFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "texts.h"

typedef enum profile_kind {
    KIND_NONE,
    KIND_HEAP,
    KIND_GROWTH,
    KIND_CPU,
    KIND_CONTENTION
} profile_kind_t;

/* Of a sample. Profiles of other kinds have a count and an amount alone. */
enum { INUSE_OBJECTS, INUSE_SPACE, ALLOC_OBJECTS, ALLOC_SPACE, VALUES };

#define THREAD_ALL (-1)
#define NO_IMAGE   0

typedef struct image {
    uint32_t path;     /* as the profile names it */
    uint32_t build_id; /* hexadecimal, empty if the profile has none */
    bool is_program;   /* the main program of a file that was read */
    bool was_deleted;  /* the process ran a file that was gone by then */
    uint64_t start;    /* its first executable mapping */
    uint64_t end;
    uint64_t offset;
    uint64_t dumped_at; /* seconds, of the latest file that names it */
    struct binary *binary;
} image_t;

typedef struct location {
    uint64_t offset;  /* in the file of the image; without one the address */
    uint64_t address; /* as it was in the first process that had it */
    uint32_t image;
    uint32_t frames; /* number of the first; innermost first */
    uint32_t frames_count;
    bool is_return; /* follows from a return address, less 1 */
    bool is_done;   /* has its frames */
} location_t;

typedef struct function {
    uint32_t name;       /* whole, demangled */
    uint32_t short_name; /* without parameters and template arguments */
    uint32_t label;      /* short, made distinct: what reports print */
    uint32_t file;
    uint32_t image;
    uint64_t start; /* in the image; 0 if it exists inlined only */
    uint32_t line;
    bool is_allocator;
    bool is_internal; /* of this allocator, see names.h */
} function_t;

typedef struct frame {
    uint32_t function;
    uint32_t file;
    uint32_t line;
    bool is_inlined;
} frame_t;

typedef struct call_stack {
    uint32_t first;
    uint32_t depth;
} call_stack_t;

typedef struct sample {
    uint32_t stack;
    int64_t thread;
    double value[VALUES];
    double base[VALUES]; /* of the profiles to subtract */
} sample_t;

typedef struct profile {
    profile_kind_t kind;
    bool has_values; /* something was read that is not a base */
    bool has_base;
    bool has_alloc;     /* some cumulative value is not 0 */
    bool is_symbolized; /* some names came with the profile */
    double period;      /* of the first file */
    uint32_t unit;      /* of the amount, of other kinds than heap */
    image_t *images;
    size_t images_count, images_room;
    location_t *locations;
    size_t locations_count, locations_room;
    function_t *functions;
    size_t functions_count, functions_room;
    frame_t *frames;
    size_t frames_count, frames_room;
    call_stack_t *stacks;
    size_t stacks_count, stacks_room;
    uint32_t *steps; /* locations of all stacks */
    size_t steps_count, steps_room;
    sample_t *samples;
    size_t samples_count, samples_room;
    index_t image_index, location_index, function_index, stack_index,
        sample_index;
} profile_t;

/* Makes it empty. One profile lives at a time. */
void profile_init(profile_t *p);

/* Sets the kind; a second, different one is an error that names the file. */
void profile_set_kind(profile_t *p, profile_kind_t kind, const char *file);

/* The image of that build id, or, without one, of that path. */
uint32_t profile_image(profile_t *p, uint32_t path, uint32_t build_id);
uint32_t profile_location(
    profile_t *p, uint32_t image, uint64_t offset, uint64_t address);
uint32_t profile_stack(profile_t *p, const uint32_t *locations, uint32_t depth);
void profile_add(profile_t *p, uint32_t stack, int64_t thread,
    const double value[VALUES], bool is_base);

uint32_t profile_function(
    profile_t *p, uint32_t name, uint32_t image, uint64_t start);
/* Appends a frame to the location, which must be the last to get some. */
void profile_frame(profile_t *p, uint32_t location, frame_t frame);

/* The stacks of base samples only count negative: false drops them. */
void profile_drop_negative(profile_t *p);

/* Gives each function that shares its short name a label of its own. */
void profile_label_functions(profile_t *p);

static inline const uint32_t *profile_steps(
    const profile_t *p, const sample_t *s)
{
    return &p->steps[p->stacks[s->stack].first];
}

static inline uint32_t profile_depth(const profile_t *p, const sample_t *s)
{
    return p->stacks[s->stack].depth;
}

#endif
