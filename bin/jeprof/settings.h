/*
 * What: the command line, and what the user chose on it.
 *
 * Invariants: (I1) the table of options in settings.c is the only list: the
 * parser and --help are made of it; (I2) a choice that makes no sense ends
 * the program with a message that says what would.
 *
 * Locking: none.
 */
#ifndef JEPROF_SETTINGS_H
#define JEPROF_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum output {
    OUT_NONE,
    OUT_TEXT,
    OUT_COLLAPSED,
    OUT_CALLGRIND,
    OUT_RAW,
    OUT_LIST,
    OUT_DISASM,
    OUT_SYMBOLS,
    OUT_DOT,
    OUT_SVG,
    OUT_PDF,
    OUT_PS,
    OUT_GIF,
    OUT_GV,
    OUT_EVINCE,
    OUT_WEB,
    OUT_FLAME,
    OUT_PROTO,
    OUT_SPEEDSCOPE,
    OUT_JSON,
    OUT_MERGE,
    OUT_INTERACTIVE
} output_t;

typedef enum granularity {
    BY_FUNCTION,
    BY_LINE,
    BY_ADDRESS,
    BY_FILE
} granularity_t;

/* In the order of the values of a sample. */
typedef enum metric {
    METRIC_INUSE_OBJECTS,
    METRIC_INUSE_SPACE,
    METRIC_ALLOC_OBJECTS,
    METRIC_ALLOC_SPACE,
    METRIC_MEAN_DELAY,
    METRIC_DEFAULT
} metric_t;

enum { THREADS_SUM, THREADS_ONE, THREADS_EACH };

typedef struct settings {
    output_t output;
    granularity_t granularity;
    metric_t metric;
    bool is_flame; /* --flame given, maybe together with --web */
    bool show_bytes;
    bool drop_negative;
    bool sort_cumulative;
    bool heapcheck;
    bool debug;
    bool syms_by_id;
    int threads;
    int64_t thread;
    unsigned nodecount;
    unsigned maxdegree;
    double nodefraction;
    double edgefraction;
    unsigned scale;
    unsigned seconds;
    const char *regex; /* of --list and --disasm */
    const char *focus;
    const char *ignore;
    const char *retain;
    const char *exclude;
    const char *lib_prefix;
    const char *tools;
    const char **bases;
    size_t bases_count, bases_room;
    const char *perf_map;
    const char **add_libs;
    size_t add_libs_count, add_libs_room;
    const char **names; /* what is no option */
    size_t names_count, names_room;
} settings_t;

extern settings_t settings;

void settings_parse(int argc, char **argv);

/* Ends the program: the usage, then the message. */
__attribute__((noreturn)) void settings_refuse(const char *message);

#endif
