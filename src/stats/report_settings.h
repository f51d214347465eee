/*
 * What: the general part of the report: version, build, system, the options
 * in force with what became of them, and the size classes.
 *
 * Invariants: (I1) an option is shown exactly if its control exists.
 *
 * Locking: none.
 */
#ifndef JE_STATS_REPORT_SETTINGS_H
#define JE_STATS_REPORT_SETTINGS_H

#include "conf/conf.h"
#include "stats/emit.h"

void report_settings_print(emit_t *emit);

/* Whether opt.<name> is there: its feature is part of this build. */
bool report_settings_has(const conf_option_t *option);

#endif
