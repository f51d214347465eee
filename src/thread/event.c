/*
 * What: see event.h.
 *
 * Invariants: as there.
 *
 * Locking: as there.
 */
#include "thread/event.h"

#include "arena/arena_table.h"
#include "conf/conf.h"

static void follow_cpu(tsd_t *tsd)
{
    arena_t *arena = arena_table_of_cpu();
    if (arena != NULL && !tsd->arena->manual) {
        tsd_set_arena(tsd, arena);
    }
}

void event_run(tsd_t *tsd)
{
    tsd->countdown = EVENT_PERIOD;
    if (opt.percpu_arena != CONF_PERCPU_DISABLED) {
        follow_cpu(tsd);
    }
    if (++tsd->events % EVENT_CACHE_PERIOD == 0) {
        if (opt.experimental_tcache_gc) {
            tcache_shrink_idle(&tsd->tcache);
        }
        tsd_count_traffic(tsd);
    }
    arena_table_tick(tsd->arena);
}
