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
#include "arena/background.h"
#include "cache/tcache.h"
#include "conf/conf_boot.h"
#include "os/os.h"
#include "prof/prof.h"
#include "prof/prof_rate.h"
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

/*
 * Options in the order that readers of the report know, then those that they
 * do not know.
 */
static const uint8_t option_order[] = {
    CONF_KEY_abort,
    CONF_KEY_abort_conf,
    CONF_KEY_cache_oblivious,
    CONF_KEY_confirm_conf,
    CONF_KEY_experimental_hpa_start_huge_if_thp_always,
    CONF_KEY_experimental_hpa_enforce_hugify,
    CONF_KEY_retain,
    CONF_KEY_dss,
    CONF_KEY_narenas,
    CONF_KEY_percpu_arena,
    CONF_KEY_oversize_threshold,
    CONF_KEY_hpa,
    CONF_KEY_hpa_slab_max_alloc,
    CONF_KEY_hpa_hugification_threshold,
    CONF_KEY_hpa_hugify_delay_ms,
    CONF_KEY_hpa_hugify_sync,
    CONF_KEY_hpa_min_purge_interval_ms,
    CONF_KEY_experimental_hpa_max_purge_nhp,
    CONF_KEY_hpa_dirty_mult,
    CONF_KEY_hpa_purge_threshold,
    CONF_KEY_hpa_min_purge_delay_ms,
    CONF_KEY_hpa_hugify_style,
    CONF_KEY_hpa_sec_nshards,
    CONF_KEY_hpa_sec_max_alloc,
    CONF_KEY_hpa_sec_max_bytes,
    CONF_KEY_huge_arena_pac_thp,
    CONF_KEY_metadata_thp,
    CONF_KEY_mutex_max_spin,
    CONF_KEY_background_thread,
    CONF_KEY_dirty_decay_ms,
    CONF_KEY_muzzy_decay_ms,
    CONF_KEY_lg_extent_max_active_fit,
    CONF_KEY_junk,
    CONF_KEY_zero,
    CONF_KEY_utrace,
    CONF_KEY_xmalloc,
    CONF_KEY_experimental_infallible_new,
    CONF_KEY_experimental_tcache_gc,
    CONF_KEY_tcache,
    CONF_KEY_tcache_max,
    CONF_KEY_tcache_nslots_small_min,
    CONF_KEY_tcache_nslots_small_max,
    CONF_KEY_tcache_nslots_large,
    CONF_KEY_lg_tcache_nslots_mul,
    CONF_KEY_tcache_gc_incr_bytes,
    CONF_KEY_tcache_gc_delay_bytes,
    CONF_KEY_lg_tcache_flush_small_div,
    CONF_KEY_lg_tcache_flush_large_div,
    CONF_KEY_debug_double_free_max_scan,
    CONF_KEY_thp,
    CONF_KEY_prof,
    CONF_KEY_prof_bt_max,
    CONF_KEY_prof_prefix,
    CONF_KEY_prof_active,
    CONF_KEY_prof_thread_active_init,
    CONF_KEY_lg_prof_sample,
    CONF_KEY_prof_accum,
    CONF_KEY_lg_prof_interval,
    CONF_KEY_prof_gdump,
    CONF_KEY_prof_final,
    CONF_KEY_prof_leak,
    CONF_KEY_prof_leak_error,
    CONF_KEY_stats_print,
    CONF_KEY_stats_print_opts,
    CONF_KEY_stats_interval,
    CONF_KEY_stats_interval_opts,
    CONF_KEY_zero_realloc,
    CONF_KEY_process_madvise_max_batch,
    CONF_KEY_disable_large_size_classes,
    CONF_KEY_profile,
    CONF_KEY_stats_signal,
    CONF_KEY_prof_dump_format,
    CONF_KEY_prof_keep,
    CONF_KEY_prof_leak_suppressions,
    CONF_KEY_hardened,
    CONF_KEY_canary,
    CONF_KEY_zero_on_free,
    CONF_KEY_quarantine_small,
    CONF_KEY_quarantine_large,
    CONF_KEY_guard_zero_size,
    CONF_KEY_randomize,
    CONF_KEY_check_at_exit,
    CONF_KEY_conf_readonly,
    CONF_KEY_report_only,
    CONF_KEY_guard_sample,
};

/* Controls that the report does not show. */
enum {
    UNREPORTED_trust_madvise,
    UNREPORTED_max_background_threads,
    UNREPORTED_prof_pid_namespace,
    UNREPORTED_prof_recent_alloc_max,
    UNREPORTED_prof_stats,
    UNREPORTED_prof_sys_thread_name,
    UNREPORTED_prof_time_resolution,
    UNREPORTED_lg_san_uaf_align,
    UNREPORTED_COUNT
};

#define ADD_CONTROL(kind, name, value, min, max, rule, status, ctl, ...)       \
    +((ctl) ? 1 : 0)
#define OPTION ADD_CONTROL
enum {
    CONTROL_COUNT = 0
#include "conf/options.def"
};
static_assert(COUNT(option_order) + UNREPORTED_COUNT == CONTROL_COUNT,
    "a row of options.def with a control stands in one of the two lists");

/* Features that this build or platform lacks have no control. */
bool report_settings_has(const conf_option_t *option)
{
    if (option->field == &opt.utrace ||
        option->field == &opt.lg_san_uaf_align) {
        return false;
    }
    if (option->field == &opt.experimental_infallible_new) {
        return CONFIG_CXX;
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

static void note_bool(emit_t *emit, const char *control, bool now)
{
    emit_text(emit, " (%s: %s)", control, now ? "true" : "false");
}

/* What the setting is now, where the program may change it. */
static void text_note(emit_t *emit, const conf_option_t *option)
{
    const void *field = option->field;
    if (field == &opt.dirty_decay_ms) {
        emit_text(emit, " (arenas.dirty_decay_ms: %zd)",
            arena_table_decay_default(PAGE_SET_DIRTY));
    } else if (field == &opt.muzzy_decay_ms) {
        emit_text(emit, " (arenas.muzzy_decay_ms: %zd)",
            arena_table_decay_default(PAGE_SET_MUZZY));
    } else if (field == &opt.background_thread) {
        note_bool(emit, "background_thread", background_is_on());
    } else if (field == &opt.prof_active) {
        note_bool(emit, "prof.active", prof_is_on() && prof_is_active());
    } else if (field == &opt.prof_thread_active_init) {
        note_bool(emit, "prof.thread_active_init",
            prof_is_on() && prof_thread_active_init());
    } else if (field == &opt.lg_prof_sample) {
        emit_text(
            emit, " (prof.lg_sample: %u)", prof_is_on() ? prof_rate_lg() : 0);
    }
    emit_text(emit, "\n");
}

/* What the profiler does now; all off without prof:true. */
static void print_prof(emit_t *emit)
{
    const bool on = prof_is_on();
    const bool init = on && prof_thread_active_init();
    const bool active = on && prof_is_active();
    const bool gdump = on && prof_gdump();
    const uint64_t interval = prof_interval();
    const unsigned lg = on ? prof_rate_lg() : 0;
    emit_text(emit, "Profiling settings\n");
    emit_json_open(emit, "prof", '{');
    print_setting(emit, "prof", "thread_active_init", EMIT_BOOL, &init);
    emit_text(emit, "\n");
    print_setting(emit, "prof", "active", EMIT_BOOL, &active);
    emit_text(emit, "\n");
    print_setting(emit, "prof", "gdump", EMIT_BOOL, &gdump);
    emit_text(emit, "\n");
    print_setting(emit, "prof", "interval", EMIT_U64, &interval);
    emit_text(emit, "\n");
    print_setting(emit, "prof", "lg_sample", EMIT_UNSIGNED, &lg);
    emit_text(emit, "\n");
    emit_json_close(emit, '}');
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
        const conf_option_t *option = &conf_options[option_order[i]];
        if (report_settings_has(option)) {
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
    print_prof(emit);
    print_arena_facts(emit);
}
