/*
 * What: thread.* of the calling thread, but for its cache (ctl_tcache), and
 * functions of the program that follow what threads allocate.
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
#include "thread/watch.h"

/* The calling thread's record, made if need be; NULL if it has none. */
tsd_t *ctl_thread_record(void);

int ctl_thread_arena(const ctl_call_t *call);
int ctl_thread_allocated(const ctl_call_t *call);
int ctl_thread_deallocated(const ctl_call_t *call);
int ctl_thread_allocatedp(const ctl_call_t *call);
int ctl_thread_deallocatedp(const ctl_call_t *call);
int ctl_thread_peak_read(const ctl_call_t *call);
int ctl_thread_peak_reset(const ctl_call_t *call);
int ctl_thread_idle(const ctl_call_t *call);

#define CTL_SIZE_EVENT    sizeof(watch_event_t)
#define CTL_SIZE_ACTIVITY sizeof(tsd_activity_t)
int ctl_thread_event(const ctl_call_t *call);
int ctl_thread_activity(const ctl_call_t *call);

#endif
