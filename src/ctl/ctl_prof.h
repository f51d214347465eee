/*
 * What: (room for) prof.*, thread.prof.* and experimental.prof_recent.*:
 * switches, dumps and counts of the heap profiler. They arrive together with
 * prof/; until then those names are unknown and config.prof is false.
 *
 * Invariants: (I1) the nodes exist exactly if SNAPSHOT_HAS_PROF.
 *
 * Locking: none.
 */
#ifndef JE_CTL_CTL_PROF_H
#define JE_CTL_CTL_PROF_H

#include "ctl/ctl.h"

#endif
