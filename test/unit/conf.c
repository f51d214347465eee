/*
 * What: the options: every key set, read back, at the ends of its range and
 * beyond; every message to the letter; sources, confirm_conf, abort_conf.
 *
 * Invariants: (I1) expected values are written out here, not taken from
 * options.def; (I2) each test starts from the defaults, with abort_conf off.
 *
 * Locking: none.
 */
#ifndef _GNU_SOURCE
#    define _GNU_SOURCE
#endif
#include "conf/conf_boot.h"

#include <errno.h>
#include <limits.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "conf/conf_value.h"
#include "harness.h"
#include "os/log.h"

static conf_opt_t pristine;
static char said[65536];
static log_message_fn_t variable;

static void hear(void *opaque, const char *text)
{
    (void)opaque;
    strncat(said, text, sizeof(said) - strlen(said) - 1);
}

static void reset(void)
{
    conf_opt_t values = pristine;
    values.abort_conf = false;
    conf_reset_for_test(&values);
    said[0] = '\0';
    variable = hear;
    log_boot(&variable);
}

static void boot(
    const char *a, const char *b, const char *c, const char *d, const char *e)
{
    conf_sources_t sources = {.text = {a, b, c, d, e}};
    EXPECT_EQ_I64(conf_boot(&sources), 0);
}

/* Parses one source from the defaults on. */
static void parse(const char *text)
{
    reset();
    boot("", NULL, NULL, text, NULL);
}

static const char *ranges_text(const conf_ranges_t *ranges)
{
    static char text[4096];
    size_t n = 0;
    text[0] = '\0';
    for (unsigned i = 0; i < ranges->n; i++) {
        const conf_range_t *seg = &ranges->seg[i];
        n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%zu-%zu:%zu",
            i > 0 ? "|" : "", seg->start, seg->end, seg->count);
    }
    return text;
}

/* The present value of an option as text. */
static const char *read_back(const conf_option_t *option)
{
    static char text[64];
    const void *field = option->field;
    switch (option->type) {
    case CONF_TYPE_BOOL:
        return *(const bool *)field ? "true" : "false";
    case CONF_TYPE_SIZE:
        snprintf(text, sizeof(text), "%zu", *(const size_t *)field);
        return text;
    case CONF_TYPE_SSIZE:
        snprintf(text, sizeof(text), "%zd", *(const ssize_t *)field);
        return text;
    case CONF_TYPE_UNSIGNED:
        snprintf(text, sizeof(text), "%u", *(const unsigned *)field);
        return text;
    case CONF_TYPE_U64:
        snprintf(text, sizeof(text), "%llu",
            (unsigned long long)*(const uint64_t *)field);
        return text;
    case CONF_TYPE_I64:
        snprintf(
            text, sizeof(text), "%lld", (long long)*(const int64_t *)field);
        return text;
    case CONF_TYPE_RATIO:
        snprintf(text, sizeof(text), "%u", *(const uint32_t *)field);
        return text;
    case CONF_TYPE_ENUM:
        return conf_option_word(option);
    case CONF_TYPE_SIGNAL:
        snprintf(text, sizeof(text), "%u", *(const unsigned *)field);
        return text;
    case CONF_TYPE_TEXT:
    case CONF_TYPE_LETTERS:
        return *(const char *const *)field;
    case CONF_TYPE_RANGES:
        return ranges_text(field);
    }
    return "(no such type)";
}

static const conf_option_t *find(const char *name)
{
    return conf_option_find(name, strlen(name));
}

/* The ends of ranges: of the classes, of size_t, of decay times. */
#if SIZE_MAX > UINT32_MAX
#    define SIZES_MAX  "8070450532247928832"
#    define SIZES_OVER "0x7000000000000001"
#    define SIZE_T_MAX "18446744073709551615"
#    define DECAY_MAX  "18446744072000"
#    define DECAY_OVER "18446744072001"
#    define RETAIN     "true"
#else
#    define SIZES_MAX  "1879048192"
#    define SIZES_OVER "0x70000001"
#    define SIZE_T_MAX "4294967295"
#    define DECAY_MAX  "2147483647"
#    define DECAY_OVER "2147483648"
#    define RETAIN     "false"
#endif
#define U64_MAX "18446744073709551615"
#define I64_MAX "9223372036854775807"

typedef struct {
    const char *name;
    const char *value;
    const char *ctype;
    char status;
} default_t;

/* NULL as C type: there is no control opt.<name>. */
static const default_t defaults[] = {
    {"abort", CONFIG_DEBUG ? "true" : "false", "bool", 'D'},
    {"abort_conf", CONFIG_DEBUG ? "true" : "false", "bool", 'D'},
    {"confirm_conf", "false", "bool", 'D'},
    {"profile", "none", "const char *", 'D'},
    {"junk", CONFIG_DEBUG ? "true" : "false", "const char *", 'D'},
    {"zero", "false", "bool", 'D'},
    {"xmalloc", "false", "bool", 'D'},
    {"utrace", "false", "bool", 'D'},
    {"zero_realloc", "free", "const char *", 'D'},
    {"experimental_infallible_new", "false", "bool", 'X'},
    {"debug_double_free_max_scan", CONFIG_DEBUG ? "32" : "0", "unsigned", 'D'},
    {"stats_print", "false", "bool", 'D'},
    {"stats_print_opts", "", "const char *", 'D'},
    {"stats_interval", "-1", "int64_t", 'D'},
    {"stats_interval_opts", "", "const char *", 'D'},
    {"stats_signal", "0", "unsigned", 'D'},
    {"log", "", NULL, 'U'},
    {"disable_large_size_classes", "true", "bool", 'D'},
    {"cache_oblivious", CONFIG_CACHE_OBLIVIOUS ? "true" : "false", "bool", 'D'},
    {"narenas", "0", "unsigned", 'D'},
    {"narenas_ratio", "262144", NULL, 'U'},
    {"percpu_arena", "disabled", "const char *", 'D'},
    {"oversize_threshold", "8388608", "size_t", 'D'},
    {"dss", CONFIG_DSS ? "secondary" : "disabled", "const char *", 'D'},
    {"retain", RETAIN, "bool", 'D'},
    {"metadata_thp", "disabled", "const char *", 'D'},
    {"thp", "default", "const char *", 'D'},
    {"huge_arena_pac_thp", "false", "bool", 'U'},
    {"trust_madvise", "false", "bool", 'D'},
    {"lg_extent_max_active_fit", "6", "size_t", 'D'},
    {"process_madvise_max_batch", "0", "size_t", 'D'},
    {"calloc_madvise_threshold", "8388608", NULL, 'U'},
    {"slab_sizes", "", NULL, 'U'},
    {"bin_shards", "", NULL, 'U'},
    {"mutex_max_spin", "600", "int64_t", 'U'},
    {"dirty_decay_ms", "10000", "ssize_t", 'D'},
    {"muzzy_decay_ms", "0", "ssize_t", 'D'},
    {"background_thread", "false", "bool", 'D'},
    {"max_background_threads", "4", "size_t", 'D'},
    {"tcache", "true", "bool", 'D'},
    {"tcache_max", "32768", "size_t", 'D'},
    {"lg_tcache_max", "15", NULL, 'D'},
    {"tcache_ncached_max", "", NULL, 'U'},
    {"lg_tcache_nslots_mul", "1", "ssize_t", 'U'},
    {"tcache_nslots_small_min", "20", "unsigned", 'U'},
    {"tcache_nslots_small_max", "200", "unsigned", 'U'},
    {"tcache_nslots_large", "20", "unsigned", 'U'},
    {"tcache_gc_incr_bytes", "65536", "size_t", 'U'},
    {"tcache_gc_delay_bytes", "0", "size_t", 'U'},
    {"lg_tcache_flush_small_div", "1", "unsigned", 'U'},
    {"lg_tcache_flush_large_div", "1", "unsigned", 'U'},
    {"experimental_tcache_gc", "true", "bool", 'X'},
    {"hpa", "false", "bool", 'X'},
    {"hpa_slab_max_alloc", "65536", "size_t", 'X'},
    {"hpa_hugification_threshold", "1992294", "size_t", 'X'},
    {"hpa_hugification_threshold_ratio", "62259", NULL, 'X'},
    {"hpa_hugify_delay_ms", "10000", "uint64_t", 'X'},
    {"hpa_hugify_sync", "false", "bool", 'X'},
    {"hpa_hugify_style", "lazy", "const char *", 'X'},
    {"hpa_min_purge_interval_ms", "5000", "uint64_t", 'X'},
    {"hpa_min_purge_delay_ms", "0", "uint64_t", 'X'},
    {"hpa_purge_threshold", "4096", "size_t", 'X'},
    {"hpa_purge_threshold_ratio", "128", NULL, 'X'},
    {"hpa_dirty_mult", "16384", "uint32_t", 'X'},
    {"experimental_hpa_max_purge_nhp", "-1", "ssize_t", 'X'},
    {"experimental_hpa_start_huge_if_thp_always", "true", "bool", 'X'},
    {"experimental_hpa_enforce_hugify", "false", "bool", 'X'},
    {"hpa_sec_nshards", "2", "size_t", 'X'},
    {"hpa_sec_max_alloc", "32768", "size_t", 'X'},
    {"hpa_sec_max_bytes", "262144", "size_t", 'X'},
    {"prof", "false", "bool", 'D'},
    {"prof_active", "true", "bool", 'D'},
    {"prof_thread_active_init", "true", "bool", 'D'},
    {"prof_prefix", "jeprof", "const char *", 'D'},
    {"lg_prof_sample", "19", "size_t", 'D'},
    {"prof_bt_max", "128", "unsigned", 'D'},
    {"prof_accum", "false", "bool", 'D'},
    {"lg_prof_interval", "-1", "ssize_t", 'D'},
    {"prof_gdump", "false", "bool", 'D'},
    {"prof_final", "false", "bool", 'D'},
    {"prof_leak", "false", "bool", 'D'},
    {"prof_leak_error", "false", "bool", 'D'},
    {"prof_pid_namespace", "false", "bool", 'D'},
    {"prof_log", "false", NULL, 'U'},
    {"prof_recent_alloc_max", "0", "ssize_t", 'U'},
    {"prof_stats", "false", "bool", 'U'},
    {"prof_sys_thread_name", "false", "bool", 'U'},
    {"prof_time_resolution", "default", "const char *", 'U'},
    {"prof_dump_format", "heap_v2", "const char *", 'D'},
    {"prof_keep", "0", "size_t", 'D'},
    {"prof_leak_suppressions", "", "const char *", 'D'},
    {"prof_unbias", "true", NULL, 'U'},
    {"san_guard_small", "0", NULL, 'U'},
    {"san_guard_large", "0", NULL, 'U'},
    {"guard_sample", "0", "size_t", 'D'},
    {"hardened", "0", "const char *", 'D'},
    {"canary", "false", "bool", 'D'},
    {"zero_on_free", "false", "bool", 'D'},
    {"quarantine_small", "0", "size_t", 'D'},
    {"quarantine_large", "0", "size_t", 'D'},
    {"guard_zero_size", "false", "bool", 'D'},
    {"randomize", "false", "bool", 'D'},
    {"check_at_exit", "true", "bool", 'D'},
    {"conf_readonly", "false", "bool", 'D'},
    {"report_only", "false", "bool", 'D'},
    {"lg_san_uaf_align", "-1", "ssize_t", 'U'},
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

TEST(defaults)
{
    conf_reset_for_test(&pristine);
    EXPECT_EQ_U64(conf_options_count, COUNT(defaults));
    for (size_t i = 0; i < COUNT(defaults); i++) {
        const default_t *d = &defaults[i];
        const conf_option_t *option = find(d->name);
        if (option == NULL) {
            test_note("missing: %s", d->name);
        }
        REQUIRE(option != NULL);
        EXPECT_EQ_STR(option->name, d->name);
        EXPECT_EQ_STR(read_back(option), d->value);
        EXPECT_EQ_U64(option->has_mallctl, d->ctype != NULL);
        EXPECT_EQ_STR(option->mallctl_type, d->ctype);
        EXPECT_EQ_I64(option->status, d->status);
        EXPECT_EQ_U64(option->ignored, option->reason != NULL);
        EXPECT(strlen(option->help) > 10);
    }
    EXPECT_EQ_U64(opt.junk_alloc, CONFIG_DEBUG);
    EXPECT_EQ_U64(opt.junk_free, CONFIG_DEBUG);
}

TEST(find_exact_names_only)
{
    EXPECT_EQ_PTR(find("narenas")->field, &opt.narenas);
    EXPECT_EQ_PTR(conf_option_find("narenas_ratio", 7), find("narenas"));
    EXPECT_EQ_PTR(find("narena"), NULL);
    EXPECT_EQ_PTR(find("narenas_"), NULL);
    EXPECT_EQ_PTR(find("NARENAS"), NULL);
    EXPECT_EQ_PTR(find(""), NULL);
}

TEST(no_source_changes_nothing)
{
    conf_reset_for_test(&pristine);
    said[0] = '\0';
    boot(NULL, NULL, NULL, NULL, NULL);
    EXPECT_EQ_I64(memcmp(&opt, &pristine, sizeof(pristine)), 0);
    boot("", "", "", "", "");
    EXPECT_EQ_I64(memcmp(&opt, &pristine, sizeof(pristine)), 0);
    EXPECT_EQ_STR(said, "");
}

typedef struct {
    const char *pair;
    /* What the option reads afterwards; NULL: as before. */
    const char *reads;
    /* 0 accepted, 'I' invalid, 'O' out of range, 'R' bad ranges. */
    char verdict;
} setting_t;

#define BOOLEAN(name)                                                          \
    {name ":true", "true", 0}, {name ":false", "false", 0},                    \
        {name ":", NULL, 'I'}, {name ":True", NULL, 'I'},                      \
        {name ":1", NULL, 'I'}, {name ":true ", NULL, 'I'},                    \
    {                                                                          \
        name ":tru", NULL, 'I'                                                 \
    }

/* A number without an upper or lower limit of its own. */
#define NOT_A_NUMBER(name)                                                     \
    {name ":", NULL, 'I'}, {name ":x", NULL, 'I'}, {name ":1k", NULL, 'I'},    \
        {name ":08", NULL, 'I'}, {name ":7 ", NULL, 'I'},                      \
        {name ":18446744073709551616", NULL, 'I'},                             \
    {                                                                          \
        name ":1.5", NULL, 'I'                                                 \
    }

#define NOT_A_WORD(name, shortened)                                            \
    {name ":", NULL, 'I'}, {name ":nonsense", NULL, 'I'},                      \
    {                                                                          \
        name ":" shortened, NULL, 'I'                                          \
    }

#define NOT_A_RATIO(name)                                                      \
    {name ":", NULL, 'I'}, {name ":.", NULL, 'I'}, {name ":+1", NULL, 'I'},    \
        {name ":-2", NULL, 'I'}, {name ":1e3", NULL, 'I'},                     \
        {name ":65536", NULL, 'I'},                                            \
    {                                                                          \
        name ":1 ", NULL, 'I'                                                  \
    }

#define NOT_RANGES(name)                                                       \
    {name ":", NULL, 'R'}, {name ":8", NULL, 'R'}, {name ":8-16", NULL, 'R'},  \
        {name ":8-16:", NULL, 'R'}, {name ":8-16:x", NULL, 'R'},               \
        {name ":16-8:4", NULL, 'R'}, {name ":-8:4", NULL, 'R'},                \
        {name ":|8-16:4", NULL, 'R'}, {name ":8-16:4||", "8-16:4", 'R'},       \
        {name ":8-16:4|x", "8-16:4", 'R'},                                     \
    {                                                                          \
        name ":8-16:4 ", NULL, 'R'                                             \
    }

/* The first signal that the C library leaves to programs. */
#ifdef __GLIBC__
#    define RTMIN_IS(glibc, other) glibc
#else
#    define RTMIN_IS(glibc, other) other
#endif

static const setting_t settings[] = {
    BOOLEAN("abort"),
    BOOLEAN("abort_conf"),
    BOOLEAN("confirm_conf"),
    {"profile:none", "none", 0},
    {"profile:low-memory", "low-memory", 0},
    {"profile:latency", "latency", 0},
    {"profile:container", "container", 0},
    {"profile:debug", "debug", 0},
    {"profile:hardened", "hardened", 0},
    NOT_A_WORD("profile", "low"),
    {"junk:true", "true", 0},
    {"junk:false", "false", 0},
    {"junk:alloc", "alloc", 0},
    {"junk:free", "free", 0},
    NOT_A_WORD("junk", "fre"),
    BOOLEAN("zero"),
    BOOLEAN("xmalloc"),
    BOOLEAN("utrace"),
    {"zero_realloc:alloc", "alloc", 0},
    {"zero_realloc:free", "free", 0},
    {"zero_realloc:abort", "abort", 0},
    NOT_A_WORD("zero_realloc", "a"),
    BOOLEAN("experimental_infallible_new"),
    {"debug_double_free_max_scan:5", CONFIG_DEBUG ? "5" : "0", 0},
    {"debug_double_free_max_scan:0", "0", 0},
    {"debug_double_free_max_scan:-1", CONFIG_DEBUG ? "4294967295" : "0", 0},
    NOT_A_NUMBER("debug_double_free_max_scan"),
    BOOLEAN("stats_print"),
    {"stats_print_opts:Jgmdablxehr", "Jgmdablxehr", 0},
    {"stats_print_opts:zaa!mJa", "amJ", 0},
    {"stats_print_opts:", "", 0},
    {"stats_interval:0", "0", 0},
    {"stats_interval:-1", "-1", 0},
    {"stats_interval:" I64_MAX, I64_MAX, 0},
    {"stats_interval:9223372036854775808", NULL, 'O'},
    {"stats_interval:-2", NULL, 'O'},
    NOT_A_NUMBER("stats_interval"),
    {"stats_interval_opts:ax", "ax", 0},
    {"stats_signal:USR1", "10", 0},
    {"stats_signal:SIGUSR2", "12", 0},
    {"stats_signal:HUP", "1", 0}, /* the first that has a name */
    {"stats_signal:IO", "29", 0}, /* the last */
    {"stats_signal:10", "10", 0},
    {"stats_signal:RTMIN", RTMIN_IS("34", "35"), 0},
    {"stats_signal:SIGRTMIN+3", RTMIN_IS("37", "38"), 0},
    {"stats_signal:RTMAX-0", "64", 0},
    {"stats_signal:RTMAX-29", "35", 0},
    {"stats_signal:64", "64", 0},
    {"stats_signal:none", "0", 0},
    {"stats_signal:0", NULL, 'I'},
    {"stats_signal:33", NULL, 'I'},
    {"stats_signal:65", NULL, 'I'},
    {"stats_signal:KILL", NULL, 'I'},
    {"stats_signal:9", NULL, 'I'},
    {"stats_signal:SIGSEGV", NULL, 'I'},
    {"stats_signal:usr1", NULL, 'I'},
    {"stats_signal:SIG", NULL, 'I'},
    {"stats_signal:RTMIN-1", NULL, 'I'},
    {"stats_signal:RTMIN+", NULL, 'I'},
    {"stats_signal:RTMIN+31", NULL, 'I'},
    {"stats_signal:RTMAX+1", NULL, 'I'},
    {"stats_signal:RTMIN3", NULL, 'I'},
    NOT_A_NUMBER("stats_signal"),
    {"log:core|arena", "core|arena", 0},
    BOOLEAN("disable_large_size_classes"),
    BOOLEAN("cache_oblivious"),
    {"narenas:1", "1", 0},
    {"narenas:010", "8", 0},
    {"narenas:0x10", "16", 0},
    {"narenas: 4", "4", 0},
    {"narenas:+4", "4", 0},
    {"narenas:default", "0", 0},
    {"narenas:4294967299", "3", 0},
    {"narenas:4294967296", "0", 0},
    {"narenas:-1", "4294967295", 0},
    {"narenas:0", NULL, 'O'},
    {"narenas:defaul", NULL, 'I'},
    NOT_A_NUMBER("narenas"),
    {"narenas_ratio:4", "262144", 0},
    {"narenas_ratio:1.5", "98304", 0},
    {"narenas_ratio:.5", "32768", 0},
    {"narenas_ratio:2.", "131072", 0},
    {"narenas_ratio:0.00001", "0", 0},
    {"narenas_ratio:0.9999999999999999999999999", "65535", 0},
    {"narenas_ratio:65535.99999", "4294967295", 0},
    NOT_A_RATIO("narenas_ratio"),
    {"percpu_arena:percpu", "percpu", 0},
    {"percpu_arena:phycpu", "phycpu", 0},
    {"percpu_arena:disabled", "disabled", 0},
    NOT_A_WORD("percpu_arena", "p"),
    {"oversize_threshold:16384", "16384", 0},
    {"oversize_threshold:16383", "0", 0},
    {"oversize_threshold:0", "0", 0},
    {"oversize_threshold:" SIZES_MAX, SIZES_MAX, 0},
    {"oversize_threshold:" SIZES_OVER, NULL, 'O'},
    {"oversize_threshold:-1", NULL, 'O'},
    NOT_A_NUMBER("oversize_threshold"),
    {"dss:disabled", "disabled", 0},
    NOT_A_WORD("dss", "s"),
    BOOLEAN("retain"),
    {"metadata_thp:disabled", "disabled", 0},
    {"metadata_thp:auto", "auto", 0},
    {"metadata_thp:always", "always", 0},
    NOT_A_WORD("metadata_thp", "a"),
    {"thp:default", "default", 0},
    {"thp:always", "always", 0},
    {"thp:never", "never", 0},
    {"thp:not supported", NULL, 'I'},
    NOT_A_WORD("thp", "n"),
    BOOLEAN("huge_arena_pac_thp"),
    BOOLEAN("trust_madvise"),
    {"lg_extent_max_active_fit:0", "0", 0},
    {"lg_extent_max_active_fit:64", "64", 0},
    {"lg_extent_max_active_fit:65", NULL, 'O'},
    {"lg_extent_max_active_fit:-1", NULL, 'O'},
    NOT_A_NUMBER("lg_extent_max_active_fit"),
    {"process_madvise_max_batch:0", "0", 0},
    {"process_madvise_max_batch:128", "128", 0},
    {"process_madvise_max_batch:129", "128", 0},
    {"process_madvise_max_batch:-1", "128", 0},
    NOT_A_NUMBER("process_madvise_max_batch"),
    {"calloc_madvise_threshold:0", "0", 0},
    {"calloc_madvise_threshold:" SIZES_MAX, SIZES_MAX, 0},
    {"calloc_madvise_threshold:" SIZES_OVER, NULL, 'O'},
    NOT_A_NUMBER("calloc_madvise_threshold"),
    {"slab_sizes:8-16:4", "8-16:4", 0},
    {"slab_sizes:0x10-020:0x4|", "16-16:4", 0},
    {"slab_sizes:1-20000:2", "1-14336:2", 0},
    {"slab_sizes:14337-20000:2", "", 0},
    {"slab_sizes:8-8:0", "8-8:1", 0},
    {"slab_sizes:default", "", 0},
    NOT_RANGES("slab_sizes"),
    {"bin_shards:8-16:1|17-32:64", "8-16:1|17-32:64", 0},
    {"bin_shards:8-8:65", NULL, 'R'},
    {"bin_shards:8-8:0", NULL, 'R'},
    {"bin_shards:8-8:2|9-9:65|16-16:4", "8-8:2", 'R'},
    {"bin_shards:14337-14400:4", "", 0},
    {"bin_shards:14336-99999:4", "14336-14336:4", 0},
    {"bin_shards:default", NULL, 'R'},
    NOT_RANGES("bin_shards"),
    {"mutex_max_spin:-1", "-1", 0},
    {"mutex_max_spin:0", "0", 0},
    {"mutex_max_spin:" I64_MAX, I64_MAX, 0},
    {"mutex_max_spin:-2", NULL, 'O'},
    NOT_A_NUMBER("mutex_max_spin"),
    {"dirty_decay_ms:-1", "-1", 0},
    {"dirty_decay_ms:0", "0", 0},
    {"dirty_decay_ms:" DECAY_MAX, DECAY_MAX, 0},
    {"dirty_decay_ms:" DECAY_OVER, NULL, 'O'},
    {"dirty_decay_ms:-2", NULL, 'O'},
    {"dirty_decay_ms:" U64_MAX, NULL, 'O'},
    {"dirty_decay_ms:-" U64_MAX, NULL, 'O'},
    NOT_A_NUMBER("dirty_decay_ms"),
    {"muzzy_decay_ms:-1", "-1", 0},
    {"muzzy_decay_ms:" DECAY_MAX, DECAY_MAX, 0},
    {"muzzy_decay_ms:" DECAY_OVER, NULL, 'O'},
    {"muzzy_decay_ms:-2", NULL, 'O'},
    NOT_A_NUMBER("muzzy_decay_ms"),
    BOOLEAN("background_thread"),
    {"max_background_threads:1", "1", 0},
    {"max_background_threads:0", "1", 0},
    {"max_background_threads:4095", "4095", 0},
    {"max_background_threads:4096", "4", 0},
    {"max_background_threads:-1", "4", 0},
    NOT_A_NUMBER("max_background_threads"),
    BOOLEAN("tcache"),
    {"tcache_max:0", "0", 0},
    {"tcache_max:5000", "5000", 0},
    {"tcache_max:32769", "32768", 0},
    {"tcache_max:-1", "32768", 0},
    NOT_A_NUMBER("tcache_max"),
    {"lg_tcache_max:0", "0", 0},
    {"lg_tcache_max:12", "12", 0},
    {"lg_tcache_max:16", "15", 0},
    NOT_A_NUMBER("lg_tcache_max"),
    {"tcache_ncached_max:8-16:0|4096-8192:100", "8-16:0|4096-8192:100", 0},
    {"tcache_ncached_max:8-16:8191", "8-16:8191", 0},
    {"tcache_ncached_max:8-16:8192", "8-16:8191", 0},
    {"tcache_ncached_max:8-99999:5", "8-32768:5", 0},
    {"tcache_ncached_max:32769-99999:5", "", 0},
    NOT_RANGES("tcache_ncached_max"),
    {"lg_tcache_nslots_mul:-16", "-16", 0},
    {"lg_tcache_nslots_mul:16", "16", 0},
    {"lg_tcache_nslots_mul:-17", NULL, 'O'},
    {"lg_tcache_nslots_mul:17", NULL, 'O'},
    NOT_A_NUMBER("lg_tcache_nslots_mul"),
    {"tcache_nslots_small_min:1", "1", 0},
    {"tcache_nslots_small_min:0", "1", 0},
    {"tcache_nslots_small_min:2048", "2048", 0},
    {"tcache_nslots_small_min:2049", "2048", 0},
    {"tcache_nslots_small_min:-1", "2048", 0},
    NOT_A_NUMBER("tcache_nslots_small_min"),
    {"tcache_nslots_small_max:0", "1", 0},
    {"tcache_nslots_small_max:99", "99", 0},
    {"tcache_nslots_small_max:2049", "2048", 0},
    NOT_A_NUMBER("tcache_nslots_small_max"),
    {"tcache_nslots_large:0", "1", 0},
    {"tcache_nslots_large:7", "7", 0},
    {"tcache_nslots_large:2049", "2048", 0},
    NOT_A_NUMBER("tcache_nslots_large"),
    {"tcache_gc_incr_bytes:1023", "1024", 0},
    {"tcache_gc_incr_bytes:1025", "1025", 0},
    {"tcache_gc_incr_bytes:-1", SIZE_T_MAX, 0},
    NOT_A_NUMBER("tcache_gc_incr_bytes"),
    {"tcache_gc_delay_bytes:77", "77", 0},
    {"tcache_gc_delay_bytes:-1", SIZE_T_MAX, 0},
    NOT_A_NUMBER("tcache_gc_delay_bytes"),
    {"lg_tcache_flush_small_div:0", "1", 0},
    {"lg_tcache_flush_small_div:16", "16", 0},
    {"lg_tcache_flush_small_div:17", "16", 0},
    NOT_A_NUMBER("lg_tcache_flush_small_div"),
    {"lg_tcache_flush_large_div:0", "1", 0},
    {"lg_tcache_flush_large_div:16", "16", 0},
    {"lg_tcache_flush_large_div:17", "16", 0},
    NOT_A_NUMBER("lg_tcache_flush_large_div"),
    BOOLEAN("experimental_tcache_gc"),
    BOOLEAN("hpa"),
    {"hpa_slab_max_alloc:4095", "4096", 0},
    {"hpa_slab_max_alloc:8192", "8192", 0},
    {"hpa_slab_max_alloc:2097153", "2097152", 0},
    NOT_A_NUMBER("hpa_slab_max_alloc"),
    {"hpa_hugification_threshold:1", "4096", 0},
    {"hpa_hugification_threshold:2097153", "2097152", 0},
    NOT_A_NUMBER("hpa_hugification_threshold"),
    {"hpa_hugification_threshold_ratio:1", "65536", 0},
    {"hpa_hugification_threshold_ratio:0.25", "16384", 0},
    {"hpa_hugification_threshold_ratio:1.1", NULL, 'O'},
    NOT_A_RATIO("hpa_hugification_threshold_ratio"),
    {"hpa_hugify_delay_ms:0", "0", 0},
    {"hpa_hugify_delay_ms:-1", U64_MAX, 0},
    NOT_A_NUMBER("hpa_hugify_delay_ms"),
    BOOLEAN("hpa_hugify_sync"),
    {"hpa_hugify_style:auto", "auto", 0},
    {"hpa_hugify_style:none", "none", 0},
    {"hpa_hugify_style:eager", "eager", 0},
    {"hpa_hugify_style:lazy", "lazy", 0},
    NOT_A_WORD("hpa_hugify_style", "e"),
    {"hpa_min_purge_interval_ms:1", "1", 0},
    NOT_A_NUMBER("hpa_min_purge_interval_ms"),
    {"hpa_min_purge_delay_ms:1", "1", 0},
    NOT_A_NUMBER("hpa_min_purge_delay_ms"),
    {"hpa_purge_threshold:1", "4096", 0},
    {"hpa_purge_threshold:2097153", "2097152", 0},
    NOT_A_NUMBER("hpa_purge_threshold"),
    {"hpa_purge_threshold_ratio:1.0", "65536", 0},
    {"hpa_purge_threshold_ratio:2", NULL, 'O'},
    NOT_A_RATIO("hpa_purge_threshold_ratio"),
    {"hpa_dirty_mult:-1", "4294967295", 0},
    {"hpa_dirty_mult:0.5", "32768", 0},
    NOT_A_RATIO("hpa_dirty_mult"),
    {"experimental_hpa_max_purge_nhp:-1", "-1", 0},
    {"experimental_hpa_max_purge_nhp:5", "5", 0},
    {"experimental_hpa_max_purge_nhp:-2", NULL, 'O'},
    NOT_A_NUMBER("experimental_hpa_max_purge_nhp"),
    BOOLEAN("experimental_hpa_start_huge_if_thp_always"),
    BOOLEAN("experimental_hpa_enforce_hugify"),
    {"hpa_sec_nshards:0", "0", 0},
    NOT_A_NUMBER("hpa_sec_nshards"),
    {"hpa_sec_max_alloc:1", "4096", 0},
    {"hpa_sec_max_alloc:32769", "32768", 0},
    NOT_A_NUMBER("hpa_sec_max_alloc"),
    {"hpa_sec_max_bytes:1", "262144", 0},
    {"hpa_sec_max_bytes:262145", "262145", 0},
    NOT_A_NUMBER("hpa_sec_max_bytes"),
    BOOLEAN("prof"),
    BOOLEAN("prof_active"),
    BOOLEAN("prof_thread_active_init"),
    {"prof_prefix:/tmp/a:b c", "/tmp/a:b c", 0},
    {"prof_prefix:", "", 0},
    {"lg_prof_sample:0", "0", 0},
    {"lg_prof_sample:64", "63", 0},
    {"lg_prof_sample:-1", "63", 0},
    NOT_A_NUMBER("lg_prof_sample"),
    {"prof_bt_max:0", "1", 0},
    {"prof_bt_max:256", "256", 0},
    NOT_A_NUMBER("prof_bt_max"),
    BOOLEAN("prof_accum"),
    {"lg_prof_interval:-1", "-1", 0},
    {"lg_prof_interval:63", "63", 0},
    {"lg_prof_interval:64", NULL, 'O'},
    {"lg_prof_interval:-2", NULL, 'O'},
    NOT_A_NUMBER("lg_prof_interval"),
    BOOLEAN("prof_gdump"),
    BOOLEAN("prof_final"),
    BOOLEAN("prof_leak"),
    {"prof_leak_error:false", "false", 0}, /* true: leak_options */
    {"prof_leak_error:1", NULL, 'I'},
    BOOLEAN("prof_pid_namespace"),
    BOOLEAN("prof_log"),
    {"prof_recent_alloc_max:-1", "-1", 0},
    {"prof_recent_alloc_max:9", "9", 0},
    {"prof_recent_alloc_max:-2", NULL, 'O'},
    NOT_A_NUMBER("prof_recent_alloc_max"),
    BOOLEAN("prof_stats"),
    BOOLEAN("prof_sys_thread_name"),
    {"prof_time_resolution:high", "high", 0},
    {"prof_time_resolution:default", "default", 0},
    NOT_A_WORD("prof_time_resolution", "hig"),
    {"prof_dump_format:pprof", "pprof", 0},
    {"prof_dump_format:heap", "heap", 0},
    {"prof_dump_format:heap_v2", "heap_v2", 0},
    NOT_A_WORD("prof_dump_format", "proto"),
    {"prof_keep:7", "7", 0},
    NOT_A_NUMBER("prof_keep"),
    {"prof_leak_suppressions:/tmp/a b", "/tmp/a b", 0},
    BOOLEAN("prof_unbias"),
    {"san_guard_small:3", "3", 0},
    NOT_A_NUMBER("san_guard_small"),
    {"san_guard_large:-1", SIZE_T_MAX, 0},
    NOT_A_NUMBER("san_guard_large"),
    {"hardened:0", "0", 0},
    {"guard_sample:0", "0", 0},
    {"guard_sample:5000", "5000", 0},
    {"guard_sample:1073741825", "1073741824", 0},
    NOT_A_NUMBER("guard_sample"),
    {"hardened:1", "1", 0},
    {"hardened:2", "2", 0},
    NOT_A_WORD("hardened", "3"),
    BOOLEAN("canary"),
    BOOLEAN("zero_on_free"),
    {"quarantine_small:65536", "65536", 0},
    {"quarantine_small:2000000", "1048576", 0},
    NOT_A_NUMBER("quarantine_small"),
    {"quarantine_large:0", "0", 0},
    {"quarantine_large:65536", "65536", 0},
    NOT_A_NUMBER("quarantine_large"),
    BOOLEAN("guard_zero_size"),
    BOOLEAN("randomize"),
    BOOLEAN("check_at_exit"),
    BOOLEAN("conf_readonly"),
    BOOLEAN("report_only"),
    {"lg_san_uaf_align:-1", "-1", 0},
    {"lg_san_uaf_align:-5", "-1", 0},
    {"lg_san_uaf_align:0", "12", 0},
    {"lg_san_uaf_align:11", "12", 0},
    {"lg_san_uaf_align:13", "13", 0},
    {"lg_san_uaf_align:64", "63", 0},
    {"lg_san_uaf_align:" U64_MAX, "63", 0},
    NOT_A_NUMBER("lg_san_uaf_align"),
};

/* The line that follows those about bad values. */
static const char *takes_line(const conf_option_t *option)
{
    static char text[512];
    snprintf(text, sizeof(text), "<jemalloc>: option %s takes ", option->name);
    const char *at = strstr(said, text);
    const char *end = at == NULL ? NULL : strchr(at, '\n');
    snprintf(text, sizeof(text), "%.*s", end == NULL ? 0 : (int)(end + 1 - at),
        end == NULL ? "" : at);
    return text;
}

/* What must be printed for the setting. */
static const char *expected_words(
    const setting_t *s, const conf_option_t *option)
{
    static char text[1024];
    const char *reason = option->reason;
    if (option->field == &opt.max_background_threads &&
        strcmp(s->reads == NULL ? "" : s->reads, "1") != 0) {
        reason = "one thread serves all arenas";
    }
    text[0] = '\0';
    switch (s->verdict) {
    case 'I':
        snprintf(text, sizeof(text), "<jemalloc>: Invalid conf value: %s\n%s",
            s->pair, takes_line(option));
        break;
    case 'O':
        snprintf(text, sizeof(text),
            "<jemalloc>: Out-of-range conf value: %s\n%s", s->pair,
            takes_line(option));
        break;
    case 'R':
        snprintf(text, sizeof(text),
            "<jemalloc>: Invalid settings for %s: %s\n%s", option->name,
            s->pair, takes_line(option));
        break;
    default:
        if (reason != NULL) {
            snprintf(text, sizeof(text),
                "<jemalloc>: option %s is accepted but has no effect: %s\n",
                option->name, reason);
        }
    }
    if (s->verdict != 0) {
        EXPECT(strlen(takes_line(option)) > 30);
    }
    return text;
}

static const conf_option_t *option_of(const char *pair)
{
    return conf_option_find(pair, strcspn(pair, ":"));
}

static void check_setting(const setting_t *s)
{
    const conf_option_t *option = option_of(s->pair);
    REQUIRE(option != NULL);
    reset();
    char before[256];
    snprintf(before, sizeof(before), "%s", read_back(option));
    parse(s->pair);
    const char *words = expected_words(s, option);
    const char *after = s->reads != NULL ? s->reads : before;
    /* "-- Set conf value" has a test of its own; abort_conf would abort. */
    bool echoes = strcmp(s->pair, "confirm_conf:true") == 0;
    if (strcmp(read_back(option), after) != 0 ||
        (!echoes && strcmp(said, words) != 0)) {
        test_note("setting: %s", s->pair);
    }
    EXPECT_EQ_STR(read_back(option), after);
    if (!echoes) {
        EXPECT_EQ_STR(said, words);
    }
}

TEST(settings)
{
    for (size_t i = 0; i < COUNT(settings); i++) {
        check_setting(&settings[i]);
    }
}

/* No option was forgotten above, neither its use nor its misuse. */
TEST(settings_cover_all_options)
{
    for (unsigned i = 0; i < conf_options_count; i++) {
        const conf_option_t *option = &conf_options[i];
        bool accepted = false;
        bool refused =
            option->type == CONF_TYPE_TEXT || option->type == CONF_TYPE_LETTERS;
        for (size_t j = 0; j < COUNT(settings); j++) {
            if (option_of(settings[j].pair) == option) {
                accepted |= settings[j].verdict == 0;
                refused |= settings[j].verdict != 0;
            }
        }
        if (!accepted || !refused) {
            test_note("option: %s", option->name);
        }
        EXPECT(accepted);
        EXPECT(refused);
    }
}

static const char *const ignored_names[] = {"utrace", "log",
    "huge_arena_pac_thp", "tcache_gc_delay_bytes", "lg_san_uaf_align",
    "lg_extent_max_active_fit", "process_madvise_max_batch",
    "tcache_gc_incr_bytes"};

TEST(ignored_options)
{
    for (unsigned i = 0; i < conf_options_count; i++) {
        const char *name = conf_options[i].name;
        bool expected = strstr(name, "hpa") != NULL;
        for (size_t j = 0; j < COUNT(ignored_names); j++) {
            expected |= strcmp(name, ignored_names[j]) == 0;
        }
        expected |=
            strcmp(name, "debug_double_free_max_scan") == 0 && !CONFIG_DEBUG;
        expected |=
            strcmp(name, "experimental_infallible_new") == 0 && !CONFIG_CXX;
        if (expected != conf_options[i].ignored) {
            test_note("option: %s", name);
        }
        EXPECT_EQ_U64(conf_options[i].ignored, expected);
    }
    parse("utrace:true");
    EXPECT_EQ_STR(said,
        "<jemalloc>: option utrace is accepted but has no effect: only BSD "
        "systems have the utrace system call; use ltrace or perf\n");
}

TEST(dss_modes)
{
    parse("dss:primary");
    EXPECT_EQ_I64(opt.dss, CONFIG_DSS ? CONF_DSS_PRIMARY : CONF_DSS_DISABLED);
    EXPECT_EQ_STR(said, CONFIG_DSS
                            ? ""
                            : "<jemalloc>: Error setting dss: dss:primary\n"
                              "<jemalloc>: Invalid conf value: dss:primary\n"
                              "<jemalloc>: option dss takes disabled, primary "
                              "or secondary\n");
    parse("dss:secondary");
    EXPECT_EQ_I64(opt.dss, CONFIG_DSS ? CONF_DSS_SECONDARY : CONF_DSS_DISABLED);
}

TEST(junk_parts)
{
    parse("junk:alloc");
    EXPECT(opt.junk_alloc && !opt.junk_free);
    parse("junk:free");
    EXPECT(!opt.junk_alloc && opt.junk_free);
    parse("junk:true");
    EXPECT(opt.junk_alloc && opt.junk_free);
    parse("junk:false");
    EXPECT(!opt.junk_alloc && !opt.junk_free);
}

TEST(lg_tcache_max_sets_tcache_max)
{
    parse("lg_tcache_max:12");
    EXPECT_EQ_U64(opt.tcache_max, 4096);
    parse("tcache_max:100,lg_tcache_max:23");
    EXPECT_EQ_U64(opt.tcache_max, 32768);
    parse("lg_tcache_max:10,tcache_max:77");
    EXPECT_EQ_U64(opt.tcache_max, 77);
}

TEST(background_threads_only_go_down)
{
    parse("max_background_threads:2,max_background_threads:8");
    EXPECT_EQ_U64(opt.max_background_threads, 2);
    parse("max_background_threads:8,max_background_threads:2");
    EXPECT_EQ_U64(opt.max_background_threads, 2);
    parse("max_background_threads:5000,max_background_threads:8");
    EXPECT_EQ_U64(opt.max_background_threads, 8);
}

TEST(letters_add_up)
{
    reset();
    boot("stats_print_opts:a", "stats_print_opts:Jg,stats_print_opts:bz", NULL,
        "stats_print_opts:aJ", NULL);
    EXPECT_EQ_STR(opt.stats_print_opts, "aJgb");
    EXPECT_EQ_STR(opt.stats_interval_opts, "");
}

TEST(ranges_add_up)
{
    reset();
    boot("slab_sizes:8-8:1", "slab_sizes:16-16:2", NULL,
        "slab_sizes:32-32:3|48-48:4", NULL);
    EXPECT_EQ_STR(
        ranges_text(&opt.slab_sizes), "8-8:1|16-16:2|32-32:3|48-48:4");
    parse("slab_sizes:8-8:1,slab_sizes:default,slab_sizes:16-16:2");
    EXPECT_EQ_STR(ranges_text(&opt.slab_sizes), "16-16:2");
}

TEST(too_many_ranges)
{
    char text[1024] = "bin_shards:8-8:2";
    for (unsigned i = 1; i < CONF_RANGES_MAX; i++) {
        strcat(text, "|8-8:2");
    }
    parse(text);
    EXPECT_EQ_STR(said, "");
    EXPECT_EQ_U64(opt.bin_shards.n, CONF_RANGES_MAX);
    strcat(text, "|8-8:3");
    parse(text);
    EXPECT_EQ_U64(opt.bin_shards.n, CONF_RANGES_MAX);
    EXPECT_EQ_U64(opt.bin_shards.seg[CONF_RANGES_MAX - 1].count, 2);
    char want[2048];
    snprintf(want, sizeof(want),
        "<jemalloc>: option bin_shards holds at most 64 ranges\n"
        "<jemalloc>: Invalid settings for bin_shards: %s\n"
        "<jemalloc>: option bin_shards takes SIZE-SIZE:COUNT, several joined "
        "by |, each COUNT from 1 to 64\n",
        text);
    EXPECT_EQ_STR(said, want);
}

TEST(long_prefix_is_cut)
{
    /* One byte more than fits. */
    static char text[PATH_MAX + 13] = "prof_prefix:";
    memset(text + 12, 'p', sizeof(text) - 13);
    parse(text);
    EXPECT_EQ_U64(strlen(opt.prof_prefix), PATH_MAX - 1);
}

/* One source, then all that must be said, then a value that must hold. */
typedef struct {
    const char *text;
    const char *said;
    unsigned narenas;
} grammar_t;

#define TWICE(message) message message
#define LONG_KEY                                                               \
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"

static const grammar_t grammar[] = {
    {"narenas:3", "", 3},
    {"narenas:3,narenas:4", "", 4},
    {"narenas:3,",
        TWICE("<jemalloc>: Conf string ends with comma -- "
              "narenas:3,\n"),
        3},
    {"zero:true,narenas:3,",
        TWICE("<jemalloc>: Conf string ends with comma "
              "-- narenas:3,\n"),
        3},
    {"narenas:3,zero",
        TWICE("<jemalloc>: Conf string ends with key -- "
              "zero\n"),
        3},
    {"zero", TWICE("<jemalloc>: Conf string ends with key -- zero\n"), 0},
    {"narenas:3,ze ro:true,narenas:4",
        TWICE("<jemalloc>: Malformed conf string -- ze \n"), 3},
    {" narenas:3", TWICE("<jemalloc>: Malformed conf string --  \n"), 0},
    {",narenas:3", TWICE("<jemalloc>: Malformed conf string -- ,\n"), 0},
    {",", TWICE("<jemalloc>: Malformed conf string -- ,\n"), 0},
    {"narenas:3,,zero:true", TWICE("<jemalloc>: Malformed conf string -- ,\n"),
        3},
    {"narenas:3, zero:true", TWICE("<jemalloc>: Malformed conf string --  \n"),
        3},
    {"na-renas:3", TWICE("<jemalloc>: Malformed conf string -- na-\n"), 0},
    {LONG_KEY "x-",
        TWICE("<jemalloc>: Malformed conf string -- " LONG_KEY "x\n"), 0},
    {"zero:a:b c|d",
        "<jemalloc>: Invalid conf value: zero:a:b c|d\n"
        "<jemalloc>: option zero takes true or false\n",
        0},
    {"qqqqqqqq:1,narenas:3", "<jemalloc>: Invalid conf pair: qqqqqqqq:1\n", 3},
    {":1", "<jemalloc>: Invalid conf pair: :1\n", 0},
    {":always", "<jemalloc>: Invalid conf pair: :always\n", 0},
    {"d:primary", "<jemalloc>: Invalid conf pair: d:primary\n", 0},
    {"Narenas:3",
        "<jemalloc>: Invalid conf pair: Narenas:3\n"
        "<jemalloc>: did you mean \"narenas\"?\n",
        0},
    {"narenas:4 ",
        "<jemalloc>: Invalid conf value: narenas:4 \n"
        "<jemalloc>: option narenas takes a whole number, at least 1, without "
        "a unit, or default\n",
        0},
    {"lg_chunk:20",
        "<jemalloc>: Invalid conf pair: lg_chunk:20\n"
        "<jemalloc>: option lg_chunk was withdrawn: there are no chunks; thp "
        "and retain say how memory is mapped\n",
        0},
    {"hpa_sec_bytes_after_flush:1",
        "<jemalloc>: Invalid conf pair: hpa_sec_bytes_after_flush:1\n"
        "<jemalloc>: option hpa_sec_bytes_after_flush was withdrawn: there is "
        "no separate cache of small runs to flush\n",
        0},
    {"hpa_sec_batch_fill_extra:1",
        "<jemalloc>: Invalid conf pair: hpa_sec_batch_fill_extra:1\n"
        "<jemalloc>: option hpa_sec_batch_fill_extra was withdrawn: there is "
        "no separate cache of small runs to fill\n",
        0},
};

TEST(grammar)
{
    for (size_t i = 0; i < COUNT(grammar); i++) {
        const grammar_t *g = &grammar[i];
        parse(g->text);
        if (strcmp(said, g->said) != 0 || opt.narenas != g->narenas) {
            test_note("source: %s", g->text);
        }
        EXPECT_EQ_STR(said, g->said);
        EXPECT_EQ_U64(opt.narenas, g->narenas);
    }
}

TEST(bad_source_leaves_the_others)
{
    reset();
    boot("narenas:3", "tcache_max:8,bad key:1,zero:true", NULL,
        "stats_print:true", NULL);
    EXPECT_EQ_U64(opt.narenas, 3);
    EXPECT_EQ_U64(opt.tcache_max, 8);
    EXPECT(!opt.zero);
    EXPECT(opt.stats_print);
}

static void expect_suggestion(const char *key, const char *name)
{
    char text[128];
    char want[256];
    snprintf(text, sizeof(text), "%s:1", key);
    int n = snprintf(
        want, sizeof(want), "<jemalloc>: Invalid conf pair: %s:1\n", key);
    if (name != NULL) {
        snprintf(want + n, sizeof(want) - (size_t)n,
            "<jemalloc>: did you mean \"%s\"?\n", name);
    }
    parse(text);
    EXPECT_EQ_STR(said, want);
}

TEST(suggestions)
{
    expect_suggestion("narena", "narenas");
    expect_suggestion("naernas", "narenas");
    expect_suggestion("dirty_decay", "dirty_decay_ms");
    expect_suggestion("background", "background_thread");
    expect_suggestion("oversize_treshold_b", "oversize_threshold");
    expect_suggestion("stats", "stats_print");
    expect_suggestion("sta", NULL);
    expect_suggestion("dirty_decay_sm", "dirty_decay_ms");
    expect_suggestion("drty_decay_m", "dirty_decay_ms");
    expect_suggestion("backgroundthread", "background_thread");
    expect_suggestion("tcach", "tcache");
    expect_suggestion("zer", "zero");
    expect_suggestion("ze", NULL);
    expect_suggestion("cheese", NULL);
    expect_suggestion(LONG_KEY "x", NULL);
}

static unsigned distance(const char *a, const char *b)
{
    return conf_value_distance(
        (conf_slice_t){a, a + strlen(a)}, (conf_slice_t){b, b + strlen(b)});
}

TEST(distances)
{
    EXPECT_EQ_U64(distance("", ""), 0);
    EXPECT_EQ_U64(distance("", "abc"), 3);
    EXPECT_EQ_U64(distance("abc", ""), 3);
    EXPECT_EQ_U64(distance("abc", "abc"), 0);
    EXPECT_EQ_U64(distance("abc", "axc"), 1);
    EXPECT_EQ_U64(distance("abc", "acb"), 1);
    EXPECT_EQ_U64(distance("abcd", "bcd"), 1);
    EXPECT_EQ_U64(distance("kitten", "sitting"), 3);
    EXPECT_EQ_U64(distance(LONG_KEY, LONG_KEY), 0);
    EXPECT_EQ_U64(distance(LONG_KEY "x", "x"), UINT_MAX);
}

TEST(precedence)
{
    reset();
    boot("narenas:1,tcache_max:1,dirty_decay_ms:1,muzzy_decay_ms:1,"
         "mutex_max_spin:1",
        "narenas:2,tcache_max:2,dirty_decay_ms:2,muzzy_decay_ms:2",
        "narenas:3,tcache_max:3,dirty_decay_ms:3", "narenas:4,tcache_max:4",
        "narenas:5");
    EXPECT_EQ_U64(opt.narenas, 5);
    EXPECT_EQ_U64(opt.tcache_max, 4);
    EXPECT_EQ_I64(opt.dirty_decay_ms, 3);
    EXPECT_EQ_I64(opt.muzzy_decay_ms, 2);
    EXPECT_EQ_I64(opt.mutex_max_spin, 1);
    EXPECT_EQ_STR(conf_source_text(CONF_SOURCE_SYMLINK),
        "narenas:3,tcache_max:3,dirty_decay_ms:3");
    EXPECT_EQ_STR(conf_source_text(CONF_SOURCE_GLOBAL_HARDER), "narenas:5");
    EXPECT_EQ_PTR(conf_source_text(CONF_SOURCES), NULL);
    parse("narenas:5");
    EXPECT_EQ_PTR(conf_source_text(CONF_SOURCE_SYMLINK), NULL);
}

TEST(confirm)
{
    reset();
    boot("", "tcache_max:99999", NULL, "zero:true,narenas:x",
        "confirm_conf:true");
    EXPECT_EQ_STR(said,
        "<jemalloc>: malloc_conf #1 (string specified via "
        "--with-malloc-conf): \"\"\n"
        "<jemalloc>: malloc_conf #2 (string pointed to by the global variable "
        "malloc_conf): \"tcache_max:99999\"\n"
        "<jemalloc>: -- Set conf value: tcache_max:99999\n"
        "<jemalloc>: malloc_conf #3 (\"name\" of the file referenced by the "
        "symbolic link named /etc/malloc.conf): \"\"\n"
        "<jemalloc>: malloc_conf #4 (value of the environment variable "
        "MALLOC_CONF): \"zero:true,narenas:x\"\n"
        "<jemalloc>: -- Set conf value: zero:true\n"
        "<jemalloc>: Invalid conf value: narenas:x\n"
        "<jemalloc>: option narenas takes a whole number, at least 1, without "
        "a unit, or default\n"
        "<jemalloc>: malloc_conf #5 (string pointed to by the global variable "
        "malloc_conf_2_conf_harder): \"confirm_conf:true\"\n"
        "<jemalloc>: -- Set conf value: confirm_conf:true\n"
        "<jemalloc>: -- In force: confirm_conf:true, set by #5 (string pointed "
        "to by the global variable malloc_conf_2_conf_harder)\n"
        "<jemalloc>: -- In force: zero:true, set by #4 (value of the "
        "environment variable MALLOC_CONF)\n"
        "<jemalloc>: -- In force: tcache_max:32768, set by #2 (string pointed "
        "to by the global variable malloc_conf)\n");
}

/* The value in force is that of the last setting, and of its source. */
TEST(confirm_names_the_last_source)
{
    reset();
    boot("narenas:2,narenas_ratio:1.5", "profile:latency", NULL,
        "dirty_decay_ms:5,slab_sizes:8-8:1|16-16:2,stats_signal:SIGUSR1",
        "narenas:default,confirm_conf:true,hpa_dirty_mult:-1");
    EXPECT(strstr(said, "In force: narenas:default, set by #5 (") != NULL);
    EXPECT(strstr(said, "In force: narenas_ratio:1.5, set by #1 (") != NULL);
    EXPECT(strstr(said, "In force: dirty_decay_ms:5, set by #4 (") != NULL);
    EXPECT(strstr(said, "In force: slab_sizes:8-8:1|16-16:2, set by #4 (") !=
           NULL);
    EXPECT(strstr(said, "In force: stats_signal:USR1, set by #4 (") != NULL);
    EXPECT(strstr(said, "In force: hpa_dirty_mult:-1, set by #5 (") != NULL);
    EXPECT(strstr(said, "In force: muzzy_decay_ms:30000, set by latency in #2 "
                        "(string pointed to") != NULL);
}

#define UTRACE_LINE                                                            \
    "<jemalloc>: option utrace is accepted but has no effect: only BSD "       \
    "systems have the utrace system call; use ltrace or perf\n"

TEST(confirm_of_ignored)
{
    parse("confirm_conf:true,utrace:true");
    EXPECT(strstr(said,
               "<jemalloc>: -- Set conf value: utrace:true\n" UTRACE_LINE) !=
           NULL);
}

/* Format errors come twice, also around an echo. */
TEST(confirm_and_format_error)
{
    parse("confirm_conf:true,zero");
    EXPECT(strncmp(said,
               "<jemalloc>: Conf string ends with key -- zero\n"
               "<jemalloc>: malloc_conf #1 (",
               74) == 0);
    EXPECT(strstr(said, "<jemalloc>: -- Set conf value: confirm_conf:true\n"
                        "<jemalloc>: Conf string ends with key -- zero\n"
                        "<jemalloc>: malloc_conf #5 (") != NULL);
}

#define ABORT_LINE                                                             \
    "<jemalloc>: Abort (abort_conf:true) on invalid conf value (see above).\n"

#define ZERO_X                                                                 \
    "<jemalloc>: Invalid conf value: zero:x\n"                                 \
    "<jemalloc>: option zero takes true or false\n"

static void boot_in_child(void *arg)
{
    const conf_sources_t *sources = arg;
    reset();
    variable = NULL;
    conf_boot(sources);
}

static test_child_t boot_child(
    const char *a, const char *b, const char *d, const char *e)
{
    conf_sources_t sources = {.text = {a, b, NULL, d, e}};
    return test_in_child(boot_in_child, &sources);
}

static void expect_abort(test_child_t child, const char *err)
{
    EXPECT_EQ_STR(child.err, err);
    EXPECT(WIFSIGNALED(child.status));
    EXPECT_EQ_I64(WTERMSIG(child.status), SIGABRT);
}

static void expect_survival(test_child_t child, const char *err)
{
    EXPECT_EQ_STR(child.err, err);
    EXPECT_EQ_I64(child.status, 0);
}

TEST(abort_conf)
{
    const char *pair = "<jemalloc>: Invalid conf pair: qqqqqq:1\n" ABORT_LINE;
    expect_abort(boot_child("", NULL, "abort_conf:true,qqqqqq:1", NULL), pair);
    /* The order inside a source does not matter. */
    expect_abort(boot_child("", NULL, "qqqqqq:1,abort_conf:true", NULL), pair);
    /* A later source catches the error of an earlier one. */
    expect_abort(boot_child("", "qqqqqq:1", "abort_conf:true", NULL), pair);
    /* And cannot rescue one that aborts. */
    expect_abort(
        boot_child("", "abort_conf:true,qqqqqq:1", "abort_conf:false", NULL),
        pair);
    expect_survival(
        boot_child("", "abort_conf:true", "abort_conf:false,qqqqqq:1", NULL),
        "<jemalloc>: Invalid conf pair: qqqqqq:1\n");
    expect_survival(
        boot_child("", NULL, "abort_conf:true,zero:true", NULL), "");
}

TEST(abort_conf_on_each_kind)
{
    expect_abort(boot_child("", NULL, "abort_conf:true,zero:x", NULL),
        ZERO_X ABORT_LINE);
    expect_abort(boot_child("", NULL, "abort_conf:true,narenas:0", NULL),
        "<jemalloc>: Out-of-range conf value: narenas:0\n"
        "<jemalloc>: option narenas takes a whole number, at least 1, without "
        "a unit, or default\n" ABORT_LINE);
    expect_abort(boot_child("", NULL, "abort_conf:true,bin_shards:x", NULL),
        "<jemalloc>: Invalid settings for bin_shards: bin_shards:x\n"
        "<jemalloc>: option bin_shards takes SIZE-SIZE:COUNT, several joined "
        "by |, each COUNT from 1 to 64\n" ABORT_LINE);
    expect_abort(boot_child("", NULL, "abort_conf:true,zero", NULL),
        TWICE("<jemalloc>: Conf string ends with key -- zero\n") ABORT_LINE);
    expect_abort(boot_child("", NULL, "abort_conf:true,", NULL),
        TWICE("<jemalloc>: Conf string ends with comma -- "
              "abort_conf:true,\n") ABORT_LINE);
    expect_abort(boot_child("", NULL, "abort_conf:true,-", NULL),
        TWICE("<jemalloc>: Malformed conf string -- -\n") ABORT_LINE);
}

TEST(abort_conf_tolerates)
{
    expect_survival(
        boot_child("", NULL, "abort_conf:true,experimental_nothing:1", NULL),
        "<jemalloc>: Invalid conf pair: experimental_nothing:1\n");
    expect_survival(
        boot_child("", NULL, "abort_conf:true,experimental_tcache_gc:1", NULL),
        "<jemalloc>: Invalid conf value: experimental_tcache_gc:1\n"
        "<jemalloc>: option experimental_tcache_gc takes true or false\n");
    expect_survival(boot_child("", NULL,
                        "abort_conf:true,hpa_sec_batch_fill_extra:1", NULL),
        "<jemalloc>: Invalid conf pair: hpa_sec_batch_fill_extra:1\n"
        "<jemalloc>: option hpa_sec_batch_fill_extra was withdrawn: there is "
        "no separate cache of small runs to fill\n");
    expect_survival(
        boot_child("", NULL, "abort_conf:true,utrace:true", NULL), UTRACE_LINE);
}

static void boot_strict(void *arg)
{
    conf_opt_t values = pristine;
    values.abort_conf = true;
    conf_reset_for_test(&values);
    variable = NULL;
    conf_boot(arg);
}

/* Where abort_conf starts true, a malformed text ends the first pass. */
TEST(abort_conf_by_default)
{
    conf_sources_t sources = {.text = {NULL, NULL, NULL, "abort_conf:false,-"}};
    expect_abort(test_in_child(boot_strict, &sources),
        "<jemalloc>: Malformed conf string -- -\n" ABORT_LINE);
    sources.text[CONF_SOURCE_ENVIRONMENT] = "zero:x,abort_conf:false";
    expect_survival(test_in_child(boot_strict, &sources), ZERO_X);
}

/* What each kind of option takes, in words. */
static void expect_takes(const char *pair, const char *takes)
{
    char want[256];
    parse(pair);
    snprintf(want, sizeof(want), "<jemalloc>: option %.*s takes %s\n",
        (int)strcspn(pair, ":"), pair, takes);
    EXPECT_EQ_STR(takes_line(option_of(pair)), want);
}

TEST(what_would_be_right)
{
    expect_takes("junk:x", "false, true, alloc or free");
    expect_takes("thp:x", "default, always or never");
    expect_takes("profile:small",
        "none, low-memory, latency, container, debug or hardened");
    expect_takes(
        "lg_prof_interval:x", "a whole number from -1 to 63, without a unit");
    expect_takes(
        "stats_interval:1M", "a whole number, at least -1, without a unit");
    expect_takes("tcache_nslots_large:x",
        "a whole number from 1 to 2048, without a unit");
    expect_takes("prof_bt_max:x", "a whole number, at least 1, without a unit");
    expect_takes("narenas_ratio:x", "a number such as 0.25, below 65536");
    expect_takes(
        "hpa_dirty_mult:x", "a number such as 0.25, below 65536, or -1");
    expect_takes(
        "hpa_purge_threshold_ratio:2", "a number such as 0.25, at most 1");
    expect_takes("stats_signal:KILL",
        "a signal that a program may handle, such as USR1, 10 or RTMIN+3, or "
        "none");
    expect_takes("slab_sizes:x", "SIZE-SIZE:COUNT, several joined by |");
    expect_takes("tcache_ncached_max:x",
        "SIZE-SIZE:COUNT, several joined by |, each COUNT from 0 to 8191");
}

static const struct {
    const char *name;
    const char *pairs;
} presets[] = {
#define PRESET(name, word, help, pairs) {word, pairs},
#include "conf/presets.def"
};

/* Writes every option but `profile` down. */
static const char *all_options(char *buf, size_t size)
{
    size_t len = 0;
    for (unsigned i = 0; i < conf_options_count; i++) {
        if (conf_options[i].field != &opt.profile) {
            len += (size_t)snprintf(buf + len, size - len, "%s:%s,",
                conf_options[i].name, read_back(&conf_options[i]));
        }
    }
    return buf;
}

/* A preset is its pairs, all of them live and accepted without a word. */
TEST(presets_are_pairs)
{
    static char by_preset[8192], by_pairs[8192], text[128];
    EXPECT_EQ_U64(COUNT(presets), 5);
    for (size_t i = 0; i < COUNT(presets); i++) {
        snprintf(text, sizeof(text), "profile:%s", presets[i].name);
        parse(text);
        EXPECT_EQ_STR(said, "");
        all_options(by_preset, sizeof(by_preset));
        parse(presets[i].pairs);
        EXPECT_EQ_STR(said, "");
        EXPECT_EQ_STR(by_preset, all_options(by_pairs, sizeof(by_pairs)));
        parse("");
        EXPECT(strcmp(by_preset, all_options(by_pairs, sizeof(by_pairs))) != 0);
    }
}

TEST(presets_name_each_key_once)
{
    for (size_t i = 0; i < COUNT(presets); i++) {
        const char *p = presets[i].pairs;
        for (bool more = true; more;) {
            char key[64];
            int len = (int)strcspn(p, ":");
            snprintf(key, sizeof(key), ",%.*s:", len, p);
            p += strcspn(p, ",");
            more = *p++ == ',';
            EXPECT(!more || strstr(p - 1, key) == NULL);
            key[len + 1] = '\0';
            const conf_option_t *option = find(key + 1);
            REQUIRE(option != NULL);
            EXPECT(!option->ignored);
            EXPECT(option->type != CONF_TYPE_RANGES &&
                   option->type != CONF_TYPE_LETTERS);
        }
    }
}

/* What comes later wins, in a source and over sources. */
TEST(presets_stand_in_order)
{
    parse("dirty_decay_ms:77,profile:low-memory");
    EXPECT_EQ_I64(opt.dirty_decay_ms, 1000);
    parse("profile:low-memory,dirty_decay_ms:77");
    EXPECT_EQ_I64(opt.dirty_decay_ms, 77);
    EXPECT_EQ_U64(opt.tcache_max, 4096);
    reset();
    boot("profile:low-memory", NULL, NULL, "profile:latency", "tcache_max:64");
    EXPECT_EQ_I64(opt.dirty_decay_ms, 30000);
    EXPECT_EQ_U64(opt.tcache_nslots_large, 4);
    EXPECT_EQ_U64(opt.tcache_max, 64);
    EXPECT_EQ_STR(read_back(find("profile")), "latency");
}

TEST(presets_are_echoed)
{
    parse("confirm_conf:true,profile:container,profile:none");
    EXPECT(strstr(said,
               "<jemalloc>: -- Set conf value: profile:container\n"
               "<jemalloc>: -- Set conf value: narenas_ratio:2\n"
               "<jemalloc>: -- Set conf value: dirty_decay_ms:3000\n") != NULL);
    EXPECT(strstr(said, "<jemalloc>: -- Set conf value: thp:never\n"
                        "<jemalloc>: -- Set conf value: profile:none\n"
                        "<jemalloc>: malloc_conf #5") != NULL);
}

TEST(background_threads_beyond_one)
{
    parse("max_background_threads:1");
    EXPECT_EQ_STR(said, "");
    parse("max_background_threads:2");
    EXPECT_EQ_STR(said,
        "<jemalloc>: option max_background_threads is accepted but has no "
        "effect: one thread serves all arenas\n");
}

TEST(ratios_of_a_huge_page)
{
    parse("hpa_hugification_threshold_ratio:0.5,hpa_purge_threshold_ratio:1");
    EXPECT_EQ_U64(opt.hpa_hugification_threshold, 1 << 20);
    EXPECT_EQ_U64(opt.hpa_purge_threshold, 2 << 20);
    parse("hpa_purge_threshold_ratio:0,hpa_purge_threshold:8192");
    EXPECT_EQ_U64(opt.hpa_purge_threshold, 8192);
    parse("hpa_purge_threshold_ratio:0");
    EXPECT_EQ_U64(opt.hpa_purge_threshold, 4096);
}

#define LEAK_LINE "<jemalloc>: prof_leak_error is set w/o prof_final.\n"

TEST(leak_options)
{
    parse("prof_gdump:true,prof_leak:true,lg_prof_interval:20");
    EXPECT(opt.prof && opt.prof_leak && !opt.prof_gdump);
    EXPECT_EQ_I64(opt.lg_prof_interval, -1);
    parse("prof_gdump:true,prof_leak:true,lg_prof_interval:20,prof:true");
    EXPECT(opt.prof && opt.prof_leak && opt.prof_gdump);
    EXPECT_EQ_I64(opt.lg_prof_interval, 20);
    parse("prof_leak_error:true,prof_final:true");
    EXPECT(opt.prof && opt.prof_leak);
    EXPECT(strstr(said, LEAK_LINE) == NULL);
    parse("prof_leak_error:true");
    EXPECT(opt.prof && opt.prof_leak);
    EXPECT(strstr(said, LEAK_LINE) != NULL);
}

TEST(leak_error_without_final_dump_aborts)
{
    test_child_t child = boot_child(
        "", NULL, "abort_conf:true,prof:true,prof_leak_error:true", NULL);
    EXPECT(strstr(child.err, LEAK_LINE ABORT_LINE) != NULL);
    EXPECT(WIFSIGNALED(child.status));
}

/* A kernel that does not know MADV_HUGEPAGE: a filter answers for it. */
static void refuse_huge_pages(void)
{
    struct sock_filter program[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_madvise, 0, 3),
        BPF_STMT(
            BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2])),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, MADV_HUGEPAGE, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EINVAL),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog filter = {COUNT(program), program};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0) {
        _exit(77);
    }
}

static void without_huge_pages(void *arg)
{
    (void)arg;
    refuse_huge_pages();
    parse("thp:never,metadata_thp:auto");
    EXPECT_EQ_STR(said, "");
    EXPECT_EQ_STR(conf_option_word(find("thp")), "not supported");
    parse("thp:always,metadata_thp:always");
    EXPECT_EQ_STR(said, "<jemalloc>: No THP support: thp:always\n"
                        "<jemalloc>: No THP support: metadata_thp:always\n");
    EXPECT_EQ_I64(opt.thp, CONF_THP_DEFAULT);
    EXPECT_EQ_I64(opt.metadata_thp, CONF_METADATA_THP_DISABLED);
}

TEST(kernel_without_huge_pages)
{
    test_child_t child = test_in_child(without_huge_pages, NULL);
    if (WIFEXITED(child.status) && WEXITSTATUS(child.status) == 77) {
        test_skip("system calls cannot be filtered here");
    }
    EXPECT_EQ_STR(child.err, "");
    EXPECT_EQ_I64(child.status, 0);
}

TEST(errno_is_kept)
{
    reset();
    variable = NULL;
    errno = 1234;
    boot("", NULL, NULL, "narenas:3", NULL);
    conf_sources_t sources;
    conf_collect(&sources, NULL, NULL);
    EXPECT_EQ_I64(errno, 1234);
}

/* Whatever the link of this machine says, conf_collect must say the same. */
static void expect_symlink(const char *text)
{
    char want[PATH_MAX + 1];
    ssize_t len = readlink("/etc/" CONFIG_PREFIX "malloc.conf", want, PATH_MAX);
    if (len < 0 || !CONFIG_USER_CONFIG) {
        EXPECT_EQ_PTR(text, NULL);
        return;
    }
    want[len] = '\0';
    EXPECT_EQ_STR(text, want);
}

TEST(collect)
{
    static const char name[] = CONFIG_PREFIX_UPPER "MALLOC_CONF";
    conf_sources_t sources;
    setenv(name, "narenas:7", 1);
    conf_collect(&sources, "zero:true", "zero:false");
    EXPECT_EQ_STR(sources.text[CONF_SOURCE_CONFIGURE], CONFIG_MALLOC_CONF);
    EXPECT_EQ_STR(sources.text[CONF_SOURCE_GLOBAL], "zero:true");
    EXPECT_EQ_STR(sources.text[CONF_SOURCE_GLOBAL_HARDER], "zero:false");
    EXPECT_EQ_STR(sources.text[CONF_SOURCE_ENVIRONMENT],
        CONFIG_USER_CONFIG ? "narenas:7" : NULL);
    expect_symlink(sources.text[CONF_SOURCE_SYMLINK]);
    unsetenv(name);
    conf_collect(&sources, NULL, NULL);
    EXPECT_EQ_PTR(sources.text[CONF_SOURCE_GLOBAL], NULL);
    EXPECT_EQ_PTR(sources.text[CONF_SOURCE_ENVIRONMENT], NULL);
    EXPECT_EQ_PTR(sources.text[CONF_SOURCE_GLOBAL_HARDER], NULL);
}

TEST(resolved_values)
{
    reset();
    conf_resolve_narenas(12);
    conf_resolve_percpu_arena(CONF_PERCPU_PHYCPU);
    EXPECT_EQ_U64(opt.narenas, 12);
    EXPECT_EQ_STR(conf_option_word(find("percpu_arena")), "phycpu");
}

int main(void)
{
    pristine = opt;
    return test_run(TEST_CASE(defaults), TEST_CASE(find_exact_names_only),
        TEST_CASE(no_source_changes_nothing), TEST_CASE(settings),
        TEST_CASE(settings_cover_all_options), TEST_CASE(ignored_options),
        TEST_CASE(dss_modes), TEST_CASE(junk_parts),
        TEST_CASE(lg_tcache_max_sets_tcache_max),
        TEST_CASE(background_threads_only_go_down), TEST_CASE(letters_add_up),
        TEST_CASE(ranges_add_up), TEST_CASE(too_many_ranges),
        TEST_CASE(long_prefix_is_cut), TEST_CASE(grammar),
        TEST_CASE(bad_source_leaves_the_others), TEST_CASE(suggestions),
        TEST_CASE(distances), TEST_CASE(precedence), TEST_CASE(confirm),
        TEST_CASE(confirm_names_the_last_source), TEST_CASE(confirm_of_ignored),
        TEST_CASE(confirm_and_format_error), TEST_CASE(abort_conf),
        TEST_CASE(abort_conf_on_each_kind), TEST_CASE(abort_conf_tolerates),
        TEST_CASE(abort_conf_by_default), TEST_CASE(what_would_be_right),
        TEST_CASE(presets_are_pairs), TEST_CASE(presets_name_each_key_once),
        TEST_CASE(presets_stand_in_order), TEST_CASE(presets_are_echoed),
        TEST_CASE(background_threads_beyond_one),
        TEST_CASE(ratios_of_a_huge_page), TEST_CASE(leak_options),
        TEST_CASE(leak_error_without_final_dump_aborts),
        TEST_CASE(kernel_without_huge_pages), TEST_CASE(errno_is_kept),
        TEST_CASE(collect), TEST_CASE(resolved_values), NULL);
}
