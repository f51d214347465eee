/*
 * What: the page store over hooks that keep books: a page of the small world
 * they manage is theirs, mapped, or mapped and committed. They refuse kinds
 * of calls for good, or the n-th call of all, for each n until a sequence of
 * operations does not reach it any more. Also the store over the built-in
 * hooks: moving, guards, threads.
 *
 * Invariants: (I1) after each operation all mapped bytes are in a set, live,
 * or given up; (I2) the first word of each page tells whether its contents
 * survived, or are zero where that was promised.
 *
 * Locking: the hooks' world is used by one thread.
 */
#include "extent/page_store.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "conf/conf.h"
#include "extent/base.h"
#include "harness.h"
#include "os/os.h"
#include "util/prng.h"

#define WORLD_PAGES 4096
#define MAPPED      1
#define COMMITTED   2
#define PINNED      4
#define GARBAGE     0x5a5a5a5a5a5a5a5aULL

/* An index that no arena has; the store under test is nobody else's. */
#define TEST_ARENA 4000

enum {
    CALL_ALLOC,
    CALL_DALLOC,
    CALL_COMMIT,
    CALL_DECOMMIT,
    CALL_PURGE_LAZY,
    CALL_PURGE_FORCED,
    CALL_SPLIT,
    CALL_MERGE,
    CALL_COUNT,
};

#define BIT(call) (1U << (call))

static struct {
    char *memory;
    uint8_t pages[WORLD_PAGES];
    size_t mapped_bytes;
    unsigned calls;
    unsigned fail_at; /* the number of the call to refuse, 0 for none */
    unsigned refused; /* kinds that are always refused */
    bool commits;     /* new memory comes committed */
    bool pins;        /* every second range can never be given back */
    unsigned count[CALL_COUNT];
    unsigned destroyed;
    bool pinned; /* the last range was not */
} world;

static uint64_t *page_word(size_t page)
{
    return (uint64_t *)(void *)(world.memory + PAGES(page));
}

static bool refuses(unsigned call)
{
    world.calls++;
    world.count[call]++;
    return world.calls == world.fail_at || (world.refused & BIT(call)) != 0;
}

/* Index of the first page; each page must be in `state` or more. */
static size_t check_range(void *addr, size_t size, unsigned state)
{
    size_t first = (size_t)((char *)addr - world.memory) >> LG_PAGE;
    REQUIRE(first < WORLD_PAGES && first + (size >> LG_PAGE) <= WORLD_PAGES);
    for (size_t i = 0; i < size >> LG_PAGE; i++) {
        if ((world.pages[first + i] & state) != state) {
            EXPECT_EQ_U64(world.pages[first + i] & state, state);
            break;
        }
    }
    return first;
}

static bool has_pinned(size_t first, size_t size)
{
    bool found = false;
    for (size_t i = 0; i < size >> LG_PAGE; i++) {
        found = found || (world.pages[first + i] & PINNED) != 0;
    }
    return found;
}

static void set_range(size_t first, size_t size, unsigned state, uint64_t word)
{
    for (size_t i = 0; i < size >> LG_PAGE; i++) {
        world.pages[first + i] = (uint8_t)state;
        *page_word(first + i) = word;
    }
}

/* The first gap of that size and alignment; WORLD_PAGES if there is none. */
static size_t find_gap(size_t pages, size_t alignment)
{
    size_t run = 0;
    for (size_t i = 0; i < WORLD_PAGES; i++) {
        bool starts = (((uintptr_t)page_word(i)) & (alignment - 1)) == 0;
        bool usable = world.pages[i] == 0 && (run != 0 || starts);
        run = usable ? run + 1 : 0;
        if (run == pages) {
            return i + 1 - pages;
        }
    }
    return WORLD_PAGES;
}

static void *hook_alloc(extent_hooks_t *hooks, void *addr, size_t size,
    size_t alignment, bool *zero, bool *commit, unsigned arena_ind)
{
    (void)hooks;
    EXPECT_EQ_PTR(addr, NULL);
    EXPECT_EQ_U64(arena_ind, TEST_ARENA);
    size_t first = refuses(CALL_ALLOC) ? WORLD_PAGES
                                       : find_gap(size >> LG_PAGE, alignment);
    if (first == WORLD_PAGES) {
        return NULL;
    }
    *zero = *zero || world.calls % 2 == 0;
    *commit = *commit || world.commits;
    set_range(first, size, *commit ? MAPPED | COMMITTED : MAPPED,
        *zero && *commit ? 0 : GARBAGE);
    world.mapped_bytes += size;
    if (!world.pins || (world.pinned = !world.pinned)) {
        return page_word(first);
    }
    *zero = false;
    *commit = true;
    set_range(first, size, MAPPED | COMMITTED | PINNED, GARBAGE);
    return (char *)page_word(first) + EXTENT_ALLOC_FLAG_PINNED;
}

static void unmap(void *addr, size_t size)
{
    size_t first = check_range(addr, size, MAPPED);
    set_range(first, size, 0, GARBAGE);
    world.mapped_bytes -= size;
}

static bool hook_dalloc(extent_hooks_t *hooks, void *addr, size_t size,
    bool committed, unsigned arena_ind)
{
    (void)hooks;
    (void)arena_ind;
    size_t first =
        check_range(addr, size, committed ? MAPPED | COMMITTED : MAPPED);
    EXPECT(!has_pinned(first, size));
    if (refuses(CALL_DALLOC)) {
        return true;
    }
    unmap(addr, size);
    return false;
}

static void hook_destroy(extent_hooks_t *hooks, void *addr, size_t size,
    bool committed, unsigned arena_ind)
{
    (void)hooks;
    (void)arena_ind;
    check_range(addr, size, committed ? MAPPED | COMMITTED : MAPPED);
    world.destroyed++;
    unmap(addr, size);
}

/* Three of the hooks on a range: to which state to which contents. */
static bool on_range(unsigned call, void *addr, size_t offset, size_t length,
    unsigned to, uint64_t word)
{
    size_t first =
        check_range((char *)addr + offset, length, MAPPED | COMMITTED);
    EXPECT(!has_pinned(first, length));
    if (refuses(call)) {
        return true;
    }
    set_range(first, length, to, word);
    return false;
}

/*
 * Pages that are committed keep what they hold: with large pages of the
 * system a call may name those of others.
 */
static bool hook_commit(extent_hooks_t *hooks, void *addr, size_t size,
    size_t offset, size_t length, unsigned arena_ind)
{
    (void)hooks;
    (void)size;
    (void)arena_ind;
    size_t first = check_range((char *)addr + offset, length, MAPPED);
    if (refuses(CALL_COMMIT)) {
        return true;
    }
    for (size_t i = first; i < first + (length >> LG_PAGE); i++) {
        if ((world.pages[i] & COMMITTED) == 0) {
            set_range(i, PAGE, MAPPED | COMMITTED, 0);
        }
    }
    return false;
}

static bool hook_decommit(extent_hooks_t *hooks, void *addr, size_t size,
    size_t offset, size_t length, unsigned arena_ind)
{
    (void)hooks;
    (void)size;
    (void)arena_ind;
    return on_range(CALL_DECOMMIT, addr, offset, length, MAPPED, GARBAGE);
}

static bool hook_purge_lazy(extent_hooks_t *hooks, void *addr, size_t size,
    size_t offset, size_t length, unsigned arena_ind)
{
    (void)hooks;
    (void)size;
    (void)arena_ind;
    return on_range(
        CALL_PURGE_LAZY, addr, offset, length, MAPPED | COMMITTED, GARBAGE);
}

static bool hook_purge_forced(extent_hooks_t *hooks, void *addr, size_t size,
    size_t offset, size_t length, unsigned arena_ind)
{
    (void)hooks;
    (void)size;
    (void)arena_ind;
    return on_range(
        CALL_PURGE_FORCED, addr, offset, length, MAPPED | COMMITTED, 0);
}

static bool hook_split(extent_hooks_t *hooks, void *addr, size_t size,
    size_t size_a, size_t size_b, bool committed, unsigned arena_ind)
{
    (void)hooks;
    (void)arena_ind;
    EXPECT_EQ_U64(size_a + size_b, size);
    EXPECT(size_a != 0 && size_b != 0);
    check_range(addr, size, committed ? MAPPED | COMMITTED : MAPPED);
    return refuses(CALL_SPLIT);
}

static bool hook_merge(extent_hooks_t *hooks, void *addr_a, size_t size_a,
    void *addr_b, size_t size_b, bool committed, unsigned arena_ind)
{
    (void)hooks;
    (void)arena_ind;
    EXPECT_EQ_PTR((char *)addr_a + size_a, addr_b);
    unsigned state = committed ? MAPPED | COMMITTED : MAPPED;
    size_t a = check_range(addr_a, size_a, state);
    size_t b = check_range(addr_b, size_b, state);
    EXPECT_EQ_I64(has_pinned(a, size_a), has_pinned(b, size_b));
    return refuses(CALL_MERGE);
}

static extent_hooks_t hooks_of_world = {hook_alloc, hook_dalloc, hook_destroy,
    hook_commit, hook_decommit, hook_purge_lazy, hook_purge_forced, hook_split,
    hook_merge};

static void world_begin(unsigned refused, bool commits, unsigned fail_at)
{
    if (world.memory == NULL) {
        je_free(je_malloc(1)); /* boots */
        world.memory = os_map(PAGES(WORLD_PAGES), HUGEPAGE);
        REQUIRE(world.memory != NULL);
    }
    char *memory = world.memory;
    memset(&world, 0, sizeof(world));
    world.memory = memory;
    world.refused = refused;
    world.commits = commits;
    world.fail_at = fail_at;
}

/* ---- a sequence of operations, with a model of what is live ---- */

#define LIVE_MAX  12
#define SECOND_NS 1000000000ULL

static page_store_t store;

static struct {
    extent_t *live[LIVE_MAX];
    uint64_t tag[LIVE_MAX];
    uint64_t random;
    uint64_t now_ns;
    uint64_t next_tag;
    bool custom;
} play;

static unsigned below(unsigned n)
{
    return (unsigned)(prng_bits(&play.random, 32) % n);
}

static uint64_t *word_at(const extent_t *e, size_t offset)
{
    return (uint64_t *)(void *)((char *)extent_ptr(e) + offset);
}

static void expect_words(
    const extent_t *e, size_t from, size_t to, uint64_t word)
{
    for (size_t at = from; at < to; at += PAGE) {
        if (*word_at(e, at) != word) {
            EXPECT_EQ_U64(*word_at(e, at), word);
            return;
        }
    }
}

static void tag_words(extent_t *e, size_t from, uint64_t tag)
{
    for (size_t at = from; at < extent_size(e); at += PAGE) {
        *word_at(e, at) = tag;
    }
}

/* The set's members, the live ones and what was given up are all there is. */
static void check_books(void)
{
    page_store_check(&store);
    size_t active = 0;
    for (unsigned i = 0; i < LIVE_MAX; i++) {
        active += play.live[i] == NULL ? 0 : extent_size(play.live[i]);
    }
    EXPECT_EQ_U64(atomic_get_relaxed(&store.active_bytes), active);
    size_t sum = active + store.abandoned_bytes;
    for (page_set_t set = 0; set < PAGE_SET_COUNT; set++) {
        sum += store.sets[set].bytes;
    }
    if (play.custom) {
        EXPECT_EQ_U64(sum, world.mapped_bytes);
    }
}

static void check_fresh(const extent_t *e, size_t size, size_t alignment)
{
    EXPECT_GE_U64(extent_size(e), size);
    EXPECT_EQ_U64(e->addr & (alignment - 1), 0);
    EXPECT_EQ_U64(extent_state(e), EXTENT_ACTIVE);
    EXPECT_EQ_U64(extent_arena(e), TEST_ARENA);
    EXPECT(extent_has(e, EXTENT_COMMITTED));
    EXPECT_EQ_PTR(extent_map_find(extent_ptr(e)), e);
    EXPECT_EQ_PTR(
        extent_map_find((char *)extent_ptr(e) + extent_size(e) - 1), e);
    if (play.custom) {
        check_range(extent_ptr(e), extent_size(e), MAPPED | COMMITTED);
    }
    if (extent_has(e, EXTENT_ZEROED)) {
        expect_words(e, 0, extent_size(e), 0);
    }
}

static void play_alloc(unsigned slot)
{
    size_t size = PAGES(1 + below(40));
    size_t alignment = PAGE << (below(3) == 0 ? below(5) : 0);
    unsigned kind = below(8);
    extent_t *e = kind == 0 ? page_store_alloc_guarded(&store, size, alignment)
                  : kind == 1 ? page_store_alloc_roomy(&store, size, alignment)
                              : page_store_alloc(&store, size, alignment);
    if (e != NULL) {
        check_fresh(e, size, alignment);
        play.live[slot] = e;
        play.tag[slot] = ++play.next_tag;
        tag_words(e, 0, play.tag[slot]);
    }
}

static void play_free(unsigned slot)
{
    extent_t *e = play.live[slot];
    expect_words(e, 0, extent_size(e), play.tag[slot]);
    play.live[slot] = NULL;
    page_store_free(&store, e);
}

static void play_grow(unsigned slot)
{
    extent_t *e = play.live[slot];
    size_t old_size = extent_size(e);
    size_t new_size = old_size + PAGES(1 + below(12));
    bool zeroed;
    if (page_store_grow_in_place(&store, e, new_size, &zeroed)) {
        EXPECT_GE_U64(extent_size(e), new_size);
        EXPECT(!extent_has(e, EXTENT_GUARDED));
        if (zeroed) {
            expect_words(e, old_size, extent_size(e), 0);
        }
    }
    expect_words(e, 0, old_size, play.tag[slot]);
    tag_words(e, old_size, play.tag[slot]);
}

static void play_shrink(unsigned slot)
{
    extent_t *e = play.live[slot];
    size_t old_size = extent_size(e);
    if (old_size == PAGE) {
        return;
    }
    size_t new_size = PAGES(1 + below((unsigned)(old_size >> LG_PAGE) - 1));
    bool done = page_store_shrink(&store, e, new_size);
    EXPECT_EQ_U64(extent_size(e), done ? new_size : old_size);
    expect_words(e, 0, extent_size(e), play.tag[slot]);
}

static void play_move(unsigned slot)
{
    extent_t *from = play.live[slot];
    size_t size = extent_size(from);
    extent_t *to = page_store_alloc(&store, size, PAGE);
    if (to == NULL) {
        return;
    }
    if (page_store_move(&store, from, to)) {
        EXPECT(!play.custom);
        play.live[slot] = to;
    } else {
        page_store_free(&store, to);
    }
    expect_words(play.live[slot], 0, size, play.tag[slot]);
}

static void play_time(void)
{
    play.now_ns += below(400) * (SECOND_NS / 1000);
    if (page_purge_is_due(&store, play.now_ns)) {
        page_purge_decay(&store, play.now_ns);
    }
    if (below(8) == 0) {
        ssize_t ms = (ssize_t)below(3) * 500 - 1 + (ssize_t)below(2);
        page_purge_set_decay(&store, below(2) ? PAGE_SET_DIRTY : PAGE_SET_MUZZY,
            ms, play.now_ns);
    }
    if (below(8) == 0) {
        page_purge_all(&store);
        EXPECT_EQ_U64(store.sets[PAGE_SET_DIRTY].bytes, 0);
        EXPECT_EQ_U64(store.sets[PAGE_SET_MUZZY].bytes, 0);
    }
}

static void play_step(void)
{
    unsigned slot = below(LIVE_MAX);
    unsigned kind = below(10);
    if (kind == 9) {
        play_time();
    } else if (play.live[slot] == NULL) {
        play_alloc(slot);
    } else if (kind < 4) {
        play_free(slot);
    } else if (kind < 6) {
        play_grow(slot);
    } else if (kind < 8) {
        play_shrink(slot);
    } else {
        play_move(slot);
    }
}

static void begin(extent_hooks_t *hooks, ssize_t dirty_ms, ssize_t muzzy_ms)
{
    memset(&store, 0, sizeof(store));
    memset(&play, 0, sizeof(play));
    play.custom = hooks == &hooks_of_world;
    play.now_ns = 1000 * SECOND_NS;
    page_store_init(&store, TEST_ARENA, hooks, dirty_ms, muzzy_ms, play.now_ns);
    if (play.custom) {
        store.grow_next = PAGES(64);
        store.grow_limit = PAGES(256);
    }
}

/* Frees what is left and ends the store: nothing may stay behind. */
static void end(void)
{
    for (unsigned i = 0; i < LIVE_MAX; i++) {
        if (play.live[i] != NULL) {
            play_free(i);
            check_books();
        }
    }
    EXPECT_EQ_U64(atomic_get_relaxed(&store.active_bytes), 0);
    page_store_destroy(&store);
    if (play.custom) {
        EXPECT_EQ_U64(world.mapped_bytes, store.abandoned_bytes);
    }
}

static void run(extent_hooks_t *hooks, uint64_t seed, unsigned steps,
    ssize_t dirty_ms, ssize_t muzzy_ms)
{
    begin(hooks, dirty_ms, muzzy_ms);
    play.random = seed;
    for (unsigned i = 0; i < steps; i++) {
        play_step();
        check_books();
    }
    end();
}

/* ---- the cases ---- */

/* What sorts of systems there are: always refused, committed from start. */
static const struct {
    unsigned refused;
    bool commits;
} kinds[] = {
    {0, true},
    {0, false},
    {BIT(CALL_DALLOC), true},
    {BIT(CALL_DALLOC), false},
    {BIT(CALL_DALLOC) | BIT(CALL_DECOMMIT), true},
    {BIT(CALL_DALLOC) | BIT(CALL_DECOMMIT) | BIT(CALL_PURGE_FORCED), true},
    {BIT(CALL_DALLOC) | BIT(CALL_DECOMMIT) | BIT(CALL_PURGE_LAZY), true},
    {BIT(CALL_MERGE), true},
    {BIT(CALL_MERGE) | BIT(CALL_DALLOC), false},
    {BIT(CALL_SPLIT), true},
    {BIT(CALL_SPLIT) | BIT(CALL_MERGE) | BIT(CALL_DALLOC), false},
    {BIT(CALL_COMMIT), false},
    {BIT(CALL_ALLOC), true},
};

#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

/*
 * What the end may leave: with large pages, ranges that share one and cannot
 * become one range, as they differ or the hooks refuse it.
 */
static size_t most_abandoned(unsigned refused)
{
    if (os_page_size() == PAGE) {
        return 0;
    }
    return (refused & BIT(CALL_MERGE)) != 0 ? world.mapped_bytes
                                            : 8 * os_page_size();
}

TEST(every_kind_of_hooks)
{
    unsigned used[CALL_COUNT] = {0};
    for (unsigned k = 0; k < KINDS; k++) {
        for (unsigned seed = 1; seed <= 8; seed++) {
            world_begin(kinds[k].refused, kinds[k].commits, 0);
            world.pins = seed % 2 == 0;
            run(&hooks_of_world, seed, 200, (ssize_t)(seed % 3) * 300,
                (ssize_t)(seed % 4) * 300 - 1);
            EXPECT_LE_U64(
                store.abandoned_bytes, most_abandoned(kinds[k].refused));
            for (unsigned c = 0; c < CALL_COUNT; c++) {
                used[c] += world.count[c];
            }
        }
    }
    for (unsigned c = 0; c < CALL_COUNT; c++) {
        EXPECT_GT_U64(used[c], 100);
    }
}

TEST(the_nth_call_fails)
{
    for (unsigned k = 0; k < KINDS; k++) {
        unsigned n = 0;
        do {
            world_begin(kinds[k].refused, kinds[k].commits, ++n);
            world.pins = k % 2 == 1;
            run(&hooks_of_world, 77 + k, 60, 300, k % 2 == 0 ? 300 : 0);
        } while (world.calls >= n);
        EXPECT_GT_U64(n, 10);
    }
}

TEST(built_in_hooks)
{
    world_begin(0, true, 0);
    for (unsigned seed = 1; seed <= 8; seed++) {
        run(&extent_hooks_default, seed, 300, (ssize_t)(seed % 3) * 300,
            (ssize_t)(seed % 4) * 300 - 1);
    }
}

TEST(free_neighbours_become_one)
{
    world_begin(0, true, 0);
    begin(&hooks_of_world, -1, 0);
    for (unsigned i = 0; i < 3; i++) {
        play.live[i] = page_store_alloc(&store, PAGES(4), PAGE);
        REQUIRE(play.live[i] != NULL);
        tag_words(play.live[i], 0, 0);
    }
    uintptr_t addr = play.live[0]->addr;
    play_free(0);
    play_free(2);
    EXPECT_EQ_U64(store.sets[PAGE_SET_DIRTY].count, 2);
    play_free(1);
    EXPECT_EQ_U64(store.sets[PAGE_SET_DIRTY].count, 1);
    EXPECT_EQ_U64(store.sets[PAGE_SET_DIRTY].bytes, PAGES(12));
    play.live[0] = page_store_alloc(&store, PAGES(12), PAGE);
    REQUIRE(play.live[0] != NULL);
    EXPECT_EQ_U64(play.live[0]->addr, addr);
    tag_words(play.live[0], 0, 0);
    end();
}

/* Dirty before muzzy before retained, whatever the addresses. */
TEST(order_of_reuse)
{
    world_begin(BIT(CALL_DALLOC) | BIT(CALL_DECOMMIT), true, 0);
    begin(&hooks_of_world, -1, -1);
    extent_t *e[4];
    /* Of whole pages of the system: parts of them do not become muzzy. */
    size_t size = 4 * os_page_size();
    for (unsigned i = 0; i < 4; i++) {
        e[i] = page_store_alloc(&store, size, PAGE);
        REQUIRE(e[i] != NULL);
    }
    uintptr_t muzzy = e[1]->addr;
    uintptr_t dirty = e[3]->addr;
    page_store_free(&store, e[1]);
    page_purge_set_decay(&store, PAGE_SET_DIRTY, 0, play.now_ns);
    EXPECT_EQ_U64(store.sets[PAGE_SET_MUZZY].bytes, size);
    page_purge_set_decay(&store, PAGE_SET_DIRTY, -1, play.now_ns);
    page_store_free(&store, e[3]);
    EXPECT_EQ_U64(store.sets[PAGE_SET_DIRTY].bytes, size);
    e[3] = page_store_alloc(&store, size, PAGE);
    e[1] = page_store_alloc(&store, size, PAGE);
    REQUIRE(e[3] != NULL && e[1] != NULL);
    EXPECT_EQ_U64(e[3]->addr, dirty);
    EXPECT_EQ_U64(e[1]->addr, muzzy);
    for (unsigned i = 0; i < 4; i++) {
        page_store_free(&store, e[i]);
    }
    end();
}

/*
 * Pinned pages are reused before all others, never purged, never part of a
 * run that is not pinned, and given to `destroy`; the world's hooks look.
 */
TEST(pinned_pages_stay)
{
    world_begin(BIT(CALL_DALLOC), true, 0);
    world.pins = true;
    begin(&hooks_of_world, 0, 0);
    size_t size = store.grow_limit;
    extent_t *ordinary = page_store_alloc(&store, size, PAGE);
    extent_t *pinned = page_store_alloc(&store, size, PAGE);
    REQUIRE(ordinary != NULL && pinned != NULL);
    EXPECT(!extent_has(ordinary, EXTENT_KEPT));
    EXPECT(extent_has(pinned, EXTENT_KEPT));
    uintptr_t first = pinned->addr;
    tag_words(pinned, 0, 7);
    EXPECT(page_store_shrink(&store, pinned, size / 2));
    page_store_free(&store, pinned);
    page_store_free_clean(&store, ordinary);
    page_purge_all(&store);
    EXPECT_EQ_U64(page_purge_trim(&store), 0);
    size_t free_bytes = store.sets[PAGE_SET_PINNED].bytes;
    EXPECT_GE_U64(free_bytes, size);
    EXPECT_EQ_U64(store.sets[PAGE_SET_DIRTY].bytes, 0);
    EXPECT_GE_U64(store.sets[PAGE_SET_RETAINED].bytes, size);
    pinned = page_store_alloc(&store, os_page_size(), PAGE);
    REQUIRE(pinned != NULL);
    EXPECT(extent_has(pinned, EXTENT_KEPT));
    EXPECT_EQ_U64(pinned->addr, first);
    EXPECT(!extent_has(pinned, EXTENT_ZEROED));
    expect_words(pinned, 0, os_page_size(), 7);
    bool zeroed;
    EXPECT(page_store_grow_in_place(&store, pinned, size, &zeroed));
    EXPECT(!zeroed);
    expect_words(pinned, 0, size, 7);
    page_store_free(&store, pinned);
    EXPECT_EQ_U64(store.sets[PAGE_SET_PINNED].bytes, free_bytes);
    end();
    EXPECT_GT_U64(world.destroyed, 1);
}

TEST(decay_gives_back_in_time)
{
    world_begin(0, true, 0);
    begin(&hooks_of_world, 1000, 0);
    extent_t *e[64];
    for (unsigned i = 0; i < 64; i++) {
        e[i] = page_store_alloc(&store, PAGES(2), PAGE);
        REQUIRE(e[i] != NULL);
    }
    /* Every other one stays, so that the dirty ones stay apart. */
    for (unsigned i = 0; i < 64; i += 2) {
        page_store_free(&store, e[i]);
    }
    size_t before = store.sets[PAGE_SET_DIRTY].bytes;
    EXPECT_EQ_U64(before, PAGES(64));
    page_purge_decay(&store, play.now_ns + SECOND_NS / 20);
    EXPECT_EQ_U64(store.sets[PAGE_SET_DIRTY].bytes, before);
    for (unsigned t = 1; t <= 20; t++) {
        page_purge_decay(&store, play.now_ns + t * (SECOND_NS / 20));
        EXPECT_LE_U64(store.sets[PAGE_SET_DIRTY].bytes, before);
        before = store.sets[PAGE_SET_DIRTY].bytes;
        if (t == 10) {
            EXPECT_GT_U64(before, PAGES(20));
            EXPECT_LT_U64(before, PAGES(60));
        }
    }
    page_purge_decay(&store, play.now_ns + SECOND_NS + SECOND_NS / 10);
    EXPECT_EQ_U64(store.sets[PAGE_SET_DIRTY].bytes, 0);
    page_purge_stats_t stats = store.purge_stats[PAGE_SET_DIRTY];
    EXPECT_EQ_U64(stats.purged, 64);
    EXPECT_EQ_U64(stats.nmadvise, 32);
    EXPECT_GT_U64(stats.npurge, 5);
    EXPECT_LE_U64(stats.npurge, 21);
    for (unsigned i = 1; i < 64; i += 2) {
        page_store_free(&store, e[i]);
    }
    end();
}

/* From a threshold on that was set, what is freed does not stay dirty. */
TEST(from_the_threshold_on)
{
    const size_t threshold = PAGES(32);
    world_begin(0, true, 0);
    begin(&hooks_of_world, -1, 0);
    atomic_put_relaxed(&store.oversize_bytes, threshold);
    for (size_t size = threshold + PAGE; size >= threshold - PAGE;
         size -= PAGE) {
        extent_t *e = page_store_alloc(&store, size, PAGE);
        REQUIRE(e != NULL);
        page_store_free(&store, e);
        EXPECT_EQ_U64(
            store.sets[PAGE_SET_DIRTY].bytes, size < threshold ? size : 0);
    }
    end();
}

/* Who watches hears of more than ever, not of as much as before. */
TEST(new_peaks_only)
{
    begin(&extent_hooks_default, -1, 0);
    atomic_put_relaxed(&page_store_peak.watched, true);
    extent_t *e[3];
    for (unsigned i = 0; i < 3; i++) {
        e[i] = page_store_alloc(&store, PAGES(64), PAGE);
        REQUIRE(e[i] != NULL);
        EXPECT(atomic_exchange(&page_store_peak.risen, false));
    }
    page_store_free(&store, e[2]);
    EXPECT(!atomic_get_relaxed(&page_store_peak.risen));
    e[2] = page_store_alloc(&store, PAGES(64), PAGE);
    EXPECT(!atomic_get_relaxed(&page_store_peak.risen));
    for (unsigned i = 0; i < 3; i++) {
        page_store_free(&store, e[i]);
    }
    EXPECT(!atomic_get_relaxed(&page_store_peak.risen));
    atomic_put_relaxed(&page_store_peak.watched, false);
    end();
}

/* Who purged when the process forked is not in the child. */
TEST(nobody_purges_in_a_child)
{
    begin(&extent_hooks_default, -1, 0);
    store.purging[PAGE_SET_DIRTY] = true;
    store.purging[PAGE_SET_MUZZY] = true;
    page_store_postfork_child(&store);
    EXPECT(!store.purging[PAGE_SET_DIRTY]);
    EXPECT(!store.purging[PAGE_SET_MUZZY]);
    end();
}

/* Each purge counts once, in however many steps, and if there was any. */
TEST(purges_are_counted)
{
    world_begin(0, true, 0);
    begin(&hooks_of_world, -1, 0);
    extent_t *e[80];
    for (unsigned i = 0; i < 80; i++) {
        e[i] = page_store_alloc(&store, PAGES(2), PAGE);
        REQUIRE(e[i] != NULL);
    }
    for (unsigned i = 0; i < 80; i += 2) {
        page_store_free(&store, e[i]);
    }
    const page_purge_stats_t *stats = &store.purge_stats[PAGE_SET_DIRTY];
    page_purge_all(&store);
    EXPECT_EQ_U64(stats->npurge, 1);
    EXPECT_EQ_U64(stats->purged, 80);
    page_purge_all(&store);
    EXPECT_EQ_U64(stats->npurge, 1);
    for (unsigned i = 1; i < 80; i += 2) {
        page_store_free(&store, e[i]);
    }
    end();
}

/* Where nothing can be cut, up to four times as much is handed out. */
TEST(whole_extents)
{
    world_begin(BIT(CALL_SPLIT) | BIT(CALL_DALLOC), true, 0);
    begin(&hooks_of_world, -1, 0);
    extent_t *e = page_store_alloc(&store, PAGES(64), PAGE);
    REQUIRE(e != NULL);
    uintptr_t addr = e->addr;
    size_t size = extent_size(e);
    page_store_free(&store, e);
    e = page_store_alloc(&store, size / 4, PAGE);
    REQUIRE(e != NULL);
    EXPECT_EQ_U64(e->addr, addr);
    EXPECT_EQ_U64(extent_size(e), size);
    page_store_free(&store, e);
    e = page_store_alloc(&store, size / 4 - PAGE, PAGE);
    REQUIRE(e != NULL);
    EXPECT_NE_U64(e->addr, addr);
    page_store_free(&store, e);
    end();
}

/* A share of what there is, a MiB at least, and what is asked for. */
TEST(steps_of_committing)
{
    const size_t mib = (size_t)1 << 20;
    extent_t e = {.addr = 64 * mib};
    extent_set_size(&e, 64 * mib);
    EXPECT_EQ_U64(page_runs_commit_step(&e, PAGE, PAGE), 4 * mib);
    EXPECT_EQ_U64(page_runs_commit_step(&e, 5 * mib, PAGE), 5 * mib);
    extent_set_size(&e, 8 * mib);
    EXPECT_EQ_U64(page_runs_commit_step(&e, PAGE, PAGE), mib);
    extent_set_size(&e, mib / 2);
    EXPECT_EQ_U64(page_runs_commit_step(&e, PAGE, PAGE), mib / 2);
    e.addr += PAGE;
    extent_set_size(&e, 2 * mib - PAGE);
    EXPECT_EQ_U64(page_runs_commit_step(&e, PAGE, mib), mib);
}

TEST(times_that_mean_never_and_at_once)
{
    world_begin(0, true, 0);
    begin(&hooks_of_world, -1, 0);
    extent_t *e = page_store_alloc(&store, PAGES(8), PAGE);
    REQUIRE(e != NULL);
    page_store_free(&store, e);
    EXPECT(!page_purge_is_due(&store, UINT64_MAX - 1));
    page_purge_decay(&store, UINT64_MAX - 1);
    EXPECT_EQ_U64(store.sets[PAGE_SET_DIRTY].bytes, PAGES(8));
    page_purge_set_decay(&store, PAGE_SET_DIRTY, 0, play.now_ns);
    EXPECT_EQ_U64(store.sets[PAGE_SET_DIRTY].bytes, 0);
    e = page_store_alloc(&store, PAGES(8), PAGE);
    REQUIRE(e != NULL);
    page_store_free(&store, e);
    EXPECT_EQ_U64(store.sets[PAGE_SET_DIRTY].bytes, 0);
    end();
}

TEST(too_much_is_refused)
{
    world_begin(0, true, 0);
    begin(&extent_hooks_default, -1, 0);
    const size_t sizes[] = {(size_t)(((uint64_t)15 << CONFIG_LG_VADDR) / 16),
        SIZE_MAX & ~PAGE_MASK};
    for (unsigned i = 0; i < 2; i++) {
        EXPECT_EQ_PTR(page_store_alloc(&store, sizes[i], PAGE), NULL);
        EXPECT_EQ_PTR(page_store_alloc_roomy(&store, sizes[i], PAGE), NULL);
        EXPECT_EQ_PTR(page_store_alloc_guarded(&store, sizes[i], PAGE), NULL);
    }
    /* The middle of 4 GiB may be free, but not that of the widest. */
    if (sizeof(void *) == 8) {
        EXPECT_EQ_PTR(
            page_store_alloc(&store, PAGE, (size_t)1 << (CONFIG_LG_VADDR - 1)),
            NULL);
    }
    check_books();
    end();
}

/* Where a large step cannot be had, requests do not each map their own. */
TEST(a_small_step_is_tried)
{
    if (!opt.retain) {
        test_skip("this platform retains nothing unless told to");
    }
    world_begin(0, true, 0);
    begin(&hooks_of_world, -1, 0);
    store.grow_limit = 2 * PAGES(WORLD_PAGES);
    store.grow_next = store.grow_limit;
    for (unsigned i = 0; i < 5; i++) {
        play.live[i] = page_store_alloc(&store, PAGES(5), PAGE);
        REQUIRE(play.live[i] != NULL);
        tag_words(play.live[i], 0, 0);
        EXPECT_EQ_U64(world.mapped_bytes, GROW_MIN_BYTES);
        EXPECT_EQ_U64(world.count[CALL_ALLOC], 2);
    }
    check_books();
    end();
}

/* Room behind the block lets it double where it is. */
TEST(roomy_blocks_grow)
{
    world_begin(0, true, 0);
    begin(&hooks_of_world, -1, 0);
    extent_t *e = page_store_alloc_roomy(&store, PAGES(10), PAGE);
    REQUIRE(e != NULL);
    play.live[0] = e;
    bool zeroed;
    EXPECT_EQ_U64(extent_size(e), PAGES(10));
    EXPECT(page_store_grow_in_place(&store, e, PAGES(20), &zeroed));
    check_books();
    tag_words(e, 0, 0);
    end();
}

static extent_t *guarded;

static void touch(void *offset)
{
    signal(SIGSEGV, SIG_DFL);
    *((volatile char *)extent_ptr(guarded) + (ptrdiff_t)(intptr_t)offset) = 1;
}

static int touch_status(ptrdiff_t offset)
{
    /* NOLINTNEXTLINE(performance-no-int-to-ptr) */
    return test_in_child(touch, (void *)(intptr_t)offset).status;
}

TEST(guards_are_forbidden_until_freed)
{
    world_begin(0, true, 0);
    begin(&extent_hooks_default, -1, 0);
    ptrdiff_t size = (ptrdiff_t)(3 * os_page_size());
    guarded = page_store_alloc_guarded(&store, (size_t)size, PAGE);
    REQUIRE(guarded != NULL);
    EXPECT(extent_has(guarded, EXTENT_GUARDED));
    EXPECT_EQ_U64(extent_size(guarded), size);
    EXPECT_EQ_I64(touch_status(0), 0);
    EXPECT_EQ_I64(touch_status(size - 1), 0);
    int below_status = touch_status(-1);
    int above_status = touch_status(size);
    EXPECT(WIFSIGNALED(below_status) && WTERMSIG(below_status) == SIGSEGV);
    EXPECT(WIFSIGNALED(above_status) && WTERMSIG(above_status) == SIGSEGV);
    bool zeroed;
    EXPECT(!page_store_grow_in_place(
        &store, guarded, (size_t)size + PAGE, &zeroed));
    EXPECT(!page_store_shrink(&store, guarded, PAGE));
    uintptr_t first = guarded->addr - os_page_size();
    page_store_free(&store, guarded);
    EXPECT_EQ_U64(
        store.sets[PAGE_SET_DIRTY].bytes, (size_t)size + 2 * os_page_size());
    extent_t *e = page_store_alloc(
        &store, (size_t)size + 2 * os_page_size(), os_page_size());
    REQUIRE(e != NULL);
    EXPECT_EQ_U64(e->addr, first);
    memset(extent_ptr(e), 1, extent_size(e));
    page_store_free(&store, e);
    end();
}

TEST(moving_takes_the_pages_along)
{
    world_begin(0, true, 0);
    begin(&extent_hooks_default, -1, 0);
    size_t size = 64 * os_page_size();
    extent_t *from = page_store_alloc(&store, size, os_page_size());
    extent_t *to = page_store_alloc(&store, 2 * size, os_page_size());
    REQUIRE(from != NULL && to != NULL);
    tag_words(from, 0, 4711);
    EXPECT(!page_store_move(&store, to, from));
    if (!page_store_move(&store, from, to)) {
        page_store_free(&store, from);
        page_store_free(&store, to);
        end();
        test_skip("this system does not move pages");
    }
    expect_words(to, 0, size, 4711);
    EXPECT_EQ_U64(atomic_get_relaxed(&store.active_bytes), 2 * size);
    /* What they left reads as zero and says so. */
    extent_t *again = page_store_alloc(&store, size, os_page_size());
    REQUIRE(again != NULL);
    EXPECT(extent_has(again, EXTENT_ZEROED));
    expect_words(again, 0, size, 0);
    page_store_free(&store, again);
    page_store_free(&store, to);
    end();
}

static size_t committed_unused(void)
{
    size_t bytes = 0;
    list_foreach (node, &store.sets[PAGE_SET_RETAINED].by_age) {
        extent_t *e = list_entry(node, extent_t, list);
        bytes += extent_has(e, EXTENT_COMMITTED) ? extent_size(e) : 0;
    }
    return bytes;
}

/* A step whose end is only reserved, and the way back to that. */
static void commit_and_part(bool overcommits)
{
    world_begin(0, true, 0);
    bool real = os_overcommits;
    bool retains = conf_opt_storage.retain;
    os_overcommits = overcommits;
    /* Programs of 32 bits do not, unless told to. */
    conf_opt_storage.retain = true;
    begin(&extent_hooks_default, -1, 0);
    store.grow_next = 64 * HUGEPAGE;
    size_t size = 4 * HUGEPAGE;
    extent_t *a = page_store_alloc(&store, size, PAGE);
    extent_t *b = page_store_alloc(&store, PAGE, PAGE);
    extent_t *c = page_store_alloc(&store, size, 16 * PAGE);
    REQUIRE(a != NULL && b != NULL && c != NULL);
    EXPECT_EQ_U64(extent_size(a), size);
    EXPECT_EQ_U64(extent_size(b), PAGE);
    EXPECT(extent_has(a, EXTENT_COMMITTED) && extent_has(c, EXTENT_COMMITTED));
    tag_words(a, 0, 1);
    tag_words(b, 0, 2);
    tag_words(c, 0, 3);
    page_store_check(&store);
    page_store_free(&store, a);
    page_purge_all(&store);
    page_store_check(&store);
    /* Alone it is decommitted; so is a small one beside it. */
    EXPECT_EQ_U64(store.sets[PAGE_SET_DIRTY].bytes, 0);
    EXPECT_EQ_PTR(extent_map_lookup(b->addr - PAGE), a);
    EXPECT(!extent_has(a, EXTENT_COMMITTED));
    /* The built-in hooks once more change nothing. */
    (void)page_store_set_hooks(&store, &extent_hooks_default);
    EXPECT(!extent_has(a, EXTENT_COMMITTED));
    expect_words(b, 0, PAGE, 2);
    page_store_free(&store, b);
    page_purge_all(&store);
    EXPECT(!extent_has(a, EXTENT_COMMITTED | EXTENT_PARTING));
    EXPECT_GE_U64(extent_size(a), size + PAGE);
    expect_words(c, 0, size, 3);
    /* What is committed again reads as zero; growing in place commits too. */
    a = page_store_alloc(&store, PAGES(3), PAGE);
    bool zeroed;
    REQUIRE(a != NULL);
    EXPECT(extent_has(a, EXTENT_ZEROED));
    expect_words(a, 0, PAGES(3), 0);
    EXPECT(page_store_grow_in_place(&store, a, 3 * HUGEPAGE, &zeroed));
    EXPECT(zeroed);
    expect_words(a, 0, 3 * HUGEPAGE, 0);
    tag_words(a, 0, 4);
    page_store_check(&store);
    /* Hooks of the program find all of it committed. */
    (void)page_store_set_hooks(&store, &hooks_of_world);
    list_foreach (node, &store.sets[PAGE_SET_RETAINED].by_age) {
        EXPECT(extent_has(list_entry(node, extent_t, list), EXTENT_COMMITTED));
    }
    (void)page_store_set_hooks(&store, &extent_hooks_default);
    expect_words(a, 0, 3 * HUGEPAGE, 4);
    /* And all that is unused can be unmapped. */
    page_store_free(&store, a);
    EXPECT_GT_U64(page_purge_trim(&store), 3 * HUGEPAGE);
    EXPECT_EQ_U64(store.sets[PAGE_SET_DIRTY].bytes, 0);
    EXPECT_EQ_U64(store.sets[PAGE_SET_RETAINED].bytes, 0);
    expect_words(c, 0, size, 3);
    page_store_free(&store, c);
    end();
    os_overcommits = real;
    conf_opt_storage.retain = retains;
}

TEST(committed_as_used)
{
    commit_and_part(true);
    commit_and_part(false);
}

/* In place, what it needs beyond the step that is committed. */
TEST(growth_commits_what_it_takes)
{
    bool retains = conf_opt_storage.retain;
    conf_opt_storage.retain = true;
    world_begin(0, true, 0);
    begin(&extent_hooks_default, -1, 0);
    store.grow_next = 64 * HUGEPAGE;
    extent_t *e = page_store_alloc(&store, os_page_size(), PAGE);
    bool zeroed;
    REQUIRE(e != NULL);
    EXPECT_GT_U64(committed_unused(), 0);
    EXPECT(page_store_grow_in_place(&store, e, 20 * HUGEPAGE, &zeroed));
    EXPECT(zeroed);
    EXPECT_EQ_U64(committed_unused(), 0);
    tag_words(e, 0, 0);
    page_store_free(&store, e);
    end();
    conf_opt_storage.retain = retains;
}

/* Whether `size` unused bytes of `mapped` are decommitted. */
static bool is_parted(size_t size, size_t mapped)
{
    world_begin(0, true, 0);
    begin(&extent_hooks_default, -1, 0);
    store.grow_next = mapped;
    extent_t *a = page_store_alloc(&store, size, PAGE);
    extent_t *b = page_store_alloc(&store, os_page_size(), PAGE);
    REQUIRE(a != NULL && b != NULL);
    EXPECT_EQ_U64(b->addr, extent_end(a));
    page_store_free(&store, a);
    page_purge_all(&store);
    EXPECT_EQ_PTR(extent_map_lookup(b->addr - PAGE), a);
    bool parted = !extent_has(a, EXTENT_COMMITTED);
    page_store_free(&store, b);
    end();
    return parted;
}

/* So many bytes at least, and such a share of all others. */
static void part_from(bool overcommits, size_t least, size_t share)
{
    bool real = os_overcommits;
    bool retains = conf_opt_storage.retain;
    size_t page = os_page_size();
    os_overcommits = overcommits;
    conf_opt_storage.retain = true;
    EXPECT(is_parted(least, (share + 1) * least));
    EXPECT(!is_parted(least, (share + 1) * least + share * page));
    EXPECT(!is_parted(least - page, (share + 1) * least / 2));
    EXPECT(is_parted(least, (share + 1) * least / 2));
    os_overcommits = real;
    conf_opt_storage.retain = retains;
}

TEST(what_is_decommitted)
{
    part_from(true, (size_t)2 << 20, 32);
    part_from(false, (size_t)64 << 10, 1024);
}

/* ---- hooks that care little for alignment ---- */

static void *hook_askew(extent_hooks_t *hooks, void *addr, size_t size,
    size_t alignment, bool *zero, bool *commit, unsigned arena_ind)
{
    (void)alignment;
    char *p = hook_alloc(
        hooks, addr, size + os_page_size(), alignment, zero, commit, arena_ind);
    if (p == NULL) {
        return NULL;
    }
    unmap(p, os_page_size());
    return p + os_page_size();
}

/* What they give is cut as asked, or not handed out. */
TEST(askew_ranges)
{
    static extent_hooks_t hooks;
    bool retains = conf_opt_storage.retain;
    hooks = hooks_of_world;
    hooks.alloc = hook_askew;
    world_begin(0, true, 0);
    conf_opt_storage.retain = false;
    for (unsigned i = 2; i <= 16; i *= 2) {
        begin(&hooks, -1, 0);
        size_t alignment = i * os_page_size();
        for (unsigned j = 0; j < 4; j++) {
            extent_t *e = page_store_alloc(&store, 2 * alignment, alignment);
            EXPECT(e == NULL || (e->addr & (alignment - 1)) == 0);
            play.live[j] = e;
            if (e != NULL) {
                tag_words(e, 0, 0);
            }
        }
        check_books();
        end();
    }
    conf_opt_storage.retain = retains;
}

/* ---- no memory for descriptors ---- */

static void *no_memory(extent_hooks_t *hooks, void *addr, size_t size,
    size_t alignment, bool *zero, bool *commit, unsigned arena_ind)
{
    (void)hooks, (void)addr, (void)size, (void)alignment;
    (void)zero, (void)commit, (void)arena_ind;
    return NULL;
}

/* Leaves the store `count` descriptors and no memory for more. */
static void starve(unsigned count)
{
    static extent_hooks_t refusing;
    refusing = hooks_of_world;
    refusing.alloc = no_memory;
    base_shared.hooks = &refusing;
    while (base_alloc(&base_shared, QUANTUM, QUANTUM) != NULL) {
    }
    extent_pool_t kept = {0};
    extent_t *e;
    while ((e = extent_pool_take(&store.pool)) != NULL) {
        if (kept.count < count) {
            extent_pool_give(&kept, e);
        }
    }
    EXPECT_EQ_U64(kept.count, count);
    extent_pool_merge(&store.pool, &kept);
}

static void without_descriptors(void *arg)
{
    unsigned count = (unsigned)(uintptr_t)arg;
    begin(&hooks_of_world, -1, 0);
    je_free(je_malloc(1));
    EXPECT(extent_pool_reserve(&store.pool, count));
    starve(count);
    unsigned got = 0;
    while (got < LIVE_MAX) {
        extent_t *e = got % 3 == 2
                          ? page_store_alloc_guarded(&store, PAGE, PAGE)
                          : page_store_alloc(&store, PAGE, 2 * PAGE);
        if (e == NULL) {
            break;
        }
        play.live[got++] = e;
        tag_words(e, 0, 0);
        check_books();
    }
    check_books();
    EXPECT_LE_U64(got, count);
    EXPECT(got != 0 || count < 3);
    end();
}

TEST(no_descriptors)
{
    static test_child_t child;
    for (uintptr_t count = 0; count < 12; count++) {
        /* What cannot be given back must be written off. */
        world_begin(count % 2 == 0 ? 0 : BIT(CALL_DALLOC), true, 0);
        /* NOLINTNEXTLINE(performance-no-int-to-ptr) */
        child = test_in_child(without_descriptors, (void *)count);
        EXPECT_EQ_I64(child.status, 0);
        EXPECT_EQ_STR(child.err, "");
    }
}

/* What the stack may need later would count, too. */
static void grow_stack(void)
{
    volatile char stack[256 << 10];
    for (size_t i = 0; i < sizeof(stack); i += PAGE) {
        stack[i] = 0;
    }
}

static void limit_addresses(size_t bytes)
{
    struct rlimit limit = {bytes, bytes};
    REQUIRE(setrlimit(RLIMIT_AS, &limit) == 0);
}

/* Unmapping what is retained may take two cuts: they are always to be had. */
static void keep_two(void *arg)
{
    (void)arg;
    grow_stack();
    begin(&extent_hooks_default, -1, 0);
    play.live[0] = page_store_alloc(&store, PAGE, PAGE);
    REQUIRE(play.live[0] != NULL);
    starve(3);
    play.live[1] = page_store_alloc(&store, PAGE, PAGE);
    EXPECT_NE_PTR(play.live[1], NULL);
    EXPECT_EQ_U64(store.pool.count, 2);
    limit_addresses(PAGE);
    EXPECT_EQ_PTR(page_store_alloc(&store, PAGE, PAGE), NULL);
    /* What was retained is unmapped, to whole pages of the system. */
    EXPECT_GE_U64(store.pool.count, 2);
    EXPECT_LT_U64(store.sets[PAGE_SET_RETAINED].bytes, 2 * os_page_size());
    end();
}

static size_t addresses_in_use(void)
{
    char text[64] = "";
    int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    REQUIRE(fd >= 0 && read(fd, text, sizeof(text) - 1) > 0);
    close(fd);
    return strtoull(text, NULL, 10) * os_page_size();
}

/* What is unmapped for descriptors is not all mapped again before. */
static void first_descriptors(void *arg)
{
    extent_hooks_t *hooks = base_shared.hooks;
    (void)arg;
    grow_stack();
    begin(&extent_hooks_default, -1, 0);
    store.grow_next = (size_t)16 << 20;
    play.live[0] = page_store_alloc(&store, PAGE, PAGE);
    REQUIRE(play.live[0] != NULL);
    starve(0);
    base_shared.hooks = hooks;
    store.grow_next = ((size_t)16 << 20) - os_page_size();
    store.grow_limit = store.grow_next;
    limit_addresses(addresses_in_use());
    play.live[1] = page_store_alloc(&store, PAGE, PAGE);
    EXPECT_NE_PTR(play.live[1], NULL);
    check_books();
    end();
}

TEST(descriptors_are_left_for_trimming)
{
    static test_child_t child;
    if (!opt.retain || test_is_emulated() || HAS_SANITIZER) {
        test_skip("retains nothing, or does not limit addresses");
    }
    world_begin(0, true, 0);
    child = test_in_child(keep_two, NULL);
    EXPECT_EQ_I64(child.status, 0);
    EXPECT_EQ_STR(child.err, "");
    if (os_page_size() == PAGE) { /* else /proc may count in others */
        child = test_in_child(first_descriptors, NULL);
        EXPECT_EQ_I64(child.status, 0);
        EXPECT_EQ_STR(child.err, "");
    }
}

/* ---- threads ---- */

#define THREADS 4

static void *hammer(void *arg)
{
    uint64_t random = (uintptr_t)arg;
    extent_t *live[8] = {NULL};
    for (unsigned i = 0; i < 4000; i++) {
        extent_t **slot = &live[prng_bits(&random, 3)];
        uint64_t tag = ((uint64_t)(uintptr_t)arg << 32) | (uintptr_t)slot;
        bool zeroed;
        if (*slot == NULL) {
            *slot = page_store_alloc(
                &store, PAGES(1 + prng_bits(&random, 4)), PAGE);
            REQUIRE(*slot != NULL);
            tag_words(*slot, 0, tag);
            continue;
        }
        size_t size = extent_size(*slot);
        expect_words(*slot, 0, size, tag);
        switch (prng_bits(&random, 3)) {
        case 0:
            if (page_store_grow_in_place(&store, *slot, size + PAGE, &zeroed)) {
                tag_words(*slot, size, tag);
            }
            break;
        case 1:
            if (size > PAGE) {
                EXPECT(page_store_shrink(&store, *slot, size - PAGE));
            }
            break;
        case 2:
            page_purge_decay(&store, play.now_ns + i * (SECOND_NS / 1000));
            break;
        default:
            page_store_free(&store, *slot);
            *slot = NULL;
        }
    }
    for (unsigned i = 0; i < 8; i++) {
        if (live[i] != NULL) {
            page_store_free(&store, live[i]);
        }
    }
    return NULL;
}

TEST(threads)
{
    world_begin(0, true, 0);
    begin(&extent_hooks_default, 300, 300);
    pthread_t threads[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++) {
        /* NOLINTNEXTLINE(performance-no-int-to-ptr) */
        REQUIRE(
            pthread_create(&threads[i], NULL, hammer, (void *)(i + 1)) == 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    check_books();
    end();
}

int main(void)
{
    return test_run(TEST_CASE(every_kind_of_hooks),
        TEST_CASE(the_nth_call_fails), TEST_CASE(built_in_hooks),
        TEST_CASE(free_neighbours_become_one), TEST_CASE(order_of_reuse),
        TEST_CASE(pinned_pages_stay), TEST_CASE(decay_gives_back_in_time),
        TEST_CASE(from_the_threshold_on), TEST_CASE(new_peaks_only),
        TEST_CASE(nobody_purges_in_a_child), TEST_CASE(purges_are_counted),
        TEST_CASE(whole_extents), TEST_CASE(steps_of_committing),
        TEST_CASE(times_that_mean_never_and_at_once),
        TEST_CASE(too_much_is_refused), TEST_CASE(a_small_step_is_tried),
        TEST_CASE(roomy_blocks_grow),
        TEST_CASE(guards_are_forbidden_until_freed),
        TEST_CASE(moving_takes_the_pages_along), TEST_CASE(committed_as_used),
        TEST_CASE(growth_commits_what_it_takes), TEST_CASE(what_is_decommitted),
        TEST_CASE(askew_ranges), TEST_CASE(no_descriptors),
        TEST_CASE(descriptors_are_left_for_trimming), TEST_CASE(threads), NULL);
}
