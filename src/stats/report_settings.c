/*
 * What: see report_settings.h.
 *
 * Invariants: as there.
 *
 * Locking: as there.
 */
#include "stats/report_settings.h"

#include <string.h>

#include "arena/arena_table.h"
#include "cache/tcache.h"
#include "conf/conf_boot.h"
#include "os/os.h"
#include "stats/snapshot.h"
#include "util/format.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- build and system ---- */

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
#define STATS_CONFIG(kind, name, fact, help)                                   \
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

/* ---- options ---- */

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
    "profile",
    "stats_signal",
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

bool report_settings_has(const conf_option_t *option)
{
    for (size_t i = 0; i < COUNT(gates); i++) {
        size_t len = strlen(gates[i].prefix);
        if (strncmp(option->name, gates[i].prefix, len) == 0) {
            return gates[i].exists;
        }
    }
    return option->has_mallctl;
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
        [CONF_TYPE_SIGNAL] = EMIT_TEXT,
    };
    char buf[32];
    const char *text = NULL;
    unsigned narenas = arena_table_narenas_auto();
    const void *value = option->field;
    if (types[option->type] == EMIT_TEXT) {
        text = conf_option_text(option, buf, sizeof(buf));
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
        if (option != NULL && report_settings_has(option)) {
            print_option_value(emit, option);
            text_note(emit, option);
        }
    }
    emit_json_close(emit, '}');
}

/* ---- arenas ---- */

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
    static const emit_field_t fields[] = {
        EMIT_FIELD(U32, "size", sizeclass_slab_t, region_bytes)
            EMIT_FIELD(U32, "nregs", sizeclass_slab_t, regions)
                EMIT_FIELD(U32, "slab_size", sizeclass_slab_t, slab_bytes)
                    EMIT_FIELD(U32, "nshards", sizeclass_slab_t, shards)};
    emit_json_open(emit, "bin", '[');
    for (unsigned i = 0; i < SC_SMALL_COUNT; i++) {
        emit_json_open(emit, NULL, '{');
        emit_json_fields(emit, fields, COUNT(fields), &sizeclass_slabs[i]);
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

void report_settings_print(emit_t *emit)
{
    const char *version = CONFIG_VERSION;
    print_fact(emit, "version", "Version", EMIT_TEXT, &version);
    print_config(emit);
    print_system(emit);
    print_options(emit);
    print_arena_facts(emit);
}
