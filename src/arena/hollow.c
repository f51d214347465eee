/*
 * What: see hollow.h.
 *
 * Invariants: as there.
 *
 * Locking: as there.
 */
#include "arena/hollow.h"

#include "os/os.h"
#include "util/bits.h"

#define WORDS (HOLLOW_MAX / 64)

_Atomic uintptr_t hollow_start;

static struct {
    _Atomic uint64_t taken[WORDS];
    _Atomic unsigned next; /* where to look first: not where one went last */
} hollow;

/* Two threads may both reserve; one of them gives back. */
static bool ensure_start(void)
{
    if (atomic_get_relaxed(&hollow_start) != 0) {
        return true;
    }
    void *range = os_reserve(HOLLOW_BYTES, os_page_size());
    if (range == NULL) {
        return false;
    }
    uintptr_t none = 0;
    if (!atomic_compare_exchange_strong(
            &hollow_start, &none, (uintptr_t)range)) {
        (void)os_unmap(range, HOLLOW_BYTES);
    }
    return true;
}

/* A clear bit of the word becomes set; 64 if it has none. */
static unsigned take_bit(_Atomic uint64_t *word)
{
    uint64_t old = atomic_get_relaxed(word);
    while (old != UINT64_MAX) {
        unsigned bit = bits_lowest(~old);
        if (atomic_compare_exchange_weak(word, &old, old | 1ULL << bit)) {
            return bit;
        }
    }
    return 64;
}

void *hollow_take(void)
{
    if (!ensure_start()) {
        return NULL;
    }
    unsigned first = atomic_add_relaxed(&hollow.next, 1);
    for (unsigned i = 0; i < WORDS; i++) {
        size_t word = (first + i) % WORDS;
        unsigned bit = take_bit(&hollow.taken[word]);
        if (bit != 64) {
            uintptr_t index = word * 64 + bit;
            uintptr_t addr =
                atomic_get_relaxed(&hollow_start) + index * QUANTUM;
            return (void *)addr; /* NOLINT(performance-no-int-to-ptr) */
        }
    }
    return NULL;
}

/* The word and the bit of an address; 0 if it is not one of ours. */
static uint64_t bit_of(const void *ptr, _Atomic uint64_t **word)
{
    uintptr_t offset = (uintptr_t)ptr - atomic_get_relaxed(&hollow_start);
    if (offset % QUANTUM != 0) {
        return 0;
    }
    *word = &hollow.taken[offset / QUANTUM / 64];
    return 1ULL << (offset / QUANTUM % 64);
}

bool hollow_give(const void *ptr)
{
    _Atomic uint64_t *word;
    uint64_t bit = bit_of(ptr, &word);
    return bit != 0 && (atomic_fetch_and(word, ~bit) & bit) != 0;
}

bool hollow_is_live(const void *ptr)
{
    _Atomic uint64_t *word;
    uint64_t bit = bit_of(ptr, &word);
    return bit != 0 && (atomic_get_relaxed(word) & bit) != 0;
}
