/*
 * What: the table of functions, and the one-line-a-stack outputs.
 *
 * Invariants: (I1) columns are those that scripts of jeprof's users read:
 * flat, its part, the parts so far, cumulative, its part, name.
 *
 * Locking: none.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "print.h"
#include "tally.h"

static void print_total(FILE *to, const view_t *v, double total)
{
    char room[32];
    if (v->show_thread) {
        fprintf(to, "Total (t%" PRId64 "): ", v->thread);
    } else {
        fputs("Total: ", to);
    }
    fprintf(to, "%s %s\n", view_format(v, total, room), view_unit(v));
}

static const char *percent(double part, double total, char room[32])
{
    if (total == 0) {
        return strcpy(room, "nan");
    }
    double value = part * 100 / total;
    /* What is rounded to nothing is not less than nothing. */
    snprintf(room, 32, "%.1f%%", value > -0.05 && value < 0 ? 0 : value);
    return room;
}

void print_text(FILE *to, view_t *v, const settings_t *s, size_t limit)
{
    tally_t t;
    tally_make(&t, v, s->granularity, false);
    tally_sort(&t, s->sort_cumulative);
    print_total(to, v, t.total);
    double so_far = 0;
    size_t rows = 0;
    for (size_t i = 0; i < t.nodes_count; i++) {
        const tally_node_t *n = &t.nodes[t.order[i]];
        if ((n->flat == 0 && n->cum == 0) || (limit > 0 && rows >= limit)) {
            continue;
        }
        rows++;
        so_far += n->flat;
        char a[32], b[32], c[32], d[32], e[32];
        fprintf(to, "%8s %6s %6s %8s %6s %s\n", view_format(v, n->flat, a),
            percent(n->flat, t.total, b), percent(so_far, t.total, c),
            view_format(v, n->cum, d), percent(n->cum, t.total, e),
            text_of(n->label));
    }
    tally_release(&t);
}

/* Equal lines are added up; a line is its text and, in `value`, its number. */
typedef struct line {
    uint32_t text;
    double value;
} collapsed_line_t;

static collapsed_line_t *lines;

static bool same_line(uint32_t id, const void *key)
{
    return lines[id].text == *(const uint32_t *)key;
}

static uint32_t collapse(const view_t *v, text_t *text)
{
    text_clear(text);
    for (size_t i = v->depth; i-- > 0;) {
        const frame_t *f = &v->p->frames[v->frames[i]];
        for (const char *c = text_of(v->p->functions[f->function].name); *c;
             c++) {
            text_char(text, *c == ';' || *c == '\n' ? ':' : *c);
        }
        text_string(text, f->is_inlined ? "[inline]" : "");
        text_string(text, i > 0 ? ";" : "");
    }
    return text_id(text->at, text->len);
}

void print_collapsed(FILE *to, view_t *v)
{
    lines = NULL;
    size_t count = 0;
    size_t room = 0;
    index_t index = {NULL, 0, 0};
    text_t text = {NULL, 0, 0};
    view_rewind(v);
    while (view_next(v)) {
        uint32_t key = collapse(v, &text);
        uint32_t fresh = (uint32_t)count;
        uint32_t id =
            index_find(&index, hash_word(key), same_line, &key, fresh);
        if (id == INDEX_NEW) {
            *MEM_PUSH(lines, count, room) = (collapsed_line_t){key, 0};
            id = fresh;
        }
        lines[id].value += view_value(v);
    }
    for (size_t i = 0; i < count; i++) {
        bool seconds = strcmp(view_unit(v), "seconds") == 0;
        double value = lines[i].value * (seconds ? 1e6 : 1);
        const char *stack = text_of(lines[i].text);
        if (view_whole(value) != 0) {
            fprintf(to, "%s %" PRId64 "\n", *stack != '\0' ? stack : "??",
                view_whole(value));
        }
    }
    mem_free(lines);
    mem_free(index.slots);
    mem_free(text.at);
}
