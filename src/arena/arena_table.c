/*
 * What: see arena_table.h.
 *
 * Invariants: as there.
 *
 * Locking: as there.
 */
#include "arena/arena_table.h"

#include <errno.h>

#include "conf/conf.h"
#include "os/os.h"
#include "util/format.h"

/* Time between two looks at the arenas without a busy thread. */
#define SWEEP_NS 1000000000ULL

static struct {
    mutex_t lock;
    arena_t *_Atomic arenas[ARENA_LIMIT];
    _Atomic unsigned narenas_auto; /* 0 = not looked up yet */
    _Atomic unsigned narenas;
    /* Together, not in the arenas: a fork child corrects them all. */
    _Atomic unsigned nthreads[ARENA_LIMIT];
    _Atomic uint64_t last_sweep_ns;
    _Atomic ssize_t decay_default[2];
    unsigned free_slots[ARENA_LIMIT]; /* destroyed, last one first out */
    unsigned free_slot_count;
    arena_destroyed_stats_t destroyed;
} table;

arena_t *arena_table_lookup(unsigned ind)
{
    return ind < ARENA_LIMIT ? atomic_get_acquire(&table.arenas[ind]) : NULL;
}

arena_t *arena_table_first(void)
{
    return atomic_get_acquire(&table.arenas[0]);
}

/* ---- how many ---- */

/* cpus * opt.narenas_ratio (16.16), rounded to nearest, at least 1. */
static unsigned narenas_of_cpus(unsigned cpus)
{
    if (cpus <= 1) {
        return 1;
    }
    uint64_t fixed = (uint64_t)cpus * opt.narenas_ratio + (1U << 15);
    unsigned n = (unsigned)(fixed >> 16);
    return n == 0 ? 1 : n > ARENA_AUTO_LIMIT ? ARENA_AUTO_LIMIT : n;
}

static unsigned percpu_arenas(unsigned cpus)
{
    if (opt.percpu_arena == CONF_PERCPU_PHYCPU && cpus > 1) {
        return cpus / 2;
    }
    return cpus;
}

unsigned arena_table_narenas_auto(void)
{
    unsigned n = atomic_get_relaxed(&table.narenas_auto);
    if (JE_LIKELY(n != 0)) {
        return n;
    }
    unsigned cpus = os_cpu_count();
    n = opt.narenas != 0 ? opt.narenas : narenas_of_cpus(cpus);
    if (opt.percpu_arena != CONF_PERCPU_DISABLED) {
        unsigned need = percpu_arenas(cpus);
        n = opt.narenas > need ? opt.narenas : need;
    }
    n = n > ARENA_AUTO_LIMIT ? ARENA_AUTO_LIMIT : n;
    unsigned unset = 0;
    if (!atomic_compare_exchange_strong(&table.narenas_auto, &unset, n)) {
        return unset;
    }
    /* Slots of automatic arenas and the one for huge requests. */
    (void)atomic_add_relaxed(&table.narenas,
        n + (arena_table_oversize_threshold() != SIZE_MAX ? 1 : 0));
    return n;
}

unsigned arena_table_narenas(void)
{
    (void)arena_table_narenas_auto();
    return atomic_get_relaxed(&table.narenas);
}

size_t arena_table_oversize_threshold(void)
{
    size_t threshold = opt.oversize_threshold;
    return threshold >= SC_LARGE_MIN && threshold <= SC_MAX ? threshold
                                                            : SIZE_MAX;
}

/* ---- creation ---- */

ssize_t arena_table_decay_default(page_set_t set)
{
    return atomic_get_relaxed(&table.decay_default[set]);
}

void arena_table_set_decay_default(page_set_t set, ssize_t ms)
{
    atomic_put_relaxed(&table.decay_default[set], ms);
}

/* The slot must be empty; the lock held. */
static arena_t *create_in(unsigned ind, arena_config_t *config,
    const char *name_format) JE_REQUIRES(&table.lock)
{
    config->now_ns = os_clock_ns();
    arena_t *arena = arena_create(ind, config);
    if (arena != NULL) {
        (void)format_print(
            arena->name, sizeof(arena->name), "%s_%u", name_format, ind);
        atomic_put_release(&table.arenas[ind], arena);
    }
    return arena;
}

static arena_config_t default_config(void)
{
    return (arena_config_t){
        .hooks = &extent_hooks_default,
        .metadata_use_hooks = true,
        .dirty_decay_ms = arena_table_decay_default(PAGE_SET_DIRTY),
        .muzzy_decay_ms = arena_table_decay_default(PAGE_SET_MUZZY),
    };
}

bool arena_table_boot(void)
{
    mutex_init(&table.lock, LOCK_RANK_ARENA_TABLE);
    arena_table_set_decay_default(PAGE_SET_DIRTY, opt.dirty_decay_ms);
    arena_table_set_decay_default(PAGE_SET_MUZZY, opt.muzzy_decay_ms);
    arena_config_t config = default_config();
    mutex_lock(&table.lock);
    arena_t *first = create_in(0, &config, "auto");
    mutex_unlock(&table.lock);
    return first != NULL;
}

/* Creates an automatic arena, or finds that somebody just did. */
static arena_t *get_locked(unsigned ind) JE_REQUIRES(&table.lock)
{
    arena_t *arena = arena_table_lookup(ind);
    if (arena == NULL) {
        arena_config_t config = default_config();
        arena = create_in(ind, &config, "auto");
    }
    return arena;
}

arena_t *arena_table_get(unsigned ind)
{
    arena_t *arena = arena_table_lookup(ind);
    if (JE_LIKELY(arena != NULL) || ind >= arena_table_narenas()) {
        return arena;
    }
    if (ind == arena_table_narenas_auto() &&
        arena_table_oversize_threshold() != SIZE_MAX) {
        return arena_table_oversize();
    }
    mutex_lock(&table.lock);
    arena = ind < arena_table_narenas_auto() ? get_locked(ind)
                                             : arena_table_lookup(ind);
    mutex_unlock(&table.lock);
    return arena;
}

arena_t *arena_table_oversize(void)
{
    if (arena_table_oversize_threshold() == SIZE_MAX) {
        return NULL;
    }
    unsigned ind = arena_table_narenas_auto();
    arena_t *arena = arena_table_lookup(ind);
    if (JE_LIKELY(arena != NULL)) {
        return arena;
    }
    mutex_lock(&table.lock);
    arena = arena_table_lookup(ind);
    if (arena == NULL) {
        arena_config_t config = default_config();
        bool keeps = opt.oversize_threshold == CONF_OVERSIZE_THRESHOLD &&
                     config.dirty_decay_ms != 0;
        config.dirty_decay_ms = keeps ? OVERSIZE_DECAY_MS : 0;
        config.muzzy_decay_ms = 0;
        config.dirty_limit = OVERSIZE_DIRTY_BYTES;
        arena = create_in(ind, &config, "auto");
        if (arena != NULL) {
            (void)format_print(
                arena->name, sizeof(arena->name), "auto_oversize");
        }
    }
    mutex_unlock(&table.lock);
    return arena;
}

static bool pop_slot(unsigned *ind) JE_REQUIRES(&table.lock)
{
    if (table.free_slot_count != 0) {
        *ind = table.free_slots[--table.free_slot_count];
        return true;
    }
    unsigned n = atomic_get_relaxed(&table.narenas);
    if (n >= ARENA_LIMIT) {
        return false;
    }
    *ind = n;
    atomic_put_relaxed(&table.narenas, n + 1);
    return true;
}

arena_t *arena_table_create(
    extent_hooks_t *hooks, bool metadata_use_hooks, int *error)
{
    (void)arena_table_narenas_auto();
    arena_config_t config = default_config();
    config.hooks = hooks;
    config.metadata_use_hooks = metadata_use_hooks;
    config.manual = true;
    arena_t *arena = NULL;
    unsigned ind;
    *error = EAGAIN;
    mutex_lock(&table.lock);
    if (pop_slot(&ind)) {
        arena = create_in(ind, &config, "manual");
        if (arena == NULL) {
            table.free_slots[table.free_slot_count++] = ind;
        }
    }
    mutex_unlock(&table.lock);
    return arena;
}

/* ---- destruction ---- */

static void add_bin(bin_stats_t *to, bin_t *bin)
{
    mutex_lock(&bin->lock);
    to->nmalloc += bin->stats.nmalloc;
    to->ndalloc += bin->stats.ndalloc;
    to->nrequests += bin->stats.nrequests;
    to->nfills += bin->stats.nfills;
    to->nflushes += bin->stats.nflushes;
    to->nslabs += bin->stats.nslabs;
    to->nreslabs += bin->stats.nreslabs;
    mutex_unlock(&bin->lock);
}

static void add_destroyed(arena_t *arena) JE_REQUIRES(&table.lock)
{
    arena_destroyed_stats_t *to = &table.destroyed;
    to->count++;
    for (unsigned i = 0; i < SC_SMALL_COUNT; i++) {
        for (unsigned s = 0; s < sizeclass_slabs[i].shards; s++) {
            add_bin(&to->bins[i], &arena->bins[i][s]);
        }
    }
    for (unsigned i = 0; i < LARGE_CLASS_COUNT; i++) {
        const large_class_stats_t *from = &arena->large.stats[i];
        to->large[i].nmalloc += from->nmalloc;
        to->large[i].ndalloc += from->ndalloc;
        to->large[i].nrequests += from->nrequests;
        to->large[i].nflushes += from->nflushes;
    }
    for (unsigned i = 0; i < 2; i++) {
        to->purge[i].npurge += arena->pages.purge_stats[i].npurge;
        to->purge[i].nmadvise += arena->pages.purge_stats[i].nmadvise;
        to->purge[i].purged += arena->pages.purge_stats[i].purged;
    }
}

int arena_table_destroy(unsigned ind)
{
    mutex_lock(&table.lock);
    arena_t *arena = arena_table_lookup(ind);
    if (arena == NULL || !arena->manual || arena_table_nthreads(arena) != 0) {
        mutex_unlock(&table.lock);
        return EFAULT;
    }
    /* Drop the blocks first, so that the totals below are final. */
    arena_reset(arena);
    page_purge_all(&arena->pages);
    add_destroyed(arena);
    atomic_put_release(&table.arenas[ind], NULL);
    mutex_unlock(&table.lock);
    arena_destroy(arena);
    mutex_lock(&table.lock);
    table.free_slots[table.free_slot_count++] = ind;
    mutex_unlock(&table.lock);
    return 0;
}

void arena_table_destroyed_stats(arena_destroyed_stats_t *out)
{
    mutex_lock(&table.lock);
    *out = table.destroyed;
    mutex_unlock(&table.lock);
}

/* ---- threads ---- */

void arena_table_bind_to(arena_t *arena)
{
    (void)atomic_add_relaxed(&table.nthreads[arena->ind], 1);
}

void arena_table_unbind(arena_t *arena)
{
    (void)atomic_sub_relaxed(&table.nthreads[arena->ind], 1);
}

unsigned arena_table_nthreads(const arena_t *arena)
{
    return atomic_get_relaxed(&table.nthreads[arena->ind]);
}

static unsigned load_of(unsigned ind)
{
    return atomic_get_relaxed(&table.nthreads[ind]);
}

arena_t *arena_table_bind(void)
{
    arena_t *first = arena_table_first();
    unsigned nobody = 0;
    /* The first thread of a program asks for no CPU count (I3). */
    if (atomic_compare_exchange_strong(&table.nthreads[0], &nobody, 1)) {
        return first;
    }
    unsigned count = arena_table_narenas_auto();
    mutex_lock(&table.lock);
    unsigned best = 0;
    for (unsigned i = 1; i < count && load_of(best) != 0; i++) {
        if (load_of(i) < load_of(best)) {
            best = i;
        }
    }
    arena_t *arena = get_locked(best);
    if (arena == NULL) {
        arena = first;
    }
    arena_table_bind_to(arena);
    mutex_unlock(&table.lock);
    return arena;
}

arena_t *arena_table_of_cpu(void)
{
    int cpu = os_current_cpu();
    if (cpu < 0) {
        return NULL;
    }
    unsigned ind = (unsigned)cpu % arena_table_narenas_auto();
    return arena_table_get(ind);
}

/* ---- decay ---- */

/*
 * Decays one arena. A manual one may be destroyed, but not while the table
 * is locked.
 */
JE_NO_LOCK_ANALYSIS
static size_t decay_one(unsigned ind, uint64_t now)
{
    bool is_manual = ind > arena_table_narenas_auto();
    if (is_manual) {
        mutex_lock(&table.lock);
    }
    size_t bytes = 0;
    arena_t *arena = arena_table_lookup(ind);
    if (arena != NULL) {
        bool used = ind >= arena_table_narenas_auto() ||
                    arena_table_nthreads(arena) != 0;
        if (used) {
            atomic_put_relaxed(&arena->deserted_ns, 0);
            arena_decay(arena, now);
        } else {
            arena_decay_deserted(arena, now);
        }
        bytes = arena_decaying_bytes(arena);
    }
    if (is_manual) {
        mutex_unlock(&table.lock);
    }
    return bytes;
}

size_t arena_table_decay_all(void)
{
    uint64_t now = os_clock_ns();
    size_t bytes = 0;
    unsigned n = atomic_get_relaxed(&table.narenas);
    for (unsigned i = 0; i == 0 || i < n; i++) {
        bytes += decay_one(i, now);
    }
    return bytes;
}

void arena_table_tick(arena_t *own)
{
    uint64_t now = os_clock_ns();
    arena_decay(own, now);
    uint64_t last = atomic_get_relaxed(&table.last_sweep_ns);
    if (now - last >= SWEEP_NS &&
        atomic_compare_exchange_strong(&table.last_sweep_ns, &last, now)) {
        (void)arena_table_decay_all();
    }
}

void arena_table_visit(
    void (*visit)(arena_t *arena, void *opaque), void *opaque)
{
    mutex_lock(&table.lock);
    unsigned n = atomic_get_relaxed(&table.narenas);
    for (unsigned i = 0; i == 0 || i < n; i++) {
        arena_t *arena = arena_table_lookup(i);
        if (arena != NULL) {
            visit(arena, opaque);
        }
    }
    mutex_unlock(&table.lock);
}

static void purge_one(arena_t *arena, void *opaque)
{
    (void)opaque;
    page_purge_all(&arena->pages);
}

void arena_table_purge_all(void)
{
    arena_table_visit(purge_one, NULL);
}

static void trim_one(arena_t *arena, void *opaque)
{
    (void)opaque;
    (void)page_purge_trim(&arena->pages);
}

void arena_table_trim_all(void)
{
    arena_table_visit(trim_one, NULL);
}

static void check_one(arena_t *arena, void *opaque)
{
    (void)opaque;
    arena_check(arena);
}

void arena_table_check(void)
{
    arena_table_visit(check_one, NULL);
}

/* ---- fork ---- */

static void foreach_arena(void (*action)(arena_t *))
{
    unsigned n = atomic_get_relaxed(&table.narenas);
    for (unsigned i = 0; i == 0 || i < n; i++) {
        arena_t *arena = arena_table_lookup(i);
        if (arena != NULL) {
            action(arena);
        }
    }
}

static void prefork_rank(lock_rank_t rank)
{
    unsigned n = atomic_get_relaxed(&table.narenas);
    for (unsigned i = 0; i == 0 || i < n; i++) {
        arena_t *arena = arena_table_lookup(i);
        if (arena != NULL) {
            arena_prefork(arena, rank);
        }
    }
}

JE_NO_LOCK_ANALYSIS
void arena_table_prefork(void)
{
    mutex_lock(&table.lock);
}

/* Rank by rank over all arenas, as lock_rank.h orders them. */
void arena_table_prefork_arenas(void)
{
    prefork_rank(LOCK_RANK_PAGE_GROW);
    prefork_rank(LOCK_RANK_LARGE);
    prefork_rank(LOCK_RANK_BIN);
    prefork_rank(LOCK_RANK_PAGE_STORE);
    page_store_prefork_spare();
    extent_map_prefork();
    prefork_rank(LOCK_RANK_BASE);
    mutex_fork_drain(&base_shared.lock);
}

JE_NO_LOCK_ANALYSIS
void arena_table_postfork_parent(void)
{
    mutex_unlock(&table.lock);
}

void arena_table_postfork_child(void)
{
    foreach_arena(arena_postfork_child);
}
