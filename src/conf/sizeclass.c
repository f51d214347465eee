/*
 * What: builds the tables of sizeclass.h and does its rarer sums.
 *
 * Invariants: as in sizeclass.h.
 *
 * Locking: boot runs alone.
 */
#include "conf/sizeclass.h"

#include "conf/conf.h"

/* Most pages that make a slab without slack: lcm of page and class. */
#define SLAB_DEFAULT_PAGES_MAX 7

uint8_t sizeclass_table[SC_LOOKUP_COUNT];
uint8_t sizeclass_coarse_table[SC_COARSE_COUNT];
uint32_t sizeclass_bytes[TCACHE_BIN_COUNT];
uint32_t sizeclass_usable[TCACHE_BIN_COUNT];
sizeclass_slab_t sizeclass_slabs[SC_SMALL_COUNT];

/* The fewest pages that a class divides without rest. */
static size_t slab_pages_default(size_t region)
{
    size_t pages = 1;
    while (pages < SLAB_DEFAULT_PAGES_MAX && PAGES(pages) % region != 0) {
        pages++;
    }
    return pages;
}

size_t sizeclass_listed(
    const conf_ranges_t *list, unsigned index, size_t fallback)
{
    size_t previous = index == 0 ? 0 : sizeclass_size(index - 1) + 1;
    for (unsigned i = list->n; i-- > 0;) {
        if (list->seg[i].start <= sizeclass_size(index) &&
            list->seg[i].end >= previous) {
            return list->seg[i].count;
        }
    }
    return fallback;
}

static size_t clamp(size_t x, size_t low, size_t high)
{
    return x < low ? low : x > high ? high : x;
}

static void boot_slab(unsigned index)
{
    size_t region = sizeclass_size(index);
    size_t pages = sizeclass_listed(&opt.slab_sizes, index, 0);
    if (pages == 0) {
        pages = slab_pages_default(region);
    } else {
        size_t low = (region + PAGE_MASK) >> LG_PAGE;
        size_t high = SLAB_REGIONS_MAX * region / PAGE;
        pages = clamp(pages, low, high < low ? low : high);
    }
    size_t regions = clamp(PAGES(pages) / region, 1, SLAB_REGIONS_MAX);
    sizeclass_slabs[index] = (sizeclass_slab_t){
        .region_bytes = (uint32_t)region,
        .slab_bytes = (uint32_t)PAGES(pages),
        .regions = (uint32_t)regions,
        .used_bytes = (uint32_t)(regions * region),
        .shards = (uint32_t)clamp(
            sizeclass_listed(&opt.bin_shards, index, 1), 1, BIN_SHARDS_MAX),
        .reciprocal = (uint32_t)(((1ULL << 32) + region - 1) / region),
    };
}

bool sizeclass_has_exact_sizes(void)
{
    return opt.canary || opt.zero_on_free || opt.quarantine_small != 0;
}

void sizeclass_boot(void)
{
    for (unsigned i = 0; i < SC_SMALL_COUNT; i++) {
        boot_slab(i);
    }
    for (unsigned c = 1; c < TCACHE_BIN_COUNT; c++) {
        sizeclass_bytes[c] = (uint32_t)sizeclass_size(c - 1);
        sizeclass_usable[c] =
            sizeclass_has_exact_sizes() ? 0 : sizeclass_bytes[c];
    }
    for (size_t i = SC_LOOKUP_MAX / SC_COARSE_STEP; i < SC_COARSE_COUNT; i++) {
        sizeclass_coarse_table[i] =
            (uint8_t)(sizeclass_index(i * SC_COARSE_STEP) + 1);
    }
    size_t entry = 0;
    for (unsigned i = 0; entry < SC_LOOKUP_COUNT; i++) {
        size_t last = sizeclass_size(i) >> 3;
        while (entry <= last && entry < SC_LOOKUP_COUNT) {
            sizeclass_table[entry++] = (uint8_t)(i + 1);
        }
    }
}

size_t sizeclass_usize_aligned(size_t size, size_t alignment)
{
    if (alignment <= 1) {
        return sizeclass_usize(size);
    }
    if (size <= SC_SMALL_MAX && alignment <= PAGE) {
        size_t multiple =
            bits_round_up(size == 0 ? alignment : size, alignment);
        size_t usize = multiple > SC_SMALL_MAX
                           ? SC_LARGE_MIN
                           : sizeclass_size(sizeclass_index(multiple));
        if (usize < SC_LARGE_MIN) {
            return usize;
        }
    }
    if (alignment > SC_MAX) {
        return 0;
    }
    size_t usize = sizeclass_usize_large(size);
    size_t lead = bits_round_up(alignment, PAGE) - PAGE;
    if (usize == 0 || usize + PAGE + lead < usize) {
        return 0;
    }
    return usize;
}
