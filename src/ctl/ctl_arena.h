/*
 * What: arena.<i>.*, arenas.*, and the experimental queries about blocks and
 * arenas.
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
int ctl_arenas_lookup(const ctl_call_t *call);

/* What the queries about blocks give: the documented layout. */
typedef struct {
    void *slabcur_addr;
    size_t nfree;
    size_t nregs;
    size_t size;
    size_t bin_nfree;
    size_t bin_nregs;
} ctl_utilization_t;
#define CTL_SIZE_UTILIZATION sizeof(ctl_utilization_t)

typedef struct {
    size_t nfree;
    size_t nregs;
    size_t size;
} ctl_utilization_row_t;
#define CTL_SIZE_UTILIZATION_ROW sizeof(ctl_utilization_row_t)

int ctl_utilization_query(const ctl_call_t *call);
int ctl_utilization_batch_query(const ctl_call_t *call);
int ctl_safety_check_abort(const ctl_call_t *call);

/* Allocation is above this layer: api/ brings its mallocx along. */
typedef void *(*ctl_mallocx_t)(size_t size, int flags);
void ctl_set_mallocx(ctl_mallocx_t mallocx);
int ctl_batch_alloc(const ctl_call_t *call);

#endif
