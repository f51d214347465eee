/*
 * What: see api_hooks.h.
 *
 * Invariants: as there.
 *
 * Locking: as there.
 */
#include "api_hooks.h"

#include <string.h>
#include <sys/mman.h>

#define PAGE_BYTES    ((size_t)4096)
#define RUBBISH       0xdb
#define RUBBISH_BYTES ((size_t)64 << 10)

typedef enum {
    ALLOC,
    DALLOC,
    DESTROY,
    COMMIT,
    DECOMMIT,
    LAZY,
    FORCED,
    SPLIT,
    MERGE,
} kind_t;

static const char *const names[] = {"alloc", "dalloc", "destroy", "commit",
    "decommit", "purge_lazy", "purge_forced", "split", "merge"};

_Thread_local const model_t *hooks_model;

/* ---- ranges ---- */

static void add_range(hooks_owner_t *owner, uintptr_t start, uintptr_t end)
{
    for (unsigned i = 0; i < owner->range_count; i++) {
        hooks_range_t *r = &owner->ranges[i];
        if (r->start == end || r->end == start) {
            start = r->start < start ? r->start : start;
            end = r->end > end ? r->end : end;
            *r = owner->ranges[--owner->range_count];
            i = (unsigned)-1; /* it may now touch another */
        }
    }
    owner->ranges[owner->range_count++] = (hooks_range_t){start, end};
}

static hooks_range_t *find_range(
    hooks_owner_t *owner, const void *at, size_t size)
{
    uintptr_t start = (uintptr_t)at;
    for (unsigned i = 0; i < owner->range_count; i++) {
        hooks_range_t *r = &owner->ranges[i];
        if (r->start <= start && start + size <= r->end) {
            return r;
        }
    }
    return NULL;
}

/* Room for the two that a range in the middle leaves is kept by hook_alloc. */
static void remove_range(hooks_owner_t *owner, const void *at, size_t size)
{
    hooks_range_t *r = find_range(owner, at, size);
    if (r == NULL) {
        return; /* has been complained of */
    }
    hooks_range_t whole = *r;
    uintptr_t start = (uintptr_t)at;
    *r = owner->ranges[--owner->range_count];
    if (whole.start < start) {
        add_range(owner, whole.start, start);
    }
    if (start + size < whole.end) {
        add_range(owner, start + size, whole.end);
    }
}

/* ---- what every hook does first ---- */

static bool is_pages(const void *at, size_t size)
{
    return (((uintptr_t)at | size) & (PAGE_BYTES - 1)) == 0 && size != 0;
}

/* What a hook that allocates gets is its own affair. */
static void allocate_inside(void)
{
    char *p = je_malloc(100);
    if (p != NULL) {
        memset(p, 1, 100);
        p = je_realloc(p, 5000);
    }
    je_free(p);
}

/* The owner; *refused says that the call is to fail. */
static hooks_owner_t *enter(
    extent_hooks_t *table, kind_t kind, unsigned arena, bool *refused)
{
    hooks_owner_t *owner = (hooks_owner_t *)(void *)table;
    if (owner->allocate) {
        allocate_inside();
    }
    pthread_mutex_lock(&owner->lock);
    unsigned call = owner->calls[kind]++ % 16;
    if (owner->arena_known && arena != owner->arena) {
        model_complain("hook %s of arena %u is told of arena %u", names[kind],
            owner->arena, arena);
    }
    *refused = (owner->refusals[kind] >> call & 1) != 0;
    return owner;
}

static bool leave(hooks_owner_t *owner, bool refused)
{
    pthread_mutex_unlock(&owner->lock);
    return refused;
}

static void check_owned(
    hooks_owner_t *owner, kind_t kind, const void *at, size_t size)
{
    if (!is_pages(at, size) || find_range(owner, at, size) == NULL) {
        model_complain("hook %s of arena %u: %p of %zu bytes is not its memory",
            names[kind], owner->arena, at, size);
    }
}

/* The range is about to lose what it holds. */
static void check_unused(
    hooks_owner_t *owner, kind_t kind, const void *at, size_t size)
{
    check_owned(owner, kind, at, size);
    const model_block_t *b = hooks_model == owner->model
                                 ? model_overlap(hooks_model, at, size)
                                 : NULL;
    if (b != NULL) {
        model_complain("hook %s of arena %u: %p of %zu bytes holds the live "
                       "block %p (size %zu)",
            names[kind], owner->arena, at, size, (void *)b->p, b->size);
    }
    bool is_purge = kind == DECOMMIT || kind == LAZY || kind == FORCED;
    if (owner->pinned && is_purge && !owner->ending) {
        model_complain("hook %s of arena %u: %p of %zu bytes is pinned",
            names[kind], owner->arena, at, size);
    }
}

/* ---- the hooks ---- */

static char *map_aligned(size_t size, size_t alignment)
{
    char *all = mmap(NULL, size + alignment, PROT_READ | PROT_WRITE,
        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (all == MAP_FAILED) {
        return NULL;
    }
    size_t front = -(uintptr_t)all & (alignment - 1);
    char *start = all + front;
    if (front != 0 && munmap(all, front) != 0) {
        (void)munmap(all, size + alignment);
        return NULL;
    }
    if (munmap(start + size, alignment - front) != 0) {
        (void)munmap(start, size + alignment - front);
        return NULL;
    }
    return start;
}

static void *hook_alloc(extent_hooks_t *table, void *at, size_t size,
    size_t alignment, bool *zero, bool *commit, unsigned arena)
{
    bool refused;
    hooks_owner_t *owner = enter(table, ALLOC, arena, &refused);
    if (!is_pages(at, size) || (alignment & (alignment - 1)) != 0 ||
        alignment < PAGE_BYTES) {
        model_complain(
            "hook alloc: %zu bytes at a multiple of %zu", size, alignment);
    }
    bool full = owner->range_count > HOOKS_RANGES / 2;
    char *p =
        refused || at != NULL || full ? NULL : map_aligned(size, alignment);
    if (p != NULL) {
        add_range(owner, (uintptr_t)p, (uintptr_t)p + size);
    }
    if (leave(owner, p == NULL)) {
        return NULL;
    }
    if (owner->dirty && !*zero) {
        memset(p, RUBBISH, size < RUBBISH_BYTES ? size : RUBBISH_BYTES);
    } else {
        *zero = true;
    }
    *commit = true;
    return p + (owner->pinned ? EXTENT_ALLOC_FLAG_PINNED : 0);
}

static bool hook_dalloc(extent_hooks_t *table, void *at, size_t size,
    bool committed, unsigned arena)
{
    bool refused;
    hooks_owner_t *owner = enter(table, DALLOC, arena, &refused);
    (void)committed;
    check_unused(owner, DALLOC, at, size);
    if (refused || munmap(at, size) != 0) {
        return leave(owner, true);
    }
    remove_range(owner, at, size);
    return leave(owner, false);
}

static void hook_destroy(extent_hooks_t *table, void *at, size_t size,
    bool committed, unsigned arena)
{
    bool refused;
    hooks_owner_t *owner = enter(table, DESTROY, arena, &refused);
    (void)committed;
    check_unused(owner, DESTROY, at, size);
    remove_range(owner, at, size);
    (void)munmap(at, size);
    (void)leave(owner, false);
}

static bool hook_commit(extent_hooks_t *table, void *at, size_t size,
    size_t offset, size_t length, unsigned arena)
{
    bool refused;
    hooks_owner_t *owner = enter(table, COMMIT, arena, &refused);
    check_owned(owner, COMMIT, at, size);
    check_owned(owner, COMMIT, (char *)at + offset, length);
    return leave(owner, refused || mprotect((char *)at + offset, length,
                                       PROT_READ | PROT_WRITE) != 0);
}

static bool hook_decommit(extent_hooks_t *table, void *at, size_t size,
    size_t offset, size_t length, unsigned arena)
{
    bool refused;
    char *start = (char *)at + offset;
    hooks_owner_t *owner = enter(table, DECOMMIT, arena, &refused);
    check_owned(owner, DECOMMIT, at, size);
    check_unused(owner, DECOMMIT, start, length);
    return leave(owner,
        refused || mmap(start, length, PROT_NONE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE,
                       -1, 0) == MAP_FAILED);
}

static bool hook_lazy(extent_hooks_t *table, void *at, size_t size,
    size_t offset, size_t length, unsigned arena)
{
    bool refused;
    char *start = (char *)at + offset;
    hooks_owner_t *owner = enter(table, LAZY, arena, &refused);
    check_owned(owner, LAZY, at, size);
    check_unused(owner, LAZY, start, length);
    if (!refused) {
        memset(start, RUBBISH, length < RUBBISH_BYTES ? length : RUBBISH_BYTES);
    }
    return leave(owner, refused);
}

static bool hook_forced(extent_hooks_t *table, void *at, size_t size,
    size_t offset, size_t length, unsigned arena)
{
    bool refused;
    char *start = (char *)at + offset;
    hooks_owner_t *owner = enter(table, FORCED, arena, &refused);
    check_owned(owner, FORCED, at, size);
    check_unused(owner, FORCED, start, length);
    return leave(owner, refused || madvise(start, length, MADV_DONTNEED) != 0);
}

static bool hook_split(extent_hooks_t *table, void *at, size_t size,
    size_t size_a, size_t size_b, bool committed, unsigned arena)
{
    bool refused;
    hooks_owner_t *owner = enter(table, SPLIT, arena, &refused);
    (void)committed;
    check_owned(owner, SPLIT, at, size);
    if (size_a + size_b != size || !is_pages(at, size_a) || size_b == 0) {
        model_complain(
            "hook split: %zu is not %zu and %zu", size, size_a, size_b);
    }
    return leave(owner, refused);
}

static bool hook_merge(extent_hooks_t *table, void *a, size_t size_a, void *b,
    size_t size_b, bool committed, unsigned arena)
{
    bool refused;
    hooks_owner_t *owner = enter(table, MERGE, arena, &refused);
    (void)committed;
    check_owned(owner, MERGE, a, size_a);
    check_owned(owner, MERGE, b, size_b);
    if ((char *)a + size_a != (char *)b) {
        model_complain("hook merge: %p of %zu bytes and %p", a, size_a, b);
    }
    return leave(owner, refused);
}

/* ---- owners ---- */

static const extent_hooks_t all_hooks = {hook_alloc, hook_dalloc, hook_destroy,
    hook_commit, hook_decommit, hook_lazy, hook_forced, hook_split, hook_merge};

/* Bits 1 to 8 of the shape take hooks away, but only if bit 0 is set. */
static extent_hooks_t shaped(uint16_t shape)
{
    extent_hooks_t t = all_hooks;
    unsigned away = (shape & 1) != 0 ? shape : 0;
    t.dalloc = (away & 1 << DALLOC) != 0 ? NULL : t.dalloc;
    t.commit = (away & 1 << COMMIT) != 0 ? NULL : t.commit;
    /* What cannot be committed again must not be decommitted. */
    t.decommit =
        (away & (1 << DECOMMIT | 1 << COMMIT)) != 0 ? NULL : t.decommit;
    t.purge_lazy = (away & 1 << LAZY) != 0 ? NULL : t.purge_lazy;
    t.purge_forced = (away & 1 << FORCED) != 0 ? NULL : t.purge_forced;
    t.split = (away & 1 << SPLIT) != 0 ? NULL : t.split;
    t.merge = (away & 1 << MERGE) != 0 ? NULL : t.merge;
    return t;
}

void hooks_open(hooks_owner_t *owner, const model_t *model, uint16_t shape)
{
    memset(owner, 0, sizeof(*owner));
    pthread_mutex_init(&owner->lock, NULL);
    owner->table = shaped(shape);
    owner->model = model;
    owner->pinned = (shape & 0xe00) == 0xe00;
    owner->dirty = (shape & 1 << 12) != 0;
    owner->allocate = (shape & 3 << 13) == 3 << 13;
}

void hooks_reshape(hooks_owner_t *owner, uint16_t shape)
{
    extent_hooks_t t = shaped(shape);
    /* It may have given up memory that only this hook brings back. */
    t.commit = owner->table.commit;
    owner->table = t;
}

bool hooks_gives_back(const hooks_owner_t *owner)
{
    return owner->table.dalloc != NULL && owner->refusals[DALLOC] == 0;
}

bool hooks_may_refuse(const hooks_owner_t *owner)
{
    static const unsigned char matter[] = {ALLOC, COMMIT, SPLIT};
    bool may = owner->table.split == NULL || owner->table.commit == NULL;
    for (unsigned i = 0; i < sizeof(matter); i++) {
        may = may || owner->refusals[matter[i]] != 0;
    }
    return may || owner->range_count > HOOKS_RANGES / 4;
}

void hooks_refuse_nothing(hooks_owner_t *owner)
{
    memset(owner->refusals, 0, sizeof(owner->refusals));
}

void hooks_close(hooks_owner_t *owner, bool all_gone)
{
    for (unsigned i = 0; i < owner->range_count; i++) {
        hooks_range_t *r = &owner->ranges[i];
        void *start = (void *)r->start; /* NOLINT */
        size_t size = r->end - r->start;
        if (all_gone) {
            model_complain("arena %u is destroyed, and keeps %p of %zu bytes",
                owner->arena, start, size);
        }
        (void)munmap(start, size);
    }
}
