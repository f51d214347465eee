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
 * With libFuzzer: compile with -DJE_LIBFUZZER -fsanitize=fuzzer. Otherwise a
 * program that replays its corpus, or the files it is given, and then plays
 * with them: 20000 rounds, or ROUNDS, or T seconds, from the environment.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "conf/conf_boot.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "conf/limits.h"
#include "harness.h"
#include "os/log.h"

#define INPUT_MAX 4096
#define FILES_MAX 256
#define ROUNDS    20000

static conf_opt_t pristine;
static log_message_fn_t variable;
static char input[INPUT_MAX + 1];
static char messages[8 * LOG_MESSAGE_MAX];
static const char *complaint;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds, const char *what)
{
    if (!holds && complaint == NULL) {
        complaint = what;
    }
}

static void hear(void *opaque, const char *text)
{
    static const char start[] = "<jemalloc>: ";
    size_t len = strlen(text);
    check(opaque == NULL, "the opaque pointer is NULL");
    check(strncmp(text, start, sizeof(start) - 1) == 0, "messages are marked");
    check(len == LOG_MESSAGE_MAX - 1 || text[len - 1] == '\n',
        "messages are lines");
    strncat(messages, text, sizeof(messages) - strlen(messages) - 1);
}

static void check_unsigned(const conf_option_t *o, uint64_t value)
{
    uint64_t min = (uint64_t)o->min;
    /* Both read 0 for "off" or "automatic" below their range. */
    bool zero = value == 0 && (o->field == &opt.narenas ||
                                  o->field == &opt.oversize_threshold);
    check(zero || (value >= min && value <= o->max), o->name);
}

static void check_signed(const conf_option_t *o, int64_t value)
{
    check(value >= o->min && value <= (int64_t)o->max, o->name);
}

static void check_ranges(const conf_option_t *o)
{
    const conf_ranges_t *ranges = o->field;
    check(ranges->n <= CONF_RANGES_MAX, o->name);
    for (unsigned i = 0; i < ranges->n; i++) {
        const conf_range_t *seg = &ranges->seg[i];
        check(seg->start <= seg->end, o->name);
        check(seg->end <= TCACHE_MAX_LIMIT, o->name);
        check_unsigned(o, seg->count);
    }
}

static void check_letters(const conf_option_t *o)
{
    const char *letters = *(const char *const *)o->field;
    size_t len = strlen(letters);
    check(strspn(letters, "Jgmdablxehr") == len, o->name);
    for (size_t i = 0; i < len; i++) {
        check(strchr(letters, letters[i]) == &letters[i], o->name);
    }
}

static void check_enum(const conf_option_t *o)
{
    unsigned value = *(const unsigned *)o->field;
    for (unsigned i = 0; i <= value; i++) {
        check(o->words[i] != NULL, o->name);
        if (o->words[i] == NULL) {
            return;
        }
    }
    check(strchr(o->words[value], ' ') == NULL, o->name);
}

static void check_option(const conf_option_t *o)
{
    switch (o->type) {
    case CONF_TYPE_BOOL: {
        unsigned char byte;
        memcpy(&byte, o->field, 1);
        check(byte <= 1, o->name);
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
        check(strchr(*(const char *const *)o->field, ',') == NULL, o->name);
        break;
    case CONF_TYPE_LETTERS:
        check_letters(o);
        break;
    case CONF_TYPE_SIGNAL: {
        unsigned signal = *(const unsigned *)o->field;
        check(signal <= 64 && signal != 9, o->name);
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
        check(text != buf || strlen(buf) < sizes[i], o->name);
        check(buf[sizes[i]] == '#', o->name);
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
    check(conf_boot(sources) == 0, "boot succeeds");
    check(errno == 1234, "errno is kept");
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
    check(strcmp(first, messages) == 0, "the same input says the same");
#ifdef JE_LIBFUZZER
    if (complaint != NULL) {
        fprintf(stderr, "does not hold: %s\n", complaint);
        abort();
    }
#endif
    return 0;
}

#ifndef JE_LIBFUZZER

static struct {
    uint8_t data[INPUT_MAX];
    size_t size;
} files[FILES_MAX];
static size_t files_count;

static void load(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    REQUIRE(fd >= 0);
    REQUIRE(files_count < FILES_MAX);
    ssize_t size = read(fd, files[files_count].data, INPUT_MAX);
    close(fd);
    REQUIRE(size >= 0);
    files[files_count++].size = (size_t)size;
    LLVMFuzzerTestOneInput(files[files_count - 1].data, (size_t)size);
    if (complaint != NULL) {
        test_note("file %s", path);
    }
    EXPECT_EQ_STR(complaint, NULL);
}

TEST(corpus)
{
    char path[4096];
    const char *source_dir = getenv("JE_SRCDIR");
    snprintf(path, sizeof(path), "%s/test/fuzz/corpus/conf",
        source_dir != NULL ? source_dir : ".");
    DIR *directory = opendir(path);
    REQUIRE(directory != NULL);
    size_t dir_len = strlen(path);
    for (struct dirent *e; (e = readdir(directory)) != NULL;) {
        if (e->d_name[0] != '.') {
            snprintf(path + dir_len, sizeof(path) - dir_len, "/%s", e->d_name);
            load(path);
        }
    }
    closedir(directory);
    EXPECT_GE_U64(files_count, 10);
}

static uint64_t random_state;

/* xorshift: any full-period generator does. */
static size_t random_below(size_t limit)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return limit == 0 ? 0 : (size_t)((random_state >> 11) % limit);
}

/* A known key, a value of any kind, more often than not one that suits. */
static size_t put_pair(uint8_t *data, size_t size)
{
    static const char *const values[] = {"", "true", "-1", "0", "1", "010",
        "0x7fffffffffffffff", "18446744073709551615", "0.5", "1.", "none",
        "default", "8-64:4|128-14336:2", "1-99999:0|", "USR1", "RTMIN+3",
        "RTMAX-31", "Jgx", "0.999999999999999999999", "65535.9"};
    const conf_option_t *option =
        &conf_options[random_below(conf_options_count)];
    const char *value = values[random_below(sizeof(values) / sizeof(*values))];
    if (option->words != NULL && random_below(4) != 0) {
        unsigned count = 0;
        while (option->words[count] != NULL) {
            count++;
        }
        value = option->words[random_below(count)];
    }
    int n = snprintf(
        (char *)data + size, INPUT_MAX - size, ",%s:%s", option->name, value);
    return size + (size_t)n < INPUT_MAX ? size + (size_t)n : size;
}

/* Changes a byte, swaps a tail for another file's, or adds a pair. */
static size_t mutate(uint8_t *data, size_t size)
{
    static const char bytes[] = "0123456789,:|-. x\n_ae";
    size_t at = random_below(size + 1);
    size_t other = random_below(files_count);
    switch (random_below(4)) {
    case 0:
        data[at < INPUT_MAX ? at : 0] = (uint8_t)random_below(256);
        return at == size && size < INPUT_MAX ? size + 1 : size;
    case 1:
        data[at < INPUT_MAX ? at : 0] =
            (uint8_t)bytes[random_below(sizeof(bytes) - 1)];
        return at == size && size < INPUT_MAX ? size + 1 : size;
    case 2: {
        size_t from = random_below(files[other].size + 1);
        size_t n = files[other].size - from;
        n = n < INPUT_MAX - at ? n : INPUT_MAX - at;
        memcpy(data + at, files[other].data + from, n);
        return at + n;
    }
    default:
        return put_pair(data, at);
    }
}

TEST(mutations)
{
    const char *seconds = getenv("T");
    const char *wanted = getenv("ROUNDS");
    unsigned long rounds = wanted != NULL ? strtoul(wanted, NULL, 0) : ROUNDS;
    time_t end = time(NULL) + (seconds != NULL ? atoi(seconds) : 0);
    const char *seed = getenv("JE_SEED");
    random_state = seed != NULL ? strtoull(seed, NULL, 0)
                                : (uint64_t)time(NULL) * 2654435761U + 1;
    test_note("JE_SEED=%llu", (unsigned long long)random_state);
    REQUIRE(random_state != 0 && files_count > 0);
    static uint8_t data[INPUT_MAX];
    for (unsigned long i = 0; seconds != NULL ? time(NULL) < end : i < rounds;
         i++) {
        size_t start = random_below(files_count);
        size_t size = files[start].size;
        memcpy(data, files[start].data, size);
        for (size_t n = random_below(8) + 1; n > 0; n--) {
            size = mutate(data, size);
        }
        LLVMFuzzerTestOneInput(data, size);
        if (complaint != NULL) {
            test_note("after %lu rounds; the input: %s", i, input);
        }
        EXPECT_EQ_STR(complaint, NULL);
        REQUIRE(complaint == NULL);
    }
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        return test_run(TEST_CASE(corpus), TEST_CASE(mutations), NULL);
    }
    for (int i = 1; i < argc; i++) {
        load(argv[i]);
        printf("%s: %s\n", argv[i], complaint != NULL ? complaint : "holds");
    }
    return complaint != NULL;
}

#endif
