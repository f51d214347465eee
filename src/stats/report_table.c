/*
 * What: see report_table.h.
 *
 * Invariants: as there.
 *
 * Locking: as there.
 */
#include "stats/report_table.h"

#define NS_PER_SECOND 1000000000ULL
#define COUNT(array)  (sizeof(array) / sizeof((array)[0]))

uint64_t report_rate(uint64_t value, uint64_t uptime_ns)
{
    uint64_t seconds = uptime_ns / NS_PER_SECOND;
    if (uptime_ns == 0) {
        return 0;
    }
    return seconds == 0 ? value : value / seconds;
}

void report_text_titles(
    emit_t *emit, const report_column_t *columns, size_t count, int taken)
{
    for (size_t i = 0; i < count; i++) {
        emit_text(emit, "%*s", columns[i].width - (i == 0 ? taken : 0),
            columns[i].title);
    }
}

void report_text_cells(emit_t *emit, const report_column_t *columns,
    size_t count, const uint64_t *values, const char *text, uint64_t uptime_ns)
{
    uint64_t value = 0;
    for (size_t i = 0; i < count; i++) {
        int width = columns[i].width;
        if (columns[i].kind == REPORT_CELL_TEXT) {
            emit_text(emit, "%*s", width, text);
            continue;
        }
        value = columns[i].kind == REPORT_CELL_RATE
                    ? report_rate(value, uptime_ns)
                    : *values++;
        emit_text(emit, "%*llu", width, (unsigned long long)value);
    }
}

void report_text_gap(emit_t *emit, bool *gap)
{
    if (*gap) {
        emit_text(emit, "%21s---\n", "");
        *gap = false;
    }
}

/* ---- locks ---- */

static const emit_field_t mutex_fields[] = {
#define STATS_MUTEX(kind, name, member, help)                                  \
    EMIT_FIELD(kind, #name, mutex_stats_t, member)
#include "stats/fields.def"
};

static const report_column_t mutex_columns[] = {
    {"n_lock_ops", 16, REPORT_CELL_VALUE},
    REPORT_RATE(8),
    {"n_waiting", 16, REPORT_CELL_VALUE},
    REPORT_RATE(8),
    {"n_spin_acq", 16, REPORT_CELL_VALUE},
    REPORT_RATE(8),
    {"n_owner_switch", 16, REPORT_CELL_VALUE},
    REPORT_RATE(8),
    {"total_wait_ns", 16, REPORT_CELL_VALUE},
    REPORT_RATE(10),
    {"max_wait_ns", 16, REPORT_CELL_VALUE},
    {"max_n_thds", 12, REPORT_CELL_VALUE},
};

void report_text_mutex(
    emit_t *emit, const mutex_stats_t *stats, uint64_t uptime_ns)
{
    const uint64_t values[] = {
        stats->n_ops,
        stats->n_wait,
        stats->n_spin,
        stats->n_owner_switch,
        stats->total_wait_ns,
        stats->max_wait_ns,
        stats->max_waiters,
    };
    report_text_cells(
        emit, mutex_columns, COUNT(mutex_columns), values, "", uptime_ns);
}

void report_text_mutex_titles(emit_t *emit)
{
    report_text_titles(emit, mutex_columns, COUNT(mutex_columns), 0);
}

void report_json_mutex(emit_t *emit, const mutex_stats_t *stats)
{
    emit_json_fields(emit, mutex_fields, COUNT(mutex_fields), stats);
}

void report_print_mutexes(emit_t *emit, const char *const *names,
    const mutex_stats_t *mutexes, size_t count, uint64_t uptime_ns)
{
    emit_text(emit, "%21s", "");
    report_text_mutex_titles(emit);
    emit_text(emit, "\n");
    emit_json_open(emit, "mutexes", '{');
    for (size_t i = 0; i < count; i++) {
        emit_text(emit, "%-21s", names[i]);
        report_text_mutex(emit, &mutexes[i], uptime_ns);
        emit_text(emit, "\n");
        emit_json_open(emit, names[i], '{');
        report_json_mutex(emit, &mutexes[i]);
        emit_json_close(emit, '}');
    }
    emit_json_close(emit, '}');
}
