/*
 * What: see ctl_opt.h.
 *
 * Invariants: as there.
 *
 * Locking: as there.
 */
#include "ctl/ctl_opt.h"

#include <errno.h>

#include "arena/arena_table.h"
#include "stats/report_settings.h"

const char *const ctl_version = CONFIG_VERSION;

const ctl_config_t ctl_config = {
#define STATS_CONFIG(kind, name, fact, help) .name = fact,
#include "stats/fields.def"
};

int ctl_opt_value(const ctl_call_t *call)
{
    const conf_option_t *option = call->node->data;
    if (!report_settings_has(option)) {
        return ENOENT;
    }
    if (option->field == &opt.narenas) {
        unsigned narenas = arena_table_narenas_auto();
        return ctl_give(call, &narenas, sizeof(narenas));
    }
    if (option->type == CONF_TYPE_ENUM) {
        const char *word = conf_option_word(option);
        return ctl_give(call, &word, sizeof(word));
    }
    return ctl_give(call, option->field, call->node->size);
}

int ctl_opt_source(const ctl_call_t *call)
{
    const char *text = conf_source_text(call->node->offset);
    return text == NULL ? ENOENT : ctl_give(call, &text, sizeof(text));
}
