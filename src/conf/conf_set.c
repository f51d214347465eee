/*
 * What: see conf_set.h.
 *
 * Invariants: as there.
 *
 * Locking: none.
 */
#include "conf/conf_set.h"

#include <limits.h>
#include <string.h>

#include "conf/limits.h"
#include "os/log.h"
#include "util/format.h"

/* Letters that malloc_stats_print knows; each may be given once. */
#define STATS_LETTERS "Jgmdablxehr"

/* What the pointers in `opt` point at when they hold set texts. */
static struct {
    char stats_print_opts[sizeof(STATS_LETTERS)];
    char stats_interval_opts[sizeof(STATS_LETTERS)];
    char prof_prefix[PATH_MAX];
    char prof_leak_suppressions[PATH_MAX];
    char log[PATH_MAX];
} texts;

/* max_background_threads can only go down from here. */
static size_t background_threads_limit = CONF_BACKGROUND_THREADS_START;

/* The row's field, for writing: options are written in this directory alone. */
static void *field_of(const conf_option_t *option)
{
    size_t offset =
        (size_t)((const char *)option->field - (const char *)&conf_opt_storage);
    return (char *)&conf_opt_storage + offset;
}

static conf_problem_t set_bool(const conf_option_t *option, conf_slice_t value)
{
    bool on = conf_slice_is(value, "true");
    if (!on && !conf_slice_is(value, "false")) {
        return conf_invalid_value;
    }
    *(bool *)field_of(option) = on;
    return NULL;
}

static conf_problem_t set_unsigned(
    const conf_option_t *option, conf_slice_t value)
{
    uint64_t number;
    bool negative;
    if (!format_parse_u64(value.text, value.end, &number, &negative)) {
        return conf_invalid_value;
    }
    uint64_t min = (uint64_t)option->min;
    if (number < min || number > option->max) {
        if (!option->clips) {
            return conf_out_of_range;
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

static conf_problem_t set_signed(
    const conf_option_t *option, conf_slice_t value)
{
    uint64_t bits;
    bool negative;
    if (!format_parse_u64(value.text, value.end, &bits, &negative)) {
        return conf_invalid_value;
    }
    /* The sign that was written must be the sign that 64 bits can hold. */
    bool fits = bits == 0 || negative == (bits >> 63 != 0);
    int64_t number = fits ? (int64_t)bits : (negative ? INT64_MIN : INT64_MAX);
    int64_t max = (int64_t)option->max;
    if (!fits || number < option->min || number > max) {
        if (!option->clips) {
            return conf_out_of_range;
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

static conf_problem_t set_ratio(const conf_option_t *option, conf_slice_t value)
{
    uint32_t ratio;
    if (!conf_value_ratio(value, &ratio)) {
        return conf_invalid_value;
    }
    if (ratio > option->max) {
        return conf_out_of_range;
    }
    *(uint32_t *)field_of(option) = ratio;
    return NULL;
}

/* Enumerations are read and written through their integer. */
static_assert(sizeof(conf_thp_t) == sizeof(unsigned), "an enum is an int");

static conf_problem_t set_enum(const conf_option_t *option, conf_slice_t value)
{
    unsigned i = 0;
    while (
        option->words[i] != NULL && !conf_slice_is(value, option->words[i])) {
        i++;
    }
    /* That huge pages are not supported is for the kernel to say. */
    bool reported_only = option->field == &opt.thp && i == CONF_THP_UNSUPPORTED;
    if (option->words[i] == NULL || reported_only) {
        return conf_invalid_value;
    }
    /* `auto` means where it can be had. */
    bool huge =
        (option->field == &opt.thp && i == CONF_THP_ALWAYS) ||
        (option->field == &opt.metadata_thp && i == CONF_METADATA_THP_ALWAYS);
    if (huge && !conf_has_thp()) {
        return conf_no_thp;
    }
    if (option->field == &opt.dss && !config_dss && i != CONF_DSS_DISABLED) {
        return conf_bad_dss;
    }
    memcpy(field_of(option), &i, sizeof(i));
    return NULL;
}

static conf_problem_t set_text(const conf_option_t *option, conf_slice_t value)
{
    char *buffer = option == &conf_options[CONF_KEY_prof_prefix]
                       ? texts.prof_prefix
                   : option == &conf_options[CONF_KEY_prof_leak_suppressions]
                       ? texts.prof_leak_suppressions
                       : texts.log;
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
static conf_problem_t set_letters(
    const conf_option_t *option, conf_slice_t value)
{
    bool at_exit = option == &conf_options[CONF_KEY_stats_print_opts];
    char *letters =
        at_exit ? texts.stats_print_opts : texts.stats_interval_opts;
    size_t n = strlen(letters);
    for (const char *p = value.text; p < value.end; p++) {
        if (strchr(STATS_LETTERS, *p) != NULL && strchr(letters, *p) == NULL) {
            letters[n++] = *p;
            letters[n] = '\0';
        }
    }
    *(const char **)field_of(option) = letters;
    return NULL;
}

static conf_problem_t set_signal(
    const conf_option_t *option, conf_slice_t value)
{
    return conf_value_signal(value, field_of(option)) ? NULL
                                                      : conf_invalid_value;
}

/* The largest size that the option can speak about. */
static size_t ranges_size_max(const conf_option_t *option)
{
    bool caches = option == &conf_options[CONF_KEY_tcache_ncached_max];
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

static conf_problem_t set_ranges(
    const conf_option_t *option, conf_slice_t value)
{
    do {
        conf_segment_t segment;
        if (!conf_value_segment(&value, &segment) ||
            segment.start > segment.end || !add_segment(option, segment)) {
            return conf_bad_ranges;
        }
    } while (value.text < value.end);
    return NULL;
}

/* The few words that stand for a number or a list. */
static bool set_by_word(const conf_option_t *option, conf_slice_t value)
{
    switch (option - conf_options) {
    case CONF_KEY_narenas:
        if (conf_slice_is(value, "default")) {
            conf_opt_storage.narenas = 0;
            return true;
        }
        return false;
    case CONF_KEY_slab_sizes:
        if (conf_slice_is(value, "default")) {
            conf_opt_storage.slab_sizes.n = 0;
            return true;
        }
        return false;
    case CONF_KEY_hpa_dirty_mult:
        if (conf_slice_is(value, "-1")) {
            conf_opt_storage.hpa_dirty_mult = UINT32_MAX;
            return true;
        }
        return false;
    case CONF_KEY_stats_signal:
        if (conf_slice_is(value, "none")) {
            conf_opt_storage.stats_signal = 0;
            return true;
        }
        return false;
    default:
        return false;
    }
}

static conf_problem_t store(const conf_option_t *option, conf_slice_t value)
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
    case CONF_TYPE_SIGNAL:
        return set_signal(option, value);
    case CONF_TYPE_RANGES:
        return set_ranges(option, value);
    }
    return conf_invalid_value;
}

static size_t lower_background_threads(size_t wanted)
{
    if (wanted > background_threads_limit) {
        wanted = background_threads_limit;
    }
    background_threads_limit = wanted;
    return wanted < CONF_BACKGROUND_THREADS_START
               ? wanted
               : CONF_BACKGROUND_THREADS_DEFAULT;
}

/* A 16.16 share of a huge page, as bytes, but a page at least. */
static size_t of_huge_page(uint32_t ratio)
{
    size_t bytes = (size_t)(((uint64_t)ratio * HUGEPAGE) >> 16);
    return bytes < PAGE ? PAGE : bytes;
}

/* What a new value of one option means for itself and others. */
static void follow(const conf_option_t *option)
{
    conf_opt_t *o = &conf_opt_storage;
    switch (option - conf_options) {
    case CONF_KEY_junk:
        o->junk_alloc = o->junk == CONF_JUNK_TRUE || o->junk == CONF_JUNK_ALLOC;
        o->junk_free = o->junk == CONF_JUNK_TRUE || o->junk == CONF_JUNK_FREE;
        break;
    case CONF_KEY_background_thread:
        o->background_thread_set = true;
        break;
    case CONF_KEY_debug_double_free_max_scan:
        if (!config_debug) {
            o->debug_double_free_max_scan = 0;
        }
        break;
    case CONF_KEY_oversize_threshold:
        /* Small blocks never leave their arena, so this switches it off. */
        if (o->oversize_threshold < SC_LARGE_MIN) {
            o->oversize_threshold = 0;
        }
        break;
    case CONF_KEY_max_background_threads:
        o->max_background_threads =
            lower_background_threads(o->max_background_threads);
        break;
    case CONF_KEY_hpa_hugification_threshold_ratio:
        o->hpa_hugification_threshold =
            of_huge_page(o->hpa_hugification_threshold_ratio);
        break;
    case CONF_KEY_hpa_purge_threshold_ratio:
        o->hpa_purge_threshold = of_huge_page(o->hpa_purge_threshold_ratio);
        break;
    case CONF_KEY_lg_tcache_max:
        o->tcache_max = (size_t)1 << o->lg_tcache_max;
        break;
    case CONF_KEY_lg_san_uaf_align:
        /* Only whole pages can be told apart cheaply; -1 is off. */
        if (o->lg_san_uaf_align >= 0 && o->lg_san_uaf_align < LG_PAGE) {
            o->lg_san_uaf_align = LG_PAGE;
        }
        break;
    default:
        break;
    }
}
conf_problem_t conf_set(const conf_option_t *option, conf_slice_t value)
{
    conf_problem_t problem = store(option, value);
    if (problem == NULL) {
        follow(option);
    }
    return problem;
}

bool conf_set_finish(void)
{
    conf_opt_t *o = &conf_opt_storage;
    bool fine = !o->prof_leak_error || o->prof_final;
    if (!fine) {
        log_write("<jemalloc>: prof_leak_error is set w/o prof_final.\n");
    }
    o->prof_leak |= o->prof_leak_error;
    /* Leaks alone are wanted then: no dump on the way. */
    if (o->prof_leak && !o->prof) {
        o->prof = true;
        o->prof_gdump = false;
        o->lg_prof_interval = -1;
    }
    return fine;
}

void conf_set_reset_for_test(const conf_opt_t *values)
{
    memset(&texts, 0, sizeof(texts));
    background_threads_limit = CONF_BACKGROUND_THREADS_START;
    conf_opt_storage = *values;
}
