/*
 * What: memory for thread caches: arrays of words in powers of two, recycled
 * for ever, because the metadata base never frees.
 *
 * Invariants: (I1) an array given back is reused for the same power only.
 *
 * Locking: one lock for all free lists.
 */
#ifndef JE_CACHE_CACHE_SLOTS_H
#define JE_CACHE_CACHE_SLOTS_H

#include "util/common.h"

/* Smallest and largest array, log2 of words. */
#define CACHE_SLOTS_LG_MIN 3
#define CACHE_SLOTS_LG_MAX 14

void cache_slots_boot(void);

/* An array of 2^lg words with undefined contents, or NULL. */
JE_MUST_USE void *cache_slots_alloc(unsigned lg);
void cache_slots_free(void *slots, unsigned lg);

void cache_slots_prefork(void);

#endif
