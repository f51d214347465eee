/*
 * What: profiles of running programs, by the pprof protocol: the profile, the
 * program's name, the names of its addresses.
 *
 * Invariants: (I1) what was fetched is also kept as a file, which is named.
 *
 * Locking: none.
 */
#ifndef JEPROF_REMOTE_H
#define JEPROF_REMOTE_H

#include "http.h"
#include "input.h"
#include "profile.h"

/* Of /pprof/heap if the URL names no service. */
input_t remote_fetch(const url_t *url, unsigned seconds);

/* Asks the server for the names of all addresses that have none. */
void remote_symbolize(const url_t *url, profile_t *p);

/* The name of the program, or NULL if the server does not tell. */
char *remote_program(const url_t *url);

#endif
