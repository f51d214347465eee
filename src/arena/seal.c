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
    for (size_t n = 0; n < 8; n++) {
        memset((char *)&seal_config.last_bytes[n] + 8 - n, 0xff, n);
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

const void *seal_overrun(const void *region, size_t region_bytes, uint64_t what)
{
    const char *end = (const char *)region + region_bytes - SEAL_BYTES;
    const char *at = (const char *)region + region_bytes - seal_slack(what);
    while (at != end && (uint8_t)*at == seal_config.canary) {
        at++;
    }
    return at == end ? NULL : at;
}

void seal_resize(void *region, size_t region_bytes, uint64_t what, size_t size)
{
    size_t old_size = region_bytes - seal_slack(what);
    if (size > old_size) {
        memset((char *)region + old_size, 0, size - old_size);
    }
    seal_write(end_of(region, region_bytes),
        (region_bytes - size) | (what & SEAL_APART));
    seal_fill_slack(end_of(region, region_bytes), region_bytes - size);
}
