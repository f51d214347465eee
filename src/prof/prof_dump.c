/*
 * What: see prof_dump.h.
 *
 * Invariants: as there.
 *
 * Locking: as there.
 */
#include "prof/prof_dump.h"

#include <stdlib.h>
#include <string.h>

#include "conf/conf.h"
#include "os/file.h"
#include "os/log.h"
#include "os/reentry.h"
#include "prof/prof_leak.h"
#include "prof/prof_out.h"
#include "prof/prof_pool.h"
#include "prof/prof_pprof.h"
#include "prof/prof_rate.h"
#include "util/format.h"

/* Part of a prefix that is kept. */
#define PREFIX_MAX 4096

/* The files that prof_keep will remove, oldest first. */
typedef struct kept {
    struct kept *next;
    size_t bytes; /* of the record itself */
    char path[];
} kept_t;

static struct {
    mutex_t lock;
    char prefix[PREFIX_MAX + 1];
    char path[PATH_MAX]; /* a name of our own; too much for a small stack */
    uint64_t sequence;
    uint64_t of_kind[PROF_DUMP_KINDS];
    uint64_t logs;
    kept_t *oldest;
    kept_t **newest;
    size_t kept;
    _Atomic(prof_dump_hook_t) hook;
} dump;

void prof_dump_boot(void)
{
    mutex_init(&dump.lock, LOCK_RANK_PROF_DUMP);
    prof_dump_set_prefix(opt.prof_prefix);
    dump.newest = &dump.oldest;
}

void prof_dump_set_prefix(const char *prefix)
{
    size_t length = strnlen(prefix, PREFIX_MAX);
    mutex_lock(&dump.lock);
    memcpy(dump.prefix, prefix, length);
    dump.prefix[length] = '\0';
    mutex_unlock(&dump.lock);
}

bool prof_dump_has_prefix(void)
{
    mutex_lock(&dump.lock);
    bool has = dump.prefix[0] != '\0';
    mutex_unlock(&dump.lock);
    return has;
}

prof_dump_hook_t prof_dump_hook(void)
{
    return atomic_get_relaxed(&dump.hook);
}

void prof_dump_set_hook(prof_dump_hook_t hook)
{
    atomic_put_relaxed(&dump.hook, hook);
}

/* ---- names ---- */

/* The number in the brackets of pid:[4026531836]. */
static bool pid_namespace(char *text, size_t size)
{
    char link[64];
    if (!os_link_text("/proc/self/ns/pid", link, sizeof(link))) {
        return false;
    }
    char *open = strchr(link, '[');
    char *close = strchr(link, ']');
    if (open == NULL || close == NULL || close < open) {
        return false;
    }
    *close = '\0';
    return format_print(text, size, "%s.", open + 1) < size;
}

/* <prefix>.[<namespace>.]<pid>, then the rest. */
static bool name_locked(char *path, size_t size, const char *rest)
{
    char space[32] = "";
    if (dump.prefix[0] == '\0') {
        return false;
    }
    if (opt.prof_pid_namespace && !pid_namespace(space, sizeof(space))) {
        space[0] = '\0';
    }
    return format_print(path, size, "%s.%s%llu.%s", dump.prefix, space,
               (unsigned long long)os_pid(), rest) < size;
}

static bool next_name_locked(prof_dump_kind_t kind, char *path, size_t size)
{
    static const char letters[PROF_DUMP_KINDS] = {'f', 'i', 'm', 'u'};
    char rest[64];
    char number[24] = "";
    if (dump.prefix[0] == '\0') {
        return false;
    }
    if (kind != PROF_DUMP_FINAL) {
        (void)format_print(number, sizeof(number), "%llu",
            (unsigned long long)dump.of_kind[kind]++);
    }
    (void)format_print(rest, sizeof(rest), "%llu.%c%s.heap",
        (unsigned long long)dump.sequence++, letters[kind], number);
    return name_locked(path, size, rest);
}

bool prof_dump_log_name(char *path, size_t size)
{
    char rest[40];
    mutex_lock(&dump.lock);
    (void)format_print(
        rest, sizeof(rest), "%llu.json", (unsigned long long)dump.logs++);
    bool named = name_locked(path, size, rest);
    mutex_unlock(&dump.lock);
    return named;
}

/* ---- files that come and go ---- */

static void forget_oldest_locked(bool remove)
{
    kept_t *first = dump.oldest;
    dump.oldest = first->next;
    dump.kept--;
    if (dump.oldest == NULL) {
        dump.newest = &dump.oldest;
    }
    if (remove) {
        (void)os_remove(first->path);
    }
    prof_pool_free(first, first->bytes);
}

/* opt.prof_keep: the newest so many of our own names stay. */
static void rotate_locked(const char *path)
{
    if (opt.prof_keep == 0) {
        return;
    }
    size_t bytes = sizeof(kept_t) + strlen(path) + 1;
    kept_t *kept = prof_pool_alloc(bytes);
    if (kept == NULL) {
        return;
    }
    kept->next = NULL;
    kept->bytes = bytes;
    memcpy(kept->path, path, bytes - sizeof(kept_t));
    *dump.newest = kept;
    dump.newest = &kept->next;
    dump.kept++;
    while (dump.kept > opt.prof_keep) {
        forget_oldest_locked(true);
    }
}

/* ---- dumping ---- */

static bool write_profile(const prof_profile_t *profile)
{
    switch (opt.prof_dump_format) {
    case CONF_PROF_DUMP_FORMAT_PPROF:
        return prof_pprof_write(profile);
    case CONF_PROF_DUMP_FORMAT_HEAP:
        prof_text_heap(profile);
        return true;
    default:
        prof_text_heap_v2(profile);
        return true;
    }
}

/* Says what went wrong, if somebody is to hear it. */
static void complain(bool loud, const char *what, const char *path)
{
    if (!loud) {
        return;
    }
    if (path != NULL) {
        log_printf("<jemalloc>: %s \"%s\"\n", what, path);
    } else {
        log_printf("<jemalloc>: %s\n", what);
    }
    if (opt.abort) {
        abort();
    }
}

static prof_profile_t profile_of(const prof_view_t *view)
{
    return (prof_profile_t){
        .view = view,
        .distance = prof_rate_distance(),
        .rate = prof_rate(),
        .unbias = opt.prof_unbias,
        .accumulates = opt.prof_accum,
    };
}

static bool write_locked(
    const char *path, bool loud, const prof_profile_t *profile)
{
    bool gzip = opt.prof_dump_format == CONF_PROF_DUMP_FORMAT_PPROF;
    if (prof_out_begin(path, gzip) != 0) {
        complain(loud, "failed to open", path);
        return false;
    }
    bool written = write_profile(profile);
    if (prof_out_end() != 0 || !written) {
        complain(loud, "failed to write during heap profile flush", NULL);
        return false;
    }
    return true;
}

static void call_hook(const char *path)
{
    prof_dump_hook_t hook = prof_dump_hook();
    if (hook != NULL) {
        reentry_enter();
        hook(path);
        reentry_leave();
    }
}

/* `view` may be NULL: no memory for one, and that is an error. */
static bool dump_locked(const char *path, bool loud, const prof_view_t *view)
{
    bool done = false;
    if (view != NULL) {
        prof_profile_t profile = profile_of(view);
        done = write_locked(path, loud, &profile);
    } else {
        complain(loud, "no memory for a heap profile", NULL);
    }
    call_hook(path);
    return done;
}

static bool dump_kind(prof_dump_kind_t kind, bool loud)
{
    char *path = dump.path;
    bool done = false;
    mutex_lock(&dump.lock);
    if (next_name_locked(kind, path, sizeof(dump.path))) {
        prof_view_t view;
        bool viewed = prof_table_view(&view);
        done = dump_locked(path, loud, viewed ? &view : NULL);
        if (done) {
            rotate_locked(path);
        }
        if (viewed) {
            prof_table_view_end(&view);
        }
    }
    mutex_unlock(&dump.lock);
    return done;
}

bool prof_dump_auto(prof_dump_kind_t kind)
{
    return dump_kind(kind, true);
}

bool prof_dump_manual(void)
{
    return dump_kind(PROF_DUMP_MANUAL, false);
}

bool prof_dump_to(const char *path)
{
    prof_view_t view;
    mutex_lock(&dump.lock);
    bool viewed = prof_table_view(&view);
    bool done = dump_locked(path, false, viewed ? &view : NULL);
    if (viewed) {
        prof_table_view_end(&view);
    }
    mutex_unlock(&dump.lock);
    return done;
}

/* One view for the file and the report, so that they agree. */
void prof_dump_at_exit(void)
{
    char *path = dump.path;
    prof_view_t view;
    mutex_lock(&dump.lock);
    bool named = next_name_locked(PROF_DUMP_FINAL, path, sizeof(dump.path));
    bool viewed = named && prof_table_view(&view);
    if (named && dump_locked(path, true, viewed ? &view : NULL)) {
        rotate_locked(path);
    }
    mutex_unlock(&dump.lock);
    if (!viewed) {
        return;
    }
    if (opt.prof_leak) {
        prof_profile_t profile = profile_of(&view);
        prof_leak_report(&profile);
    }
    prof_table_view_end(&view);
}

void prof_dump_exclude(void (*action)(size_t argument), size_t argument)
{
    mutex_lock(&dump.lock);
    action(argument);
    mutex_unlock(&dump.lock);
}

/* ---- fork ---- */

JE_NO_LOCK_ANALYSIS
void prof_dump_prefork(void)
{
    mutex_lock(&dump.lock);
}

JE_NO_LOCK_ANALYSIS
void prof_dump_postfork_parent(void)
{
    mutex_unlock(&dump.lock);
}

/* The parent's files are the parent's to remove. */
void prof_dump_postfork_child(void)
{
    while (dump.oldest != NULL) {
        forget_oldest_locked(false);
    }
}

void prof_dump_visit_lock(
    void (*visit)(const mutex_t *lock, void *opaque), void *opaque)
{
    if (mutex_trylock(&dump.lock)) {
        visit(&dump.lock, opaque);
        mutex_unlock(&dump.lock);
    }
}
