/*
 * What: where os/log sends messages, and how long they may be.
 *
 * Invariants: (I1) tests that change the variable put it back.
 *
 * Locking: none.
 */
#include "os/log.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "harness.h"
#include "util/fail.h"

static log_message_fn_t variable;
static void *heard_opaque;
/* What a child gets is not const. */
static char plain[] = "plain\n";

static char heard[2 * LOG_MESSAGE_MAX];
static unsigned calls;

static void hear(void *opaque, const char *text)
{
    heard_opaque = opaque;
    strncat(heard, text, sizeof(heard) - strlen(heard) - 1);
    calls++;
    errno = 77;
}

static void listen(log_message_fn_t message)
{
    heard[0] = '\0';
    heard_opaque = heard;
    calls = 0;
    variable = message;
    log_boot(&variable);
}

static void write_some(void *arg)
{
    log_write(arg);
    log_printf("%d and %s\n", 5, "six");
}

TEST(before_boot)
{
    test_child_t child = test_in_child(write_some, plain);
    EXPECT_EQ_STR(child.err, "plain\n5 and six\n");
}

static void write_booted(void *arg)
{
    listen(NULL);
    write_some(arg);
}

TEST(no_message_function)
{
    test_child_t child = test_in_child(write_booted, plain);
    EXPECT_EQ_STR(child.err, "plain\n5 and six\n");
}

TEST(message_function)
{
    listen(hear);
    errno = 1234;
    log_write("a");
    log_printf("%u", 12U);
    EXPECT_EQ_I64(errno, 1234);
    EXPECT_EQ_STR(heard, "a12");
    EXPECT_EQ_U64(calls, 2);
    EXPECT_EQ_PTR(heard_opaque, NULL);
    log_write_to(&calls, "c");
    EXPECT_EQ_PTR(heard_opaque, &calls);
    EXPECT_EQ_STR(heard, "a12c");
    EXPECT_EQ_I64(errno, 1234);
}

/* The program may set and clear the variable at any time. */
static void change_variable(void *arg)
{
    (void)arg;
    listen(NULL);
    log_write("one ");
    variable = hear;
    log_write("two ");
    variable = NULL;
    log_write("three");
}

TEST(variable_is_read_each_time)
{
    test_child_t child = test_in_child(change_variable, NULL);
    EXPECT_EQ_STR(child.err, "one three");
}

TEST(fatal_messages_come_this_way)
{
    listen(hear);
    fail_say("fatal");
    EXPECT_EQ_STR(heard, "fatal");
}

TEST(cut)
{
    static char text[LOG_MESSAGE_MAX + 100];
    memset(text, 'x', sizeof(text) - 1);
    listen(hear);
    log_printf("%s", text);
    EXPECT_EQ_U64(strlen(heard), LOG_MESSAGE_MAX - 1);
    EXPECT_EQ_U64(calls, 1);
    /* Text that is not formatted needs no buffer, hence no limit. */
    listen(hear);
    log_write(text);
    EXPECT_EQ_U64(strlen(heard), sizeof(text) - 1);
}

static void write_closed(void *arg)
{
    (void)arg;
    close(STDERR_FILENO);
    errno = 1234;
    log_write("nobody reads this");
    _exit(errno == 1234 ? 3 : 4);
}

TEST(closed_descriptor)
{
    listen(NULL);
    test_child_t child = test_in_child(write_closed, NULL);
    EXPECT_EQ_I64(child.status, 3 << 8);
}

int main(void)
{
    return test_run(TEST_CASE(before_boot), TEST_CASE(no_message_function),
        TEST_CASE(message_function), TEST_CASE(variable_is_read_each_time),
        TEST_CASE(fatal_messages_come_this_way), TEST_CASE(cut),
        TEST_CASE(closed_descriptor), NULL);
}
