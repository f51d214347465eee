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
