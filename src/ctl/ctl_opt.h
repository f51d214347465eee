/*
 * What: opt.* and config.*: the options in force, from the rows of
 * options.def, and what was decided when the library was built.
 *
 * Invariants: (I1) an option whose feature is not in this build is ENOENT;
 * (I2) nothing here changes after boot.
 *
 * Locking: none; read-only.
 */
#ifndef JE_CTL_CTL_OPT_H
#define JE_CTL_CTL_OPT_H

#include "conf/conf_boot.h"
#include "ctl/ctl.h"
#include "stats/snapshot.h"

/* Handler: the option that node->data, a conf_option_t, describes. */
int ctl_opt_value(const ctl_call_t *call);

/* Handler: the text of the source number node->offset. */
int ctl_opt_source(const ctl_call_t *call);

/* What config.* tells; members are named after the nodes. */
typedef struct {
#define STATS_CONFIG(kind, name, fact, help) STATS_TYPE_##kind name;
#include "stats/fields.def"
} ctl_config_t;

extern const ctl_config_t ctl_config;
extern const char *const ctl_version;

#endif
