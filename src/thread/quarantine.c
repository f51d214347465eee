/*
 * What: see quarantine.h.
 *
 * Invariants: as there.
 *
 * Locking: as there.
 */
#include "thread/quarantine.h"

#include <string.h>

#include "arena/arena_table.h"
#include "arena/seal.h"
#include "cache/cache_slots.h"
#include "conf/conf.h"
#include "os/os.h"

/* Blocks of one class; more would not be found sooner. */
#define LG_RING_MAX 8

/* Large blocks up to that size keep their pages while nobody can see them. */
#define KEPT_BYTES_MAX ((size_t)1 << 20)

uint8_t quarantine_lg[SC_SMALL_COUNT + 1];

void quarantine_boot(void)
{
    for (unsigned c = 1; c <= SC_SMALL_COUNT; c++) {
        size_t blocks = opt.quarantine_small / sizeclass_bytes[c];
        unsigned lg = blocks < 2 ? 0 : bits_highest(blocks);
        quarantine_lg[c] = (uint8_t)(lg < LG_RING_MAX ? lg : LG_RING_MAX);
    }
}

static unsigned record_lg(void)
{
    return bits_lg_ceil((sizeof(quarantine_t) - 1) / sizeof(void *) + 1);
}

quarantine_t *quarantine_create(void)
{
    if (opt.quarantine_small == 0 && opt.quarantine_large == 0) {
        return NULL;
    }
    quarantine_t *q = cache_slots_alloc(record_lg());
    if (q != NULL) {
        memset(q, 0, sizeof(*q));
        q->random = os_random();
    }
    return q;
}

static unsigned slots_lg(unsigned class_byte)
{
    unsigned lg = quarantine_lg[class_byte];
    return lg < CACHE_SLOTS_LG_MIN ? CACHE_SLOTS_LG_MIN : lg;
}

bool quarantine_grow(quarantine_t *q, unsigned class_byte)
{
    unsigned lg = slots_lg(class_byte);
    void **slots = cache_slots_alloc(lg);
    if (slots != NULL) {
        memset(slots, 0, sizeof(void *) << lg);
    }
    q->rings[class_byte].slots = slots;
    q->rings[class_byte].mask = (1U << quarantine_lg[class_byte]) - 1;
    return slots != NULL;
}

/* Takes the block that was there longest out, readable again. */
static void release_large(quarantine_t *q)
{
    extent_t *e = q->large[q->next];
    q->large[q->next] = NULL;
    q->next = (q->next + 1) % QUARANTINE_LARGE_SLOTS;
    if (e == NULL) {
        return;
    }
    q->large_bytes -= extent_size(e);
    if (!os_permit(extent_ptr(e), extent_size(e))) {
        return; /* no memory for its tables: it stays out of use for good */
    }
    extent_set_flag(e, EXTENT_CACHED, false);
    arena_t *owner = arena_table_lookup(extent_arena(e));
    large_free(&owner->large, &owner->pages, e);
}

/* Whether the hooks would rather do without such surprises. */
static bool may_be_forbidden(const extent_t *e)
{
    page_store_t *ps = &arena_table_lookup(extent_arena(e))->pages;
    return page_runs_are_default(ps) &&
           ((extent_size(e) | e->addr) & (os_page_size() - 1)) == 0;
}

/*
 * Pages of small ones stay: getting them back costs more than clearing them,
 * which taking them from the system does otherwise.
 */
static bool shut(void *ptr, size_t bytes)
{
    if (bytes > KEPT_BYTES_MAX) {
        return os_decommit(ptr, bytes);
    }
    if (opt.zero_on_free) {
        memset(ptr, 0, bytes);
    }
    return os_forbid(ptr, bytes);
}

void quarantine_push_large(quarantine_t *q, extent_t *e)
{
    size_t bytes = extent_size(e);
    if (bytes > opt.quarantine_large || !may_be_forbidden(e) ||
        !shut(extent_ptr(e), bytes)) {
        arena_t *owner = arena_table_lookup(extent_arena(e));
        large_free(&owner->large, &owner->pages, e);
        return;
    }
    extent_set_flag(e, EXTENT_CACHED, true);
    while (q->large[q->next] != NULL ||
           q->large_bytes + bytes > opt.quarantine_large) {
        release_large(q);
    }
    q->large[q->next] = e;
    q->next = (q->next + 1) % QUARANTINE_LARGE_SLOTS;
    q->large_bytes += bytes;
}

static void flush_ring(quarantine_t *q, unsigned class_byte, tcache_t *tcache)
{
    const quarantine_ring_t *ring = &q->rings[class_byte];
    for (uint32_t i = 0; ring->slots != NULL && i <= ring->mask; i++) {
        void *p = ring->slots[i];
        ring->slots[i] = NULL;
        if (p != NULL && !seal_is_untouched(p, sizeclass_bytes[class_byte])) {
            seal_report_touched(p, sizeclass_bytes[class_byte]);
        } else if (p != NULL &&
                   !cache_bins_push(&tcache->bins, class_byte, p)) {
            tcache_overflow(tcache, class_byte, p);
        }
    }
}

void quarantine_flush(quarantine_t *q, tcache_t *tcache)
{
    for (unsigned c = 1; c <= SC_SMALL_COUNT; c++) {
        flush_ring(q, c, tcache);
    }
    for (unsigned i = 0; i < QUARANTINE_LARGE_SLOTS; i++) {
        release_large(q);
    }
}

void quarantine_destroy(quarantine_t *q, tcache_t *tcache)
{
    quarantine_flush(q, tcache);
    for (unsigned c = 1; c <= SC_SMALL_COUNT; c++) {
        if (q->rings[c].slots != NULL) {
            cache_slots_free(q->rings[c].slots, slots_lg(c));
        }
    }
    cache_slots_free(q, record_lg());
}
