/*
 * What: a profile as gzipped profile.proto, which pprof and most viewers
 * read: live objects and bytes, with prof_accum allocated ones too, labelled
 * with their threads; mappings with build ids, so that symbols can be found
 * on another machine.
 *
 * Invariants: (I1) numbers are final estimates: nothing is left to scale;
 * (I2) addresses lie inside the calls, as the format wants.
 *
 * Locking: as prof_out.h.
 */
#ifndef JE_PROF_PROF_PPROF_H
#define JE_PROF_PROF_PPROF_H

#include "prof/prof_text.h"

/* False when no memory is to be had; what was written is then useless. */
JE_MUST_USE bool prof_pprof_write(const prof_profile_t *profile);

#endif
