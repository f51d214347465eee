/*
 * What: reads text from memory, which need not be terminated.
 *
 * Invariants: (I1) nothing at or behind `end` is read; (I2) a function that
 * returns false has not moved the cursor.
 *
 * Locking: none.
 */
#ifndef JEPROF_CURSOR_H
#define JEPROF_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct cursor {
    const char *at;
    const char *end;
} cursor_t;

/* The next line without its end; false at the end of all. */
static inline bool cursor_line(cursor_t *c, cursor_t *line)
{
    if (c->at >= c->end) {
        return false;
    }
    const char *end = memchr(c->at, '\n', (size_t)(c->end - c->at));
    line->at = c->at;
    line->end = end != NULL ? end : c->end;
    c->at = end != NULL ? end + 1 : c->end;
    if (line->end > line->at && line->end[-1] == '\r') {
        line->end--;
    }
    return true;
}

static inline bool cursor_starts(const cursor_t *c, const char *word)
{
    size_t len = strlen(word);
    return (size_t)(c->end - c->at) >= len && memcmp(c->at, word, len) == 0;
}

static inline bool cursor_skip(cursor_t *c, const char *word)
{
    bool starts = cursor_starts(c, word);
    c->at += starts ? strlen(word) : 0;
    return starts;
}

static inline void cursor_blanks(cursor_t *c)
{
    while (c->at < c->end && (*c->at == ' ' || *c->at == '\t')) {
        c->at++;
    }
}

/* Moves behind the word that begins here and returns its length. */
static inline size_t cursor_word(cursor_t *c)
{
    const char *start = c->at;
    while (c->at < c->end && *c->at != ' ' && *c->at != '\t') {
        c->at++;
    }
    return (size_t)(c->at - start);
}

static inline int cursor_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : 16;
}

/* With or without 0x; too large a number becomes the largest. */
static inline bool cursor_hex(cursor_t *c, uint64_t *number)
{
    const char *at = c->at;
    if (c->end - at >= 2 && at[0] == '0' && (at[1] | 32) == 'x') {
        at += 2;
    }
    const char *digits = at;
    uint64_t n = 0;
    bool over = false;
    for (; at < c->end && cursor_digit(*at) < 16; at++) {
        over |= n >> 60 != 0;
        n = n << 4 | (uint64_t)cursor_digit(*at);
    }
    if (at == digits) {
        return false;
    }
    *number = over ? UINT64_MAX : n;
    c->at = at;
    return true;
}

static inline bool cursor_decimal(cursor_t *c, uint64_t *number)
{
    const char *at = c->at;
    uint64_t n = 0;
    for (; at < c->end && *at >= '0' && *at <= '9'; at++) {
        uint64_t digit = (uint64_t)(*at - '0');
        n = n > (UINT64_MAX - digit) / 10 ? UINT64_MAX : n * 10 + digit;
    }
    if (at == c->at) {
        return false;
    }
    *number = n;
    c->at = at;
    return true;
}

#endif
