/*
 * What: thread.tcache.*, the cache of the calling thread, and the explicit
 * caches tcache.*.
 *
 * Invariants: (I1) a thread without a record gets EAGAIN, but where a cache
 * that is off gives another error; (I2) limits change all or not at all.
 *
 * Locking: the thread's own record; explicit caches are their users' affair.
 */
#ifndef JE_CTL_CTL_TCACHE_H
#define JE_CTL_CTL_TCACHE_H

#include "ctl/ctl.h"

int ctl_thread_tcache_enabled(const ctl_call_t *call);
int ctl_thread_tcache_flush(const ctl_call_t *call);
int ctl_thread_tcache_max(const ctl_call_t *call);
int ctl_thread_ncached_read(const ctl_call_t *call);
int ctl_thread_ncached_write(const ctl_call_t *call);

int ctl_tcache_create(const ctl_call_t *call);
int ctl_tcache_flush(const ctl_call_t *call);
int ctl_tcache_destroy(const ctl_call_t *call);

#endif
