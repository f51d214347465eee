/*
 * What: the page operations of an arena: the built-in table over os/, or the
 * program's own; the one place from which either is called.
 *
 * Invariants: (I1) hooks are called with no lock of ours held that a call
 * they make could need: only those ranked up to the growth lock; (I2) a custom
 * hook runs at a re-entry depth above zero; (I3) results follow the public
 * convention turned round: functions here return true for done.
 *
 * Locking: none of its own.
 */
#ifndef JE_EXTENT_EXTENT_HOOKS_H
#define JE_EXTENT_EXTENT_HOOKS_H

#ifndef JEMALLOC_NO_DEMANGLE
#    define JEMALLOC_NO_DEMANGLE
#endif
#include "jemalloc/jemalloc.h"

#include "conf/conf.h"
#include "util/atomic.h"
#include "util/common.h"

/* The built-in table; every arena starts with it unless told otherwise. */
extern extent_hooks_t extent_hooks_default;

static inline bool extent_hooks_are_default(const extent_hooks_t *hooks)
{
    return hooks == &extent_hooks_default;
}

/* Where the built-in table takes memory from, per arena. */
conf_dss_t extent_hooks_dss(unsigned arena_ind);
void extent_hooks_set_dss(unsigned arena_ind, conf_dss_t dss);

/* The setting that arenas created from now on start with. */
conf_dss_t extent_hooks_dss_default(void);
void extent_hooks_set_dss_default(conf_dss_t dss);

/*
 * Gives pages back with their claim to memory, or takes them again, where
 * the built-in table serves. Unlike the hooks of the table they do so also
 * on systems that overcommit. Whole system pages, not of the break. False if
 * the system refused.
 */
bool extent_hooks_default_commit(void *addr, size_t size);
bool extent_hooks_default_decommit(void *addr, size_t size);

/*
 * Addresses alone, to be committed; NULL if the system has none, or if the
 * arena's memory is to come from the break first.
 */
void *extent_hooks_default_reserve(
    size_t size, size_t alignment, unsigned arena_ind);

/* Whether the built-in purge leaves zeros behind on this system. */
bool extent_hooks_purge_zeroes(void);

void *extent_hooks_alloc(extent_hooks_t *hooks, void *addr, size_t size,
    size_t alignment, bool *zero, bool *commit, unsigned arena_ind);
bool extent_hooks_dalloc(extent_hooks_t *hooks, void *addr, size_t size,
    bool committed, unsigned arena_ind);
void extent_hooks_destroy(extent_hooks_t *hooks, void *addr, size_t size,
    bool committed, unsigned arena_ind);
bool extent_hooks_commit(extent_hooks_t *hooks, void *addr, size_t size,
    size_t offset, size_t length, unsigned arena_ind);
bool extent_hooks_decommit(extent_hooks_t *hooks, void *addr, size_t size,
    size_t offset, size_t length, unsigned arena_ind);
bool extent_hooks_purge_lazy(extent_hooks_t *hooks, void *addr, size_t size,
    size_t offset, size_t length, unsigned arena_ind);
bool extent_hooks_purge_forced(extent_hooks_t *hooks, void *addr, size_t size,
    size_t offset, size_t length, unsigned arena_ind);
bool extent_hooks_split(extent_hooks_t *hooks, void *addr, size_t size,
    size_t size_a, size_t size_b, bool committed, unsigned arena_ind);
bool extent_hooks_merge(extent_hooks_t *hooks, void *addr_a, size_t size_a,
    void *addr_b, size_t size_b, bool committed, unsigned arena_ind);

#endif
