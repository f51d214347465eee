/*
 * What: the prompt.
 *
 * Invariants: (I1) a command that fails says why, and the prompt comes back.
 *
 * Locking: none.
 */
#ifndef JEPROF_SHELL_H
#define JEPROF_SHELL_H

#include "settings.h"
#include "view.h"

void shell_run(view_t *v, const settings_t *s);

#endif
