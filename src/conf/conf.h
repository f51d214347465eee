/*
 * What: the run-time options, which everybody reads as `opt.dirty_decay_ms`,
 * and the table of options, for the parser, the control tree, the report and
 * whoever asks for help.
 *
 * Invariants: (I1) nothing outside of this directory writes an option; after
 * boot only the conf_resolve_* functions do, before other threads exist.
 *
 * Locking: none; written before there is a second thread, read-only after.
 */
#ifndef JE_CONF_CONF_H
#define JE_CONF_CONF_H

#include <limits.h>

#include "conf/limits.h"
#include "os/os.h"
#include "util/common.h"

/* Milliseconds whose nanoseconds still fit 64 bits, in whole seconds. */
#define CONF_DECAY_MS_MAX                                                      \
    (sizeof(ssize_t) == 8 ? (int64_t)18446744072000 : INT32_MAX)

/* Slots of one class in a thread cache, by the rule and by explicit list. */
#define CONF_NSLOTS_MAX 2048

/* A block this large is rare: nobody lowered the option, nobody is in need. */
#define CONF_OVERSIZE_THRESHOLD ((size_t)8 << 20)

/* What bounds the blocks that a thread caches of a small class. */
#define CONF_LG_NSLOTS_MUL    1
#define CONF_NSLOTS_SMALL_MIN 20
#define CONF_NSLOTS_SMALL_MAX 200
#define CONF_NCACHED_MAX      8191

/* A larger number of purging threads means that nobody set one. */
#define CONF_BACKGROUND_THREADS_START   4096
#define CONF_BACKGROUND_THREADS_DEFAULT 4

/* Segments one range list may hold, over all its settings. */
#define CONF_RANGES_MAX 64

typedef enum {
    CONF_PROFILE_NONE,
#define PRESET(name, word, help, pairs) CONF_PROFILE_##name,
#include "conf/presets.def"
} conf_profile_t;

typedef enum {
    CONF_JUNK_FALSE,
    CONF_JUNK_TRUE,
    CONF_JUNK_ALLOC,
    CONF_JUNK_FREE,
} conf_junk_t;

/* What opt.junk fills new and freed memory with. */
#define JUNK_ALLOC 0xa5
#define JUNK_FREE  0x5a

/* The settings that a level of opt.hardened stands for. */
typedef enum {
    CONF_HARDENED_0,
    CONF_HARDENED_1,
    CONF_HARDENED_2,
} conf_hardened_t;

typedef enum {
    CONF_ZERO_REALLOC_ALLOC,
    CONF_ZERO_REALLOC_FREE,
    CONF_ZERO_REALLOC_ABORT,
} conf_zero_realloc_t;

typedef enum {
    CONF_PERCPU_DISABLED,
    CONF_PERCPU_PERCPU,
    CONF_PERCPU_PHYCPU,
} conf_percpu_arena_t;

typedef enum {
    CONF_DSS_DISABLED,
    CONF_DSS_PRIMARY,
    CONF_DSS_SECONDARY,
} conf_dss_t;

typedef enum {
    CONF_METADATA_THP_DISABLED,
    CONF_METADATA_THP_AUTO,
    CONF_METADATA_THP_ALWAYS,
} conf_metadata_thp_t;

typedef enum {
    CONF_THP_DEFAULT,
    CONF_THP_ALWAYS,
    CONF_THP_NEVER,
    /* Reported, never set by name: the kernel has no huge pages. */
    CONF_THP_UNSUPPORTED,
} conf_thp_t;

typedef enum {
    CONF_HPA_HUGIFY_STYLE_AUTO,
    CONF_HPA_HUGIFY_STYLE_NONE,
    CONF_HPA_HUGIFY_STYLE_EAGER,
    CONF_HPA_HUGIFY_STYLE_LAZY,
} conf_hpa_hugify_style_t;

typedef enum {
    CONF_PROF_TIME_RESOLUTION_DEFAULT,
    CONF_PROF_TIME_RESOLUTION_HIGH,
} conf_prof_time_resolution_t;

typedef enum {
    CONF_PROF_DUMP_FORMAT_HEAP_V2,
    CONF_PROF_DUMP_FORMAT_PPROF,
    CONF_PROF_DUMP_FORMAT_HEAP,
} conf_prof_dump_format_t;

/*
 * The size classes from that of `start` to that of `end`, both included, are
 * to have `count` of something. Where segments overlap, the last one wins.
 */
typedef struct {
    size_t start;
    size_t end;
    size_t count;
} conf_range_t;

typedef struct {
    unsigned n;
    conf_range_t seg[CONF_RANGES_MAX];
} conf_ranges_t;

#define CONF_FIELD_BOOL(name)     bool name;
#define CONF_FIELD_SIZE(name)     size_t name;
#define CONF_FIELD_SSIZE(name)    ssize_t name;
#define CONF_FIELD_UNSIGNED(name) unsigned name;
#define CONF_FIELD_U64(name)      uint64_t name;
#define CONF_FIELD_I64(name)      int64_t name;
/* 16.16 fixed point. */
#define CONF_FIELD_RATIO(name)   uint32_t name;
#define CONF_FIELD_ENUM(name)    conf_##name##_t name;
#define CONF_FIELD_TEXT(name)    const char *name;
#define CONF_FIELD_LETTERS(name) const char *name;
/* Number of a signal; 0 is none. */
#define CONF_FIELD_SIGNAL(name) unsigned name;
#define CONF_FIELD_RANGES(name) conf_ranges_t name;

/* One field for each row of options.def, and what follows from them. */
typedef struct conf_opt {
#define OPTION(kind, name, value, min, max, rule, status, ctl, ignored, help)  \
    CONF_FIELD_##kind(name)
#include "conf/options.def"
    /* The option junk, taken apart. */
    bool junk_alloc;
    bool junk_free;
    /* background_thread was written out: then it is absolute. */
    bool background_thread_set;
} conf_opt_t;

/*
 * Written in this directory alone; everybody else says `opt`. On pages of
 * their own, which may become read-only.
 */
typedef union {
    conf_opt_t values;
    char pages[(sizeof(conf_opt_t) + OS_LARGEST_PAGE - 1) / OS_LARGEST_PAGE *
               OS_LARGEST_PAGE];
} JE_ALIGNED(OS_LARGEST_PAGE) conf_pages_t;

extern conf_pages_t conf_pages;
#define conf_opt_storage conf_pages.values
#define opt              (*(const conf_opt_t *)&conf_opt_storage)

/* From now on nobody changes an option. False if the system cannot do that. */
JE_MUST_USE bool conf_protect(void);

/* Boot tells what an option came to on this machine. */
void conf_resolve_narenas(unsigned narenas);
void conf_resolve_percpu_arena(conf_percpu_arena_t mode);

typedef enum {
    CONF_TYPE_BOOL,
    CONF_TYPE_SIZE,
    CONF_TYPE_SSIZE,
    CONF_TYPE_UNSIGNED,
    CONF_TYPE_U64,
    CONF_TYPE_I64,
    CONF_TYPE_RATIO,
    CONF_TYPE_ENUM,
    CONF_TYPE_TEXT,
    CONF_TYPE_LETTERS,
    CONF_TYPE_SIGNAL,
    CONF_TYPE_RANGES,
} conf_type_t;

/* One row of options.def. */
typedef struct {
    const char *name;
    const void *field;
    /* ENUM only: the words by value, NULL-terminated. */
    const char *const *words;
    /* C type that the control opt.<name> reads. */
    const char *mallctl_type;
    /* Why setting it changes nothing; NULL for a live option. */
    const char *reason;
    const char *help;
    int64_t min;
    uint64_t max;
    conf_type_t type;
    bool clips;
    bool has_mallctl;
    bool ignored;
    /* 'D' documented, 'U' for experts, 'X' may change. */
    char status;
} conf_option_t;

extern const conf_option_t conf_options[];
extern const unsigned conf_options_count;

/* The index of each row there, for what one option alone needs. */
enum {
#define OPTION(kind, name, value, min, max, rule, status, ctl, ignored, help)  \
    CONF_KEY_##name,
#include "conf/options.def"
    CONF_KEY_COUNT
};

/* The option with exactly this name, else NULL. */
const conf_option_t *conf_option_find(const char *name, size_t len);

/*
 * The value of an ENUM option, as a word; of thp what it comes to on this
 * machine.
 */
const char *conf_option_word(const conf_option_t *option);

/*
 * The value as it would be written in an option string, cut at size - 1
 * bytes.
 */
const char *conf_option_text(
    const conf_option_t *option, char *buf, size_t size);

/* Whether the kernel knows huge pages. */
bool conf_has_thp(void);

#endif
