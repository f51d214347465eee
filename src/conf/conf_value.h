/*
 * What: from the text of an option's value to a number, a ratio, a signal or
 * a list of ranges, and the nearest known word to an unknown one. Pure
 * functions.
 *
 * Invariants: (I1) a text is valid only if all of it was used; (I2) results
 * are untouched where a function says false.
 *
 * Locking: none.
 */
#ifndef JE_CONF_CONF_VALUE_H
#define JE_CONF_CONF_VALUE_H

#include "util/common.h"

/* A piece of text that ends without a NUL. */
typedef struct {
    const char *text;
    const char *end;
} conf_slice_t;

/* One segment of a range list, as written. */
typedef struct {
    uint64_t start;
    uint64_t end;
    uint64_t count;
} conf_segment_t;

bool conf_slice_is(conf_slice_t slice, const char *word);

/* Digits with an optional fraction, to 16.16; surplus digits are dropped. */
bool conf_value_ratio(conf_slice_t value, uint32_t *ratio);

/*
 * Takes the first segment "A-B:N" off `rest`, and the bar behind it. False
 * if there is no well-formed one. A may be larger than B.
 */
bool conf_value_segment(conf_slice_t *rest, conf_segment_t *segment);

/*
 * A signal that a program may handle: its number, or its name in capitals
 * with or without SIG, real-time ones as RTMIN+N or RTMAX-N. False for those
 * that cannot be caught, for faults, whose handler would return into the
 * fault, and for those that libc keeps for itself.
 */
bool conf_value_signal(conf_slice_t value, unsigned *signal);

/* The name without SIG, or NULL for a signal that has none. */
const char *conf_value_signal_name(unsigned signal);

/*
 * How many characters must be inserted, dropped, changed or swapped with
 * their neighbour to turn one text into the other. Texts of more than 63
 * bytes are UINT_MAX from everything.
 */
unsigned conf_value_distance(conf_slice_t a, conf_slice_t b);

#endif
