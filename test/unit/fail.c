/*
 * What: what util/fail writes, and how the process ends.
 *
 * Invariants: (I1) whatever aborts runs in a child.
 *
 * Locking: none.
 */
#include "util/fail.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"

/* What a child gets is not const. */
static char luck[] = "luck";
static char some_text[] = "text";
static char x[] = "x";

static char heard[4096];

static void hear(const char *message)
{
    strncat(heard, message, sizeof(heard) - strlen(heard) - 1);
    errno = 77;
}

#define EXPECT_ABORTED(child)                                                  \
    do {                                                                       \
        EXPECT(WIFSIGNALED((child).status));                                   \
        EXPECT_EQ_I64(WTERMSIG((child).status), SIGABRT);                      \
    } while (0)

static void do_fatal(void *arg)
{
    fail_fatal("no %s after %d tries", (const char *)arg, 3);
}

TEST(fatal)
{
    test_child_t child = test_in_child(do_fatal, luck);
    EXPECT_EQ_STR(child.err, "<jemalloc>: no luck after 3 tries\n");
    EXPECT_ABORTED(child);
}

static void do_fatal_newline(void *arg)
{
    fail_fatal("%s\n", (const char *)arg);
}

TEST(one_newline)
{
    test_child_t child = test_in_child(do_fatal_newline, some_text);
    EXPECT_EQ_STR(child.err, "<jemalloc>: text\n");
    EXPECT_ABORTED(child);
}

/* Too long a message is cut, and still ends its line. */
TEST(long_message)
{
    static char text[3000];
    memset(text, 'x', sizeof(text) - 1);
    test_child_t child = test_in_child(do_fatal, text);
    size_t len = strlen(child.err);
    EXPECT_GE_U64(len, 512);
    EXPECT_LE_U64(len, 4095);
    REQUIRE(len > 0);
    EXPECT(child.err[len - 1] == '\n');
    EXPECT(strncmp(child.err, "<jemalloc>: no xxx", 18) == 0);
    EXPECT_ABORTED(child);
}

static void do_misuse(void *arg)
{
    (void)arg;
    fail_misuse("double free of %p", (void *)0x1000);
}

TEST(misuse)
{
    test_child_t child = test_in_child(do_misuse, NULL);
    EXPECT_EQ_STR(child.err, "<jemalloc>: double free of 0x1000\n");
    EXPECT_ABORTED(child);
}

static void say_and_exit(const char *message)
{
    fail_say("action: ");
    fail_say(message);
    _exit(7);
}

static void do_misuse_action(void *arg)
{
    (void)arg;
    fail_set_safety_abort(say_and_exit);
    fail_misuse("text");
}

TEST(misuse_action)
{
    test_child_t child = test_in_child(do_misuse_action, NULL);
    EXPECT_EQ_STR(child.err, "<jemalloc>: text\naction: <jemalloc>: text\n");
    EXPECT(WIFEXITED(child.status));
    EXPECT_EQ_I64(WEXITSTATUS(child.status), 7);
}

/* An action that returns lets the caller go on; NULL brings abort back. */
TEST(misuse_returns)
{
    heard[0] = '\0';
    fail_set_sink(hear);
    fail_set_safety_abort(hear);
    fail_misuse("a");
    fail_set_safety_abort(NULL);
    fail_set_sink(NULL);
    EXPECT_EQ_STR(heard, "<jemalloc>: a\n<jemalloc>: a\n");
    test_child_t child = test_in_child(do_misuse, NULL);
    EXPECT_ABORTED(child);
}

TEST(sink)
{
    heard[0] = '\0';
    fail_set_sink(hear);
    errno = 1234;
    fail_say("as it is");
    EXPECT_EQ_I64(errno, 1234);
    fail_set_sink(NULL);
    EXPECT_EQ_STR(heard, "as it is");
}

static void say_on_closed(void *arg)
{
    (void)arg;
    close(STDERR_FILENO);
    errno = 1234;
    fail_say("nobody reads this");
    _exit(errno == 1234 ? 3 : 4);
}

TEST(closed_descriptor)
{
    test_child_t child = test_in_child(say_on_closed, NULL);
    EXPECT_EQ_I64(WEXITSTATUS(child.status), 3);
}

static void do_assert(void *arg)
{
    const char *text = arg;
    assert(text == NULL);
}

TEST(assertion)
{
    test_child_t child = test_in_child(do_assert, x);
    if (!config_debug) {
        EXPECT_EQ_I64(child.status, 0);
        EXPECT_EQ_STR(child.err, "");
        return;
    }
    EXPECT_ABORTED(child);
    EXPECT(strncmp(child.err, "<jemalloc>: ", 12) == 0);
    EXPECT(strstr(child.err, "fail.c:") != NULL);
    EXPECT(strstr(child.err,
               "do_assert: Failed assertion: \"text == NULL\"\n") != NULL);
}

TEST(assertion_holds)
{
    test_child_t child = test_in_child(do_assert, NULL);
    EXPECT_EQ_I64(child.status, 0);
    EXPECT_EQ_STR(child.err, "");
}

int main(void)
{
    return test_run(TEST_CASE(fatal), TEST_CASE(one_newline),
        TEST_CASE(long_message), TEST_CASE(misuse), TEST_CASE(misuse_action),
        TEST_CASE(misuse_returns), TEST_CASE(sink),
        TEST_CASE(closed_descriptor), TEST_CASE(assertion),
        TEST_CASE(assertion_holds), NULL);
}
