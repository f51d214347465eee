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
#include "stats/report_arena.h"
#include "stats/report_rss.h"
#include "stats/report_samples.h"
#include "stats/report_settings.h"
#include "stats/report_table.h"
#include "stats/snapshot.h"
#include "util/format.h"

/* Bytes of one piece, and of the reserve when the system is out of memory. */
#define BUFFER_BYTES  ((size_t)64 << 10)
#define RESERVE_BYTES 512
#define COUNT(array)  (sizeof(array) / sizeof((array)[0]))

/* What to leave out: the letters of the call. */
typedef struct {
    bool json;
    bool no_general;
    bool no_merged;
    bool no_destroyed;
    bool no_arenas;
    bool rss;
    report_parts_t parts;
} report_opts_t;

/* ---- totals ---- */

static const char *const global_mutex_names[] = {
#define STATS_GLOBAL_MUTEX(name, help) #name,
#include "stats/fields.def"
};

static void print_background(emit_t *emit, const snapshot_background_t *threads)
{
    static const emit_field_t fields[] = {
#define STATS_BACKGROUND(kind, name, help)                                     \
    EMIT_FIELD(kind, #name, snapshot_background_t, name)
#include "stats/fields.def"
    };
    emit_json_open(emit, "background_thread", '{');
    emit_json_fields(emit, fields, COUNT(fields), threads);
    emit_json_close(emit, '}');
    emit_text(emit,
        "Background threads: %zu, num_runs: %llu, run_interval: %llu ns\n",
        threads->num_threads, (unsigned long long)threads->num_runs,
        (unsigned long long)threads->run_interval);
}

static void text_total(emit_t *emit, const snapshot_total_t *total)
{
    emit_text(emit,
        "Allocated: %zu, active: %zu, metadata: %zu (n_thp %zu, edata %zu, "
        "rtree %zu)",
        total->allocated, total->active, total->metadata, total->metadata_thp,
        total->metadata_edata, total->metadata_rtree);
    emit_text(emit,
        ", resident: %zu, mapped: %zu, retained: %zu, pinned: %zu\n",
        total->resident, total->mapped, total->retained, total->pinned);
}

static void print_totals(
    emit_t *emit, const report_opts_t *opts, const snapshot_t *now)
{
    static const emit_field_t fields[] = {
#define STATS_TOTAL(kind, name, help)                                          \
    EMIT_FIELD(kind, #name, snapshot_total_t, name)
#include "stats/fields.def"
    };
    size_t zero_reallocs = atomic_get_relaxed(&stats_zero_reallocs);
    emit_json_open(emit, "stats", '{');
    emit_json_fields(emit, fields, COUNT(fields), &now->total);
    emit_json_value(emit, "zero_reallocs", EMIT_SIZE, &zero_reallocs);
    text_total(emit, &now->total);
    emit_text(
        emit, "Count of realloc(non-null-ptr, 0) calls: %zu\n", zero_reallocs);
    print_background(emit, &now->background);
    if (!opts->parts.no_mutexes) {
        report_print_mutexes(emit, global_mutex_names, now->mutexes,
            SNAPSHOT_GLOBAL_MUTEX_COUNT, now->arenas[0].uptime);
    }
    emit_json_close(emit, '}');
}

/* ---- arenas ---- */

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
        report_parts_t parts = opts->parts;
        parts.samples = report_samples_exist();
        report_arena_print(emit, &parts, "merged", &now->merged);
    }
    if (!opts->no_destroyed && now->destroyed_count != 0) {
        emit_text(emit, "Destroyed arenas stats:\n");
        report_arena_print(emit, &opts->parts, "destroyed", &now->destroyed);
    }
    for (unsigned i = 0; i < now->count && !opts->no_arenas; i++) {
        char key[16];
        (void)format_print(key, sizeof(key), "%u", now->arenas[i].ind);
        emit_text(emit, "arenas[%s]:\n", key);
        report_arena_print(emit, &opts->parts, key, &now->arenas[i]);
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
        .rss = strchr(opts, 'r') != NULL,
        .parts.no_bins = strchr(opts, 'b') != NULL,
        .parts.no_large = strchr(opts, 'l') != NULL,
        .parts.no_mutexes = strchr(opts, 'x') != NULL,
        .parts.no_extents = strchr(opts, 'e') != NULL,
        .parts.no_hpa = strchr(opts, 'h') != NULL,
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
    if (opts->rss) {
        report_rss_print(emit);
    }
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
