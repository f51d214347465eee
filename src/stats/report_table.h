/*
 * What: tables of the report: columns of numbers with their rates, rows left
 * out, and the columns that every lock has.
 *
 * Invariants: (I1) as in emit.h: names with text_ do nothing in JSON form.
 *
 * Locking: none.
 */
#ifndef JE_STATS_REPORT_TABLE_H
#define JE_STATS_REPORT_TABLE_H

#include "os/mutex.h"
#include "stats/emit.h"

typedef enum {
    REPORT_CELL_VALUE, /* the next number */
    REPORT_CELL_RATE,  /* the last number for each second */
    REPORT_CELL_TEXT,  /* the row's one text */
} report_cell_t;

typedef struct {
    const char *title;
    uint8_t width;
    uint8_t kind;
} report_column_t;

#define REPORT_RATE(width)                                                     \
    {                                                                          \
        "(#/sec)", width, REPORT_CELL_RATE                                     \
    }

/* Values as they are in a process younger than a second. */
uint64_t report_rate(uint64_t value, uint64_t uptime_ns);

/* The first title is narrower by what was `taken` in its line before it. */
void report_text_titles(
    emit_t *emit, const report_column_t *columns, size_t count, int taken);

void report_text_cells(emit_t *emit, const report_column_t *columns,
    size_t count, const uint64_t *values, const char *text, uint64_t uptime_ns);

/* Marks rows that were left out. */
void report_text_gap(emit_t *emit, bool *gap);

/* The columns of one lock, in a line that the caller began and ends. */
void report_text_mutex_titles(emit_t *emit);
void report_text_mutex(
    emit_t *emit, const mutex_stats_t *stats, uint64_t uptime_ns);

/* Members of the dictionary that the caller opened. */
void report_json_mutex(emit_t *emit, const mutex_stats_t *stats);

/* A table, or dictionary, of `count` locks. */
void report_print_mutexes(emit_t *emit, const char *const *names,
    const mutex_stats_t *mutexes, size_t count, uint64_t uptime_ns);

#endif
