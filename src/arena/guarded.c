/*
 * What: see guarded.h.
 *
 * Invariants: as there.
 *
 * Locking: as there.
 */
#include "arena/guarded.h"

#include <string.h>

#include "os/mutex.h"
#include "os/os.h"
#include "os/peek.h"
#include "util/bits.h"

/* For so many frees, at one block of N each, a pointer finds nobody else. */
#define SLOTS 2048

/* Around a block, where its pages have room, so much is filled and checked. */
#define SLACK_BYTES 256
#define SLACK       0xd6

#define NO_SLOT UINT32_MAX

struct guarded_range guarded_range;

static struct {
    mutex_t lock;
    guarded_t *slots;
    uint32_t count;
    uint32_t fresh; /* the first that was never used */
    uint32_t first; /* freed for longest; NO_SLOT: none is */
    uint32_t last;
    size_t live_bytes;
    _Atomic bool on_hold;
    uint8_t slack[SLACK_BYTES]; /* what it looks like */
} pool;

static size_t room(void)
{
    return bits_round_up(GUARDED_SIZE_MAX, os_page_size());
}

static size_t unit(void)
{
    return room() + os_page_size();
}

void guarded_boot(unsigned slots)
{
    mutex_init(&pool.lock, LOCK_RANK_GUARDED);
    pool.count = slots == 0 || slots > SLOTS ? SLOTS : slots;
    pool.fresh = 0;
    pool.first = pool.last = NO_SLOT;
    pool.live_bytes = 0;
    memset(pool.slack, SLACK, sizeof(pool.slack));
    size_t bytes = os_page_size() + pool.count * unit();
    size_t records =
        bits_round_up(pool.count * sizeof(guarded_t), os_page_size());
    void *start = os_reserve(bytes, os_page_size());
    pool.slots = start == NULL ? NULL : os_map(records, os_page_size());
    if (pool.slots == NULL) {
        if (start != NULL) {
            (void)os_unmap(start, bytes);
        }
        return;
    }
    guarded_range = (struct guarded_range){(uintptr_t)start, bytes};
}

/* ---- slots ---- */

static uint32_t index_of(const guarded_t *block)
{
    return (uint32_t)(block - pool.slots);
}

static uintptr_t slot_start(uint32_t slot)
{
    return guarded_range.start + os_page_size() + slot * unit();
}

static uint32_t pop_slot(size_t bytes)
{
    uint32_t slot = NO_SLOT;
    mutex_lock(&pool.lock);
    if (bytes <= GUARDED_LIVE_BYTES - pool.live_bytes &&
        !atomic_get_relaxed(&pool.on_hold)) {
        if (pool.fresh < pool.count) {
            slot = pool.fresh++;
        } else if (pool.first != NO_SLOT) {
            slot = pool.first;
            pool.first = pool.slots[slot].next;
        }
        pool.live_bytes += slot == NO_SLOT ? 0 : bytes;
    }
    mutex_unlock(&pool.lock);
    return slot;
}

static void push_slot(uint32_t slot, size_t bytes)
{
    pool.slots[slot].next = NO_SLOT;
    mutex_lock(&pool.lock);
    if (pool.first == NO_SLOT) {
        pool.first = slot;
    } else {
        pool.slots[pool.last].next = slot;
    }
    pool.last = slot;
    pool.live_bytes -= bytes;
    mutex_unlock(&pool.lock);
}

/* ---- rights and markers ---- */

static void *pages_of(const guarded_t *block)
{
    return (void *)block->pages; /* NOLINT(performance-no-int-to-ptr) */
}

/*
 * All of a slot, and the guard before it. False if that is to be tried again:
 * what has markers once can never do without them.
 */
static bool prepare(guarded_t *block)
{
    char *guard = (char *)slot_start(index_of(block)) - os_page_size();
    if (!block->is_marked && !os_mark_closed(guard, unit())) {
        (void)os_mark_open(guard, unit()); /* those that it did make */
        return true;
    }
    block->is_marked = true;
    return os_permit(guard, unit());
}

static bool open_pages(const guarded_t *block)
{
    return block->bytes == 0 ||
           (block->is_marked ? os_mark_open(pages_of(block), block->bytes)
                             : os_permit(pages_of(block), block->bytes));
}

/* Without memory for the tables that it takes they may stay open. */
static void close_pages(guarded_t *block)
{
    if (block->bytes == 0 ||
        (block->is_marked && os_mark_closed(pages_of(block), block->bytes))) {
        return;
    }
    /* Locked into memory, say: no markers then, in all of the slot. */
    void *start = (void *)slot_start(index_of(block)); /* NOLINT */
    if (block->is_marked && os_decommit(start, room())) {
        block->is_marked = false;
    } else if (!block->is_marked) {
        (void)os_decommit(pages_of(block), block->bytes);
    }
}

/* ---- blocks ---- */

static bool is_at_end(const guarded_t *block)
{
    return index_of(block) % 2 == 0;
}

/* What lies before the block and behind it, as far as it is looked at. */
static uint8_t *front_slack(const guarded_t *block, size_t *bytes)
{
    size_t all = block->ptr - block->pages;
    *bytes = block->bytes == 0 ? 0 : all < SLACK_BYTES ? all : SLACK_BYTES;
    return (uint8_t *)block->ptr - *bytes; /* NOLINT */
}

static uint8_t *back_slack(const guarded_t *block, size_t *bytes)
{
    size_t all = block->pages + block->bytes - block->ptr - block->size;
    *bytes = block->bytes == 0 ? 0 : all < SLACK_BYTES ? all : SLACK_BYTES;
    return (uint8_t *)block->ptr + block->size; /* NOLINT */
}

/*
 * Where the block lies: of all its pages none can be touched if it has no
 * bytes. Alignments are parts of a page.
 */
static void place(guarded_t *block, size_t size, size_t alignment)
{
    uintptr_t start = slot_start(index_of(block));
    size_t least = size < QUANTUM ? sizeof(uint64_t) : QUANTUM;
    size_t from_end =
        bits_round_up(size, alignment > least ? alignment : least);
    block->bytes = bits_round_up(size, os_page_size());
    block->pages = is_at_end(block) ? start + room() - block->bytes : start;
    block->ptr =
        is_at_end(block) && size != 0 ? start + room() - from_end : start;
    block->size = size;
}

guarded_t *guarded_take(size_t size, size_t usize, size_t alignment)
{
    size_t bytes = bits_round_up(size, os_page_size());
    uint32_t slot = size > GUARDED_SIZE_MAX || alignment > os_page_size()
                        ? NO_SLOT
                        : pop_slot(bytes);
    if (slot == NO_SLOT) {
        return NULL;
    }
    guarded_t *block = &pool.slots[slot];
    uintptr_t former_ptr = block->ptr;
    size_t former_size = block->size;
    bool is_ready =
        atomic_get_relaxed(&block->state) != GUARDED_UNUSED || prepare(block);
    place(block, size, alignment);
    if (!is_ready || !open_pages(block)) {
        block->ptr = former_ptr;
        block->size = former_size;
        push_slot(slot, bytes);
        return NULL;
    }
    size_t slack;
    uint8_t *at = front_slack(block, &slack);
    memset(at, SLACK, slack);
    at = back_slack(block, &slack);
    memset(at, SLACK, slack);
    block->usize = usize;
    block->died.count = 0;
    atomic_put_release(&block->state, GUARDED_LIVE);
    return block;
}

bool guarded_claim(guarded_t *block, const void *ptr)
{
    uint32_t live = GUARDED_LIVE;
    return block->ptr == (uintptr_t)ptr &&
           atomic_compare_exchange_strong(&block->state, &live, GUARDED_ENDING);
}

static uintptr_t first_other(const uint8_t *at, size_t bytes)
{
    if (memcmp(at, pool.slack, bytes) == 0) {
        return 0;
    }
    while (*at == SLACK) {
        at++;
    }
    return (uintptr_t)at;
}

uintptr_t guarded_touched(const guarded_t *block)
{
    size_t bytes;
    const uint8_t *at = back_slack(block, &bytes);
    uintptr_t touched = first_other(at, bytes);
    at = front_slack(block, &bytes);
    return touched != 0 ? touched : first_other(at, bytes);
}

void guarded_give(guarded_t *block)
{
    close_pages(block);
    atomic_put_release(&block->state, GUARDED_FREED);
    push_slot(index_of(block), block->bytes);
}

/* ---- addresses ---- */

/* Bytes from a slot's block to an address; SIZE_MAX if it has none. */
static size_t distance(size_t slot, uintptr_t addr)
{
    const guarded_t *block = &pool.slots[slot];
    if (slot >= pool.count ||
        atomic_get_acquire(&block->state) == GUARDED_UNUSED) {
        return SIZE_MAX;
    }
    return addr < block->ptr                 ? block->ptr - addr
           : addr - block->ptr < block->size ? 0
                                             : addr - block->ptr - block->size;
}

guarded_t *guarded_at(uintptr_t addr)
{
    /* As if each slot had its guard in front of it. */
    size_t offset = addr - guarded_range.start;
    size_t slot = offset / unit();
    bool is_guard = offset % unit() < os_page_size();
    size_t here = distance(slot, addr);
    size_t before = is_guard && slot != 0 ? distance(slot - 1, addr) : SIZE_MAX;
    if (here == SIZE_MAX && before == SIZE_MAX) {
        return NULL;
    }
    return &pool.slots[before < here ? slot - 1 : slot];
}

void guarded_hold(bool on)
{
    atomic_put_relaxed(&pool.on_hold, on);
}

bool guarded_open(uintptr_t addr)
{
    uintptr_t page = bits_round_down(addr, os_page_size());
    void *start = (void *)page; /* NOLINT(performance-no-int-to-ptr) */
    bool done = os_permit(start, os_page_size());
    (void)os_mark_open(start, os_page_size()); /* if there is one */
    return done && os_is_readable(page);
}

void guarded_prefork(void)
{
    if (guarded_is_on()) {
        mutex_fork_drain(&pool.lock);
    }
}
