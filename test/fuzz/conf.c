/*
 * What: any five texts as option sources. Nothing may crash, every message
 * must be a whole line of ours, and every option must stay in its range.
 *
 * Invariants: (I1) the input is cut at its newlines into the five sources;
 * (I2) abort_conf, and the presets that set it, are taken out of the input,
 * because aborting is right then.
 *
 * Locking: none.
 *
 * Run as replay.h says.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "conf/conf_boot.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "conf/limits.h"
#include "os/log.h"
#include "replay.h"

#define INPUT_MAX 4096
#define ROUNDS    20000

static conf_opt_t pristine;
static log_message_fn_t variable;
static char input[INPUT_MAX + 1];
static char messages[8 * LOG_MESSAGE_MAX];

static void hear(void *opaque, const char *text)
{
    static const char start[] = "<jemalloc>: ";
    size_t len = strlen(text);
    replay_check(opaque == NULL, "the opaque pointer is NULL");
    replay_check(
        strncmp(text, start, sizeof(start) - 1) == 0, "messages are marked");
    replay_check(len == LOG_MESSAGE_MAX - 1 || text[len - 1] == '\n',
        "messages are lines");
    strncat(messages, text, sizeof(messages) - strlen(messages) - 1);
}

static void check_unsigned(const conf_option_t *o, uint64_t value)
{
    uint64_t min = (uint64_t)o->min;
    /* Both read 0 for "off" or "automatic" below their range. */
    bool zero = value == 0 && (o->field == &opt.narenas ||
                                  o->field == &opt.oversize_threshold);
    replay_check(zero || (value >= min && value <= o->max), o->name);
}

static void check_signed(const conf_option_t *o, int64_t value)
{
    replay_check(value >= o->min && value <= (int64_t)o->max, o->name);
}

static void check_ranges(const conf_option_t *o)
{
    const conf_ranges_t *ranges = o->field;
    replay_check(ranges->n <= CONF_RANGES_MAX, o->name);
    for (unsigned i = 0; i < ranges->n; i++) {
        const conf_range_t *seg = &ranges->seg[i];
        replay_check(seg->start <= seg->end, o->name);
        replay_check(seg->end <= TCACHE_MAX_LIMIT, o->name);
        check_unsigned(o, seg->count);
    }
}

static void check_letters(const conf_option_t *o)
{
    const char *letters = *(const char *const *)o->field;
    size_t len = strlen(letters);
    replay_check(strspn(letters, "Jgmdablxehr") == len, o->name);
    for (size_t i = 0; i < len; i++) {
        replay_check(strchr(letters, letters[i]) == &letters[i], o->name);
    }
}

static void check_enum(const conf_option_t *o)
{
    unsigned value = *(const unsigned *)o->field;
    for (unsigned i = 0; i <= value; i++) {
        replay_check(o->words[i] != NULL, o->name);
        if (o->words[i] == NULL) {
            return;
        }
    }
    replay_check(strchr(o->words[value], ' ') == NULL, o->name);
}

static void check_option(const conf_option_t *o)
{
    switch (o->type) {
    case CONF_TYPE_BOOL: {
        unsigned char byte;
        memcpy(&byte, o->field, 1);
        replay_check(byte <= 1, o->name);
        break;
    }
    case CONF_TYPE_SIZE:
        check_unsigned(o, *(const size_t *)o->field);
        break;
    case CONF_TYPE_UNSIGNED:
        check_unsigned(o, *(const unsigned *)o->field);
        break;
    case CONF_TYPE_U64:
        check_unsigned(o, *(const uint64_t *)o->field);
        break;
    case CONF_TYPE_RATIO:
        check_unsigned(o, *(const uint32_t *)o->field);
        break;
    case CONF_TYPE_SSIZE:
        check_signed(o, *(const ssize_t *)o->field);
        break;
    case CONF_TYPE_I64:
        check_signed(o, *(const int64_t *)o->field);
        break;
    case CONF_TYPE_ENUM:
        check_enum(o);
        break;
    case CONF_TYPE_TEXT:
        replay_check(
            strchr(*(const char *const *)o->field, ',') == NULL, o->name);
        break;
    case CONF_TYPE_LETTERS:
        check_letters(o);
        break;
    case CONF_TYPE_SIGNAL: {
        unsigned signal = *(const unsigned *)o->field;
        replay_check(signal <= 64 && signal != 9, o->name);
        break;
    }
    case CONF_TYPE_RANGES:
        check_ranges(o);
        break;
    }
}

/* The value as text, in buffers that are too small for most of them. */
static void check_text(const conf_option_t *o)
{
    static const uint8_t sizes[] = {1, 2, 7, 60};
    char buf[64];
    for (size_t i = 0; i < sizeof(sizes); i++) {
        memset(buf, '#', sizeof(buf));
        const char *text = conf_option_text(o, buf, sizes[i]);
        replay_check(text != buf || strlen(buf) < sizes[i], o->name);
        replay_check(buf[sizes[i]] == '#', o->name);
    }
}

/* Copies the input, cuts it into sources and takes out what aborts (I2). */
static void make_sources(
    conf_sources_t *sources, const uint8_t *data, size_t size)
{
    size = size < INPUT_MAX ? size : INPUT_MAX;
    memcpy(input, data, size);
    input[size] = '\0';
    for (size_t i = 0; i < size; i++) {
        input[i] = input[i] != '\0' ? input[i] : '0';
    }
    static const char *const fatal[] = {
        "abort_conf", "profile:debug", "profile:hardened"};
    for (size_t i = 0; i < sizeof(fatal) / sizeof(fatal[0]); i++) {
        for (char *p = input; (p = strstr(p, fatal[i])) != NULL;) {
            *p = 'A';
        }
    }
    char *rest = input;
    for (unsigned i = 0; i < CONF_SOURCES; i++) {
        sources->text[i] = strsep(&rest, "\n");
    }
}

static void boot(const conf_sources_t *sources)
{
    conf_opt_t values = pristine;
    values.abort_conf = false;
    conf_reset_for_test(&values);
    messages[0] = '\0';
    errno = 1234;
    replay_check(conf_boot(sources) == 0, "boot succeeds");
    replay_check(errno == 1234, "errno is kept");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char first[sizeof(messages)];
    static bool booted;
    if (!booted) {
        booted = true;
        pristine = opt;
        variable = hear;
        log_boot(&variable);
    }
    conf_sources_t sources;
    make_sources(&sources, data, size);
    boot(&sources);
    for (unsigned i = 0; i < conf_options_count; i++) {
        check_option(&conf_options[i]);
        check_text(&conf_options[i]);
    }
    strcpy(first, messages);
    boot(&sources);
    replay_check(strcmp(first, messages) == 0, "the same input says the same");
    return 0;
}

#ifndef JE_LIBFUZZER

/* A known key, a value of any kind, more often than not one that suits. */
static size_t put_pair(uint8_t *data, size_t size)
{
    static const char *const values[] = {"", "true", "-1", "0", "1", "010",
        "0x7fffffffffffffff", "18446744073709551615", "0.5", "1.", "none",
        "default", "8-64:4|128-14336:2", "1-99999:0|", "USR1", "RTMIN+3",
        "RTMAX-31", "Jgx", "0.999999999999999999999", "65535.9"};
    const conf_option_t *option =
        &conf_options[replay_below(conf_options_count)];
    const char *value = values[replay_below(sizeof(values) / sizeof(*values))];
    if (option->words != NULL && replay_below(4) != 0) {
        unsigned count = 0;
        while (option->words[count] != NULL) {
            count++;
        }
        value = option->words[replay_below(count)];
    }
    int n = snprintf(
        (char *)data + size, INPUT_MAX - size, ",%s:%s", option->name, value);
    return size + (size_t)n < INPUT_MAX ? size + (size_t)n : size;
}

/* Changes a byte, swaps a tail for another input's, or adds a pair. */
static size_t mutate(uint8_t *data, size_t size)
{
    static const char bytes[] = "0123456789,:|-. x\n_ae";
    size_t at = replay_below(size + 1);
    switch (replay_below(4)) {
    case 0:
        data[at < INPUT_MAX ? at : 0] = (uint8_t)replay_below(256);
        return at == size && size < INPUT_MAX ? size + 1 : size;
    case 1:
        data[at < INPUT_MAX ? at : 0] =
            (uint8_t)bytes[replay_below(sizeof(bytes) - 1)];
        return at == size && size < INPUT_MAX ? size + 1 : size;
    case 2:
        return replay_splice(data, at);
    default:
        return put_pair(data, at);
    }
}

static size_t make(uint8_t *data)
{
    size_t size = replay_pick(data);
    for (size_t n = replay_below(8) + 1; n > 0; n--) {
        size = mutate(data, size);
    }
    return size;
}

int main(int argc, char **argv)
{
    static const replay_target_t target = {
        .name = "conf", .input_max = INPUT_MAX, .rounds = ROUNDS, .make = make};
    return replay_main(argc, argv, &target);
}

#endif
