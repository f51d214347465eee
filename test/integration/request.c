/*
 * What: statistics when a signal asks for them: from a program that does
 * nothing, in a fork child, right before the end, and not when the program
 * has a handler of its own.
 *
 * Invariants: the library prints from a thread of its own, so the tests wait
 * for the text.
 *
 * Locking: what is printed is counted atomically.
 */
#include "harness.h"
#include <jemalloc/jemalloc.h>

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *malloc_conf =
    "stats_signal:SIGUSR2,stats_print_opts:gmablxeh,narenas:1";

#define BEGIN "___ Begin jemalloc statistics ___\n"
#define END   "--- End jemalloc statistics ---\n"

static struct {
    atomic_uint begun;
    atomic_uint ended;
    atomic_bool in_handler;
    atomic_uint own;
} seen;

static pthread_t main_thread;

static void count(void *opaque, const char *text)
{
    (void)opaque;
    atomic_fetch_add(&seen.begun, strstr(text, BEGIN) != NULL);
    if (pthread_equal(pthread_self(), main_thread)) {
        atomic_store(&seen.in_handler, true);
    }
    atomic_fetch_add(&seen.ended, strstr(text, END) != NULL);
}

/* Half a minute at most. */
static void wait_for(atomic_uint *counter, unsigned value)
{
    for (unsigned i = 0; i < 3000 && atomic_load(counter) < value; i++) {
        usleep(10000);
    }
    EXPECT_GE_U64(atomic_load(counter), value);
}

TEST(an_idle_program_answers)
{
    malloc_message = count;
    main_thread = pthread_self();
    for (unsigned i = 1; i <= 3; i++) {
        kill(getpid(), SIGUSR2);
        wait_for(&seen.ended, i);
    }
    EXPECT_EQ_U64(atomic_load(&seen.begun), atomic_load(&seen.ended));
    EXPECT(!atomic_load(&seen.in_handler));
    malloc_message = NULL;
}

/* Not one each, but one at least, and never a broken one. */
TEST(many_requests_at_once)
{
    unsigned before = atomic_load(&seen.ended);
    malloc_message = count;
    for (unsigned i = 0; i < 100; i++) {
        kill(getpid(), SIGUSR2);
    }
    wait_for(&seen.ended, before + 1);
    free(malloc(100));
    usleep(200000);
    EXPECT_EQ_U64(atomic_load(&seen.begun), atomic_load(&seen.ended));
    EXPECT_LE_U64(atomic_load(&seen.ended), before + 100);
    malloc_message = NULL;
}

static unsigned occurrences(const char *text, const char *part)
{
    unsigned found = 0;
    while ((text = strstr(text, part)) != NULL) {
        found++;
        text += strlen(part);
    }
    return found;
}

/* A system call that is restarted, in a process without its parent's thread. */
static void child(void *opaque)
{
    (void)opaque;
    malloc_message = count;
    main_thread = pthread_self();
    unsigned before = atomic_load(&seen.ended);
    kill(getpid(), SIGUSR2);
    wait_for(&seen.ended, before + 1);
    EXPECT(!atomic_load(&seen.in_handler));
}

TEST(a_fork_child_answers)
{
    static test_child_t result;
    result = test_in_child(child, NULL);
    EXPECT_EQ_I64(result.status, 0);
}

static void ask_and_leave(void *opaque)
{
    (void)opaque;
    kill(getpid(), SIGUSR2);
    exit(0);
}

TEST(the_end_waits_for_the_report)
{
    static test_child_t result;
    for (unsigned i = 0; i < 20; i++) {
        result = test_in_child(ask_and_leave, NULL);
        EXPECT_EQ_I64(result.status, 0);
        EXPECT_EQ_U64(occurrences(result.err, BEGIN), 1);
        EXPECT_EQ_U64(occurrences(result.err, END), 1);
    }
}

static void own_handler(int number)
{
    (void)number;
    atomic_fetch_add(&seen.own, 1);
}

TEST(a_handler_of_the_program_wins)
{
    unsigned before = atomic_load(&seen.begun);
    malloc_message = count;
    REQUIRE(signal(SIGUSR2, own_handler) != SIG_ERR);
    kill(getpid(), SIGUSR2);
    wait_for(&seen.own, 1);
    usleep(100000);
    EXPECT_EQ_U64(atomic_load(&seen.begun), before);
    malloc_message = NULL;
}

int main(void)
{
    return test_run(TEST_CASE(an_idle_program_answers),
        TEST_CASE(many_requests_at_once), TEST_CASE(a_fork_child_answers),
        TEST_CASE(the_end_waits_for_the_report),
        TEST_CASE(a_handler_of_the_program_wins), NULL);
}
