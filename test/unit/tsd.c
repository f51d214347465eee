/*
 * What: a thread's record through its life: none, being made, made, dead;
 * and the door of the fast path, which follows it.
 *
 * Invariants: (I1) each case looks at a fresh thread.
 *
 * Locking: none.
 */
#include "thread/tsd.h"

#include <pthread.h>
#include <string.h>

#include "arena/arena_table.h"
#include "harness.h"

/* As in a release build: the fast path is open. */
const char *je_malloc_conf = "junk:false,debug_double_free_max_scan:0";

static void in_thread(void *(*fn)(void *))
{
    je_free(je_malloc(1)); /* boots */
    pthread_t thread;
    REQUIRE(pthread_create(&thread, NULL, fn, NULL) == 0);
    pthread_join(thread, NULL);
}

static bool is_open(void)
{
    return tsd_door != (cache_bins_t *)(uintptr_t)&cache_bins_closed;
}

/* Allocates, writes, frees: what must work in every state. */
static void use_heap(void)
{
    const size_t sizes[] = {1, 100, 5000, 20000, 200000};
    for (unsigned i = 0; i < 5; i++) {
        char *p = je_malloc(sizes[i]);
        REQUIRE(p != NULL);
        memset(p, 1, sizes[i]);
        p = je_realloc(p, sizes[i] * 2);
        REQUIRE(p != NULL);
        EXPECT_EQ_I64(p[sizes[i] - 1], 1);
        je_free(p);
    }
}

static void *be_born(void *arg)
{
    EXPECT_EQ_PTR(tsd_self, NULL);
    EXPECT(!is_open());
    use_heap();
    tsd_t *tsd = tsd_self;
    REQUIRE(tsd_is_record(tsd));
    EXPECT_EQ_PTR(tsd_door, &tsd->tcache.bins);
    EXPECT_EQ_PTR(tsd->tcache.arena, tsd->arena);
    EXPECT_GE_U64(arena_table_nthreads(tsd->arena), 1);
    /* There is one already. */
    EXPECT_EQ_PTR(tsd_create(), NULL);
    EXPECT_EQ_PTR(tsd_self, tsd);
    return arg;
}

TEST(birth)
{
    in_thread(be_born);
}

/* While the record is made, calls do without; none is made meanwhile. */
static void *half_born(void *arg)
{
    tsd_self = TSD_BORN;
    EXPECT(!tsd_is_record(tsd_self));
    use_heap();
    EXPECT_EQ_PTR(tsd_self, TSD_BORN);
    EXPECT(!is_open());
    EXPECT_EQ_PTR(tsd_create(), NULL);
    tsd_self = NULL;
    use_heap();
    EXPECT(tsd_is_record(tsd_self));
    return arg;
}

TEST(while_being_born)
{
    in_thread(half_born);
}

/* ---- death ---- */

static pthread_key_t late_key;
static unsigned late_calls;
static arena_t *arena_of_dead;
static unsigned left_in_arena;

/* Runs until the record is dead; then allocates once more. */
static void late(void *opaque)
{
    bool dead = tsd_self == TSD_DEAD;
    use_heap();
    if (dead) {
        EXPECT_EQ_PTR(tsd_self, TSD_DEAD);
        EXPECT(!is_open());
        EXPECT_EQ_PTR(tsd_create(), NULL);
        left_in_arena = arena_table_nthreads(arena_of_dead);
        late_calls++;
    } else {
        (void)pthread_setspecific(late_key, opaque);
    }
}

static void *die(void *arg)
{
    use_heap();
    arena_of_dead = ((tsd_t *)tsd_self)->arena;
    REQUIRE(pthread_setspecific(late_key, arg) == 0);
    return NULL;
}

TEST(death)
{
    je_free(je_malloc(1));
    /* Made after the library's, so its first round comes later or not. */
    REQUIRE(pthread_key_create(&late_key, late) == 0);
    late_calls = 0;
    pthread_t thread;
    REQUIRE(pthread_create(&thread, NULL, die, &late_calls) == 0);
    unsigned before = arena_table_nthreads(((tsd_t *)tsd_self)->arena);
    pthread_join(thread, NULL);
    EXPECT_EQ_U64(late_calls, 1);
    if (arena_of_dead == ((tsd_t *)tsd_self)->arena) {
        EXPECT_LE_U64(left_in_arena, before);
    } else {
        EXPECT_EQ_U64(left_in_arena, 0);
    }
    (void)pthread_key_delete(late_key);
}

static void *note_record(void *arg)
{
    use_heap();
    *(tsd_t **)arg = tsd_self;
    return NULL;
}

/* The memory of the dead serves the next one, and it starts anew. */
TEST(records_are_recycled)
{
    je_free(je_malloc(1));
    tsd_t *record[3];
    for (unsigned i = 0; i < 3; i++) {
        pthread_t thread;
        REQUIRE(pthread_create(&thread, NULL, note_record, &record[i]) == 0);
        pthread_join(thread, NULL);
    }
    EXPECT_EQ_PTR(record[1], record[0]);
    EXPECT_EQ_PTR(record[2], record[0]);
}

/* ---- switches ---- */

static void *switch_cache(void *arg)
{
    use_heap();
    tsd_t *tsd = tsd_self;
    REQUIRE(tsd_is_record(tsd));
    unsigned c = sizeclass_index(100) + 1;
    EXPECT_NE_U64(tcache_cached(&tsd->tcache, c), 0);
    tsd_set_tcache_enabled(tsd, false);
    EXPECT(!is_open());
    EXPECT_EQ_U64(tcache_cached(&tsd->tcache, c), 0);
    use_heap();
    EXPECT(!is_open());
    EXPECT_EQ_U64(tcache_cached(&tsd->tcache, c), 0);
    tsd_open_door();
    EXPECT(!is_open());
    tsd_set_tcache_enabled(tsd, true);
    EXPECT(is_open());
    tsd_shut_door();
    EXPECT(!is_open());
    use_heap();
    tsd_open_door();
    EXPECT(is_open());
    return arg;
}

TEST(switching_the_cache)
{
    in_thread(switch_cache);
}

static void *switch_arena(void *arg)
{
    use_heap();
    tsd_t *tsd = tsd_self;
    arena_t *from = tsd->arena;
    int error;
    arena_t *to = arena_table_create(&extent_hooks_default, true, &error);
    REQUIRE(to != NULL);
    unsigned before = arena_table_nthreads(from);
    tsd_set_arena(tsd, to);
    EXPECT_EQ_U64(arena_table_nthreads(from), before - 1);
    EXPECT_EQ_U64(arena_table_nthreads(to), 1);
    tsd_set_arena(tsd, to);
    EXPECT_EQ_U64(arena_table_nthreads(to), 1);
    void *p = je_malloc(200000);
    EXPECT_EQ_U64(extent_arena(extent_map_find(p)), to->ind);
    je_free(p);
    tsd_set_arena(tsd, from);
    tcache_flush(&tsd->tcache);
    EXPECT_EQ_I64(arena_table_destroy(to->ind), 0);
    return arg;
}

TEST(switching_the_arena)
{
    in_thread(switch_arena);
}

/* ---- traffic ---- */

static void *count_traffic(void *arg)
{
    use_heap();
    uint64_t a0;
    uint64_t d0;
    uint64_t a1;
    uint64_t d1;
    tsd_traffic(tsd_self, &a0, &d0);
    EXPECT_EQ_U64(a0, d0);
    void *small = je_malloc(100);
    void *large = je_malloc(200000);
    tsd_traffic(tsd_self, &a1, &d1);
    EXPECT_EQ_U64(
        a1 - a0, je_malloc_usable_size(small) + je_malloc_usable_size(large));
    EXPECT_EQ_U64(d1, d0);
    je_free(small);
    je_free(large);
    tsd_traffic(tsd_self, &a1, &d1);
    EXPECT_EQ_U64(a1, d1);
    tsd_set_tcache_enabled(tsd_self, false);
    je_free(je_malloc(64));
    tsd_traffic(tsd_self, &a0, &d0);
    EXPECT_EQ_U64(a0, a1 + 64);
    EXPECT_EQ_U64(d0, d1 + 64);
    return arg;
}

TEST(traffic)
{
    in_thread(count_traffic);
}

int main(void)
{
    return test_run(TEST_CASE(birth), TEST_CASE(while_being_born),
        TEST_CASE(death), TEST_CASE(records_are_recycled),
        TEST_CASE(switching_the_cache), TEST_CASE(switching_the_arena),
        TEST_CASE(traffic), NULL);
}
