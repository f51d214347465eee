/*
 * What: shows pages and pictures: in the browser or viewer, or, where there
 * is none, by serving them on loopback.
 *
 * Invariants: (I1) the server listens on 127.0.0.1 alone and answers GET.
 *
 * Locking: none.
 */
#ifndef JEPROF_SERVE_H
#define JEPROF_SERVE_H

#include "settings.h"
#include "view.h"

/* Opens the call graph, or the flame graph, and returns; or serves both. */
void show_web(view_t *v, const settings_t *s);

/* In gv or evince. */
void show_picture(view_t *v, const settings_t *s);

/* What `print_list` says, in the browser, or on stdout without one. */
void show_listing(view_t *v, const char *regex);

/* Serves until it is interrupted. */
__attribute__((noreturn)) void serve(view_t *v, const settings_t *s);

#endif
