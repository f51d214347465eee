/*
 * What: see fork.h.
 *
 * Invariants: as there.
 *
 * Locking: as there.
 */
#include "api/fork.h"

#include <pthread.h>

#include "arena/background.h"
#include "arena/guarded.h"
#include "arena/ledger.h"
#include "cache/cache_slots.h"
#include "cache/tcache_table.h"
#include "ctl/ctl.h"
#include "os/mutex.h"
#include "os/os.h"
#include "stats/request.h"
#include "thread/tsd.h"

static void before(void)
{
    ctl_prefork();
    prof_prefork_outer();
    tcache_table_prefork();
    arena_table_prefork();
    mutex_fork_begin();
    prof_prefork();
    arena_table_prefork_arenas();
    ledger_prefork();
    guarded_prefork();
    cache_slots_prefork();
}

static void after_in_parent(void)
{
    mutex_fork_end();
    arena_table_postfork_parent();
    tcache_table_postfork_parent();
    prof_postfork_parent();
    ctl_postfork_parent();
}

static void after_in_child(void)
{
    mutex_fork_end_in_child();
    os_postfork_child();
    arena_table_postfork_child();
    tsd_postfork_child();
    prof_postfork_child();
    background_postfork_child();
    request_postfork_child();
}

bool fork_boot(void)
{
    return pthread_atfork(before, after_in_parent, after_in_child) == 0;
}
