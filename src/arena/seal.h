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
    uint64_t checked[9]; /* masks of a word's first bytes; 0: no canaries */
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
    return (end ^ seal_config.secret) * seal_config.factor;
}

/* Both, without a branch between them: either is as good as always true. */
static inline bool seal_both(bool a, bool b)
{
    return ((unsigned)a & (unsigned)b) != 0;
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

/* ---- the bytes of a region before its seal: 8, 24, 40, ... ---- */

typedef uint64_t seal_pair_t
    __attribute__((vector_size(16), may_alias, aligned(8)));
typedef uint64_t seal_word_t __attribute__((may_alias));

/* What is longer is left to memset. */
#define SEAL_SHORT_BYTES 512

/* One step: a cache line. */
#define SEAL_STEP 64

static inline seal_pair_t *seal_pair_at(const void *start, size_t offset)
{
    return (seal_pair_t *)(void *)((uintptr_t)start + offset); /* NOLINT */
}

/* Clears 64 bytes and gathers 64 others; four places, as they may overlap. */
static inline seal_pair_t seal_sweep4(void *to, const void *from,
    seal_pair_t any, size_t a, size_t b, size_t c, size_t d)
{
    *seal_pair_at(to, a) = (seal_pair_t){0, 0};
    *seal_pair_at(to, b) = (seal_pair_t){0, 0};
    *seal_pair_at(to, c) = (seal_pair_t){0, 0};
    *seal_pair_at(to, d) = (seal_pair_t){0, 0};
    return any | *seal_pair_at(from, a) | *seal_pair_at(from, b) |
           *seal_pair_at(from, c) | *seal_pair_at(from, d);
}

/*
 * Clears bytes at `to`, and says whether as many at `from` are clear. The
 * last step ends with the bytes, whatever part of it was done before.
 */
static inline bool seal_sweep(void *to, const void *from, size_t bytes)
{
    seal_pair_t any = {0, 0};
    if (bytes < 16) {
        *(seal_word_t *)to = 0;
        return *(const seal_word_t *)from == 0;
    }
    size_t last = bytes - 16;
    if (bytes < SEAL_STEP) {
        size_t second = bytes < 32 ? 0 : 16;
        any = seal_sweep4(to, from, any, 0, second, last - second, last);
    } else {
        for (size_t at = 0; at < bytes - SEAL_STEP; at += SEAL_STEP) {
            any = seal_sweep4(to, from, any, at, at + 16, at + 32, at + 48);
            __asm__ volatile("" ::: "memory"); /* no calls for so little */
        }
        any = seal_sweep4(to, from, any, last - 48, last - 32, last - 16, last);
    }
    return (any[0] | any[1]) == 0;
}

bool seal_is_clear(const void *start, size_t bytes);

static inline uint64_t seal_load(uintptr_t addr)
{
    uint64_t word;
    memcpy(&word, (const void *)addr, sizeof(word)); /* NOLINT */
    return word;
}

static inline void seal_store(uintptr_t addr, uint64_t word)
{
    memcpy((void *)addr, &word, sizeof(word)); /* NOLINT */
}

/*
 * What lies between a block and its seal begins and ends with a word of
 * canaries, which may be the same, and be overlapped by the seal: two words
 * are looked at however many bytes there are, without a loop whose end the
 * processor cannot foresee. `slack` counts the seal in.
 */
static inline uintptr_t seal_last_canary(uintptr_t end, size_t slack)
{
    return end - (slack < 2 * SEAL_BYTES ? slack : 2 * SEAL_BYTES);
}

/*
 * More is behind blocks in regions of 640 bytes and more, and behind aligned
 * ones; all of it is looked at.
 */
#define SEAL_SLACK_SHORT 72

void seal_fill_long_slack(uintptr_t end, size_t slack);
bool seal_has_long_slack(uintptr_t end, size_t slack);

/* Before the seal is written. */
static inline void seal_fill_slack(uintptr_t end, size_t slack)
{
    if (JE_UNLIKELY(slack > SEAL_SLACK_SHORT)) {
        seal_fill_long_slack(end, slack);
    } else if (seal_config.has_canary) {
        seal_store(end - slack, seal_config.canaries);
        seal_store(seal_last_canary(end, slack), seal_config.canaries);
    }
}

/* Whether it still is as it was filled. */
static inline bool seal_has_slack(uintptr_t end, size_t slack)
{
    if (JE_UNLIKELY(slack > SEAL_SLACK_SHORT)) {
        return seal_has_long_slack(end, slack);
    }
    size_t bytes = slack - SEAL_BYTES;
    uint64_t first = seal_load(end - slack);
    uint64_t last = seal_load(seal_last_canary(end, slack));
    uint64_t other =
        (first ^ seal_config.canaries) | (last ^ seal_config.canaries);
    return (other & seal_config.checked[bytes < 8 ? bytes : 8]) == 0;
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
 * region_bytes - SEAL_BYTES. False if its seal is broken, or anything else if
 * all of it is to be looked at.
 */
JE_MUST_USE static inline bool seal_begin(
    void *region, size_t region_bytes, size_t size, uint64_t flags, bool all)
{
    uintptr_t end = (uintptr_t)region + region_bytes;
    if (JE_UNLIKELY(seal_read(end) != SEAL_FREE) ||
        (all && JE_UNLIKELY(!seal_is_untouched(region, region_bytes)))) {
        return false;
    }
    seal_fill_slack(end, region_bytes - size);
    seal_write(end, (region_bytes - size) | flags);
    return true;
}

/* The block ends. */
static inline void seal_end(void *region, size_t region_bytes)
{
    if (seal_config.has_zero) {
        memset(region, 0, region_bytes - SEAL_BYTES);
    }
    seal_write((uintptr_t)region + region_bytes, SEAL_FREE);
}

/*
 * A block ends, and a free region of that size is looked at, in one go. False
 * if the latter was touched.
 */
JE_MUST_USE static inline bool seal_end_and_look(
    void *region, const void *other, size_t region_bytes)
{
    if (!seal_config.has_zero || region_bytes > SEAL_SHORT_BYTES) {
        seal_end(region, region_bytes);
        return seal_is_untouched(other, region_bytes);
    }
    bool clear = seal_sweep(region, other, region_bytes - SEAL_BYTES);
    seal_write((uintptr_t)region + region_bytes, SEAL_FREE);
    return seal_both(
        clear, seal_read((uintptr_t)other + region_bytes) == SEAL_FREE);
}

/* Says that a free region was written to. */
JE_COLD void seal_report_touched(const void *region, size_t region_bytes);

/* Where bytes past the block were written first; NULL if nowhere. */
const void *seal_overrun(
    const void *region, size_t region_bytes, uint64_t what);

/* The block gets another size where it is. */
void seal_resize(void *region, size_t region_bytes, uint64_t what, size_t size);

#endif
