/*
 * What: misuse that the library must notice: freeing twice, freeing what it
 * never gave. Each ends with a message and SIGABRT.
 *
 * Invariants: every case runs in a child; the message must begin with the
 * library's prefix and name the kind of misuse.
 *
 * Locking: none.
 */
#include "harness.h"
#include <jemalloc/jemalloc.h>

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

static test_child_t r;

/* Hides from the compiler what happens to p. */
static void give_back(void *p)
{
    void *volatile hidden = p;
    free(hidden);
}

/* Enough traffic of the class to carry any cached pointer to its slab. */
static void churn(size_t size)
{
    static void *p[4000];
    for (int i = 0; i < 4000; i++) {
        p[i] = malloc(size);
    }
    for (int i = 0; i < 4000; i++) {
        free(p[i]);
    }
    mallctl("thread.tcache.flush", NULL, NULL, NULL, 0);
}

static void expect_abort(void (*fn)(void *), void *arg, const char *word)
{
    r = test_in_child(fn, arg);
    EXPECT(WIFSIGNALED(r.status));
    EXPECT_EQ_I64(WTERMSIG(r.status), SIGABRT);
    EXPECT_EQ_I64(strncmp(r.err, "<jemalloc>: ", 12), 0);
    if (strstr(r.err, word) == NULL) {
        EXPECT_EQ_STR(r.err, word);
    }
}

static void double_free(void *arg)
{
    size_t size = *(size_t *)arg;
    void *p = malloc(size), *other = malloc(size);
    give_back(p);
    give_back(p);
    give_back(other);
    churn(size);
}

TEST(double_free_is_found)
{
    static size_t sizes[] = {8, 64, 1000, 14336, 20000, 32768, 100000, 5 << 20};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        expect_abort(double_free, &sizes[i], "free");
    }
}

static void double_free_later(void *arg)
{
    size_t size = *(size_t *)arg;
    void *p = malloc(size), *keep = malloc(size);
    give_back(p);
    mallctl("thread.tcache.flush", NULL, NULL, NULL, 0);
    give_back(p);
    mallctl("thread.tcache.flush", NULL, NULL, NULL, 0);
    give_back(keep);
}

TEST(double_free_after_flush)
{
    static size_t sizes[] = {8, 64, 1000, 14336, 20000, 100000};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        expect_abort(double_free_later, &sizes[i], "free");
    }
}

/* Neither is pushed out of the cache before the process ends. */
static void double_free_at_exit(void *arg)
{
    static void *p[60];
    (void)arg;
    for (int i = 0; i < 60; i++) {
        p[i] = malloc(64);
    }
    for (int i = 0; i < 60; i++) {
        give_back(p[i]);
    }
    give_back(p[0]);
    exit(0);
}

TEST(double_free_is_found_at_exit)
{
    expect_abort(double_free_at_exit, NULL, "free");
}

static void free_stack(void *arg)
{
    char on_stack[64];
    (void)arg;
    free(malloc(10));
    give_back(on_stack + 16);
}

static void free_static(void *arg)
{
    static char in_data[4096];
    (void)arg;
    free(malloc(10));
    give_back(in_data + 512);
}

static void free_mapping(void *arg)
{
    (void)arg;
    free(malloc(10));
    give_back(mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE,
        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

static void free_number(void *arg)
{
    free(malloc(10));
    give_back(*(void **)arg);
}

TEST(foreign_pointers_are_found)
{
    static void *numbers[] = {
        (void *)0x1000, (void *)0x7fff00001000, (void *)0xdeadbeef000};
    expect_abort(free_stack, NULL, "does not own");
    expect_abort(free_static, NULL, "does not own");
    expect_abort(free_mapping, NULL, "does not own");
    for (int i = 0; i < 3; i++) {
        expect_abort(free_number, &numbers[i], "does not own");
    }
}

static void free_inside(void *arg)
{
    size_t size = *(size_t *)arg;
    char *p = malloc(size);
    give_back(p + 8);
    churn(size);
}

TEST(inner_pointers_are_found)
{
    static size_t sizes[] = {64, 1000, 14336, 20000, 100000};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        expect_abort(free_inside, &sizes[i], "start of a");
    }
}

static void bad_cache(void *arg)
{
    (void)arg;
    void *volatile p = mallocx(100, (int)MALLOCX_TCACHE(77));
    (void)p;
}

TEST(unknown_cache_is_named)
{
    expect_abort(bad_cache, NULL, "invalid tcache id (77).");
}

int main(void)
{
    return test_run(TEST_CASE(double_free_is_found),
        TEST_CASE(double_free_after_flush),
        TEST_CASE(double_free_is_found_at_exit),
        TEST_CASE(foreign_pointers_are_found),
        TEST_CASE(inner_pointers_are_found), TEST_CASE(unknown_cache_is_named),
        NULL);
}
