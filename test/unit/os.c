/*
 * What: what os.h promises of addresses and memory: reserving, committing and
 * decommitting, and what the system says about strict accounting, read from
 * made-up roots; what it tells of mappings and pages; programs that are run.
 *
 * Invariants: the root is a fresh directory, removed at the end.
 *
 * Locking: none.
 */
#define _GNU_SOURCE

#include "os/os.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"
#include "jemalloc/jemalloc.h"
#include "os/file.h"
#include "os/peek.h"
#include "os/resident.h"
#include "util/atomic.h"

static void touch(void *p)
{
    signal(SIGSEGV, SIG_DFL);
    *(volatile char *)p = 1;
}

static bool may_touch(void *p)
{
    static test_child_t child;
    child = test_in_child(touch, p);
    EXPECT(child.status == 0 ||
           (WIFSIGNALED(child.status) && WTERMSIG(child.status) == SIGSEGV));
    return child.status == 0;
}

TEST(reserved_committed_decommitted)
{
    je_free(je_malloc(1)); /* boots */
    size_t page = os_page_size();
    size_t alignment = 64 * page;
    char *p = os_reserve(4 * page, alignment);
    REQUIRE(p != NULL);
    EXPECT_EQ_U64((uintptr_t)p & (alignment - 1), 0);
    EXPECT(!may_touch(p));
    EXPECT(os_permit(p + page, 2 * page));
    EXPECT(!may_touch(p));
    EXPECT(may_touch(p + page));
    EXPECT(!may_touch(p + 3 * page));
    memset(p + page, 1, 2 * page);
    EXPECT(os_decommit(p + page, page));
    EXPECT(!may_touch(p + page));
    EXPECT_EQ_I64(p[2 * page], 1);
    EXPECT(os_permit(p + page, page));
    EXPECT_EQ_I64(p[page], 0);
    EXPECT(os_unmap(p, 4 * page));
}

TEST(what_can_never_be)
{
    struct rlimit old;
    REQUIRE(getrlimit(RLIMIT_AS, &old) == 0);
    size_t limit = os_address_limit();
    if (sizeof(void *) < 8) {
        EXPECT_GT_U64(limit, SIZE_MAX / 4);
        EXPECT_EQ_PTR(
            os_map(limit & ~(os_page_size() - 1), os_page_size()), NULL);
        return;
    }
    EXPECT_LE_U64(limit, (size_t)1 << (CONFIG_LG_VADDR - 1));
    EXPECT_EQ_PTR(os_map(limit + os_page_size(), os_page_size()), NULL);
    struct rlimit lower = {(rlim_t)3 << 30, old.rlim_max};
    /* Emulators live in the same addresses, and keep theirs. */
    if (!test_is_emulated() && setrlimit(RLIMIT_AS, &lower) == 0) {
        EXPECT_EQ_U64(os_address_limit(), (size_t)3 << 30);
        REQUIRE(setrlimit(RLIMIT_AS, &old) == 0);
    }
}

/* The answer for a root whose file has that text; NULL for none. */
static bool overcommits_with(const char *text)
{
    char root[] = "/tmp/os.XXXXXX";
    char command[256];
    REQUIRE(mkdtemp(root) != NULL);
    if (text != NULL) {
        snprintf(command, sizeof(command),
            "mkdir -p %s/proc/sys/vm && "
            "printf '%s' >%s/proc/sys/vm/overcommit_memory",
            root, text, root);
        REQUIRE(system(command) == 0);
    }
    bool answer = os_overcommits_by(root);
    snprintf(command, sizeof(command), "rm -r %s", root);
    REQUIRE(system(command) == 0);
    return answer;
}

TEST(strict_accounting)
{
    EXPECT(overcommits_with(NULL));
    EXPECT(overcommits_with("0\\n"));
    EXPECT(overcommits_with("1\\n"));
    EXPECT(!overcommits_with("2\\n"));
    EXPECT(!overcommits_with("2"));
    EXPECT(overcommits_with(""));
}

/* Wherever the page lies: its address says nothing about the next one's. */
TEST(pages_of_the_break)
{
    je_free(je_malloc(1));
    unsigned got = 0;
    for (unsigned i = 0; i < 8; i++) {
        char *p = os_sbrk(os_page_size());
        if (p != NULL) {
            got++;
            EXPECT_EQ_U64((uintptr_t)p & (os_page_size() - 1), 0);
            EXPECT(os_is_sbrk(p));
            *p = 1;
        }
    }
    EXPECT(got == 0 || got == 8); /* some systems have no break */
}

static char seen_name[16];
static _Atomic bool seen;

static void *see_name(void *arg)
{
    (void)pthread_getname_np(pthread_self(), seen_name, sizeof(seen_name));
    atomic_put_release(&seen, true);
    return arg;
}

TEST(threads_have_names)
{
    static const os_thread_t what = {.main = see_name, .name = "a_name"};
    je_free(je_malloc(1));
    REQUIRE(os_start_thread(&what));
    for (unsigned i = 0; i < 1000 && !atomic_get_acquire(&seen); i++) {
        usleep(10000);
    }
    REQUIRE(atomic_get_acquire(&seen));
    EXPECT_EQ_STR(seen_name, "a_name");
}

/* The first call has to register, and finds that out by failing. */
TEST(barriers_keep_errno)
{
    je_free(je_malloc(1));
    for (unsigned i = 0; i < 2; i++) {
        errno = 77;
        (void)!os_barrier_everywhere();
        EXPECT_EQ_I64(errno, 77);
    }
}

/* Each page counts: more than are asked for at a time, and one alone. */
TEST(resident_pages)
{
    if (os_page_size() != 4096) {
        test_skip("an emulator's pages are not those that the kernel counts");
    }
    je_free(je_malloc(1));
    size_t page = os_page_size();
    const size_t pages = 1500;
    char *p = os_reserve(pages * page, page);
    REQUIRE(p != NULL && os_permit(p, pages * page));
    p[0] = 1;
    if (test_is_emulated()) {
        test_skip("the emulator's pages are not the system's");
    }
    EXPECT_EQ_U64(os_resident_bytes((uintptr_t)p, page), page);
    for (size_t i = 0; i < pages; i++) {
        p[i * page] = 1;
    }
    EXPECT_EQ_U64(os_resident_bytes((uintptr_t)p, pages * page), pages * page);
    EXPECT(os_unmap(p, pages * page));
}

static bool count_mapping(const os_mapping_t *mapping, void *opaque)
{
    EXPECT_LT_U64(mapping->start, mapping->end);
    ++*(unsigned *)opaque;
    return true;
}

static int free_descriptor(void)
{
    int fd = open("/dev/null", O_RDONLY);
    close(fd);
    return fd;
}

TEST(mappings_leave_nothing_open)
{
    char name[256];
    int before = free_descriptor();
    for (unsigned i = 0; i < 3; i++) {
        unsigned count = 0;
        EXPECT(os_visit_mappings(count_mapping, &count, name, sizeof(name)));
        EXPECT_GT_U64(count, 3);
    }
    EXPECT_EQ_I64(free_descriptor(), before);
}

/* ---- mappings, and what of them is in memory ---- */

static struct {
    uintptr_t wanted;
    uintptr_t last_end;
    unsigned count;
    os_resident_t found;
} seen_mappings;

static void see_mapping(const os_resident_t *mapping, void *opaque)
{
    EXPECT_EQ_PTR(opaque, &seen_mappings);
    EXPECT_LT_U64(mapping->start, mapping->end);
    EXPECT_GE_U64(mapping->start, seen_mappings.last_end);
    EXPECT_LE_U64(mapping->resident_bytes, mapping->end - mapping->start);
    EXPECT_LE_U64(mapping->huge_bytes, mapping->resident_bytes);
    seen_mappings.last_end = mapping->end;
    seen_mappings.count++;
    if (mapping->start == seen_mappings.wanted) {
        seen_mappings.found = *mapping;
    }
}

static os_resident_t find_mapping(const void *p)
{
    memset(&seen_mappings, 0, sizeof(seen_mappings));
    seen_mappings.wanted = (uintptr_t)p;
    errno = 77;
    EXPECT(os_visit_resident(see_mapping, &seen_mappings));
    EXPECT_EQ_I64(errno, 77);
    EXPECT_GT_U64(seen_mappings.count, 3);
    return seen_mappings.found;
}

TEST(resident_mappings)
{
    je_free(je_malloc(1));
    if (test_is_emulated()) {
        test_skip("the emulator's mappings are not the system's");
    }
    size_t page = os_page_size();
    char *p = os_reserve(7 * page, page);
    REQUIRE(p != NULL && os_permit(p + page, 5 * page));
    p[page] = 1;
    p[3 * page] = 1;
    os_resident_t found = find_mapping(p + page);
    EXPECT_EQ_U64(found.end, p + 6 * page);
    EXPECT_EQ_U64(found.resident_bytes, 2 * page);
    EXPECT_EQ_U64(found.huge_bytes, 0);
    EXPECT(!found.has_file);
    EXPECT(os_unmap(p, 7 * page));
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    REQUIRE(fd >= 0);
    char *file = mmap(NULL, page, PROT_READ, MAP_SHARED, fd, 0);
    REQUIRE(file != MAP_FAILED);
    found = find_mapping(file);
    EXPECT_EQ_U64(found.end, file + page);
    EXPECT(found.has_file);
    munmap(file, page);
    close(fd);
}

TEST(states_of_pages)
{
    je_free(je_malloc(1));
    if (test_is_emulated()) {
        test_skip("the emulator's pages are not the system's");
    }
    size_t page = os_page_size();
    uint8_t states[4];
    char *p = os_reserve(4 * page, page);
    int fd = os_pages_open();
    REQUIRE(p != NULL && os_permit(p, 4 * page));
    if (fd < 0) {
        test_skip("this system does not tell");
    }
    p[page] = 1;
    EXPECT_EQ_I64(*(volatile char *)(p + 2 * page), 0);
    REQUIRE(os_pages_read(fd, (uintptr_t)p, 4, states));
    EXPECT_EQ_U64(states[0], OS_PAGE_ABSENT);
    EXPECT_EQ_U64(states[1], OS_PAGE_OWN);
    EXPECT_EQ_U64(states[2], OS_PAGE_SHARED);
    EXPECT_EQ_U64(states[3], OS_PAGE_ABSENT);
    os_pages_close(fd);
    EXPECT(!os_pages_read(fd, (uintptr_t)p, 4, states));
    EXPECT(os_unmap(p, 4 * page));
}

TEST(resident_set)
{
    je_free(je_malloc(1));
    size_t size = (size_t)16 << 20;
    size_t before = os_resident_set();
    if (before == 0) {
        test_skip("this system does not tell");
    }
    char *p = os_map(size, os_page_size());
    REQUIRE(p != NULL);
    memset(p, 1, size);
    EXPECT_GE_U64(os_resident_set(), before + size / 2);
    EXPECT(os_unmap(p, size));
    EXPECT_LT_U64(os_resident_set(), before + size / 2);
}

/* ---- programs ---- */

static char said[4096];

/* What the shell writes when it runs this, its input a line of ours. */
static bool run_shell(const char *script)
{
    char *argv[] = {(char *)(uintptr_t) "sh", (char *)(uintptr_t) "-c",
        (char *)(uintptr_t)script, NULL};
    int in = os_memory_file();
    int out = os_memory_file();
    REQUIRE(in >= 0 && out >= 0);
    EXPECT_EQ_I64(os_write_all(in, "a line\n", 7), 0);
    EXPECT(os_rewind(in));
    errno = 77;
    bool done = os_run(argv, in, out);
    EXPECT_EQ_I64(errno, 77);
    EXPECT(os_rewind(out));
    ssize_t got = os_read(out, said, sizeof(said) - 1);
    said[got < 0 ? 0 : got] = '\0';
    os_close(in);
    os_close(out);
    return done;
}

TEST(programs)
{
    if (test_is_emulated()) {
        test_skip("the emulator fails when a program forks");
    }
    char *argv[] = {(char *)(uintptr_t) "/nonexistent/program", NULL};
    je_free(je_malloc(1));
    EXPECT(os_is_program("/bin/sh"));
    EXPECT(!os_is_program("/bin"));
    EXPECT(!os_is_program("/dev/null"));
    EXPECT(!os_is_program(argv[0]));
    EXPECT(run_shell("cat; echo lost >&2"));
    EXPECT_EQ_STR(said, "a line\n");
    EXPECT(!run_shell("echo said; exit 3"));
    EXPECT_EQ_STR(said, "said\n");
    EXPECT(!run_shell("kill -9 $$"));
    errno = 77;
    EXPECT(!os_run(argv, 0, 1));
    EXPECT_EQ_I64(errno, 77);
}

/* Of the environment all goes along but what this library is told there. */
TEST(environment_of_programs)
{
    if (test_is_emulated()) {
        test_skip("the emulator fails when a program forks");
    }
    je_free(je_malloc(1));
    REQUIRE(setenv("MALLOC_CONF", "stats_print:true", 1) == 0);
    REQUIRE(setenv("MALLOC_CONFIG", "kept", 1) == 0);
    REQUIRE(setenv("LD_PRELOAD", "", 1) == 0);
    REQUIRE(setenv("LD_PRELOADED", "kept", 1) == 0);
    EXPECT(run_shell("echo ${MALLOC_CONF-none} $MALLOC_CONFIG "
                     "${LD_PRELOAD-none} $LD_PRELOADED"));
    EXPECT_EQ_STR(said, "none kept none kept\n");
    unsetenv("MALLOC_CONF");
    unsetenv("LD_PRELOAD");
    for (unsigned i = 0; i < 600; i++) {
        char name[16];
        snprintf(name, sizeof(name), "MANY_%u", i);
        REQUIRE(setenv(name, "x", 1) == 0);
    }
    EXPECT(run_shell("echo $MALLOC_CONFIG"));
    EXPECT_EQ_STR(said, "kept\n");
    EXPECT(run_shell("env | grep -c ="));
    unsigned long count = strtoul(said, NULL, 10);
    /* The shell adds a few of its own. */
    EXPECT(count >= 511 && count < 600);
}

int main(void)
{
    return test_run(TEST_CASE(resident_pages),
        TEST_CASE(mappings_leave_nothing_open), TEST_CASE(resident_mappings),
        TEST_CASE(states_of_pages), TEST_CASE(resident_set),
        TEST_CASE(reserved_committed_decommitted), TEST_CASE(what_can_never_be),
        TEST_CASE(strict_accounting), TEST_CASE(pages_of_the_break),
        TEST_CASE(threads_have_names), TEST_CASE(barriers_keep_errno),
        TEST_CASE(programs), TEST_CASE(environment_of_programs), NULL);
}
