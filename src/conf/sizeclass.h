/*
 * What: request size <-> class <-> usable size.
 *
 * Two numberings: an *index* counts the whole series from 0 (8 bytes); a
 * *class byte* is index + 1 for what thread caches can hold and 0 for
 * everything else, so that "not small" needs no test of its own.
 *
 * Invariants: (I1) sizeclass_size(sizeclass_index(s)) >= s for s <= SC_MAX;
 * (I2) a small class that is the class of a multiple of a power of two
 * a <= PAGE is itself a multiple of a, and slabs start on pages.
 *
 * Locking: none; written once at boot.
 */
#ifndef JE_CONF_SIZECLASS_H
#define JE_CONF_SIZECLASS_H

#include "conf/conf.h"
#include "conf/limits.h"
#include "util/bits.h"

/* How a slab of one small class is cut. */
typedef struct {
    uint32_t region_bytes;
    uint32_t slab_bytes;
    uint32_t regions;
    uint32_t shards;     /* independent bins of this class in an arena */
    uint32_t used_bytes; /* of all regions: what is beyond is slack */
    uint32_t reciprocal; /* ceil(2^32 / region_bytes) */
} sizeclass_slab_t;

/* Class byte of a size, in steps of 8 bytes, and of 1 KiB further up. */
extern uint8_t sizeclass_table[SC_LOOKUP_COUNT];
extern uint8_t sizeclass_coarse_table[SC_COARSE_COUNT];

/* Bytes of a class byte. */
extern uint32_t sizeclass_bytes[TCACHE_BIN_COUNT];
extern sizeclass_slab_t sizeclass_slabs[SC_SMALL_COUNT];

/* Fills the tables; reads opt.slab_sizes, opt.bin_shards. */
void sizeclass_boot(void);

/*
 * What a range list of the configuration says about class `index`: the last
 * segment that touches the class wins; `fallback` if none does.
 */
size_t sizeclass_listed(
    const conf_ranges_t *list, unsigned index, size_t fallback);

/* Index of the class of `size` <= SC_MAX. */
static inline unsigned sizeclass_index(size_t size)
{
    if (size <= 8) {
        return 0;
    }
    unsigned x = bits_lg_ceil(size);
    unsigned group = x < 6 ? 0 : x - 6;
    unsigned lg_step = x < 7 ? 4 : x - 3;
    return 1 + 4 * group + (((unsigned)((size - 1) >> lg_step)) & 3);
}

/* Whether a block may use what was asked for, not what its class has. */
bool sizeclass_has_exact_sizes(void);

/* The same for who asks what a block may use; 0: blocks say it themselves. */
extern uint32_t sizeclass_usable[TCACHE_BIN_COUNT];

/* Bytes of the class with that index. */
static inline size_t sizeclass_size(unsigned index)
{
    if (index == 0) {
        return 8;
    }
    unsigned group = (index - 1) / 4;
    size_t step = (index - 1) % 4 + 1;
    size_t base = group == 0 ? 0 : (size_t)1 << (group + 5);
    return base + (step << ((group == 0 ? 1 : group) + 3));
}

/* Class byte of a request of at most SC_LOOKUP_MAX bytes: one load. */
JE_ALWAYS_INLINE size_t sizeclass_lookup(size_t size)
{
    return sizeclass_table[(size + 7) >> 3];
}

/* The same for SC_LOOKUP_MAX to TCACHE_MAX_LIMIT. */
JE_ALWAYS_INLINE size_t sizeclass_lookup_coarse(size_t size)
{
    return sizeclass_coarse_table[(size + SC_COARSE_STEP - 1) / SC_COARSE_STEP];
}

/* Usable size of a large request; 0 if there is no such class. */
static inline size_t sizeclass_usize_large(size_t size)
{
    if (JE_UNLIKELY(size > SC_MAX)) {
        return 0;
    }
    if (size <= SC_LARGE_MIN) {
        return SC_LARGE_MIN;
    }
    return JE_LIKELY(opt.disable_large_size_classes)
               ? bits_round_up(size, PAGE)
               : sizeclass_size(sizeclass_index(size));
}

/* Usable size of any request; 0 if it is beyond SC_MAX. */
static inline size_t sizeclass_usize(size_t size)
{
    if (size <= SC_SMALL_MAX) {
        return sizeclass_size(sizeclass_index(size));
    }
    return sizeclass_usize_large(size);
}

/*
 * Usable size of a request with an alignment (a power of two, or 0 for
 * none); 0 if there is none.
 */
size_t sizeclass_usize_aligned(size_t size, size_t alignment);

/*
 * Classes of free page runs: exact up to eight pages, then four a doubling.
 * `floor` is for what is there, `ceil` for what is wanted: every run in a
 * class of at least the ceil class is large enough.
 */
#define SC_RUN_COUNT (3 + 4 * (CONFIG_LG_VADDR - LG_PAGE - 1))

static inline unsigned sizeclass_run_floor(size_t bytes)
{
    size_t pages = bytes >> LG_PAGE;
    assert(pages != 0);
    if (pages < 4) {
        return (unsigned)pages - 1;
    }
    unsigned lg = bits_highest(pages);
    return 3 + 4 * (lg - 2) + ((unsigned)(pages >> (lg - 2)) & 3);
}

static inline unsigned sizeclass_run_ceil(size_t bytes)
{
    unsigned floor = sizeclass_run_floor(bytes);
    size_t pages = bytes >> LG_PAGE;
    if (pages < 8) {
        return floor;
    }
    unsigned lg = bits_highest(pages);
    return (pages & (((size_t)1 << (lg - 2)) - 1)) == 0 ? floor : floor + 1;
}

#endif
