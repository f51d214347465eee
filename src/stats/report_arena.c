/*
 * What: see report_arena.h.
 *
 * Invariants: as there.
 *
 * Locking: as there.
 */
#include "stats/report_arena.h"

#include "stats/report_hpa.h"
#include "stats/report_samples.h"
#include "stats/report_table.h"
#include "util/format.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const char *const arena_mutex_names[] = {
#define STATS_ARENA_MUTEX(name, help) #name,
#include "stats/fields.def"
};

/* ---- one arena: state and sums ---- */

static void text_decay_row(
    emit_t *emit, const char *name, ssize_t ms, const uint64_t *values)
{
    static const report_column_t columns[] = {
        {"npages", 13, REPORT_CELL_VALUE},
        {"sweeps", 13, REPORT_CELL_VALUE},
        {"madvises", 13, REPORT_CELL_VALUE},
        {"purged", 13, REPORT_CELL_VALUE},
    };
    emit_text(emit, "%9s", name);
    if (values == NULL) {
        emit_text(emit, "%6s", "time");
        report_text_titles(emit, columns, COUNT(columns), 0);
    } else {
        if (ms < 0) {
            emit_text(emit, "%6s", "N/A");
        } else {
            emit_text(emit, "%6zd", ms);
        }
        report_text_cells(emit, columns, COUNT(columns), values, "", 0);
    }
    emit_text(emit, "\n");
}

static void text_state(emit_t *emit, const snapshot_arena_t *arena)
{
    const uint64_t dirty[] = {arena->pdirty, arena->dirty_npurge,
        arena->dirty_nmadvise, arena->dirty_purged};
    const uint64_t muzzy[] = {arena->pmuzzy, arena->muzzy_npurge,
        arena->muzzy_nmadvise, arena->muzzy_purged};
    emit_text(emit, "assigned threads: %u\n", arena->nthreads);
    emit_text(emit, "uptime: %llu\n", (unsigned long long)arena->uptime);
    emit_text(emit, "dss allocation precedence: \"%s\"\n", arena->dss);
    text_decay_row(emit, "decaying:", 0, NULL);
    text_decay_row(emit, "dirty:", arena->dirty_decay_ms, dirty);
    text_decay_row(emit, "muzzy:", arena->muzzy_decay_ms, muzzy);
}

static const report_column_t sum_columns[] = {
    {"allocated", 16, REPORT_CELL_VALUE},
    {"nmalloc", 16, REPORT_CELL_VALUE},
    REPORT_RATE(10),
    {"ndalloc", 16, REPORT_CELL_VALUE},
    REPORT_RATE(10),
    {"nrequests", 16, REPORT_CELL_VALUE},
    REPORT_RATE(10),
    {"nfill", 16, REPORT_CELL_VALUE},
    REPORT_RATE(10),
    {"nflush", 16, REPORT_CELL_VALUE},
    REPORT_RATE(10),
};

static const emit_field_t sum_fields[] = {
#define STATS_SUM(kind, name, help)                                            \
    EMIT_FIELD(kind, #name, snapshot_sum_t, name)
#include "stats/fields.def"
};

static void print_sum(emit_t *emit, const char *name, const char *key,
    const snapshot_sum_t *sum, uint64_t uptime_ns)
{
    const uint64_t values[] = {sum->allocated, sum->nmalloc, sum->ndalloc,
        sum->nrequests, sum->nfills, sum->nflushes};
    emit_text(emit, "%-21s", name);
    report_text_cells(
        emit, sum_columns, COUNT(sum_columns), values, "", uptime_ns);
    emit_text(emit, "\n");
    if (key != NULL) {
        emit_json_open(emit, key, '{');
        emit_json_fields(emit, sum_fields, COUNT(sum_fields), sum);
        emit_json_close(emit, '}');
    }
}

static void print_sums(emit_t *emit, const snapshot_arena_t *arena)
{
    snapshot_sum_t total;
#define STATS_SUM(kind, name, help)                                            \
    total.name = arena->small.name + arena->large.name;
#include "stats/fields.def"
    emit_text(emit, "%21s", "");
    report_text_titles(emit, sum_columns, COUNT(sum_columns), 0);
    emit_text(emit, "\n");
    print_sum(emit, "small:", "small", &arena->small, arena->uptime);
    print_sum(emit, "large:", "large", &arena->large, arena->uptime);
    print_sum(emit, "total:", NULL, &total, arena->uptime);
}

static void text_memory_row(emit_t *emit, const char *name, size_t value)
{
    char title[32];
    (void)format_print(title, sizeof(title), "%s:", name);
    emit_text(emit, "%-21s%16zu\n", title, value);
}

static void print_memory(emit_t *emit, const snapshot_arena_t *arena)
{
    static const emit_field_t fields[] = {
#define STATS_MEMORY(kind, name, merge, help)                                  \
    EMIT_FIELD(kind, #name, snapshot_arena_t, name)
#include "stats/fields.def"
    };
    emit_json_fields(emit, fields, COUNT(fields), arena);
    emit_text(emit, "%37s\n", "");
    text_memory_row(emit, "active", PAGES(arena->pactive));
#define STATS_MEMORY(kind, name, merge, help)                                  \
    text_memory_row(emit, #name, arena->name);
#include "stats/fields.def"
}

/* ---- one arena: small classes ---- */

static const report_column_t bin_front[] = {
    {"size", 20, REPORT_CELL_VALUE},
    {"ind", 4, REPORT_CELL_VALUE},
    {"allocated", 14, REPORT_CELL_VALUE},
    {"nmalloc", 14, REPORT_CELL_VALUE},
    REPORT_RATE(8),
    {"ndalloc", 14, REPORT_CELL_VALUE},
    REPORT_RATE(8),
    {"nrequests", 15, REPORT_CELL_VALUE},
    REPORT_RATE(10),
};

/* Behind the samples. */
static const report_column_t bin_back[] = {
    {"nshards", 9, REPORT_CELL_VALUE},
    {"curregs", 13, REPORT_CELL_VALUE},
    {"curslabs", 13, REPORT_CELL_VALUE},
    {"nonfull_slabs", 15, REPORT_CELL_VALUE},
    {"regs", 5, REPORT_CELL_VALUE},
    {"pgs", 4, REPORT_CELL_VALUE},
    {"util", 7, REPORT_CELL_TEXT},
    {"nfills", 13, REPORT_CELL_VALUE},
    REPORT_RATE(8),
    {"nflushes", 13, REPORT_CELL_VALUE},
    REPORT_RATE(8),
    {"nslabs", 13, REPORT_CELL_VALUE},
    {"nreslabs", 13, REPORT_CELL_VALUE},
    REPORT_RATE(8),
};

static report_samples_t samples_of(
    const report_parts_t *opts, unsigned class_index)
{
    return opts->samples ? report_samples_of(class_index)
                         : (report_samples_t){0};
}

/* The share of regions in use, three digits, cut off. */
static const char *utilization(
    const snapshot_bin_t *bin, unsigned regions, char *buf, size_t size)
{
    size_t all = bin->curslabs * regions;
    if (bin->curregs > all) {
        return " race";
    }
    size_t thousandths = all == 0 ? 1000 : bin->curregs * 1000 / all;
    if (thousandths == 1000) {
        return "1";
    }
    (void)format_print(buf, size, "0.%03zu", thousandths);
    return buf;
}

static void text_bin(emit_t *emit, const report_parts_t *opts,
    const snapshot_bin_t *bin, const report_samples_t *samples, unsigned i,
    uint64_t uptime_ns)
{
    const sizeclass_slab_t *shape = &sizeclass_slabs[i];
    char buf[8];
    const uint64_t front[] = {
        shape->region_bytes,
        i,
        bin->curregs * shape->region_bytes,
        bin->nmalloc,
        bin->ndalloc,
        bin->nrequests,
    };
    const uint64_t back[] = {
        shape->shards,
        bin->curregs,
        bin->curslabs,
        bin->nonfull_slabs,
        shape->regions,
        shape->slab_bytes >> LG_PAGE,
        bin->nfills,
        bin->nflushes,
        bin->nslabs,
        bin->nreslabs,
    };
    const char *util = utilization(bin, shape->regions, buf, sizeof(buf));
    report_text_cells(emit, bin_front, COUNT(bin_front), front, "", uptime_ns);
    if (opts->samples) {
        report_samples_text(emit, samples);
    }
    report_text_cells(emit, bin_back, COUNT(bin_back), back, util, uptime_ns);
    if (!opts->no_mutexes) {
        report_text_mutex(emit, &bin->mutex, uptime_ns);
    }
    emit_text(emit, "\n");
}

/* The JSON omits nslabs, as its readers know it. */
static void json_bin(emit_t *emit, const report_parts_t *opts,
    const snapshot_bin_t *bin, const report_samples_t *samples)
{
    static const emit_field_t fields[] = {
#define STATS_BIN(kind, name, help)                                            \
    EMIT_FIELD(kind, #name, snapshot_bin_t, name)
#include "stats/fields.def"
    };
    emit_json_open(emit, NULL, '{');
    for (size_t i = 0; i < COUNT(fields); i++) {
        if (fields[i].offset != offsetof(snapshot_bin_t, nslabs)) {
            emit_json_fields(emit, &fields[i], 1, bin);
        }
        if (opts->samples &&
            fields[i].offset == offsetof(snapshot_bin_t, nrequests)) {
            report_samples_json(emit, samples);
        }
    }
    if (!opts->no_mutexes) {
        emit_json_open(emit, "mutex", '{');
        report_json_mutex(emit, &bin->mutex);
        emit_json_close(emit, '}');
    }
    emit_json_close(emit, '}');
}

static void print_bins(
    emit_t *emit, const report_parts_t *opts, const snapshot_arena_t *arena)
{
    bool gap = false;
    emit_text(emit, "bins:");
    report_text_titles(emit, bin_front, COUNT(bin_front), 5);
    if (opts->samples) {
        report_samples_titles(emit);
    }
    report_text_titles(emit, bin_back, COUNT(bin_back), 0);
    if (!opts->no_mutexes) {
        report_text_mutex_titles(emit);
    }
    emit_text(emit, "\n");
    emit_json_open(emit, "bins", '[');
    for (unsigned i = 0; i < SC_SMALL_COUNT; i++) {
        report_samples_t samples = samples_of(opts, i);
        json_bin(emit, opts, &arena->bins[i], &samples);
        if (arena->bins[i].nslabs == 0 && samples.accum_count == 0) {
            gap = true;
        } else {
            report_text_gap(emit, &gap);
            text_bin(emit, opts, &arena->bins[i], &samples, i, arena->uptime);
        }
    }
    report_text_gap(emit, &gap);
    emit_json_close(emit, ']');
}

/* ---- one arena: large classes, free extents ---- */

static void print_large(
    emit_t *emit, const report_parts_t *opts, const snapshot_arena_t *arena)
{
    static const report_column_t columns[] = {
        {"size", 20, REPORT_CELL_VALUE},
        {"ind", 4, REPORT_CELL_VALUE},
        {"allocated", 13, REPORT_CELL_VALUE},
        {"nmalloc", 13, REPORT_CELL_VALUE},
        REPORT_RATE(8),
        {"ndalloc", 13, REPORT_CELL_VALUE},
        REPORT_RATE(8),
        {"nrequests", 13, REPORT_CELL_VALUE},
        REPORT_RATE(8),
    };
    static const report_column_t last[] = {
        {"curlextents", 13, REPORT_CELL_VALUE},
    };
    bool gap = false;
    emit_text(emit, "large:");
    report_text_titles(emit, columns, COUNT(columns), 6);
    if (opts->samples) {
        report_samples_titles(emit);
    }
    report_text_titles(emit, last, COUNT(last), 0);
    emit_text(emit, "\n");
    emit_json_open(emit, "lextents", '[');
    for (unsigned i = 0; i < LARGE_CLASS_COUNT; i++) {
        const snapshot_lextent_t *l = &arena->lextents[i];
        size_t size = sizeclass_size(SC_SMALL_COUNT + i);
        const uint64_t values[] = {size, SC_SMALL_COUNT + i,
            l->curlextents * size, l->nmalloc, l->ndalloc, l->nrequests};
        const uint64_t current = l->curlextents;
        report_samples_t samples = samples_of(opts, SC_SMALL_COUNT + i);
        emit_json_open(emit, NULL, '{');
        if (opts->samples) {
            report_samples_json(emit, &samples);
        }
        emit_json_value(emit, "curlextents", EMIT_SIZE, &l->curlextents);
        emit_json_close(emit, '}');
        if (l->nrequests == 0 && samples.accum_count == 0) {
            gap = true;
        } else {
            report_text_gap(emit, &gap);
            report_text_cells(
                emit, columns, COUNT(columns), values, "", arena->uptime);
            if (opts->samples) {
                report_samples_text(emit, &samples);
            }
            report_text_cells(emit, last, COUNT(last), &current, "", 0);
            emit_text(emit, "\n");
        }
    }
    report_text_gap(emit, &gap);
    emit_json_close(emit, ']');
}

static void json_extent(emit_t *emit, const snapshot_extent_t *extent)
{
    static const emit_field_t fields[] = {
#define STATS_EXTENT(kind, name, help)                                         \
    EMIT_FIELD(kind, #name, snapshot_extent_t, name)
#include "stats/fields.def"
    };
    emit_json_open(emit, NULL, '{');
    emit_json_fields(emit, fields, COUNT(fields), extent);
    emit_json_close(emit, '}');
}

static void print_extents(emit_t *emit, const snapshot_arena_t *arena)
{
    static const report_column_t columns[] = {
        {"size", 20, REPORT_CELL_VALUE},
        {"ind", 4, REPORT_CELL_VALUE},
        {"ndirty", 13, REPORT_CELL_VALUE},
        {"dirty", 13, REPORT_CELL_VALUE},
        {"nmuzzy", 13, REPORT_CELL_VALUE},
        {"muzzy", 13, REPORT_CELL_VALUE},
        {"nretained", 13, REPORT_CELL_VALUE},
        {"retained", 13, REPORT_CELL_VALUE},
        {"npinned", 13, REPORT_CELL_VALUE},
        {"pinned", 13, REPORT_CELL_VALUE},
        {"ntotal", 13, REPORT_CELL_VALUE},
        {"total", 13, REPORT_CELL_VALUE},
    };
    bool gap = false;
    emit_text(emit, "extents:");
    report_text_titles(emit, columns, COUNT(columns), 8);
    emit_text(emit, "\n");
    emit_json_open(emit, "extents", '[');
    for (unsigned i = 0; i < SNAPSHOT_RUN_COUNT; i++) {
        const snapshot_extent_t *e = &arena->extents[i];
        size_t count = e->ndirty + e->nmuzzy + e->nretained + e->npinned;
        size_t bytes = e->dirty_bytes + e->muzzy_bytes + e->retained_bytes +
                       e->pinned_bytes;
        const uint64_t values[] = {snapshot_run_bytes(i), i, e->ndirty,
            e->dirty_bytes, e->nmuzzy, e->muzzy_bytes, e->nretained,
            e->retained_bytes, e->npinned, e->pinned_bytes, count, bytes};
        json_extent(emit, e);
        if (count == 0) {
            gap = true;
        } else {
            report_text_gap(emit, &gap);
            report_text_cells(emit, columns, COUNT(columns), values, "", 0);
            emit_text(emit, "\n");
        }
    }
    report_text_gap(emit, &gap);
    emit_json_close(emit, ']');
}

/* ---- all of it ---- */

void report_arena_print(emit_t *emit, const report_parts_t *opts,
    const char *key, const snapshot_arena_t *arena)
{
    static const emit_field_t fields[] = {
#define STATS_ARENA(kind, name, key, merge, help)                              \
    EMIT_FIELD(kind, #key, snapshot_arena_t, name)
#include "stats/fields.def"
    };
    emit_json_open(emit, key, '{');
    if (arena->arena != NULL) {
        const char *name = arena->name;
        emit_json_value(emit, "name", EMIT_TEXT, &name);
        emit_text_value(emit, "name", EMIT_TEXT, &name);
        emit_text(emit, "\n");
    }
    emit_json_fields(emit, fields, COUNT(fields), arena);
    text_state(emit, arena);
    print_sums(emit, arena);
    print_memory(emit, arena);
    if (!opts->no_mutexes) {
        report_print_mutexes(emit, arena_mutex_names, arena->mutexes,
            SNAPSHOT_ARENA_MUTEX_COUNT, arena->uptime);
    }
    if (!opts->no_bins) {
        print_bins(emit, opts, arena);
    }
    if (!opts->no_large) {
        print_large(emit, opts, arena);
    }
    if (!opts->no_extents) {
        print_extents(emit, arena);
    }
    if (!opts->no_hpa) {
        report_hpa_print(emit, &snapshot_no_hpa, arena->uptime);
    }
    emit_json_close(emit, '}');
}
