/*
 * What: controls about blocks: which arena one lies in, how full its slab is,
 * many at once, and what happens when one is misused.
 *
 * Invariants: (I1) queries about addresses answer any address.
 *
 * Locking: snapshot_lock while an arena is looked at.
 */
#ifndef JE_CTL_CTL_BLOCK_H
#define JE_CTL_CTL_BLOCK_H

#include "ctl/ctl.h"

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
