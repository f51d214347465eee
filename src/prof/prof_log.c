/*
 * What: see prof_log.h.
 *
 * Invariants: as there.
 *
 * Locking: as there.
 */
#include "prof/prof_log.h"

#include <string.h>

#include "conf/conf.h"
#include "os/file.h"
#include "os/log.h"
#include "os/os.h"
#include "prof/prof_dump.h"
#include "prof/prof_out.h"
#include "prof/prof_pool.h"
#include "prof/prof_rate.h"
#include "prof/prof_table.h"
#include "util/hash.h"

#define BUCKETS 1024

typedef struct stack {
    struct stack *next_in_bucket;
    struct stack *next; /* in the order of their numbers */
    uint64_t hash;
    uint32_t number;
    uint32_t count;
    uintptr_t frames[];
} stack_record_t;

typedef struct thread {
    struct thread *next;
    uint64_t uid;
    uint32_t number;
    char name[PROF_NAME_MAX];
} thread_record_t;

typedef struct entry {
    struct entry *next;
    uint32_t threads[2]; /* allocating, freeing */
    uint32_t stacks[2];
    uint64_t times[2];
    size_t usize;
} entry_t;

static struct {
    mutex_t lock;
    _Atomic bool running;
    bool stopped; /* well; under the dump lock */
    uint64_t start_ns;
    char path[PATH_MAX];
    stack_record_t *buckets[BUCKETS];
    stack_record_t *stacks;
    stack_record_t **last_stack;
    uint32_t stack_count;
    thread_record_t *threads;
    thread_record_t **last_thread;
    uint32_t thread_count;
    entry_t *entries;
    entry_t **last_entry;
} plog;

static void empty_locked(void)
{
    plog.last_stack = &plog.stacks;
    plog.last_thread = &plog.threads;
    plog.last_entry = &plog.entries;
    plog.stack_count = 0;
    plog.thread_count = 0;
}

void prof_log_boot(void)
{
    mutex_init(&plog.lock, LOCK_RANK_PROF_LOG);
    empty_locked();
}

bool prof_log_is_running(void)
{
    return atomic_get_relaxed(&plog.running);
}

bool prof_log_start(const char *path)
{
    char name[PATH_MAX];
    if (path == NULL && !prof_log_is_running() &&
        !prof_dump_log_name(name, sizeof(name))) {
        return false;
    }
    path = path == NULL ? name : path;
    size_t length = strnlen(path, PATH_MAX);
    bool starts = false;
    mutex_lock(&plog.lock);
    if (length < PATH_MAX && !prof_log_is_running()) {
        memcpy(plog.path, path, length + 1);
        plog.start_ns = os_clock_ns();
        atomic_put_relaxed(&plog.running, true);
        starts = true;
    }
    mutex_unlock(&plog.lock);
    return starts;
}

/* ---- adding ---- */

static size_t stack_bytes(size_t count)
{
    return sizeof(stack_record_t) + count * sizeof(uintptr_t);
}

static stack_record_t *get_stack_locked(const prof_event_t *event)
{
    uint64_t hash = event->count;
    for (unsigned i = 0; i < event->count; i++) {
        hash = hash_mix(hash ^ event->frames[i]);
    }
    stack_record_t **bucket = &plog.buckets[hash % BUCKETS];
    size_t bytes = event->count * sizeof(uintptr_t);
    for (stack_record_t *s = *bucket; s != NULL; s = s->next_in_bucket) {
        if (s->hash == hash && s->count == event->count &&
            memcmp(s->frames, event->frames, bytes) == 0) {
            return s;
        }
    }
    stack_record_t *stack = prof_pool_alloc(stack_bytes(event->count));
    if (stack != NULL) {
        *stack = (stack_record_t){.next_in_bucket = *bucket,
            .hash = hash,
            .number = plog.stack_count++,
            .count = event->count};
        memcpy(stack->frames, event->frames, bytes);
        *bucket = stack;
        *plog.last_stack = stack;
        plog.last_stack = &stack->next;
    }
    return stack;
}

static thread_record_t *get_thread_locked(const prof_event_t *event)
{
    for (thread_record_t *t = plog.threads; t != NULL; t = t->next) {
        if (t->uid == event->uid && strcmp(t->name, event->name) == 0) {
            return t;
        }
    }
    thread_record_t *thread = prof_pool_alloc(sizeof(*thread));
    if (thread != NULL) {
        *thread =
            (thread_record_t){.uid = event->uid, .number = plog.thread_count++};
        memcpy(
            thread->name, event->name, strnlen(event->name, PROF_NAME_MAX - 1));
        *plog.last_thread = thread;
        plog.last_thread = &thread->next;
    }
    return thread;
}

static void add_locked(
    const prof_event_t *alloc, const prof_event_t *dalloc, size_t usize)
{
    const stack_record_t *from = get_stack_locked(alloc);
    const stack_record_t *to = get_stack_locked(dalloc);
    const thread_record_t *giver = get_thread_locked(alloc);
    const thread_record_t *taker = get_thread_locked(dalloc);
    entry_t *entry = prof_pool_alloc(sizeof(*entry));
    if (entry == NULL || from == NULL || to == NULL || giver == NULL ||
        taker == NULL) {
        if (entry != NULL) {
            prof_pool_free(entry, sizeof(*entry));
        }
        return;
    }
    *entry = (entry_t){.threads = {giver->number, taker->number},
        .stacks = {from->number, to->number},
        .times = {alloc->ns, dalloc->ns},
        .usize = usize};
    *plog.last_entry = entry;
    plog.last_entry = &entry->next;
}

void prof_log_add(
    const prof_event_t *alloc, const prof_event_t *dalloc, size_t usize)
{
    mutex_lock(&plog.lock);
    if (prof_log_is_running()) {
        add_locked(alloc, dalloc, usize);
    }
    mutex_unlock(&plog.lock);
}

/* ---- writing ---- */

static void write_info(const prof_json_t *json)
{
    prof_json_print(json, "{\"info\":{\"duration\":%llu,\"version\":",
        (unsigned long long)(os_clock_ns() - plog.start_ns));
    prof_json_string(json, CONFIG_VERSION);
    prof_json_print(json,
        ",\"lg_sample_rate\":%u,\"prof_time_resolution\":\"%s\","
        "\"pid\":%llu},\"threads\":[",
        prof_rate_lg(),
        opt.prof_time_resolution == CONF_PROF_TIME_RESOLUTION_HIGH ? "high"
                                                                   : "default",
        (unsigned long long)os_pid());
}

static void write_entry(const prof_json_t *json, const entry_t *e)
{
    prof_json_print(json,
        "{\"alloc_thread\":%u,\"free_thread\":%u,\"alloc_trace\":%u,"
        "\"free_trace\":%u,\"alloc_timestamp\":%llu,"
        "\"free_timestamp\":%llu,\"usize\":%zu}%s",
        e->threads[0], e->threads[1], e->stacks[0], e->stacks[1],
        (unsigned long long)e->times[0], (unsigned long long)e->times[1],
        e->usize, e->next == NULL ? "" : ",");
}

static void write_log_locked(const prof_json_t *json)
{
    write_info(json);
    for (const thread_record_t *t = plog.threads; t != NULL; t = t->next) {
        prof_json_print(json,
            "{\"thr_uid\":%llu,\"thr_name\":", (unsigned long long)t->uid);
        prof_json_string(json, t->name);
        prof_json_text(json, t->next == NULL ? "}" : "},");
    }
    prof_json_text(json, "],\"stack_traces\":[");
    for (const stack_record_t *s = plog.stacks; s != NULL; s = s->next) {
        prof_json_frames(json, s->frames, s->count);
        prof_json_text(json, s->next == NULL ? "" : ",");
    }
    prof_json_text(json, "],\"allocations\":[");
    for (const entry_t *e = plog.entries; e != NULL; e = e->next) {
        write_entry(json, e);
    }
    prof_json_text(json, "]}");
}

static void drop_locked(void)
{
    for (entry_t *e = plog.entries; e != NULL;) {
        entry_t *next = e->next;
        prof_pool_free(e, sizeof(*e));
        e = next;
    }
    for (thread_record_t *t = plog.threads; t != NULL;) {
        thread_record_t *next = t->next;
        prof_pool_free(t, sizeof(*t));
        t = next;
    }
    for (stack_record_t *s = plog.stacks; s != NULL;) {
        stack_record_t *next = s->next;
        prof_pool_free(s, stack_bytes(s->count));
        s = next;
    }
    memset(plog.buckets, 0, sizeof(plog.buckets));
    plog.entries = NULL;
    plog.threads = NULL;
    plog.stacks = NULL;
    empty_locked();
}

static void to_file(void *opaque, const char *text)
{
    (void)opaque;
    prof_out_text(text);
}

static int write_file_locked(void)
{
    int error = prof_out_begin(plog.path, false);
    if (error != 0) {
        log_printf("<jemalloc>: creat() for log file \"%s\"  failed with %d\n",
            plog.path, error);
        return error;
    }
    write_log_locked(&(prof_json_t){to_file, NULL});
    return prof_out_end();
}

static void stop(size_t argument)
{
    (void)argument;
    mutex_lock(&plog.lock);
    plog.stopped = prof_log_is_running() && write_file_locked() == 0;
    atomic_put_relaxed(&plog.running, false);
    drop_locked();
    mutex_unlock(&plog.lock);
}

bool prof_log_stop(void)
{
    if (!prof_log_is_running()) {
        return false;
    }
    prof_dump_exclude(stop, 0);
    return plog.stopped;
}

/* ---- fork ---- */

void prof_log_prefork(void)
{
    mutex_fork_drain(&plog.lock);
}
