/*
 * What: see emit.h.
 *
 * Invariants: as there.
 *
 * Locking: as there.
 */
#include "stats/emit.h"

#include <stdarg.h>
#include <string.h>

#include "util/format.h"

/* Longest formatted piece: a table cell or a title line. */
#define PIECE_MAX 256

void emit_init(emit_t *emit, void (*write)(void *opaque, const char *text),
    void *opaque, bool json, char *buf, size_t size)
{
    *emit = (emit_t){
        .write = write,
        .opaque = opaque,
        .buf = buf,
        .size = size,
        .json = json,
    };
}

void emit_flush(emit_t *emit)
{
    if (emit->used != 0) {
        emit->buf[emit->used] = '\0';
        emit->used = 0;
        emit->write(emit->opaque, emit->buf);
    }
}

static void put(emit_t *emit, const char *text, size_t len)
{
    while (len != 0) {
        size_t room = emit->size - 1 - emit->used;
        size_t count = len < room ? len : room;
        memcpy(emit->buf + emit->used, text, count);
        emit->used += count;
        text += count;
        len -= count;
        if (emit->used == emit->size - 1) {
            emit_flush(emit);
        }
    }
}

static void put_word(emit_t *emit, const char *text)
{
    put(emit, text, strlen(text));
}

static void put_vformat(emit_t *emit, const char *fmt, va_list ap)
{
    char piece[PIECE_MAX];
    (void)format_vprint(piece, sizeof(piece), fmt, ap);
    put_word(emit, piece);
}

JE_PRINTF(2, 3)
static void put_format(emit_t *emit, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    put_vformat(emit, fmt, ap);
    va_end(ap);
}

/* Quoted; what JSON forbids inside quotes is escaped. */
static void put_quoted(emit_t *emit, const char *text)
{
    put(emit, "\"", 1);
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\') {
            put(emit, "\\", 1);
            put(emit, text, 1);
        } else if (c < ' ') {
            put_format(emit, "\\u%04x", c);
        } else {
            put(emit, text, 1);
        }
    }
    put(emit, "\"", 1);
}

static void put_text_quoted(emit_t *emit, const char *text)
{
    put(emit, "\"", 1);
    put_word(emit, text);
    put(emit, "\"", 1);
}

/* Any value but text. */
static void put_number(emit_t *emit, emit_type_t type, const void *value)
{
    switch (type) {
    case EMIT_BOOL:
        put_word(emit, *(const bool *)value ? "true" : "false");
        break;
    case EMIT_SIZE:
        put_format(emit, "%zu", *(const size_t *)value);
        break;
    case EMIT_SSIZE:
        put_format(emit, "%zd", *(const ssize_t *)value);
        break;
    case EMIT_UNSIGNED:
        put_format(emit, "%u", *(const unsigned *)value);
        break;
    case EMIT_U32:
        put_format(emit, "%u", (unsigned)*(const uint32_t *)value);
        break;
    case EMIT_U64:
        put_format(emit, "%llu", (unsigned long long)*(const uint64_t *)value);
        break;
    case EMIT_I64:
        put_format(emit, "%lld", (long long)*(const int64_t *)value);
        break;
    case EMIT_TEXT:
        break;
    }
}

/* ---- JSON ---- */

static void begin_item(emit_t *emit, const char *key)
{
    if (emit->wants_comma) {
        put(emit, ",", 1);
    }
    emit->wants_comma = true;
    if (key != NULL) {
        put_quoted(emit, key);
        put(emit, ":", 1);
    }
}

void emit_json_open(emit_t *emit, const char *key, char bracket)
{
    if (emit->json) {
        begin_item(emit, key);
        put(emit, &bracket, 1);
        emit->wants_comma = false;
    }
}

void emit_json_close(emit_t *emit, char bracket)
{
    if (emit->json) {
        put(emit, &bracket, 1);
        emit->wants_comma = true;
    }
}

void emit_json_value(
    emit_t *emit, const char *key, emit_type_t type, const void *value)
{
    if (!emit->json) {
        return;
    }
    begin_item(emit, key);
    if (type == EMIT_TEXT) {
        put_quoted(emit, *(const char *const *)value);
    } else {
        put_number(emit, type, value);
    }
}

void emit_json_fields(
    emit_t *emit, const emit_field_t *fields, size_t count, const void *base)
{
    for (size_t i = 0; i < count; i++) {
        emit_json_value(emit, fields[i].key, fields[i].type,
            (const char *)base + fields[i].offset);
    }
}

/* ---- text ---- */

void emit_text(emit_t *emit, const char *fmt, ...)
{
    if (emit->json) {
        return;
    }
    va_list ap;
    va_start(ap, fmt);
    put_vformat(emit, fmt, ap);
    va_end(ap);
}

void emit_text_value(
    emit_t *emit, const char *title, emit_type_t type, const void *value)
{
    if (emit->json) {
        return;
    }
    put_word(emit, title);
    put_word(emit, ": ");
    if (type == EMIT_TEXT) {
        put_text_quoted(emit, *(const char *const *)value);
    } else {
        put_number(emit, type, value);
    }
}
