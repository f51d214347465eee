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

/* A suggestion may differ by this much, and by a third of the word. */
#define SUGGEST_DISTANCE_MAX 2

/* Keys of other versions: reported like unknown ones, but not an error. */
static const char *const withdrawn_keys[] = {
    "hpa_sec_bytes_after_flush", "hpa_sec_batch_fill_extra"};

const char conf_invalid_value[] = "Invalid conf value";
const char conf_out_of_range[] = "Out-of-range conf value";
const char conf_bad_ranges[] = "Invalid settings for";
const char conf_bad_dss[] = "Error setting dss";

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

bool conf_is_experimental(conf_slice_t key)
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

bool conf_say_unknown(const conf_pair_t *pair)
{
    conf_say_pair("Invalid conf pair", pair);
    if (is_withdrawn(pair->key)) {
        return true;
    }
    suggest(pair->key);
    return conf_is_experimental(pair->key);
}

void conf_say_problem(conf_problem_t problem, const conf_option_t *option,
    const conf_pair_t *pair)
{
    if (problem == conf_bad_ranges) {
        log_printf("<jemalloc>: %s %s: %.*s:%.*s\n", problem, option->name,
            slice_length(pair->key), pair->key.text, slice_length(pair->value),
            pair->value.text);
        return;
    }
    conf_say_pair(problem, pair);
    if (problem == conf_bad_dss) {
        conf_say_pair(conf_invalid_value, pair);
    }
}

void conf_say_ignored(const conf_option_t *option)
{
    log_printf("<jemalloc>: option %s is accepted but has no effect: %s\n",
        option->name, option->reason);
}

void conf_say_format(const char *what, const char *text, const char *end)
{
    log_printf("<jemalloc>: %s -- %.*s\n", what,
        slice_length((conf_slice_t){text, end}), text);
}
