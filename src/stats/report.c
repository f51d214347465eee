/*
 * What: see report.h; this file holds the statistics part. Text and JSON say
 * the same in the same order; an emit_text or emit_json call does nothing in
 * the other form.
 *
 * Invariants: as there. (I3) All numbers come from one snapshot, but for the
 * few that are settings or counted live.
 *
 * Locking: as there.
 */
#include "stats/report.h"

#include <string.h>

#include "os/log.h"
#include "os/os.h"
#include "stats/emit.h"
#include "stats/report_settings.h"
#include "stats/snapshot.h"
#include "util/format.h"

/* Bytes of one piece, and of the reserve when the system is out of memory. */
#define BUFFER_BYTES  ((size_t)64 << 10)
#define RESERVE_BYTES 512
#define NS_PER_SECOND 1000000000ULL
#define COUNT(array)  (sizeof(array) / sizeof((array)[0]))

/* What to leave out: the letters of the call. */
typedef struct {
    bool json;
    bool no_general;
    bool no_merged;
    bool no_destroyed;
    bool no_arenas;
    bool no_bins;
    bool no_large;
    bool no_mutexes;
    bool no_extents;
} report_opts_t;

/* ---- tables ---- */

typedef enum {
    CELL_VALUE, /* the next number */
    CELL_RATE,  /* the last number for each second */
    CELL_TEXT,  /* the row's one text */
} cell_t;

typedef struct {
    const char *title;
    uint8_t width;
    uint8_t kind;
} column_t;

#define RATE(width)                                                            \
    {                                                                          \
        "(#/sec)", width, CELL_RATE                                            \
    }

/* Values as they are in a process younger than a second. */
static uint64_t rate(uint64_t value, uint64_t uptime_ns)
{
    uint64_t seconds = uptime_ns / NS_PER_SECOND;
    if (uptime_ns == 0) {
        return 0;
    }
    return seconds == 0 ? value : value / seconds;
}

/* The first column is narrower by what stands before it in the line. */
static void text_titles(
    emit_t *emit, const column_t *columns, size_t count, int taken)
{
    for (size_t i = 0; i < count; i++) {
        emit_text(emit, "%*s", columns[i].width - (i == 0 ? taken : 0),
            columns[i].title);
    }
}

static void text_cells(emit_t *emit, const column_t *columns, size_t count,
    const uint64_t *values, const char *text, uint64_t uptime_ns)
{
    uint64_t value = 0;
    for (size_t i = 0; i < count; i++) {
        int width = columns[i].width;
        if (columns[i].kind == CELL_TEXT) {
            emit_text(emit, "%*s", width, text);
            continue;
        }
        value =
            columns[i].kind == CELL_RATE ? rate(value, uptime_ns) : *values++;
        emit_text(emit, "%*llu", width, (unsigned long long)value);
    }
}

/* Marks rows that were left out. */
static void text_gap(emit_t *emit, bool *gap)
{
    if (*gap) {
        emit_text(emit, "%21s---\n", "");
        *gap = false;
    }
}

/* ---- locks ---- */

static const emit_field_t mutex_fields[] = {
#define STATS_MUTEX(kind, name, member)                                        \
    EMIT_FIELD(kind, #name, mutex_stats_t, member)
#include "stats/fields.def"
};

static const column_t mutex_columns[] = {
    {"n_lock_ops", 16, CELL_VALUE},
    RATE(8),
    {"n_waiting", 16, CELL_VALUE},
    RATE(8),
    {"n_spin_acq", 16, CELL_VALUE},
    RATE(8),
    {"n_owner_switch", 16, CELL_VALUE},
    RATE(8),
    {"total_wait_ns", 16, CELL_VALUE},
    RATE(10),
    {"max_wait_ns", 16, CELL_VALUE},
    {"max_n_thds", 12, CELL_VALUE},
};

static const char *const arena_mutex_names[] = {
#define STATS_ARENA_MUTEX(name) #name,
#include "stats/fields.def"
};

static const char *const global_mutex_names[] = {
#define STATS_GLOBAL_MUTEX(name) #name,
#include "stats/fields.def"
};

static void text_mutex(
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
    text_cells(
        emit, mutex_columns, COUNT(mutex_columns), values, "", uptime_ns);
}

static void print_mutexes(emit_t *emit, const char *const *names,
    const mutex_stats_t *mutexes, size_t count, uint64_t uptime_ns)
{
    emit_text(emit, "%21s", "");
    text_titles(emit, mutex_columns, COUNT(mutex_columns), 0);
    emit_text(emit, "\n");
    emit_json_open(emit, "mutexes", '{');
    for (size_t i = 0; i < count; i++) {
        emit_text(emit, "%-21s", names[i]);
        text_mutex(emit, &mutexes[i], uptime_ns);
        emit_text(emit, "\n");
        emit_json_open(emit, names[i], '{');
        emit_json_fields(emit, mutex_fields, COUNT(mutex_fields), &mutexes[i]);
        emit_json_close(emit, '}');
    }
    emit_json_close(emit, '}');
}

/* ---- totals ---- */

static void print_totals(
    emit_t *emit, const report_opts_t *opts, const snapshot_t *now)
{
    static const emit_field_t fields[] = {
#define STATS_TOTAL(kind, name) EMIT_FIELD(kind, #name, snapshot_total_t, name)
#include "stats/fields.def"
    };
    const snapshot_total_t *total = &now->total;
    size_t zero_reallocs = atomic_get_relaxed(&stats_zero_reallocs);
    emit_json_open(emit, "stats", '{');
    emit_json_fields(emit, fields, COUNT(fields), total);
    emit_json_value(emit, "zero_reallocs", EMIT_SIZE, &zero_reallocs);
    emit_text(emit, "Allocated: %zu, active: %zu, metadata: %zu (n_thp %zu)",
        total->allocated, total->active, total->metadata, total->metadata_thp);
    emit_text(emit, ", resident: %zu, mapped: %zu, retained: %zu\n",
        total->resident, total->mapped, total->retained);
    emit_text(
        emit, "Count of realloc(non-null-ptr, 0) calls: %zu\n", zero_reallocs);
    if (!opts->no_mutexes) {
        print_mutexes(emit, global_mutex_names, now->mutexes,
            SNAPSHOT_GLOBAL_MUTEX_COUNT, now->arenas[0].uptime);
    }
    emit_json_close(emit, '}');
}

/* ---- one arena: state and sums ---- */

static void text_decay_row(
    emit_t *emit, const char *name, ssize_t ms, const uint64_t *values)
{
    static const column_t columns[] = {
        {"npages", 13, CELL_VALUE},
        {"sweeps", 13, CELL_VALUE},
        {"madvises", 13, CELL_VALUE},
        {"purged", 13, CELL_VALUE},
    };
    emit_text(emit, "%9s", name);
    if (values == NULL) {
        emit_text(emit, "%6s", "time");
        text_titles(emit, columns, COUNT(columns), 0);
    } else {
        if (ms < 0) {
            emit_text(emit, "%6s", "N/A");
        } else {
            emit_text(emit, "%6zd", ms);
        }
        text_cells(emit, columns, COUNT(columns), values, "", 0);
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

static const column_t sum_columns[] = {
    {"allocated", 16, CELL_VALUE},
    {"nmalloc", 16, CELL_VALUE},
    RATE(10),
    {"ndalloc", 16, CELL_VALUE},
    RATE(10),
    {"nrequests", 16, CELL_VALUE},
    RATE(10),
    {"nfill", 16, CELL_VALUE},
    RATE(10),
    {"nflush", 16, CELL_VALUE},
    RATE(10),
};

static const emit_field_t sum_fields[] = {
#define STATS_SUM(kind, name) EMIT_FIELD(kind, #name, snapshot_sum_t, name)
#include "stats/fields.def"
};

static void print_sum(emit_t *emit, const char *name, const char *key,
    const snapshot_sum_t *sum, uint64_t uptime_ns)
{
    const uint64_t values[] = {sum->allocated, sum->nmalloc, sum->ndalloc,
        sum->nrequests, sum->nfills, sum->nflushes};
    emit_text(emit, "%-21s", name);
    text_cells(emit, sum_columns, COUNT(sum_columns), values, "", uptime_ns);
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
#define STATS_SUM(kind, name)                                                  \
    total.name = arena->small.name + arena->large.name;
#include "stats/fields.def"
    emit_text(emit, "%21s", "");
    text_titles(emit, sum_columns, COUNT(sum_columns), 0);
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
#define STATS_MEMORY(kind, name, merge)                                        \
    EMIT_FIELD(kind, #name, snapshot_arena_t, name)
#include "stats/fields.def"
    };
    emit_json_fields(emit, fields, COUNT(fields), arena);
    emit_text(emit, "%37s\n", "");
    text_memory_row(emit, "active", PAGES(arena->pactive));
#define STATS_MEMORY(kind, name, merge)                                        \
    text_memory_row(emit, #name, arena->name);
#include "stats/fields.def"
}

/* ---- one arena: small classes ---- */

static const column_t bin_columns[] = {
    {"size", 20, CELL_VALUE},
    {"ind", 4, CELL_VALUE},
    {"allocated", 14, CELL_VALUE},
    {"nmalloc", 14, CELL_VALUE},
    RATE(8),
    {"ndalloc", 14, CELL_VALUE},
    RATE(8),
    {"nrequests", 15, CELL_VALUE},
    RATE(10),
    {"nshards", 9, CELL_VALUE},
    {"curregs", 13, CELL_VALUE},
    {"curslabs", 13, CELL_VALUE},
    {"nonfull_slabs", 15, CELL_VALUE},
    {"regs", 5, CELL_VALUE},
    {"pgs", 4, CELL_VALUE},
    {"util", 7, CELL_TEXT},
    {"nfills", 13, CELL_VALUE},
    RATE(8),
    {"nflushes", 13, CELL_VALUE},
    RATE(8),
    {"nslabs", 13, CELL_VALUE},
    {"nreslabs", 13, CELL_VALUE},
    RATE(8),
};

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

static void text_bin(emit_t *emit, const report_opts_t *opts,
    const snapshot_bin_t *bin, unsigned i, uint64_t uptime_ns)
{
    const sizeclass_slab_t *shape = &sizeclass_slabs[i];
    char buf[8];
    const uint64_t values[] = {
        shape->region_bytes,
        i,
        bin->curregs * shape->region_bytes,
        bin->nmalloc,
        bin->ndalloc,
        bin->nrequests,
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
    text_cells(emit, bin_columns, COUNT(bin_columns), values, util, uptime_ns);
    if (!opts->no_mutexes) {
        text_mutex(emit, &bin->mutex, uptime_ns);
    }
    emit_text(emit, "\n");
}

/* The JSON omits nslabs, as its readers know it. */
static void json_bin(
    emit_t *emit, const report_opts_t *opts, const snapshot_bin_t *bin)
{
    static const emit_field_t fields[] = {
#define STATS_BIN(kind, name) EMIT_FIELD(kind, #name, snapshot_bin_t, name)
#include "stats/fields.def"
    };
    emit_json_open(emit, NULL, '{');
    for (size_t i = 0; i < COUNT(fields); i++) {
        if (fields[i].offset != offsetof(snapshot_bin_t, nslabs)) {
            emit_json_fields(emit, &fields[i], 1, bin);
        }
    }
    if (!opts->no_mutexes) {
        emit_json_open(emit, "mutex", '{');
        emit_json_fields(emit, mutex_fields, COUNT(mutex_fields), &bin->mutex);
        emit_json_close(emit, '}');
    }
    emit_json_close(emit, '}');
}

static void print_bins(
    emit_t *emit, const report_opts_t *opts, const snapshot_arena_t *arena)
{
    bool gap = false;
    emit_text(emit, "bins:");
    text_titles(emit, bin_columns, COUNT(bin_columns), 5);
    if (!opts->no_mutexes) {
        text_titles(emit, mutex_columns, COUNT(mutex_columns), 0);
    }
    emit_text(emit, "\n");
    emit_json_open(emit, "bins", '[');
    for (unsigned i = 0; i < SC_SMALL_COUNT; i++) {
        json_bin(emit, opts, &arena->bins[i]);
        if (arena->bins[i].nslabs == 0) {
            gap = true;
        } else {
            text_gap(emit, &gap);
            text_bin(emit, opts, &arena->bins[i], i, arena->uptime);
        }
    }
    text_gap(emit, &gap);
    emit_json_close(emit, ']');
}

/* ---- one arena: large classes, free extents ---- */

static void print_large(emit_t *emit, const snapshot_arena_t *arena)
{
    static const column_t columns[] = {
        {"size", 20, CELL_VALUE},
        {"ind", 4, CELL_VALUE},
        {"allocated", 13, CELL_VALUE},
        {"nmalloc", 13, CELL_VALUE},
        RATE(8),
        {"ndalloc", 13, CELL_VALUE},
        RATE(8),
        {"nrequests", 13, CELL_VALUE},
        RATE(8),
        {"curlextents", 13, CELL_VALUE},
    };
    bool gap = false;
    emit_text(emit, "large:");
    text_titles(emit, columns, COUNT(columns), 6);
    emit_text(emit, "\n");
    emit_json_open(emit, "lextents", '[');
    for (unsigned i = 0; i < LARGE_CLASS_COUNT; i++) {
        const snapshot_lextent_t *l = &arena->lextents[i];
        size_t size = sizeclass_size(SC_SMALL_COUNT + i);
        const uint64_t values[] = {size, SC_SMALL_COUNT + i,
            l->curlextents * size, l->nmalloc, l->ndalloc, l->nrequests,
            l->curlextents};
        emit_json_open(emit, NULL, '{');
        emit_json_value(emit, "curlextents", EMIT_SIZE, &l->curlextents);
        emit_json_close(emit, '}');
        if (l->nrequests == 0) {
            gap = true;
        } else {
            text_gap(emit, &gap);
            text_cells(
                emit, columns, COUNT(columns), values, "", arena->uptime);
            emit_text(emit, "\n");
        }
    }
    text_gap(emit, &gap);
    emit_json_close(emit, ']');
}

static void json_extent(emit_t *emit, const snapshot_extent_t *extent)
{
    static const emit_field_t fields[] = {
#define STATS_EXTENT(kind, name)                                               \
    EMIT_FIELD(kind, #name, snapshot_extent_t, name)
#include "stats/fields.def"
    };
    emit_json_open(emit, NULL, '{');
    emit_json_fields(emit, fields, COUNT(fields), extent);
    emit_json_close(emit, '}');
}

static void print_extents(emit_t *emit, const snapshot_arena_t *arena)
{
    static const column_t columns[] = {
        {"size", 20, CELL_VALUE},
        {"ind", 4, CELL_VALUE},
        {"ndirty", 13, CELL_VALUE},
        {"dirty", 13, CELL_VALUE},
        {"nmuzzy", 13, CELL_VALUE},
        {"muzzy", 13, CELL_VALUE},
        {"nretained", 13, CELL_VALUE},
        {"retained", 13, CELL_VALUE},
        {"ntotal", 13, CELL_VALUE},
        {"total", 13, CELL_VALUE},
    };
    bool gap = false;
    emit_text(emit, "extents:");
    text_titles(emit, columns, COUNT(columns), 8);
    emit_text(emit, "\n");
    emit_json_open(emit, "extents", '[');
    for (unsigned i = 0; i < SNAPSHOT_RUN_COUNT; i++) {
        const snapshot_extent_t *e = &arena->extents[i];
        size_t count = e->ndirty + e->nmuzzy + e->nretained;
        const uint64_t values[] = {snapshot_run_bytes(i), i, e->ndirty,
            e->dirty_bytes, e->nmuzzy, e->muzzy_bytes, e->nretained,
            e->retained_bytes, count,
            e->dirty_bytes + e->muzzy_bytes + e->retained_bytes};
        json_extent(emit, e);
        if (count == 0) {
            gap = true;
        } else {
            text_gap(emit, &gap);
            text_cells(emit, columns, COUNT(columns), values, "", 0);
            emit_text(emit, "\n");
        }
    }
    text_gap(emit, &gap);
    emit_json_close(emit, ']');
}

/* ---- arenas ---- */

static void print_arena(emit_t *emit, const report_opts_t *opts,
    const char *key, const snapshot_arena_t *arena)
{
    static const emit_field_t fields[] = {
#define STATS_ARENA(kind, name, key, merge)                                    \
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
        print_mutexes(emit, arena_mutex_names, arena->mutexes,
            SNAPSHOT_ARENA_MUTEX_COUNT, arena->uptime);
    }
    if (!opts->no_bins) {
        print_bins(emit, opts, arena);
    }
    if (!opts->no_large) {
        print_large(emit, arena);
    }
    if (!opts->no_extents) {
        print_extents(emit, arena);
    }
    emit_json_close(emit, '}');
}

static void print_arenas(
    emit_t *emit, const report_opts_t *opts, const snapshot_t *now)
{
    if (opts->no_merged && opts->no_destroyed && opts->no_arenas) {
        return;
    }
    emit_json_open(emit, "stats.arenas", '{');
    /* One arena alone says all that its sum would. */
    if (!opts->no_merged && (now->count > 1 || opts->no_arenas)) {
        emit_text(emit, "Merged arenas stats:\n");
        print_arena(emit, opts, "merged", &now->merged);
    }
    if (!opts->no_destroyed && now->destroyed_count != 0) {
        emit_text(emit, "Destroyed arenas stats:\n");
        print_arena(emit, opts, "destroyed", &now->destroyed);
    }
    for (unsigned i = 0; i < now->count && !opts->no_arenas; i++) {
        char key[16];
        (void)format_print(key, sizeof(key), "%u", now->arenas[i].ind);
        emit_text(emit, "arenas[%s]:\n", key);
        print_arena(emit, opts, key, &now->arenas[i]);
    }
    emit_json_close(emit, '}');
}

/* ---- the whole ---- */

static report_opts_t parse_opts(const char *opts)
{
    if (opts == NULL) {
        opts = "";
    }
    return (report_opts_t){
        .json = strchr(opts, 'J') != NULL,
        .no_general = strchr(opts, 'g') != NULL,
        .no_merged = strchr(opts, 'm') != NULL,
        .no_destroyed = strchr(opts, 'd') != NULL,
        .no_arenas = strchr(opts, 'a') != NULL,
        .no_bins = strchr(opts, 'b') != NULL,
        .no_large = strchr(opts, 'l') != NULL,
        .no_mutexes = strchr(opts, 'x') != NULL,
        .no_extents = strchr(opts, 'e') != NULL,
    };
}

static void print_all(
    emit_t *emit, const report_opts_t *opts, const snapshot_t *now)
{
    emit_json_open(emit, NULL, '{');
    emit_json_open(emit, "jemalloc", '{');
    emit_text(emit, "___ Begin jemalloc statistics ___\n");
    if (!opts->no_general) {
        report_settings_print(emit);
    }
    print_totals(emit, opts, now);
    print_arenas(emit, opts, now);
    emit_text(emit, "--- End jemalloc statistics ---\n");
    emit_json_close(emit, '}');
    emit_json_close(emit, '}');
    emit_flush(emit);
}

void report_print(void (*write_cb)(void *opaque, const char *text),
    void *opaque, const char *letters)
{
    report_opts_t opts = parse_opts(letters);
    snapshot_t *now = snapshot_copy();
    if (now == NULL) {
        log_write("<jemalloc>: Memory allocation failure in "
                  "mallctl(\"epoch\", ...)\n");
        return;
    }
    char reserve[RESERVE_BYTES];
    char *mapped = os_map(BUFFER_BYTES, os_page_size());
    emit_t emit;
    emit_init(&emit, write_cb != NULL ? write_cb : log_write_to, opaque,
        opts.json, mapped != NULL ? mapped : reserve,
        mapped != NULL ? BUFFER_BYTES : sizeof(reserve));
    print_all(&emit, &opts, now);
    if (mapped != NULL) {
        (void)os_unmap(mapped, BUFFER_BYTES);
    }
    snapshot_release(now);
}
