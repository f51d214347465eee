/*
 * What: the pieces of JSON that both lists of samples are made of, through a
 * sink for text.
 *
 * Invariants: (I1) names are escaped, whatever a thread is called.
 *
 * Locking: the sink's.
 */
#ifndef JE_PROF_PROF_JSON_H
#define JE_PROF_PROF_JSON_H

#include "util/common.h"

typedef struct {
    void (*write)(void *opaque, const char *text);
    void *opaque;
} prof_json_t;

void prof_json_text(const prof_json_t *json, const char *text);
JE_PRINTF(2, 3)
void prof_json_print(const prof_json_t *json, const char *fmt, ...);

/* "text", escaped. */
void prof_json_string(const prof_json_t *json, const char *text);

/* ["0x..", ...] */
void prof_json_frames(
    const prof_json_t *json, const uintptr_t *frames, unsigned count);

#endif
