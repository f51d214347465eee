/*
 * What: see fail.h. Messages are made in a small buffer on the stack, so
 * they come out even when nothing else works any more.
 *
 * Invariants: (I1) the message is out before any abort; (I2) errno is kept
 * wherever the caller goes on.
 *
 * Locking: none; the two pointers change at boot or by the application's
 * will, and one relaxed load reads each.
 */
#include "util/fail.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/format.h"

/*
 * Longest message in bytes, with its NUL: holds the longest fixed text and
 * two paths, and fits a thread stack of 16 KiB many times over.
 */
#define FAIL_MESSAGE_MAX 1024

static struct {
    fail_sink_t sink;
    fail_abort_t safety_abort;
} fail;

void fail_set_sink(fail_sink_t sink)
{
    __atomic_store_n(&fail.sink, sink, __ATOMIC_RELAXED);
}

void fail_set_safety_abort(fail_abort_t action)
{
    __atomic_store_n(&fail.safety_abort, action, __ATOMIC_RELAXED);
}

void fail_say(const char *message)
{
    int saved_errno = errno;
    fail_sink_t sink = __atomic_load_n(&fail.sink, __ATOMIC_RELAXED);
    if (sink != NULL) {
        sink(message);
    } else {
        /* There is nobody left to tell if even this fails. */
        ssize_t ignored = write(STDERR_FILENO, message, strlen(message));
        (void)ignored;
    }
    errno = saved_errno;
}

/* Makes "<jemalloc>: TEXT\n" in `buf`; a text may bring its own newline. */
static void compose(char buf[FAIL_MESSAGE_MAX], const char *fmt, va_list ap)
{
    size_t length = format_print(buf, FAIL_MESSAGE_MAX - 1, "<jemalloc>: ");
    length +=
        format_vprint(buf + length, FAIL_MESSAGE_MAX - 1 - length, fmt, ap);
    if (length > FAIL_MESSAGE_MAX - 2) {
        length = FAIL_MESSAGE_MAX - 2;
    }
    if (buf[length - 1] != '\n') {
        buf[length] = '\n';
        buf[length + 1] = '\0';
    }
}

void fail_assert(
    const char *expression, const char *file, int line, const char *function)
{
    fail_fatal("%s:%d: %s: Failed assertion: \"%s\"", file, line, function,
        expression);
}

static void stop(const char *message)
{
    fail_abort_t action = __atomic_load_n(&fail.safety_abort, __ATOMIC_RELAXED);
    if (action == NULL) {
        abort();
    }
    action(message);
}

void fail_misuse(const char *fmt, ...)
{
    char message[FAIL_MESSAGE_MAX];
    va_list ap;
    va_start(ap, fmt);
    compose(message, fmt, ap);
    va_end(ap);
    fail_say(message);
    stop(message);
}

void fail_misuse_about(
    void (*tell)(const void *about), const void *about, const char *fmt, ...)
{
    char message[FAIL_MESSAGE_MAX];
    va_list ap;
    va_start(ap, fmt);
    compose(message, fmt, ap);
    va_end(ap);
    fail_say(message);
    tell(about);
    stop(message);
}

void fail_fatal(const char *fmt, ...)
{
    char message[FAIL_MESSAGE_MAX];
    va_list ap;
    va_start(ap, fmt);
    compose(message, fmt, ap);
    va_end(ap);
    fail_say(message);
    abort();
}
