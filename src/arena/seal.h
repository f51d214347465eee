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
    bool on;        /* blocks are sealed */
    bool has_zero;  /* free regions are zero */
    uint8_t canary; /* what slack is filled with */
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

/*
 * A free region begins to be a block of `size` bytes, at most
 * region_bytes - SEAL_BYTES. False if it had been written to.
 */
JE_MUST_USE bool seal_begin(
    void *region, size_t region_bytes, size_t size, uint64_t flags);

/* Where bytes past the block were written; NULL if nowhere. */
const void *seal_overrun(
    const void *region, size_t region_bytes, uint64_t what);

/* The block ends. */
void seal_end(void *region, size_t region_bytes);

/* The block gets another size where it is. */
void seal_resize(void *region, size_t region_bytes, uint64_t what, size_t size);

/* Whether a free region is as seal_end left it. */
bool seal_is_untouched(const void *region, size_t region_bytes);

#endif
