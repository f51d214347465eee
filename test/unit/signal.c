/*
 * What: catching signals: what is free is caught, what the program handles is
 * left alone, what cannot be caught is said to be so.
 *
 * Invariants: each case uses a signal of its own.
 *
 * Locking: none.
 */
#include "os/signal.h"

#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include "harness.h"

static volatile sig_atomic_t caught;
static volatile sig_atomic_t own;

static void note_caught(int number)
{
    caught = number;
}

static void note_own(int number)
{
    own = number;
}

TEST(a_free_signal_is_caught)
{
    errno = 7;
    EXPECT_EQ_I64(os_signal_catch(SIGUSR1, note_caught), OS_SIGNAL_CAUGHT);
    EXPECT_EQ_I64(errno, 7);
    EXPECT_EQ_I64(raise(SIGUSR1), 0);
    EXPECT_EQ_I64(caught, SIGUSR1);
}

TEST(an_ignored_signal_is_caught)
{
    (void)signal(SIGHUP, SIG_IGN);
    EXPECT_EQ_I64(os_signal_catch(SIGHUP, note_caught), OS_SIGNAL_CAUGHT);
    EXPECT_EQ_I64(raise(SIGHUP), 0);
    EXPECT_EQ_I64(caught, SIGHUP);
}

TEST(a_handled_signal_is_left_alone)
{
    (void)signal(SIGUSR2, note_own);
    EXPECT_EQ_I64(os_signal_catch(SIGUSR2, note_caught), OS_SIGNAL_IN_USE);
    caught = 0;
    EXPECT_EQ_I64(raise(SIGUSR2), 0);
    EXPECT_EQ_I64(own, SIGUSR2);
    EXPECT_EQ_I64(caught, 0);
}

TEST(some_cannot_be_caught)
{
    errno = 7;
    EXPECT_EQ_I64(os_signal_catch(SIGKILL, note_caught), OS_SIGNAL_REFUSED);
    EXPECT_EQ_I64(os_signal_catch(-1, note_caught), OS_SIGNAL_REFUSED);
    EXPECT_EQ_I64(errno, 7);
}

int main(void)
{
    return test_run(TEST_CASE(a_free_signal_is_caught),
        TEST_CASE(an_ignored_signal_is_caught),
        TEST_CASE(a_handled_signal_is_left_alone),
        TEST_CASE(some_cannot_be_caught), NULL);
}
