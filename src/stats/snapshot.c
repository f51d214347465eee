/*
 * What: see snapshot.h.
 *
 * Invariants: as there.
 *
 * Locking: as there.
 */
#include "stats/snapshot.h"

#include <string.h>

#include "arena/background.h"
#include "cache/tcache_table.h"
#include "os/os.h"
#include "prof/prof.h"

/* Arenas that may appear between counting and collecting. */
#define SLACK 2

_Atomic size_t stats_zero_reallocs;

const snapshot_hpa_t snapshot_no_hpa;

static struct {
    mutex_t lock;
    snapshot_t *current;
    uint64_t epoch;
} state;

void snapshot_boot(void)
{
    mutex_init(&state.lock, LOCK_RANK_CTL);
}

JE_NO_LOCK_ANALYSIS
void snapshot_lock(void)
{
    mutex_lock(&state.lock);
}

JE_NO_LOCK_ANALYSIS
void snapshot_unlock(void)
{
    mutex_unlock(&state.lock);
}

/* ---- small parts ---- */

static void merge_mutex(mutex_stats_t *to, const mutex_stats_t *from)
{
    to->n_ops += from->n_ops;
    to->n_wait += from->n_wait;
    to->n_spin += from->n_spin;
    to->n_owner_switch += from->n_owner_switch;
    to->total_wait_ns += from->total_wait_ns;
    if (from->max_wait_ns > to->max_wait_ns) {
        to->max_wait_ns = from->max_wait_ns;
    }
    if (from->max_waiters > to->max_waiters) {
        to->max_waiters = from->max_waiters;
    }
}

/* The caller holds the lock. */
static void note_mutex(mutex_stats_t *to, const mutex_t *mutex)
{
    mutex_stats_t now = mutex_stats_read(mutex);
    merge_mutex(to, &now);
}

static void note_bin(snapshot_bin_t *to, const bin_stats_t *from)
{
#define STATS_BIN(kind, name, help) to->name += from->name;
#include "stats/fields.def"
}

static void note_lextent(
    snapshot_arena_t *to, unsigned i, const large_class_stats_t *from)
{
    snapshot_lextent_t *class = &to->lextents[i];
    class->nmalloc = from->nmalloc;
    class->ndalloc = from->ndalloc;
    class->nrequests = from->nrequests;
    class->curlextents = (size_t)(from->nmalloc - from->ndalloc);
    to->large.nmalloc += from->nmalloc;
    to->large.ndalloc += from->ndalloc;
    to->large.nfills += from->nmalloc;
    to->large.nflushes += from->nflushes;
}

/* Once requests are complete. */
static void sum_classes(snapshot_arena_t *to)
{
    for (unsigned i = 0; i < LARGE_CLASS_COUNT; i++) {
        to->large.nrequests += to->lextents[i].nrequests;
    }
    for (unsigned i = 0; i < SC_SMALL_COUNT; i++) {
        const snapshot_bin_t *bin = &to->bins[i];
        to->small.allocated += bin->curregs * sizeclass_size(i);
        to->small.nmalloc += bin->nmalloc;
        to->small.ndalloc += bin->ndalloc;
        to->small.nrequests += bin->nrequests;
        to->small.nfills += bin->nfills;
        to->small.nflushes += bin->nflushes;
    }
}

size_t snapshot_run_bytes(unsigned run_class)
{
    if (run_class < 3) {
        return PAGES(run_class + 1);
    }
    unsigned group = (run_class - 3) / 4;
    return PAGES((size_t)(4 + (run_class - 3) % 4) << group);
}

/* ---- one arena ---- */

static void collect_bins(snapshot_arena_t *to, arena_t *arena)
{
    for (unsigned i = 0; i < SC_SMALL_COUNT; i++) {
        for (unsigned s = 0; s < sizeclass_slabs[i].shards; s++) {
            bin_t *bin = &arena->bins[i][s];
            mutex_lock(&bin->lock);
            note_bin(&to->bins[i], &bin->stats);
            note_mutex(&to->bins[i].mutex, &bin->lock);
            mutex_unlock(&bin->lock);
        }
    }
}

static void collect_large(snapshot_arena_t *to, arena_t *arena)
{
    large_t *large = &arena->large;
    mutex_lock(&large->lock);
    for (unsigned i = 0; i < LARGE_CLASS_COUNT; i++) {
        note_lextent(to, i, &large->stats[i]);
    }
    to->large.allocated = large->allocated_bytes;
    note_mutex(&to->mutexes[SNAPSHOT_MUTEX_large], &large->lock);
    mutex_unlock(&large->lock);
}

static void collect_runs(snapshot_arena_t *to, const page_store_t *ps)
{
    const extent_set_t *dirty = &ps->sets[PAGE_SET_DIRTY];
    const extent_set_t *muzzy = &ps->sets[PAGE_SET_MUZZY];
    const extent_set_t *retained = &ps->sets[PAGE_SET_RETAINED];
    const extent_set_t *pinned = &ps->sets[PAGE_SET_PINNED];
    for (unsigned i = 0; i < SC_RUN_COUNT; i++) {
        /* The last row has all larger ones, which 32-bit machines may have. */
        snapshot_extent_t *row =
            &to->extents[i < SNAPSHOT_RUN_COUNT ? i : SNAPSHOT_RUN_COUNT - 1];
        row->ndirty += dirty->class_counts[i];
        row->nmuzzy += muzzy->class_counts[i];
        row->nretained += retained->class_counts[i];
        row->npinned += pinned->class_counts[i];
        row->dirty_bytes += dirty->class_bytes[i];
        row->muzzy_bytes += muzzy->class_bytes[i];
        row->retained_bytes += retained->class_bytes[i];
        row->pinned_bytes += pinned->class_bytes[i];
    }
}

static void collect_pages(snapshot_arena_t *to, page_store_t *ps)
{
    const page_purge_stats_t *purge = ps->purge_stats;
    size_t active = atomic_get_relaxed(&ps->active_bytes);
    size_t dirty = ps->sets[PAGE_SET_DIRTY].bytes;
    size_t muzzy = ps->sets[PAGE_SET_MUZZY].bytes;
    size_t pinned = ps->sets[PAGE_SET_PINNED].bytes;
    to->dirty_decay_ms = ps->decay[PAGE_SET_DIRTY].time_ms;
    to->muzzy_decay_ms = ps->decay[PAGE_SET_MUZZY].time_ms;
    to->pactive = active >> LG_PAGE;
    to->pdirty = dirty >> LG_PAGE;
    to->pmuzzy = muzzy >> LG_PAGE;
    to->dirty_npurge = purge[PAGE_SET_DIRTY].npurge;
    to->dirty_nmadvise = purge[PAGE_SET_DIRTY].nmadvise;
    to->dirty_purged = purge[PAGE_SET_DIRTY].purged;
    to->muzzy_npurge = purge[PAGE_SET_MUZZY].npurge;
    to->muzzy_nmadvise = purge[PAGE_SET_MUZZY].nmadvise;
    to->muzzy_purged = purge[PAGE_SET_MUZZY].purged;
    to->mapped += active + dirty + muzzy + pinned;
    to->resident += active + dirty + pinned;
    to->pinned = pinned;
    to->retained = ps->sets[PAGE_SET_RETAINED].bytes;
    to->abandoned_vm = ps->abandoned_bytes;
    to->extent_avail = ps->pool.count;
    collect_runs(to, ps);
    note_mutex(&to->mutexes[SNAPSHOT_MUTEX_extents_dirty], &ps->lock);
}

/* Huge pages among a base's blocks: those that are whole ones, if asked for. */
static size_t huge_pages(const base_t *base)
{
    size_t count = 0;
    for (const base_block_t *b = base->blocks;
         b != NULL && opt.metadata_thp != CONF_METADATA_THP_DISABLED;
         b = b->next) {
        count += b->size % HUGEPAGE == 0 ? b->size / HUGEPAGE : 0;
    }
    return count;
}

static void collect_base(snapshot_arena_t *to, base_t *base)
{
    mutex_lock(&base->lock);
    to->base += base->allocated_bytes;
    to->resident += base->resident_bytes;
    to->mapped += base->mapped_bytes;
    to->metadata_thp += huge_pages(base);
    note_mutex(&to->mutexes[SNAPSHOT_MUTEX_base], &base->lock);
    mutex_unlock(&base->lock);
}

static const char *dss_word(unsigned arena_ind)
{
    static const char *const words[] = {"disabled", "primary", "secondary"};
    return words[extent_hooks_dss(arena_ind)];
}

/* Where requests of a class that caches hold are counted. */
static uint64_t *requests_of(snapshot_arena_t *arena, unsigned class_byte)
{
    return class_byte <= SC_SMALL_COUNT
               ? &arena->bins[class_byte - 1].nrequests
               : &arena->lextents[class_byte - 1 - SC_SMALL_COUNT].nrequests;
}

static void save_requests(snapshot_arena_t *from, uint64_t *requests)
{
    for (unsigned c = 1; c < TCACHE_BIN_COUNT; c++) {
        requests[c] = *requests_of(from, c);
    }
}

/* The arena's numbers are complete now. */
static void finish_arena(snapshot_arena_t *to)
{
    for (unsigned c = 1; c < TCACHE_BIN_COUNT; c++) {
        uint64_t *requests = requests_of(to, c);
        if (*requests < to->requests_before[c]) {
            *requests = to->requests_before[c];
        }
    }
    sum_classes(to);
}

static void collect_arena(snapshot_arena_t *to, arena_t *arena)
{
    uint64_t requests[TCACHE_BIN_COUNT] = {0};
    if (to->arena == arena && to->created_ns == arena->created_ns) {
        save_requests(to, requests);
    }
    memset(to, 0, sizeof(*to));
    memcpy(to->requests_before, requests, sizeof(requests));
    to->arena = arena;
    to->created_ns = arena->created_ns;
    to->ind = arena->ind;
    memcpy(to->name, arena->name, sizeof(to->name));
    to->nthreads = arena_table_nthreads(arena);
    to->uptime = os_clock_ns() - arena->created_ns;
    to->dss = dss_word(arena->ind);
    collect_bins(to, arena);
    collect_large(to, arena);
    mutex_lock(&arena->pages.lock);
    collect_pages(to, &arena->pages);
    mutex_unlock(&arena->pages.lock);
    mutex_lock(&arena->pages.grow_lock);
    note_mutex(
        &to->mutexes[SNAPSHOT_MUTEX_extents_retained], &arena->pages.grow_lock);
    mutex_unlock(&arena->pages.grow_lock);
    collect_base(to, &arena->base);
}

/* What serves all arenas counts for the first. */
static void collect_shared(snapshot_arena_t *to)
{
    collect_base(to, &base_shared);
    to->metadata_edata = extent_pool_bytes();
    to->metadata_rtree = extent_map_resident_bytes();
    to->base += to->metadata_rtree;
    to->resident += to->metadata_rtree;
    to->mapped += extent_map_mapped_bytes();
    mutex_stats_t register_lock = tcache_table_mutex_stats();
    merge_mutex(&to->mutexes[SNAPSHOT_MUTEX_tcache_list], &register_lock);
}

/* ---- caches ---- */

/*
 * Blocks in one stack of somebody else's cache. Not synchronised, on purpose:
 * the owner must not pay for being looked at. What looks absurd, because the
 * stack is just being moved, counts as nothing.
 */
JE_RACY static size_t peek_cached(const tcache_t *tcache, unsigned class_byte)
{
    void **bottom = racy_get(tcache->cold[class_byte].bottom);
    void **head = racy_get(tcache->bins.heads[class_byte]);
    uintptr_t bytes = (uintptr_t)bottom - (uintptr_t)head;
    size_t cached = bytes / sizeof(void *);
    cached -= racy_get(tcache->cold[class_byte].stolen);
    return bottom == NULL || cached > CONF_NCACHED_MAX ? 0 : cached;
}

static size_t peek_large_bytes(const tcache_t *tcache)
{
    return atomic_get_relaxed(&tcache->large.bytes);
}

/* Requests that the arena has not been told of; absurd while it is told. */
JE_RACY static uint64_t peek_requests(
    const tcache_t *tcache, unsigned class_byte)
{
    uint64_t more = racy_get(tcache->bins.requests[class_byte]) -
                    racy_get(tcache->cold[class_byte].reported);
    return (int64_t)more < 0 ? 0 : more;
}

static void note_requests(snapshot_arena_t *to, const tcache_t *tcache)
{
    for (unsigned c = 1; c < TCACHE_BIN_COUNT; c++) {
        *requests_of(to, c) += peek_requests(tcache, c);
    }
}

JE_RACY static const arena_t *peek_arena(const tcache_t *tcache)
{
    return racy_get(tcache->arena);
}

static size_t cached_bytes(const tcache_t *tcache)
{
    size_t bytes = 0;
    for (unsigned c = 1; c < TCACHE_BIN_COUNT; c++) {
        bytes += peek_cached(tcache, c) * sizeclass_size(c - 1);
    }
    return bytes;
}

static void visit_tcache(const tcache_t *tcache, void *opaque)
{
    snapshot_t *to = opaque;
    const arena_t *arena = peek_arena(tcache);
    for (unsigned i = 0; i < to->count; i++) {
        if (to->arenas[i].arena == arena) {
            size_t large_bytes = peek_large_bytes(tcache);
            to->cached_large_bytes += large_bytes;
            note_requests(&to->arenas[i], tcache);
            to->arenas[i].tcache_bytes += large_bytes + cached_bytes(tcache);
            return;
        }
    }
}

/* ---- pseudo-arenas and totals ---- */

static void begin_pseudo(snapshot_arena_t *to)
{
    memset(to, 0, sizeof(*to));
    to->dss = "N/A";
    to->dirty_decay_ms = -1;
    to->muzzy_decay_ms = -1;
}

#define MERGE_ADD(name) to->name += from->name;
#define MERGE_KEEP(name)

static void merge_classes(snapshot_arena_t *to, const snapshot_arena_t *from)
{
    for (unsigned i = 0; i < SC_SMALL_COUNT; i++) {
#define STATS_BIN(kind, name, help) to->bins[i].name += from->bins[i].name;
#include "stats/fields.def"
        merge_mutex(&to->bins[i].mutex, &from->bins[i].mutex);
    }
    for (unsigned i = 0; i < LARGE_CLASS_COUNT; i++) {
#define STATS_LEXTENT(kind, name, help)                                        \
    to->lextents[i].name += from->lextents[i].name;
#include "stats/fields.def"
    }
    for (unsigned i = 0; i < SNAPSHOT_RUN_COUNT; i++) {
#define STATS_EXTENT(kind, name, help)                                         \
    to->extents[i].name += from->extents[i].name;
#include "stats/fields.def"
    }
}

static void merge_arena(snapshot_arena_t *to, const snapshot_arena_t *from)
{
#define STATS_ARENA(kind, name, key, merge, help) MERGE_##merge(name)
#define STATS_MEMORY(kind, name, merge, help)     MERGE_##merge(name)
#define STATS_SUM(kind, name, help)                                            \
    to->small.name += from->small.name;                                        \
    to->large.name += from->large.name;
#include "stats/fields.def"
    for (unsigned i = 0; i < SNAPSHOT_ARENA_MUTEX_COUNT; i++) {
        merge_mutex(&to->mutexes[i], &from->mutexes[i]);
    }
    merge_classes(to, from);
}

static void collect_destroyed(snapshot_t *to)
{
    /* Some KiB: behind the arenas' numbers, not on a small stack. */
    static arena_destroyed_stats_t ended;
    snapshot_arena_t *all = &to->destroyed;
    arena_table_destroyed_stats(&ended);
    to->destroyed_count = ended.count;
    if (ended.count == 0) {
        return;
    }
    begin_pseudo(all);
    for (unsigned i = 0; i < SC_SMALL_COUNT; i++) {
        note_bin(&all->bins[i], &ended.bins[i]);
    }
    for (unsigned i = 0; i < LARGE_CLASS_COUNT; i++) {
        note_lextent(all, i, &ended.large[i]);
    }
    sum_classes(all);
    all->dirty_npurge = ended.purge[PAGE_SET_DIRTY].npurge;
    all->dirty_nmadvise = ended.purge[PAGE_SET_DIRTY].nmadvise;
    all->dirty_purged = ended.purge[PAGE_SET_DIRTY].purged;
    all->muzzy_npurge = ended.purge[PAGE_SET_MUZZY].npurge;
    all->muzzy_nmadvise = ended.purge[PAGE_SET_MUZZY].nmadvise;
    all->muzzy_purged = ended.purge[PAGE_SET_MUZZY].purged;
}

static void sum_up(snapshot_t *to)
{
    snapshot_arena_t *all = &to->merged;
    begin_pseudo(all);
    for (unsigned i = 0; i < to->count; i++) {
        merge_arena(all, &to->arenas[i]);
    }
    all->uptime = to->arenas[0].uptime;
    to->total.allocated = all->small.allocated + all->large.allocated;
    to->total.active = PAGES(all->pactive);
    to->total.metadata = all->base + all->internal;
    to->total.metadata_edata = all->metadata_edata;
    to->total.metadata_rtree = all->metadata_rtree;
    to->total.metadata_thp = all->metadata_thp;
    to->total.resident = all->resident;
    to->total.mapped = all->mapped;
    to->total.retained = all->retained;
    to->total.pinned = all->pinned;
}

/* Locks of one name; what nobody can look at now stays as it was. */
static void note_prof_lock(const mutex_t *lock, void *opaque)
{
    mutex_stats_t *to = opaque;
    *to = mutex_stats_read(lock);
}

static void note_table_lock(const mutex_t *lock, bool threads, void *opaque)
{
    mutex_stats_t *to = opaque;
    note_mutex(
        &to[threads ? SNAPSHOT_GLOBAL_prof_thds_data : SNAPSHOT_GLOBAL_prof],
        lock);
}

static void note_recent_lock(const mutex_t *lock, bool dump, void *opaque)
{
    mutex_stats_t *to = opaque;
    to[dump ? SNAPSHOT_GLOBAL_prof_recent_dump
            : SNAPSHOT_GLOBAL_prof_recent_alloc] = mutex_stats_read(lock);
}

static void collect_prof_locks(mutex_stats_t *to)
{
    if (!prof_is_on()) {
        return;
    }
    to[SNAPSHOT_GLOBAL_prof] = (mutex_stats_t){0};
    to[SNAPSHOT_GLOBAL_prof_thds_data] = (mutex_stats_t){0};
    prof_table_visit_locks(note_table_lock, to);
    prof_recent_visit_locks(note_recent_lock, to);
    prof_dump_visit_lock(note_prof_lock, &to[SNAPSHOT_GLOBAL_prof_dump]);
    prof_stats_visit_lock(note_prof_lock, &to[SNAPSHOT_GLOBAL_prof_stats]);
}

static void collect_background(snapshot_background_t *to)
{
    background_stats_t now = background_stats();
    to->num_threads = now.threads;
    to->num_runs = now.runs;
    to->run_interval = now.runs == 0 ? 0 : now.slept_ns / now.runs;
}

/* ---- refresh ---- */

static snapshot_t *map_snapshot(unsigned capacity)
{
    size_t bytes =
        bits_round_up(sizeof(snapshot_t) + capacity * sizeof(snapshot_arena_t),
            os_page_size());
    snapshot_t *s = os_map(bytes, os_page_size());
    if (s != NULL) {
        s->map_bytes = bytes;
        s->capacity = capacity;
    }
    return s;
}

void snapshot_release(snapshot_t *copy)
{
    if (copy != NULL) {
        (void)os_unmap(copy, copy->map_bytes);
    }
}

static unsigned live_arenas(void)
{
    unsigned live = 0;
    unsigned narenas = arena_table_narenas();
    for (unsigned i = 0; i < narenas; i++) {
        live += arena_table_lookup(i) != NULL;
    }
    return live;
}

/* Makes room for all arenas there are. */
static bool make_room(void)
{
    unsigned live = live_arenas();
    if (state.current != NULL && live <= state.current->capacity) {
        return true;
    }
    snapshot_t *larger = map_snapshot(live + SLACK);
    if (larger == NULL) {
        return false;
    }
    snapshot_release(state.current);
    state.current = larger;
    return true;
}

/* False if there were more arenas than room. */
static bool collect_arenas(snapshot_t *to)
{
    unsigned narenas = arena_table_narenas();
    to->count = 0;
    for (unsigned i = 0; i < narenas; i++) {
        arena_t *arena = arena_table_lookup(i);
        if (arena == NULL) {
            continue;
        }
        if (to->count == to->capacity) {
            return false;
        }
        collect_arena(&to->arenas[to->count++], arena);
    }
    return true;
}

bool snapshot_refresh_locked(void)
{
    assert(mutex_is_owner(&state.lock));
    do {
        if (!make_room()) {
            return false;
        }
    } while (!collect_arenas(state.current));
    collect_shared(&state.current->arenas[0]);
    state.current->cached_large_bytes = 0;
    tcache_table_visit(visit_tcache, state.current);
    for (unsigned i = 0; i < state.current->count; i++) {
        finish_arena(&state.current->arenas[i]);
    }
    collect_destroyed(state.current);
    collect_background(&state.current->background);
    collect_prof_locks(state.current->mutexes);
    state.current->mutexes[SNAPSHOT_GLOBAL_ctl] = mutex_stats_read(&state.lock);
    sum_up(state.current);
    state.epoch++;
    return true;
}

const snapshot_t *snapshot_get_locked(void)
{
    assert(mutex_is_owner(&state.lock));
    if (state.current == NULL && !snapshot_refresh_locked()) {
        return NULL;
    }
    return state.current;
}

uint64_t snapshot_epoch_locked(void)
{
    assert(mutex_is_owner(&state.lock));
    return state.epoch;
}

uintptr_t snapshot_memory_locked(size_t *bytes)
{
    assert(mutex_is_owner(&state.lock));
    *bytes = state.current == NULL ? 0 : state.current->map_bytes;
    return (uintptr_t)state.current;
}

size_t snapshot_cached_small_locked(void)
{
    const snapshot_t *now = snapshot_get_locked();
    return now == NULL ? 0 : now->merged.tcache_bytes - now->cached_large_bytes;
}

snapshot_t *snapshot_copy(void)
{
    snapshot_t *copy = NULL;
    snapshot_lock();
    if (snapshot_refresh_locked()) {
        const snapshot_t *now = state.current;
        copy = map_snapshot(now->count);
        if (copy != NULL) {
            size_t bytes = copy->map_bytes;
            memcpy(
                copy, now, sizeof(*now) + now->count * sizeof(now->arenas[0]));
            copy->map_bytes = bytes;
            copy->capacity = now->count;
        }
    }
    snapshot_unlock();
    return copy;
}

const snapshot_arena_t *snapshot_find(const snapshot_t *snapshot, size_t ind)
{
    for (unsigned i = 0; i < snapshot->count; i++) {
        if (snapshot->arenas[i].ind == ind) {
            return &snapshot->arenas[i];
        }
    }
    return NULL;
}

/* ---- without a snapshot ---- */

size_t snapshot_active_now(void)
{
    size_t bytes = 0;
    snapshot_lock();
    unsigned narenas = arena_table_narenas();
    for (unsigned i = 0; i < narenas; i++) {
        arena_t *arena = arena_table_lookup(i);
        if (arena != NULL) {
            bytes += atomic_get_relaxed(&arena->pages.active_bytes);
        }
    }
    snapshot_unlock();
    return bytes;
}

static void reset_mutex(mutex_t *mutex)
{
    mutex_lock(mutex);
    mutex->stats = (mutex_stats_t){0};
    mutex_unlock(mutex);
}

static void reset_arena_mutexes(arena_t *arena)
{
    for (unsigned i = 0; i < SC_SMALL_COUNT; i++) {
        for (unsigned s = 0; s < sizeclass_slabs[i].shards; s++) {
            reset_mutex(&arena->bins[i][s].lock);
        }
    }
    reset_mutex(&arena->large.lock);
    reset_mutex(&arena->pages.lock);
    reset_mutex(&arena->pages.grow_lock);
    reset_mutex(&arena->base.lock);
}

/* Those who show a lock hold it. */
static void reset_shown(const mutex_t *lock, void *opaque)
{
    (void)opaque;
    ((mutex_t *)(uintptr_t)lock)->stats = (mutex_stats_t){0};
}

static void reset_shown_one(const mutex_t *lock, bool which, void *opaque)
{
    (void)which;
    reset_shown(lock, opaque);
}

static void reset_prof_locks(void)
{
    if (prof_is_on()) {
        prof_table_visit_locks(reset_shown_one, NULL);
        prof_recent_visit_locks(reset_shown_one, NULL);
        prof_dump_visit_lock(reset_shown, NULL);
        prof_stats_visit_lock(reset_shown, NULL);
    }
}

void snapshot_reset_mutexes(void)
{
    snapshot_lock();
    state.lock.stats = (mutex_stats_t){0};
    unsigned narenas = arena_table_narenas();
    for (unsigned i = 0; i < narenas; i++) {
        arena_t *arena = arena_table_lookup(i);
        if (arena != NULL) {
            reset_arena_mutexes(arena);
        }
    }
    reset_mutex(&base_shared.lock);
    tcache_table_reset_mutex_stats();
    reset_prof_locks();
    snapshot_unlock();
}

/* ---- fork ---- */

void snapshot_prefork(void)
{
    snapshot_lock();
}

void snapshot_postfork_parent(void)
{
    snapshot_unlock();
}
