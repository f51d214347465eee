/*
 * What: see conf_boot.h. Pairs of key and value are cut from each source,
 * matched with a row of options.def, checked and stored. Pass one looks for
 * confirm_conf alone, so that pass two can echo everything.
 *
 * Invariants: (I1) a mistake costs the pair it is in, or, where the end of
 * the pair cannot be known, the rest of its source; (I2) less than 5 KiB of
 * stack, most of it the buffer of log_printf: threads may have as little as
 * 16 KiB.
 *
 * Locking: none, see conf.h.
 */
#ifndef _GNU_SOURCE
#    define _GNU_SOURCE /* secure_getenv */
#endif
#include "conf/conf_boot.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf/conf_set.h"
#include "os/log.h"

/* Longest piece of a malformed text that a message quotes. */
#define QUOTE_MAX 64

static struct {
    conf_sources_t sources;
    /* Who set each option last: a source counted from 1, or nobody (0). */
    struct {
        uint8_t source;
        uint8_t profile;
    } now, set_by[CONF_KEY_COUNT];
    char symlink[PATH_MAX + 1];
    bool had_error;
} state;

static const char *const source_names[CONF_SOURCES] = {
    "string specified via --with-malloc-conf",
    "string pointed to by the global variable malloc_conf",
    ("\"name\" of the file referenced by the symbolic link named "
     "/etc/malloc.conf"),
    "value of the environment variable MALLOC_CONF",
    "string pointed to by the global variable malloc_conf_2_conf_harder",
};

static const char *const presets[] = {
    "",
#define PRESET(name, word, help, pairs) pairs,
#include "conf/presets.def"
};

static const char *const hardened_levels[] = {
#define HARDENED_LEVEL(pairs) pairs,
#include "conf/presets.def"
};

static void apply_text(const char *text);

static void apply(const conf_pair_t *pair)
{
    size_t len = (size_t)(pair->key.end - pair->key.text);
    const conf_option_t *option = conf_option_find(pair->key.text, len);
    if (option == NULL) {
        bool tolerated = conf_say_unknown(pair);
        state.had_error |= !tolerated;
        return;
    }
    conf_problem_t problem = conf_set(option, pair->value);
    if (problem != NULL) {
        conf_say_problem(problem, option, pair);
        state.had_error |= !conf_is_experimental(pair->key);
        return;
    }
    if (opt.confirm_conf) {
        conf_say_pair("-- Set conf value", pair);
    }
    conf_say_ignored(option);
    state.set_by[option - conf_options] = state.now;
    if (option->field == &opt.hardened) {
        apply_text(hardened_levels[opt.hardened]);
    }
    if (option->field == &opt.profile) {
        state.now.profile = (uint8_t)opt.profile;
        apply_text(presets[opt.profile]);
        state.now.profile = CONF_PROFILE_NONE;
    }
}

static bool is_key_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c >= '0' && c <= '9') || c == '_';
}

static void format_error(const char *what, const char *text, const char *end)
{
    conf_say_format(what, text, end);
    state.had_error = true;
}

/* Cuts the next pair off; false at the end, or where no pair can be seen. */
static bool next_pair(const char **cursor, conf_pair_t *pair)
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

/* A preset may name a level of hardening: three levels deep at most. */
static void apply_text(const char *text)
{
    conf_pair_t pair;
    while (next_pair(&text, &pair)) {
        apply(&pair);
    }
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
    conf_pair_t pair;
    while (next_pair(&text, &pair)) {
        if (conf_slice_is(pair.key, "confirm_conf")) {
            (void)conf_set(&conf_options[CONF_KEY_confirm_conf], pair.value);
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
    state.now.source = (uint8_t)(i + 1);
    apply_text(text);
    check_abort();
}

static void say_in_force(void)
{
    for (unsigned i = 0; opt.confirm_conf && i < conf_options_count; i++) {
        unsigned source = state.set_by[i].source;
        if (source != 0) {
            conf_say_in_force(&conf_options[i], state.set_by[i].profile, source,
                source_names[source - 1]);
        }
    }
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
    state.had_error |= !conf_set_finish();
    check_abort();
    say_in_force();
    return 0;
}

static const char *read_symlink(void)
{
    int saved_errno = errno;
    ssize_t len = readlink("/etc/" CONFIG_PREFIX "malloc.conf", state.symlink,
        sizeof(state.symlink) - 1);
    errno = saved_errno;
    if (len < 0) {
        return NULL;
    }
    state.symlink[len] = '\0';
    return state.symlink;
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

void conf_reset_for_test(const conf_opt_t *values)
{
    memset(&state, 0, sizeof(state));
    conf_set_reset_for_test(values);
}
