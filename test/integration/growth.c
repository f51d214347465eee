/*
 * What: a buffer that realloc doubles, or grows by steps, up to 1 GiB must
 * not be copied each time: page faults and time tell.
 *
 * Invariants: only the first bytes of each page are written, once; so page
 * faults beyond the number of pages mean copies.
 *
 * Locking: none.
 */
#include "harness.h"
#include <jemalloc/jemalloc.h>

#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

/* Filling fresh memory would be the page faults that are counted here. */
const char *malloc_conf = "junk:false";

#define PAGE ((size_t)4096)
#define GIB  ((size_t)1 << 30)
#define MIB  ((size_t)1 << 20)

static double seconds(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static long faults(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_minflt;
}

/* Whether the kernel finds memory at `p`. */
static bool pipe_takes(const char *p)
{
    int fds[2];
    bool taken = pipe(fds) == 0 && write(fds[1], p, 1) == 1;
    close(fds[0]);
    close(fds[1]);
    return taken;
}

/* Writes one word a page in [from, to). */
static void touch(char *p, size_t from, size_t to)
{
    for (size_t at = (from + PAGE - 1) / PAGE * PAGE; at < to; at += PAGE) {
        memcpy(p + at, &at, sizeof(at));
    }
}

static size_t wrong_pages(const char *p, size_t to)
{
    size_t wrong = 0;
    for (size_t at = 0; at < to; at += PAGE) {
        wrong += memcmp(p + at, &at, sizeof(at)) != 0;
    }
    return wrong;
}

/*
 * Whether blocks can grow by moving pages: the kernel can, emulators often
 * cannot, and blocks rarely begin and end with a system page that is larger
 * than the unit of their sizes.
 */
static bool pages_move(void)
{
    char *p = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    bool works = p != MAP_FAILED && sysconf(_SC_PAGESIZE) == PAGE &&
                 mremap(p, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED | 4,
                     p + PAGE) == p + PAGE &&
                 pipe_takes(p);
    if (!works) {
        test_note("pages do not move here");
    }
    return works;
}

/* An untouched tail costs nothing; only 256 MiB of it are ever written. */
TEST(doubling_to_a_gigabyte)
{
    size_t size = MIB, touched = 0, limit = 256 * MIB;
    double begin = seconds();
    long before = faults();
    char *p = malloc(size);
    REQUIRE(p != NULL);
    for (;;) {
        size_t end = size < limit ? size : limit;
        touch(p, touched, end);
        touched = end;
        if (size == GIB) {
            break;
        }
        size *= 2;
        char *grown = realloc(p, size);
        REQUIRE(grown != NULL);
        p = grown;
    }
    EXPECT_EQ_U64(wrong_pages(p, touched), 0);
    long used = faults() - before;
    test_note("doubling: %ld faults for %zu pages, %.2f s", used,
        touched / PAGE, seconds() - begin);
    /*
     * Copying each time would fault twice as often or more. The address
     * sanitizer's notes on the old and the new place are a quarter.
     */
    if (pages_move()) {
        EXPECT_LE_I64(used, (long)(touched / PAGE * 3 / 2));
    }
    free(p);
}

/* Growing by 1 MiB 500 times: copying would move 125 GB. */
TEST(growing_by_steps)
{
    size_t size = 16 * MIB;
    double begin = seconds();
    char *p = malloc(size);
    REQUIRE(p != NULL);
    touch(p, 0, size);
    for (int i = 0; i < 500; i++) {
        size += MIB;
        char *grown = realloc(p, size);
        REQUIRE(grown != NULL);
        p = grown;
        touch(p, size - MIB, size - MIB + PAGE);
    }
    EXPECT_EQ_U64(wrong_pages(p, 16 * MIB), 0);
    double took = seconds() - begin;
    test_note("500 steps: %.2f s", took);
    EXPECT(took < 5.0);
    free(p);
}

/* Two buffers that grow in turn, so that neither has the room behind it. */
TEST(two_growing_buffers)
{
    size_t size = 4 * MIB;
    double begin = seconds();
    char *p[2] = {malloc(size), malloc(size)};
    REQUIRE(p[0] != NULL && p[1] != NULL);
    touch(p[0], 0, size);
    touch(p[1], 0, size);
    for (int i = 0; i < 200; i++) {
        size += MIB;
        for (int k = 0; k < 2; k++) {
            char *grown = realloc(p[k], size);
            REQUIRE(grown != NULL);
            p[k] = grown;
        }
    }
    EXPECT_EQ_U64(wrong_pages(p[0], 4 * MIB), 0);
    EXPECT_EQ_U64(wrong_pages(p[1], 4 * MIB), 0);
    double took = seconds() - begin;
    test_note("400 steps of two: %.2f s", took);
    EXPECT(took < (pages_move() ? 5.0 : 60.0) || test_is_emulated());
    free(p[0]);
    free(p[1]);
}

TEST(shrinking_gives_back)
{
    size_t resident[2] = {0, 0}, length = sizeof(size_t);
    uint64_t epoch = 1;
    char *p = malloc(256 * MIB);
    REQUIRE(p != NULL);
    touch(p, 0, 256 * MIB);
    mallctl("epoch", NULL, NULL, &epoch, sizeof(epoch));
    REQUIRE(mallctl("stats.resident", &resident[0], &length, NULL, 0) == 0);
    p = realloc(p, 20 * MIB);
    REQUIRE(p != NULL);
    EXPECT_EQ_U64(wrong_pages(p, 20 * MIB), 0);
    EXPECT_EQ_I64(mallctl("arena.4096.purge", NULL, NULL, NULL, 0), 0);
    mallctl("epoch", NULL, NULL, &epoch, sizeof(epoch));
    REQUIRE(mallctl("stats.resident", &resident[1], &length, NULL, 0) == 0);
    EXPECT_LE_U64(resident[1] + 200 * MIB, resident[0]);
    free(p);
}

int main(void)
{
    return test_run(TEST_CASE(doubling_to_a_gigabyte),
        TEST_CASE(growing_by_steps), TEST_CASE(two_growing_buffers),
        TEST_CASE(shrinking_gives_back), NULL);
}
