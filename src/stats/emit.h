/*
 * What: the writer behind the report: values, dictionaries and arrays as
 * compact JSON, lines and table cells as text, in pieces to a callback.
 *
 * Invariants: (I1) nothing is allocated: the buffer is the caller's;
 * (I2) JSON strings are escaped, and commas are right whatever is left out;
 * (I3) functions named json_ do nothing in text form, text_ ones nothing in
 * JSON form, so that a caller need not ask which it is.
 *
 * Locking: none; a writer belongs to one call.
 */
#ifndef JE_STATS_EMIT_H
#define JE_STATS_EMIT_H

#include "util/common.h"

typedef struct {
    void (*write)(void *opaque, const char *text);
    void *opaque;
    char *buf;
    size_t size;
    size_t used;
    bool json;
    bool wants_comma; /* something stands before, in this dictionary */
} emit_t;

typedef enum {
    EMIT_BOOL,
    EMIT_SIZE,
    EMIT_SSIZE,
    EMIT_UNSIGNED,
    EMIT_U32,
    EMIT_U64,
    EMIT_I64,
    EMIT_TEXT, /* a const char * */
} emit_type_t;

/* `size` is at least 2. */
void emit_init(emit_t *emit, void (*write)(void *opaque, const char *text),
    void *opaque, bool json, char *buf, size_t size);
void emit_flush(emit_t *emit);

/* A bracket, with a key before it unless it stands in an array (NULL). */
void emit_json_open(emit_t *emit, const char *key, char bracket);
void emit_json_close(emit_t *emit, char bracket);

/* "key":value; the value of `type` lies at `value`. */
void emit_json_value(
    emit_t *emit, const char *key, emit_type_t type, const void *value);

/* One value of a structure: where, of which type, under which name. */
typedef struct {
    const char *key;
    emit_type_t type;
    uint32_t offset;
} emit_field_t;

/* An element of an emit_field_t array, the comma included. */
#define EMIT_FIELD(kind, key, type, member)                                    \
    {key, EMIT_##kind, offsetof(type, member)},

void emit_json_fields(
    emit_t *emit, const emit_field_t *fields, size_t count, const void *base);

JE_PRINTF(2, 3) void emit_text(emit_t *emit, const char *fmt, ...);

/* `title`: value, without the end of line. */
void emit_text_value(
    emit_t *emit, const char *title, emit_type_t type, const void *value);

#endif
