/*
 * What: extent hooks of the application: hooks that count, refuse, and
 * allocate; arenas with hooks that are reset and destroyed.
 *
 * Invariants: the counting hooks account for each byte they handed out, so
 * that destroying an arena must bring the account back to zero.
 *
 * Locking: counters are atomic; the hooks may run on any thread.
 */
#include "harness.h"
#include <jemalloc/jemalloc.h>

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

typedef struct {
    extent_hooks_t hooks; /* first, so that a hook finds the rest */
    atomic_long calls[9];
    atomic_long bytes; /* mapped and not given back */
    atomic_bool refuse_alloc;
    atomic_bool misaligned;
    unsigned arena;
} owner_t;

enum { ALLOC, DALLOC, DESTROY, COMMIT, DECOMMIT, LAZY, FORCED, SPLIT, MERGE };

static owner_t *owner_of(extent_hooks_t *hooks, int call)
{
    owner_t *owner = (owner_t *)(void *)hooks;
    atomic_fetch_add(&owner->calls[call], 1);
    return owner;
}

static void *hook_alloc(extent_hooks_t *hooks, void *at, size_t size,
    size_t alignment, bool *zero, bool *commit, unsigned arena)
{
    owner_t *owner = owner_of(hooks, ALLOC);
    (void)arena;
    if (atomic_load(&owner->refuse_alloc) || at != NULL) {
        return NULL;
    }
    if (size % 4096 != 0 || (alignment & (alignment - 1)) != 0) {
        atomic_store(&owner->misaligned, true);
    }
    char *all = mmap(NULL, size + alignment, PROT_READ | PROT_WRITE,
        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (all == MAP_FAILED) {
        return NULL;
    }
    char *start = (char *)(((uintptr_t)all + alignment - 1) & ~(alignment - 1));
    if (start > all) {
        munmap(all, (size_t)(start - all));
    }
    if (all + alignment > start) {
        munmap(start + size, (size_t)(all + alignment - start));
    }
    *zero = true;
    *commit = true;
    atomic_fetch_add(&owner->bytes, (long)size);
    return start;
}

static bool hook_dalloc(extent_hooks_t *hooks, void *at, size_t size,
    bool committed, unsigned arena)
{
    owner_t *owner = owner_of(hooks, DALLOC);
    (void)committed, (void)arena;
    atomic_fetch_sub(&owner->bytes, (long)size);
    return munmap(at, size) != 0;
}

static bool refuse_dalloc(extent_hooks_t *hooks, void *at, size_t size,
    bool committed, unsigned arena)
{
    owner_of(hooks, DALLOC);
    (void)at, (void)size, (void)committed, (void)arena;
    return true;
}

static void hook_destroy(extent_hooks_t *hooks, void *at, size_t size,
    bool committed, unsigned arena)
{
    owner_t *owner = owner_of(hooks, DESTROY);
    (void)committed, (void)arena;
    atomic_fetch_sub(&owner->bytes, (long)size);
    munmap(at, size);
}

static bool hook_commit(extent_hooks_t *hooks, void *at, size_t size,
    size_t offset, size_t length, unsigned arena)
{
    owner_of(hooks, COMMIT);
    (void)at, (void)size, (void)offset, (void)length, (void)arena;
    return false;
}

static bool hook_decommit(extent_hooks_t *hooks, void *at, size_t size,
    size_t offset, size_t length, unsigned arena)
{
    owner_of(hooks, DECOMMIT);
    (void)at, (void)size, (void)offset, (void)length, (void)arena;
    return true;
}

static bool hook_lazy(extent_hooks_t *hooks, void *at, size_t size,
    size_t offset, size_t length, unsigned arena)
{
    owner_of(hooks, LAZY);
    (void)at, (void)size, (void)offset, (void)length, (void)arena;
    return true;
}

static bool hook_forced(extent_hooks_t *hooks, void *at, size_t size,
    size_t offset, size_t length, unsigned arena)
{
    owner_of(hooks, FORCED);
    (void)size, (void)arena;
    return madvise((char *)at + offset, length, MADV_DONTNEED) != 0;
}

static bool hook_split(extent_hooks_t *hooks, void *at, size_t size,
    size_t size_a, size_t size_b, bool committed, unsigned arena)
{
    owner_t *owner = owner_of(hooks, SPLIT);
    (void)at, (void)committed, (void)arena;
    if (size_a + size_b != size || size_a % 4096 != 0) {
        atomic_store(&owner->misaligned, true);
    }
    return false;
}

static bool refuse_split(extent_hooks_t *hooks, void *at, size_t size,
    size_t size_a, size_t size_b, bool committed, unsigned arena)
{
    owner_of(hooks, SPLIT);
    (void)at, (void)size, (void)size_a, (void)size_b;
    (void)committed, (void)arena;
    return true;
}

static bool hook_merge(extent_hooks_t *hooks, void *a, size_t size_a, void *b,
    size_t size_b, bool committed, unsigned arena)
{
    owner_t *owner = owner_of(hooks, MERGE);
    (void)size_b, (void)committed, (void)arena;
    if ((char *)a + size_a != (char *)b) {
        atomic_store(&owner->misaligned, true);
    }
    return false;
}

static bool refuse_merge(extent_hooks_t *hooks, void *a, size_t size_a, void *b,
    size_t size_b, bool committed, unsigned arena)
{
    owner_of(hooks, MERGE);
    (void)a, (void)size_a, (void)b, (void)size_b;
    (void)committed, (void)arena;
    return true;
}

static const extent_hooks_t counting = {hook_alloc, hook_dalloc, hook_destroy,
    hook_commit, hook_decommit, hook_lazy, hook_forced, hook_split, hook_merge};

static bool owner_open(owner_t *owner, const extent_hooks_t *hooks)
{
    size_t length = sizeof(owner->arena);
    extent_hooks_t *table = &owner->hooks;

    memset(owner, 0, sizeof(*owner));
    owner->hooks = *hooks;
    int error =
        mallctl("arenas.create", &owner->arena, &length, &table, sizeof(table));
    EXPECT_EQ_I64(error, 0);
    return error == 0;
}

static int owner_control(const owner_t *owner, const char *verb)
{
    char name[64];
    snprintf(name, sizeof(name), "arena.%u.%s", owner->arena, verb);
    return mallctl(name, NULL, NULL, NULL, 0);
}

static int flags_of(const owner_t *owner)
{
    return MALLOCX_ARENA(owner->arena) | MALLOCX_TCACHE_NONE;
}

/* Allocates, grows, shrinks and frees all kinds of sizes. */
static void exercise(const owner_t *owner)
{
    static const size_t sizes[] = {
        8, 500, 4096, 14336, 20000, 70000, 300000, 3000000, 9000000};
    void *p[9][4];

    for (int i = 0; i < 9; i++) {
        for (int k = 0; k < 4; k++) {
            p[i][k] = mallocx(sizes[i], flags_of(owner));
            REQUIRE(p[i][k] != NULL);
            memset(p[i][k], i * 4 + k, sizes[i]);
        }
    }
    for (int i = 0; i < 9; i++) {
        p[i][0] = rallocx(p[i][0], sizes[i] * 2, flags_of(owner));
        REQUIRE(p[i][0] != NULL);
        p[i][1] = rallocx(p[i][1], sizes[i] / 2, flags_of(owner));
        REQUIRE(p[i][1] != NULL);
        xallocx(p[i][2], sizes[i] / 2, 0, 0);
        for (int k = 0; k < 4; k++) {
            EXPECT_EQ_U64(*(unsigned char *)p[i][k], i * 4 + k);
            EXPECT_EQ_U64(
                ((unsigned char *)p[i][k])[sizes[i] / 2 - 1], i * 4 + k);
        }
    }
    for (int i = 0; i < 9; i++) {
        for (int k = 0; k < 4; k++) {
            dallocx(p[i][k], MALLOCX_TCACHE_NONE);
        }
    }
}

TEST(layout)
{
    EXPECT_EQ_U64(sizeof(extent_hooks_t), 9 * sizeof(void *));
    EXPECT_EQ_U64(offsetof(extent_hooks_t, alloc), 0);
    EXPECT_EQ_U64(offsetof(extent_hooks_t, purge_forced), 6 * sizeof(void *));
    EXPECT_EQ_U64(offsetof(extent_hooks_t, merge), 8 * sizeof(void *));
}

TEST(counting_hooks_balance)
{
    static owner_t owner;
    REQUIRE(owner_open(&owner, &counting));
    for (int round = 0; round < 3; round++) {
        exercise(&owner);
        EXPECT_EQ_I64(owner_control(&owner, "purge"), 0);
    }
    EXPECT_GT_U64(owner.calls[ALLOC], 0);
    EXPECT(!owner.misaligned);
    EXPECT_EQ_I64(owner_control(&owner, "destroy"), 0);
    EXPECT_EQ_I64(owner.bytes, 0);
    EXPECT(!owner.misaligned);
}

TEST(destroy_with_live_blocks)
{
    static owner_t owner;
    REQUIRE(owner_open(&owner, &counting));
    for (int i = 0; i < 500; i++) {
        REQUIRE(mallocx(1 + (size_t)i * 777, flags_of(&owner)) != NULL);
    }
    EXPECT_EQ_I64(owner_control(&owner, "destroy"), 0);
    EXPECT_EQ_I64(owner.bytes, 0);
}

TEST(reset_reuses_the_arena)
{
    static owner_t owner;
    REQUIRE(owner_open(&owner, &counting));
    long peak = 0;
    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < 200; i++) {
            REQUIRE(mallocx(1 + (size_t)i * 300, flags_of(&owner)) != NULL);
        }
        EXPECT_EQ_I64(owner_control(&owner, "reset"), 0);
        peak = round == 5 ? owner.bytes : peak;
    }
    /* Twenty rounds must not need more than a few did. */
    EXPECT_LE_I64(owner.bytes, peak * 2 + (32 << 20));
    exercise(&owner);
    EXPECT_EQ_I64(owner_control(&owner, "destroy"), 0);
    EXPECT_EQ_I64(owner.bytes, 0);
}

static void *hook_alloc_pinned(extent_hooks_t *hooks, void *at, size_t size,
    size_t alignment, bool *zero, bool *commit, unsigned arena)
{
    char *p = hook_alloc(hooks, at, size, alignment, zero, commit, arena);
    return p == NULL ? NULL : p + EXTENT_ALLOC_FLAG_PINNED;
}

static size_t stat_of(const owner_t *owner, const char *name)
{
    char full[64];
    size_t value = 0;
    size_t length = sizeof(value);
    snprintf(full, sizeof(full), "stats.arenas.%u.%s", owner->arena, name);
    EXPECT_EQ_I64(mallctl(full, &value, &length, NULL, 0), 0);
    return value;
}

/* What the hooks pinned is never purged, is reused, and counted as such. */
TEST(pinned_memory)
{
    static owner_t owner;
    extent_hooks_t hooks = counting;
    hooks.alloc = hook_alloc_pinned;
    REQUIRE(owner_open(&owner, &hooks));
    for (int round = 0; round < 3; round++) {
        exercise(&owner);
        EXPECT_EQ_I64(owner_control(&owner, "purge"), 0);
        EXPECT_EQ_I64(owner_control(&owner, "decay"), 0);
    }
    EXPECT_EQ_I64(owner.calls[DALLOC] + owner.calls[DECOMMIT] +
                      owner.calls[LAZY] + owner.calls[FORCED],
        0);
    uint64_t epoch = 1;
    EXPECT_EQ_I64(mallctl("epoch", NULL, NULL, &epoch, sizeof(epoch)), 0);
    size_t pinned = stat_of(&owner, "pinned");
    EXPECT_GT_U64(pinned, 9000000);
    EXPECT_EQ_U64(stat_of(&owner, "pdirty"), 0);
    EXPECT_EQ_U64(stat_of(&owner, "retained"), 0);
    EXPECT_GE_U64(stat_of(&owner, "resident"), pinned);
    EXPECT_GE_U64(stat_of(&owner, "mapped"), pinned);
    /* Metadata is the hooks' too, and is given back. */
    EXPECT_EQ_I64(owner_control(&owner, "destroy"), 0);
    EXPECT_GT_U64(owner.calls[DESTROY], 0);
    EXPECT_EQ_I64(owner.bytes, 0);
}

static bool fail_range(extent_hooks_t *hooks, void *at, size_t size,
    size_t offset, size_t length, unsigned arena)
{
    owner_of(hooks, FORCED);
    (void)at, (void)size, (void)offset, (void)length, (void)arena;
    errno = EIO;
    return true;
}

static bool fail_dalloc(extent_hooks_t *hooks, void *at, size_t size,
    bool committed, unsigned arena)
{
    errno = EIO;
    return refuse_dalloc(hooks, at, size, committed, arena);
}

/* What hooks leave in errno is not what malloc and free leave. */
TEST(errno_survives_hooks)
{
    static owner_t owner;
    extent_hooks_t hooks = counting;
    ssize_t at_once = 0;
    char name[64];
    hooks.dalloc = fail_dalloc;
    hooks.purge_lazy = fail_range;
    hooks.purge_forced = fail_range;
    REQUIRE(owner_open(&owner, &hooks));
    snprintf(name, sizeof(name), "arena.%u.dirty_decay_ms", owner.arena);
    EXPECT_EQ_I64(mallctl(name, NULL, NULL, &at_once, sizeof(at_once)), 0);
    void *p = mallocx(100000, flags_of(&owner));
    REQUIRE(p != NULL);
    long before = owner.calls[FORCED];
    errno = 4711;
    dallocx(p, MALLOCX_TCACHE_NONE);
    EXPECT_EQ_I64(errno, 4711);
    EXPECT_GT_U64(owner.calls[FORCED], before);
    EXPECT_EQ_I64(owner_control(&owner, "destroy"), 0);
}

TEST(refusing_alloc_gives_null)
{
    static owner_t owner;
    REQUIRE(owner_open(&owner, &counting));
    void *p = mallocx((size_t)1 << 20, flags_of(&owner));
    REQUIRE(p != NULL);
    memset(p, 0x21, (size_t)1 << 20);
    owner.refuse_alloc = true;
    EXPECT_EQ_PTR(mallocx((size_t)1 << 30, flags_of(&owner)), NULL);
    EXPECT_EQ_PTR(rallocx(p, (size_t)1 << 30, flags_of(&owner)), NULL);
    EXPECT_EQ_U64(((unsigned char *)p)[(1 << 20) - 1], 0x21);
    owner.refuse_alloc = false;
    void *q = mallocx((size_t)1 << 30, flags_of(&owner));
    EXPECT(q != NULL);
    exercise(&owner);
    EXPECT_EQ_I64(owner_control(&owner, "destroy"), 0);
    EXPECT_EQ_I64(owner.bytes, 0);
}

TEST(refusing_everything_else)
{
    static owner_t owner;
    extent_hooks_t hooks = counting;
    hooks.dalloc = refuse_dalloc;
    hooks.split = refuse_split;
    hooks.merge = refuse_merge;
    hooks.purge_forced = NULL;
    hooks.purge_lazy = NULL;
    hooks.decommit = NULL;
    hooks.commit = NULL;
    REQUIRE(owner_open(&owner, &hooks));
    for (int round = 0; round < 5; round++) {
        exercise(&owner);
        EXPECT_EQ_I64(owner_control(&owner, "purge"), 0);
    }
    long settled = owner.bytes;
    for (int round = 0; round < 10; round++) {
        exercise(&owner);
        EXPECT_EQ_I64(owner_control(&owner, "purge"), 0);
    }
    /* What was refused is kept, so it must be used again. */
    EXPECT_LE_I64(owner.bytes, settled * 2);
    EXPECT_EQ_I64(owner_control(&owner, "destroy"), 0);
}

TEST(only_alloc)
{
    static owner_t owner;
    extent_hooks_t hooks = {.alloc = hook_alloc};
    REQUIRE(owner_open(&owner, &hooks));
    exercise(&owner);
    EXPECT_EQ_I64(owner_control(&owner, "purge"), 0);
    exercise(&owner);
    EXPECT_EQ_I64(owner_control(&owner, "destroy"), 0);
}

/* A refused split: shrinking in place must then change nothing. */
TEST(no_shrink_without_split)
{
    static owner_t owner;
    extent_hooks_t hooks = counting;
    hooks.split = refuse_split;
    REQUIRE(owner_open(&owner, &hooks));
    void *p = mallocx((size_t)1 << 20, flags_of(&owner));
    REQUIRE(p != NULL);
    size_t usable = sallocx(p, 0);
    EXPECT_EQ_U64(xallocx(p, 100000, 0, 0), usable);
    EXPECT_EQ_U64(sallocx(p, 0), usable);
    dallocx(p, MALLOCX_TCACHE_NONE);
    EXPECT_EQ_I64(owner_control(&owner, "destroy"), 0);
}

static void *allocating_alloc(extent_hooks_t *hooks, void *at, size_t size,
    size_t alignment, bool *zero, bool *commit, unsigned arena)
{
    void *scratch = malloc(3000), *more = calloc(1, 100000);
    void *result = hook_alloc(hooks, at, size, alignment, zero, commit, arena);
    scratch = realloc(scratch, 50000);
    free(more);
    free(scratch);
    return result;
}

static bool allocating_dalloc(extent_hooks_t *hooks, void *at, size_t size,
    bool committed, unsigned arena)
{
    char *scratch = malloc(700);
    bool result = hook_dalloc(hooks, at, size, committed, arena);
    free(scratch);
    return result;
}

TEST(hooks_that_allocate)
{
    static owner_t owner;
    extent_hooks_t hooks = counting;
    hooks.alloc = allocating_alloc;
    hooks.dalloc = allocating_dalloc;
    REQUIRE(owner_open(&owner, &hooks));
    for (int round = 0; round < 3; round++) {
        exercise(&owner);
        EXPECT_EQ_I64(owner_control(&owner, "purge"), 0);
    }
    EXPECT_EQ_I64(owner_control(&owner, "destroy"), 0);
    EXPECT_EQ_I64(owner.bytes, 0);
}

TEST(hooks_can_be_read_and_replaced)
{
    static owner_t owner, second;
    extent_hooks_t *got = NULL, *fresh = &second.hooks;
    size_t length = sizeof(got);
    char name[64];

    REQUIRE(owner_open(&owner, &counting));
    second.hooks = counting;
    snprintf(name, sizeof(name), "arena.%u.extent_hooks", owner.arena);
    REQUIRE(mallctl(name, &got, &length, NULL, 0) == 0);
    EXPECT_EQ_PTR(got, &owner.hooks);
    REQUIRE(mallctl(name, &got, &length, &fresh, sizeof(fresh)) == 0);
    EXPECT_EQ_PTR(got, &owner.hooks);
    void *p = mallocx((size_t)200 << 20, flags_of(&owner));
    REQUIRE(p != NULL);
    EXPECT_GT_U64(second.calls[ALLOC], 0);
    dallocx(p, MALLOCX_TCACHE_NONE);
    EXPECT_EQ_I64(owner_control(&owner, "destroy"), 0);
    EXPECT_EQ_I64(owner.bytes + second.bytes, 0);
}

TEST(default_hooks_are_readable)
{
    extent_hooks_t *got = NULL;
    size_t length = sizeof(got);
    free(malloc(100));
    REQUIRE(mallctl("arena.0.extent_hooks", &got, &length, NULL, 0) == 0);
    REQUIRE(got != NULL);
    EXPECT(got->alloc != NULL);
}

/* Pages that were handed back must read as zero when they come again. */
TEST(zero_after_purge)
{
    static owner_t owner;
    REQUIRE(owner_open(&owner, &counting));
    for (int round = 0; round < 10; round++) {
        size_t size = (size_t)3 << 20, wrong = 0;
        char *p = mallocx(size, flags_of(&owner) | MALLOCX_ZERO);
        REQUIRE(p != NULL);
        for (size_t i = 0; i < size; i++) {
            wrong += p[i] != 0;
        }
        EXPECT_EQ_U64(wrong, 0);
        memset(p, 0x77, size);
        dallocx(p, MALLOCX_TCACHE_NONE);
        if (round % 2 == 0) {
            EXPECT_EQ_I64(owner_control(&owner, "purge"), 0);
        }
    }
    EXPECT_EQ_I64(owner_control(&owner, "destroy"), 0);
}

int main(void)
{
    return test_run(TEST_CASE(layout), TEST_CASE(counting_hooks_balance),
        TEST_CASE(destroy_with_live_blocks), TEST_CASE(reset_reuses_the_arena),
        TEST_CASE(pinned_memory), TEST_CASE(errno_survives_hooks),
        TEST_CASE(refusing_alloc_gives_null),
        TEST_CASE(refusing_everything_else), TEST_CASE(only_alloc),
        TEST_CASE(no_shrink_without_split), TEST_CASE(hooks_that_allocate),
        TEST_CASE(hooks_can_be_read_and_replaced),
        TEST_CASE(default_hooks_are_readable), TEST_CASE(zero_after_purge),
        NULL);
}
