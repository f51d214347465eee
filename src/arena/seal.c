/*
 * What: see seal.h.
 *
 * Invariants: as there.
 *
 * Locking: as there.
 */
#include "arena/seal.h"

#include <string.h>

#include "conf/conf.h"
#include "os/os.h"
#include "util/fail.h"

seal_config_t seal_config;

void seal_boot(void)
{
    seal_config.on = sizeclass_has_exact_sizes();
    seal_config.has_zero = opt.zero_on_free;
    seal_config.secret = os_random();
    seal_config.factor = os_random() | 1;
    /* No byte that text or small numbers have, and never zero. */
    seal_config.canary = (uint8_t)(os_random() | 0x81);
    seal_config.has_canary = opt.canary;
    memset(&seal_config.canaries, seal_config.canary,
        sizeof(seal_config.canaries));
    for (size_t n = 0; n <= SEAL_BYTES && opt.canary; n++) {
        memset(&seal_config.checked[n], 0xff, n);
    }
}

/* ---- regions ---- */

static inline uintptr_t end_of(const void *region, size_t region_bytes)
{
    return (uintptr_t)region + region_bytes;
}

void seal_regions(void *slab, const sizeclass_slab_t *shape, bool is_zero)
{
    if (!is_zero && seal_config.has_zero) {
        memset(slab, 0, shape->slab_bytes);
    }
    uintptr_t end = (uintptr_t)slab;
    for (unsigned i = 0; i < shape->regions; i++) {
        end += shape->region_bytes;
        seal_write(end, SEAL_FREE);
    }
}

bool seal_is_clear(const void *start, size_t bytes)
{
    seal_pair_t any = {0, 0};
    size_t at = 0;
    for (; at + SEAL_STEP <= bytes; at += SEAL_STEP) {
        any |= *seal_pair_at(start, at) | *seal_pair_at(start, at + 16) |
               *seal_pair_at(start, at + 32) | *seal_pair_at(start, at + 48);
    }
    for (; at + 16 <= bytes; at += 16) {
        any |= *seal_pair_at(start, at);
    }
    uint64_t rest = seal_load((uintptr_t)start + bytes - 8);
    return (any[0] | any[1] | rest) == 0;
}

/* The first of so many bytes, up to the end, that is no canary. */
static const char *first_other(const char *at, const char *end, size_t bytes)
{
    for (size_t i = 0; i < bytes && at + i < end; i++) {
        if ((uint8_t)at[i] != seal_config.canary) {
            return at + i;
        }
    }
    return NULL;
}

void seal_fill_long_slack(uintptr_t end, size_t slack)
{
    if (seal_config.has_canary) {
        memset((void *)(end - slack), seal_config.canary, /* NOLINT */
            slack - SEAL_BYTES);
    }
}

bool seal_has_long_slack(uintptr_t end, size_t slack)
{
    return !seal_config.has_canary ||
           first_other((const char *)(end - slack),              /* NOLINT */
               (const char *)(end - SEAL_BYTES), slack) == NULL; /* NOLINT */
}

const void *seal_overrun(const void *region, size_t region_bytes, uint64_t what)
{
    size_t slack = seal_slack(what);
    uintptr_t end = end_of(region, region_bytes);
    const char *seal = (const char *)region + region_bytes - SEAL_BYTES;
    size_t checked = slack > SEAL_SLACK_SHORT ? slack : SEAL_BYTES;
    const char *at = first_other(seal + SEAL_BYTES - slack, seal, checked);
    return at != NULL
               ? at
               : first_other(
                     seal - (end - SEAL_BYTES - seal_last_canary(end, slack)),
                     seal, SEAL_BYTES);
}

void seal_report_touched(const void *region, size_t region_bytes)
{
    fail_misuse("use after free: the free block %p of size class %zu was "
                "written to",
        region, region_bytes);
}

void seal_resize(void *region, size_t region_bytes, uint64_t what, size_t size)
{
    size_t old_size = region_bytes - seal_slack(what);
    if (size > old_size) {
        memset((char *)region + old_size, 0, size - old_size);
    }
    seal_fill_slack(end_of(region, region_bytes), region_bytes - size);
    seal_write(end_of(region, region_bytes),
        (region_bytes - size) | (what & SEAL_APART));
}
