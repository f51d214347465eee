/*
 * What: see api_machine.h; here everything but blocks: arenas with their
 * hooks, caches, threads, profiling, statistics, refused system calls.
 *
 * Invariants: as there.
 *
 * Locking: as there.
 */
#include "api_machine.h"

#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "arena/arena_table.h"
#include "arena/guarded.h"
#include "harness.h"
#include "refuse.h"

/* What a record may have a machine do that takes a millisecond. */
#define HEAVY_MAX 4
/* Automatic arenas that are asked for by their number. */
#define AUTOMATIC_MAX 6
#define REFUSALS_MAX  24

#ifdef __GLIBC__
int je_malloc_trim(size_t pad);
int je_mallopt(int parameter, int value);
#endif

/* ---- controls ---- */

int machine_control(
    const char *name, void *out, size_t out_size, void *in, size_t in_size)
{
    return je_mallctl(name, out, out == NULL ? NULL : &out_size, in, in_size);
}

bool machine_expect(machine_t *m, const char *name, int error)
{
    bool excused = (error == EAGAIN || error == ENOMEM || error == EFAULT) &&
                   machine_may_refuse(m);
    if (error != 0 && !excused) {
        model_complain("%s: the control %s says %d", m->operation, name, error);
    }
    return error == 0;
}

static bool act(machine_t *m, const char *name)
{
    return machine_expect(m, name, machine_control(name, NULL, 0, NULL, 0));
}

static bool set(machine_t *m, const char *name, void *value, size_t size)
{
    return machine_expect(m, name, machine_control(name, NULL, 0, value, size));
}

static bool get(machine_t *m, const char *name, void *value, size_t size)
{
    return machine_expect(m, name, machine_control(name, value, size, NULL, 0));
}

static const char *arena_name(unsigned arena, const char *rest)
{
    static _Thread_local char name[64];
    (void)snprintf(name, sizeof(name), "arena.%u.%s", arena, rest);
    return name;
}

unsigned machine_arena_of(machine_t *m, void *p)
{
    unsigned arena = ~0u;
    size_t length = sizeof(arena);
    int error = je_mallctl("arenas.lookup", &arena, &length, &p, sizeof(p));
    machine_expect(m, "arenas.lookup", error);
    return arena;
}

bool machine_net(int64_t *net)
{
    uint64_t in = 0;
    uint64_t out = 0;
    int error = machine_control("thread.allocated", &in, sizeof(in), NULL, 0);
    error |= machine_control("thread.deallocated", &out, sizeof(out), NULL, 0);
    *net = (int64_t)(in - out);
    return error == 0;
}

/* A thread without a cache has none to flush. */
static void flush_own(machine_t *m)
{
    int error = machine_control("thread.tcache.flush", NULL, 0, NULL, 0);
    if (error != EFAULT || !m->cache_is_off) {
        machine_expect(m, "thread.tcache.flush", error);
    }
}

static void flush(machine_t *m)
{
    flush_own(m);
    for (unsigned i = 0; i < MACHINE_CACHES; i++) {
        unsigned cache = m->caches[i] - 1;
        if (m->caches[i] != 0) {
            set(m, "tcache.flush", &cache, sizeof(cache));
        }
    }
}

/* ---- arenas ---- */

static int create(machine_t *m, unsigned slot, bool extended, bool metadata)
{
    unsigned arena = 0;
    size_t length = sizeof(arena);
    struct {
        extent_hooks_t *hooks;
        bool metadata;
    } config = {&m->owners[slot].table, metadata};
    const char *name =
        extended ? "experimental.arenas_create_ext" : "arenas.create";
    size_t size = extended ? sizeof(config) : sizeof(config.hooks);
    int error = m->with_hooks[slot]
                    ? je_mallctl(name, &arena, &length, &config, size)
                    : je_mallctl("arenas.create", &arena, &length, NULL, 0);
    m->arenas[slot] = arena + 1; /* its hooks may excuse the error */
    if (!machine_expect(m, name, error)) {
        m->arenas[slot] = 0;
    }
    return error;
}

void op_arena_create(machine_t *m, const uint8_t *r)
{
    unsigned slot = r[1] % MACHINE_ARENAS;
    hooks_owner_t *owner = &m->owners[slot];
    if (m->arenas[slot] != 0) {
        return;
    }
    m->with_hooks[slot] = r[2] % 4 != 0;
    hooks_open(owner, &m->model, (uint16_t)(r[4] | r[5] << 8));
    if ((r[3] & 3) == 3) {
        owner->refusals[0] = (uint16_t)(r[6] | r[7] << 8);
    }
    if (create(m, slot, (r[3] & 4) != 0, (r[3] & 8) != 0) == 0) {
        owner->arena = m->arenas[slot] - 1;
        owner->arena_known = true;
    } else {
        hooks_close(
            owner, hooks_gives_back(owner) && !atomic_load(&machine_refusing));
    }
}

/* Blocks of an arena that ends are gone. */
static void drop_blocks(machine_t *m, unsigned arena)
{
    for (unsigned i = 0; i < m->model.count;) {
        const model_block_t *b = &m->model.blocks[i];
        /* In no arena: zero bytes, where sizes are exact; guarded blocks. */
        if (b->usable != 0 && !guarded_has(b->p) &&
            machine_arena_of(m, b->p) == arena) {
            m->net_adjust += (int64_t)model_counted(b);
            (void)model_take(&m->model, i);
        } else {
            i++;
        }
    }
}

static void reset(machine_t *m, unsigned arena)
{
    flush(m);
    drop_blocks(m, arena);
    act(m, arena_name(arena, "reset"));
}

static void destroy(machine_t *m, unsigned slot)
{
    hooks_owner_t *owner = &m->owners[slot];
    unsigned arena = m->arenas[slot] - 1;
    const char *name = arena_name(arena, "destroy");
    if (m->bound == (int)slot) {
        int error = machine_control(name, NULL, 0, NULL, 0);
        if (error != EFAULT) {
            model_complain("%s of the thread's own arena says %d", name, error);
        }
        return;
    }
    flush(m);
    drop_blocks(m, arena);
    bool all = hooks_gives_back(owner) && !atomic_load(&machine_refusing);
    owner->ending = true;
    if (act(m, arena_name(arena, "destroy"))) {
        m->arenas[slot] = 0;
        if (m->with_hooks[slot]) {
            hooks_close(owner, all);
        }
    }
    owner->ending = false;
}

void op_arena_end(machine_t *m, const uint8_t *r)
{
    unsigned slot = r[1] % MACHINE_ARENAS;
    if (m->arenas[slot] == 0) {
        return;
    }
    if (r[2] % 4 == 3) {
        reset(m, m->arenas[slot] - 1);
    } else {
        destroy(m, slot);
    }
}

static void set_decay(unsigned arena, const uint8_t *r)
{
    static const ssize_t times[] = {-1, 0, 1, 20, 10000, -2, -1, 0};
    ssize_t time = times[r[6] % 8];
    const char *name = arena_name(
        arena, (r[3] & 1) != 0 ? "dirty_decay_ms" : "muzzy_decay_ms");
    int error = machine_control(name, NULL, 0, &time, sizeof(time));
    if (time == -2 ? error != EFAULT : error != 0) {
        model_complain("%s = %zd says %d", name, time, error);
    }
}

static void set_dss(unsigned arena, const uint8_t *r)
{
    static const char *const words[] = {"disabled", "primary", "secondary"};
    const char *word = words[r[6] % 3];
    (void)machine_control(
        arena_name(arena, "dss"), NULL, 0, (void *)&word, sizeof(word));
}

static void set_name(machine_t *m, unsigned arena)
{
    char text[32] = "";
    char *at = text;
    const char *name = "a name of more than thirty-two bytes";
    set(m, arena_name(arena, "name"), (void *)&name, sizeof(name));
    get(m, arena_name(arena, "name"), (void *)&at, sizeof(at));
    if (strncmp(text, name, sizeof(text) - 1) != 0) {
        model_complain("the name of an arena became %.31s", text);
    }
}

static void set_size(unsigned arena, const char *name, const uint8_t *r)
{
    size_t size = machine_size(r + 4);
    (void)machine_control(
        arena_name(arena, name), NULL, 0, &size, sizeof(size));
}

/* All arenas, or one that every machine has, or one of this machine. */
static void give_back(machine_t *m, const uint8_t *r)
{
    unsigned arena = r[1] % MACHINE_ARENAS;
    const char *what = (r[3] & 1) != 0 ? "purge" : "decay";
    if ((r[3] & 6) == 0) {
        arena = MALLCTL_ARENAS_ALL;
    } else if ((r[3] & 6) != 2 && m->arenas[arena] != 0) {
        arena = m->arenas[arena] - 1;
    }
    act(m, arena_name(arena, what));
}

void op_arena_control(machine_t *m, const uint8_t *r)
{
    unsigned arena = m->arenas[r[1] % MACHINE_ARENAS] - 1;
    unsigned choice = r[2] % 8;
    if (choice < 3 || arena == ~0u) {
        give_back(m, r);
    } else if (choice < 5) {
        set_decay(arena, r);
    } else if (choice == 5) {
        set_dss(arena, r);
        set_name(m, arena);
    } else {
        set_size(
            arena, choice == 6 ? "retain_grow_limit" : "oversize_threshold", r);
    }
}

void op_arena_hooks(machine_t *m, const uint8_t *r)
{
    unsigned slot = r[1] % MACHINE_ARENAS;
    hooks_owner_t *owner = &m->owners[slot];
    extent_hooks_t *table = &owner->table;
    extent_hooks_t *old = NULL;
    size_t length = sizeof(old);
    uint16_t bits = (uint16_t)(r[6] | r[7] << 8);
    if (m->arenas[slot] == 0 || !m->with_hooks[slot]) {
        return;
    }
    switch (r[2] % 4) {
    case 0:
        hooks_refuse_nothing(owner);
        break;
    case 1:
        if (!m->alone) {
            break; /* another thread may be about to call what goes away */
        }
        hooks_reshape(owner, bits);
        const char *name = arena_name(owner->arena, "extent_hooks");
        machine_expect(m, name,
            je_mallctl(name, (void *)&old, &length, (void *)&table, length));
        if (old != table) {
            model_complain(
                "%s was %p, not %p", name, (void *)old, (void *)table);
        }
        break;
    default:
        owner->refusals[r[3] % HOOKS_KINDS] = bits;
        break;
    }
}

void op_bind(machine_t *m, const uint8_t *r)
{
    unsigned slot = r[1] % (MACHINE_ARENAS + 2);
    bool own = slot < MACHINE_ARENAS && m->arenas[slot] != 0;
    unsigned arena = own ? m->arenas[slot] - 1 : r[3] % m->automatic;
    unsigned now = ~0u;
    if (m->can_bind && set(m, "thread.arena", &arena, sizeof(arena))) {
        m->bound = own ? (int)slot : -1;
        if (get(m, "thread.arena", &now, sizeof(now)) && now != arena) {
            model_complain("thread.arena = %u reads %u", arena, now);
        }
    }
}

/* ---- caches ---- */

void op_cache(machine_t *m, const uint8_t *r)
{
    unsigned *cache = &m->caches[r[1] % MACHINE_CACHES];
    unsigned number = *cache - 1;
    if (*cache == 0) {
        if (get(m, "tcache.create", &number, sizeof(number))) {
            *cache = number + 1;
        }
    } else if (r[2] % 2 == 0) {
        set(m, "tcache.flush", &number, sizeof(number));
    } else if (set(m, "tcache.destroy", &number, sizeof(number))) {
        *cache = 0;
    }
}

static void set_tcache_enabled(machine_t *m, bool enabled)
{
    bool now = !enabled;
    if (set(m, "thread.tcache.enabled", &enabled, sizeof(enabled)) &&
        get(m, "thread.tcache.enabled", &now, sizeof(now)) && now != enabled) {
        model_complain("thread.tcache.enabled reads %d", (int)now);
    }
    m->cache_is_off = !now;
}

static void set_ncached_max(machine_t *m, const uint8_t *r)
{
    char text[64];
    const char *at = text;
    (void)snprintf(text, sizeof(text), "%u-%u:%u|4096-0x8000:%u", r[6] * 8,
        r[6] * 8 + r[7] * 4, r[3], r[4]);
    const char *name = "thread.tcache.ncached_max.write";
    int error = machine_control(name, NULL, 0, (void *)&at, sizeof(at));
    if (error != ENOENT || !m->cache_is_off) {
        machine_expect(m, name, error);
    }
}

void op_thread_control(machine_t *m, const uint8_t *r)
{
    size_t size = machine_size(r + 4);
    switch (r[2] % 6) {
    case 0:
        flush_own(m);
        break;
    case 1:
        act(m, "thread.idle");
        break;
    case 2:
    case 3:
        set_tcache_enabled(m, (r[3] & 1) != 0);
        break;
    case 4:
        set(m, "thread.tcache.max", &size, sizeof(size));
        break;
    case 5:
        set_ncached_max(m, r);
        break;
    default:
        break;
    }
}

/* ---- other calls ---- */

void op_batch(machine_t *m, const uint8_t *r)
{
    void *blocks[8];
    size_t alignment;
    size_t done = ~(size_t)0;
    size_t length = sizeof(done);
    struct {
        void **ptrs;
        size_t num;
        size_t size;
        int flags;
    } batch = {blocks, r[3] % 8, machine_size(r + 4) % 200000 + 1,
        machine_flags(m, r, &alignment)};
    if (m->model.count + batch.num > MODEL_BLOCKS) {
        return;
    }
    int error = je_mallctl(
        "experimental.batch_alloc", &done, &length, &batch, sizeof(batch));
    if (!machine_expect(m, "experimental.batch_alloc", error)) {
        return;
    }
    if (done > batch.num ||
        (done < batch.num && alignment < 1 << 30 && !machine_may_refuse(m))) {
        model_complain("batch_alloc makes %zu of %zu blocks of %zu bytes", done,
            batch.num, batch.size);
        return;
    }
    for (size_t i = 0; i < done; i++) {
        errno = MACHINE_ERRNO;
        machine_note(m, blocks[i], batch.size, alignment,
            (batch.flags & MALLOCX_ZERO) != 0, batch.flags);
    }
}

static void print_nowhere(void *length, const char *text)
{
    *(size_t *)length += strlen(text);
}

static void print(const uint8_t *r)
{
    static const char letters[] = "Jgmdablxehr";
    char options[16] = "";
    size_t length = 0;
    unsigned n = 0;
    for (unsigned i = 0; i < sizeof(letters) - 1; i++) {
        if (((r[6] | r[7] << 8) >> i & 1) != 0) {
            options[n++] = letters[i];
        }
    }
    je_malloc_stats_print(print_nowhere, &length, options);
    if (length == 0 && !atomic_load(&machine_refusing)) {
        model_complain("malloc_stats_print(\"%s\") prints nothing", options);
    }
}

static void query(machine_t *m, const uint8_t *r)
{
    struct {
        void *current;
        size_t n[5];
    } answer;
    size_t length = sizeof(answer);
    int slot = machine_pick(m, r);
    if (slot < 0 || m->model.blocks[slot].usable == 0 ||
        guarded_has(m->model.blocks[slot].p)) {
        return;
    }
    const model_block_t *b = &m->model.blocks[slot];
    void *p = b->p;
    machine_expect(m, "experimental.utilization.query",
        je_mallctl(
            "experimental.utilization.query", &answer, &length, &p, sizeof(p)));
    size_t nfree = answer.n[0];
    size_t nregs = answer.n[1];
    if (nregs == 0 || nfree >= nregs || answer.n[2] / nregs < b->usable) {
        model_complain("utilization of %p (usable %zu): %zu of %zu free in %zu",
            p, b->usable, nfree, nregs, answer.n[2]);
    }
}

static void count(machine_t *m)
{
    uint64_t epoch = 1;
    size_t allocated = 0;
    size_t active = 0;
    if (!set(m, "epoch", &epoch, sizeof(epoch)) || !m->alone) {
        return;
    }
    get(m, "stats.allocated", &allocated, sizeof(allocated));
    get(m, "stats.active", &active, sizeof(active));
    size_t live = m->model.live_bytes;
    for (unsigned i = 0; i < m->model.count; i++) {
        /* What is guarded is no arena's. */
        const model_block_t *b = &m->model.blocks[i];
        live -= guarded_has(b->p) ? model_counted(b) : 0;
    }
    if (allocated < live || active < allocated) {
        model_complain("stats.allocated %zu, active %zu, but %zu bytes live",
            allocated, active, live);
    }
}

void op_report(machine_t *m, const uint8_t *r)
{
    query(m, r);
    if (m->heavy == 0) {
        return;
    }
    m->heavy--;
    if (r[2] % 3 == 0) {
        print(r);
    } else {
        count(m);
        arena_table_check();
    }
}

void op_glibc(machine_t *m, const uint8_t *r)
{
#ifdef __GLIBC__
    (void)je_mallopt(r[2], r[3]);
    if (m->heavy > 0) {
        m->heavy--;
        (void)je_malloc_trim(r[4]);
    }
#else
    (void)m;
    (void)r;
#endif
}

/* ---- profiling ---- */

static void dump(machine_t *m)
{
    const char *file = "/dev/null";
    if (m->heavy > 0) {
        m->heavy--;
        set(m, "prof.dump", (void *)&file, sizeof(file));
    }
}

static void print_recent(void *length, const char *text)
{
    print_nowhere(length, text);
}

static void recent(machine_t *m, const uint8_t *r)
{
    size_t length = 0;
    struct {
        void (*write)(void *, const char *);
        void *opaque;
    } sink = {print_recent, &length};
    ssize_t most = r[6] % 8;
    set(m, "experimental.prof_recent.alloc_max", &most, sizeof(most));
    set(m, "experimental.prof_recent.alloc_dump", &sink, sizeof(sink));
}

static void set_prof_active(machine_t *m, const uint8_t *r)
{
    bool on = (r[3] & 1) != 0;
    set(m, (r[3] & 2) != 0 ? "prof.active" : "thread.prof.active", &on,
        sizeof(on));
}

void op_prof(machine_t *m, const uint8_t *r)
{
    size_t lg_sample = 6 + r[6] % 12;
    const char *name = (r[6] & 1) != 0 ? "a thread" : "";
    if (!m->has_prof) {
        return;
    }
    switch (r[2] % 8) {
    case 0:
        dump(m);
        break;
    case 1:
        set(m, "prof.reset", &lg_sample, sizeof(lg_sample));
        break;
    case 2:
        recent(m, r);
        break;
    case 3:
        set(m, "thread.prof.name", (void *)&name, sizeof(name));
        break;
    default:
        set_prof_active(m, r);
        break;
    }
}

/* ---- another thread ---- */

#define PASSED 8

typedef struct {
    void *freed[PASSED];
    unsigned nfreed;
    void *made[PASSED];
    size_t size;
    bool asks; /* for its peak: from then on every call of it is counted */
    int error;
} visit_t;

/* Frees what it is given, and leaves some behind. */
static void *visit(void *argument)
{
    visit_t *v = argument;
    uint64_t peak = 0;
    if (v->asks) {
        (void)machine_control("thread.peak.reset", NULL, 0, NULL, 0);
        (void)machine_control("thread.peak.read", &peak, sizeof(peak), NULL, 0);
    }
    errno = MACHINE_ERRNO;
    for (unsigned i = 0; i < v->nfreed; i++) {
        je_free(v->freed[i]);
    }
    for (unsigned i = 0; i < PASSED; i++) {
        v->made[i] = je_malloc(v->size);
        if (i % 2 == 0) {
            je_free(v->made[i]);
            v->made[i] = NULL;
        }
    }
    v->error = errno;
    return NULL;
}

static void adopt(machine_t *m, const visit_t *v)
{
    for (unsigned i = 0; i < PASSED; i++) {
        if (v->made[i] != NULL) {
            unsigned before = m->model.count;
            errno = MACHINE_ERRNO;
            machine_note(m, v->made[i], v->size, 0, false, 0);
            m->net_adjust -=
                m->model.count > before
                    ? (int64_t)model_counted(&m->model.blocks[before])
                    : 0;
        }
    }
}

void op_thread(machine_t *m, const uint8_t *r)
{
    pthread_t thread;
    visit_t v = {.size = machine_size(r + 4) % 200000, .asks = (r[2] & 1) != 0};
    /* A sanitizer that is part of the program starts threads by our calls. */
    bool cannot = HAS_SANITIZER && atomic_load(&machine_refusing);
    if (m->heavy == 0 || m->model.count + PASSED / 2 > MODEL_BLOCKS || cannot) {
        return;
    }
    m->heavy--;
    while (v.nfreed < r[6] % PASSED && m->model.count > 0) {
        model_block_t b = model_take(&m->model, (unsigned)machine_pick(m, r));
        m->net_adjust += (int64_t)model_counted(&b);
        v.freed[v.nfreed++] = b.p;
    }
    if (refuse_not_thread(&thread, visit, &v) != 0) {
        model_complain("no thread can be started");
        return;
    }
    pthread_join(thread, NULL);
    if (v.error != MACHINE_ERRNO && !atomic_load(&machine_refusing)) {
        model_complain("malloc and free leave errno %d", v.error);
    }
    adopt(m, &v);
}

/* ---- refused system calls ---- */

void op_refuse(machine_t *m, const uint8_t *r)
{
    static const refuse_how_t how[] = {
        REFUSE_ONE, REFUSE_FROM, REFUSE_SOME, REFUSE_SOME};
    refuse_seed(r[3]);
    atomic_store(&machine_refusing, true);
    m->refusing = r[7] % REFUSALS_MAX + 2;
    refuse_begin(how[r[2] % 4], r[6] % 16 + 1u);
}

void machine_recover(machine_t *m)
{
    if (m->alone) {
        m->refusing = 0;
        (void)refuse_end();
        atomic_store(&machine_refusing, false);
    }
    for (unsigned i = 0; i < MACHINE_ARENAS; i++) {
        hooks_refuse_nothing(&m->owners[i]);
    }
}

/* ---- begin and end ---- */

static bool option_is(const char *name, const char *a, const char *b)
{
    const char *value = "";
    (void)machine_control(name, (void *)&value, sizeof(value), NULL, 0);
    return strcmp(value, a) == 0 || strcmp(value, b) == 0;
}

/* Options that seal blocks, where the library knows them. */
static bool is_exact(void)
{
    bool canary = false;
    bool zero = false;
    size_t held = 0;
    (void)machine_control("opt.canary", &canary, sizeof(canary), NULL, 0);
    (void)machine_control("opt.zero_on_free", &zero, sizeof(zero), NULL, 0);
    (void)machine_control("opt.quarantine_small", &held, sizeof(held), NULL, 0);
    return canary || zero || held != 0;
}

void controls_begin(machine_t *m)
{
    m->model.exact = is_exact();
    int64_t net = 0;
    unsigned n = 1;
    bool on = true;
    m->heavy = HEAVY_MAX;
    get(m, "opt.prof", &m->has_prof, sizeof(m->has_prof));
    get(m, "opt.zero", &m->model.zero, sizeof(m->model.zero));
    m->model.junk = option_is("opt.junk", "true", "alloc");
    m->can_bind = option_is("opt.percpu_arena", "disabled", "disabled");
    get(m, "opt.narenas", &n, sizeof(n));
    m->automatic = n < AUTOMATIC_MAX ? n : AUTOMATIC_MAX;
    get(m, "thread.arena", &m->home, sizeof(m->home));
    (void)machine_net(&net);
    m->net_adjust = net;
    get(m, "thread.tcache.enabled", &on, sizeof(on));
    m->cache_is_off = !on;
}

void machine_leave_thread(machine_t *m)
{
    if (m->can_bind) {
        set(m, "thread.arena", &m->home, sizeof(m->home));
    }
    m->bound = -1;
    flush(m);
}

void machine_enter_thread(machine_t *m)
{
    m->heavy = HEAVY_MAX;
    if (!atomic_load(&machine_refusing)) {
        get(m, "thread.arena", &m->home, sizeof(m->home));
    }
}

/* What outlives a machine is as the options say. */
static void restore(machine_t *m)
{
    bool on = true;
    size_t number = 0;
    get(m, "opt.tcache", &on, sizeof(on));
    set_tcache_enabled(m, on);
    get(m, "opt.tcache_max", &number, sizeof(number));
    set(m, "thread.tcache.max", &number, sizeof(number));
    if (m->has_prof && m->alone) {
        get(m, "opt.lg_prof_sample", &number, sizeof(number));
        set(m, "prof.reset", &number, sizeof(number));
        on = true;
        set(m, "prof.active", &on, sizeof(on));
        set(m, "thread.prof.active", &on, sizeof(on));
    }
}

void controls_end(machine_t *m)
{
    restore(m);
    machine_leave_thread(m);
    for (unsigned i = 0; i < MACHINE_CACHES; i++) {
        uint8_t end[MACHINE_RECORD] = {0, (uint8_t)i, 1};
        if (m->caches[i] != 0) {
            op_cache(m, end);
        }
    }
    for (unsigned i = 0; i < MACHINE_ARENAS; i++) {
        uint8_t end[MACHINE_RECORD] = {0, (uint8_t)i};
        op_arena_end(m, end);
    }
}
