/*
 * What: the built-in page operations, and the guarded calls of any table.
 *
 * Invariants: as in extent_hooks.h. (I1) The built-in table knows 4 KiB
 * units; what it asks of the system is rounded to system pages: purging
 * inwards, so that no neighbour loses data.
 *
 * Locking: the dss settings are atomics.
 */
#include "extent/extent_hooks.h"

#include <errno.h>

#include <string.h>

#include "conf/limits.h"
#include "os/log.h"
#include "os/os.h"
#include "os/reentry.h"
#include "os/valgrind.h"
#include "util/bits.h"

static struct {
    /* 0 = the default of that time has not been replaced. */
    _Atomic uint8_t dss[ARENA_LIMIT];
    _Atomic uint8_t dss_default;
    _Atomic uint8_t purge_zeroes; /* not known, yes, no */
} hooks_state;

conf_dss_t extent_hooks_dss_default(void)
{
    uint8_t set = atomic_get_relaxed(&hooks_state.dss_default);
    return set == 0 ? opt.dss : (conf_dss_t)(set - 1);
}

void extent_hooks_set_dss_default(conf_dss_t dss)
{
    atomic_put_relaxed(&hooks_state.dss_default, (uint8_t)(dss + 1));
}

conf_dss_t extent_hooks_dss(unsigned arena_ind)
{
    uint8_t set = arena_ind < ARENA_LIMIT
                      ? atomic_get_relaxed(&hooks_state.dss[arena_ind])
                      : 0;
    return set == 0 ? extent_hooks_dss_default() : (conf_dss_t)(set - 1);
}

void extent_hooks_set_dss(unsigned arena_ind, conf_dss_t dss)
{
    atomic_put_relaxed(&hooks_state.dss[arena_ind], (uint8_t)(dss + 1));
}

/* ---- the built-in table ---- */

static void *alloc_sbrk(void *addr, size_t size, size_t alignment)
{
    /* The break has no alignment to offer; what it skips would be lost. */
    return addr != NULL || !config_dss || alignment > os_page_size()
               ? NULL
               : os_sbrk(size);
}

/* What need not be committed is only reserved, where that makes a difference.
 */
static void *alloc_map(void *addr, size_t size, size_t alignment, bool *commit)
{
    if (addr == NULL && !*commit && !os_overcommits) {
        return os_reserve(size, alignment);
    }
    *commit = true;
    return addr != NULL ? os_map_at(addr, size) : os_map(size, alignment);
}

static void advise_thp(void *p, size_t size)
{
    if (opt.thp == CONF_THP_ALWAYS || opt.thp == CONF_THP_NEVER) {
        (void)os_advise_huge(p, size, opt.thp == CONF_THP_ALWAYS);
    }
}

static void *default_alloc(extent_hooks_t *hooks, void *addr, size_t size,
    size_t alignment, bool *zero, bool *commit, unsigned arena_ind)
{
    (void)hooks;
    conf_dss_t dss = extent_hooks_dss(arena_ind);
    void *p = NULL;
    if (dss == CONF_DSS_PRIMARY) {
        p = alloc_sbrk(addr, size, alignment);
    }
    if (p == NULL) {
        p = alloc_map(addr, size, alignment, commit);
    }
    if (p == NULL && dss == CONF_DSS_SECONDARY) {
        p = alloc_sbrk(addr, size, alignment);
    }
    if (p != NULL) {
        /* Fresh pages are zero, but the break may have been used before. */
        if (!os_is_sbrk(p)) {
            *zero = true;
        } else {
            *commit = true;
            if (*zero) {
                memset(p, 0, size);
            }
        }
        advise_thp(p, size);
    }
    return p;
}

static bool default_dalloc(extent_hooks_t *hooks, void *addr, size_t size,
    bool committed, unsigned arena_ind)
{
    (void)hooks;
    (void)committed;
    (void)arena_ind;
    size_t mask = os_page_size() - 1;
    if (os_is_sbrk(addr) || (((uintptr_t)addr | size) & mask) != 0) {
        return true;
    }
    return !os_unmap(addr, size);
}

static void default_destroy(extent_hooks_t *hooks, void *addr, size_t size,
    bool committed, unsigned arena_ind)
{
    (void)default_dalloc(hooks, addr, size, committed, arena_ind);
}

void *extent_hooks_default_reserve(
    size_t size, size_t alignment, unsigned arena_ind)
{
    return extent_hooks_dss(arena_ind) == CONF_DSS_PRIMARY
               ? NULL
               : os_reserve(size, alignment);
}

bool extent_hooks_default_commit(void *addr, size_t size)
{
    bool done = os_permit(addr, size);
    if (done) {
        advise_thp(addr, size);
    }
    return done;
}

bool extent_hooks_default_decommit(void *addr, size_t size)
{
    size_t mask = os_page_size() - 1;
    return (((uintptr_t)addr | size) & mask) == 0 && !os_is_sbrk(addr) &&
           os_decommit(addr, size);
}

/* Refused on systems that overcommit, as the interface promises. */
static bool default_commit(extent_hooks_t *hooks, void *addr, size_t size,
    size_t offset, size_t length, unsigned arena_ind)
{
    (void)hooks;
    (void)size;
    (void)arena_ind;
    return os_overcommits ||
           !extent_hooks_default_commit((char *)addr + offset, length);
}

static bool default_decommit(extent_hooks_t *hooks, void *addr, size_t size,
    size_t offset, size_t length, unsigned arena_ind)
{
    (void)hooks;
    (void)size;
    (void)arena_ind;
    return os_overcommits ||
           !extent_hooks_default_decommit((char *)addr + offset, length);
}

/*
 * Applies `purge` to the whole system pages inside the range. False only if
 * all of the range was purged, as the caller relies on zeros.
 */
static bool purge_inside(
    void *addr, size_t offset, size_t length, bool (*purge)(void *, size_t))
{
    uintptr_t begin = (uintptr_t)addr + offset;
    uintptr_t first = bits_round_up(begin, os_page_size());
    uintptr_t end = bits_round_down(begin + length, os_page_size());
    if (first >= end) {
        return true;
    }
    bool done = purge((void *)first, end - first); /* NOLINT */
    return !done || first != begin || end != begin + length;
}

static bool default_purge_lazy(extent_hooks_t *hooks, void *addr, size_t size,
    size_t offset, size_t length, unsigned arena_ind)
{
    (void)hooks;
    (void)size;
    (void)arena_ind;
    return purge_inside(addr, offset, length, os_purge_lazy);
}

/*
 * Whether purged pages read as zero, which emulators do not always grant:
 * tried out once, before the first purge that somebody relies on.
 */
bool extent_hooks_purge_zeroes(void)
{
    enum { UNKNOWN, ZEROES, KEEPS };
    int known = atomic_get_relaxed(&hooks_state.purge_zeroes);
    if (JE_LIKELY(known != UNKNOWN) || opt.trust_madvise) {
        return known != KEEPS;
    }
    volatile char *page = os_map(os_page_size(), os_page_size());
    if (page == NULL) {
        return false;
    }
    *page = 1;
    bool purged = os_purge_forced((void *)(uintptr_t)page, os_page_size());
    bool zeroes = purged && *page == 0;
    (void)os_unmap((void *)(uintptr_t)page, os_page_size());
    if (!purged) {
        return false; /* refused this time: that tells nothing */
    }
    if (!zeroes) {
        log_write("<jemalloc>: MADV_DONTNEED does not work (memset will be "
                  "used instead)\n<jemalloc>: (This is the expected "
                  "behaviour if you are running under QEMU)\n");
    }
    atomic_put_relaxed(&hooks_state.purge_zeroes, zeroes ? ZEROES : KEEPS);
    return zeroes;
}

static bool default_purge_forced(extent_hooks_t *hooks, void *addr, size_t size,
    size_t offset, size_t length, unsigned arena_ind)
{
    (void)hooks;
    (void)size;
    (void)arena_ind;
    bool partly = purge_inside(addr, offset, length, os_purge_forced);
    return partly || !extent_hooks_purge_zeroes();
}

static bool default_split(extent_hooks_t *hooks, void *addr, size_t size,
    size_t size_a, size_t size_b, bool committed, unsigned arena_ind)
{
    (void)hooks;
    (void)addr;
    (void)size;
    (void)size_a;
    (void)size_b;
    (void)committed;
    (void)arena_ind;
    return false;
}

static bool default_merge(extent_hooks_t *hooks, void *addr_a, size_t size_a,
    void *addr_b, size_t size_b, bool committed, unsigned arena_ind)
{
    (void)hooks;
    (void)size_a;
    (void)size_b;
    (void)committed;
    (void)arena_ind;
    return os_is_sbrk(addr_a) != os_is_sbrk(addr_b);
}

extent_hooks_t extent_hooks_default = {
    default_alloc,
    default_dalloc,
    default_destroy,
    default_commit,
    default_decommit,
    default_purge_lazy,
    default_purge_forced,
    default_split,
    default_merge,
};

/* ---- calls ---- */

/* Hooks of programs need not care for errno: what they leave is undone. */
static int enter(const extent_hooks_t *hooks)
{
    int saved = errno;
    if (!extent_hooks_are_default(hooks)) {
        reentry_enter();
    }
    return saved;
}

static void leave(const extent_hooks_t *hooks, int saved_errno)
{
    errno = saved_errno;
    if (!extent_hooks_are_default(hooks)) {
        reentry_leave();
    }
}

void *extent_hooks_alloc(extent_hooks_t *hooks, void *addr, size_t size,
    size_t alignment, bool *zero, bool *commit, unsigned arena_ind)
{
    if (JE_LIKELY(extent_hooks_are_default(hooks))) {
        return default_alloc(
            hooks, addr, size, alignment, zero, commit, arena_ind);
    }
    int saved = enter(hooks);
    void *p =
        hooks->alloc(hooks, addr, size, alignment, zero, commit, arena_ind);
    leave(hooks, saved);
    return p;
}

/*
 * A kernel with large pages takes a length to mean each page that it touches,
 * neighbours included. The built-in table knows; hooks of programs pass on
 * what they are told, so they hear of whole system pages only.
 */
static bool may_hear_of(
    const extent_hooks_t *hooks, const void *addr, size_t size)
{
    return extent_hooks_are_default(hooks) || os_is_paged(addr, size);
}

/* What was nobody's for memcheck is the program's again. */
static void hand_back(
    const extent_hooks_t *hooks, const void *addr, size_t size)
{
    if (JE_UNLIKELY(valgrind_mode == VALGRIND_OURS) &&
        !extent_hooks_are_default(hooks)) {
        valgrind_permit(addr, size);
    }
}

bool extent_hooks_dalloc(extent_hooks_t *hooks, void *addr, size_t size,
    bool committed, unsigned arena_ind)
{
    if (hooks->dalloc == NULL || !may_hear_of(hooks, addr, size)) {
        return false;
    }
    hand_back(hooks, addr, size);
    int saved = enter(hooks);
    bool refused = hooks->dalloc(hooks, addr, size, committed, arena_ind);
    leave(hooks, saved);
    return !refused;
}

void extent_hooks_destroy(extent_hooks_t *hooks, void *addr, size_t size,
    bool committed, unsigned arena_ind)
{
    if (hooks->destroy == NULL || !may_hear_of(hooks, addr, size)) {
        return;
    }
    hand_back(hooks, addr, size);
    int saved = enter(hooks);
    hooks->destroy(hooks, addr, size, committed, arena_ind);
    leave(hooks, saved);
}

/* The four hooks on part of a range have one shape. */
typedef bool range_hook_t(
    extent_hooks_t *, void *, size_t, size_t, size_t, unsigned);

static bool call_range(range_hook_t *hook, extent_hooks_t *hooks, void *addr,
    size_t size, size_t offset, size_t length, unsigned arena_ind)
{
    if (hook == NULL) {
        return false;
    }
    int saved = enter(hooks);
    bool refused = hook(hooks, addr, size, offset, length, arena_ind);
    leave(hooks, saved);
    return !refused;
}

bool extent_hooks_commit(extent_hooks_t *hooks, void *addr, size_t size,
    size_t offset, size_t length, unsigned arena_ind)
{
    uintptr_t begin = (uintptr_t)addr + offset;
    if (!may_hear_of(hooks, (char *)begin, length)) { /* NOLINT */
        /* Parts of the pages at its ends were not decommitted alone. */
        uintptr_t end = bits_round_up(begin + length, os_page_size());
        begin = bits_round_down(begin, os_page_size());
        addr = (void *)begin; /* NOLINT */
        size = end - begin;
        offset = 0;
        length = size;
    }
    return call_range(
        hooks->commit, hooks, addr, size, offset, length, arena_ind);
}

bool extent_hooks_decommit(extent_hooks_t *hooks, void *addr, size_t size,
    size_t offset, size_t length, unsigned arena_ind)
{
    return may_hear_of(hooks, (char *)addr + offset, length) &&
           call_range(
               hooks->decommit, hooks, addr, size, offset, length, arena_ind);
}

/* Only the whole system pages of the range; false if those are not all. */
static bool call_purge(range_hook_t *hook, extent_hooks_t *hooks, void *addr,
    size_t size, size_t offset, size_t length, unsigned arena_ind)
{
    if (may_hear_of(hooks, (char *)addr + offset, length)) {
        return call_range(hook, hooks, addr, size, offset, length, arena_ind);
    }
    uintptr_t begin = (uintptr_t)addr + offset;
    uintptr_t first = bits_round_up(begin, os_page_size());
    uintptr_t end = bits_round_down(begin + length, os_page_size());
    if (first < end) {
        (void)call_range(hook, hooks, addr, size, first - (uintptr_t)addr,
            end - first, arena_ind);
    }
    return false;
}

bool extent_hooks_purge_lazy(extent_hooks_t *hooks, void *addr, size_t size,
    size_t offset, size_t length, unsigned arena_ind)
{
    return call_purge(
        hooks->purge_lazy, hooks, addr, size, offset, length, arena_ind);
}

bool extent_hooks_purge_forced(extent_hooks_t *hooks, void *addr, size_t size,
    size_t offset, size_t length, unsigned arena_ind)
{
    return call_purge(
        hooks->purge_forced, hooks, addr, size, offset, length, arena_ind);
}

bool extent_hooks_split(extent_hooks_t *hooks, void *addr, size_t size,
    size_t size_a, size_t size_b, bool committed, unsigned arena_ind)
{
    if (hooks->split == NULL) {
        return false;
    }
    int saved = enter(hooks);
    bool refused =
        hooks->split(hooks, addr, size, size_a, size_b, committed, arena_ind);
    leave(hooks, saved);
    return !refused;
}

bool extent_hooks_merge(extent_hooks_t *hooks, void *addr_a, size_t size_a,
    void *addr_b, size_t size_b, bool committed, unsigned arena_ind)
{
    if (hooks->merge == NULL) {
        return false;
    }
    int saved = enter(hooks);
    bool refused = hooks->merge(
        hooks, addr_a, size_a, addr_b, size_b, committed, arena_ind);
    leave(hooks, saved);
    return !refused;
}
