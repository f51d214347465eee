/*
 * What: see prof_recent.h.
 *
 * Invariants: as there.
 *
 * Locking: as there.
 */
#include "prof/prof_recent.h"

#include <string.h>

#include "os/os.h"
#include "os/reentry.h"
#include "prof/prof_pool.h"
#include "prof/prof_table.h"
#include "util/atomic.h"

/* An event with everything it refers to. */
typedef struct {
    uint64_t uid;
    uint64_t ns;
    char name[PROF_NAME_MAX];
    unsigned count;
    uintptr_t *frames; /* NULL: not known */
} event_t;

struct prof_recent {
    list_node_t link;
    uint64_t number;        /* ascending */
    prof_recent_t **sample; /* where the sample keeps us; NULL if freed */
    size_t size;
    size_t usize;
    bool released;
    event_t alloc;
    event_t dalloc;
};

static struct {
    mutex_t dump_lock;
    mutex_t list_lock;
    list_node_t list;
    ssize_t count;
    _Atomic ssize_t max;
    uint64_t next_number;
} recent;

void prof_recent_boot(ssize_t max)
{
    mutex_init(&recent.dump_lock, LOCK_RANK_PROF_RECENT_DUMP);
    mutex_init(&recent.list_lock, LOCK_RANK_PROF_RECENT);
    list_init(&recent.list);
    atomic_put_relaxed(&recent.max, max);
}

static void copy_event(event_t *to, const prof_event_t *from)
{
    memset(to, 0, sizeof(*to));
    if (from == NULL) {
        return;
    }
    to->uid = from->uid;
    to->ns = from->ns;
    memcpy(to->name, from->name, strnlen(from->name, PROF_NAME_MAX - 1));
    to->frames = prof_pool_alloc(from->count * sizeof(*to->frames));
    if (to->frames != NULL) {
        to->count = from->count;
        memcpy(to->frames, from->frames, from->count * sizeof(*to->frames));
    }
}

static void free_event(event_t *event)
{
    if (event->frames != NULL) {
        prof_pool_free(event->frames, event->count * sizeof(*event->frames));
    }
}

/* Cuts the list to `max` entries, the oldest go. */
static void trim_locked(ssize_t max)
{
    while (max >= 0 && recent.count > max) {
        prof_recent_t *entry =
            list_entry(list_first(&recent.list), prof_recent_t, link);
        list_remove(&entry->link);
        recent.count--;
        if (entry->sample != NULL) {
            *entry->sample = NULL;
        }
        free_event(&entry->alloc);
        free_event(&entry->dalloc);
        prof_pool_free(entry, sizeof(*entry));
    }
}

void prof_recent_add(
    prof_recent_t **link, size_t size, size_t usize, const prof_event_t *alloc)
{
    ssize_t max = prof_recent_max();
    prof_recent_t *entry = max == 0 ? NULL : prof_pool_alloc(sizeof(*entry));
    *link = entry;
    if (entry == NULL) {
        return;
    }
    *entry = (prof_recent_t){.sample = link, .size = size, .usize = usize};
    copy_event(&entry->alloc, alloc);
    list_init(&entry->link);
    mutex_lock(&recent.list_lock);
    entry->number = recent.next_number++;
    list_insert(&recent.list, &entry->link);
    recent.count++;
    trim_locked(prof_recent_max());
    mutex_unlock(&recent.list_lock);
}

bool prof_recent_has(prof_recent_t *const *link)
{
    mutex_lock(&recent.list_lock);
    bool has = *link != NULL;
    mutex_unlock(&recent.list_lock);
    return has;
}

void prof_recent_release(prof_recent_t **link, const prof_event_t *event)
{
    mutex_lock(&recent.list_lock);
    prof_recent_t *entry = *link;
    if (entry != NULL) {
        entry->sample = NULL;
        entry->released = true;
        copy_event(&entry->dalloc, event);
        *link = NULL;
    }
    mutex_unlock(&recent.list_lock);
}

ssize_t prof_recent_max(void)
{
    return atomic_get_relaxed(&recent.max);
}

ssize_t prof_recent_set_max(ssize_t max)
{
    mutex_lock(&recent.list_lock);
    ssize_t old = atomic_exchange(&recent.max, max);
    trim_locked(max);
    mutex_unlock(&recent.list_lock);
    return old;
}

/* ---- dump ---- */

static void dump_event(
    const prof_json_t *json, const char *verb, const event_t *event)
{
    prof_json_print(
        json, ",\"%s_thread_uid\":%llu", verb, (unsigned long long)event->uid);
    if (event->name[0] != '\0') {
        prof_json_print(json, ",\"%s_thread_name\":", verb);
        prof_json_string(json, event->name);
    }
    prof_json_print(json, ",\"%s_time\":%llu,\"%s_trace\":", verb,
        (unsigned long long)event->ns, verb);
    prof_json_frames(json, event->frames, event->count);
}

static void dump_entry(const prof_json_t *json, const prof_recent_t *entry)
{
    prof_json_print(json, "{\"size\":%zu,\"usize\":%zu,\"released\":%s",
        entry->size, entry->usize, entry->released ? "true" : "false");
    dump_event(json, "alloc", &entry->alloc);
    if (entry->dalloc.frames != NULL) {
        dump_event(json, "dalloc", &entry->dalloc);
    }
    prof_json_text(json, "}");
}

/* A copy of the first entry with at least that number; false at the end. */
static bool copy_entry(uint64_t number, prof_recent_t *out)
{
    bool found = false;
    mutex_lock(&recent.list_lock);
    list_foreach (node, &recent.list) {
        const prof_recent_t *entry = list_entry(node, prof_recent_t, link);
        if (entry->number >= number) {
            const event_t *a = &entry->alloc;
            const event_t *d = &entry->dalloc;
            *out = *entry;
            copy_event(&out->alloc,
                &(prof_event_t){a->uid, a->name, a->ns, a->frames, a->count});
            if (d->frames != NULL) {
                copy_event(&out->dalloc, &(prof_event_t){d->uid, d->name, d->ns,
                                             d->frames, d->count});
            }
            found = true;
            break;
        }
    }
    mutex_unlock(&recent.list_lock);
    return found;
}

/* The program's callback gets large pieces, not each number by itself. */
#define CHUNK_BYTES 65536

typedef struct {
    const prof_json_t *to;
    char *buffer;
    size_t used;
} chunk_t;

static void chunk_flush(chunk_t *chunk)
{
    chunk->buffer[chunk->used] = '\0';
    if (chunk->used != 0) {
        reentry_enter();
        chunk->to->write(chunk->to->opaque, chunk->buffer);
        reentry_leave();
    }
    chunk->used = 0;
}

static void chunk_write(void *opaque, const char *text)
{
    chunk_t *chunk = opaque;
    size_t length = strlen(text);
    if (chunk->used + length >= CHUNK_BYTES) {
        chunk_flush(chunk);
    }
    memcpy(chunk->buffer + chunk->used, text, length);
    chunk->used += length;
}

static void dump_list(const prof_json_t *json, uint64_t distance)
{
    prof_json_print(json,
        "{\"sample_interval\":%llu,\"recent_alloc_max\":%zd,"
        "\"recent_alloc\":[",
        (unsigned long long)distance, prof_recent_max());
    prof_recent_t entry;
    uint64_t number = 0;
    for (bool first = true; copy_entry(number, &entry); first = false) {
        prof_json_text(json, first ? "" : ",");
        dump_entry(json, &entry);
        free_event(&entry.alloc);
        free_event(&entry.dalloc);
        number = entry.number + 1;
    }
    prof_json_text(json, "]}");
}

void prof_recent_dump(const prof_json_t *json, uint64_t distance)
{
    chunk_t chunk = {json, os_map(CHUNK_BYTES, os_page_size()), 0};
    if (chunk.buffer == NULL) {
        return;
    }
    prof_json_t through = {chunk_write, &chunk};
    mutex_lock(&recent.dump_lock);
    dump_list(&through, distance);
    chunk_flush(&chunk);
    mutex_unlock(&recent.dump_lock);
    (void)os_unmap(chunk.buffer, CHUNK_BYTES);
}

/* ---- fork ---- */

JE_NO_LOCK_ANALYSIS
void prof_recent_prefork_outer(void)
{
    mutex_lock(&recent.dump_lock);
}

JE_NO_LOCK_ANALYSIS
void prof_recent_postfork_parent(void)
{
    mutex_unlock(&recent.dump_lock);
}

void prof_recent_prefork(void)
{
    mutex_fork_drain(&recent.list_lock);
}

void prof_recent_visit_locks(
    void (*visit)(const mutex_t *lock, bool dump, void *opaque), void *opaque)
{
    if (mutex_trylock(&recent.dump_lock)) {
        visit(&recent.dump_lock, true, opaque);
        mutex_unlock(&recent.dump_lock);
    }
    mutex_lock(&recent.list_lock);
    visit(&recent.list_lock, false, opaque);
    mutex_unlock(&recent.list_lock);
}
