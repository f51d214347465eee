/*
 * What: see conf_say.h.
 *
 * Invariants: as there.
 *
 * Locking: none.
 */
#include "conf/conf_say.h"

#include <limits.h>
#include <string.h>

#include "os/log.h"
#include "util/format.h"

/* A suggestion may differ by this much, and by a third of the word. */
#define SUGGEST_DISTANCE_MAX 3

/* So much of an option's name may stand for the whole in a suggestion. */
#define SUGGEST_PREFIX_MIN 4

/* Longest description of what an option takes. */
#define WANTED_MAX 256

/* Keys that nothing knows any more. */
static const struct {
    const char *key;
    const char *instead;
    bool tolerated;
} withdrawn[] = {
#define OPTION(kind, name, value, min, max, rule, status, ctl, ignored, help)
#define WITHDRAWN(name, is_tolerated, what)                                    \
    {.key = #name, .instead = what, .tolerated = is_tolerated},
#include "conf/options.def"
};

const char conf_invalid_value[] = "Invalid conf value";
const char conf_out_of_range[] = "Out-of-range conf value";
const char conf_bad_ranges[] = "Invalid settings for";
const char conf_bad_dss[] = "Error setting dss";
const char conf_no_thp[] = "No THP support";

static int slice_length(conf_slice_t slice)
{
    ptrdiff_t len = slice.end - slice.text;
    return len < INT_MAX ? (int)len : INT_MAX;
}

void conf_say_pair(const char *what, const conf_pair_t *pair)
{
    log_printf("<jemalloc>: %s: %.*s:%.*s\n", what, slice_length(pair->key),
        pair->key.text, slice_length(pair->value), pair->value.text);
}

/* The shortest name that begins with the key. */
static const char *completed(conf_slice_t key)
{
    size_t len = (size_t)(key.end - key.text);
    const char *name = NULL;
    for (unsigned i = 0; len >= SUGGEST_PREFIX_MIN && i < conf_options_count;
         i++) {
        const char *text = conf_options[i].name;
        if (strncmp(text, key.text, len) == 0 &&
            (name == NULL || strlen(text) < strlen(name))) {
            name = text;
        }
    }
    return name;
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
    if (name == NULL || 3 * best > (unsigned)slice_length(key)) {
        name = completed(key);
    }
    if (name != NULL) {
        log_printf("<jemalloc>: did you mean \"%s\"?\n", name);
    }
}

bool conf_is_experimental(conf_slice_t key)
{
    static const char prefix[] = "experimental_";
    size_t len = sizeof(prefix) - 1;
    return (size_t)(key.end - key.text) >= len &&
           memcmp(key.text, prefix, len) == 0;
}

bool conf_say_unknown(const conf_pair_t *pair)
{
    conf_say_pair("Invalid conf pair", pair);
    for (size_t i = 0; i < sizeof(withdrawn) / sizeof(withdrawn[0]); i++) {
        if (conf_slice_is(pair->key, withdrawn[i].key)) {
            log_printf("<jemalloc>: option %s was withdrawn: %s\n",
                withdrawn[i].key, withdrawn[i].instead);
            return withdrawn[i].tolerated;
        }
    }
    suggest(pair->key);
    return conf_is_experimental(pair->key);
}

/* Few numbers have an upper limit that anybody could meet. */
static void describe_number(
    const conf_option_t *option, uint64_t limit, char *buf)
{
    const char *word = option->field == &opt.narenas ? ", or default" : "";
    if (option->max < limit) {
        (void)format_print(buf, WANTED_MAX,
            "a whole number from %jd to %ju, without a unit%s",
            (intmax_t)option->min, (uintmax_t)option->max, word);
    } else {
        (void)format_print(buf, WANTED_MAX,
            "a whole number, at least %jd, without a unit%s",
            (intmax_t)option->min, word);
    }
}

static void describe_words(const conf_option_t *option, char *buf)
{
    size_t len = 0;
    for (unsigned i = 0; option->words[i] != NULL && len < WANTED_MAX; i++) {
        if (strchr(option->words[i], ' ') != NULL) {
            continue; /* for reports alone */
        }
        bool last = option->words[i + 1] == NULL ||
                    strchr(option->words[i + 1], ' ') != NULL;
        len += format_print(buf + len, WANTED_MAX - len, "%s%s",
            i == 0 ? ""
            : last ? " or "
                   : ", ",
            option->words[i]);
    }
}

static void describe_ranges(const conf_option_t *option, char *buf)
{
    size_t len =
        format_print(buf, WANTED_MAX, "SIZE-SIZE:COUNT, several joined by |");
    if (option->max < SIZE_MAX) {
        (void)format_print(buf + len, WANTED_MAX - len,
            ", each COUNT from %jd to %ju", (intmax_t)option->min,
            (uintmax_t)option->max);
    }
}

static void describe_ratio(const conf_option_t *option, char *buf)
{
    bool has_never = option->field == &opt.hpa_dirty_mult;
    (void)format_print(buf, WANTED_MAX, "a number such as 0.25%s%s",
        option->max == 1U << 16 ? ", at most 1" : ", below 65536",
        has_never ? ", or -1" : "");
}

/* What the option takes, to follow that word. */
static void describe(const conf_option_t *option, char *buf)
{
    switch (option->type) {
    case CONF_TYPE_BOOL:
        (void)format_print(buf, WANTED_MAX, "true or false");
        break;
    case CONF_TYPE_UNSIGNED:
        describe_number(option, UINT_MAX, buf);
        break;
    case CONF_TYPE_SIZE:
    case CONF_TYPE_U64:
        describe_number(option, SIZE_MAX, buf);
        break;
    case CONF_TYPE_SSIZE:
    case CONF_TYPE_I64:
        describe_number(option, PTRDIFF_MAX, buf);
        break;
    case CONF_TYPE_RATIO:
        describe_ratio(option, buf);
        break;
    case CONF_TYPE_ENUM:
        describe_words(option, buf);
        break;
    case CONF_TYPE_SIGNAL:
        (void)format_print(buf, WANTED_MAX,
            "a signal that a program may handle, such as USR1, 10 or "
            "RTMIN+3, or none");
        break;
    case CONF_TYPE_RANGES:
        describe_ranges(option, buf);
        break;
    case CONF_TYPE_TEXT:
    case CONF_TYPE_LETTERS:
        (void)format_print(buf, WANTED_MAX, "a text without comma");
        break;
    }
}

void conf_say_problem(conf_problem_t problem, const conf_option_t *option,
    const conf_pair_t *pair)
{
    if (problem == conf_bad_ranges) {
        log_printf("<jemalloc>: %s %s: %.*s:%.*s\n", problem, option->name,
            slice_length(pair->key), pair->key.text, slice_length(pair->value),
            pair->value.text);
    } else {
        conf_say_pair(problem, pair);
    }
    if (problem == conf_no_thp) {
        return; /* the value is right, the kernel is not */
    }
    if (problem == conf_bad_dss) {
        conf_say_pair(conf_invalid_value, pair);
    }
    char wanted[WANTED_MAX];
    describe(option, wanted);
    log_printf("<jemalloc>: option %s takes %s\n", option->name, wanted);
}

void conf_say_ignored(const conf_option_t *option)
{
    const char *reason = option->reason;
    if (option->field == &opt.max_background_threads &&
        opt.max_background_threads != 1) {
        reason = "one thread serves all arenas";
    }
    if (reason != NULL) {
        log_printf("<jemalloc>: option %s is accepted but has no effect: %s\n",
            option->name, reason);
    }
}

void conf_say_in_force(const conf_option_t *option, conf_profile_t profile,
    unsigned number, const char *source)
{
    char value[WANTED_MAX];
    bool preset = profile != CONF_PROFILE_NONE;
    log_printf("<jemalloc>: -- In force: %s:%s, set by %s%s#%u (%s)\n",
        option->name, conf_option_text(option, value, sizeof(value)),
        preset ? conf_options[CONF_KEY_profile].words[profile] : "",
        preset ? " in " : "", number, source);
}

void conf_say_format(const char *what, const char *text, const char *end)
{
    log_printf("<jemalloc>: %s -- %.*s\n", what,
        slice_length((conf_slice_t){text, end}), text);
}
