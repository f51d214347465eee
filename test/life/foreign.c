/*
 * What: pointers of the C library's own malloc, given to this library: they
 * go back where they came from. Pointers that only look like it are reported.
 *
 * Invariants: what the C library counts as in use is the same afterwards.
 *
 * Locking: none.
 */
#include "harness.h"
#include <jemalloc/jemalloc.h>

#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

extern void *__libc_malloc(size_t) __attribute__((weak));
extern void *__libc_calloc(size_t, size_t) __attribute__((weak));
extern void *__libc_memalign(size_t, size_t) __attribute__((weak));
extern void __libc_free(void *) __attribute__((weak));

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) ||           \
    !defined(__GLIBC__)
#    define LIBC_HAS_MALLOC false
#elif defined(__has_feature)
#    define LIBC_HAS_MALLOC                                                    \
        (!__has_feature(address_sanitizer) && !__has_feature(thread_sanitizer))
#else
#    define LIBC_HAS_MALLOC true
#endif

/* Small, medium, on the edge of pages, and mapped ones. */
static const size_t sizes[] = {
    1, 24, 25, 100, 1000, 4072, 4096, 70000, 200000, 1 << 20, 5000000};
#define SIZES (sizeof(sizes) / sizeof(sizes[0]))

static size_t (*libc_usable_size)(void *);

static void find_libc(void)
{
    if (!LIBC_HAS_MALLOC || __libc_malloc == NULL) {
        test_skip("the C library has no malloc of its own");
    }
    void *libc = dlopen("libc.so.6", RTLD_LAZY | RTLD_NOLOAD);
    REQUIRE(libc != NULL);
    *(void **)&libc_usable_size = dlsym(libc, "malloc_usable_size");
    REQUIRE(libc_usable_size != NULL);
}

/* Bytes that the C library says are in use, mapped ones included. */
static size_t libc_in_use(void)
{
    typedef struct {
        size_t arena, ordblks, smblks, hblks, hblkhd;
        size_t usmblks, fsmblks, uordblks, fordblks, keepcost;
    } info_t; /* struct mallinfo2 */
    info_t (*libc_mallinfo2)(void);
    void *libc = dlopen("libc.so.6", RTLD_LAZY | RTLD_NOLOAD);
    *(void **)&libc_mallinfo2 = dlsym(libc, "mallinfo2");
    if (libc_mallinfo2 == NULL) {
        return 0; /* before 2.33 */
    }
    info_t info = libc_mallinfo2();
    return info.uordblks + info.hblkhd;
}

typedef enum { BY_MALLOC, BY_CALLOC, BY_MEMALIGN, WAYS } way_t;

static char *give(way_t way, size_t size)
{
    char *p = way == BY_MALLOC   ? __libc_malloc(size)
              : way == BY_CALLOC ? __libc_calloc(1, size)
                                 : __libc_memalign(256, size);
    REQUIRE(p != NULL);
    memset(p, 0x3c, size);
    return p;
}

static void check_contents(const char *p, size_t size)
{
    size_t wrong = 0;
    for (size_t i = 0; i < size; i++) {
        wrong += p[i] != 0x3c;
    }
    EXPECT_EQ_U64(wrong, 0);
}

static void all_frees(way_t way, size_t size)
{
    errno = 77;
    free(give(way, size));
    dallocx(give(way, size), 0);
    dallocx(give(way, size), MALLOCX_TCACHE_NONE);
    EXPECT_EQ_PTR(realloc(give(way, size), 0), NULL);
    EXPECT_EQ_I64(errno, 77);
    /* Kept in a cache for a while, and given back when that is emptied. */
    free_sized(give(way, size), size);
    sdallocx(give(way, size), size, 0);
    mallctl("thread.tcache.flush", NULL, NULL, NULL, 0);
}

static void all_sizes(way_t way, size_t size)
{
    char *p = give(way, size);
    EXPECT_EQ_U64(malloc_usable_size(p), libc_usable_size(p));
    EXPECT_EQ_U64(sallocx(p, 0), libc_usable_size(p));
    EXPECT_EQ_U64(xallocx(p, size * 2 + 100, 0, 0), libc_usable_size(p));
    check_contents(p, size);
    p = realloc(p, size * 3 + 50);
    REQUIRE(p != NULL);
    check_contents(p, size);
    p = realloc(p, 1 + size / 2);
    REQUIRE(p != NULL);
    check_contents(p, 1 + size / 2);
    p = rallocx(p, size + 10, MALLOCX_ALIGN(4096));
    REQUIRE(p != NULL);
    EXPECT_EQ_U64((uintptr_t)p % 4096, 0);
    check_contents(p, 1 + size / 2);
    free(p);
}

static void *everything(void *arg)
{
    (void)arg;
    for (way_t way = BY_MALLOC; way < WAYS; way++) {
        for (size_t i = 0; i < SIZES; i++) {
            all_frees(way, sizes[i]);
            all_sizes(way, sizes[i]);
        }
    }
    return NULL;
}

TEST(of_the_main_arena)
{
    find_libc();
    everything(NULL);
    size_t before = libc_in_use();
    for (int i = 0; i < 5; i++) {
        everything(NULL);
    }
    EXPECT_LE_U64(libc_in_use(), before + 100000);
}

/* A thread has an arena of its own, outside of the program break. */
TEST(of_other_arenas)
{
    pthread_t threads[4];
    find_libc();
    for (int i = 0; i < 4; i++) {
        REQUIRE(pthread_create(&threads[i], NULL, everything, NULL) == 0);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
    }
}

#define MANY 30000
static void *handed[MANY];

static void *give_many(void *arg)
{
    (void)arg;
    for (size_t i = 0; i < MANY; i++) {
        handed[i] = give(i % WAYS, 1 + i * 37 % 7000);
    }
    return NULL;
}

/* So many that an arena takes a second heap. */
TEST(of_another_thread)
{
    pthread_t thread;
    find_libc();
    REQUIRE(pthread_create(&thread, NULL, give_many, NULL) == 0);
    pthread_join(thread, NULL);
    for (size_t i = 0; i < MANY; i++) {
        EXPECT_EQ_U64(
            malloc_usable_size(handed[i]), libc_usable_size(handed[i]));
        free(handed[i]);
    }
}

/* ---- what is none ---- */

static test_child_t r;

static void *volatile hidden;

static void free_it(void *p)
{
    hidden = p;
    free(hidden);
}

static void size_of_it(void *p)
{
    hidden = p;
    (void)malloc_usable_size(hidden);
}

static void resize_it(void *p)
{
    hidden = p;
    hidden = realloc(hidden, 10000);
}

static void expect_report(void *p, const char *what)
{
    static void (*const uses[])(void *) = {free_it, size_of_it, resize_it};
    static const char *const names[] = {"free of", "size query of", "realloc "};
    for (int i = 0; i < 3; i++) {
        r = test_in_child(uses[i], p);
        EXPECT(WIFSIGNALED(r.status));
        EXPECT_EQ_I64(WTERMSIG(r.status), SIGABRT);
        if (strstr(r.err, names[i]) == NULL || strstr(r.err, what) == NULL) {
            EXPECT_EQ_STR(r.err, what);
        }
    }
}

/* Two words before it that could be a header, in memory of the program. */
static void *forge(char *memory, size_t size)
{
    size_t *words = (size_t *)(void *)memory;
    words[2] = 0;
    words[3] = size;
    words[(size & ~(size_t)7) / sizeof(size_t) + 3] = 0x101;
    return &words[4];
}

TEST(forgeries_are_reported)
{
    static _Alignas(64) char in_data[4096];
    _Alignas(64) char on_stack[4096];
    static const size_t headers[] = {
        0, 1, 0x20, 0x21, 0x101, 0x105, 0x102, 0x107, 0x1002, SIZE_MAX};
    char *mapping = mmap(NULL, 16384, PROT_READ | PROT_WRITE,
        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memset(on_stack, 0, sizeof(on_stack));
    for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
        size_t size = headers[i] & 0x1fe;
        *(size_t *)(void *)((char *)forge(in_data, size) - sizeof(size_t)) =
            headers[i];
        *(size_t *)(void *)((char *)forge(on_stack, size) - sizeof(size_t)) =
            headers[i];
        *(size_t *)(void *)((char *)forge(mapping + 512, size) -
                            sizeof(size_t)) = headers[i];
        expect_report(in_data + 4 * sizeof(size_t), "does not own");
        expect_report(on_stack + 4 * sizeof(size_t), "does not own");
        expect_report(mapping + 512 + 4 * sizeof(size_t), "does not own");
    }
    munmap(mapping, 16384);
}

TEST(garbage_is_reported)
{
    static const uintptr_t numbers[] = {8, 16, 0x1000, 0x1010, 0x12345678,
        (uintptr_t)0x7fff00001010ULL, (uintptr_t)0xdeadbeef0010ULL,
        (uintptr_t)0x8000000000000010, UINTPTR_MAX - 15, UINTPTR_MAX};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        expect_report((void *)numbers[i], "does not own");
    }
    char *forbidden =
        mmap(NULL, 8192, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    expect_report(forbidden + 64, "does not own");
    expect_report(forbidden + 4096, "does not own");
    munmap(forbidden, 8192);
}

TEST(interior_pointers_are_reported)
{
    find_libc();
    char *small = give(BY_MALLOC, 2000), *big = give(BY_MALLOC, 1000000);
    for (size_t at = 8; at < 256; at += 8) {
        expect_report(small + at, "does not own");
    }
    expect_report(big + 16, "does not own");
    expect_report(big + 4096, "does not own");
    free(small);
    free(big);
    char *ours = malloc(1000000);
    expect_report(ours + 64, "start of a");
    free(ours);
}

int main(void)
{
    return test_run(TEST_CASE(of_the_main_arena), TEST_CASE(of_other_arenas),
        TEST_CASE(of_another_thread), TEST_CASE(forgeries_are_reported),
        TEST_CASE(garbage_is_reported),
        TEST_CASE(interior_pointers_are_reported), NULL);
}
