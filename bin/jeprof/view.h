/*
 * What: what of a profile is to be seen: which value, which stacks, which
 * frames of them. Outputs walk over it instead of over the profile.
 *
 * Invariants: (I1) a stack is shown leaf first, without the allocator's own
 * frames at its leaf; (I2) a stack that loses all its frames still counts in
 * the total.
 *
 * Locking: none.
 */
#ifndef JEPROF_VIEW_H
#define JEPROF_VIEW_H

#include <stdio.h>

#include "profile.h"
#include "settings.h"

typedef struct view {
    profile_t *p;
    const char *title; /* of the program or the profile */
    metric_t metric;
    bool show_bytes;
    bool show_thread; /* samples of `thread` alone */
    int64_t thread;
    struct pattern *focus;
    struct pattern *ignore;
    struct pattern *retain;
    struct pattern *exclude;
    /* The stack that the walk is at. */
    size_t next;
    const sample_t *sample;
    uint32_t *frames; /* numbers, leaf first */
    uint32_t *locations;
    size_t depth, room, locations_room;
} view_t;

void view_init(view_t *v, profile_t *p, const settings_t *s);
/* The patterns; NULL is none. Ends the program if one is no expression. */
void view_filter(view_t *v, const char *focus, const char *ignore,
    const char *retain, const char *exclude);

void view_rewind(view_t *v);
/* Moves to the next stack that is not filtered away; false at the end. */
bool view_next(view_t *v);

/* The number of the current stack: what is counted, and what it is without
   subtraction of the base. */
double view_value(const view_t *v);
double view_value_of(const view_t *v, int which);

/* "MB", "B", "objects", "samples", "seconds". */
const char *view_unit(const view_t *v);
/* Cut to a whole number, but for what arithmetic lost, within 64 bits. */
int64_t view_whole(double value);
/* The value as reports print it. */
const char *view_format(const view_t *v, double value, char room[32]);

/* Whether the regular expression matches the text. */
struct pattern *pattern_new(const char *expression);
bool pattern_matches(const struct pattern *pattern, const char *text);
void pattern_free(struct pattern *pattern);

#endif
