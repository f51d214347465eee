/*
 * What: arena.<i>.* and arenas.*, but for what is about blocks (ctl_block).
 *
 * Invariants: (I1) index 4096 and the number of arenas stand for all, 4097
 * for the destroyed ones; what makes no sense there is refused.
 *
 * Locking: snapshot_lock is held while an arena is used, so that it cannot
 * be destroyed meanwhile; extent hooks may therefore not call mallctl.
 */
#ifndef JE_CTL_CTL_ARENA_H
#define JE_CTL_CTL_ARENA_H

#include "ctl/ctl.h"

/* Index checks. */
int ctl_arena_check(const size_t *mib, size_t depth);
int ctl_bin_check(const size_t *mib, size_t depth);
int ctl_lextent_check(const size_t *mib, size_t depth);

/* Whether the number stands for all arenas. */
bool ctl_arena_is_all(size_t ind);

int ctl_arena_initialized(const ctl_call_t *call);
int ctl_arena_decay(const ctl_call_t *call);
int ctl_arena_purge(const ctl_call_t *call);
int ctl_arena_reset(const ctl_call_t *call);
int ctl_arena_destroy(const ctl_call_t *call);
int ctl_arena_dss(const ctl_call_t *call);
/* node->offset is the page_set_t. */
int ctl_arena_decay_ms(const ctl_call_t *call);
int ctl_arena_oversize_threshold(const ctl_call_t *call);
int ctl_arena_pactivep(const ctl_call_t *call);
int ctl_arena_extent_hooks(const ctl_call_t *call);
int ctl_arena_retain_grow_limit(const ctl_call_t *call);
int ctl_arena_name(const ctl_call_t *call);

/* What arenas.* tells that never changes; named after the nodes. */
typedef struct {
    size_t quantum;
    size_t page;
    size_t hugepage;
    unsigned nbins;
    unsigned nlextents;
} ctl_arenas_t;

extern const ctl_arenas_t ctl_arenas;

int ctl_arenas_narenas(const ctl_call_t *call);
/* node->offset is the page_set_t. */
int ctl_arenas_decay_ms(const ctl_call_t *call);
int ctl_arenas_tcache_max(const ctl_call_t *call);
int ctl_arenas_nhbins(const ctl_call_t *call);
/* node->offset is that of the uint32_t in sizeclass_slab_t. */
int ctl_arenas_bin_u32(const ctl_call_t *call);
int ctl_arenas_bin_bytes(const ctl_call_t *call);
int ctl_arenas_lextent_size(const ctl_call_t *call);
int ctl_arenas_create(const ctl_call_t *call);
int ctl_arenas_create_ext(const ctl_call_t *call);

#endif
