/*
 * What: see report.h. Text and JSON say the same in the same order; where
 * they differ, an emit_text_ or emit_json_ call does nothing in the other.
 *
 * Invariants: as there. (I3) All numbers come from one snapshot, but for the
 * few that are settings or counted live.
 *
 * Locking: as there.
 */
#include "stats/report.h"

#include <string.h>

#include "cache/tcache.h"
#include "conf/conf.h"
#include "os/log.h"
#include "os/os.h"
#include "stats/emit.h"
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

/* One value of a structure: where, of which type, under which name. */
typedef struct {
    const char *key;
    emit_type_t type;
    uint32_t offset;
} field_t;

#define FIELD(kind, key, type, member)                                         \
    {key, EMIT_##kind, offsetof(type, member)},

static void json_fields(
    emit_t *emit, const field_t *fields, size_t count, const void *base)
{
    for (size_t i = 0; i < count; i++) {
        emit_json_value(emit, fields[i].key, fields[i].type,
            (const char *)base + fields[i].offset);
    }
}

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

static const field_t mutex_fields[] = {
#define STATS_MUTEX(kind, name, member)                                        \
    FIELD(kind, #name, mutex_stats_t, member)
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
        json_fields(emit, mutex_fields, COUNT(mutex_fields), &mutexes[i]);
        emit_json_close(emit, '}');
    }
    emit_json_close(emit, '}');
}

/* ---- configuration ---- */

/* A line of text or a member of the dictionary. */
static void print_setting(emit_t *emit, const char *group, const char *key,
    emit_type_t type, const void *value)
{
    emit_json_value(emit, key, type, value);
    emit_text(emit, "  %s.", group);
    emit_text_value(emit, key, type, value);
}

static void print_config(emit_t *emit)
{
    emit_text(emit, "Build-time option settings\n");
    emit_json_open(emit, "config", '{');
#define STATS_CONFIG(kind, name, fact)                                         \
    do {                                                                       \
        STATS_TYPE_##kind value_of_##name = fact;                              \
        print_setting(emit, "config", #name, EMIT_##kind, &value_of_##name);   \
        emit_text(emit, "\n");                                                 \
    } while (0);
#include "stats/fields.def"
    emit_json_close(emit, '}');
}

/* The word in brackets in the kernel's list of modes. */
static const char *thp_mode(char *buf, size_t size)
{
    if (os_read_file(
            "/sys/kernel/mm/transparent_hugepage/enabled", buf, size) <= 0) {
        return "not supported";
    }
    char *word = strchr(buf, '[');
    char *end = word == NULL ? NULL : strchr(word, ']');
    if (end == NULL) {
        return "not supported";
    }
    *end = '\0';
    return word + 1;
}

static void print_system(emit_t *emit)
{
    char buf[64];
    const char *mode = thp_mode(buf, sizeof(buf));
    emit_text(emit, "System configuration\n");
    emit_json_open(emit, "system", '{');
    print_setting(emit, "system", "thp_mode", EMIT_TEXT, &mode);
    emit_text(emit, "\n");
    emit_json_close(emit, '}');
}

/* Options in the order that readers of the report know. */
static const char *const option_order[] = {
    "abort",
    "abort_conf",
    "cache_oblivious",
    "confirm_conf",
    "experimental_hpa_start_huge_if_thp_always",
    "experimental_hpa_enforce_hugify",
    "retain",
    "dss",
    "narenas",
    "percpu_arena",
    "oversize_threshold",
    "hpa",
    "hpa_slab_max_alloc",
    "hpa_hugification_threshold",
    "hpa_hugify_delay_ms",
    "hpa_hugify_sync",
    "hpa_min_purge_interval_ms",
    "experimental_hpa_max_purge_nhp",
    "hpa_dirty_mult",
    "hpa_purge_threshold",
    "hpa_min_purge_delay_ms",
    "hpa_hugify_style",
    "hpa_sec_nshards",
    "hpa_sec_max_alloc",
    "hpa_sec_max_bytes",
    "huge_arena_pac_thp",
    "metadata_thp",
    "mutex_max_spin",
    "background_thread",
    "dirty_decay_ms",
    "muzzy_decay_ms",
    "lg_extent_max_active_fit",
    "junk",
    "zero",
    "utrace",
    "xmalloc",
    "experimental_infallible_new",
    "experimental_tcache_gc",
    "tcache",
    "tcache_max",
    "tcache_nslots_small_min",
    "tcache_nslots_small_max",
    "tcache_nslots_large",
    "lg_tcache_nslots_mul",
    "tcache_gc_incr_bytes",
    "tcache_gc_delay_bytes",
    "lg_tcache_flush_small_div",
    "lg_tcache_flush_large_div",
    "debug_double_free_max_scan",
    "thp",
    "prof",
    "prof_bt_max",
    "prof_prefix",
    "prof_active",
    "prof_thread_active_init",
    "lg_prof_sample",
    "prof_accum",
    "lg_prof_interval",
    "prof_gdump",
    "prof_final",
    "prof_leak",
    "prof_leak_error",
    "stats_print",
    "stats_print_opts",
    "stats_interval",
    "stats_interval_opts",
    "zero_realloc",
    "process_madvise_max_batch",
    "disable_large_size_classes",
};

/* Options by the beginning of their names that hang on a feature. */
static const struct {
    const char *prefix;
    bool exists;
} gates[] = {
    {"utrace", false},
    {"experimental_infallible_new", CONFIG_CXX},
    {"prof", SNAPSHOT_HAS_PROF},
    {"lg_prof", SNAPSHOT_HAS_PROF},
    {"lg_san_uaf_align", false},
};

bool report_has_option(const conf_option_t *option)
{
    for (size_t i = 0; i < COUNT(gates); i++) {
        size_t len = strlen(gates[i].prefix);
        if (strncmp(option->name, gates[i].prefix, len) == 0) {
            return gates[i].exists;
        }
    }
    return option->has_mallctl;
}

/* 16.16 fixed point as a decimal fraction; all ones mean -1. */
static const char *ratio_text(uint32_t ratio, char *buf, size_t size)
{
    if (ratio == UINT32_MAX) {
        return "-1";
    }
    size_t len = format_print(buf, size, "%u", ratio >> 16);
    ratio &= 0xffff;
    for (bool first = true; ratio != 0 && len + 2 < size; first = false) {
        ratio *= 10;
        len += format_print(
            buf + len, size - len, "%s%u", first ? "." : "", ratio >> 16);
        ratio &= 0xffff;
    }
    return buf;
}

static void print_option_value(emit_t *emit, const conf_option_t *option)
{
    static const emit_type_t types[] = {
        [CONF_TYPE_BOOL] = EMIT_BOOL,
        [CONF_TYPE_SIZE] = EMIT_SIZE,
        [CONF_TYPE_SSIZE] = EMIT_SSIZE,
        [CONF_TYPE_UNSIGNED] = EMIT_UNSIGNED,
        [CONF_TYPE_U64] = EMIT_U64,
        [CONF_TYPE_I64] = EMIT_I64,
        [CONF_TYPE_RATIO] = EMIT_TEXT,
        [CONF_TYPE_ENUM] = EMIT_TEXT,
        [CONF_TYPE_TEXT] = EMIT_TEXT,
        [CONF_TYPE_LETTERS] = EMIT_TEXT,
    };
    char buf[32];
    const char *text = NULL;
    unsigned narenas = arena_table_narenas_auto();
    const void *value = option->field;
    if (option->type == CONF_TYPE_ENUM) {
        text = conf_option_word(option);
    } else if (option->type == CONF_TYPE_RATIO) {
        text = ratio_text(*(const uint32_t *)option->field, buf, sizeof(buf));
    } else if (option->field == &opt.narenas) {
        value = &narenas; /* what an unset one came to */
    }
    print_setting(emit, "opt", option->name, types[option->type],
        text != NULL ? (const void *)&text : value);
}

/* What the setting is now, where the program may change it. */
static void text_note(emit_t *emit, const conf_option_t *option)
{
    if (option->field == &opt.dirty_decay_ms) {
        emit_text(emit, " (arenas.dirty_decay_ms: %zd)",
            arena_table_decay_default(PAGE_SET_DIRTY));
    } else if (option->field == &opt.muzzy_decay_ms) {
        emit_text(emit, " (arenas.muzzy_decay_ms: %zd)",
            arena_table_decay_default(PAGE_SET_MUZZY));
    }
    emit_text(emit, "\n");
}

static void print_source(
    emit_t *emit, const char *key, const char *title, unsigned source)
{
    const char *text = conf_source_text(source);
    if (text == NULL && source == CONF_SOURCE_GLOBAL_HARDER) {
        return;
    }
    text = text == NULL ? "" : text;
    emit_json_value(emit, key, EMIT_TEXT, &text);
    emit_text(emit, "  ");
    emit_text_value(emit, title, EMIT_TEXT, &text);
    emit_text(emit, "\n");
}

static void print_options(emit_t *emit)
{
    emit_text(emit, "Run-time option settings\n");
    emit_json_open(emit, "opt", '{');
    print_source(
        emit, "global_var", "Global variable malloc_conf", CONF_SOURCE_GLOBAL);
    print_source(
        emit, "symlink", "Symbolic link malloc.conf", CONF_SOURCE_SYMLINK);
    print_source(emit, "env_var", "Environment variable MALLOC_CONF",
        CONF_SOURCE_ENVIRONMENT);
    print_source(emit, "global_var_2_conf_harder",
        "Global variable malloc_conf_2_conf_harder", CONF_SOURCE_GLOBAL_HARDER);
    for (size_t i = 0; i < COUNT(option_order); i++) {
        const conf_option_t *option =
            conf_option_find(option_order[i], strlen(option_order[i]));
        if (option != NULL && report_has_option(option)) {
            print_option_value(emit, option);
            text_note(emit, option);
        }
    }
    emit_json_close(emit, '}');
}

static void print_fact(emit_t *emit, const char *key, const char *title,
    emit_type_t type, const void *value)
{
    emit_json_value(emit, key, type, value);
    if (title != NULL) {
        emit_text_value(emit, title, type, value);
        emit_text(emit, "\n");
    }
}

static void json_shapes(emit_t *emit)
{
    static const field_t fields[] = {FIELD(U32, "size", sizeclass_slab_t,
        region_bytes) FIELD(U32, "nregs", sizeclass_slab_t, regions)
            FIELD(U32, "slab_size", sizeclass_slab_t, slab_bytes)
                FIELD(U32, "nshards", sizeclass_slab_t, shards)};
    emit_json_open(emit, "bin", '[');
    for (unsigned i = 0; i < SC_SMALL_COUNT; i++) {
        emit_json_open(emit, NULL, '{');
        json_fields(emit, fields, COUNT(fields), &sizeclass_slabs[i]);
        emit_json_close(emit, '}');
    }
    emit_json_close(emit, ']');
}

static void json_large_sizes(emit_t *emit)
{
    emit_json_open(emit, "lextent", '[');
    for (unsigned i = 0; i < LARGE_CLASS_COUNT; i++) {
        size_t size = sizeclass_size(SC_SMALL_COUNT + i);
        emit_json_open(emit, NULL, '{');
        emit_json_value(emit, "size", EMIT_SIZE, &size);
        emit_json_close(emit, '}');
    }
    emit_json_close(emit, ']');
}

static void print_arena_facts(emit_t *emit)
{
    const unsigned narenas = arena_table_narenas();
    const ssize_t dirty_ms = arena_table_decay_default(PAGE_SET_DIRTY);
    const ssize_t muzzy_ms = arena_table_decay_default(PAGE_SET_MUZZY);
    const size_t quantum = QUANTUM;
    const size_t page = PAGE;
    const size_t hugepage = HUGEPAGE;
    const unsigned nhbins = tcache_max_class();
    const size_t tcache_max = sizeclass_size(nhbins - 1);
    const unsigned nbins = SC_SMALL_COUNT;
    const unsigned nlextents = LARGE_CLASS_COUNT;
    emit_json_open(emit, "arenas", '{');
    print_fact(emit, "narenas", "Arenas", EMIT_UNSIGNED, &narenas);
    print_fact(emit, "dirty_decay_ms", NULL, EMIT_SSIZE, &dirty_ms);
    print_fact(emit, "muzzy_decay_ms", NULL, EMIT_SSIZE, &muzzy_ms);
    print_fact(emit, "quantum", "Quantum size", EMIT_SIZE, &quantum);
    print_fact(emit, "page", "Page size", EMIT_SIZE, &page);
    print_fact(emit, "hugepage", "Hugepage size", EMIT_SIZE, &hugepage);
    print_fact(emit, "tcache_max", "Maximum thread-cached size class",
        EMIT_SIZE, &tcache_max);
    print_fact(
        emit, "nbins", "Number of bin size classes", EMIT_UNSIGNED, &nbins);
    print_fact(emit, "nhbins", "Number of thread-cache bin size classes",
        EMIT_UNSIGNED, &nhbins);
    json_shapes(emit);
    print_fact(emit, "nlextents", "Number of large size classes", EMIT_UNSIGNED,
        &nlextents);
    json_large_sizes(emit);
    emit_json_close(emit, '}');
}

static void print_general(emit_t *emit)
{
    const char *version = CONFIG_VERSION;
    print_fact(emit, "version", "Version", EMIT_TEXT, &version);
    print_config(emit);
    print_system(emit);
    print_options(emit);
    print_arena_facts(emit);
}

/* ---- totals ---- */

static void print_totals(
    emit_t *emit, const report_opts_t *opts, const snapshot_t *now)
{
    static const field_t fields[] = {
#define STATS_TOTAL(kind, name) FIELD(kind, #name, snapshot_total_t, name)
#include "stats/fields.def"
    };
    const snapshot_total_t *total = &now->total;
    size_t zero_reallocs = atomic_get_relaxed(&stats_zero_reallocs);
    emit_json_open(emit, "stats", '{');
    json_fields(emit, fields, COUNT(fields), total);
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

static const field_t sum_fields[] = {
#define STATS_SUM(kind, name) FIELD(kind, #name, snapshot_sum_t, name)
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
        json_fields(emit, sum_fields, COUNT(sum_fields), sum);
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
    static const field_t fields[] = {
#define STATS_MEMORY(kind, name, merge)                                        \
    FIELD(kind, #name, snapshot_arena_t, name)
#include "stats/fields.def"
    };
    json_fields(emit, fields, COUNT(fields), arena);
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
    static const field_t fields[] = {
#define STATS_BIN(kind, name) FIELD(kind, #name, snapshot_bin_t, name)
#include "stats/fields.def"
    };
    emit_json_open(emit, NULL, '{');
    for (size_t i = 0; i < COUNT(fields); i++) {
        if (fields[i].offset != offsetof(snapshot_bin_t, nslabs)) {
            json_fields(emit, &fields[i], 1, bin);
        }
    }
    if (!opts->no_mutexes) {
        emit_json_open(emit, "mutex", '{');
        json_fields(emit, mutex_fields, COUNT(mutex_fields), &bin->mutex);
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
    static const field_t fields[] = {
#define STATS_EXTENT(kind, name) FIELD(kind, #name, snapshot_extent_t, name)
#include "stats/fields.def"
    };
    emit_json_open(emit, NULL, '{');
    json_fields(emit, fields, COUNT(fields), extent);
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
    static const field_t fields[] = {
#define STATS_ARENA(kind, name, key, merge)                                    \
    FIELD(kind, #key, snapshot_arena_t, name)
#include "stats/fields.def"
    };
    emit_json_open(emit, key, '{');
    if (arena->arena != NULL) {
        const char *name = arena->name;
        print_fact(emit, "name", "name", EMIT_TEXT, &name);
    }
    json_fields(emit, fields, COUNT(fields), arena);
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
        print_general(emit);
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
