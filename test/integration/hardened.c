/*
 * What: hardened:1 by what programs see of it, in processes that go on after
 * a report: calls with the wrong size or a block that is free, blocks of
 * arenas of their own, and what is found when the process ends.
 *
 * Invariants: (I1) each case runs this program again, told by its argument;
 * one that finds something else than it should ends with the line.
 *
 * Locking: none.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"
#include "jemalloc/jemalloc.h"

static void check(bool held, int line)
{
    if (!held) {
        _exit(line % 250 + 1);
    }
}

#define CHECK(condition) check((condition), __LINE__)

static void *hidden(void *p)
{
    __asm__ volatile("" : "+r"(p) : : "memory");
    return p;
}

static unsigned new_arena(void)
{
    unsigned ind;
    size_t len = sizeof(ind);
    CHECK(mallctl("arenas.create", &ind, &len, NULL, 0) == 0);
    return ind;
}

static size_t stat_of(unsigned ind, const char *name)
{
    char path[64];
    uint64_t epoch = 1;
    uint64_t value = 0;
    size_t len = sizeof(value);
    snprintf(path, sizeof(path), "stats.arenas.%u.%s", ind, name);
    CHECK(mallctl("epoch", NULL, NULL, &epoch, sizeof(epoch)) == 0);
    CHECK(mallctl(path, &value, &len, NULL, 0) == 0);
    return (size_t)value;
}

/* ---- cases ---- */

/* Sizes that are not those of the block; it stays as it was. */
static void wrong_sizes(void)
{
    static const size_t sizes[] = {24, 100, 4000, 65536, 1 << 20};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        char *p = malloc(sizes[i]);
        CHECK(p != NULL);
        memset(p, 1, sizes[i]);
        sdallocx(hidden(p), sizes[i] - 1, 0);
        CHECK(malloc_usable_size(p) == sizes[i]);
        sdallocx(p, sizes[i], 0);
    }
}

static void freed_blocks(void)
{
    void *p = malloc(100);
    free(hidden(p));
    errno = 0;
    CHECK(realloc(hidden(p), 200) == NULL);
    CHECK(errno == ENOMEM);
    free(malloc(10));
}

/* What is freed of an arena of the program's own is at once back there. */
static void own_arena(void)
{
    unsigned ind = new_arena();
    int flags = MALLOCX_ARENA(ind) | MALLOCX_TCACHE_NONE;
    void *p = mallocx(100000, flags);
    CHECK(p != NULL);
    CHECK(stat_of(ind, "large.ndalloc") == 0);
    dallocx(p, flags);
    CHECK(stat_of(ind, "large.ndalloc") == 1);
    CHECK(stat_of(ind, "large.allocated") == 0);
}

/* Damage to a block that nobody frees any more, in the last arena of all. */
static void damage(void)
{
    (void)new_arena();
    unsigned ind = new_arena();
    char *p = mallocx(100, MALLOCX_ARENA(ind) | MALLOCX_TCACHE_NONE);
    CHECK(p != NULL);
    ((char *)hidden(p))[100] = 1;
}

static void no_damage(void)
{
    (void)new_arena();
    unsigned ind = new_arena();
    char *p = mallocx(100, MALLOCX_ARENA(ind) | MALLOCX_TCACHE_NONE);
    CHECK(p != NULL);
    ((char *)hidden(p))[99] = 1;
}

/* What one block ends with is wrong behind another: seals know their place. */
static void copied_seal(void)
{
    char *p = malloc(100); /* of 112 bytes */
    char *q = malloc(100);
    CHECK(p != NULL && q != NULL);
    memcpy((char *)hidden(p) + 104, (char *)hidden(q) + 104, 8);
    free(p);
}

/* What leaves the quarantine is used again. */
static void churn(void)
{
    for (unsigned i = 0; i < 200000; i++) {
        free(hidden(malloc(100)));
    }
    CHECK(stat_of(4096, "small.allocated") < (size_t)8 << 20);
}

/* Large blocks cannot be touched for a while after they were freed. */
static void freed_large(void)
{
    volatile char *p = malloc(65536);
    CHECK(p != NULL);
    p[0] = 1;
    free(hidden((void *)(uintptr_t)p));
    p[0] = 2;
}

/* What they held is gone when they leave the quarantine, if not before. */
static void cleared_large(void)
{
    void *others[40];
    unsigned char seen[16] = {0};
    char *p = malloc(200000);
    CHECK(p != NULL);
    for (unsigned i = 0; i < 40; i++) {
        CHECK((others[i] = hidden(malloc(200000))) != NULL);
    }
    memset(p, 's', 200000);
    off_t at = (off_t)(uintptr_t)p + 100000;
    free(hidden(p));
    for (unsigned i = 0; i < 40; i++) {
        free(others[i]);
    }
    int fd = open("/proc/self/mem", O_RDONLY);
    CHECK(fd >= 0);
    ssize_t got = pread(fd, seen, sizeof(seen), at);
    for (ssize_t i = 0; i < got; i++) {
        CHECK(seen[i] == 0);
    }
    close(fd);
}

static const struct {
    const char *name;
    void (*run)(void);
    const char *messages[6];
} cases[] = {
    {"wrong_sizes", wrong_sizes,
        {"as a block of 23 bytes, which was allocated with 24\n",
            "as a block of 99 bytes, which was allocated with 100\n",
            "as a block of 3999 bytes, which was allocated with 4000\n",
            "as a block of 65535 bytes, which was allocated with 65536\n",
            "as a block of 1048575 bytes, which was allocated with "
            "1048576\n"}},
    {"freed_blocks", freed_blocks, {"realloc of 0x"}},
    {"own_arena", own_arena, {NULL}},
    {"damage", damage, {"buffer overflow: the block 0x"}},
    {"no_damage", no_damage, {NULL}},
    {"churn", churn, {NULL}},
    {"freed_large", freed_large, {NULL}},
    {"copied_seal", copied_seal, /* and at the end once more */
        {"buffer overflow: the end of the block 0x",
            "buffer overflow: the end of the block 0x"}},
    {"cleared_large", cleared_large, {NULL}},
};

/* ---- running them ---- */

static test_child_t r;

static void start(void *opaque)
{
    char *arguments[] = {opaque, NULL};
    setenv("MALLOC_CONF", "hardened:1,report_only:true", 1);
    test_exec_self(arguments);
}

static void run_case(size_t i)
{
    r = test_in_child(start, (void *)(uintptr_t)cases[i].name);
    EXPECT_EQ_I64(r.status, 0);
    const char *at = r.err;
    unsigned lines = 0;
    for (; lines < 6 && cases[i].messages[lines] != NULL; lines++) {
        at = strstr(at, cases[i].messages[lines]);
        if (at == NULL) {
            test_note("%s lacks: %s", cases[i].name, cases[i].messages[lines]);
            EXPECT_EQ_STR(r.err, cases[i].messages[lines]);
            return;
        }
        at += 1;
    }
    /* And nothing else. */
    for (at = r.err; (at = strchr(at, '\n')) != NULL && lines > 0; lines--) {
        at++;
    }
    EXPECT_EQ_U64(lines, 0);
    EXPECT(at == NULL || *at == '\0' || strchr(at, '\n') == NULL);
}

TEST(sizes)
{
    run_case(0);
}

TEST(dead_blocks)
{
    run_case(1);
}

TEST(arenas)
{
    run_case(2);
}

TEST(at_the_end)
{
    run_case(3);
    run_case(4);
}

TEST(seals)
{
    run_case(7);
}

TEST(quarantine)
{
    run_case(5);
    r = test_in_child(start, (void *)(uintptr_t)cases[6].name);
    EXPECT(WIFSIGNALED(r.status));
    EXPECT_EQ_I64(WTERMSIG(r.status), SIGSEGV);
    run_case(8);
}

int main(int argc, char **argv)
{
    for (size_t i = 0; argc > 1 && i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (strcmp(cases[i].name, argv[1]) == 0) {
            cases[i].run();
            return 0;
        }
    }
    if (HAS_SANITIZER) {
        return test_run(NULL); /* it has a malloc of its own */
    }
    test_find_self();
    return test_run(TEST_CASE(sizes), TEST_CASE(dead_blocks), TEST_CASE(arenas),
        TEST_CASE(at_the_end), TEST_CASE(seals), TEST_CASE(quarantine), NULL);
}
