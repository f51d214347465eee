/*
 * What: see interval.h.
 *
 * Invariants: as there.
 *
 * Locking: as there.
 */
#include "api/interval.h"

#include "conf/conf.h"
#include "stats/report.h"
#include "thread/watch.h"

#define BATCHES         64
#define BATCH_BYTES_MAX ((uint64_t)4 << 20)

/* Bytes that threads have told of. */
static _Atomic uint64_t told;

static uint64_t interval(void)
{
    return opt.stats_interval == 0 ? 1 : (uint64_t)opt.stats_interval;
}

static void note_bytes(uint64_t bytes)
{
    uint64_t before = atomic_add_relaxed(&told, bytes);
    if (before / interval() != (before + bytes) / interval()) {
        report_print(NULL, NULL, opt.stats_interval_opts);
    }
}

void interval_boot(void)
{
    if (opt.stats_interval < 0) {
        return;
    }
    uint64_t batch = interval() / BATCHES;
    batch = batch == 0 ? 1 : batch;
    watch_set_batches(
        batch < BATCH_BYTES_MAX ? batch : BATCH_BYTES_MAX, note_bytes);
}
