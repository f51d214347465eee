/*
 * What: background_thread and max_background_threads.
 *
 * Invariants: (I1) there is one thread of ours at most, whatever the limit.
 *
 * Locking: none; starting and ending it are background's.
 */
#ifndef JE_CTL_CTL_BACKGROUND_H
#define JE_CTL_CTL_BACKGROUND_H

#include "ctl/ctl.h"

int ctl_background_thread(const ctl_call_t *call);
int ctl_max_background_threads(const ctl_call_t *call);

#endif
