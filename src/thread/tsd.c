/*
 * What: see tsd.h.
 *
 * Invariants: as there.
 *
 * Locking: as there.
 */
#include "thread/tsd.h"

#include "arena/background.h"
#include "cache/cache_slots.h"
#include "cache/tcache_table.h"
#include "conf/conf.h"
#include "os/reentry.h"
#include "os/thread_end.h"

/* log2 of the words that a record takes; its counters are 64 bits wide. */
#define TSD_LG_WORDS (sizeof(void *) == 8 ? 9 : 10)

static_assert(
    sizeof(tsd_t) <= sizeof(void *) << TSD_LG_WORDS, "a record fits its array");

/* Casting away const is safe: nothing writes through a closed door (I1). */
#define CLOSED_DOOR ((cache_bins_t *)(uintptr_t)&cache_bins_closed)

JE_THREAD_LOCAL tsd_words_t tsd_words = {
    {CLOSED_DOOR, CLOSED_DOOR, CLOSED_DOOR}, NULL};

static struct {
    void (*main_ends)(void);
    bool instrumented;
    _Atomic bool watches_all;
    _Atomic unsigned births; /* spreads threads over bin shards */
} tsd_state;

static void bury(void *opaque)
{
    tsd_t *tsd = opaque;
    tsd_shut_door();
    tsd_self = TSD_DEAD;
    tcache_table_remove(&tsd->tcache);
    if (tsd->sampling != NULL) {
        sampling_destroy(tsd->sampling);
    }
    if (tsd->quarantine != NULL) {
        quarantine_destroy(tsd->quarantine, &tsd->tcache);
    }
    tcache_fini(&tsd->tcache);
    arena_table_unbind(tsd->arena);
    cache_slots_free(tsd, TSD_LG_WORDS);
    if (os_is_main_thread()) {
        tsd_state.main_ends();
    }
}

/* While code that we call runs, every call goes the slow way. */
static void on_reentry(bool inside)
{
    if (inside) {
        tsd_shut_door();
    } else {
        tsd_open_door();
    }
}

bool tsd_boot(bool instrumented, void (*main_ends)(void))
{
    reentry_observer = on_reentry;
    tsd_state.instrumented = instrumented;
    tsd_state.main_ends = main_ends;
    return thread_end_boot(bury);
}

static arena_t *choose_arena(void)
{
    if (opt.percpu_arena != CONF_PERCPU_DISABLED) {
        arena_t *arena = arena_table_of_cpu();
        if (arena != NULL) {
            arena_table_bind_to(arena);
            return arena;
        }
    }
    return arena_table_bind();
}

tsd_t *tsd_create(void)
{
    if (tsd_self != NULL || !thread_end_is_possible()) {
        return NULL;
    }
    /* thread_end_ask may allocate: those calls do without a record. */
    tsd_self = TSD_BORN;
    tsd_t *tsd = cache_slots_alloc(TSD_LG_WORDS);
    if (tsd == NULL) {
        tsd_self = NULL;
        return NULL;
    }
    tsd->arena = choose_arena();
    unsigned born = atomic_add_relaxed(&tsd_state.births, 1);
    if (born != 0) {
        background_note_threads();
    }
    tcache_init(&tsd->tcache, tsd->arena, born, tsd_doors);
    tsd->tcache_enabled = opt.tcache;
    tsd->countdown = EVENT_PERIOD;
    tsd->events = 0;
    tsd->sampling = NULL;
    tsd->quarantine = NULL;
    tsd->may_seal = false;
    tsd->direct_allocated = 0;
    tsd->direct_deallocated = 0;
    tsd->watch = TSD_WATCH_NOT;
    tsd->traffic = (tsd_traffic_t){0};
    if (!thread_end_ask(tsd)) {
        arena_table_unbind(tsd->arena);
        cache_slots_free(tsd, TSD_LG_WORDS);
        tsd_self = NULL;
        return NULL;
    }
    tcache_table_insert(&tsd->tcache);
    tsd->quarantine = quarantine_create();
    if (prof_is_on() || guarded_is_on()) {
        tsd->sampling = sampling_create(&tsd->tcache);
    }
    tsd_self = tsd;
    tsd_open_door();
    return tsd;
}

void tsd_shut_door(void)
{
    for (unsigned i = 0; i < CACHE_DOORS; i++) {
        tsd_doors[i] = CLOSED_DOOR;
    }
    if (tsd_is_record(tsd_self)) {
        tsd_self->may_seal = false;
    }
}

/* While the cache is claimed the door stays shut: the next call settles. */
void tsd_open_door(void)
{
    tsd_t *tsd = tsd_self;
    if (!tsd_is_record(tsd)) {
        return;
    }
    if (atomic_get_relaxed(&tsd_state.watches_all) &&
        tsd->watch == TSD_WATCH_NOT) {
        tsd->watch = TSD_WATCH_DUE;
    }
    tsd->may_seal = tsd->tcache_enabled && tsd->watch == TSD_WATCH_NOT &&
                    tsd->sampling == NULL;
    if (tsd->tcache_enabled && tsd->watch == TSD_WATCH_NOT &&
        !tsd_state.instrumented) {
        if (!tcache_enter(&tsd->tcache)) {
            cache_bins_t *bins = &tsd->tcache.bins;
            tsd_doors[CACHE_DOOR_TAKE] = bins;
            tsd_doors[CACHE_DOOR_GIVE] = bins;
            tsd_doors[CACHE_DOOR_GIVE_SIZED] =
                tsd->sampling != NULL ? CLOSED_DOOR : bins;
        }
        tcache_leave(&tsd->tcache);
    }
}

void tsd_instrument(void)
{
    tsd_state.instrumented = true;
    tsd_shut_door();
}

JE_COLD void tsd_settle(tsd_t *tsd)
{
    tcache_table_settle(&tsd->tcache);
    if (tsd->sampling != NULL) {
        sampling_follow(tsd->sampling, &tsd->tcache);
    }
    if (!reentry_is_inside()) {
        tsd_open_door();
    }
}

void tsd_set_tcache_enabled(tsd_t *tsd, bool enabled)
{
    bool was_enabled = tsd->tcache_enabled;
    tsd->tcache_enabled = enabled;
    if (!was_enabled && enabled) {
        tsd_enter(tsd);
        tcache_set_limits(&tsd->tcache, tcache_default_limits());
        tsd_leave(tsd);
    }
    if (was_enabled && !enabled) {
        tsd_shut_door();
        tsd_flush(tsd);
    }
    tsd_open_door();
}

void tsd_flush(tsd_t *tsd)
{
    tsd_enter(tsd);
    if (tsd->quarantine != NULL) {
        quarantine_flush(tsd->quarantine, &tsd->tcache);
    }
    tcache_flush(&tsd->tcache);
    tsd_leave(tsd);
}

void tsd_set_arena(tsd_t *tsd, arena_t *arena)
{
    if (arena == tsd->arena) {
        return;
    }
    arena_table_bind_to(arena);
    arena_table_unbind(tsd->arena);
    tsd_enter(tsd);
    tsd->arena = arena;
    tsd->tcache.arena = arena;
    tsd_leave(tsd);
}

void tsd_count_traffic(tsd_t *tsd)
{
    tsd_traffic_t *t = &tsd->traffic;
    if (tsd->watch == TSD_WATCH_ON) {
        return;
    }
    tsd_enter(tsd);
    tcache_traffic(&tsd->tcache, &t->allocated, &t->deallocated);
    tsd_leave(tsd);
    if (tsd->sampling != NULL) {
        t->allocated += tsd->sampling->offset_bytes;
        t->deallocated += tsd->sampling->offset_bytes;
    }
    t->allocated += tsd->direct_allocated;
    t->deallocated += tsd->direct_deallocated;
    tsd_note_peak(t);
}

void tsd_traffic(tsd_t *tsd, uint64_t *allocated, uint64_t *deallocated)
{
    tsd_count_traffic(tsd);
    *allocated = tsd->traffic.allocated;
    *deallocated = tsd->traffic.deallocated;
}

void tsd_watch(tsd_t *tsd)
{
    if (tsd->watch != TSD_WATCH_ON) {
        tsd_shut_door();
        tsd_count_traffic(tsd);
        tsd->watch = TSD_WATCH_ON;
    }
}

/*
 * Those that are running find out when they settle; one that was just opening
 * its door finds out when it next settles or opens it.
 */
void tsd_watch_all(void)
{
    atomic_put_release(&tsd_state.watches_all, true);
    tcache_table_claim_all();
    tsd_open_door();
}

/* A call under way may still pass by the old countdown. */
void tsd_follow_rate(void)
{
    tcache_table_claim_all();
}

void tsd_postfork_child(void)
{
    tsd_t *tsd = tsd_is_record(tsd_self) ? tsd_self : NULL;
    tcache_table_keep_only(tsd != NULL ? &tsd->tcache : NULL);
    if (tsd != NULL && tsd->sampling != NULL) {
        tsd->sampling->thread = 0;
    }
}
