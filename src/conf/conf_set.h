/*
 * What: stores the text of a value in the option it is for, if it suits the
 * row in options.def, and what follows from it for other options.
 *
 * Invariants: (I1) conf_opt_storage holds legal values at any time.
 *
 * Locking: none, see conf.h.
 */
#ifndef JE_CONF_CONF_SET_H
#define JE_CONF_CONF_SET_H

#include "conf/conf_say.h"

conf_problem_t conf_set(const conf_option_t *option, conf_slice_t value);

/*
 * After the last pair: what options mean for each other. False, after a
 * message, if they contradict each other.
 */
bool conf_set_finish(void);

/* Sets every option to `values` and forgets texts that were set. */
void conf_set_reset_for_test(const conf_opt_t *values);

#endif
