/*
 * What: see ctl_arena.h.
 *
 * Invariants: as there.
 *
 * Locking: as there.
 */
#include "ctl/ctl_arena.h"

#include <errno.h>
#include <string.h>

#include "arena/arena_table.h"
#include "cache/tcache.h"
#include "conf/conf.h"
#include "ctl/ctl_opt.h"
#include "os/os.h"
#include "stats/snapshot.h"

/* ---- indices ---- */

bool ctl_arena_is_all(size_t ind)
{
    return ind == ARENA_ALL || ind == arena_table_narenas();
}

int ctl_arena_check(const size_t *mib, size_t depth)
{
    size_t ind = mib[depth - 1];
    if (ind > UINT_MAX) {
        return EFAULT;
    }
    bool known = ind <= arena_table_narenas() || ind == ARENA_ALL ||
                 ind == ARENA_DESTROYED;
    return known ? 0 : ENOENT;
}

int ctl_bin_check(const size_t *mib, size_t depth)
{
    return mib[depth - 1] < SC_SMALL_COUNT ? 0 : ENOENT;
}

int ctl_lextent_check(const size_t *mib, size_t depth)
{
    return mib[depth - 1] < LARGE_CLASS_COUNT ? 0 : ENOENT;
}

/* The ordinary arena that the vector names; NULL if there is none. */
static arena_t *arena_of(const ctl_call_t *call)
{
    size_t ind = call->mib[1];
    return ind < ARENA_LIMIT ? arena_table_lookup((unsigned)ind) : NULL;
}

/* ---- actions ---- */

int ctl_arena_initialized(const ctl_call_t *call)
{
    size_t ind = call->mib[1];
    snapshot_lock();
    const snapshot_t *now = snapshot_get_locked();
    bool there = now != NULL &&
                 (ctl_arena_is_all(ind) || snapshot_find(now, ind) != NULL ||
                     (ind == ARENA_DESTROYED && now->destroyed_count != 0));
    snapshot_unlock();
    return now == NULL ? EAGAIN : ctl_give(call, &there, sizeof(there));
}

static void decay_one(arena_t *arena)
{
    arena_decay(arena, os_clock_ns());
}

static void purge_one(arena_t *arena)
{
    page_purge_all(&arena->pages);
}

static void act_on_all(void (*act)(arena_t *))
{
    unsigned narenas = arena_table_narenas();
    for (unsigned i = 0; i < narenas; i++) {
        arena_t *arena = arena_table_lookup(i);
        if (arena != NULL) {
            act(arena);
        }
    }
}

static int act_on_pages(const ctl_call_t *call, void (*act)(arena_t *))
{
    size_t ind = call->mib[1];
    if (ind == ARENA_DESTROYED) {
        return EFAULT;
    }
    snapshot_lock();
    arena_t *arena = arena_of(call);
    if (ctl_arena_is_all(ind)) {
        act_on_all(act);
    } else if (arena != NULL) {
        act(arena);
    }
    snapshot_unlock();
    return 0;
}

int ctl_arena_decay(const ctl_call_t *call)
{
    return act_on_pages(call, decay_one);
}

int ctl_arena_purge(const ctl_call_t *call)
{
    return act_on_pages(call, purge_one);
}

int ctl_arena_reset(const ctl_call_t *call)
{
    snapshot_lock();
    arena_t *arena = arena_of(call);
    bool may = arena != NULL && arena->manual;
    if (may) {
        arena_reset(arena);
    }
    snapshot_unlock();
    return may ? 0 : EFAULT;
}

int ctl_arena_destroy(const ctl_call_t *call)
{
    snapshot_lock();
    /* Its last numbers must stay visible until the next refresh. */
    (void)snapshot_get_locked();
    arena_t *arena = arena_of(call);
    int error = arena == NULL ? EFAULT : arena_table_destroy(arena->ind);
    snapshot_unlock();
    return error;
}

/* ---- settings of one arena ---- */

/* The value of a word of option dss; false if it is none. */
static bool parse_dss(const char *word, conf_dss_t *dss)
{
    const char *const *words = conf_options[CONF_KEY_dss].words;
    for (unsigned i = 0; words[i] != NULL; i++) {
        if (strcmp(words[i], word) == 0) {
            *dss = (conf_dss_t)i;
            return true;
        }
    }
    return false;
}

/* Sets and answers the setting of one arena, or of future ones. */
static int exchange_dss(
    arena_t *arena, bool all, const conf_dss_t *set, conf_dss_t *now)
{
    if (arena == NULL && !all) {
        return EFAULT;
    }
    if (set != NULL && !config_dss && *set != CONF_DSS_DISABLED) {
        return EFAULT;
    }
    if (set != NULL && all) {
        extent_hooks_set_dss_default(*set);
    } else if (set != NULL) {
        extent_hooks_set_dss(arena->ind, *set);
    }
    *now = all ? extent_hooks_dss_default() : extent_hooks_dss(arena->ind);
    return 0;
}

int ctl_arena_dss(const ctl_call_t *call)
{
    const char *word = NULL;
    conf_dss_t wanted = CONF_DSS_DISABLED;
    conf_dss_t now;
    int error = ctl_take(call, &word, sizeof(word));
    if (error != 0) {
        return error;
    }
    if (ctl_has_input(call) && (word == NULL || !parse_dss(word, &wanted))) {
        return EINVAL;
    }
    snapshot_lock();
    error = exchange_dss(arena_of(call), ctl_arena_is_all(call->mib[1]),
        ctl_has_input(call) ? &wanted : NULL, &now);
    snapshot_unlock();
    if (error != 0) {
        return error;
    }
    word = conf_options[CONF_KEY_dss].words[now];
    return ctl_give(call, &word, sizeof(word));
}

/* The decay time of a set, under the lock that guards it. */
static ssize_t decay_ms(arena_t *arena, page_set_t set)
{
    mutex_lock(&arena->pages.lock);
    ssize_t ms = arena->pages.decay[set].time_ms;
    mutex_unlock(&arena->pages.lock);
    return ms;
}

/* Gives the decay time in *ms and takes the new one, if any, into it. */
static int exchange_ms(const ctl_call_t *call, ssize_t *ms)
{
    int error = ctl_give(call, ms, sizeof(*ms));
    if (error == 0) {
        error = ctl_take(call, ms, sizeof(*ms));
    }
    if (error == 0 && ctl_has_input(call) && !decay_is_valid_ms(*ms)) {
        error = EFAULT;
    }
    return error;
}

static int exchange_decay_ms(const ctl_call_t *call, arena_t *arena)
{
    page_set_t set = (page_set_t)call->node->offset;
    ssize_t ms = decay_ms(arena, set);
    int error = exchange_ms(call, &ms);
    if (error == 0 && ctl_has_input(call)) {
        page_purge_set_decay(&arena->pages, set, ms, os_clock_ns());
    }
    return error;
}

/* Runs an exchange on the ordinary arena of the vector. */
static int with_arena(const ctl_call_t *call,
    int (*exchange)(const ctl_call_t *call, arena_t *arena))
{
    snapshot_lock();
    arena_t *arena = arena_of(call);
    int error = arena == NULL ? EFAULT : exchange(call, arena);
    snapshot_unlock();
    return error;
}

int ctl_arena_decay_ms(const ctl_call_t *call)
{
    return with_arena(call, exchange_decay_ms);
}

static int exchange_oversize(const ctl_call_t *call, arena_t *arena)
{
    size_t bytes = atomic_get_relaxed(&arena->pages.oversize_bytes);
    int error = ctl_give(call, &bytes, sizeof(bytes));
    if (error == 0) {
        error = ctl_take(call, &bytes, sizeof(bytes));
    }
    if (error == 0) {
        atomic_put_relaxed(&arena->pages.oversize_bytes, bytes);
    }
    return error;
}

int ctl_arena_oversize_threshold(const ctl_call_t *call)
{
    return with_arena(call, exchange_oversize);
}

static int exchange_retain_grow_limit(const ctl_call_t *call, arena_t *arena)
{
    page_store_t *ps = &arena->pages;
    size_t limit = 0;
    int error = ctl_take(call, &limit, sizeof(limit));
    if (error != 0) {
        return error;
    }
    if (ctl_has_input(call) && limit < PAGE) {
        return EFAULT;
    }
    mutex_lock(&ps->grow_lock);
    mutex_lock(&ps->lock);
    size_t old = ps->grow_limit;
    if (ctl_has_input(call)) {
        ps->grow_limit = snapshot_run_bytes(sizeclass_run_floor(limit));
        if (ps->grow_next > ps->grow_limit) {
            ps->grow_next = ps->grow_limit;
        }
    }
    mutex_unlock(&ps->lock);
    mutex_unlock(&ps->grow_lock);
    return ctl_give(call, &old, sizeof(old));
}

int ctl_arena_retain_grow_limit(const ctl_call_t *call)
{
    return opt.retain ? with_arena(call, exchange_retain_grow_limit) : ENOENT;
}

/* The name goes into the caller's buffer, whose address is the output. */
static int give_name(const ctl_call_t *call, const arena_t *arena)
{
    char *buffer;
    if (call->oldp == NULL || call->oldlenp == NULL) {
        return 0;
    }
    if (*call->oldlenp != sizeof(buffer)) {
        return EINVAL;
    }
    memcpy(&buffer, call->oldp, sizeof(buffer));
    if (buffer == NULL) {
        return EINVAL;
    }
    memcpy(buffer, arena->name, sizeof(arena->name));
    return 0;
}

static int exchange_name(const ctl_call_t *call, arena_t *arena)
{
    const char *name = "";
    int error = ctl_take(call, &name, sizeof(name));
    if (error != 0 || name == NULL) {
        return EINVAL;
    }
    error = give_name(call, arena);
    if (error == 0 && ctl_has_input(call)) {
        size_t len = strnlen(name, sizeof(arena->name) - 1);
        memset(arena->name, 0, sizeof(arena->name));
        memcpy(arena->name, name, len);
    }
    return error;
}

int ctl_arena_name(const ctl_call_t *call)
{
    size_t ind = call->mib[1];
    if (ctl_arena_is_all(ind) || ind == ARENA_DESTROYED) {
        return EINVAL;
    }
    return with_arena(call, exchange_name);
}

/* experimental.arenas.<i>.pactivep: the counter lives as long as its arena. */
int ctl_arena_pactivep(const ctl_call_t *call)
{
    size_t ind = call->mib[2];
    size_t *counter = NULL;
    if (call->oldp == NULL || call->oldlenp == NULL) {
        return EINVAL;
    }
    snapshot_lock();
    arena_t *arena =
        ind < ARENA_LIMIT ? arena_table_lookup((unsigned)ind) : NULL;
    if (arena != NULL) {
        counter = (size_t *)(uintptr_t)&arena->pages.active_pages;
    }
    snapshot_unlock();
    return counter == NULL ? EFAULT : ctl_give(call, &counter, sizeof(counter));
}

/* ---- extent hooks ---- */

static bool is_usable(const extent_hooks_t *hooks)
{
    return hooks != NULL && hooks->alloc != NULL;
}

static int exchange_hooks(const ctl_call_t *call, arena_t *arena)
{
    extent_hooks_t *hooks = NULL;
    int error = ctl_take(call, &hooks, sizeof(hooks));
    if (error != 0 || (ctl_has_input(call) && !is_usable(hooks))) {
        return EINVAL;
    }
    extent_hooks_t *old = atomic_get_acquire(&arena->pages.hooks);
    if (ctl_has_input(call)) {
        (void)page_store_set_hooks(&arena->pages, hooks);
    }
    return ctl_give(call, &old, sizeof(old));
}

/* An automatic arena that nobody used: made only if it is given hooks. */
static int exchange_hooks_of_new(const ctl_call_t *call)
{
    extent_hooks_t *old = &extent_hooks_default;
    size_t ind = call->mib[1];
    if (ind >= arena_table_narenas_auto()) {
        return EFAULT;
    }
    int error = ctl_give(call, &old, sizeof(old));
    if (error != 0 || !ctl_has_input(call)) {
        return error;
    }
    (void)snapshot_get_locked();
    arena_t *arena = arena_table_get((unsigned)ind);
    return arena == NULL ? EFAULT : exchange_hooks(call, arena);
}

int ctl_arena_extent_hooks(const ctl_call_t *call)
{
    snapshot_lock();
    arena_t *arena = arena_of(call);
    int error = arena == NULL ? exchange_hooks_of_new(call)
                              : exchange_hooks(call, arena);
    snapshot_unlock();
    return error;
}

/* ---- arenas ---- */

const ctl_arenas_t ctl_arenas = {
    .quantum = QUANTUM,
    .page = PAGE,
    .hugepage = HUGEPAGE,
    .nbins = SC_SMALL_COUNT,
    .nlextents = LARGE_CLASS_COUNT,
};

int ctl_arenas_narenas(const ctl_call_t *call)
{
    unsigned narenas = arena_table_narenas();
    return ctl_give(call, &narenas, sizeof(narenas));
}

int ctl_arenas_decay_ms(const ctl_call_t *call)
{
    page_set_t set = (page_set_t)call->node->offset;
    ssize_t ms = arena_table_decay_default(set);
    int error = exchange_ms(call, &ms);
    if (error == 0 && ctl_has_input(call)) {
        arena_table_set_decay_default(set, ms);
    }
    return error;
}

int ctl_arenas_tcache_max(const ctl_call_t *call)
{
    size_t max = sizeclass_size(tcache_max_class() - 1);
    return ctl_give(call, &max, sizeof(max));
}

int ctl_arenas_nhbins(const ctl_call_t *call)
{
    unsigned count = tcache_max_class();
    return ctl_give(call, &count, sizeof(count));
}

static uint32_t bin_number(const ctl_call_t *call)
{
    const sizeclass_slab_t *slab = &sizeclass_slabs[call->mib[2]];
    uint32_t value;
    memcpy(&value, (const char *)slab + call->node->offset, sizeof(value));
    return value;
}

int ctl_arenas_bin_u32(const ctl_call_t *call)
{
    uint32_t value = bin_number(call);
    return ctl_give(call, &value, sizeof(value));
}

int ctl_arenas_bin_bytes(const ctl_call_t *call)
{
    size_t value = bin_number(call);
    return ctl_give(call, &value, sizeof(value));
}

int ctl_arenas_lextent_size(const ctl_call_t *call)
{
    size_t size = sizeclass_size(SC_SMALL_COUNT + (unsigned)call->mib[2]);
    return ctl_give(call, &size, sizeof(size));
}

/* What experimental.arenas_create_ext is given. */
typedef struct {
    extent_hooks_t *hooks;
    uint8_t metadata_use_hooks; /* a bool; whatever the program has there */
} create_ext_t;

static int create(const ctl_call_t *call, const create_ext_t *config)
{
    int error;
    if (!is_usable(config->hooks)) {
        return EINVAL;
    }
    snapshot_lock();
    /* A new arena has no numbers before the next refresh. */
    (void)snapshot_get_locked();
    snapshot_unlock();
    arena_t *arena = arena_table_create(
        config->hooks, config->metadata_use_hooks != 0, &error);
    if (arena == NULL) {
        return error;
    }
    unsigned ind = arena->ind;
    return ctl_give(call, &ind, sizeof(ind));
}

int ctl_arenas_create(const ctl_call_t *call)
{
    create_ext_t config = {&extent_hooks_default, true};
    int error = ctl_want_output(call, sizeof(unsigned));
    if (error == 0) {
        error = ctl_take(call, &config.hooks, sizeof(config.hooks));
    }
    return error != 0 ? error : create(call, &config);
}

int ctl_arenas_create_ext(const ctl_call_t *call)
{
    create_ext_t config = {&extent_hooks_default, true};
    int error = ctl_want_output(call, sizeof(unsigned));
    if (error == 0) {
        error = ctl_take(call, &config, sizeof(config));
    }
    return error != 0 ? error : create(call, &config);
}
