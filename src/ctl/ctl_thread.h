/*
 * What: thread.* of the calling thread, and the explicit caches tcache.*.
 *
 * Invariants: (I1) a thread without a record, because it is ending or memory
 * is out, gets EAGAIN.
 *
 * Locking: snapshot_lock while a thread changes its arena, so that neither
 * arena ends meanwhile; else the thread's own record.
 */
#ifndef JE_CTL_CTL_THREAD_H
#define JE_CTL_CTL_THREAD_H

#include "ctl/ctl.h"
#include "thread/tsd.h"

/* The calling thread's record, made if need be; NULL if it has none. */
tsd_t *ctl_thread_record(void);

int ctl_thread_arena(const ctl_call_t *call);
int ctl_thread_allocated(const ctl_call_t *call);
int ctl_thread_deallocated(const ctl_call_t *call);
int ctl_thread_tcache_enabled(const ctl_call_t *call);
int ctl_thread_tcache_flush(const ctl_call_t *call);
int ctl_thread_idle(const ctl_call_t *call);

int ctl_tcache_create(const ctl_call_t *call);
int ctl_tcache_flush(const ctl_call_t *call);
int ctl_tcache_destroy(const ctl_call_t *call);

#endif
