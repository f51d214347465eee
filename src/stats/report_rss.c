/*
 * What: see report_rss.h.
 *
 * Invariants: as there.
 *
 * Locking: as there.
 */
#include "stats/report_rss.h"

#include "stats/rss.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* One line: what it is, and what makes it smaller. */
typedef struct {
    const char *help;
    const char *shrinks;
} line_t;

static const emit_field_t fields[] = {
#define STATS_RSS(kind, name, help, shrinks)                                   \
    EMIT_FIELD(kind, #name, rss_t, name)
#include "stats/fields.def"
};

static const line_t lines[] = {
#define STATS_RSS(kind, name, help, shrinks) {help, shrinks},
#include "stats/fields.def"
};

static void text_line(
    emit_t *emit, const rss_t *bill, const emit_field_t *field, line_t line)
{
    const char *sign = field->offset == offsetof(rss_t, untouched) ? "-" : "";
    size_t bytes = *(const size_t *)((const char *)bill + field->offset);
    emit_text(emit, "  %-14s%1s%15zu  %s", field->key, sign, bytes, line.help);
    if (line.shrinks != NULL) {
        emit_text(emit, " Less: %s.", line.shrinks);
    }
    emit_text(emit, "\n");
}

void report_rss_print(emit_t *emit)
{
    rss_t bill;
    snapshot_lock();
    const rss_t *made = rss_get_locked();
    if (made != NULL) {
        bill = *made;
    }
    snapshot_unlock();
    if (made == NULL) {
        emit_text(emit, "Resident memory: the system does not tell\n");
        return;
    }
    emit_json_open(emit, "rss", '{');
    emit_json_fields(emit, fields, COUNT(fields), &bill);
    emit_json_close(emit, '}');
    emit_text(emit, "Resident memory:\n");
    for (unsigned i = 0; i < COUNT(fields); i++) {
        text_line(emit, &bill, &fields[i], lines[i]);
    }
}
