/*
 * What: statistics about every so many allocated bytes: opt.stats_interval.
 *
 * Invariants: (I1) a thread tells of its bytes in batches of a 64th of the
 * interval, at most 4 MiB, so that a report may come late by a batch of each
 * thread; (I2) an addition that passes several multiples prints once.
 *
 * Locking: none; a report is printed from inside an allocation call, after
 * the block was taken.
 */
#ifndef JE_API_INTERVAL_H
#define JE_API_INTERVAL_H

/* Follows all threads from now on if the option is set. */
void interval_boot(void);

#endif
