/*
 * What: mistakes that an allocator could make, planted between it and the
 * shadow model; compiled in with -DAPI_PLANTS=1 only. The model must see each.
 *
 * Invariants: (I1) without that definition PLANTED is false at compile time.
 *
 * Locking: none.
 */
#ifndef JE_TEST_FUZZ_API_PLANT_H
#define JE_TEST_FUZZ_API_PLANT_H

#include <stdbool.h>

typedef enum {
    PLANT_NONE,
    PLANT_CONTENTS,  /* a byte of a live block changes */
    PLANT_TWICE,     /* a live block is handed out again */
    PLANT_ALIGNMENT, /* a block begins 8 bytes late */
    PLANT_DIRTY,     /* the last byte of zeroed memory is not zero */
    PLANT_USABLE,    /* the usable size is not the promised one */
    PLANT_RESIZED,   /* resizing loses the first byte */
    PLANT_NULL,      /* NULL for no reason */
    PLANT_ERRNO,     /* errno changes though nothing failed */
    PLANT_LEAK,      /* what is freed stays */
    PLANT_ARENA,     /* a block lies in another arena than was asked for */
    PLANT_COUNT
} plant_t;

#ifndef API_PLANTS
#    define API_PLANTS 0
#endif

extern plant_t api_plant;
#define PLANTED(which) (API_PLANTS && api_plant == (which))

#endif
