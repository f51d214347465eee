/*
 * What: the thread that looks after pages comes and goes as told, counts what
 * it does, and is never there twice.
 *
 * Invariants: each case leaves it stopped.
 *
 * Locking: none.
 */
#include "arena/background.h"

#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"
#include "os/reentry.h"

const char *je_malloc_conf = "background_thread:true,dirty_decay_ms:100";

/* Looks on until it is so, for at most ten seconds. */
static bool comes_true(bool (*is_so)(void))
{
    for (unsigned i = 0; i < 1000 && !is_so(); i++) {
        usleep(10000);
    }
    return is_so();
}

static bool is_gone(void)
{
    return !background_is_running();
}

static uint64_t runs_seen;

static bool has_run_again(void)
{
    return background_stats().runs > runs_seen;
}

static void begin(void)
{
    je_free(je_malloc(1)); /* boots */
    REQUIRE(background_switch(false));
    EXPECT(is_gone());
}

TEST(on_and_off)
{
    begin();
    EXPECT(!background_is_on());
    for (unsigned i = 0; i < 20; i++) {
        EXPECT(background_switch(true));
        EXPECT(background_is_on());
        EXPECT(background_switch(true));
        EXPECT(comes_true(background_is_running));
        EXPECT_EQ_U64(background_stats().threads, 1);
        EXPECT(background_switch(false));
        EXPECT(is_gone());
        EXPECT_EQ_U64(background_stats().threads, 0);
    }
}

/* Off is off: unused pages and a threaded program change nothing. */
TEST(off_is_absolute)
{
    begin();
    background_note_threads();
    je_free(je_malloc(64 << 20));
    background_start_if_due();
    EXPECT(is_gone());
}

TEST(it_works)
{
    begin();
    runs_seen = background_stats().runs;
    EXPECT(background_switch(true));
    EXPECT(comes_true(has_run_again));
    runs_seen = background_stats().runs;
    je_free(je_malloc(5 << 20));
    EXPECT(comes_true(has_run_again));
    EXPECT(background_switch(false));
    EXPECT_GE_U64(background_stats().slept_ns, 1);
}

/* A nap is interrupted, too: nobody waits for its end. */
TEST(off_while_it_naps)
{
    begin();
    for (unsigned i = 0; i < 3; i++) {
        EXPECT(background_switch(true));
        EXPECT(comes_true(background_is_running));
        je_free(je_malloc(5 << 20));
        usleep(30000);
        uint64_t before = os_clock_precise_ns();
        EXPECT(background_switch(false));
        EXPECT_LT_U64(os_clock_precise_ns() - before, 900000000U);
    }
}

TEST(not_from_inside_a_hook)
{
    begin();
    reentry_enter();
    EXPECT(!background_switch(true));
    reentry_leave();
    EXPECT(is_gone());
}

TEST(a_child_starts_its_own)
{
    if (test_is_emulated()) {
        test_skip("the emulator fails when a program with threads forks");
    }
    begin();
    EXPECT(background_switch(true));
    EXPECT(comes_true(background_is_running));
    pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        bool ok = is_gone() && !background_is_on();
        je_free(je_malloc(5 << 20));
        background_start_if_due();
        ok = ok && comes_true(background_is_running) && background_is_on();
        ok = ok && background_switch(false) && is_gone();
        _exit(ok ? 0 : 1);
    }
    int status = -1;
    REQUIRE(waitpid(child, &status, 0) == child);
    EXPECT_EQ_I64(status, 0);
    EXPECT(background_is_running());
    EXPECT(background_switch(false));
}

int main(void)
{
    return test_run(TEST_CASE(on_and_off), TEST_CASE(off_is_absolute),
        TEST_CASE(it_works), TEST_CASE(off_while_it_naps),
        TEST_CASE(not_from_inside_a_hook), TEST_CASE(a_child_starts_its_own),
        NULL);
}
