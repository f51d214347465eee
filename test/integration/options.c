/*
 * What: every row of options.def, set to legal values, to the ends of its
 * range and beyond, and to nonsense, one process each: what opt.* reads
 * afterwards, and what was said. Rows are found in options.def alone, and
 * the words of a choice in the message that offers them.
 *
 * Invariants: (I1) what a value should come to is worked out here from the
 * columns of the row, in wider arithmetic; (I2) `departures` lists all rows
 * that read something else than was set.
 *
 * Locking: none.
 */
#ifndef _GNU_SOURCE
#    define _GNU_SOURCE
#endif
#include "conf/conf.h"
#include "harness.h"
#include <jemalloc/jemalloc.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/*
 * Ranges of 64 bits, signed or not, are compared in a wider type: integers of
 * 128 bits, or numbers with a mantissa of 64 bits and a sign.
 */
#if defined(__SIZEOF_INT128__) || __LDBL_MANT_DIG__ >= 64
#    ifdef __SIZEOF_INT128__
typedef __int128 wide_t;
#    else
typedef long double wide_t;
#    endif
#    define TWO_TO_64 ((wide_t)UINT64_MAX + 1)

/* Debug builds stop at the first mistake by default. */
const char *malloc_conf = "abort_conf:false";

typedef enum {
    BOOL,
    SIZE,
    SSIZE,
    UNSIGNED,
    U64,
    I64,
    RATIO,
    ENUM,
    TEXT,
    LETTERS,
    SIGNAL,
    RANGES,
} kind_t;

enum { REJECT, CLIP };

typedef struct {
    const char *name;
    const char *reason;
    int64_t min;
    uint64_t max;
    kind_t kind;
    bool clips;
    bool has_control;
} row_t;

static const row_t rows[] = {
#    define OPTION(type, key, value, low, high, rule, status, ctl, why, help)  \
        {.name = #key,                                                         \
            .reason = why,                                                     \
            .min = (int64_t)(low),                                             \
            .max = (uint64_t)(high),                                           \
            .kind = type,                                                      \
            .clips = (rule) == CLIP,                                           \
            .has_control = ctl},
#    include "conf/options.def"
};

#    define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const row_t *row_named(const char *name)
{
    for (size_t i = 0; i < COUNT(rows); i++) {
        if (strcmp(rows[i].name, name) == 0) {
            return &rows[i];
        }
    }
    return NULL;
}

static bool is(const row_t *row, const char *name)
{
    return strcmp(row->name, name) == 0;
}

/* ---- the process that is asked ---- */

/* Writes what opt.<name> reads, as text, behind whatever boot said. */
static void answer(const char *name)
{
    const row_t *row = row_named(name);
    char control[80], text[4200];
    union {
        bool flag;
        unsigned number;
        uint32_t ratio;
        uint64_t u64;
        int64_t i64;
        const char *text;
    } value = {.u64 = 0};
    static const uint8_t sizes[] = {[BOOL] = 1,
        [SIZE] = sizeof(size_t),
        [SSIZE] = sizeof(ssize_t),
        [UNSIGNED] = sizeof(unsigned),
        [U64] = 8,
        [I64] = 8,
        [RATIO] = 4,
        [ENUM] = sizeof(char *),
        [TEXT] = sizeof(char *),
        [LETTERS] = sizeof(char *),
        [SIGNAL] = sizeof(unsigned),
        [RANGES] = 1};
    size_t len = sizes[row->kind];
    snprintf(control, sizeof(control), "opt.%s", name);
    int error = mallctl(control, &value, &len, NULL, 0);
    if (error != 0) {
        snprintf(text, sizeof(text), "=%s\n",
            error == ENOENT ? "no such control" : strerror(error));
    } else if (row->kind == BOOL) {
        snprintf(text, sizeof(text), "=%s\n", value.flag ? "true" : "false");
    } else if (row->kind == ENUM || row->kind == TEXT || row->kind == LETTERS) {
        snprintf(text, sizeof(text), "=%s\n", value.text);
    } else if (row->kind == I64 || row->kind == SSIZE) {
        int64_t number =
            sizes[row->kind] == 4 ? (int32_t)value.number : value.i64;
        snprintf(text, sizeof(text), "=%lld\n", (long long)number);
    } else {
        snprintf(text, sizeof(text), "=%llu\n", (unsigned long long)value.u64);
    }
    ssize_t written = write(2, text, strlen(text));
    _exit(written == (ssize_t)strlen(text) ? 0 : 1);
}

typedef struct {
    const char *name;
    const char *conf;
} question_t;

static void run_again(void *arg)
{
    question_t *question = arg;
    char name[80];
    snprintf(name, sizeof(name), "%s", question->name);
    char *argv[] = {name, NULL};
    if (question->conf != NULL) {
        setenv("MALLOC_CONF", question->conf, 1);
    }
    test_exec_self(argv);
}

static struct {
    char said[8192];
    char reads[4200];
    unsigned processes;
} reply;

/* Sets the option in a process of its own; NULL sets nothing. */
static void ask(const row_t *row, const char *value)
{
    static test_child_t child;
    static char conf[8192];
    snprintf(
        conf, sizeof(conf), "%s:%s", row->name, value == NULL ? "" : value);
    question_t question = {row->name, value == NULL ? NULL : conf};
    child = test_in_child(run_again, &question);
    reply.processes++;
    char *at = child.err[0] == '=' ? child.err : strstr(child.err, "\n=");
    reply.reads[0] = '\0';
    if (child.status != 0 || at == NULL) {
        test_note("%s: status %#x, said: %s", conf, child.status, child.err);
        EXPECT_EQ_I64(child.status, 0);
        EXPECT(at != NULL);
    } else {
        at += *at == '\n';
        snprintf(reply.reads, sizeof(reply.reads), "%.*s",
            (int)strcspn(at + 1, "\n"), at + 1);
        *at = '\0';
    }
    snprintf(reply.said, sizeof(reply.said), "%s", child.err);
}

/* ---- what should come out ---- */

static char unset[COUNT(rows)][64];

typedef enum { ACCEPTED, INVALID, OUT_OF_RANGE, BAD_RANGES } verdict_t;

/* Rows that read something else than was set, and what. */
static void departures(const row_t *row, char *text, size_t size)
{
    unsigned long long number = strtoull(text, NULL, 10);
    long long small = atoll(text);
    if (is(row, "oversize_threshold") && number < 16384) {
        snprintf(text, size, "0");
    } else if (is(row, "debug_double_free_max_scan") && !CONFIG_DEBUG) {
        snprintf(text, size, "0");
    } else if (is(row, "max_background_threads") && number >= 4096) {
        snprintf(text, size, "4");
    } else if (is(row, "lg_san_uaf_align") && small >= 0 && small < 12) {
        snprintf(text, size, "12");
    } else if (is(row, "narenas")) {
        if (number == 0) {
            snprintf(text, size, "%s", unset[row - rows]);
        } else if (number > 4094) {
            snprintf(text, size, "4094");
        }
    }
}

static bool is_whole_line(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0 &&
           strchr(text, '\n') == text + strlen(text) - 1;
}

/* Nothing, or the one line of an option that has no effect. */
static bool said_acceptance(const row_t *row, const char *reads)
{
    char line[512];
    bool has_reason =
        row->reason != NULL ||
        (is(row, "max_background_threads") && strcmp(reads, "1") != 0);
    if (!has_reason) {
        if (is(row, "narenas") && strcmp(reads, "4094") == 0) {
            return strcmp(reply.said, "<jemalloc>: Reducing narenas to limit "
                                      "(4094)\n") == 0;
        }
        if (is(row, "prof_leak_error") && strcmp(reads, "true") == 0) {
            return strcmp(reply.said, "<jemalloc>: prof_leak_error is set w/o "
                                      "prof_final.\n") == 0;
        }
        return reply.said[0] == '\0';
    }
    snprintf(line, sizeof(line),
        "<jemalloc>: option %s is accepted but has no effect: ", row->name);
    if (is(row, "prof_leak_error")) {
        return strncmp(reply.said, line, strlen(line)) == 0;
    }
    return is_whole_line(reply.said, line);
}

/* The fixed line, and one that says what would be right. */
static bool said_mistake(const row_t *row, const char *value, verdict_t verdict)
{
    static const char *const what[] = {[INVALID] = "Invalid conf value",
        [OUT_OF_RANGE] = "Out-of-range conf value",
        [BAD_RANGES] = "Invalid settings for"};
    static char line[8192];
    int n = snprintf(line, sizeof(line), "<jemalloc>: %s%s%s: %s:%s\n",
        what[verdict], verdict == BAD_RANGES ? " " : "",
        verdict == BAD_RANGES ? row->name : "", row->name, value);
    if (strncmp(reply.said, line, (size_t)n) != 0) {
        return false;
    }
    snprintf(line, sizeof(line), "<jemalloc>: option %s takes ", row->name);
    return is_whole_line(reply.said + n, line);
}

static bool has_control(const row_t *row)
{
    return row->has_control &&
           strcmp(unset[row - rows], "no such control") != 0;
}

static void expect(
    const row_t *row, const char *value, verdict_t verdict, const char *reads)
{
    char want[4200];
    ask(row, value);
    snprintf(want, sizeof(want), "%s",
        verdict == ACCEPTED ? reads : unset[row - rows]);
    if (verdict == ACCEPTED) {
        departures(row, want, sizeof(want));
    }
    bool said = verdict == ACCEPTED ? said_acceptance(row, want)
                                    : said_mistake(row, value, verdict);
    if (!said) {
        test_note("%s:%s said: %s", row->name, value, reply.said);
    }
    EXPECT(said);
    if (!has_control(row)) {
        EXPECT_EQ_STR(reply.reads, "no such control");
        return;
    }
    if (strcmp(reply.reads, want) != 0) {
        test_note("%s:%s", row->name, value);
    }
    EXPECT_EQ_STR(reply.reads, want);
}

/* ---- values of each kind ---- */

static void refuse_all(
    const row_t *row, verdict_t verdict, const char *const *values)
{
    for (; *values != NULL; values++) {
        expect(row, *values, verdict, NULL);
    }
}

static void try_bool(const row_t *row)
{
    static const char *const wrong[] = {
        "", "True", "1", "true ", "tru", " true", "yes", NULL};
    if (!is(row, "confirm_conf")) { /* it speaks: see the test of its own */
        expect(row, "true", ACCEPTED, "true");
    }
    expect(row, "false", ACCEPTED, "false");
    refuse_all(row, INVALID, wrong);
}

static bool is_signed(const row_t *row)
{
    return row->kind == SSIZE || row->kind == I64;
}

/* `number` was written; unsigned options take it modulo 2^64. */
static void try_number(const row_t *row, const char *value, wide_t number)
{
    char reads[64];
    wide_t low = row->min;
    wide_t high = is_signed(row) ? (wide_t)(int64_t)row->max : row->max;
    if (!is_signed(row)) {
        number += number < 0 ? TWO_TO_64 : 0;
    }
    if ((number < low || number > high) && !row->clips) {
        expect(row, value, OUT_OF_RANGE, NULL);
        return;
    }
    number = number < low ? low : number > high ? high : number;
    if (is_signed(row)) {
        snprintf(reads, sizeof(reads), "%lld", (long long)number);
    } else if (row->kind == UNSIGNED) {
        snprintf(reads, sizeof(reads), "%u", (unsigned)(uint64_t)number);
    } else {
        snprintf(reads, sizeof(reads), "%llu", (unsigned long long)number);
    }
    expect(row, value, ACCEPTED, reads);
}

static void try_decimal(const row_t *row, wide_t number)
{
    char value[64];
    bool negative = number < 0;
    wide_t size = negative ? -number : number;
    if (size >= TWO_TO_64) {
        return; /* 64 bits cannot say it */
    }
    snprintf(value, sizeof(value), "%s%llu", negative ? "-" : "",
        (unsigned long long)size);
    try_number(row, value, number);
}

static void try_numbers(const row_t *row)
{
    static const char *const wrong[] = {"", "x", "1k", "08", "7 ", "0x", "1.5",
        "18446744073709551616", "--1", NULL};
    wide_t low = row->min;
    wide_t high = is_signed(row) ? (wide_t)(int64_t)row->max : row->max;
    try_decimal(row, low);
    try_decimal(row, low - 1);
    try_decimal(row, low + 1);
    try_decimal(row, high);
    try_decimal(row, high - 1);
    try_decimal(row, high + 1);
    try_decimal(row, -1);
    try_decimal(row, -2);
    try_decimal(row, INT64_MIN);
    try_number(row, "0x10", 16);
    try_number(row, "010", 8);
    try_number(row, " +12", 12);
    refuse_all(row, INVALID, wrong);
}

static void try_ratios(const row_t *row)
{
    static const char *const wrong[] = {
        "", ".", "+1", "-2", "1e3", "65536", "1 ", " 1", "0x1", NULL};
    expect(row, "0.5", ACCEPTED, "32768");
    expect(row, ".25", ACCEPTED, "16384");
    expect(row, "1.", ACCEPTED, "65536");
    expect(row, "0.00001", ACCEPTED, "0");
    if (row->max > 1U << 16) {
        expect(row, "1.5", ACCEPTED, "98304");
        expect(row, "65535.99999", ACCEPTED, "4294967295");
    } else {
        expect(row, "1.5", OUT_OF_RANGE, NULL);
    }
    refuse_all(row, INVALID, wrong);
}

/* The message of a wrong word offers the right ones: "takes a, b or c". */
static void try_words(const row_t *row)
{
    static const char *const wrong[] = {"", "nonsense", "TRUE", NULL};
    char offer[512];
    refuse_all(row, INVALID, wrong);
    const char *at = strstr(reply.said, " takes ");
    REQUIRE(at != NULL);
    snprintf(offer, sizeof(offer), "%s", at + 7);
    unsigned count = 0;
    for (char *word = strtok(offer, ", \n"); word != NULL;
         word = strtok(NULL, ", \n")) {
        if (strcmp(word, "or") == 0) {
            continue;
        }
        char part[64];
        count++;
        expect(row, word, ACCEPTED, word);
        snprintf(part, sizeof(part), "%.*s", (int)strlen(word) - 1, word);
        expect(row, part, INVALID, NULL);
    }
    EXPECT_GE_U64(count, 2);
}

static void try_texts(const row_t *row)
{
    expect(row, "", ACCEPTED, "");
    expect(row, "a:b c|d", ACCEPTED, "a:b c|d");
    static char longest[5000];
    memset(longest, 'p', sizeof(longest) - 1);
    if (has_control(row)) {
        static char kept[4096];
        memset(kept, 'p', sizeof(kept) - 1);
        expect(row, longest, ACCEPTED, kept);
    }
}

static void try_letters(const row_t *row)
{
    expect(row, "", ACCEPTED, "");
    expect(row, "Jgmdablxeh", ACCEPTED, "Jgmdablxeh");
    expect(row, "zaa!mJa", ACCEPTED, "amJ");
}

static void try_signals(const row_t *row)
{
    static const char *const wrong[] = {"", "KILL", "9", "SIGSTOP", "SEGV", "0",
        "-1", "33", "65", "usr1", "RTMIN+99", NULL};
    expect(row, "USR1", ACCEPTED, "10");
    expect(row, "SIGUSR2", ACCEPTED, "12");
    expect(row, "10", ACCEPTED, "10");
    expect(row, "none", ACCEPTED, "0");
    refuse_all(row, INVALID, wrong);
}

static void try_ranges(const row_t *row)
{
    static const char *const wrong[] = {"", "8", "8-16", "8-16:", "16-8:4",
        "-8:4", "8-16:x", "|8-16:4", "8-16:4||", "8-16:4 ", NULL};
    char value[64];
    expect(row, "8-16:4", ACCEPTED, "");
    expect(row, "0x8-020:4|32-64:2|", ACCEPTED, "");
    snprintf(value, sizeof(value), "8-8:%lld", (long long)row->min - 1);
    expect(row, value, row->clips ? ACCEPTED : BAD_RANGES, "");
    if (row->max < SIZE_MAX) {
        snprintf(
            value, sizeof(value), "8-8:%llu", (unsigned long long)row->max + 1);
        expect(row, value, row->clips ? ACCEPTED : BAD_RANGES, "");
    }
    refuse_all(row, BAD_RANGES, wrong);
}

static void try_row(const row_t *row)
{
    switch (row->kind) {
    case BOOL:
        try_bool(row);
        break;
    case SIZE:
    case SSIZE:
    case UNSIGNED:
    case U64:
    case I64:
        try_numbers(row);
        break;
    case RATIO:
        try_ratios(row);
        break;
    case ENUM:
        try_words(row);
        break;
    case TEXT:
        try_texts(row);
        break;
    case LETTERS:
        try_letters(row);
        break;
    case SIGNAL:
        try_signals(row);
        break;
    case RANGES:
        try_ranges(row);
        break;
    }
}

/* ---- tests ---- */

/* Controls of what this platform or build lacks. */
static bool may_lack_control(const row_t *row)
{
    bool prof;
    size_t len = sizeof(prof);
    EXPECT_EQ_I64(mallctl("config.prof", &prof, &len, NULL, 0), 0);
    return is(row, "utrace") || is(row, "lg_san_uaf_align") ||
           (is(row, "experimental_infallible_new") && !CONFIG_CXX) ||
           (!prof && strstr(row->name, "prof") != NULL && !is(row, "profile"));
}

TEST(controls_exist)
{
    for (size_t i = 0; i < COUNT(rows); i++) {
        ask(&rows[i], NULL);
        EXPECT_EQ_STR(reply.said, "");
        snprintf(unset[i], sizeof(unset[i]), "%s", reply.reads);
        bool none = strcmp(reply.reads, "no such control") == 0;
        if (none && rows[i].has_control && !may_lack_control(&rows[i])) {
            test_note("opt.%s does not exist", rows[i].name);
            EXPECT(!none);
        }
        EXPECT(none || rows[i].has_control);
    }
}

TEST(every_row)
{
    REQUIRE(unset[0][0] != '\0');
    for (size_t i = 0; i < COUNT(rows); i++) {
        try_row(&rows[i]);
    }
    test_note("%zu options in %u processes", COUNT(rows), reply.processes);
}

int main(int argc, char **argv)
{
    if (argc > 1) {
        answer(argv[1]);
    }
    return test_run(TEST_CASE(controls_exist), TEST_CASE(every_row), NULL);
}

#else

int main(void)
{
    puts("1..0 # SKIP no numbers of more than 64 bits here");
    return 0;
}

#endif
