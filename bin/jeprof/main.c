/*
 * What: reads what the command line names, symbolises it, prints what it
 * asks for.
 *
 * Invariants: (I1) exit status 0 only if everything was written.
 *
 * Locking: none.
 */
#include <elf.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mem.h"
#include "names.h"
#include "print.h"
#include "read.h"
#include "remote.h"
#include "say.h"
#include "serve.h"
#include "settings.h"
#include "shell.h"
#include "symbolize.h"

static profile_t profile;

/* The program, if the first name is one; the rest are profiles. */
typedef struct names {
    const char *program;
    const char **profiles;
    size_t count;
    url_t remote; /* of the last profile that was fetched */
} arguments_t;

static bool is_elf(const char *name)
{
    return input_begins(name, ELFMAG, SELFMAG);
}

/* What begins as a profile does, or cannot be told from one by that. */
static bool looks_like_profile(const char *name)
{
    static const char *const starts[] = {"heap", "---", "%", "\x1f\x8b", "\n"};
    for (size_t i = 0; i < sizeof(starts) / sizeof(*starts); i++) {
        if (input_begins(name, starts[i], strlen(starts[i]))) {
            return true;
        }
    }
    return input_begins(name, "\0\0\0\0", 4);
}

static arguments_t sort_names(void)
{
    arguments_t a = {.profiles = settings.names, .count = settings.names_count};
    if (a.count == 0) {
        settings_refuse("no profile given");
    }
    url_t url;
    const char *first = a.profiles[0];
    bool alone = a.count == 1;
    bool is_program = is_elf(first) || (!alone && !url_parse(first, &url) &&
                                           !looks_like_profile(first));
    if (is_program) {
        a.program = first;
        a.profiles++;
        a.count--;
    }
    if (is_program && !is_elf(first)) {
        warn("%s: %s; using the paths in the profile", first,
            access(first, R_OK) == 0 ? "no ELF file" : strerror(errno));
        a.program = NULL;
    }
    if (a.count == 0) {
        settings_refuse("a program, but no profile given");
    }
    return a;
}

static void read_one(arguments_t *a, const char *name, bool is_base)
{
    read_options_t options = {
        .is_base = is_base,
        .threads = settings.threads,
        .thread = settings.thread,
    };
    url_t url;
    if (strcmp(name, "-") != 0 && url_parse(name, &url)) {
        a->remote = url;
        read_profile(&profile, remote_fetch(&url, settings.seconds), options);
        remote_symbolize(&url, &profile);
    } else {
        read_profile(&profile, input_open(name), options);
    }
}

static bool wants_lines(void)
{
    switch (settings.output) {
    case OUT_TEXT:
    case OUT_COLLAPSED:
    case OUT_RAW:
    case OUT_DOT:
    case OUT_SVG:
    case OUT_PDF:
    case OUT_PS:
    case OUT_GIF:
    case OUT_GV:
    case OUT_EVINCE:
    case OUT_DISASM:
        return settings.granularity != BY_FUNCTION || settings.focus != NULL ||
               settings.ignore != NULL;
    default:
        return true;
    }
}

static void symbolize_all(const arguments_t *a)
{
    symbolize_options_t options = {
        .program = a->program,
        .lib_prefix = settings.lib_prefix,
        .add_libs = settings.add_libs,
        .add_libs_count = settings.add_libs_count,
        .perf_map = settings.perf_map,
        .want_lines = wants_lines(),
        .tell_files = settings.debug,
    };
    symbolize(&profile, &options);
}

static int compare_threads(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a;
    int64_t y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* The table, once for each thread if so wanted. */
static void print_tables(view_t *v)
{
    if (settings.threads == THREADS_SUM) {
        print_text(stdout, v, &settings, 0);
        return;
    }
    int64_t *threads = mem_alloc((profile.samples_count + 1) * sizeof(int64_t));
    for (size_t i = 0; i < profile.samples_count; i++) {
        threads[i] = profile.samples[i].thread;
    }
    qsort(threads, profile.samples_count, sizeof(*threads), compare_threads);
    v->show_thread = true;
    for (size_t i = 0; i < profile.samples_count; i++) {
        if (i == 0 || threads[i] != threads[i - 1]) {
            v->thread = threads[i];
            print_text(stdout, v, &settings, 0);
        }
    }
    mem_free(threads);
}

static void print_output(view_t *v)
{
    static const char *const formats[] = {[OUT_SVG] = "svg",
        [OUT_PDF] = "pdf",
        [OUT_PS] = "ps2",
        [OUT_GIF] = "gif"};
    switch (settings.output) {
    case OUT_COLLAPSED:
        print_collapsed(stdout, v);
        break;
    case OUT_CALLGRIND:
        print_callgrind(stdout, v);
        break;
    case OUT_RAW:
        print_raw(stdout, v);
        break;
    case OUT_LIST:
        print_list(stdout, v, settings.regex);
        break;
    case OUT_DISASM:
        print_disasm(stdout, v, &settings, settings.regex);
        break;
    case OUT_DOT:
        print_graph(stdout, v, &settings);
        break;
    case OUT_SVG:
    case OUT_PDF:
    case OUT_PS:
    case OUT_GIF:
        draw_graph(stdout, v, &settings, formats[settings.output]);
        break;
    case OUT_GV:
    case OUT_EVINCE:
        show_picture(v, &settings);
        break;
    case OUT_WEB:
        show_web(v, &settings);
        break;
    case OUT_FLAME:
        print_flame(stdout, v);
        break;
    case OUT_PROTO:
    case OUT_MERGE:
        print_proto(stdout, v);
        break;
    case OUT_SPEEDSCOPE:
        print_speedscope(stdout, v);
        break;
    case OUT_JSON:
        print_json(stdout, v);
        break;
    case OUT_INTERACTIVE:
        shell_run(v, &settings);
        break;
    default:
        print_tables(v);
    }
}

/* The innermost frame of a location; with --lines the place in the source. */
static void print_name(const location_t *l)
{
    const frame_t *frame = &profile.frames[l->frames];
    const function_t *f = &profile.functions[frame->function];
    bool known = f->start != 0 || l->frames_count > 1;
    bool has_line = known && settings.granularity == BY_LINE && frame->line > 0;
    fputs(known ? text_of(f->short_name) : "??", stdout);
    if (has_line) {
        printf(" %s:%" PRIu32, text_of(frame->file), frame->line);
    }
    putchar('\n');
}

/* --symbols: a memory map and addresses from stdin, a name for each. */
static void name_addresses(void)
{
    input_t in = input_open("-");
    maps_t maps = {NULL, 0, 0, NULL};
    maps_read(&maps, &profile, in.bytes, in.len, 0);
    uint32_t *ids = NULL;
    size_t count = 0;
    size_t room = 0;
    cursor_t c = {in.bytes, in.bytes + in.len};
    cursor_t line;
    while (cursor_line(&c, &line)) {
        uint64_t address;
        cursor_blanks(&line);
        if (cursor_hex(&line, &address) && line.at == line.end) {
            *MEM_PUSH(ids, count, room) = maps_locate(&maps, &profile, address);
        }
    }
    arguments_t a = {
        .program = settings.names_count > 0 ? settings.names[0] : NULL};
    if (a.program == NULL && maps.count == 0) {
        settings_refuse("--symbols needs a program, or a memory map on stdin");
    }
    symbolize_all(&a);
    for (size_t i = 0; i < count; i++) {
        print_name(&profile.locations[ids[i]]);
    }
}

static void refuse_terminal(void)
{
    output_t o = settings.output;
    bool binary =
        o == OUT_PROTO || o == OUT_MERGE || o == OUT_PDF || o == OUT_GIF;
    if (binary && isatty(STDOUT_FILENO)) {
        fail("this output is binary: send it to a file or a pipe");
    }
}

static void finish(void)
{
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fail("the output could not be written: %s", strerror(errno));
    }
    exit(0);
}

static const char *title_of(const arguments_t *a)
{
    if (a->program != NULL) {
        return a->program;
    }
    char *remote = a->remote.host != NULL ? remote_program(&a->remote) : NULL;
    for (size_t i = 0; remote == NULL && i < profile.images_count; i++) {
        if (profile.images[i].is_program) {
            return text_of(profile.images[i].path);
        }
    }
    return remote != NULL ? remote : a->profiles[0];
}

int main(int argc, char **argv)
{
    settings_parse(argc, argv);
    profile_init(&profile);
    refuse_terminal();
    if (settings.output == OUT_SYMBOLS) {
        name_addresses();
        finish();
    }
    arguments_t a = sort_names();
    for (size_t i = 0; i < a.count; i++) {
        read_one(&a, a.profiles[i], false);
    }
    for (size_t i = 0; i < settings.bases_count; i++) {
        read_one(&a, settings.bases[i], true);
    }
    if (settings.drop_negative) {
        profile_drop_negative(&profile);
    }
    if (profile.samples_count == 0 && settings.threads == THREADS_ONE) {
        fail("%s: there is nothing of thread %" PRId64, a.profiles[0],
            settings.thread);
    }
    symbolize_all(&a);
    view_t view;
    view_init(&view, &profile, &settings);
    view.title = title_of(&a);
    view_filter(&view, settings.focus, settings.ignore, settings.retain,
        settings.exclude);
    print_output(&view);
    finish();
}
