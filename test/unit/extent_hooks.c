/*
 * What: the built-in page operations, called as a program's hooks call them
 * that pass on what they do not want: memory of the break and of mappings,
 * what each may do with it, on systems that overcommit and on strict ones.
 *
 * Invariants: settings are put back; what is mapped is unmapped.
 *
 * Locking: none.
 */
#include "extent/extent_hooks.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include "harness.h"
#include "os/os.h"

/* An index that no arena has. */
#define TEST_ARENA 4000

static extent_hooks_t *const table = &extent_hooks_default;

/* What came, and how. */
typedef struct {
    char *p;
    size_t size;
    bool zero;
    bool commit;
} got_t;

/* As is asked for: at `addr`, zeroed or not, committed or not. */
static got_t ask(void *addr, size_t pages, size_t alignment, bool flag)
{
    got_t got = {NULL, pages * os_page_size(), flag, flag};
    got.p = table->alloc(
        table, addr, got.size, alignment, &got.zero, &got.commit, TEST_ARENA);
    return got;
}

static void begin(conf_dss_t dss)
{
    je_free(je_malloc(1)); /* boots */
    extent_hooks_set_dss(TEST_ARENA, dss);
    EXPECT_EQ_I64(extent_hooks_dss(TEST_ARENA), dss);
}

static bool give_back(const got_t *got)
{
    return table->dalloc(table, got->p, got->size, got->commit, TEST_ARENA) ==
           false;
}

static void expect_zeroes(const got_t *got)
{
    for (size_t i = 0; i < got->size; i += 64) {
        if (got->p[i] != 0) {
            EXPECT_EQ_I64(got->p[i], 0);
            return;
        }
    }
}

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

/* The break serves what it can: no place, no alignment. */
TEST(from_the_break)
{
    size_t page = os_page_size();
    begin(CONF_DSS_PRIMARY);
    if (os_sbrk(page) == NULL) {
        test_skip("this system has no break");
    }
    got_t got = ask(NULL, 3, page, false);
    REQUIRE(got.p != NULL);
    EXPECT(os_is_sbrk(got.p));
    EXPECT_EQ_U64((uintptr_t)got.p & (page - 1), 0);
    /* All of it may be used, whatever was asked; zeroes are not promised. */
    EXPECT(got.commit);
    EXPECT(!got.zero);
    memset(got.p, 1, got.size);
    EXPECT(!give_back(&got));
    EXPECT_EQ_I64(got.p[0], 1);
    EXPECT(table->decommit(table, got.p, got.size, 0, got.size, TEST_ARENA));
    got_t zeroed = ask(NULL, 3, page, true);
    EXPECT(os_is_sbrk(zeroed.p) && zeroed.commit && zeroed.zero);
    expect_zeroes(&zeroed);
    got_t aligned = ask(NULL, 3, 2 * page, false);
    REQUIRE(aligned.p != NULL);
    EXPECT(!os_is_sbrk(aligned.p) && aligned.zero && aligned.commit);
    EXPECT_EQ_U64((uintptr_t)aligned.p & (2 * page - 1), 0);
    EXPECT(table->merge(
        table, got.p, got.size, aligned.p, aligned.size, true, TEST_ARENA));
    EXPECT(!table->merge(
        table, got.p, page, got.p + page, page, true, TEST_ARENA));
    EXPECT(give_back(&aligned));
    got_t placed = ask(aligned.p, 3, page, false);
    EXPECT(placed.p == NULL || placed.p == aligned.p);
    EXPECT(placed.p == NULL || give_back(&placed));
}

TEST(never_from_the_break)
{
    begin(CONF_DSS_DISABLED);
    for (unsigned i = 0; i < 2; i++) {
        got_t got = ask(NULL, 2, os_page_size(), i != 0);
        REQUIRE(got.p != NULL);
        EXPECT(!os_is_sbrk(got.p) && got.zero && got.commit);
        expect_zeroes(&got);
        memset(got.p, 1, got.size);
        EXPECT(!table->purge_forced(
            table, got.p, got.size, 0, got.size, TEST_ARENA));
        expect_zeroes(&got);
        EXPECT(give_back(&got));
        EXPECT(!may_touch(got.p));
    }
    /* Parts of a system page stay. */
    got_t got = ask(NULL, 1, os_page_size(), true);
    got_t half = {got.p + 64, got.size - 64, true, true};
    EXPECT(!give_back(&half));
    half = (got_t){got.p, got.size - 64, true, true};
    EXPECT(!give_back(&half));
    EXPECT(may_touch(got.p));
    table->destroy(table, got.p, got.size, true, TEST_ARENA);
    EXPECT(!may_touch(got.p));
}

/* Where memory is not accounted for the two are refused, and nothing else. */
TEST(commit_and_decommit)
{
    bool real = os_overcommits;
    size_t page = os_page_size();
    begin(CONF_DSS_DISABLED);
    got_t got = ask(NULL, 4, page, false);
    REQUIRE(got.p != NULL);
    os_overcommits = true;
    EXPECT(table->decommit(table, got.p, got.size, page, page, TEST_ARENA));
    EXPECT(table->commit(table, got.p, got.size, page, page, TEST_ARENA));
    EXPECT(may_touch(got.p + page));
    os_overcommits = false;
    EXPECT(!table->decommit(table, got.p, got.size, page, page, TEST_ARENA));
    EXPECT(!may_touch(got.p + page));
    EXPECT(may_touch(got.p) && may_touch(got.p + 2 * page));
    EXPECT(!table->commit(table, got.p, got.size, page, page, TEST_ARENA));
    EXPECT(may_touch(got.p + page));
    EXPECT(
        table->decommit(table, got.p, got.size, page + 64, page, TEST_ARENA));
    EXPECT(give_back(&got));
    /* What need not be committed is not, there. */
    got = ask(NULL, 4, page, false);
    REQUIRE(got.p != NULL);
    EXPECT(!got.commit);
    EXPECT(!may_touch(got.p));
    EXPECT(!table->commit(table, got.p, got.size, 0, page, TEST_ARENA));
    EXPECT(may_touch(got.p) && !may_touch(got.p + page));
    EXPECT(give_back(&got));
    got = ask(NULL, 4, page, true);
    REQUIRE(got.p != NULL);
    EXPECT(got.commit && may_touch(got.p));
    EXPECT(give_back(&got));
    os_overcommits = real;
}

int main(void)
{
    return test_run(TEST_CASE(from_the_break), TEST_CASE(never_from_the_break),
        TEST_CASE(commit_and_decommit), NULL);
}
