/*
 * What: the table of options and the parser, see settings.h.
 *
 * Invariants: (I1) an option may be written by any beginning that no other
 * option has; a switch may be negated by "no" before its name.
 *
 * Locking: none.
 */
#include "settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config.h"
#include "mem.h"
#include "say.h"

settings_t settings = {
    .metric = METRIC_DEFAULT,
    .nodecount = 80,
    .maxdegree = 8,
    .nodefraction = .005,
    .edgefraction = .001,
    .seconds = 30,
};

typedef enum type {
    HEADING, /* of a part of --help */
    SWITCH,
    OUTPUT, /* the mode `value` */
    OUTPUT_WITH,
    GRANULARITY,
    METRIC,
    TEXT,
    LIST,
    UNSIGNED,
    FRACTION,
    THREAD,
    HELP,
    SHOW_VERSION
} type_t;

typedef struct option {
    const char *name;
    const char *argument; /* as --help shows it */
    type_t type;
    int value;
    void *to;
    const char *help;
} option_t;

static const option_t options[] = {
    {"What to make of it (one; text, or a prompt on a terminal)", NULL, HEADING,
        0, NULL, NULL},
    {"text", NULL, OUTPUT, OUT_TEXT, NULL, "table of functions"},
    {"flame", NULL, OUTPUT, OUT_FLAME, NULL,
        "flame graph, one HTML page; with --base a comparison"},
    {"web", NULL, OUTPUT, OUT_WEB, NULL,
        "call graph (or --flame) in the browser, or served on loopback"},
    {"list", "RE", OUTPUT_WITH, OUT_LIST, &settings.regex,
        "annotated source of functions that match"},
    {"disasm", "RE", OUTPUT_WITH, OUT_DISASM, &settings.regex,
        "annotated machine code of functions that match"},
    {"collapsed", NULL, OUTPUT, OUT_COLLAPSED, NULL,
        "one line a stack: root;...;leaf VALUE"},
    {"proto", NULL, OUTPUT, OUT_PROTO, NULL,
        "profile.proto with symbols, gzipped"},
    {"speedscope", NULL, OUTPUT, OUT_SPEEDSCOPE, NULL,
        "JSON of speedscope.app"},
    {"json", NULL, OUTPUT, OUT_JSON, NULL,
        "JSON: stacks with frames and values"},
    {"callgrind", NULL, OUTPUT, OUT_CALLGRIND, NULL, "callgrind file"},
    {"raw", NULL, OUTPUT, OUT_RAW, NULL,
        "text profile that brings its symbols along"},
    {"merge", NULL, OUTPUT, OUT_MERGE, NULL,
        "the sum of all files as gzipped profile.proto, images told apart by "
        "build id"},
    {"dot", NULL, OUTPUT, OUT_DOT, NULL, "call graph for Graphviz"},
    {"svg", NULL, OUTPUT, OUT_SVG, NULL, "call graph as SVG"},
    {"pdf", NULL, OUTPUT, OUT_PDF, NULL, "call graph as PDF"},
    {"ps", NULL, OUTPUT, OUT_PS, NULL, "call graph as PostScript"},
    {"gif", NULL, OUTPUT, OUT_GIF, NULL, "call graph as GIF"},
    {"gv", NULL, OUTPUT, OUT_GV, NULL, "call graph in the viewer gv"},
    {"evince", NULL, OUTPUT, OUT_EVINCE, NULL,
        "call graph in the viewer evince"},
    {"symbols", NULL, OUTPUT, OUT_SYMBOLS, NULL,
        "names of addresses: a memory map, then addresses, from stdin"},
    {"interactive", NULL, OUTPUT, OUT_INTERACTIVE, NULL, "a prompt"},
    {"What is one row", NULL, HEADING, 0, NULL, NULL},
    {"functions", NULL, GRANULARITY, BY_FUNCTION, NULL, "a function [default]"},
    {"lines", NULL, GRANULARITY, BY_LINE, NULL, "a source line"},
    {"addresses", NULL, GRANULARITY, BY_ADDRESS, NULL, "an address"},
    {"files", NULL, GRANULARITY, BY_FILE, NULL, "a source file"},
    {"What is counted", NULL, HEADING, 0, NULL, NULL},
    {"inuse_space", NULL, METRIC, METRIC_INUSE_SPACE, NULL,
        "bytes in use [default]"},
    {"inuse_objects", NULL, METRIC, METRIC_INUSE_OBJECTS, NULL,
        "objects in use"},
    {"alloc_space", NULL, METRIC, METRIC_ALLOC_SPACE, NULL,
        "bytes allocated since the start (prof_accum:true)"},
    {"alloc_objects", NULL, METRIC, METRIC_ALLOC_OBJECTS, NULL,
        "objects allocated since the start (prof_accum:true)"},
    {"total_delay", NULL, METRIC, METRIC_INUSE_SPACE, NULL,
        "time waited, of contention profiles"},
    {"contentions", NULL, METRIC, METRIC_INUSE_OBJECTS, NULL,
        "how often was waited"},
    {"mean_delay", NULL, METRIC, METRIC_MEAN_DELAY, NULL, "time a wait took"},
    {"show_bytes", NULL, SWITCH, 0, &settings.show_bytes,
        "bytes instead of MB"},
    {"base", "FILE", LIST, 0, &settings.bases, "subtract that profile"},
    {"drop_negative", NULL, SWITCH, 0, &settings.drop_negative,
        "differences below 0 are 0"},
    {"thread", "N", THREAD, 0, NULL,
        "that thread alone; * for one report a thread"},
    {"Which stacks and frames", NULL, HEADING, 0, NULL, NULL},
    {"focus", "RE", TEXT, 0, &settings.focus,
        "only stacks with a frame that matches"},
    {"ignore", "RE", TEXT, 0, &settings.ignore,
        "no stacks with a frame that matches"},
    {"retain", "RE", TEXT, 0, &settings.retain, "only frames that match"},
    {"exclude", "RE", TEXT, 0, &settings.exclude, "no frames that match"},
    {"How it looks", NULL, HEADING, 0, NULL, NULL},
    {"cum", NULL, SWITCH, 0, &settings.sort_cumulative,
        "sort by cumulative value"},
    {"nodecount", "N", UNSIGNED, 0, &settings.nodecount,
        "at most so many nodes of the graph [80]"},
    {"nodefraction", "F", FRACTION, 0, &settings.nodefraction,
        "hide nodes below this part of the total [.005]"},
    {"edgefraction", "F", FRACTION, 0, &settings.edgefraction,
        "hide edges below this part of the total [.001]"},
    {"maxdegree", "N", UNSIGNED, 0, &settings.maxdegree,
        "at most so many edges into or out of a node [8]"},
    {"scale", "N", UNSIGNED, 0, &settings.scale,
        "--scale of gv; 0 makes the graph fit a page [0]"},
    {"heapcheck", NULL, SWITCH, 0, &settings.heapcheck,
        "paint nodes that allocate themselves"},
    {"Where symbols are", NULL, HEADING, 0, NULL, NULL},
    {"lib_prefix", "D1,D2", TEXT, 0, &settings.lib_prefix,
        "look for libraries below these directories first"},
    {"add_lib", "FILE", LIST, 0, &settings.add_libs,
        "symbols of a file that was not relocated"},
    {"perf_map", "FILE", TEXT, 0, &settings.perf_map,
        "names of code made at run time, as in /tmp/perf-PID.map"},
    {"debug-syms-by-id", NULL, SWITCH, 0, &settings.syms_by_id,
        "debug files by build id (always done)"},
    {"tools", "SPEC", TEXT, 0, &settings.tools,
        "where objdump and dot are: directories or tool:path, comma between"},
    {"Other", NULL, HEADING, 0, NULL, NULL},
    {"seconds", "N", UNSIGNED, 0, &settings.seconds,
        "duration of a remote CPU profile [30]"},
    {"debug", NULL, SWITCH, 0, &settings.debug,
        "tell which file each image's symbols come from"},
    {"help", NULL, HELP, 0, NULL, "this text"},
    {"version", NULL, SHOW_VERSION, 0, NULL, "the version"},
};
#define OPTIONS (sizeof(options) / sizeof(*options))

static void print_usage(FILE *to)
{
    fputs("Usage: jeprof [OPTION]... PROGRAM PROFILE...\n"
          "       jeprof [OPTION]... PROFILE...\n"
          "       jeprof [OPTION]... http://HOST:PORT[/SERVICE]\n"
          "       jeprof --symbols PROGRAM <ADDRESSES\n"
          "Shows where memory went: reads heap profiles of jemalloc and\n"
          "gperftools (text) and profile.proto, gzipped or not. Without\n"
          "PROGRAM the paths in the profile are used.\n",
        to);
    for (size_t i = 0; i < OPTIONS; i++) {
        const option_t *o = &options[i];
        if (o->type == HEADING) {
            fprintf(to, "\n%s:\n", o->name);
            continue;
        }
        char name[64];
        snprintf(name, sizeof(name), "--%s%s%s", o->name,
            o->argument != NULL ? "=" : "",
            o->argument != NULL ? o->argument : "");
        fprintf(to, "  %-19s %s\n", name, o->help);
    }
    fputs("\nEnvironment: JEPROF_TOOLS is the default of --tools;\n"
          "JEPROF_TMPDIR is where fetched profiles are kept [$HOME/jeprof];\n"
          "DEBUGINFOD_URLS names servers that are asked for debug files.\n",
        to);
}

void settings_refuse(const char *message)
{
    print_usage(stderr);
    fflush(stderr);
    fputs("\nFATAL ERROR: ", stderr);
    fail("%s", message);
}

static void print_version(void)
{
    printf("jeprof (part of jemalloc %s)\n", CONFIG_VERSION);
    fputs("Reads what pprof of gperftools 2.0 reads, and shares none of its "
          "code.\nFree software under the licence of jemalloc: see COPYING. "
          "There is no warranty.\n",
        stdout);
}

/* The option that `name` of that length is or alone begins; else an error. */
static const option_t *find_option(const char *name, size_t len, bool *negated)
{
    const option_t *found = NULL;
    unsigned matches = 0;
    for (int pass = 0; pass < 2 && found == NULL; pass++) {
        *negated = pass == 1;
        if (*negated && (len < 3 || strncmp(name, "no", 2) != 0)) {
            break;
        }
        const char *at = name + (*negated ? 2 : 0);
        size_t n = len - (*negated ? 2 : 0);
        for (size_t i = 0; i < OPTIONS; i++) {
            const option_t *o = &options[i];
            if (o->type == HEADING || strncmp(o->name, at, n) != 0 ||
                (*negated && o->type != SWITCH)) {
                continue;
            }
            if (o->name[n] == '\0') {
                return o;
            }
            found = o;
            matches++;
        }
    }
    char *message;
    if (matches == 1) {
        return found;
    }
    message = mem_format(matches == 0 ? "unknown option --%.*s"
                                      : "--%.*s is the beginning of several "
                                        "options",
        (int)len, name);
    settings_refuse(message);
}

/* --flame and --web together are one: the page, in a browser. */
static void set_output(output_t output)
{
    output_t now = settings.output;
    bool page = (now == OUT_FLAME && output == OUT_WEB) ||
                (now == OUT_WEB && output == OUT_FLAME);
    if (now != OUT_NONE && now != output && !page) {
        settings_refuse("more than one way of output: choose one");
    }
    settings.is_flame |= output == OUT_FLAME;
    settings.output = page ? OUT_WEB : output;
}

static double number_of(const option_t *o, const char *value, double max)
{
    char *end;
    double number = strtod(value, &end);
    if (end == value || *end != '\0' || !(number >= 0) || number > max) {
        settings_refuse(mem_format(
            "--%s=%s: not a number from 0 to %g", o->name, value, max));
    }
    return number;
}

static void set_thread(const char *value)
{
    if (strcmp(value, "*") == 0) {
        settings.threads = THREADS_EACH;
        return;
    }
    char *end;
    settings.threads = THREADS_ONE;
    settings.thread = strtoll(value, &end, 10);
    if (*value == '\0' || *end != '\0' || settings.thread < 0) {
        settings_refuse(mem_format(
            "--thread=%s: neither the number of a thread nor *", value));
    }
}

static void add_to_list(const option_t *o, const char *value)
{
    if (o->to == &settings.bases) {
        *MEM_PUSH(settings.bases, settings.bases_count, settings.bases_room) =
            value;
    } else {
        *MEM_PUSH(settings.add_libs, settings.add_libs_count,
            settings.add_libs_room) = value;
    }
}

static void apply(const option_t *o, const char *value, bool negated)
{
    switch (o->type) {
    case SWITCH:
        *(bool *)o->to = !negated;
        break;
    case OUTPUT_WITH:
        *(const char **)o->to = value;
        set_output((output_t)o->value);
        break;
    case OUTPUT:
        set_output((output_t)o->value);
        break;
    case GRANULARITY:
        settings.granularity = (granularity_t)o->value;
        break;
    case METRIC:
        settings.metric = (metric_t)o->value;
        break;
    case TEXT:
        *(const char **)o->to = value;
        break;
    case LIST:
        add_to_list(o, value);
        break;
    case UNSIGNED:
        *(unsigned *)o->to = (unsigned)number_of(o, value, 1e9);
        break;
    case FRACTION:
        *(double *)o->to = number_of(o, value, 1);
        break;
    case THREAD:
        set_thread(value);
        break;
    case HELP:
        print_usage(stdout);
        exit(0);
    case SHOW_VERSION:
        print_version();
        exit(0);
    case HEADING:
        break;
    }
}

void settings_parse(int argc, char **argv)
{
    bool only_names = false;
    for (int i = 1; i < argc; i++) {
        const char *word = argv[i];
        if (only_names || word[0] != '-' || word[1] == '\0') {
            *MEM_PUSH(settings.names, settings.names_count,
                settings.names_room) = word;
            continue;
        }
        if (strcmp(word, "--") == 0) {
            only_names = true;
            continue;
        }
        const char *name = word + (word[1] == '-' ? 2 : 1);
        size_t len = strcspn(name, "=");
        bool negated;
        const option_t *o = find_option(name, len, &negated);
        const char *value = name[len] == '=' ? name + len + 1 : NULL;
        if (o->argument == NULL && value != NULL) {
            settings_refuse(mem_format("--%s takes no value", o->name));
        }
        if (o->argument != NULL && value == NULL) {
            value = ++i < argc ? argv[i] : NULL;
        }
        if (o->argument != NULL && value == NULL) {
            settings_refuse(mem_format(
                "--%s needs a value: --%s=%s", o->name, o->name, o->argument));
        }
        apply(o, value, negated);
    }
    if (settings.output == OUT_NONE) {
        settings.output = isatty(STDOUT_FILENO) ? OUT_INTERACTIVE : OUT_TEXT;
    }
    if (settings.tools == NULL) {
        settings.tools = getenv("JEPROF_TOOLS");
    }
}
