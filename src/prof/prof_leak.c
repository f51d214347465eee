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
#include "os/peek.h"
#include "os/reentry.h"
#include "util/bits.h"
#include "util/exponent.h"
#include "util/format.h"

/* Stacks that are shown. */
#define SHOWN_STACKS 20

/* Frames of each. */
#define SHOWN_FRAMES 24

/* Longest text that jeprof may answer with, and suppressions may have. */
#define TEXT_BYTES_MAX ((size_t)64 << 20)

/* ---- texts in memory of their own ---- */

typedef struct {
    char *bytes;
    size_t size; /* of the text, a NUL behind it */
    size_t mapped;
} text_t;

/* All of a file; an empty text if it cannot be read. */
static text_t read_text(int fd)
{
    text_t text = {NULL, 0, 0};
    for (size_t want = 65536; want <= TEXT_BYTES_MAX; want *= 4) {
        char *bytes = os_map(want, os_page_size());
        if (bytes == NULL) {
            break;
        }
        memcpy(bytes, text.bytes == NULL ? "" : text.bytes, text.size);
        if (text.bytes != NULL) {
            (void)os_unmap(text.bytes, text.mapped);
        }
        text.bytes = bytes;
        text.mapped = want;
        ssize_t got = 1;
        while (got > 0 && text.size < want - 1) {
            got = os_read(fd, bytes + text.size, want - 1 - text.size);
            text.size += got > 0 ? (size_t)got : 0;
        }
        if (got <= 0) {
            break;
        }
    }
    return text;
}

static void end_text(text_t *text)
{
    if (text->bytes != NULL) {
        (void)os_unmap(text->bytes, text->mapped);
    }
}

/* The line that begins at *at, terminated; moves on. NULL at the end. */
static char *next_line(const text_t *text, size_t *at)
{
    if (text->bytes == NULL || *at >= text->size) {
        return NULL;
    }
    char *line = text->bytes + *at;
    char *end = memchr(line, '\n', text->size - *at);
    if (end == NULL) {
        end = text->bytes + text->size;
    }
    *end = '\0';
    *at = (size_t)(end - text->bytes) + 1;
    return line;
}

/* ---- symbols ---- */

/* What is known of the frames of all stacks, in their order. */
typedef struct {
    const prof_view_t *view;
    char **names; /* one a frame; NULL if jeprof was silent */
    size_t count;
    text_t answer;
    size_t mapped;
} symbols_t;

typedef struct {
    uintptr_t address;
    char *path;
    size_t size;
    bool found;
} module_search_t;

static bool visit_module(const os_mapping_t *mapping, void *opaque)
{
    module_search_t *search = opaque;
    if (search->address >= mapping->end) {
        return true;
    }
    search->found = search->address >= mapping->start;
    return false;
}

static bool module_path(uintptr_t address, char *path, size_t size)
{
    module_search_t search = {.address = address};
    return os_visit_mappings(visit_module, &search, path, size) &&
           search.found && path[0] == '/';
}

/* jeprof beside this library (lib/../bin), else the one in PATH. */
static void jeprof_path(char *path, size_t size)
{
    char library[PATH_MAX];
    if (module_path((uintptr_t)&prof_leak_report, library, sizeof(library))) {
        char *slash = strrchr(library, '/');
        *slash = '\0';
        if (format_print(path, size, "%s/../bin/jeprof", library) < size &&
            os_is_program(path)) {
            return;
        }
    }
    (void)format_print(path, size, "jeprof");
}

static bool put_line(int fd, const char *text)
{
    return os_write_all(fd, text, strlen(text)) == 0;
}

/* The question: the map of the process, then an address a line. */
static bool write_question(int fd, const prof_view_t *view)
{
    char line[64];
    text_t map = {NULL, 0, 0};
    int map_fd = os_open("/proc/self/maps");
    if (map_fd < 0) {
        return false;
    }
    map = read_text(map_fd);
    os_close(map_fd);
    bool done = os_write_all(fd, map.bytes, map.size) == 0;
    end_text(&map);
    for (size_t i = 0; i < view->stack_count && done; i++) {
        const prof_stack_view_t *stack = &view->stacks[i];
        for (uint32_t f = 0; f < stack->frame_count; f++) {
            /* Return addresses point behind the call. */
            (void)format_print(line, sizeof(line), "0x%llx\n",
                (unsigned long long)stack->frames[f] - (f != 0));
            done = done && put_line(fd, line);
        }
    }
    return done;
}

static bool ask(text_t *answer, const prof_view_t *view)
{
    char tool[PATH_MAX];
    char program[PATH_MAX];
    char symbols[] = "--symbols";
    int in = os_memory_file();
    int out = os_memory_file();
    bool done = false;
    jeprof_path(tool, sizeof(tool));
    if (in >= 0 && out >= 0 &&
        os_link_text("/proc/self/exe", program, sizeof(program)) &&
        write_question(in, view) && os_rewind(in)) {
        char *argv[] = {tool, symbols, program, NULL};
        reentry_enter();
        done = os_run(argv, in, out);
        reentry_leave();
        done = done && os_rewind(out);
    }
    if (done) {
        *answer = read_text(out);
    }
    os_close(in);
    os_close(out);
    return done;
}

static void find_symbols(symbols_t *symbols, const prof_view_t *view)
{
    *symbols = (symbols_t){.view = view};
    for (size_t i = 0; i < view->stack_count; i++) {
        symbols->count += view->stacks[i].frame_count;
    }
    if (symbols->count == 0 || !ask(&symbols->answer, view)) {
        return;
    }
    symbols->mapped =
        bits_round_up(symbols->count * sizeof(char *), os_page_size());
    symbols->names = os_map(symbols->mapped, os_page_size());
    if (symbols->names == NULL) {
        return;
    }
    size_t at = 0;
    for (size_t i = 0; i < symbols->count; i++) {
        char *name = next_line(&symbols->answer, &at);
        bool known = name != NULL && name[0] != '\0' &&
                     strncmp(name, "??", 2) != 0 && strncmp(name, "0x", 2) != 0;
        symbols->names[i] = known ? name : NULL;
    }
}

static void end_symbols(symbols_t *symbols)
{
    if (symbols->names != NULL) {
        (void)os_unmap(symbols->names, symbols->mapped);
    }
    end_text(&symbols->answer);
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
static text_t read_suppressions(void)
{
    text_t text = {NULL, 0, 0};
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
    text = read_text(fd);
    os_close(fd);
    size_t at = 0;
    while (next_line(&text, &at) != NULL) {
    }
    return text;
}

static bool is_name_suppressed(const text_t *patterns, const char *name)
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

static bool is_suppressed(const text_t *patterns, const symbols_t *symbols,
    const prof_stack_view_t *stack, size_t first_frame)
{
    char path[PATH_MAX];
    if (patterns->bytes == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < stack->frame_count; i++) {
        const char *name =
            symbols->names == NULL ? NULL : symbols->names[first_frame + i];
        if (name != NULL && is_name_suppressed(patterns, name)) {
            return true;
        }
        if (module_path(stack->frames[i] - 1, path, sizeof(path)) &&
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

static void summarize(const prof_profile_t *profile, const text_t *patterns,
    const symbols_t *symbols, summary_t *summary)
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
    const symbols_t *symbols)
{
    const prof_stack_view_t *stack = shown->stack;
    prof_value_t value = prof_text_estimate(profile, &stack->line.live);
    log_printf("<jemalloc>: ~%llu byte%s in ~%llu object%s from\n",
        (unsigned long long)value.bytes, plural(value.bytes),
        (unsigned long long)value.objects, plural(value.objects));
    for (uint32_t i = 0; i < stack->frame_count && i < SHOWN_FRAMES; i++) {
        const char *name = symbols->names == NULL
                               ? NULL
                               : symbols->names[shown->first_frame + i];
        log_printf("<jemalloc>:     0x%llx%s%s\n",
            (unsigned long long)stack->frames[i], name == NULL ? "" : " ",
            name == NULL ? "" : name);
    }
}

static void report(const prof_profile_t *profile, const text_t *patterns,
    const symbols_t *symbols, summary_t *summary)
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
    text_t patterns = read_suppressions();
    symbols_t symbols;
    summary_t summary;
    find_symbols(&symbols, profile->view);
    report(profile, &patterns, &symbols, &summary);
    end_symbols(&symbols);
    end_text(&patterns);
    if (summary.contexts != 0 && opt.prof_leak_error) {
        log_write("<jemalloc>: Exiting with error code because memory leaks "
                  "were detected\n");
        os_exit_now(1);
    }
}
