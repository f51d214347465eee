/*
 * What: what os.h promises of addresses and memory: reserving, committing and
 * decommitting, and what the system says about strict accounting, read from
 * made-up roots.
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
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"
#include "jemalloc/jemalloc.h"
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

int main(void)
{
    return test_run(TEST_CASE(resident_pages),
        TEST_CASE(mappings_leave_nothing_open),
        TEST_CASE(reserved_committed_decommitted), TEST_CASE(what_can_never_be),
        TEST_CASE(strict_accounting), TEST_CASE(pages_of_the_break),
        TEST_CASE(threads_have_names), TEST_CASE(barriers_keep_errno), NULL);
}
