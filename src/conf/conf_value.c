/*
 * What: see conf_value.h.
 *
 * Invariants: (I1) nothing here knows an option.
 *
 * Locking: none.
 */
#include "conf/conf_value.h"

#include <limits.h>
#include <signal.h>
#include <string.h>

#include "util/format.h"

/* One more than the longest text whose distance is computed. */
#define DISTANCE_TEXT_MAX 64

bool conf_slice_is(conf_slice_t slice, const char *word)
{
    size_t len = (size_t)(slice.end - slice.text);
    return strlen(word) == len && memcmp(slice.text, word, len) == 0;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

bool conf_value_ratio(conf_slice_t value, uint32_t *ratio)
{
    const char *p = value.text;
    uint32_t whole = 0;
    for (; p < value.end && is_digit(*p); p++) {
        whole = whole * 10 + (uint32_t)(*p - '0');
        if (whole > UINT16_MAX) {
            return false;
        }
    }
    bool has_digits = p > value.text;
    uint64_t fraction = 0;
    uint64_t scale = 1;
    if (p < value.end && *p == '.') {
        for (p++; p < value.end && is_digit(*p); p++) {
            has_digits = true;
            /* Twelve digits are finer than 2^-16 and fit 64 bits shifted. */
            if (scale < 1000000000000U) {
                fraction = fraction * 10 + (uint64_t)(*p - '0');
                scale *= 10;
            }
        }
    }
    if (p != value.end || !has_digits) {
        return false;
    }
    *ratio = whole << 16 | (uint32_t)((fraction << 16) / scale);
    return true;
}

/* The integer in front of `stop`, which is taken off together with it. */
static bool take_number(conf_slice_t *rest, char stop, uint64_t *number)
{
    size_t len = (size_t)(rest->end - rest->text);
    const char *at = memchr(rest->text, stop, len);
    bool negative;
    if (at == NULL || !format_parse_u64(rest->text, at, number, &negative)) {
        return false;
    }
    rest->text = at + 1;
    return true;
}

bool conf_value_segment(conf_slice_t *rest, conf_segment_t *segment)
{
    conf_slice_t text = *rest;
    conf_segment_t found;
    if (!take_number(&text, '-', &found.start) ||
        !take_number(&text, ':', &found.end)) {
        return false;
    }
    size_t len = (size_t)(text.end - text.text);
    const char *bar = memchr(text.text, '|', len);
    const char *end = bar != NULL ? bar : text.end;
    bool negative;
    if (!format_parse_u64(text.text, end, &found.count, &negative)) {
        return false;
    }
    rest->text = bar != NULL ? bar + 1 : text.end;
    *segment = found;
    return true;
}

/* Whoever stops the process, or reports its own fault, is not listed. */
static const struct {
    const char *name;
    unsigned number;
} signals[] = {
    {"HUP", SIGHUP},
    {"INT", SIGINT},
    {"QUIT", SIGQUIT},
    {"USR1", SIGUSR1},
    {"USR2", SIGUSR2},
    {"PIPE", SIGPIPE},
    {"ALRM", SIGALRM},
    {"TERM", SIGTERM},
    {"CHLD", SIGCHLD},
    {"CONT", SIGCONT},
    {"TSTP", SIGTSTP},
    {"TTIN", SIGTTIN},
    {"TTOU", SIGTTOU},
    {"URG", SIGURG},
    {"XCPU", SIGXCPU},
    {"XFSZ", SIGXFSZ},
    {"VTALRM", SIGVTALRM},
    {"PROF", SIGPROF},
    {"WINCH", SIGWINCH},
    {"IO", SIGIO},
};

#define SIGNALS_COUNT (sizeof(signals) / sizeof(signals[0]))

const char *conf_value_signal_name(unsigned signal)
{
    for (size_t i = 0; i < SIGNALS_COUNT; i++) {
        if (signals[i].number == signal) {
            return signals[i].name;
        }
    }
    return NULL;
}

static bool starts_with(conf_slice_t slice, const char *word)
{
    size_t len = strlen(word);
    return (size_t)(slice.end - slice.text) >= len &&
           memcmp(slice.text, word, len) == 0;
}

/* "RTMIN", "RTMIN+N", "RTMAX", "RTMAX-N"; 0 if it is none of these. */
static unsigned realtime_signal(conf_slice_t value)
{
    bool up = starts_with(value, "RTMIN");
    if (!up && !starts_with(value, "RTMAX")) {
        return 0;
    }
    int span = SIGRTMAX - SIGRTMIN;
    uint64_t step = 0;
    bool negative;
    const char *p = value.text + 5;
    if (p < value.end &&
        (*p != (up ? '+' : '-') || p + 1 == value.end || !is_digit(p[1]) ||
            !format_parse_u64(p + 1, value.end, &step, &negative))) {
        return 0;
    }
    if (step > (uint64_t)span) {
        return 0;
    }
    return (unsigned)(up ? SIGRTMIN + (int)step : SIGRTMAX - (int)step);
}

static unsigned named_signal(conf_slice_t value)
{
    if (starts_with(value, "SIG")) {
        value.text += 3;
    }
    for (size_t i = 0; i < SIGNALS_COUNT; i++) {
        if (conf_slice_is(value, signals[i].name)) {
            return signals[i].number;
        }
    }
    return realtime_signal(value);
}

bool conf_value_signal(conf_slice_t value, unsigned *signal)
{
    uint64_t number;
    bool negative;
    if (!format_parse_u64(value.text, value.end, &number, &negative)) {
        number = named_signal(value);
    }
    bool realtime =
        number >= (uint64_t)SIGRTMIN && number <= (uint64_t)SIGRTMAX;
    if (!realtime && (number > (uint64_t)SIGRTMAX ||
                         conf_value_signal_name((unsigned)number) == NULL)) {
        return false;
    }
    *signal = (unsigned)number;
    return true;
}

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
    unsigned ab = a < b ? a : b;
    return ab < c ? ab : c;
}

unsigned conf_value_distance(conf_slice_t a, conf_slice_t b)
{
    size_t alen = (size_t)(a.end - a.text);
    size_t blen = (size_t)(b.end - b.text);
    if (alen >= DISTANCE_TEXT_MAX || blen >= DISTANCE_TEXT_MAX) {
        return UINT_MAX;
    }
    /* rows[i % 3][j] is the distance of a's first i from b's first j. */
    uint8_t rows[3][DISTANCE_TEXT_MAX];
    for (size_t j = 0; j <= blen; j++) {
        rows[0][j] = (uint8_t)j;
    }
    for (size_t i = 1; i <= alen; i++) {
        uint8_t *row = rows[i % 3];
        const uint8_t *above = rows[(i - 1) % 3];
        row[0] = (uint8_t)i;
        for (size_t j = 1; j <= blen; j++) {
            bool same = a.text[i - 1] == b.text[j - 1];
            unsigned best = min3(
                above[j] + 1U, row[j - 1] + 1U, above[j - 1] + (same ? 0 : 1U));
            if (i > 1 && j > 1 && a.text[i - 1] == b.text[j - 2] &&
                a.text[i - 2] == b.text[j - 1]) {
                unsigned swapped = rows[(i - 2) % 3][j - 2] + 1U;
                best = swapped < best ? swapped : best;
            }
            row[j] = (uint8_t)best;
        }
    }
    return rows[alen % 3][blen];
}
