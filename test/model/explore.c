/*
 * What: see explore.h.
 *
 * Invariants: as there.
 *
 * Locking: none.
 */
#include "explore.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#define THREADS     4
#define LOCATIONS   64
#define MESSAGES    96
#define RACY_RANGES 8
#define TLS_BYTES   4096
#define STACK_BYTES ((size_t)256 << 10)
#define CHOICES     4096
#define STEPS_MAX   2000
#define TRACE       400
#define SHADOW      4096
#define LG_SEEN_MIN 16

/* What a thread, or a message, knows: of each location, of each thread. */
typedef struct {
    uint8_t at[LOCATIONS];
    uint8_t clock[THREADS];
} view_t;

typedef struct {
    uint64_t value;
    view_t view; /* what is learnt with it */
} message_t;

typedef struct {
    uintptr_t addr;
    unsigned size;
    unsigned count;
    uint64_t hash;
    message_t messages[MESSAGES];
} location_t;

typedef enum {
    RUNNABLE,
    WAITING,  /* on a word */
    YIELDING, /* until something is written */
    ENDED,
} status_t;

typedef struct {
    ucontext_t context;
    status_t status;
    uintptr_t waits_for;
    unsigned writes_seen;
    view_t view;
    view_t to_acquire; /* read, for the next acquire fence */
    view_t released;   /* at the last release fence */
    uint64_t hash;     /* of all that it has read */
    bool has_tls[TLS_BYTES / 8];
    _Alignas(64) char tls[TLS_BYTES];
} thread_t;

/* An ordinary variable, for races. */
typedef struct {
    uintptr_t addr;
    uint8_t writer;
    uint8_t written; /* clock of the writer; 0 never */
    uint8_t read[THREADS];
} shadow_t;

typedef struct {
    uint8_t thread;
    char what[16];
    uintptr_t addr;
    uint64_t value;
} trace_t;

/* All of it lies outside of what an execution begins with anew. */
static struct {
    const model_t *model;
    bool active; /* a model thread runs */
    unsigned me;
    thread_t threads[THREADS];
    ucontext_t main_context;
    unsigned location_count;
    location_t locations[LOCATIONS];
    view_t consistent; /* what sequentially consistent accesses share */
    uint64_t memory_hash;
    unsigned writes;
    unsigned steps;
    struct {
        uintptr_t first, end;
    } racy[RACY_RANGES];
    unsigned racy_count;
    /* An ordinary access that has not happened yet. */
    location_t *reading;
    location_t *writing;
    /* Choices. */
    struct {
        uint16_t chosen, count;
    } choices[CHOICES];
    unsigned depth, prefix;
    int stale_left, switches_left;
    int bound; /* of both; -1: none */
    bool abandoned, failed;
    uint64_t executions, seen_count, pruned;
    unsigned longest;
    uint64_t *seen;
    unsigned lg_seen;
    /* Names for traces. */
    trace_t trace[TRACE];
    unsigned trace_count;
    shadow_t shadow[SHADOW];
    uint16_t shadow_used[SHADOW];
    unsigned shadow_count;
    size_t tls_used;
    char *image; /* of the program's variables */
    char *stacks;
} x __attribute__((section("explorer")));

extern char __start_explorer[], __stop_explorer[];
extern char __data_start[], _end[];

/* ---- failing ---- */

static void leave(void)
{
    x.active = false;
    (void)setcontext(&x.main_context);
    abort();
}

static void show_trace(void)
{
    unsigned first = x.trace_count > TRACE ? x.trace_count - TRACE : 0;
    for (unsigned i = first; i < x.trace_count; i++) {
        const trace_t *t = &x.trace[i % TRACE];
        printf("#   thread %u %-12s %6lx = %lx\n", t->thread, t->what,
            (unsigned long)(t->addr & 0xffffff), (unsigned long)t->value);
    }
}

__attribute__((format(printf, 1, 2))) static void fail(const char *fmt, ...)
{
    if (!x.failed) {
        va_list args;
        va_start(args, fmt);
        printf("# %s: ", x.model->name);
        vprintf(fmt, args);
        va_end(args);
        printf(" (execution %lu)\n", (unsigned long)x.executions + 1);
        show_trace();
    }
    x.failed = true;
    if (x.active) {
        leave();
    }
}

void model_require(bool held, const char *what)
{
    if (!held && x.model != NULL) {
        fail("%s", what);
    }
}

static void note(const char *what, uintptr_t addr, uint64_t value)
{
    trace_t *t = &x.trace[x.trace_count++ % TRACE];
    t->thread = (uint8_t)x.me;
    (void)snprintf(t->what, sizeof(t->what), "%s", what);
    t->addr = addr;
    t->value = value;
}

/* ---- hashes of states ---- */

static uint64_t mix(uint64_t hash, uint64_t value)
{
    hash = (hash ^ value) * 0x9e3779b97f4a7c15ULL;
    return (hash ^ hash >> 29) * 0xbf58476d1ce4e5b9ULL ^ hash >> 32;
}

/* The same whatever order locations were first used in. */
static uint64_t view_hash(const view_t *view)
{
    uint64_t hash = 0;
    for (unsigned i = 0; i < x.location_count; i++) {
        if (view->at[i] != 0) {
            hash += mix(x.locations[i].addr, view->at[i]);
        }
    }
    return hash;
}

static uint64_t state_hash(uint64_t kind)
{
    uint64_t hash = mix(x.memory_hash, view_hash(&x.consistent));
    for (unsigned t = 0; t < x.model->threads; t++) {
        const thread_t *thread = &x.threads[t];
        hash = mix(hash, thread->hash);
        hash = mix(hash, thread->status);
        hash = mix(hash, view_hash(&thread->view));
        hash = mix(hash,
            thread->status == YIELDING && thread->writes_seen == x.writes);
    }
    hash = mix(hash, kind << 8 | x.me);
    hash = mix(hash, (uint64_t)x.stale_left << 32 ^ (uint64_t)x.switches_left);
    return hash == 0 ? 1 : hash;
}

static bool insert(uint64_t *table, unsigned lg, uint64_t hash)
{
    uint64_t mask = (1ULL << lg) - 1;
    for (uint64_t i = hash & mask;; i = (i + 1) & mask) {
        if (table[i] == hash) {
            return false;
        }
        if (table[i] == 0) {
            table[i] = hash;
            return true;
        }
    }
}

static void grow_seen(void)
{
    uint64_t *bigger = calloc(1ULL << (x.lg_seen + 1), sizeof(uint64_t));
    if (bigger == NULL) {
        fail("no memory for more states");
        exit(1);
    }
    for (uint64_t i = 0; i < 1ULL << x.lg_seen; i++) {
        if (x.seen[i] != 0) {
            (void)insert(bigger, x.lg_seen + 1, x.seen[i]);
        }
    }
    free(x.seen);
    x.seen = bigger;
    x.lg_seen++;
}

static bool is_new_state(uint64_t kind)
{
    if (2 * x.seen_count >= 1ULL << x.lg_seen) {
        grow_seen();
    }
    bool is_new = insert(x.seen, x.lg_seen, state_hash(kind));
    x.seen_count += is_new;
    return is_new;
}

/* ---- choices ---- */

static unsigned choose(unsigned count, uint64_t kind)
{
    if (count == 1) {
        return 0;
    }
    if (x.depth == x.prefix) {
        if (x.depth == CHOICES) {
            fail("more than %d choices", CHOICES);
        }
        if (!is_new_state(kind)) {
            x.pruned++;
            x.abandoned = true;
            leave();
        }
        x.choices[x.prefix].chosen = 0;
        x.choices[x.prefix].count = (uint16_t)count;
        x.prefix++;
    }
    return x.choices[x.depth++].chosen;
}

/* The next execution's prefix; false when there is none. */
static bool backtrack(void)
{
    while (x.prefix > 0) {
        unsigned last = x.prefix - 1;
        if (x.choices[last].chosen + 1U < x.choices[last].count) {
            x.choices[last].chosen++;
            return true;
        }
        x.prefix--;
    }
    return false;
}

static bool may_run(unsigned t)
{
    const thread_t *thread = &x.threads[t];
    return thread->status == RUNNABLE ||
           (thread->status == YIELDING && thread->writes_seen != x.writes);
}

static void switch_to(unsigned next)
{
    unsigned me = x.me;
    if (next != me) {
        x.me = next;
        x.threads[next].status = RUNNABLE;
        (void)swapcontext(&x.threads[me].context, &x.threads[next].context);
    } else {
        x.threads[next].status = RUNNABLE;
    }
}

/* Chooses who goes on. The caller may not be able to. */
static void schedule(uint64_t kind)
{
    unsigned candidates[THREADS];
    unsigned count = 0;
    bool goes_on = may_run(x.me);
    if (goes_on) {
        candidates[count++] = x.me;
    }
    if (!goes_on || x.switches_left != 0) {
        for (unsigned t = 0; t < x.model->threads; t++) {
            if (t != x.me && may_run(t)) {
                candidates[count++] = t;
            }
        }
    }
    if (count == 0) {
        bool all_ended = true;
        for (unsigned t = 0; t < x.model->threads; t++) {
            all_ended &= x.threads[t].status == ENDED;
        }
        if (!all_ended) {
            fail("deadlock");
        }
        leave();
    }
    unsigned choice = choose(count, kind);
    if (goes_on && choice != 0 && x.switches_left > 0) {
        x.switches_left--;
    }
    switch_to(candidates[choice]);
}

/* ---- ordinary accesses to what is shared ---- */

static location_t *location(const volatile void *ptr, unsigned size);
static void append(
    location_t *loc, uint64_t value, const view_t *view, const char *what);

static uint64_t peek(uintptr_t addr, unsigned size)
{
    uint64_t value = 0;
    memcpy(&value, (void *)addr, size); /* NOLINT */
    return value;
}

static void poke(uintptr_t addr, unsigned size, uint64_t value)
{
    memcpy((void *)addr, &value, size); /* NOLINT */
}

static message_t *newest(location_t *loc)
{
    return &loc->messages[loc->count - 1];
}

/* What an ordinary access did, after it happened. */
static void finish_access(void)
{
    if (x.reading != NULL) {
        poke(x.reading->addr, x.reading->size, newest(x.reading)->value);
        x.reading = NULL;
    }
    if (x.writing != NULL) {
        location_t *loc = x.writing;
        x.writing = NULL;
        append(loc, peek(loc->addr, loc->size), &x.threads[x.me].released,
            "write");
    }
}

static void point(const char *what, const volatile void *ptr)
{
    finish_access();
    if (++x.steps > STEPS_MAX) {
        fail("more than %d steps", STEPS_MAX);
    }
    uint64_t kind = mix((uintptr_t)ptr, (unsigned char)what[0]);
    thread_t *me = &x.threads[x.me];
    me->hash = mix(me->hash, kind); /* how far it is, whatever it read */
    schedule(kind);
}

/* ---- the memory ---- */

static void join(view_t *view, const view_t *other)
{
    for (unsigned i = 0; i < x.location_count; i++) {
        if (other->at[i] > view->at[i]) {
            view->at[i] = other->at[i];
        }
    }
    for (unsigned t = 0; t < THREADS; t++) {
        if (other->clock[t] > view->clock[t]) {
            view->clock[t] = other->clock[t];
        }
    }
}

static location_t *location(const volatile void *ptr, unsigned size)
{
    uintptr_t addr = (uintptr_t)ptr;
    for (unsigned i = 0; i < x.location_count; i++) {
        if (x.locations[i].addr == addr) {
            if (x.locations[i].size != size) {
                fail("accesses of two sizes to one variable");
            }
            return &x.locations[i];
        }
    }
    if (x.location_count == LOCATIONS) {
        fail("more than %d variables", LOCATIONS);
    }
    location_t *loc = &x.locations[x.location_count++];
    memset(loc, 0, offsetof(location_t, messages));
    loc->addr = addr;
    loc->size = size;
    loc->count = 1;
    loc->messages[0].value = peek(addr, size);
    memset(&loc->messages[0].view, 0, sizeof(view_t));
    return loc;
}

static void append(
    location_t *loc, uint64_t value, const view_t *view, const char *what)
{
    thread_t *me = &x.threads[x.me];
    unsigned i = (unsigned)(loc - x.locations);
    if (loc->count == MESSAGES) {
        fail("more than %d values of one variable", MESSAGES);
    }
    message_t *message = &loc->messages[loc->count];
    me->view.at[i] = (uint8_t)loc->count++;
    message->value = value;
    message->view = *view;
    message->view.at[i] = me->view.at[i];
    poke(loc->addr, loc->size, value);
    x.memory_hash -= mix(loc->addr, loc->hash);
    loc->hash = mix(mix(loc->hash, value), view_hash(&message->view));
    x.memory_hash += mix(loc->addr, loc->hash);
    x.writes++;
    note(what, loc->addr, value);
}

static bool acquires(int order)
{
    return order == __ATOMIC_ACQUIRE || order == __ATOMIC_CONSUME ||
           order == __ATOMIC_ACQ_REL || order == __ATOMIC_SEQ_CST;
}

static bool releases(int order)
{
    return order == __ATOMIC_RELEASE || order == __ATOMIC_ACQ_REL ||
           order == __ATOMIC_SEQ_CST;
}

/* The oldest message that the thread may still see. */
static unsigned oldest(const location_t *loc, int order)
{
    unsigned i = (unsigned)(loc - x.locations);
    unsigned first = x.threads[x.me].view.at[i];
    if (order == __ATOMIC_SEQ_CST && x.consistent.at[i] > first) {
        first = x.consistent.at[i];
    }
    return x.stale_left == 0 ? loc->count - 1 : first;
}

static uint64_t learn(location_t *loc, unsigned index, int order)
{
    thread_t *me = &x.threads[x.me];
    const message_t *message = &loc->messages[index];
    me->view.at[loc - x.locations] = (uint8_t)index;
    join(acquires(order) ? &me->view : &me->to_acquire, &message->view);
    me->hash = mix(mix(me->hash, loc->addr), message->value);
    me->hash = mix(me->hash, index);
    note(index + 1 == loc->count ? "reads" : "reads old", loc->addr,
        message->value);
    return message->value;
}

static unsigned choose_message(location_t *loc, int order)
{
    unsigned last = loc->count - 1;
    unsigned stale =
        choose(last - oldest(loc, order) + 1, mix(loc->addr, 0x5e1ec7));
    if (stale != 0 && x.stale_left > 0) {
        x.stale_left--;
    }
    return last - stale;
}

static void tick(void)
{
    x.threads[x.me].view.clock[x.me]++;
}

static void store(location_t *loc, uint64_t value, int order,
    const view_t *sequence, const char *what)
{
    thread_t *me = &x.threads[x.me];
    view_t view = releases(order) ? me->view : me->released;
    if (sequence != NULL) {
        join(&view, sequence);
    }
    append(loc, value, &view, what);
    if (order == __ATOMIC_SEQ_CST) {
        x.consistent.at[loc - x.locations] = (uint8_t)(loc->count - 1);
    }
    if (releases(order)) {
        tick();
    }
}

static void consistent_fence(unsigned t)
{
    thread_t *thread = &x.threads[t];
    join(&thread->view, &thread->to_acquire);
    join(&thread->view, &x.consistent);
    x.consistent = thread->view;
    thread->released = thread->view;
    thread->view.clock[t]++;
}

/* ---- races ---- */

static bool is_stack(uintptr_t addr)
{
    return addr - (uintptr_t)x.stacks < THREADS * STACK_BYTES;
}

static bool is_racy(uintptr_t addr)
{
    for (unsigned i = 0; i < x.racy_count; i++) {
        if (addr >= x.racy[i].first && addr < x.racy[i].end) {
            return true;
        }
    }
    return false;
}

static shadow_t *shadow(uintptr_t addr)
{
    for (uint64_t i = mix(1, addr) % SHADOW;; i = (i + 1) % SHADOW) {
        shadow_t *s = &x.shadow[i];
        if (s->addr == addr) {
            return s;
        }
        if (s->addr == 0) {
            if (x.shadow_count == SHADOW / 2) {
                fail("too many ordinary variables");
            }
            s->addr = addr;
            x.shadow_used[x.shadow_count++] = (uint16_t)i;
            return s;
        }
    }
}

static void check_race(uintptr_t addr, bool is_write)
{
    shadow_t *s = shadow(addr);
    const view_t *view = &x.threads[x.me].view;
    bool race = s->written > view->clock[s->writer] && s->writer != x.me;
    for (unsigned t = 0; is_write && t < x.model->threads; t++) {
        race |= t != x.me && s->read[t] > view->clock[t];
    }
    if (race) {
        note("races at", addr, 0);
        fail("data race");
    }
    if (is_write) {
        s->writer = (uint8_t)x.me;
        s->written = view->clock[x.me];
    } else {
        s->read[x.me] = view->clock[x.me];
    }
}

static void plain(void *ptr, unsigned size, bool is_write)
{
    uintptr_t addr = (uintptr_t)ptr;
    if (!x.active) {
        return;
    }
    finish_access();
    if (is_stack(addr)) {
        return;
    }
    if (!is_racy(addr)) {
        check_race(addr, is_write);
        return;
    }
    point(is_write ? "write" : "read", ptr);
    location_t *loc = location(ptr, size);
    if (is_write) {
        x.writing = loc;
    } else {
        unsigned i = choose_message(loc, __ATOMIC_RELAXED);
        poke(addr, size, learn(loc, i, __ATOMIC_RELAXED));
        x.reading = loc;
    }
}

/* ---- what the compiler calls ---- */

void __tsan_init(void);
void __tsan_init(void)
{
}
void __tsan_func_entry(void *pc);
void __tsan_func_entry(void *pc)
{
    (void)pc;
}
void __tsan_func_exit(void);
void __tsan_func_exit(void)
{
}
void __tsan_atomic_signal_fence(int order);
void __tsan_atomic_signal_fence(int order)
{
    (void)order;
}

#define PLAIN(size)                                                            \
    void __tsan_read##size(void *ptr);                                         \
    void __tsan_read##size(void *ptr)                                          \
    {                                                                          \
        plain(ptr, size, false);                                               \
    }                                                                          \
    void __tsan_write##size(void *ptr);                                        \
    void __tsan_write##size(void *ptr)                                         \
    {                                                                          \
        plain(ptr, size, true);                                                \
    }                                                                          \
    void __tsan_unaligned_read##size(void *ptr);                               \
    void __tsan_unaligned_read##size(void *ptr)                                \
    {                                                                          \
        plain(ptr, size, false);                                               \
    }                                                                          \
    void __tsan_unaligned_write##size(void *ptr);                              \
    void __tsan_unaligned_write##size(void *ptr)                               \
    {                                                                          \
        plain(ptr, size, true);                                                \
    }

PLAIN(1)
PLAIN(2)
PLAIN(4)
PLAIN(8)
PLAIN(16)

void __tsan_atomic_thread_fence(int order);
void __tsan_atomic_thread_fence(int order)
{
    thread_t *me = &x.threads[x.me];
    if (!x.active) {
        return;
    }
    point("fence", NULL);
    if (order == __ATOMIC_SEQ_CST) {
        consistent_fence(x.me);
        return;
    }
    if (acquires(order)) {
        join(&me->view, &me->to_acquire);
    }
    if (releases(order)) {
        me->released = me->view;
        tick();
    }
}

static uint64_t atomic_load_of(
    const volatile void *ptr, unsigned size, int order)
{
    if (!x.active) {
        return peek((uintptr_t)ptr, size);
    }
    point("load", ptr);
    location_t *loc = location(ptr, size);
    return learn(loc, choose_message(loc, order), order);
}

static void atomic_store_of(
    volatile void *ptr, unsigned size, uint64_t value, int order)
{
    if (!x.active) {
        poke((uintptr_t)ptr, size, value);
        return;
    }
    point("store", ptr);
    store(location(ptr, size), value, order, NULL, "stores");
}

typedef enum { EXCHANGE, ADD, SUB, AND, OR, XOR } change_t;

static uint64_t changed(change_t how, uint64_t old, uint64_t operand)
{
    switch (how) {
    case ADD:
        return old + operand;
    case SUB:
        return old - operand;
    case AND:
        return old & operand;
    case OR:
        return old | operand;
    case XOR:
        return old ^ operand;
    default:
        return operand;
    }
}

static uint64_t cut(uint64_t value, unsigned size)
{
    return size == 8 ? value : value & ((1ULL << 8 * size) - 1);
}

static uint64_t atomic_change_of(volatile void *ptr, unsigned size,
    uint64_t operand, int order, change_t how)
{
    if (!x.active) {
        uint64_t before = peek((uintptr_t)ptr, size);
        poke((uintptr_t)ptr, size, changed(how, before, operand));
        return before;
    }
    point("change", ptr);
    location_t *loc = location(ptr, size);
    view_t sequence = newest(loc)->view;
    uint64_t old = learn(loc, loc->count - 1, order);
    store(loc, cut(changed(how, old, operand), size), order, &sequence,
        "changes");
    return old;
}

/* Succeeds on the newest value only; may fail on an older one. */
static bool atomic_swap_of(volatile void *ptr, unsigned size,
    uint64_t *expected, uint64_t desired, int order, int failure)
{
    if (!x.active) {
        uint64_t now = peek((uintptr_t)ptr, size);
        bool same = now == *expected;
        if (same) {
            poke((uintptr_t)ptr, size, desired);
        }
        *expected = now;
        return same;
    }
    point("swap", ptr);
    location_t *loc = location(ptr, size);
    unsigned i = choose_message(loc, failure);
    bool is_newest = i + 1 == loc->count;
    if (!is_newest && loc->messages[i].value == *expected) {
        x.abandoned = true; /* no such execution */
        leave();
    }
    view_t sequence = loc->messages[i].view;
    bool same = loc->messages[i].value == *expected;
    *expected = learn(loc, i, same ? order : failure);
    if (same) {
        store(loc, desired, order, &sequence, "swaps");
    }
    return same;
}

#define ATOMIC(bits, type)                                                     \
    type __tsan_atomic##bits##_load(const volatile type *ptr, int order);      \
    type __tsan_atomic##bits##_load(const volatile type *ptr, int order)       \
    {                                                                          \
        return (type)atomic_load_of(ptr, sizeof(type), order);                 \
    }                                                                          \
    void __tsan_atomic##bits##_store(                                          \
        volatile type *ptr, type value, int order);                            \
    void __tsan_atomic##bits##_store(                                          \
        volatile type *ptr, type value, int order)                             \
    {                                                                          \
        atomic_store_of(ptr, sizeof(type), value, order);                      \
    }                                                                          \
    int __tsan_atomic##bits##_compare_exchange_strong(volatile type *ptr,      \
        type *expected, type desired, int order, int failure);                 \
    int __tsan_atomic##bits##_compare_exchange_strong(volatile type *ptr,      \
        type *expected, type desired, int order, int failure)                  \
    {                                                                          \
        uint64_t have = *expected;                                             \
        bool done =                                                            \
            atomic_swap_of(ptr, sizeof(type), &have, desired, order, failure); \
        *expected = (type)have;                                                \
        return done;                                                           \
    }                                                                          \
    int __tsan_atomic##bits##_compare_exchange_weak(volatile type *ptr,        \
        type *expected, type desired, int order, int failure);                 \
    int __tsan_atomic##bits##_compare_exchange_weak(volatile type *ptr,        \
        type *expected, type desired, int order, int failure)                  \
    {                                                                          \
        return __tsan_atomic##bits##_compare_exchange_strong(                  \
            ptr, expected, desired, order, failure);                           \
    }                                                                          \
    type __tsan_atomic##bits##_compare_exchange_val(volatile type *ptr,        \
        type expected, type desired, int order, int failure);                  \
    type __tsan_atomic##bits##_compare_exchange_val(volatile type *ptr,        \
        type expected, type desired, int order, int failure)                   \
    {                                                                          \
        (void)__tsan_atomic##bits##_compare_exchange_strong(                   \
            ptr, &expected, desired, order, failure);                          \
        return expected;                                                       \
    }                                                                          \
    CHANGE(bits, type, exchange, EXCHANGE)                                     \
    CHANGE(bits, type, fetch_add, ADD)                                         \
    CHANGE(bits, type, fetch_sub, SUB)                                         \
    CHANGE(bits, type, fetch_and, AND)                                         \
    CHANGE(bits, type, fetch_or, OR)                                           \
    CHANGE(bits, type, fetch_xor, XOR)

#define CHANGE(bits, type, name, how)                                          \
    type __tsan_atomic##bits##_##name(                                         \
        volatile type *ptr, type value, int order);                            \
    type __tsan_atomic##bits##_##name(                                         \
        volatile type *ptr, type value, int order)                             \
    {                                                                          \
        return (type)atomic_change_of(ptr, sizeof(type), value, order, how);   \
    }

ATOMIC(8, uint8_t)
ATOMIC(16, uint16_t)
ATOMIC(32, uint32_t)
ATOMIC(64, uint64_t)

/* ---- thread-locals, as compiled with -femulated-tls ---- */

typedef struct {
    size_t size;
    size_t alignment;
    uintptr_t offset; /* plus one; 0: none yet */
    const void *initial;
} tls_control_t;

void *__emutls_get_address(tls_control_t *control);
void *__emutls_get_address(tls_control_t *control)
{
    if (control->offset == 0) {
        x.tls_used = (x.tls_used + 63) & ~(size_t)63;
        control->offset = x.tls_used + 1;
        x.tls_used += control->size;
        if (x.tls_used > TLS_BYTES) {
            fail("more than %d bytes of thread-locals", TLS_BYTES);
        }
    }
    thread_t *me = &x.threads[x.me];
    size_t offset = control->offset - 1;
    if (!me->has_tls[offset / 8]) {
        me->has_tls[offset / 8] = true;
        if (control->initial != NULL) {
            memcpy(me->tls + offset, control->initial, control->size);
        } else {
            memset(me->tls + offset, 0, control->size);
        }
    }
    return me->tls + offset;
}

/* ---- what the system does ---- */

unsigned model_me(void)
{
    return x.me;
}

void model_racy(void *first, size_t bytes)
{
    if (x.racy_count == RACY_RANGES) {
        fail("more than %d ranges", RACY_RANGES);
        return;
    }
    x.racy[x.racy_count].first = (uintptr_t)first;
    x.racy[x.racy_count++].end = (uintptr_t)first + bytes;
}

void model_wait(const void *word, uint32_t expected)
{
    thread_t *me = &x.threads[x.me];
    point("wait", word);
    location_t *loc = location(word, sizeof(uint32_t));
    bool waits = newest(loc)->value == expected;
    me->hash = mix(me->hash, waits);
    note(waits ? "sleeps" : "sleeps not", loc->addr, newest(loc)->value);
    if (waits) {
        me->status = WAITING;
        me->waits_for = loc->addr;
        schedule(1);
    }
}

void model_wake(const void *word, int count)
{
    if (!x.active) {
        return;
    }
    point("wake", word);
    for (int i = 0; i < count; i++) {
        unsigned sleepers[THREADS];
        unsigned found = 0;
        for (unsigned t = 0; t < x.model->threads; t++) {
            if (x.threads[t].status == WAITING &&
                x.threads[t].waits_for == (uintptr_t)word) {
                sleepers[found++] = t;
            }
        }
        if (found == 0) {
            return;
        }
        unsigned woken = sleepers[choose(found, mix(i, 0x3a4e))];
        x.threads[woken].status = RUNNABLE;
        note("wakes", (uintptr_t)word, woken);
    }
}

/* Each processor has its fence at a moment of its own. */
void model_barrier(void)
{
    if (!x.active) {
        return;
    }
    point("barrier", NULL);
    consistent_fence(x.me);
    for (unsigned t = 0; t < x.model->threads; t++) {
        if (t != x.me) {
            point("barrier of", &x.threads[t]);
            consistent_fence(t);
            x.writes++;
            note("barrier of", t, 0);
        }
    }
    point("barrier", NULL);
    consistent_fence(x.me);
}

/* What was written is seen some time. */
void model_yield(void)
{
    thread_t *me = &x.threads[x.me];
    if (!x.active) {
        return;
    }
    finish_access();
    bool is_behind = false;
    for (unsigned i = 0; i < x.location_count; i++) {
        uint8_t last = (uint8_t)(x.locations[i].count - 1);
        is_behind |= me->view.at[i] != last;
        me->view.at[i] = last;
    }
    note("yields", 0, 0);
    me->hash = mix(me->hash, x.writes);
    me->status = is_behind ? RUNNABLE : YIELDING;
    me->writes_seen = x.writes;
    schedule(2);
}

void model_step(void)
{
    if (x.active) {
        point("step", NULL);
    }
}

/* ---- executions ---- */

static void run_thread(void)
{
    x.model->thread(x.me);
    finish_access();
    x.threads[x.me].status = ENDED;
    schedule(3);
    abort();
}

/* Variables of the program, without those of this file. */
static size_t image_bytes(void)
{
    return (size_t)(_end - __data_start);
}

static void copy_variables(char *to, const char *from)
{
    size_t first = (size_t)(__start_explorer - __data_start);
    size_t end = (size_t)(__stop_explorer - __data_start);
    memcpy(to, from, first);
    memcpy(to + end, from + end, image_bytes() - end);
}

static void begin(void)
{
    copy_variables(__data_start, x.image);
    x.location_count = x.racy_count = x.writes = x.steps = x.depth = 0;
    x.memory_hash = 0;
    x.trace_count = 0;
    x.reading = x.writing = NULL;
    x.abandoned = false;
    x.stale_left = x.bound;
    x.switches_left = x.bound;
    x.me = 0;
    x.tls_used = 0;
    memset(&x.consistent, 0, sizeof(x.consistent));
    for (unsigned i = 0; i < x.shadow_count; i++) {
        memset(&x.shadow[x.shadow_used[i]], 0, sizeof(shadow_t));
    }
    x.shadow_count = 0;
    for (unsigned t = 0; t < THREADS; t++) {
        thread_t *thread = &x.threads[t];
        memset(&thread->status, 0,
            offsetof(thread_t, tls) - offsetof(thread_t, status));
        thread->view.clock[t] = 1;
    }
}

static void execute(void)
{
    volatile bool done = false;
    begin();
    x.model->setup();
    for (unsigned t = 0; t < x.model->threads; t++) {
        ucontext_t *context = &x.threads[t].context;
        (void)getcontext(context);
        context->uc_stack.ss_sp = x.stacks + t * STACK_BYTES;
        context->uc_stack.ss_size = STACK_BYTES;
        context->uc_link = NULL;
        makecontext(context, run_thread, 0);
    }
    (void)getcontext(&x.main_context);
    if (!done) {
        done = true;
        x.active = true;
        x.me = 0;
        (void)setcontext(&x.threads[0].context);
    }
    x.executions++;
    x.longest = x.steps > x.longest ? x.steps : x.longest;
    if (!x.abandoned && !x.failed) {
        x.model->check();
    }
}

static bool explore(const model_t *model)
{
    x.model = model;
    x.failed = false;
    x.executions = x.seen_count = x.pruned = 0;
    x.longest = x.prefix = 0;
    x.lg_seen = LG_SEEN_MIN;
    x.seen = calloc(1ULL << x.lg_seen, sizeof(uint64_t));
    do {
        execute();
    } while (!x.failed && backtrack());
    free(x.seen);
    char bounds[64] = "no bound";
    if (x.bound >= 0) {
        (void)snprintf(bounds, sizeof(bounds),
            "at most %d old values and preemptions", x.bound);
    }
    printf("%s - %s: %lu executions, %lu states, up to %u steps, %s\n",
        x.failed ? "not ok" : "ok", model->name, (unsigned long)x.executions,
        (unsigned long)x.seen_count, x.longest, bounds);
    (void)fflush(stdout);
    return !x.failed;
}

int model_main(const model_t *models, size_t count, int argc, char **argv)
{
    int failed = 0;
    int bound_of_two = argc > 1 ? atoi(argv[1]) : -1;
    int bound_of_more = argc > 2 ? atoi(argv[2]) : bound_of_two;
    x.image = malloc(image_bytes());
    x.stacks = malloc(THREADS * STACK_BYTES);
    if (x.image == NULL || x.stacks == NULL) {
        return 2;
    }
    copy_variables(x.image, __data_start);
    for (size_t i = 0; i < count && !failed; i++) {
        x.bound = models[i].threads > 2 ? bound_of_more : bound_of_two;
        if (argc <= 3 || strcmp(argv[3], models[i].name) == 0) {
            failed |= !explore(&models[i]);
        }
    }
    return failed;
}
