/*
 * What: see perfmap.h.
 *
 * Invariants: as there.
 *
 * Locking: none.
 */
#include "perfmap.h"

#include <stdlib.h>

#include "cursor.h"
#include "mem.h"
#include "say.h"
#include "texts.h"

/* Ranges seldom overlap, so what covers a place is not far before it. */
#define LOOK_BACK 64

static int compare_code(const void *a, const void *b)
{
    const perfmap_code_t *x = a;
    const perfmap_code_t *y = b;
    if (x->start != y->start) {
        return x->start < y->start ? -1 : 1;
    }
    return (x->line > y->line) - (x->line < y->line);
}

static bool parse_line(cursor_t c, perfmap_code_t *code)
{
    if (!cursor_hex(&c, &code->start) || !cursor_skip(&c, " ") ||
        !cursor_hex(&c, &code->size) || !cursor_skip(&c, " ")) {
        return false;
    }
    cursor_blanks(&c);
    code->name = text_id(c.at, (size_t)(c.end - c.at));
    return c.at < c.end;
}

void perfmap_read(perfmap_t *m, const char *name, const char *bytes, size_t len)
{
    cursor_t c = {bytes, bytes + len};
    cursor_t line;
    for (size_t number = 0; cursor_line(&c, &line); number++) {
        perfmap_code_t code = {.line = number};
        if (parse_line(line, &code)) {
            *MEM_PUSH(m->code, m->count, m->room) = code;
        }
    }
    if (m->count == 0) {
        fail("%s: no map of code: its lines must be START SIZE NAME, the "
             "numbers hexadecimal",
            name);
    }
    qsort(m->code, m->count, sizeof(*m->code), compare_code);
}

const perfmap_code_t *perfmap_find(const perfmap_t *m, uint64_t address)
{
    size_t low = 0;
    size_t high = m->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (m->code[middle].start <= address) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    const perfmap_code_t *found = NULL;
    for (size_t back = 1; back <= low && back <= LOOK_BACK; back++) {
        const perfmap_code_t *code = &m->code[low - back];
        if (address - code->start < code->size &&
            (found == NULL || code->line > found->line)) {
            found = code;
        }
    }
    return found;
}
