/*
 * What: see prof_leak.h.
 *
 * Invariants: as there.
 *
 * Locking: as there.
 */
#include "prof/prof_leak.h"

#include <string.h>

#include "conf/conf.h"
#include "os/file.h"
#include "os/log.h"
#include "os/os.h"
#include "prof/prof_symbols.h"

/* Stacks that are shown. */
#define SHOWN_STACKS 20

/* Frames of each. */
#define SHOWN_FRAMES 24

/* ---- symbols ---- */

static void find_symbols(prof_symbols_t *symbols, const prof_view_t *view)
{
    prof_symbols_begin(symbols);
    for (size_t i = 0; i < view->stack_count; i++) {
        const prof_stack_view_t *stack = &view->stacks[i];
        for (uint32_t f = 0; f < stack->frame_count; f++) {
            /* Return addresses point behind the call. */
            prof_symbols_add(symbols, stack->frames[f] - (f != 0));
        }
    }
    prof_symbols_ask(symbols, false);
}

/* ---- suppressions ---- */

bool prof_leak_matches(const char *pattern, size_t length, const char *text)
{
    bool has_star = memchr(pattern, '*', length) != NULL;
    if (!has_star) {
        size_t text_length = strlen(text);
        for (size_t i = 0; i + length <= text_length; i++) {
            if (memcmp(text + i, pattern, length) == 0) {
                return true;
            }
        }
        return false;
    }
    size_t p = 0;
    size_t star = SIZE_MAX; /* the last one, and what it has eaten so far */
    const char *eaten = text;
    while (*text != '\0') {
        if (p < length && pattern[p] == '*') {
            star = p++;
            eaten = text;
        } else if (p < length && pattern[p] == *text) {
            p++;
            text++;
        } else if (star != SIZE_MAX) {
            p = star + 1;
            text = ++eaten;
        } else {
            return false;
        }
    }
    while (p < length && pattern[p] == '*') {
        p++;
    }
    return p == length;
}

/* The pattern in a line of the file; NULL if there is none. */
static const char *pattern_of(const char *line, size_t *length)
{
    static const char label[] = "leak:";
    while (*line == ' ' || *line == '\t') {
        line++;
    }
    if (strncmp(line, label, sizeof(label) - 1) == 0) {
        line += sizeof(label) - 1;
    }
    *length = strlen(line);
    while (*length != 0 &&
           (line[*length - 1] == ' ' || line[*length - 1] == '\r')) {
        --*length;
    }
    return *length == 0 || line[0] == '#' ? NULL : line;
}

/* Terminates the lines once, so that they can be looked at many times. */
static prof_text_file_t read_suppressions(void)
{
    prof_text_file_t text = {NULL, 0, 0};
    const char *path = opt.prof_leak_suppressions;
    if (path[0] == '\0') {
        return text;
    }
    int fd = os_open(path);
    if (fd < 0) {
        log_printf("<jemalloc>: prof_leak_suppressions: cannot read \"%s\"; "
                   "nothing is suppressed\n",
            path);
        return text;
    }
    text = prof_symbols_read(fd);
    os_close(fd);
    size_t at = 0;
    while (prof_symbols_line(&text, &at) != NULL) {
    }
    return text;
}

static bool is_name_suppressed(
    const prof_text_file_t *patterns, const char *name)
{
    size_t at = 0;
    while (at < patterns->size) {
        const char *line = patterns->bytes + at;
        size_t length;
        const char *pattern = pattern_of(line, &length);
        if (pattern != NULL && prof_leak_matches(pattern, length, name)) {
            return true;
        }
        at += strlen(line) + 1;
    }
    return false;
}

static bool is_suppressed(const prof_text_file_t *patterns,
    const prof_symbols_t *symbols, const prof_stack_view_t *stack,
    size_t first_frame)
{
    char path[PATH_MAX];
    uintptr_t start;
    if (patterns->bytes == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < stack->frame_count; i++) {
        const char *name = prof_symbols_name(symbols, first_frame + i);
        if (name != NULL && is_name_suppressed(patterns, name)) {
            return true;
        }
        if (prof_symbols_module(
                stack->frames[i] - 1, path, sizeof(path), &start) &&
            is_name_suppressed(patterns, path)) {
            return true;
        }
    }
    return false;
}

/* ---- the report ---- */

typedef struct {
    const prof_stack_view_t *stack;
    size_t first_frame; /* its place in the names */
    uint64_t bytes;     /* estimated */
} shown_t;

typedef struct {
    prof_counts_t raw;
    uint64_t contexts;
    uint64_t suppressed;
    shown_t top[SHOWN_STACKS];
    unsigned shown;
} summary_t;

/* Keeps the largest, in order. */
static void rank_stack(summary_t *summary, shown_t stack)
{
    unsigned at = summary->shown;
    while (at > 0 && summary->top[at - 1].bytes < stack.bytes) {
        at--;
    }
    if (at == SHOWN_STACKS) {
        return;
    }
    unsigned moved = summary->shown - at;
    moved -= summary->shown == SHOWN_STACKS;
    memmove(&summary->top[at + 1], &summary->top[at], moved * sizeof(stack));
    summary->top[at] = stack;
    summary->shown += summary->shown < SHOWN_STACKS;
}

static void summarize(const prof_profile_t *profile,
    const prof_text_file_t *patterns, const prof_symbols_t *symbols,
    summary_t *summary)
{
    const prof_view_t *view = profile->view;
    size_t first_frame = 0;
    *summary = (summary_t){.contexts = 0};
    for (size_t i = 0; i < view->stack_count; i++) {
        const prof_stack_view_t *stack = &view->stacks[i];
        const prof_counts_t *live = &stack->line.live;
        if (live->objects != 0) {
            if (is_suppressed(patterns, symbols, stack, first_frame)) {
                summary->suppressed++;
            } else {
                summary->raw.objects += live->objects;
                summary->raw.bytes += live->bytes;
                summary->contexts++;
                rank_stack(
                    summary, (shown_t){stack, first_frame,
                                 prof_text_estimate(profile, live).bytes});
            }
        }
        first_frame += stack->frame_count;
    }
}

static const char *plural(uint64_t n)
{
    return n == 1 ? "" : "s";
}

static void print_summary(const prof_profile_t *profile, const summary_t *s)
{
    prof_profile_t raw = *profile;
    raw.unbias = false;
    prof_value_t total = prof_text_estimate(&raw, &s->raw);
    log_printf("<jemalloc>: Leak approximation summary: ~%llu byte%s, ~%llu "
               "object%s, >= %llu context%s\n",
        (unsigned long long)total.bytes, plural(total.bytes),
        (unsigned long long)total.objects, plural(total.objects),
        (unsigned long long)s->contexts, plural(s->contexts));
    log_write("<jemalloc>: Run jeprof on dump output for leak detail\n");
}

static void print_stack(const prof_profile_t *profile, const shown_t *shown,
    const prof_symbols_t *symbols)
{
    const prof_stack_view_t *stack = shown->stack;
    prof_value_t value = prof_text_estimate(profile, &stack->line.live);
    log_printf("<jemalloc>: ~%llu byte%s in ~%llu object%s from\n",
        (unsigned long long)value.bytes, plural(value.bytes),
        (unsigned long long)value.objects, plural(value.objects));
    for (uint32_t i = 0; i < stack->frame_count && i < SHOWN_FRAMES; i++) {
        const char *name = prof_symbols_name(symbols, shown->first_frame + i);
        log_printf("<jemalloc>:     0x%llx%s%s\n",
            (unsigned long long)stack->frames[i], name == NULL ? "" : " ",
            name == NULL ? "" : name);
    }
}

static void report(const prof_profile_t *profile,
    const prof_text_file_t *patterns, const prof_symbols_t *symbols,
    summary_t *summary)
{
    summarize(profile, patterns, symbols, summary);
    if (summary->suppressed != 0) {
        log_printf("<jemalloc>: %llu leaking context%s suppressed\n",
            (unsigned long long)summary->suppressed,
            plural(summary->suppressed));
    }
    if (summary->contexts == 0) {
        return;
    }
    print_summary(profile, summary);
    for (unsigned i = 0; i < summary->shown; i++) {
        print_stack(profile, &summary->top[i], symbols);
    }
}

void prof_leak_report(const prof_profile_t *profile)
{
    if (profile->view->all.live.objects == 0) {
        return;
    }
    prof_text_file_t patterns = read_suppressions();
    prof_symbols_t symbols;
    summary_t summary;
    find_symbols(&symbols, profile->view);
    report(profile, &patterns, &symbols, &summary);
    prof_symbols_end(&symbols);
    prof_symbols_drop(&patterns);
    if (summary.contexts != 0 && opt.prof_leak_error) {
        log_write("<jemalloc>: Exiting with error code because memory leaks "
                  "were detected\n");
        os_exit_now(1);
    }
}
