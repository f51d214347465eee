/*
 * What: see slab.h.
 *
 * Invariants: as there.
 *
 * Locking: as there.
 */
#include "arena/slab.h"

#include "util/prng.h"

#define SLAB_WORDS (SLAB_REGIONS_MAX / 64)

void slab_init(extent_t *slab, unsigned class_byte, unsigned shard)
{
    const sizeclass_slab_t *shape = slab_shape(class_byte);
    bitmap_fill(slab->u.bitmap, SLAB_WORDS, shape->regions);
    extent_set_size(slab, extent_size(slab) + shape->regions);
    atomic_put_relaxed(
        &slab->word, extent_word(slab) | EXTENT_SLAB |
                         ((uint64_t)class_byte << EXTENT_CLASS_SHIFT) |
                         ((uint64_t)shard << EXTENT_SHARD_SHIFT));
}

/* Writes the addresses of `run` regions that follow one another. */
static void put_run(void **out, char *region, size_t region_bytes, unsigned run)
{
    for (; run >= 4; run -= 4, out += 4, region += 4 * region_bytes) {
        out[0] = region;
        out[1] = region + region_bytes;
        out[2] = region + 2 * region_bytes;
        out[3] = region + 3 * region_bytes;
    }
    for (; run != 0; run--, region += region_bytes) {
        *out++ = region;
    }
}

/*
 * Hands out up to `want` regions of one bitmap word; `base` is the address of
 * its first. Free regions mostly come in runs.
 */
static unsigned take_word(
    uint64_t *word, char *base, size_t region_bytes, void **out, unsigned want)
{
    uint64_t bits = *word;
    unsigned taken = 0;
    while (bits != 0 && taken < want) {
        unsigned first = bits_lowest(bits);
        uint64_t after = ~(bits >> first);
        unsigned run = after == 0 ? 64 : bits_lowest(after);
        if (run > want - taken) {
            run = want - taken;
        }
        put_run(out + taken, base + first * region_bytes, region_bytes, run);
        taken += run;
        bits &= ~((run == 64 ? ~0ULL : (1ULL << run) - 1) << first);
    }
    *word = bits;
    return taken;
}

unsigned slab_take(
    extent_t *slab, const sizeclass_slab_t *shape, void **out, unsigned want)
{
    size_t region_bytes = shape->region_bytes;
    unsigned free_count = slab_free_count(slab);
    unsigned taken = 0;
    if (want > free_count) {
        want = free_count;
    }
    for (unsigned i = 0; taken < want; i++) {
        char *first = (char *)extent_ptr(slab) + (size_t)64 * i * region_bytes;
        taken += take_word(
            &slab->u.bitmap[i], first, region_bytes, out + taken, want - taken);
    }
    atomic_bump(&slab->size_and_free, -(size_t)taken);
    return taken;
}

/* The first free region from some number on, around the end. */
static unsigned next_free(const extent_t *slab, unsigned from)
{
    unsigned word = from / 64;
    uint64_t bits = slab->u.bitmap[word] & ~0ULL << (from % 64);
    while (bits == 0) {
        word = (word + 1) % SLAB_WORDS;
        bits = slab->u.bitmap[word];
    }
    return word * 64 + bits_lowest(bits);
}

unsigned slab_take_any(extent_t *slab, const sizeclass_slab_t *shape,
    void **out, unsigned want, uint64_t *random)
{
    unsigned free_count = slab_free_count(slab);
    unsigned taken = want < free_count ? want : free_count;
    for (unsigned i = 0; i < taken; i++) {
        unsigned from = (unsigned)(prng_bits(random, 32) % shape->regions);
        unsigned region = next_free(slab, from);
        slab->u.bitmap[region / 64] &= ~(1ULL << (region % 64));
        out[i] =
            (char *)extent_ptr(slab) + (size_t)region * shape->region_bytes;
    }
    atomic_bump(&slab->size_and_free, -(size_t)taken);
    return taken;
}

void slab_check(const extent_t *slab)
{
    unsigned bits = 0;
    for (unsigned i = 0; i < SLAB_WORDS; i++) {
        bits += bits_count(slab->u.bitmap[i]);
    }
    unsigned regions =
        slab_shape(extent_word_class(extent_word(slab)))->regions;
    assert(bits == slab_free_count(slab) && bits <= regions);
}
