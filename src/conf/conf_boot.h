/*
 * What: finds the five sources of options and parses them once, at boot,
 * into `opt`.
 *
 * Invariants: (I1) without sources conf_boot changes nothing: the defaults
 * are initialised data; (I2) nothing here allocates, uses stdio or a locale,
 * or changes errno.
 *
 * Locking: none; runs before there is a second thread.
 */
#ifndef JE_CONF_CONF_BOOT_H
#define JE_CONF_CONF_BOOT_H

#include "conf/conf.h"

/* Where options come from; a later source overrides an earlier one. */
enum {
    CONF_SOURCE_CONFIGURE,
    CONF_SOURCE_GLOBAL,
    CONF_SOURCE_SYMLINK,
    CONF_SOURCE_ENVIRONMENT,
    CONF_SOURCE_GLOBAL_HARDER,
    CONF_SOURCES
};

/* NULL is an absent source. */
typedef struct {
    const char *text[CONF_SOURCES];
} conf_sources_t;

/*
 * Finds the sources: the two variables of the program come from the caller,
 * the rest from configure, the symbolic link and the environment.
 */
void conf_collect(
    conf_sources_t *out, const char *global, const char *global_harder);

/*
 * Parses `sources` into `opt`. The texts must outlive the process. Mistakes
 * are reported and skipped; with abort_conf they end the process. Returns 0.
 */
int conf_boot(const conf_sources_t *sources);

/* The text of source `i` as conf_boot saw it, NULL if it was absent. */
const char *conf_source_text(unsigned i);

/* Sets every option to `values` and forgets whatever was parsed. */
void conf_reset_for_test(const conf_opt_t *values);

#endif
