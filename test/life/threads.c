/*
 * What: what a thread may be like: with the smallest stack there is, with
 * many keys whose destructors allocate round after round, born when memory is
 * out; and errno, which every kind of free leaves alone everywhere.
 *
 * Invariants: a thread that could not have memory gets it later.
 *
 * Locking: none.
 */
#include "harness.h"
#include <jemalloc/jemalloc.h>

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static const size_t sizes[] = {1, 8, 64, 1000, 4096, 14336, 20000, 32768, 33000,
    100000, 1 << 20, 5 << 20, 30 << 20};
#define SIZES (sizeof(sizes) / sizeof(sizes[0]))

/* ---- errno ---- */

/* No compiler may think that it knows what becomes of the block. */
static void *hide(void *p)
{
    void *volatile hidden = p;
    return hidden;
}

static void *take(size_t size)
{
    char *p = hide(malloc(size));
    REQUIRE(p != NULL);
    p[0] = 1;
    p[size - 1] = 1;
    return p;
}

static unsigned free_in_all_ways(size_t size)
{
    unsigned changed = 0;
    void *p[10];
    for (int i = 0; i < 10; i++) {
        p[i] = i == 4 ? hide(aligned_alloc(64, size)) : take(size);
        REQUIRE(p[i] != NULL);
    }
    errno = 77;
    free(p[0]);
    changed += errno != 77;
    free(hide(NULL));
    changed += errno != 77;
    free_sized(p[1], size);
    changed += errno != 77;
    dallocx(p[2], 0);
    changed += errno != 77;
    sdallocx(p[3], size, 0);
    changed += errno != 77;
    free_aligned_sized(p[4], 64, size);
    changed += errno != 77;
    dallocx(p[5], MALLOCX_TCACHE_NONE);
    changed += errno != 77;
    sdallocx(p[6], size, MALLOCX_TCACHE_NONE);
    changed += errno != 77;
    changed += realloc(p[7], 0) != NULL;
    changed += errno != 77;
    free(p[8]);
    changed += errno != 77;
    free(p[9]);
    changed += errno != 77;
    return changed;
}

static unsigned free_all_sizes(void)
{
    unsigned changed = 0;
    for (size_t i = 0; i < SIZES; i++) {
        changed += free_in_all_ways(sizes[i]);
    }
    /* Enough to overflow stacks, empty slabs and purge their pages. */
    static _Thread_local void *room[3000];
    /* Compilers reach for room - 100 below, which has no address on AArch64. */
    void **many = hide(room);
    for (size_t i = 0; i < 3000; i++) {
        many[i] = take(100 + i);
    }
    errno = 77;
    for (size_t i = 0; i < 3000; i++) {
        free(many[i]);
        changed += errno != 77;
    }
    return changed;
}

static atomic_uint changes;
static pthread_key_t errno_key;

static void free_when_dead(void *rounds)
{
    atomic_fetch_add(&changes, free_all_sizes());
    if ((intptr_t)rounds > 1) {
        pthread_setspecific(errno_key, (void *)((intptr_t)rounds - 1));
    }
}

static void *free_until_dead(void *arg)
{
    (void)arg;
    pthread_setspecific(errno_key, (void *)(intptr_t)3);
    atomic_fetch_add(&changes, free_all_sizes());
    return NULL;
}

TEST(frees_keep_errno)
{
    pthread_t thread;
    EXPECT_EQ_U64(free_all_sizes(), 0);
    bool off = false, on = true;
    REQUIRE(mallctl("thread.tcache.enabled", NULL, NULL, &off, 1) == 0);
    EXPECT_EQ_U64(free_all_sizes(), 0);
    REQUIRE(mallctl("thread.tcache.enabled", NULL, NULL, &on, 1) == 0);
    REQUIRE(pthread_key_create(&errno_key, free_when_dead) == 0);
    REQUIRE(pthread_create(&thread, NULL, free_until_dead, NULL) == 0);
    pthread_join(thread, NULL);
    EXPECT_EQ_U64(atomic_load(&changes), 0);
}

/* ---- many keys ---- */

/* More than fit the first block of values that libc has for a thread. */
#define KEYS   60
#define ROUNDS 4

static pthread_key_t keys[KEYS];
static atomic_uint visits;

typedef struct {
    unsigned key;
    unsigned round;
} visit_t;

static void visit(void *value)
{
    visit_t now = *(visit_t *)value;
    atomic_fetch_add(&visits, 1);
    free(value);
    for (size_t i = 0; i < SIZES; i++) {
        void *p = take(sizes[i]);
        p = realloc(p, sizes[i] + 100);
        EXPECT(p != NULL);
        free(p);
    }
    if (++now.round < ROUNDS) {
        visit_t *next = malloc(sizeof(*next));
        REQUIRE(next != NULL);
        *next = now;
        pthread_setspecific(keys[now.key], next);
    }
}

static void *leave_visits(void *arg)
{
    for (unsigned i = 0; i < KEYS; i++) {
        /* From both ends, so that libc's table grows at any time. */
        unsigned key = arg == NULL ? i : KEYS - 1 - i;
        visit_t *value = malloc(sizeof(*value));
        REQUIRE(value != NULL);
        *value = (visit_t){key, 0};
        REQUIRE(pthread_setspecific(keys[key], value) == 0);
    }
    return NULL;
}

TEST(destructors_of_many_keys)
{
    pthread_t threads[6];
    for (unsigned i = 0; i < KEYS; i++) {
        REQUIRE(pthread_key_create(&keys[i], visit) == 0);
    }
    for (int i = 0; i < 6; i++) {
        REQUIRE(pthread_create(&threads[i], NULL, leave_visits,
                    i % 2 == 0 ? NULL : &visits) == 0);
    }
    for (int i = 0; i < 6; i++) {
        pthread_join(threads[i], NULL);
    }
    EXPECT_EQ_U64(atomic_load(&visits), 6 * KEYS * ROUNDS);
}

/* ---- the smallest stack ---- */

static void drop_text(void *opaque, const char *text)
{
    (void)text;
    ++*(size_t *)opaque;
}

static void *call_everything(void *arg)
{
    size_t lines = 0;
    size_t length = sizeof(lines);
    uint64_t epoch = 1;
    void *p;
    EXPECT_EQ_U64(free_all_sizes(), 0);
    free(calloc(100, 1000));
    free(memalign(4096, 100));
    free(valloc(100));
    EXPECT_EQ_I64(posix_memalign(&p, 1 << 20, 100), 0);
    p = realloc(p, 3 << 20);
    p = rallocx(p, 100, MALLOCX_ZERO);
    EXPECT_GE_U64(xallocx(p, 50, 0, 0), 50);
    EXPECT_GE_U64(sallocx(p, 0), 100);
    EXPECT_GE_U64(nallocx(100, 0), 100);
    EXPECT_GE_U64(malloc_usable_size(p), 100);
    free(p);
    mallctl("epoch", NULL, NULL, &epoch, sizeof(epoch));
    EXPECT_EQ_I64(mallctl("stats.allocated", &lines, &length, NULL, 0), 0);
    EXPECT_EQ_I64(mallctl("thread.tcache.flush", NULL, NULL, NULL, 0), 0);
    EXPECT_EQ_I64(mallctl("arena.4096.decay", NULL, NULL, NULL, 0), 0);
    EXPECT_EQ_I64(mallctl("arena.4096.purge", NULL, NULL, NULL, 0), 0);
    malloc_stats_print(drop_text, &lines, NULL);
    malloc_stats_print(drop_text, &lines, "J");
    EXPECT_GT_U64(lines, 10);
    return arg;
}

TEST(smallest_stack)
{
    pthread_attr_t attr;
    pthread_t thread;
    void *result = NULL;
    if (HAS_SANITIZER) {
        test_skip("a sanitizer needs stack of its own");
    }
#ifdef _SC_THREAD_STACK_MIN
    size_t stack = (size_t)sysconf(_SC_THREAD_STACK_MIN);
#else
    size_t stack = PTHREAD_STACK_MIN;
#endif
    /* Of this, 24 KB belong to thread-locals of this test. */
    stack += sizeof(void *) * 3000;
    REQUIRE(pthread_attr_init(&attr) == 0);
    REQUIRE(pthread_attr_setstacksize(&attr, (stack + 4095) & ~4095UL) == 0);
    for (int i = 0; i < 3; i++) {
        REQUIRE(pthread_create(&thread, &attr, call_everything, &visits) == 0);
        pthread_join(thread, &result);
        EXPECT_EQ_PTR(result, &visits);
    }
}

/* ---- born when memory is out ---- */

static pthread_barrier_t gate;
static atomic_uint refused, served;

/* The first call of its life, with nothing left; then with memory again. */
static void *first_call(void *size)
{
    pthread_barrier_wait(&gate);
    pthread_barrier_wait(&gate);
    errno = 0;
    char *p = hide(malloc((size_t)size));
    if (p == NULL) {
        EXPECT_EQ_I64(errno, ENOMEM);
        atomic_fetch_add(&refused, 1);
    } else {
        memset(p, 7, (size_t)size);
        free(p);
        atomic_fetch_add(&served, 1);
    }
    pthread_barrier_wait(&gate);
    pthread_barrier_wait(&gate);
    for (size_t i = 0; i < SIZES; i++) {
        p = malloc(sizes[i]);
        EXPECT(p != NULL);
        free(p);
    }
    return NULL;
}

#define STARVING 16

static size_t address_space(void)
{
    char line[200];
    size_t kilobytes = 0;
    FILE *status = fopen("/proc/self/status", "r");
    while (status != NULL && fgets(line, sizeof(line), status) != NULL &&
           sscanf(line, "VmSize: %zu kB", &kilobytes) != 1) {
    }
    if (status != NULL) {
        fclose(status);
    }
    REQUIRE(kilobytes != 0);
    return kilobytes * 1024;
}

/* A stack cannot grow either when there are no addresses left. */
__attribute__((noinline)) static void grow_stack(void)
{
    volatile char room[256 * 1024];
    for (size_t i = 0; i < sizeof(room); i += 1024) {
        room[i] = 1;
    }
}

static void starve(void *arg)
{
    size_t slack = *(size_t *)arg;
    pthread_t threads[STARVING];
    struct rlimit old, tight;
    alarm(60);
    grow_stack();
    REQUIRE(pthread_barrier_init(&gate, NULL, STARVING + 1) == 0);
    for (size_t i = 0; i < STARVING; i++) {
        REQUIRE(pthread_create(&threads[i], NULL, first_call,
                    (void *)(sizes[i % 8] * (1 + i))) == 0);
    }
    pthread_barrier_wait(&gate);
    REQUIRE(getrlimit(RLIMIT_AS, &old) == 0);
    tight = old;
    tight.rlim_cur = address_space() + slack;
    REQUIRE(setrlimit(RLIMIT_AS, &tight) == 0);
    while (slack == 0 && malloc(200000) != NULL) {
        /* What the heap has in stock goes as well. */
    }
    while (slack == 0 && malloc(64) != NULL) {
    }
    pthread_barrier_wait(&gate);
    pthread_barrier_wait(&gate);
    unsigned answers = atomic_load(&refused) + atomic_load(&served);
    REQUIRE(setrlimit(RLIMIT_AS, &old) == 0);
    pthread_barrier_wait(&gate);
    for (int i = 0; i < STARVING; i++) {
        pthread_join(threads[i], NULL);
    }
    EXPECT_EQ_U64(answers, STARVING);
    EXPECT(slack != 0 || atomic_load(&refused) != 0);
}

TEST(born_without_memory)
{
    if (test_is_emulated()) {
        test_skip("the emulator limits no addresses");
    }
    if (HAS_SANITIZER) {
        test_skip("a sanitizer needs address space of its own");
    }
    for (size_t slack = 0; slack < (size_t)8 << 20;
         slack = slack == 0 ? 4096 : slack * 8) {
        test_child_t child = test_in_child(starve, &slack);
        EXPECT_EQ_I64(child.status, 0);
        EXPECT_EQ_STR(child.err, "");
    }
}

int main(void)
{
    return test_run(TEST_CASE(frees_keep_errno),
        TEST_CASE(destructors_of_many_keys), TEST_CASE(smallest_stack),
        TEST_CASE(born_without_memory), NULL);
}
