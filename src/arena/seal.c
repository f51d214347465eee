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

/* Bytes that are cleared word by word, without a call. */
#define SHORT_BYTES 128

typedef uint64_t pair_t __attribute__((vector_size(16), may_alias));
typedef uint64_t word_t __attribute__((may_alias));

void seal_boot(void)
{
    seal_config.on = sizeclass_has_exact_sizes();
    seal_config.has_zero = opt.zero_on_free;
    seal_config.secret = os_random();
    seal_config.factor = os_random() | 1;
    /* No byte that text or small numbers have, and never zero. */
    seal_config.canary = (uint8_t)(os_random() | 0x81);
}

/* ---- bytes ---- */

/* `region` and `bytes` are multiples of 8. */
static inline void clear(void *region, size_t bytes)
{
    if (bytes > SHORT_BYTES) {
        memset(region, 0, bytes);
        return;
    }
    word_t *word = region;
    for (word_t *end = word + bytes / sizeof(*word); word != end; word++) {
        *word = 0;
        __asm__ volatile("" : : : "memory"); /* no call for so little */
    }
}

static inline bool is_clear(const void *region, size_t bytes)
{
    const word_t *word = region;
    const word_t *end = word + bytes / sizeof(*word);
    uint64_t any = 0;
    if (((uintptr_t)word & 15) != 0 && word != end) {
        any = *word++;
    }
    pair_t all = {any, 0};
    for (; end - word >= 4; word += 4) {
        all |= *(const pair_t *)(const void *)word |
               *(const pair_t *)(const void *)(word + 2);
    }
    any = all[0] | all[1];
    for (; word != end; word++) {
        any |= *word;
    }
    return any == 0;
}

/* ---- regions ---- */

static uintptr_t end_of(const void *region, size_t region_bytes)
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

static void fill_slack(void *region, size_t region_bytes, size_t size)
{
    if (opt.canary) {
        memset((char *)region + size, seal_config.canary,
            region_bytes - SEAL_BYTES - size);
    }
}

bool seal_is_untouched(const void *region, size_t region_bytes)
{
    return seal_read(end_of(region, region_bytes)) == SEAL_FREE &&
           (!seal_config.has_zero ||
               is_clear(region, region_bytes - SEAL_BYTES));
}

bool seal_begin(void *region, size_t region_bytes, size_t size, uint64_t flags)
{
    if (JE_UNLIKELY(!seal_is_untouched(region, region_bytes))) {
        return false;
    }
    seal_write(end_of(region, region_bytes), (region_bytes - size) | flags);
    fill_slack(region, region_bytes, size);
    return true;
}

const void *seal_overrun(const void *region, size_t region_bytes, uint64_t what)
{
    const char *end = (const char *)region + region_bytes - SEAL_BYTES;
    const char *at = (const char *)region + region_bytes - seal_slack(what);
    if (!opt.canary) {
        return NULL;
    }
    while (at != end && (uint8_t)*at == seal_config.canary) {
        at++;
    }
    return at == end ? NULL : at;
}

void seal_end(void *region, size_t region_bytes)
{
    seal_write(end_of(region, region_bytes), SEAL_FREE);
    if (seal_config.has_zero) {
        clear(region, region_bytes - SEAL_BYTES);
    }
}

void seal_resize(void *region, size_t region_bytes, uint64_t what, size_t size)
{
    size_t old_size = region_bytes - seal_slack(what);
    if (size > old_size) {
        memset((char *)region + old_size, 0, size - old_size);
    }
    seal_write(end_of(region, region_bytes),
        (region_bytes - size) | (what & SEAL_APART));
    fill_slack(region, region_bytes, size);
}
