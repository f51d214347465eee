/*
 * What: see report_samples.h.
 *
 * Invariants: as there.
 *
 * Locking: as there.
 */
#include "stats/report_samples.h"

#include "conf/conf.h"
#include "prof/prof.h"
#include "stats/report_table.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const report_column_t columns[] = {
    {"prof_live_requested", 21, REPORT_CELL_VALUE},
    {"prof_live_count", 17, REPORT_CELL_VALUE},
    {"prof_accum_requested", 21, REPORT_CELL_VALUE},
    {"prof_accum_count", 17, REPORT_CELL_VALUE},
};

static const emit_field_t fields[] = {
    {"prof_live_requested", EMIT_U64,
        offsetof(report_samples_t, live_requested)},
    {"prof_live_count", EMIT_U64, offsetof(report_samples_t, live_count)},
    {"prof_accum_requested", EMIT_U64,
        offsetof(report_samples_t, accum_requested)},
    {"prof_accum_count", EMIT_U64, offsetof(report_samples_t, accum_count)},
};

bool report_samples_exist(void)
{
    return prof_is_on() && opt.prof_stats;
}

report_samples_t report_samples_of(unsigned index)
{
    prof_stats_t live;
    prof_stats_t accum;
    prof_stats_get(index, &live, &accum);
    return (report_samples_t){
        live.requested_bytes, live.count, accum.requested_bytes, accum.count};
}

void report_samples_titles(emit_t *emit)
{
    report_text_titles(emit, columns, COUNT(columns), 0);
}

void report_samples_text(emit_t *emit, const report_samples_t *samples)
{
    const uint64_t values[] = {samples->live_requested, samples->live_count,
        samples->accum_requested, samples->accum_count};
    report_text_cells(emit, columns, COUNT(columns), values, "", 0);
}

void report_samples_json(emit_t *emit, const report_samples_t *samples)
{
    emit_json_fields(emit, fields, COUNT(fields), samples);
}
