/*
 * What: see guard.h.
 *
 * Invariants: as there.
 *
 * Locking: as there.
 */
#include "api/guard.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <string.h>

#include "arena/seal.h"
#include "conf/conf.h"
#include "conf/sizeclass.h"
#include "os/fault.h"
#include "os/file.h"
#include "os/log.h"
#include "os/os.h"
#include "os/valgrind.h"
#include "prof/prof_stack.h"
#include "prof/prof_symbols.h"
#include "thread/tsd.h"
#include "util/format.h"

/* What a report is made in: a handler may have a few KiB of stack. */
static struct {
    _Atomic bool busy; /* the other threads' reports wait */
    char line[512 + PATH_MAX];
    char path[PATH_MAX];
    char name[32];
    guarded_event_t now; /* the access that is reported */
} telling;

/* ---- who and where ---- */

/* System calls are what an event costs, and threads are rarely renamed. */
#define NAME_EVERY 16

static void note_thread(guarded_event_t *event)
{
    sampling_t *s = tsd_is_record(tsd_self) ? tsd_self->sampling : NULL;
    if (s == NULL) {
        event->thread = os_thread_id();
        os_thread_name(event->name);
        return;
    }
    if (s->thread == 0) {
        s->thread = os_thread_id();
        s->asked = 0;
    }
    if (s->asked < NAME_EVERY || s->asked % NAME_EVERY == 0) {
        os_thread_name(s->name);
    }
    s->asked++;
    event->thread = s->thread;
    memcpy(event->name, s->name, sizeof(s->name));
}

/* What a thread that still runs is called now. */
static const char *name_of(const guarded_event_t *event)
{
    (void)format_print(telling.path, sizeof(telling.path),
        "/proc/self/task/%u/comm", event->thread);
    ssize_t length =
        os_read_file(telling.path, telling.name, sizeof(telling.name));
    if (length <= 0) {
        return event->name;
    }
    telling.name[length - (telling.name[length - 1] == '\n')] = '\0';
    return telling.name;
}

/* What the walk reads of the process may not be there to read. */
static inline void note(guarded_event_t *event)
{
    int saved = errno;
    note_thread(event);
    event->count = prof_stack_capture(event->frames, GUARDED_FRAMES);
    errno = saved;
}

/* ---- reports ---- */

JE_PRINTF(1, 2) static void say(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    size_t length =
        format_print(telling.line, sizeof(telling.line), "%s", "<jemalloc>: ");
    (void)format_vprint(
        telling.line + length, sizeof(telling.line) - length, fmt, ap);
    va_end(ap);
    log_write(telling.line);
}

static uint32_t frames_of(const guarded_event_t *event)
{
    uint32_t count = event->count;
    return count < GUARDED_FRAMES ? count : GUARDED_FRAMES;
}

static void say_frame(uintptr_t at, const char *name)
{
    uintptr_t start;
    unsigned long long address = at;
    if (name != NULL) {
        say("    0x%llx %s\n", address, name);
    } else if (prof_symbols_module(
                   at, telling.path, sizeof(telling.path), &start)) {
        say("    0x%llx %s+0x%llx\n", address, telling.path,
            (unsigned long long)(at - start));
    } else {
        say("    0x%llx\n", address);
    }
}

/* `did` is what the thread did: "allocated" and its like. */
static void say_event(const char *did, const guarded_event_t *event,
    const prof_symbols_t *symbols, size_t first)
{
    say("  %s by thread %u (%s)%s\n", did, event->thread, name_of(event),
        frames_of(event) != 0 ? " at" : ", stack unknown");
    for (uint32_t i = 0; i < frames_of(event); i++) {
        say_frame(
            event->frames[i] - (i != 0), prof_symbols_name(symbols, first + i));
    }
}

static void add_frames(prof_symbols_t *symbols, const guarded_event_t *event)
{
    for (uint32_t i = 0; i < frames_of(event); i++) {
        prof_symbols_add(symbols, event->frames[i] - (i != 0));
    }
}

static void lock_telling(void)
{
    while (atomic_exchange(&telling.busy, true)) {
        os_yield();
    }
    guarded_hold(true);
}

static void unlock_telling(void)
{
    guarded_hold(false);
    atomic_put_release(&telling.busy, false);
}

static const char *plural(size_t n)
{
    return n == 1 ? "" : "s";
}

/* All that is known of a block; first what is done to it now. */
static void tell(const char *does, const guarded_t *block)
{
    prof_symbols_t symbols;
    const guarded_event_t *events[] = {
        &telling.now, &block->born, &block->died};
    const char *const did[] = {does, "allocated", "freed"};
    unsigned count = 2 + (atomic_get_acquire(&block->state) != GUARDED_LIVE &&
                             block->died.count != 0);
    prof_symbols_begin(&symbols);
    for (unsigned i = 0; i < count; i++) {
        add_frames(&symbols, events[i]);
    }
    prof_symbols_ask(&symbols, true);
    size_t first = 0;
    for (unsigned i = 0; i < count; i++) {
        say_event(did[i], events[i], &symbols, first);
        first += frames_of(events[i]);
    }
    prof_symbols_end(&symbols);
}

/* After the headline of a call that was wrong. */
static void tell_call(const void *about)
{
    lock_telling();
    note(&telling.now);
    tell("called", about);
    unlock_telling();
}

JE_COLD static void report_pointer(const void *ptr, const char *operation)
{
    const guarded_t *block = guarded_at((uintptr_t)ptr);
    if (block == NULL) {
        fail_misuse("%s of %p, which this allocator does not own: never "
                    "allocated here, or freed already",
            operation, ptr);
    } else if ((uintptr_t)ptr == block->ptr) {
        fail_misuse_about(tell_call, block,
            "%s of %p, a block of %zu bytes that is free already", operation,
            ptr, block->size);
    } else {
        fail_misuse_about(tell_call, block,
            "%s of %p, which points into or near the block %p of %zu bytes but "
            "not to its start",
            operation, ptr, (void *)block->ptr, block->size);
    }
}

JE_COLD static void report_touched(const guarded_t *block, uintptr_t at)
{
    bool before = at < block->ptr;
    size_t by = before ? block->ptr - at : at - block->ptr - block->size + 1;
    fail_misuse_about(tell_call, block,
        "buffer %s by %zu byte%s: %p %s the block %p of %zu bytes was written "
        "to",
        before ? "underflow" : "overflow", by, plural(by), (void *)at,
        before ? "before" : "behind", (void *)block->ptr, block->size);
}

/* ---- faults ---- */

static void say_access(const fault_t *fault, const guarded_t *block)
{
    static const char *const kinds[] = {"access to", "read of", "write to"};
    const char *kind = kinds[fault->kind];
    const char *free = atomic_get_acquire(&block->state) == GUARDED_LIVE
                           ? ""
                           : ", which is free";
    unsigned long long addr = fault->addr;
    unsigned long long start = block->ptr;
    size_t size = block->size;
    size_t into = fault->addr - block->ptr;
    if (addr < start) {
        say("buffer underflow by %zu byte%s: %s 0x%llx before the block 0x%llx "
            "of %zu bytes%s\n",
            -into, plural(-into), kind, addr, start, size, free);
    } else if (into < size) {
        say("use after free: %s 0x%llx, %zu bytes into the block 0x%llx of %zu "
            "bytes%s\n",
            kind, addr, into, start, size, free);
    } else {
        size_t by = into - size + 1;
        say("buffer overflow by %zu byte%s: %s 0x%llx behind the block 0x%llx "
            "of %zu bytes%s\n",
            by, plural(by), kind, addr, start, size, free);
    }
}

static void note_access(const fault_t *fault)
{
    guarded_event_t *event = &telling.now;
    note_thread(event);
    event->count = fault->frame.pc == 0
                       ? 0
                       : prof_stack_walk(&fault->frame, event->frames,
                             GUARDED_FRAMES, true);
}

static bool look(const fault_t *fault)
{
    if (!guarded_has((const void *)fault->addr)) { /* NOLINT */
        return false;
    }
    lock_telling();
    const guarded_t *block = guarded_at(fault->addr);
    if (block == NULL) {
        unlock_telling();
        return false;
    }
    note_access(fault);
    say_access(fault, block);
    tell("accessed", block);
    unlock_telling();
    return opt.report_only && guarded_open(fault->addr);
}

/* ---- the calls ---- */

/*
 * From that rate on it is for production: what allocates without doing
 * anything else has no more than so many guarded blocks in a second of each
 * processor, which take about a hundredth of it.
 */
#define SPARSE_FROM 1000
#define INTERVAL_NS 4000000U
#define BURST_NS    16000000U /* the cheap clock ticks every few ms */

static struct {
    uint64_t interval_ns;
    _Atomic uint64_t next_ns; /* when all that was granted is used up */
} budget;

static bool is_affordable(void)
{
    if (opt.guard_sample < SPARSE_FROM) {
        return true;
    }
    uint64_t now = os_clock_ns();
    uint64_t next = atomic_get_relaxed(&budget.next_ns);
    uint64_t from = next > now ? next : now;
    return from - now <= BURST_NS &&
           atomic_compare_exchange_strong(
               &budget.next_ns, &next, from + budget.interval_ns);
}

void guard_boot(void)
{
    if (opt.guard_sample == 0 || valgrind_mode != VALGRIND_OFF) {
        return;
    }
    if (seal_is_on()) {
        log_write("<jemalloc>: guard_sample has no effect beside hardened and "
                  "its parts, which look at all blocks\n");
        return;
    }
    budget.interval_ns = INTERVAL_NS / os_cpu_count();
    guarded_boot(0);
    if (guarded_is_on() && !fault_boot(look)) {
        log_write("<jemalloc>: guard_sample: this system does not let faults "
                  "be caught; they end the process without a report\n");
    }
}

void *guard_alloc(size_t size, size_t usize, size_t alignment, bool zero)
{
    guarded_t *block =
        is_affordable() ? guarded_take(size, usize, alignment) : NULL;
    if (block == NULL) {
        return NULL;
    }
    note(&block->born);
    void *ptr = (void *)block->ptr; /* NOLINT(performance-no-int-to-ptr) */
    return zero ? memset(ptr, 0, size) : ptr;
}

size_t guard_free(void *ptr)
{
    guarded_t *block = guarded_at((uintptr_t)ptr);
    if (block == NULL || !guarded_claim(block, ptr)) {
        report_pointer(ptr, "free");
        return 0;
    }
    size_t usize = block->usize;
    note(&block->died);
    uintptr_t touched = guarded_touched(block);
    if (JE_UNLIKELY(touched != 0)) {
        report_touched(block, touched);
    }
    guarded_give(block);
    return usize;
}

bool guard_size(const void *ptr, const char *operation, size_t *size)
{
    const guarded_t *block = guarded_at((uintptr_t)ptr);
    if (block == NULL || block->ptr != (uintptr_t)ptr ||
        atomic_get_acquire(&block->state) != GUARDED_LIVE) {
        report_pointer(ptr, operation);
        return false;
    }
    *size = block->size;
    return true;
}

/* No bytes and one are the same to who computes sizes by type. */
bool guard_has_size(const void *ptr, size_t size)
{
    const guarded_t *block = guarded_at((uintptr_t)ptr);
    if (block == NULL || block->ptr != (uintptr_t)ptr ||
        (size <= block->usize && (size >= block->size || block->size <= 1))) {
        return true;
    }
    fail_misuse_about(tell_call, block,
        "size mismatch: free of %p as a block of %zu bytes, which was "
        "allocated with %zu",
        ptr, size, block->size);
    return false;
}
