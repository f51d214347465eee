/*
 * What: see conf.h. The values, with their defaults, and the rows of
 * options.def as a table.
 *
 * Invariants: as there.
 *
 * Locking: as there.
 */
#include "conf/conf.h"

#include <string.h>

#include "conf/conf_value.h"
#include "os/os.h"
#include "util/format.h"

conf_pages_t conf_pages = {.values = {
#define OPTION(kind, name, value, min, max, rule, status, ctl, ignored, help)  \
    .name = value,
#include "conf/options.def"
                               .junk_alloc = CONFIG_DEBUG,
                               .junk_free = CONFIG_DEBUG,
                           }};

bool conf_protect(void)
{
    return os_is_paged(&conf_pages, sizeof(conf_pages)) &&
           os_write_protect(&conf_pages, sizeof(conf_pages));
}

static const char *const words_profile[] = {"none",
#define PRESET(name, word, help, pairs) word,
#include "conf/presets.def"
    NULL};
static const char *const words_hardened[] = {"0", "1", "2", NULL};
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
static const char *const words_prof_dump_format[] = {
    "heap_v2", "pprof", "heap", NULL};

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
#define WORDS_SIGNAL(name)   NULL
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
#define CTYPE_SIGNAL   "unsigned"
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

void conf_resolve_narenas(unsigned narenas)
{
    conf_opt_storage.narenas = narenas;
}

void conf_resolve_percpu_arena(conf_percpu_arena_t mode)
{
    conf_opt_storage.percpu_arena = mode;
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
    if (option->field == &opt.thp && !conf_has_thp()) {
        i = CONF_THP_UNSUPPORTED;
    }
    return option->words[i];
}

/* Advice about no bytes at all is an error only where it is unknown. */
bool conf_has_thp(void)
{
    return os_advise_huge(NULL, 0, true);
}

/* Enough digits for any 16.16 fraction; all ones stand for -1. */
static void print_ratio(uint32_t ratio, char *buf, size_t size)
{
    if (ratio == UINT32_MAX) {
        (void)format_print(buf, size, "-1");
        return;
    }
    size_t len = format_print(buf, size, "%u", ratio >> 16);
    ratio &= 0xffff;
    for (bool first = true; ratio != 0 && len < size; first = false) {
        ratio *= 10;
        len += format_print(
            buf + len, size - len, "%s%u", first ? "." : "", ratio >> 16);
        ratio &= 0xffff;
    }
}

static void print_ranges(const conf_ranges_t *ranges, char *buf, size_t size)
{
    size_t len = 0;
    buf[0] = '\0';
    for (unsigned i = 0; i < ranges->n && len < size; i++) {
        const conf_range_t *seg = &ranges->seg[i];
        len += format_print(buf + len, size - len, "%s%zu-%zu:%zu",
            i > 0 ? "|" : "", seg->start, seg->end, seg->count);
    }
}

static void print_signal(unsigned signal, char *buf, size_t size)
{
    const char *name = signal == 0 ? "none" : conf_value_signal_name(signal);
    if (name != NULL) {
        (void)format_print(buf, size, "%s", name);
    } else {
        (void)format_print(buf, size, "%u", signal);
    }
}

const char *conf_option_text(
    const conf_option_t *option, char *buf, size_t size)
{
    const void *field = option->field;
    switch (option->type) {
    case CONF_TYPE_BOOL:
        return *(const bool *)field ? "true" : "false";
    case CONF_TYPE_SIZE:
        (void)format_print(buf, size, "%zu", *(const size_t *)field);
        return buf;
    case CONF_TYPE_SSIZE:
        (void)format_print(buf, size, "%zd", *(const ssize_t *)field);
        return buf;
    case CONF_TYPE_UNSIGNED:
        if (field == &opt.narenas && opt.narenas == 0) {
            return "default";
        }
        (void)format_print(buf, size, "%u", *(const unsigned *)field);
        return buf;
    case CONF_TYPE_U64:
        (void)format_print(
            buf, size, "%ju", (uintmax_t) * (const uint64_t *)field);
        return buf;
    case CONF_TYPE_I64:
        (void)format_print(
            buf, size, "%jd", (intmax_t) * (const int64_t *)field);
        return buf;
    case CONF_TYPE_RATIO:
        print_ratio(*(const uint32_t *)field, buf, size);
        return buf;
    case CONF_TYPE_ENUM:
        return conf_option_word(option);
    case CONF_TYPE_TEXT:
    case CONF_TYPE_LETTERS:
        return *(const char *const *)field;
    case CONF_TYPE_SIGNAL:
        print_signal(*(const unsigned *)field, buf, size);
        return buf;
    case CONF_TYPE_RANGES:
        print_ranges(field, buf, size);
        return buf;
    }
    return "";
}
