/*
 * What: see ledger.h.
 *
 * Invariants: as there.
 *
 * Locking: as there.
 */
#include "arena/ledger.h"

#include "extent/base.h"
#include "os/mutex.h"
#include "os/os.h"
#include "os/valgrind.h"
#include "util/atomic.h"
#include "util/bits.h"
#include "util/hash.h"

/* Bytes that stay detained: as many as memcheck remembers by default. */
#define DETAINED_BYTES ((size_t)20000000)

/* Chains of a new table: a page of them. */
#define FIRST_CHAINS 512

typedef struct entry {
    struct entry *next;
    uintptr_t inverted; /* the block's address; 0: detained, or unused */
    size_t size;
    void *region;
    size_t usize;
    unsigned arena;
} entry_t;

static struct {
    mutex_t lock;
    const ledger_public_t *public;
    entry_t **chains;
    size_t chain_count; /* a power of two, or 0 */
    _Atomic size_t block_count;
    entry_t *unused;
    entry_t *oldest; /* detained; linked to younger ones */
    entry_t *youngest;
    size_t detained_bytes;
} ledger;

void ledger_boot(void)
{
    mutex_init(&ledger.lock, LOCK_RANK_LEDGER);
}

void ledger_set_public(const ledger_public_t *public)
{
    ledger.public = public;
    valgrind_set_intercepted();
}

const ledger_public_t *ledger_public(void)
{
    return ledger.public;
}

/* ---- the table; its lock is held ---- */

static size_t chain_bytes(size_t count)
{
    return bits_round_up(count * sizeof(entry_t *), os_page_size());
}

static entry_t **chain_of(uintptr_t inverted)
{
    return &ledger.chains[hash_mix(inverted) & (ledger.chain_count - 1)];
}

/* The link to a block's entry, or to the end of its chain. */
static entry_t **find_locked(const void *ptr)
{
    uintptr_t inverted = ~(uintptr_t)ptr;
    entry_t **link = chain_of(inverted);
    while (*link != NULL && (*link)->inverted != inverted) {
        link = &(*link)->next;
    }
    return link;
}

static void push_unused_locked(entry_t *entry)
{
    *entry = (entry_t){.next = ledger.unused};
    ledger.unused = entry;
}

/* Twice the chains, or the first ones; false if there are none at all. */
static bool grow_locked(void)
{
    size_t old_count = ledger.chain_count;
    entry_t **old = ledger.chains;
    size_t count = old_count == 0 ? FIRST_CHAINS : 2 * old_count;
    entry_t **chains = os_map(chain_bytes(count), os_page_size());
    if (chains == NULL) {
        return old_count != 0;
    }
    ledger.chains = chains;
    ledger.chain_count = count;
    for (size_t i = 0; i < old_count; i++) {
        while (old[i] != NULL) {
            entry_t *entry = old[i];
            old[i] = entry->next;
            entry_t **chain = chain_of(entry->inverted);
            entry->next = *chain;
            *chain = entry;
        }
    }
    if (old != NULL) {
        (void)os_unmap(old, chain_bytes(old_count));
    }
    return true;
}

static ledger_block_t describe(const entry_t *entry)
{
    return (ledger_block_t){
        .ptr = (void *)~entry->inverted, /* NOLINT */
        .size = entry->size,
        .region = entry->region,
        .usize = entry->usize,
        .arena = entry->arena,
    };
}

/* ---- blocks ---- */

static entry_t *new_entry(void)
{
    mutex_lock(&ledger.lock);
    entry_t *entry = ledger.unused;
    if (entry != NULL) {
        ledger.unused = entry->next;
    }
    mutex_unlock(&ledger.lock);
    return entry != NULL
               ? entry
               : base_alloc(&base_shared, sizeof(*entry), sizeof(void *));
}

bool ledger_add(const ledger_block_t *block)
{
    entry_t *entry = new_entry();
    if (entry == NULL) {
        return false;
    }
    mutex_lock(&ledger.lock);
    bool done = atomic_get_relaxed(&ledger.block_count) < ledger.chain_count ||
                grow_locked();
    entry_t **link = done ? find_locked(block->ptr) : NULL;
    if (link == NULL || *link != NULL) {
        push_unused_locked(entry);
    } else {
        *link = entry;
        entry->next = NULL;
        atomic_bump(&ledger.block_count, 1);
    }
    if (link != NULL) {
        (*link)->inverted = ~(uintptr_t)block->ptr;
        (*link)->size = block->size;
        (*link)->region = block->region;
        (*link)->usize = block->usize;
        (*link)->arena = block->arena;
    }
    mutex_unlock(&ledger.lock);
    return done;
}

/* Nothing to look for, and no lock for Valgrind's other tools to judge. */
static bool is_empty(void)
{
    return atomic_get_relaxed(&ledger.block_count) == 0;
}

bool ledger_find(const void *ptr, ledger_block_t *block)
{
    if (is_empty()) {
        return false;
    }
    mutex_lock(&ledger.lock);
    const entry_t *entry = *find_locked(ptr);
    if (entry != NULL) {
        *block = describe(entry);
    }
    mutex_unlock(&ledger.lock);
    return entry != NULL;
}

bool ledger_remove(const void *ptr, ledger_block_t *block)
{
    if (is_empty()) {
        return false;
    }
    mutex_lock(&ledger.lock);
    entry_t **link = find_locked(ptr);
    bool found = *link != NULL;
    if (found) {
        entry_t *entry = *link;
        *block = describe(entry);
        *link = entry->next;
        atomic_bump(&ledger.block_count, (size_t)-1);
        push_unused_locked(entry);
    }
    mutex_unlock(&ledger.lock);
    return found;
}

void ledger_set_size(const void *ptr, size_t size)
{
    mutex_lock(&ledger.lock);
    entry_t *entry = *find_locked(ptr);
    if (entry != NULL) {
        entry->size = size;
    }
    mutex_unlock(&ledger.lock);
}

const void *ledger_region(const void *ptr)
{
    ledger_block_t block;
    if (JE_LIKELY(valgrind_mode == VALGRIND_OFF) || !ledger_find(ptr, &block) ||
        block.region == NULL) {
        return ptr;
    }
    return block.region;
}

/* ---- detention ---- */

void ledger_detain(const ledger_block_t *block)
{
    entry_t *entry = new_entry(); /* there is at least the block's own */
    if (entry == NULL) {
        return;
    }
    entry->inverted = 0;
    entry->next = NULL;
    entry->region = block->region;
    entry->usize = block->usize;
    entry->arena = block->arena;
    mutex_lock(&ledger.lock);
    if (ledger.youngest == NULL) {
        ledger.oldest = entry;
    } else {
        ledger.youngest->next = entry;
    }
    ledger.youngest = entry;
    ledger.detained_bytes += entry->usize;
    mutex_unlock(&ledger.lock);
}

void *ledger_release(void)
{
    void *region = NULL;
    mutex_lock(&ledger.lock);
    if (ledger.detained_bytes > DETAINED_BYTES) {
        entry_t *entry = ledger.oldest;
        region = entry->region;
        ledger.oldest = entry->next;
        ledger.detained_bytes -= entry->usize;
        if (ledger.oldest == NULL) {
            ledger.youngest = NULL;
        }
        push_unused_locked(entry);
    }
    mutex_unlock(&ledger.lock);
    return region;
}

/* ---- the end of an arena ---- */

static const char *mark_of(const void *ptr)
{
    return (const char *)ptr - VALGRIND_REDZONE;
}

void ledger_mark(void *ptr)
{
    valgrind_define(mark_of(ptr), 1);
}

/* What was detained goes with the arena's memory. */
static void forget_detained_locked(unsigned arena)
{
    entry_t *last = NULL;
    entry_t **link = &ledger.oldest;
    while (*link != NULL) {
        entry_t *entry = *link;
        if (entry->arena == arena) {
            *link = entry->next;
            ledger.detained_bytes -= entry->usize;
            push_unused_locked(entry);
        } else {
            last = entry;
            link = &entry->next;
        }
    }
    ledger.youngest = last;
}

/* The arena's blocks as a chain of their own. */
static entry_t *take_blocks_locked(unsigned arena)
{
    entry_t *taken = NULL;
    for (size_t i = 0; i < ledger.chain_count; i++) {
        entry_t **link = &ledger.chains[i];
        while (*link != NULL) {
            entry_t *entry = *link;
            if (entry->arena == arena) {
                *link = entry->next;
                atomic_bump(&ledger.block_count, (size_t)-1);
                entry->next = taken;
                taken = entry;
            } else {
                link = &entry->next;
            }
        }
    }
    return taken;
}

static void end_block(const ledger_block_t *block)
{
    if (block->region != NULL) {
        valgrind_end(block->ptr);
    } else if (valgrind_may_touch(mark_of(block->ptr))) {
        ledger.public->free(block->ptr);
    }
}

void ledger_end_arena(unsigned arena)
{
    if (JE_LIKELY(valgrind_mode == VALGRIND_OFF)) {
        return;
    }
    mutex_lock(&ledger.lock);
    forget_detained_locked(arena);
    entry_t *taken = take_blocks_locked(arena);
    mutex_unlock(&ledger.lock);
    while (taken != NULL) {
        entry_t *entry = taken;
        ledger_block_t block = describe(entry);
        end_block(&block);
        mutex_lock(&ledger.lock);
        taken = entry->next;
        push_unused_locked(entry);
        mutex_unlock(&ledger.lock);
    }
}

void ledger_prefork(void)
{
    mutex_fork_drain(&ledger.lock);
}
