/*
 * What: see ctl_background.h.
 *
 * Invariants: as there.
 *
 * Locking: as there.
 */
#include "ctl/ctl_background.h"

#include <errno.h>

#include "arena/background.h"
#include "conf/conf.h"

static struct {
    _Atomic size_t limit; /* 0: as in the options */
} background_state;

int ctl_background_thread(const ctl_call_t *call)
{
    bool on = background_is_on();
    int error = ctl_give(call, &on, sizeof(on));
    if (error == 0) {
        error = ctl_take_bool(call, &on);
    }
    if (error == 0 && ctl_has_input(call) && !background_switch(on)) {
        error = EFAULT;
    }
    return error;
}

int ctl_max_background_threads(const ctl_call_t *call)
{
    size_t limit = atomic_get_relaxed(&background_state.limit);
    limit = limit == 0 ? opt.max_background_threads : limit;
    int error = ctl_give(call, &limit, sizeof(limit));
    if (error == 0) {
        error = ctl_take(call, &limit, sizeof(limit));
    }
    if (error != 0) {
        return error;
    }
    if (limit == 0 || limit > opt.max_background_threads) {
        return EINVAL;
    }
    atomic_put_relaxed(&background_state.limit, limit);
    return 0;
}
