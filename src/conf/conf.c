/*
 * What: see conf.h. Pairs of key and value are cut from each source, matched
 * with a row of options.def, checked and stored. Pass one looks for
 * confirm_conf alone, so that pass two can echo everything.
 *
 * Invariants: (I1) a mistake costs the pair it is in, or, where the end of
 * the pair cannot be known, the rest of its source; (I2) conf_opt_storage
 * holds legal values at any time; (I3) less than 5 KiB of stack, most of it
 * the buffer of log_printf: threads may have as little as 16 KiB.
 *
 * Locking: none, see conf.h.
 */
#ifndef _GNU_SOURCE
#    define _GNU_SOURCE /* secure_getenv */
#endif
#include "conf/conf.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf/conf_value.h"
#include "conf/limits.h"
#include "os/log.h"
#include "util/format.h"

/* Milliseconds whose nanoseconds still fit 64 bits, in whole seconds. */
#define CONF_DECAY_MS_MAX                                                      \
    (sizeof(ssize_t) == 8 ? (int64_t)18446744072000 : INT32_MAX)

/* Slots of one class in a thread cache, by the rule and by explicit list. */
#define CONF_NSLOTS_MAX  2048
#define CONF_NCACHED_MAX 8191

/* A larger number of purging threads means that nobody set one. */
#define CONF_BACKGROUND_THREADS_START   4096
#define CONF_BACKGROUND_THREADS_DEFAULT 4

/* Letters that malloc_stats_print knows; each may be given once. */
#define STATS_LETTERS "Jgmdablxeh"

/* Longest piece of a malformed text that a message quotes. */
#define QUOTE_MAX 64

/* A suggestion may differ by this much, and by a third of the word. */
#define SUGGEST_DISTANCE_MAX 2

/* What the pointers in `opt` point at when they hold set texts. */
static struct {
    char stats_print_opts[sizeof(STATS_LETTERS)];
    char stats_interval_opts[sizeof(STATS_LETTERS)];
    char prof_prefix[PATH_MAX];
    char log[PATH_MAX];
    char symlink[PATH_MAX + 1];
} conf_buffers;

static struct {
    conf_sources_t sources;
    /* max_background_threads can only go down from here. */
    size_t background_threads_limit;
    bool had_error;
} state = {.background_threads_limit = CONF_BACKGROUND_THREADS_START};

conf_opt_t conf_opt_storage = {
#define OPTION(kind, name, value, min, max, rule, status, ctl, ignored, help)  \
    .name = value,
#include "conf/options.def"
    .junk_alloc = CONFIG_DEBUG,
    .junk_free = CONFIG_DEBUG,
};

static const char *const words_junk[] = {
    "false", "true", "alloc", "free", NULL};
static const char *const words_zero_realloc[] = {
    "alloc", "free", "abort", NULL};
static const char *const words_percpu_arena[] = {
    "disabled", "percpu", "phycpu", NULL};
static const char *const words_dss[] = {
    "disabled", "primary", "secondary", NULL};
static const char *const words_metadata_thp[] = {
    "disabled", "auto", "always", NULL};
static const char *const words_thp[] = {
    "default", "always", "never", "not supported", NULL};
static const char *const words_hpa_hugify_style[] = {
    "auto", "none", "eager", "lazy", NULL};
static const char *const words_prof_time_resolution[] = {
    "default", "high", NULL};

#define WORDS_BOOL(name)     NULL
#define WORDS_SIZE(name)     NULL
#define WORDS_SSIZE(name)    NULL
#define WORDS_UNSIGNED(name) NULL
#define WORDS_U64(name)      NULL
#define WORDS_I64(name)      NULL
#define WORDS_RATIO(name)    NULL
#define WORDS_ENUM(name)     words_##name
#define WORDS_TEXT(name)     NULL
#define WORDS_LETTERS(name)  NULL
#define WORDS_RANGES(name)   NULL

#define CTYPE_BOOL     "bool"
#define CTYPE_SIZE     "size_t"
#define CTYPE_SSIZE    "ssize_t"
#define CTYPE_UNSIGNED "unsigned"
#define CTYPE_U64      "uint64_t"
#define CTYPE_I64      "int64_t"
#define CTYPE_RATIO    "uint32_t"
#define CTYPE_ENUM     "const char *"
#define CTYPE_TEXT     "const char *"
#define CTYPE_LETTERS  "const char *"
#define CTYPE_RANGES   NULL

#define CLIPS_CLIP   true
#define CLIPS_REJECT false

const conf_option_t conf_options[] = {
#define OPTION(kind, key, value, low, high, rule, stat, ctl, why, text)        \
    {.name = #key,                                                             \
        .field = &conf_opt_storage.key,                                        \
        .words = WORDS_##kind(key),                                            \
        .mallctl_type = (ctl) ? CTYPE_##kind : NULL,                           \
        .reason = why,                                                         \
        .help = text,                                                          \
        .min = (int64_t)(low),                                                 \
        .max = (uint64_t)(high),                                               \
        .type = CONF_TYPE_##kind,                                              \
        .clips = CLIPS_##rule,                                                 \
        .has_mallctl = ctl,                                                    \
        .ignored = (why) != NULL,                                              \
        .status = stat},
#include "conf/options.def"
};

const unsigned conf_options_count =
    sizeof(conf_options) / sizeof(conf_options[0]);

/* KEY_<name>: the index of each row, for what one option alone needs. */
enum {
#define OPTION(kind, name, value, min, max, rule, status, ctl, ignored, help)  \
    KEY_##name,
#include "conf/options.def"
};

/* Keys of other versions: reported like unknown ones, but not an error. */
static const char *const withdrawn_keys[] = {
    "hpa_sec_bytes_after_flush", "hpa_sec_batch_fill_extra"};

static const char *const source_names[CONF_SOURCES] = {
    "string specified via --with-malloc-conf",
    "string pointed to by the global variable malloc_conf",
    ("\"name\" of the file referenced by the symbolic link named "
     "/etc/malloc.conf"),
    "value of the environment variable MALLOC_CONF",
    "string pointed to by the global variable malloc_conf_2_conf_harder",
};

typedef struct {
    conf_slice_t key;
    conf_slice_t value;
} pair_t;

/* NULL if the value was stored, else the message that says why not. */
typedef const char *problem_t;

static const char invalid_value[] = "Invalid conf value";
static const char out_of_range[] = "Out-of-range conf value";
static const char bad_ranges[] = "Invalid settings for";
static const char bad_dss[] = "Error setting dss";

static int slice_length(conf_slice_t slice)
{
    ptrdiff_t len = slice.end - slice.text;
    return len < INT_MAX ? (int)len : INT_MAX;
}

static void say_pair(const char *what, const pair_t *pair)
{
    log_printf("<jemalloc>: %s: %.*s:%.*s\n", what, slice_length(pair->key),
        pair->key.text, slice_length(pair->value), pair->value.text);
}

/* The row's field, for writing: options are written in this file alone. */
static void *field_of(const conf_option_t *option)
{
    size_t offset =
        (size_t)((const char *)option->field - (const char *)&conf_opt_storage);
    return (char *)&conf_opt_storage + offset;
}

static problem_t set_bool(const conf_option_t *option, conf_slice_t value)
{
    bool on = conf_slice_is(value, "true");
    if (!on && !conf_slice_is(value, "false")) {
        return invalid_value;
    }
    *(bool *)field_of(option) = on;
    return NULL;
}

static problem_t set_unsigned(const conf_option_t *option, conf_slice_t value)
{
    uint64_t number;
    bool negative;
    if (!format_parse_u64(value.text, value.end, &number, &negative)) {
        return invalid_value;
    }
    uint64_t min = (uint64_t)option->min;
    if (number < min || number > option->max) {
        if (!option->clips) {
            return out_of_range;
        }
        number = number < min ? min : option->max;
    }
    if (option->type == CONF_TYPE_SIZE) {
        *(size_t *)field_of(option) = (size_t)number;
    } else if (option->type == CONF_TYPE_UNSIGNED) {
        *(unsigned *)field_of(option) = (unsigned)number;
    } else {
        *(uint64_t *)field_of(option) = number;
    }
    return NULL;
}

static problem_t set_signed(const conf_option_t *option, conf_slice_t value)
{
    uint64_t bits;
    bool negative;
    if (!format_parse_u64(value.text, value.end, &bits, &negative)) {
        return invalid_value;
    }
    /* The sign that was written must be the sign that 64 bits can hold. */
    bool fits = bits == 0 || negative == (bits >> 63 != 0);
    int64_t number = fits ? (int64_t)bits : (negative ? INT64_MIN : INT64_MAX);
    int64_t max = (int64_t)option->max;
    if (!fits || number < option->min || number > max) {
        if (!option->clips) {
            return out_of_range;
        }
        number = number < option->min ? option->min : max;
    }
    if (option->type == CONF_TYPE_SSIZE) {
        *(ssize_t *)field_of(option) = (ssize_t)number;
    } else {
        *(int64_t *)field_of(option) = number;
    }
    return NULL;
}

static problem_t set_ratio(const conf_option_t *option, conf_slice_t value)
{
    uint32_t ratio;
    if (!conf_value_ratio(value, &ratio)) {
        return invalid_value;
    }
    if (ratio > option->max) {
        return out_of_range;
    }
    *(uint32_t *)field_of(option) = ratio;
    return NULL;
}

/* Enumerations are read and written through their integer. */
static_assert(sizeof(conf_thp_t) == sizeof(unsigned), "an enum is an int");

static problem_t set_enum(const conf_option_t *option, conf_slice_t value)
{
    unsigned i = 0;
    while (
        option->words[i] != NULL && !conf_slice_is(value, option->words[i])) {
        i++;
    }
    /* That huge pages are not supported is for the kernel to say. */
    bool reported_only =
        option->words == words_thp && i == CONF_THP_UNSUPPORTED;
    if (option->words[i] == NULL || reported_only) {
        return invalid_value;
    }
    if (option->words == words_dss && !config_dss && i != CONF_DSS_DISABLED) {
        return bad_dss;
    }
    memcpy(field_of(option), &i, sizeof(i));
    return NULL;
}

static problem_t set_text(const conf_option_t *option, conf_slice_t value)
{
    bool is_prefix = option == &conf_options[KEY_prof_prefix];
    char *buffer = is_prefix ? conf_buffers.prof_prefix : conf_buffers.log;
    size_t len = (size_t)(value.end - value.text);
    if (len > PATH_MAX - 1) {
        len = PATH_MAX - 1;
    }
    memcpy(buffer, value.text, len);
    buffer[len] = '\0';
    *(const char **)field_of(option) = buffer;
    return NULL;
}

/* Adds the known letters that are not there yet; anything else is dropped. */
static problem_t set_letters(const conf_option_t *option, conf_slice_t value)
{
    bool at_exit = option == &conf_options[KEY_stats_print_opts];
    char *letters = at_exit ? conf_buffers.stats_print_opts
                            : conf_buffers.stats_interval_opts;
    size_t n = strlen(letters);
    for (const char *p = value.text; p < value.end; p++) {
        if (strchr(STATS_LETTERS, *p) != NULL && strchr(letters, *p) == NULL) {
            letters[n++] = *p;
            letters[n] = '\0';
        }
    }
    return NULL;
}

/* The largest size that the option can speak about. */
static size_t ranges_size_max(const conf_option_t *option)
{
    bool caches = option == &conf_options[KEY_tcache_ncached_max];
    return caches ? TCACHE_MAX_LIMIT : SC_SMALL_MAX;
}

/* False: the segment is wrong. One beyond all sizes is dropped. */
static bool add_segment(const conf_option_t *option, conf_segment_t segment)
{
    size_t size_max = ranges_size_max(option);
    uint64_t min = (uint64_t)option->min;
    bool outside = segment.count < min || segment.count > option->max;
    if (outside && !option->clips) {
        return false;
    }
    if (segment.start > size_max) {
        return true;
    }
    conf_ranges_t *ranges = field_of(option);
    if (ranges->n == CONF_RANGES_MAX) {
        log_printf("<jemalloc>: option %s holds at most %d ranges\n",
            option->name, CONF_RANGES_MAX);
        return false;
    }
    if (outside) {
        segment.count = segment.count < min ? min : option->max;
    }
    ranges->seg[ranges->n++] = (conf_range_t){.start = (size_t)segment.start,
        .end = segment.end < size_max ? (size_t)segment.end : size_max,
        .count = (size_t)segment.count};
    return true;
}

static problem_t set_ranges(const conf_option_t *option, conf_slice_t value)
{
    do {
        conf_segment_t segment;
        if (!conf_value_segment(&value, &segment) ||
            !add_segment(option, segment)) {
            return bad_ranges;
        }
    } while (value.text < value.end);
    return NULL;
}

/* The few words that stand for a number or a list. */
static bool set_by_word(const conf_option_t *option, conf_slice_t value)
{
    switch (option - conf_options) {
    case KEY_narenas:
        if (conf_slice_is(value, "default")) {
            conf_opt_storage.narenas = 0;
            return true;
        }
        return false;
    case KEY_slab_sizes:
        if (conf_slice_is(value, "default")) {
            conf_opt_storage.slab_sizes.n = 0;
            return true;
        }
        return false;
    case KEY_hpa_dirty_mult:
        if (conf_slice_is(value, "-1")) {
            conf_opt_storage.hpa_dirty_mult = UINT32_MAX;
            return true;
        }
        return false;
    default:
        return false;
    }
}

static problem_t set(const conf_option_t *option, conf_slice_t value)
{
    if (set_by_word(option, value)) {
        return NULL;
    }
    switch (option->type) {
    case CONF_TYPE_BOOL:
        return set_bool(option, value);
    case CONF_TYPE_SIZE:
    case CONF_TYPE_UNSIGNED:
    case CONF_TYPE_U64:
        return set_unsigned(option, value);
    case CONF_TYPE_SSIZE:
    case CONF_TYPE_I64:
        return set_signed(option, value);
    case CONF_TYPE_RATIO:
        return set_ratio(option, value);
    case CONF_TYPE_ENUM:
        return set_enum(option, value);
    case CONF_TYPE_TEXT:
        return set_text(option, value);
    case CONF_TYPE_LETTERS:
        return set_letters(option, value);
    case CONF_TYPE_RANGES:
        return set_ranges(option, value);
    }
    return invalid_value;
}

static size_t lower_background_threads(size_t wanted)
{
    if (wanted > state.background_threads_limit) {
        wanted = state.background_threads_limit;
    }
    state.background_threads_limit = wanted;
    return wanted < CONF_BACKGROUND_THREADS_START
               ? wanted
               : CONF_BACKGROUND_THREADS_DEFAULT;
}

/* What a new value of one option means for itself and others. */
static void follow(const conf_option_t *option)
{
    conf_opt_t *o = &conf_opt_storage;
    switch (option - conf_options) {
    case KEY_junk:
        o->junk_alloc = o->junk == CONF_JUNK_TRUE || o->junk == CONF_JUNK_ALLOC;
        o->junk_free = o->junk == CONF_JUNK_TRUE || o->junk == CONF_JUNK_FREE;
        break;
    case KEY_background_thread:
        o->background_thread_set = true;
        break;
    case KEY_debug_double_free_max_scan:
        if (!config_debug) {
            o->debug_double_free_max_scan = 0;
        }
        break;
    case KEY_oversize_threshold:
        /* Small blocks never leave their arena, so this switches it off. */
        if (o->oversize_threshold < SC_LARGE_MIN) {
            o->oversize_threshold = 0;
        }
        break;
    case KEY_max_background_threads:
        o->max_background_threads =
            lower_background_threads(o->max_background_threads);
        break;
    case KEY_lg_tcache_max:
        o->tcache_max = (size_t)1 << o->lg_tcache_max;
        break;
    case KEY_lg_san_uaf_align:
        /* Only whole pages can be told apart cheaply; -1 is off. */
        if (o->lg_san_uaf_align >= 0 && o->lg_san_uaf_align < LG_PAGE) {
            o->lg_san_uaf_align = LG_PAGE;
        }
        break;
    default:
        break;
    }
}

static void suggest(conf_slice_t key)
{
    unsigned best = SUGGEST_DISTANCE_MAX + 1;
    const char *name = NULL;
    for (unsigned i = 0; i < conf_options_count; i++) {
        const char *text = conf_options[i].name;
        conf_slice_t known = {text, text + strlen(text)};
        unsigned distance = conf_value_distance(key, known);
        if (distance < best) {
            best = distance;
            name = text;
        }
    }
    if (name != NULL && 3 * best <= (unsigned)slice_length(key)) {
        log_printf("<jemalloc>: did you mean \"%s\"?\n", name);
    }
}

/* Experiments come and go, so one that is missing stops nobody. */
static bool is_experimental(conf_slice_t key)
{
    static const char prefix[] = "experimental_";
    size_t len = sizeof(prefix) - 1;
    return (size_t)(key.end - key.text) >= len &&
           memcmp(key.text, prefix, len) == 0;
}

static bool is_withdrawn(conf_slice_t key)
{
    size_t count = sizeof(withdrawn_keys) / sizeof(withdrawn_keys[0]);
    for (size_t i = 0; i < count; i++) {
        if (conf_slice_is(key, withdrawn_keys[i])) {
            return true;
        }
    }
    return false;
}

static void apply_unknown(const pair_t *pair)
{
    say_pair("Invalid conf pair", pair);
    if (is_withdrawn(pair->key)) {
        return;
    }
    suggest(pair->key);
    if (!is_experimental(pair->key)) {
        state.had_error = true;
    }
}

static void say_problem(
    problem_t problem, const conf_option_t *option, const pair_t *pair)
{
    if (problem == bad_ranges) {
        log_printf("<jemalloc>: %s %s: %.*s:%.*s\n", problem, option->name,
            slice_length(pair->key), pair->key.text, slice_length(pair->value),
            pair->value.text);
        return;
    }
    say_pair(problem, pair);
    if (problem == bad_dss) {
        say_pair(invalid_value, pair);
    }
}

static void apply(const pair_t *pair)
{
    size_t len = (size_t)(pair->key.end - pair->key.text);
    const conf_option_t *option = conf_option_find(pair->key.text, len);
    if (option == NULL) {
        apply_unknown(pair);
        return;
    }
    problem_t problem = set(option, pair->value);
    if (problem != NULL) {
        say_problem(problem, option, pair);
        state.had_error |= !is_experimental(pair->key);
        return;
    }
    follow(option);
    if (opt.confirm_conf) {
        say_pair("-- Set conf value", pair);
    }
    if (option->ignored) {
        log_printf("<jemalloc>: option %s is accepted but has no effect: %s\n",
            option->name, option->reason);
    }
}

static bool is_key_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c >= '0' && c <= '9') || c == '_';
}

static void format_error(const char *what, const char *text, const char *end)
{
    log_printf("<jemalloc>: %s -- %.*s\n", what,
        slice_length((conf_slice_t){text, end}), text);
    state.had_error = true;
}

/* Cuts the next pair off; false at the end, or where no pair can be seen. */
static bool next_pair(const char **cursor, pair_t *pair)
{
    const char *p = *cursor;
    if (*p == '\0') {
        return false;
    }
    pair->key.text = p;
    while (is_key_char(*p)) {
        p++;
    }
    pair->key.end = p;
    if (*p == '\0') {
        format_error("Conf string ends with key", pair->key.text, p);
        return false;
    }
    if (*p++ != ':') {
        ptrdiff_t len = p - pair->key.text;
        format_error("Malformed conf string", pair->key.text,
            pair->key.text + (len < QUOTE_MAX ? len : QUOTE_MAX));
        return false;
    }
    pair->value.text = p;
    p += strcspn(p, ",");
    pair->value.end = p;
    if (*p == ',') {
        p++;
        if (*p == '\0') {
            format_error("Conf string ends with comma", pair->key.text, p);
        }
    }
    *cursor = p;
    return true;
}

static void check_abort(void)
{
    if (opt.abort_conf && state.had_error) {
        log_write("<jemalloc>: Abort (abort_conf:true) on invalid conf value "
                  "(see above).\n");
        abort();
    }
}

/* Pass one: only confirm_conf counts; its mistakes are for pass two. */
static void find_confirm(const char *text)
{
    pair_t pair;
    while (next_pair(&text, &pair)) {
        if (conf_slice_is(pair.key, "confirm_conf")) {
            set_bool(&conf_options[KEY_confirm_conf], pair.value);
        }
    }
    check_abort();
}

/* Pass two. */
static void apply_source(unsigned i, const char *text)
{
    if (opt.confirm_conf) {
        log_printf("<jemalloc>: malloc_conf #%u (%s): \"%s\"\n", i + 1,
            source_names[i], text != NULL ? text : "");
    }
    if (text == NULL) {
        return;
    }
    pair_t pair;
    while (next_pair(&text, &pair)) {
        apply(&pair);
    }
    check_abort();
}

int conf_boot(const conf_sources_t *sources)
{
    state.sources = *sources;
    bool any = false;
    for (unsigned i = 0; i < CONF_SOURCES; i++) {
        const char *text = sources->text[i];
        if (text != NULL && *text != '\0') {
            any = true;
            find_confirm(text);
        }
    }
    for (unsigned i = 0; any && i < CONF_SOURCES; i++) {
        apply_source(i, sources->text[i]);
    }
    return 0;
}

static const char *read_symlink(void)
{
    int saved_errno = errno;
    ssize_t len = readlink("/etc/" CONFIG_PREFIX "malloc.conf",
        conf_buffers.symlink, sizeof(conf_buffers.symlink) - 1);
    errno = saved_errno;
    if (len < 0) {
        return NULL;
    }
    conf_buffers.symlink[len] = '\0';
    return conf_buffers.symlink;
}

static const char *read_environment(void)
{
    static const char name[] = CONFIG_PREFIX_UPPER "MALLOC_CONF";
    return config_force_getenv ? getenv(name) : secure_getenv(name);
}

void conf_collect(
    conf_sources_t *out, const char *global, const char *global_harder)
{
    out->text[CONF_SOURCE_CONFIGURE] = CONFIG_MALLOC_CONF;
    out->text[CONF_SOURCE_GLOBAL] = global;
    out->text[CONF_SOURCE_SYMLINK] = config_user_config ? read_symlink() : NULL;
    out->text[CONF_SOURCE_ENVIRONMENT] =
        config_user_config ? read_environment() : NULL;
    out->text[CONF_SOURCE_GLOBAL_HARDER] = global_harder;
}

const char *conf_source_text(unsigned i)
{
    return i < CONF_SOURCES ? state.sources.text[i] : NULL;
}

void conf_resolve_narenas(unsigned narenas)
{
    conf_opt_storage.narenas = narenas;
}

void conf_resolve_percpu_arena(conf_percpu_arena_t mode)
{
    conf_opt_storage.percpu_arena = mode;
}

void conf_resolve_thp(conf_thp_t mode)
{
    conf_opt_storage.thp = mode;
}

void conf_resolve_background_thread(bool on)
{
    conf_opt_storage.background_thread = on;
}

const conf_option_t *conf_option_find(const char *name, size_t len)
{
    conf_slice_t key = {name, name + len};
    for (unsigned i = 0; i < conf_options_count; i++) {
        if (conf_slice_is(key, conf_options[i].name)) {
            return &conf_options[i];
        }
    }
    return NULL;
}

const char *conf_option_word(const conf_option_t *option)
{
    unsigned i;
    memcpy(&i, option->field, sizeof(i));
    return option->words[i];
}

void conf_reset_for_test(const conf_opt_t *values)
{
    memset(&conf_buffers, 0, sizeof(conf_buffers));
    memset(&state, 0, sizeof(state));
    state.background_threads_limit = CONF_BACKGROUND_THREADS_START;
    conf_opt_storage = *values;
}
