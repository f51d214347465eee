/*
 * What: see prof_table.h.
 *
 * Invariants: as there.
 *
 * Locking: as there.
 */
#include "prof/prof_table.h"

#include <string.h>

#include "conf/limits.h"
#include "extent/base.h"
#include "os/os.h"
#include "prof/prof_pool.h"
#include "util/bits.h"
#include "util/exponent.h"
#include "util/hash.h"

#define SHARDS     64
#define LG_BUCKETS 14
#define BUCKETS    ((size_t)1 << LG_BUCKETS)

struct prof_record {
    list_node_t link; /* in its stack */
    prof_stack_t *stack;
    prof_identity_t *identity;
    prof_record_t *next_of_thread; /* with prof_accum */
    prof_line_t line;
};

struct prof_stack {
    prof_stack_t *next; /* in its bucket */
    list_node_t records;
    prof_counts_t gone; /* totals of threads that ended */
    uint64_t hash;
    uint32_t count;
    uintptr_t frames[];
};

static struct {
    mutex_t shards[SHARDS];
    mutex_t threads_lock;
    list_node_t threads;
    prof_stack_t **buckets;
    uint64_t next_uid;
    bool accumulates;
    _Atomic uint32_t epoch;
    /* For the size of a view. */
    _Atomic size_t stack_count;
    _Atomic size_t frame_count;
    _Atomic size_t record_count;
    _Atomic size_t thread_count;
} table;

bool prof_table_boot(bool accumulates)
{
    for (unsigned i = 0; i < SHARDS; i++) {
        mutex_init(&table.shards[i], LOCK_RANK_PROF_SHARD);
    }
    mutex_init(&table.threads_lock, LOCK_RANK_PROF_THREADS);
    list_init(&table.threads);
    table.accumulates = accumulates;
    table.buckets =
        base_alloc(&base_shared, BUCKETS * sizeof(void *), JE_CACHELINE);
    return table.buckets != NULL;
}

/* ---- counting ---- */

static void counts_add(prof_counts_t *to, const prof_counts_t *from)
{
    to->objects += from->objects;
    to->bytes += from->bytes;
    to->estimated_eighths += from->estimated_eighths;
    to->estimated_bytes += from->estimated_bytes;
}

static void counts_subtract(prof_counts_t *to, const prof_counts_t *from)
{
    to->objects -= from->objects;
    to->bytes -= from->bytes;
    to->estimated_eighths -= from->estimated_eighths;
    to->estimated_bytes -= from->estimated_bytes;
}

static void line_add(prof_line_t *to, const prof_line_t *from)
{
    counts_add(&to->live, &from->live);
    counts_add(&to->total, &from->total);
}

/* Largest number of bytes that one sample is taken to stand for. */
#define ESTIMATE_MAX 9e15

static uint64_t rounded(double x)
{
    return (uint64_t)((x < ESTIMATE_MAX ? x : ESTIMATE_MAX) + 0.5);
}

prof_counts_t prof_table_weigh(size_t usize, double rate)
{
    /* At a rate of 1 each allocation is a sample and stands for itself. */
    double share = rate >= 1 ? 1 : exponent_fall((double)usize * rate);
    return (prof_counts_t){
        .objects = 1,
        .bytes = usize,
        .estimated_eighths = rounded(8 / share),
        .estimated_bytes = rounded((double)usize / share),
    };
}

/* ---- threads ---- */

prof_identity_t *prof_table_enter(void)
{
    prof_identity_t *identity = prof_pool_alloc(sizeof(*identity));
    if (identity == NULL) {
        return NULL;
    }
    memset(identity, 0, sizeof(*identity));
    atomic_put_relaxed(&identity->references, 1);
    mutex_lock(&table.threads_lock);
    identity->uid = table.next_uid++;
    list_insert(&table.threads, &identity->link);
    mutex_unlock(&table.threads_lock);
    (void)atomic_add_relaxed(&table.thread_count, 1);
    return identity;
}

/* Drops `count` references; no lock of a shard is held. */
static void release(prof_identity_t *identity, uint32_t count)
{
    if (count == 0 || atomic_fetch_sub_explicit(&identity->references, count,
                          memory_order_acq_rel) != count) {
        return;
    }
    mutex_lock(&table.threads_lock);
    list_remove(&identity->link);
    mutex_unlock(&table.threads_lock);
    (void)atomic_sub_relaxed(&table.thread_count, 1);
    prof_pool_free(identity, sizeof(*identity));
}

void prof_table_set_name(prof_identity_t *identity, const char *name)
{
    mutex_lock(&table.threads_lock);
    size_t length = strnlen(name, PROF_NAME_MAX - 1);
    memcpy(identity->name, name, length);
    memset(identity->name + length, 0, PROF_NAME_MAX - length);
    mutex_unlock(&table.threads_lock);
}

void prof_table_get_name(
    const prof_identity_t *identity, char name[PROF_NAME_MAX])
{
    mutex_lock(&table.threads_lock);
    memcpy(name, identity->name, PROF_NAME_MAX);
    mutex_unlock(&table.threads_lock);
}

/* ---- stacks ---- */

static uint64_t hash_frames(const uintptr_t *frames, unsigned count)
{
    uint64_t hash = count;
    for (unsigned i = 0; i < count; i++) {
        hash = hash_mix(hash ^ frames[i]);
    }
    return hash_mix(hash + 1);
}

static mutex_t *lock_of(uint64_t hash)
{
    return &table.shards[hash % SHARDS];
}

/* A bucket's stacks are all of one shard. */
static prof_stack_t **bucket_of(uint64_t hash)
{
    static_assert(BUCKETS % SHARDS == 0, "the low bits choose the shard");
    return &table.buckets[hash % BUCKETS];
}

static size_t stack_bytes(size_t frame_count)
{
    return sizeof(prof_stack_t) + frame_count * sizeof(uintptr_t);
}

/* The stack with these frames, made if need be. The shard is locked. */
static prof_stack_t *get_stack_locked(
    const uintptr_t *frames, unsigned count, uint64_t hash)
{
    prof_stack_t **bucket = bucket_of(hash);
    for (prof_stack_t *s = *bucket; s != NULL; s = s->next) {
        if (s->hash == hash && s->count == count &&
            memcmp(s->frames, frames, count * sizeof(*frames)) == 0) {
            return s;
        }
    }
    prof_stack_t *stack = prof_pool_alloc(stack_bytes(count));
    if (stack == NULL) {
        return NULL;
    }
    *stack = (prof_stack_t){.next = *bucket, .hash = hash, .count = count};
    list_init(&stack->records);
    memcpy(stack->frames, frames, count * sizeof(*frames));
    *bucket = stack;
    (void)atomic_add_relaxed(&table.stack_count, 1);
    (void)atomic_add_relaxed(&table.frame_count, count);
    return stack;
}

static void free_stack(prof_stack_t *stack)
{
    (void)atomic_sub_relaxed(&table.stack_count, 1);
    (void)atomic_sub_relaxed(&table.frame_count, stack->count);
    prof_pool_free(stack, stack_bytes(stack->count));
}

/* Ends a stack that nothing is known of any more. The shard is locked. */
static void drop_stack_if_empty_locked(prof_stack_t *stack)
{
    if (!list_is_empty(&stack->records) || stack->gone.objects != 0) {
        return;
    }
    prof_stack_t **at = bucket_of(stack->hash);
    while (*at != stack) {
        at = &(*at)->next;
    }
    *at = stack->next;
    free_stack(stack);
}

/* ---- records ---- */

/* The thread's record of a stack; it moves to the front of the list. */
static prof_record_t *get_record_locked(
    prof_stack_t *stack, prof_identity_t *identity, bool *made)
{
    list_foreach (node, &stack->records) {
        prof_record_t *record = list_entry(node, prof_record_t, link);
        if (record->identity == identity) {
            list_remove(node);
            list_insert(stack->records.next, node);
            return record;
        }
    }
    prof_record_t *record = prof_pool_alloc(sizeof(*record));
    if (record == NULL) {
        return NULL;
    }
    *record = (prof_record_t){.stack = stack, .identity = identity};
    list_init(&record->link);
    list_insert(stack->records.next, &record->link);
    (void)atomic_add_relaxed(&identity->references, 1);
    (void)atomic_add_relaxed(&table.record_count, 1);
    *made = true;
    return record;
}

/* Takes a record out; the caller drops the reference to its thread. */
static void free_record_locked(prof_record_t *record)
{
    counts_add(&record->stack->gone, &record->line.total);
    list_remove(&record->link);
    drop_stack_if_empty_locked(record->stack);
    (void)atomic_sub_relaxed(&table.record_count, 1);
    prof_pool_free(record, sizeof(*record));
}

/* So that the thread finds it at its end. */
static void list_record_of_thread(
    prof_identity_t *identity, prof_record_t *record, uint32_t epoch)
{
    mutex_lock(&table.threads_lock);
    if (atomic_get_relaxed(&table.epoch) == epoch) {
        if (identity->epoch != epoch) {
            identity->epoch = epoch;
            identity->records = NULL;
        }
        record->next_of_thread = identity->records;
        identity->records = record;
    }
    mutex_unlock(&table.threads_lock);
}

bool prof_table_add(prof_identity_t *identity, const uintptr_t *frames,
    unsigned count, prof_entry_t *entry)
{
    uint64_t hash = hash_frames(frames, count);
    mutex_t *lock = lock_of(hash);
    prof_record_t *record = NULL;
    bool made = false;
    mutex_lock(lock);
    prof_stack_t *stack = get_stack_locked(frames, count, hash);
    if (stack != NULL) {
        record = get_record_locked(stack, identity, &made);
        if (record == NULL) {
            drop_stack_if_empty_locked(stack);
        }
    }
    uint32_t epoch = atomic_get_relaxed(&table.epoch);
    if (record != NULL) {
        counts_add(&record->line.live, &entry->counts);
        if (table.accumulates) {
            counts_add(&record->line.total, &entry->counts);
        }
    }
    mutex_unlock(lock);
    entry->record = record;
    entry->epoch = epoch;
    if (record != NULL && made && table.accumulates) {
        list_record_of_thread(identity, record, epoch);
    }
    return record != NULL;
}

/*
 * Which lock guards an entry's record is only known from the record, which a
 * reset may end at any time: so entries are looked at under the lock of the
 * threads, which a reset holds, until their shard is locked.
 */
JE_NO_LOCK_ANALYSIS
static prof_record_t *lock_record(
    const prof_entry_t *entry, mutex_t **lock, char *name)
{
    prof_record_t *record = NULL;
    mutex_lock(&table.threads_lock);
    if (entry->epoch == atomic_get_relaxed(&table.epoch)) {
        record = entry->record;
        *lock = lock_of(record->stack->hash);
        mutex_lock(*lock);
        if (name != NULL) {
            memcpy(name, record->identity->name, PROF_NAME_MAX);
        }
    }
    mutex_unlock(&table.threads_lock);
    return record;
}

JE_NO_LOCK_ANALYSIS
void prof_table_remove(const prof_entry_t *entry)
{
    mutex_t *lock;
    prof_record_t *record = lock_record(entry, &lock, NULL);
    if (record == NULL) {
        return;
    }
    counts_subtract(&record->line.live, &entry->counts);
    prof_identity_t *identity = record->identity;
    bool ends = record->line.live.objects == 0 &&
                (!table.accumulates || atomic_get_relaxed(&identity->exited));
    if (ends) {
        free_record_locked(record);
    }
    mutex_unlock(lock);
    release(identity, ends);
}

JE_NO_LOCK_ANALYSIS
bool prof_table_describe(const prof_entry_t *entry, uintptr_t *frames,
    unsigned max, unsigned *count, uint64_t *uid, char name[PROF_NAME_MAX])
{
    mutex_t *lock;
    prof_record_t *record = lock_record(entry, &lock, name);
    if (record == NULL) {
        return false;
    }
    const prof_stack_t *stack = record->stack;
    *count = stack->count < max ? stack->count : max;
    memcpy(frames, stack->frames, *count * sizeof(*frames));
    *uid = record->identity->uid;
    mutex_unlock(lock);
    return true;
}

/* With prof_accum: what has no live samples moves to the stacks. */
static uint32_t fold_records(prof_identity_t *identity)
{
    uint32_t ended = 0;
    if (identity->epoch != atomic_get_relaxed(&table.epoch)) {
        return 0;
    }
    prof_record_t *next;
    for (prof_record_t *r = identity->records; r != NULL; r = next) {
        next = r->next_of_thread;
        mutex_t *lock = lock_of(r->stack->hash);
        mutex_lock(lock);
        if (r->line.live.objects == 0) {
            free_record_locked(r);
            ended++;
        }
        mutex_unlock(lock);
    }
    identity->records = NULL;
    return ended;
}

void prof_table_leave(prof_identity_t *identity)
{
    uint32_t ended = 1;
    mutex_lock(&table.threads_lock);
    ended += fold_records(identity);
    atomic_put_relaxed(&identity->exited, true);
    mutex_unlock(&table.threads_lock);
    release(identity, ended);
}

/* ---- everything at once ---- */

JE_NO_LOCK_ANALYSIS
static void lock_all(void)
{
    mutex_lock(&table.threads_lock);
    for (unsigned i = 0; i < SHARDS; i++) {
        mutex_lock(&table.shards[i]);
    }
}

JE_NO_LOCK_ANALYSIS
static void unlock_all(void)
{
    for (unsigned i = 0; i < SHARDS; i++) {
        mutex_unlock(&table.shards[i]);
    }
    mutex_unlock(&table.threads_lock);
}

/* Threads that lost their last reference stay until the locks are free. */
static void drop_everything_locked(list_node_t *ended)
{
    for (size_t b = 0; b < BUCKETS; b++) {
        prof_stack_t *next;
        for (prof_stack_t *s = table.buckets[b]; s != NULL; s = next) {
            next = s->next;
            while (!list_is_empty(&s->records)) {
                prof_record_t *r =
                    list_entry(s->records.next, prof_record_t, link);
                list_remove(&r->link);
                if (atomic_sub_relaxed(&r->identity->references, 1) == 1) {
                    list_remove(&r->identity->link);
                    list_insert(ended, &r->identity->link);
                }
                (void)atomic_sub_relaxed(&table.record_count, 1);
                prof_pool_free(r, sizeof(*r));
            }
            free_stack(s);
        }
        table.buckets[b] = NULL;
    }
}

void prof_table_reset(void)
{
    list_node_t ended;
    list_init(&ended);
    lock_all();
    (void)atomic_add_relaxed(&table.epoch, 1);
    drop_everything_locked(&ended);
    unlock_all();
    while (!list_is_empty(&ended)) {
        prof_identity_t *identity =
            list_entry(ended.next, prof_identity_t, link);
        list_remove(&identity->link);
        (void)atomic_sub_relaxed(&table.thread_count, 1);
        prof_pool_free(identity, sizeof(*identity));
    }
}

/* ---- views ---- */

/* The parts of a view's memory, from the back of which nothing is left. */
typedef struct {
    prof_thread_view_t *threads;
    prof_stack_view_t *stacks;
    prof_record_view_t *records;
    uintptr_t *frames;
    size_t thread_max, stack_max, record_max, frame_max;
    size_t thread_count, stack_count, record_count, frame_count;
} parts_t;

/* Room for what there is now and a little more. */
static size_t with_slack(_Atomic size_t *count)
{
    size_t n = atomic_get_relaxed(count);
    return n + n / 8 + 64;
}

static bool map_parts(parts_t *parts, prof_view_t *view)
{
    *parts = (parts_t){
        .thread_max = with_slack(&table.thread_count),
        .stack_max = with_slack(&table.stack_count),
        .record_max = with_slack(&table.record_count),
        .frame_max = with_slack(&table.frame_count),
    };
    size_t threads = parts->thread_max * sizeof(*parts->threads);
    size_t stacks = parts->stack_max * sizeof(*parts->stacks);
    size_t records = parts->record_max * sizeof(*parts->records);
    size_t frames = parts->frame_max * sizeof(*parts->frames);
    view->memory_bytes =
        bits_round_up(threads + stacks + records + frames, os_page_size());
    view->memory = os_map(view->memory_bytes, os_page_size());
    if (view->memory == NULL) {
        return false;
    }
    char *at = view->memory;
    parts->threads = (prof_thread_view_t *)(void *)at;
    parts->stacks = (prof_stack_view_t *)(void *)(at + threads);
    parts->records = (prof_record_view_t *)(void *)(at + threads + stacks);
    parts->frames = (uintptr_t *)(void *)(at + threads + stacks + records);
    return true;
}

/* Index of a thread by its uid: the list ascends. */
static size_t find_thread(const parts_t *parts, uint64_t uid)
{
    size_t low = 0;
    size_t high = parts->thread_count;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (parts->threads[middle].uid <= uid) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return low;
}

/* Records ascend by thread; lists are short or nearly sorted. */
static void insert_sorted(
    prof_record_view_t *records, size_t count, prof_record_view_t record)
{
    size_t at = count;
    while (at > 0 && records[at - 1].thread > record.thread) {
        records[at] = records[at - 1];
        at--;
    }
    records[at] = record;
}

static bool view_stack(parts_t *parts, prof_view_t *view, prof_stack_t *stack)
{
    if (parts->stack_count == parts->stack_max ||
        parts->frame_max - parts->frame_count < stack->count) {
        return false;
    }
    uintptr_t *frames = &parts->frames[parts->frame_count];
    prof_record_view_t *records = &parts->records[parts->record_count];
    prof_stack_view_t *out = &parts->stacks[parts->stack_count];
    *out = (prof_stack_view_t){
        .frames = frames, .records = records, .frame_count = stack->count};
    memcpy(frames, stack->frames, stack->count * sizeof(*frames));
    out->line.total = stack->gone;
    list_foreach (node, &stack->records) {
        const prof_record_t *record = list_entry(node, prof_record_t, link);
        if (parts->record_count == parts->record_max) {
            return false;
        }
        size_t thread = find_thread(parts, record->identity->uid);
        insert_sorted(records, out->record_count,
            (prof_record_view_t){(uint32_t)thread, record->line});
        out->record_count++;
        parts->record_count++;
        line_add(&out->line, &record->line);
        line_add(&parts->threads[thread].line, &record->line);
    }
    line_add(&view->all, &out->line);
    parts->frame_count += stack->count;
    parts->stack_count++;
    return true;
}

static bool view_locked(parts_t *parts, prof_view_t *view)
{
    list_foreach (node, &table.threads) {
        const prof_identity_t *identity =
            list_entry(node, prof_identity_t, link);
        if (parts->thread_count == parts->thread_max) {
            return false;
        }
        prof_thread_view_t *out = &parts->threads[parts->thread_count++];
        out->uid = identity->uid;
        memcpy(out->name, identity->name, PROF_NAME_MAX);
    }
    for (size_t b = 0; b < BUCKETS; b++) {
        for (prof_stack_t *s = table.buckets[b]; s != NULL; s = s->next) {
            if (!view_stack(parts, view, s)) {
                return false;
            }
        }
    }
    return true;
}

bool prof_table_view(prof_view_t *view)
{
    for (;;) {
        parts_t parts;
        memset(view, 0, sizeof(*view));
        if (!map_parts(&parts, view)) {
            return false;
        }
        lock_all();
        bool fits = view_locked(&parts, view);
        unlock_all();
        if (fits) {
            view->threads = parts.threads;
            view->thread_count = parts.thread_count;
            view->stacks = parts.stacks;
            view->stack_count = parts.stack_count;
            return true;
        }
        prof_table_view_end(view);
    }
}

void prof_table_view_end(prof_view_t *view)
{
    (void)os_unmap(view->memory, view->memory_bytes);
}

/* ---- fork and statistics ---- */

void prof_table_prefork(void)
{
    mutex_fork_drain(&table.threads_lock);
    for (unsigned i = 0; i < SHARDS; i++) {
        mutex_fork_drain(&table.shards[i]);
    }
}

void prof_table_visit_locks(
    void (*visit)(const mutex_t *lock, bool threads, void *opaque),
    void *opaque)
{
    lock_all();
    visit(&table.threads_lock, true, opaque);
    for (unsigned i = 0; i < SHARDS; i++) {
        visit(&table.shards[i], false, opaque);
    }
    unlock_all();
}
