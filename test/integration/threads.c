/*
 * What: threads that end: allocation and free in destructors of other
 * thread-specific keys, before and after the allocator's own, threads that
 * only free, many short threads, blocks that outlive their thread.
 *
 * Invariants: memory of threads that are gone must come back, so the mapped
 * total after many threads is bounded by what a few needed.
 *
 * Locking: a barrier here and there, nothing else.
 */
#include "harness.h"
#include <jemalloc/jemalloc.h>

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#define KEYS   8
#define ROUNDS 4 /* POSIX: PTHREAD_DESTRUCTOR_ITERATIONS is at least this */

static pthread_key_t keys[KEYS];
static atomic_int destroyed;

typedef struct {
    int key;
    int round;
    char *block;
} token_t;

/* Frees what the thread left, allocates anew, and comes again. */
static void destructor(void *value)
{
    token_t *token = value;
    atomic_fetch_add(&destroyed, 1);
    EXPECT_EQ_I64(token->block[99], 'x');
    free(token->block);
    int key = token->key, round = token->round + 1;
    free(token);
    void *big = malloc(100000), *small = calloc(3, 50);
    EXPECT(big != NULL && small != NULL);
    big = realloc(big, 300);
    free(big);
    free(small);
    if (round < ROUNDS) {
        token = malloc(sizeof(*token));
        REQUIRE(token != NULL);
        token->key = key;
        token->round = round;
        token->block = malloc(100 + (size_t)round * 5000);
        REQUIRE(token->block != NULL);
        token->block[99] = 'x';
        pthread_setspecific(keys[key], token);
    }
}

static void *leave_tokens(void *arg)
{
    (void)arg;
    for (int i = 0; i < KEYS; i++) {
        token_t *token = calloc(1, sizeof(*token));
        REQUIRE(token != NULL);
        token->key = i;
        token->block = malloc(100);
        REQUIRE(token->block != NULL);
        token->block[99] = 'x';
        pthread_setspecific(keys[i], token);
    }
    return NULL;
}

TEST(destructors_of_other_keys)
{
    for (int i = 0; i < KEYS; i++) {
        REQUIRE(pthread_key_create(&keys[i], destructor) == 0);
    }
    for (int i = 0; i < 50; i++) {
        pthread_t thread;
        REQUIRE(pthread_create(&thread, NULL, leave_tokens, NULL) == 0);
        pthread_join(thread, NULL);
    }
    EXPECT_EQ_I64(destroyed, 50 * KEYS * ROUNDS);
}

/* The first call a thread ever makes happens in a destructor. */
static void first_use_destructor(void *value)
{
    (void)value;
    void *p = malloc(1000);
    EXPECT(p != NULL);
    free(p);
    atomic_fetch_add(&destroyed, 1);
}

static pthread_key_t late_key;

static void *set_late(void *arg)
{
    pthread_setspecific(late_key, arg);
    return NULL;
}

TEST(first_use_in_a_destructor)
{
    atomic_store(&destroyed, 0);
    REQUIRE(pthread_key_create(&late_key, first_use_destructor) == 0);
    for (int i = 0; i < 200; i++) {
        pthread_t thread;
        REQUIRE(pthread_create(&thread, NULL, set_late, &late_key) == 0);
        pthread_join(thread, NULL);
    }
    EXPECT_EQ_I64(destroyed, 200);
}

#define HANDED 3000
static void *handed[HANDED];

static void *only_frees(void *arg)
{
    (void)arg;
    for (int i = 0; i < HANDED; i++) {
        EXPECT_EQ_U64(*(unsigned char *)handed[i], i % 251);
        free(handed[i]);
    }
    return NULL;
}

static void *only_allocates(void *arg)
{
    (void)arg;
    for (int i = 0; i < HANDED; i++) {
        handed[i] = malloc(1 + (size_t)i * 7 % 20000);
        REQUIRE(handed[i] != NULL);
        memset(handed[i], i % 251, 1 + (size_t)i * 7 % 20000);
    }
    return NULL;
}

static size_t allocated(void)
{
    uint64_t epoch = 1;
    size_t bytes = 0, length = sizeof(bytes);
    mallctl("epoch", NULL, NULL, &epoch, sizeof(epoch));
    EXPECT_EQ_I64(mallctl("stats.allocated", &bytes, &length, NULL, 0), 0);
    return bytes;
}

TEST(blocks_outlive_their_thread)
{
    size_t first = 0;
    for (int round = 0; round < 12; round++) {
        pthread_t thread;
        REQUIRE(pthread_create(&thread, NULL, only_allocates, NULL) == 0);
        pthread_join(thread, NULL);
        REQUIRE(pthread_create(&thread, NULL, only_frees, NULL) == 0);
        pthread_join(thread, NULL);
        first = round == 3 ? allocated() : first;
    }
    /* A round moves about 30 MB; a lost cache would show. */
    EXPECT_LE_U64(allocated(), first + ((size_t)1 << 20));
}

static void *short_life(void *arg)
{
    void *p[20];
    (void)arg;
    for (size_t i = 0; i < 20; i++) {
        p[i] = malloc((size_t)16 << (i % 11));
    }
    for (size_t i = 0; i < 20; i++) {
        free(p[i]);
    }
    return NULL;
}

static size_t stat_mapped(void)
{
    uint64_t epoch = 1;
    size_t bytes = 0, length = sizeof(bytes);
    mallctl("epoch", NULL, NULL, &epoch, sizeof(epoch));
    EXPECT_EQ_I64(mallctl("stats.mapped", &bytes, &length, NULL, 0), 0);
    return bytes;
}

TEST(many_short_threads)
{
    size_t early = 0;
    for (int i = 0; i < 2000; i++) {
        pthread_t thread;
        REQUIRE(pthread_create(&thread, NULL, short_life, NULL) == 0);
        pthread_join(thread, NULL);
        early = i == 200 ? stat_mapped() : early;
    }
    EXPECT_LE_U64(stat_mapped(), early + ((size_t)8 << 20));
}

static pthread_barrier_t gate;

static void *all_at_once(void *arg)
{
    (void)arg;
    pthread_barrier_wait(&gate);
    return short_life(NULL);
}

TEST(many_threads_at_once)
{
    enum { N = 200 };
    static pthread_t threads[N];
    REQUIRE(pthread_barrier_init(&gate, NULL, N) == 0);
    for (int i = 0; i < N; i++) {
        REQUIRE(pthread_create(&threads[i], NULL, all_at_once, NULL) == 0);
    }
    for (int i = 0; i < N; i++) {
        pthread_join(threads[i], NULL);
    }
}

int main(void)
{
    return test_run(TEST_CASE(destructors_of_other_keys),
        TEST_CASE(first_use_in_a_destructor),
        TEST_CASE(blocks_outlive_their_thread), TEST_CASE(many_short_threads),
        TEST_CASE(many_threads_at_once), NULL);
}
