/*
 * What: seals. While blocks are sealed (opt.canary and its like), the last
 * word of each region of a slab says what the region is, mixed with its
 * address and a secret: how many bytes of it are beyond the block's, or that
 * it is free. Who writes past a block, or before its neighbour, breaks one.
 *
 *   | the block, as long as asked for | canary bytes | seal |
 *
 * Invariants: (I1) every region of a slab in use has a seal, always: one word
 * is replaced at a time; (I2) with opt.zero_on_free a free region is zero up
 * to its seal; (I3) the secret is drawn before the first slab.
 *
 * Locking: none; a region belongs to whoever holds it. Seals of neighbours
 * are read as they stand.
 */
#ifndef JE_ARENA_SEAL_H
#define JE_ARENA_SEAL_H

#include <string.h>

#include "conf/sizeclass.h"
#include "util/atomic.h"

#define SEAL_BYTES sizeof(uint64_t)

/*
 * What a seal says: SEAL_FREE, or the bytes behind the block, itself counted
 * in, at most a region's; SEAL_APART beside it: not for thread caches.
 */
#define SEAL_FREE  ((uint64_t)1 << 24)
#define SEAL_APART ((uint64_t)1 << 25)

typedef struct {
    bool on;         /* blocks are sealed */
    bool has_zero;   /* free regions are zero */
    bool has_canary; /* slack is filled, and checked */
    uint8_t canary;  /* with this */
    uint64_t canaries;
    uint64_t last_bytes[8]; /* masks of that many bytes at a word's end */
    uint64_t secret;
    uint64_t factor; /* odd */
} seal_config_t;

/* Fixed at boot. */
extern seal_config_t seal_config;

static inline bool seal_is_on(void)
{
    return JE_UNLIKELY(seal_config.on);
}

/* What an address adds to the seal right before it. */
static inline uint64_t seal_mask(uintptr_t end)
{
    uint64_t mixed = (end ^ seal_config.secret) * seal_config.factor;
    return mixed ^ mixed >> 32;
}

static inline _Atomic uint64_t *seal_before(uintptr_t end)
{
    return (_Atomic uint64_t *)(end - SEAL_BYTES); /* NOLINT */
}

/* What the seal before an address says; anything, if it is broken. */
static inline uint64_t seal_read(uintptr_t end)
{
    return atomic_get_relaxed(seal_before(end)) ^ seal_mask(end);
}

static inline void seal_write(uintptr_t end, uint64_t what)
{
    atomic_put_relaxed(seal_before(end), what ^ seal_mask(end));
}

static inline uint64_t seal_slack(uint64_t what)
{
    return what & (SEAL_FREE - 1);
}

/* Whether it is the seal of a block that is in use. */
static inline bool seal_is_live(uint64_t what, size_t region_bytes)
{
    return (what & ~SEAL_APART) - SEAL_BYTES <= region_bytes - SEAL_BYTES;
}

void seal_boot(void);

/* Regions of a fresh slab become free ones; `is_zero` if they read as zero. */
void seal_regions(void *slab, const sizeclass_slab_t *shape, bool is_zero);

/* ---- bytes of a region, a multiple of 8 of them ---- */

typedef uint64_t seal_pair_t
    __attribute__((vector_size(16), may_alias, aligned(8)));
typedef uint64_t seal_word_t __attribute__((may_alias));

/* What is longer is left to memset. */
#define SEAL_SHORT_BYTES 256

static inline void seal_clear(void *start, size_t bytes)
{
    if (bytes > SEAL_SHORT_BYTES) {
        memset(start, 0, bytes);
        return;
    }
    seal_pair_t *pair = start;
    seal_pair_t *end = pair + bytes / 16;
    for (; pair != end; pair++) {
        *pair = (seal_pair_t){0, 0};
        __asm__ volatile("" : "+r"(pair)); /* no call for so little */
    }
    if (bytes % 16 != 0) {
        *(seal_word_t *)(void *)pair = 0;
    }
}

static inline bool seal_is_clear(const void *start, size_t bytes)
{
    const seal_pair_t *pair = start;
    const seal_pair_t *end = pair + bytes / 16;
    seal_pair_t any = {0, 0};
    for (; pair != end; pair++) {
        any |= *pair;
    }
    uint64_t last =
        bytes % 16 != 0 ? *(const seal_word_t *)(const void *)pair : 0;
    return (any[0] | any[1] | last) == 0;
}

static inline uint64_t seal_load(uintptr_t addr)
{
    uint64_t word;
    memcpy(&word, (const void *)addr, sizeof(word)); /* NOLINT */
    return word;
}

/* Fills what lies between a block and its seal; `slack` counts that in. */
static inline void seal_fill_slack(uintptr_t end, size_t slack)
{
    uintptr_t stop = end - SEAL_BYTES;
    uintptr_t at = end - slack;
    if (!seal_config.has_canary) {
        return;
    }
    uint64_t canaries = seal_config.canaries;
    for (; stop - at >= 8; at += 8) {
        memcpy((void *)at, &canaries, sizeof(canaries)); /* NOLINT */
        __asm__ volatile("" : "+r"(at));
    }
    if (at != stop) {
        uint64_t mask = seal_config.last_bytes[stop - at];
        uint64_t word = (seal_load(stop - 8) & ~mask) | (canaries & mask);
        memcpy((void *)(stop - 8), &word, sizeof(word)); /* NOLINT */
    }
}

/* Whether it still is as it was filled. */
static inline bool seal_has_slack(uintptr_t end, size_t slack)
{
    uintptr_t stop = end - SEAL_BYTES;
    uintptr_t at = end - slack;
    uint64_t other = 0;
    if (!seal_config.has_canary) {
        return true;
    }
    for (; stop - at >= 8; at += 8) {
        other |= seal_load(at) ^ seal_config.canaries;
        __asm__ volatile("" : "+r"(at)); /* short: no vectors */
    }
    if (at != stop) {
        other |= (seal_load(stop - 8) ^ seal_config.canaries) &
                 seal_config.last_bytes[stop - at];
    }
    return other == 0;
}

/* ---- the life of a region ---- */

/* Whether a free region is as seal_end left it. */
static inline bool seal_is_untouched(const void *region, size_t region_bytes)
{
    return seal_read((uintptr_t)region + region_bytes) == SEAL_FREE &&
           (!seal_config.has_zero ||
               seal_is_clear(region, region_bytes - SEAL_BYTES));
}

/*
 * A free region begins to be a block of `size` bytes, at most
 * region_bytes - SEAL_BYTES. False if it had been written to.
 */
JE_MUST_USE static inline bool seal_begin(
    void *region, size_t region_bytes, size_t size, uint64_t flags)
{
    uintptr_t end = (uintptr_t)region + region_bytes;
    if (JE_UNLIKELY(!seal_is_untouched(region, region_bytes))) {
        return false;
    }
    seal_write(end, (region_bytes - size) | flags);
    seal_fill_slack(end, region_bytes - size);
    return true;
}

/* The block ends. */
static inline void seal_end(void *region, size_t region_bytes)
{
    seal_write((uintptr_t)region + region_bytes, SEAL_FREE);
    if (seal_config.has_zero) {
        seal_clear(region, region_bytes - SEAL_BYTES);
    }
}

/* Where bytes past the block were written first; NULL if nowhere. */
const void *seal_overrun(
    const void *region, size_t region_bytes, uint64_t what);

/* The block gets another size where it is. */
void seal_resize(void *region, size_t region_bytes, uint64_t what, size_t size);

#endif
