/*
 * What: see log.h. Also the sink of util/fail, from boot on, so that fatal
 * messages take the same way.
 *
 * Invariants: (I1) malloc_message is read anew for each message, because the
 * program may change it at any time.
 *
 * Locking: none.
 */
#include "os/log.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include "util/fail.h"
#include "util/format.h"

static struct {
    /* NULL before boot. */
    log_message_fn_t *variable;
} log_state;

void log_boot(log_message_fn_t *variable)
{
    log_state.variable = variable;
    fail_set_sink(log_write);
}

void log_write_to(void *opaque, const char *text)
{
    int saved_errno = errno;
    log_message_fn_t message = NULL;
    if (log_state.variable != NULL) {
        message = __atomic_load_n(log_state.variable, __ATOMIC_RELAXED);
    }
    if (message != NULL) {
        message(opaque, text);
    } else {
        /* A message that cannot be written has no other place to go. */
        ssize_t ignored = write(STDERR_FILENO, text, strlen(text));
        (void)ignored;
    }
    errno = saved_errno;
}

void log_write(const char *text)
{
    log_write_to(NULL, text);
}

void log_printf(const char *fmt, ...)
{
    char text[LOG_MESSAGE_MAX];
    va_list ap;
    va_start(ap, fmt);
    format_vprint(text, sizeof(text), fmt, ap);
    va_end(ap);
    log_write(text);
}
