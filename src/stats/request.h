/*
 * What: statistics on request from outside: `stats_signal:USR1` makes
 * `kill -USR1 PID` print the report, as stats_print_opts wants it.
 *
 * The handler rings; a thread of our own, which sleeps from the start of the
 * program on, prints. So a program that does nothing answers too, and nothing
 * is printed from inside a handler.
 *
 * Invariants: (I1) requests that come while a report is being printed make
 * one more, not one each; (I2) a handler that the program installs later
 * simply wins; (I3) without the option there is neither thread nor handler;
 * (I4) when the program's first thread has ended nobody answers any more, and
 * the process ends with the last thread of its own.
 *
 * Locking: counters.
 */
#ifndef JE_STATS_REQUEST_H
#define JE_STATS_REQUEST_H

#include "util/common.h"

/* Once libc is ready for threads. False if no exit handler was to be had. */
JE_MUST_USE bool request_boot(void);

/* The program's first thread ends, and others go on. */
void request_retire(void);

/* In a fork child: there is no thread any more, so another one is started. */
void request_postfork_child(void);

#endif
