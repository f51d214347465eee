/*
 * What: every way this library stops the process, and the checks that lead
 * there. `assert` and `assert_slow` exist in debug builds only; `require` is
 * always on, for misuse that is visible for free.
 *
 * Invariants: (I1) nothing here allocates, takes a lock, or uses stdio;
 * (I2) every message starts with "<jemalloc>: " and goes to descriptor 2 in
 * one write, unless a sink was installed.
 *
 * Locking: none.
 */
#ifndef JE_UTIL_FAIL_H
#define JE_UTIL_FAIL_H

#include "util/common.h"

/* Receives each complete message; NULL restores the write to descriptor 2. */
typedef void (*fail_sink_t)(const char *message);

void fail_set_sink(fail_sink_t sink);

/* Called instead of abort() after a safety check; NULL restores abort(). */
typedef void (*fail_abort_t)(const char *message);

void fail_set_safety_abort(fail_abort_t action);

/* Writes `message` through the sink, adds nothing. */
void fail_say(const char *message);

JE_NORETURN void fail_assert(
    const char *expression, const char *file, int line, const char *function);

/*
 * Misuse by the application that a check of `require` kind found. Formats
 * like util/format, writes "<jemalloc>: " and the text, then aborts. Returns
 * only if the application installed its own abort action.
 */
JE_COLD JE_PRINTF(1, 2) void fail_misuse(const char *fmt, ...);

/* The same, with more to say after the text and before the end. */
JE_COLD JE_PRINTF(3, 4) void fail_misuse_about(
    void (*tell)(const void *about), const void *about, const char *fmt, ...);

/* Internal impossibility or unusable environment: message, then abort. */
JE_COLD JE_PRINTF(1, 2) JE_NORETURN void fail_fatal(const char *fmt, ...);

#define assert(e)                                                              \
    do {                                                                       \
        if (config_debug && JE_UNLIKELY(!(e))) {                               \
            fail_assert(#e, __FILE__, __LINE__, __func__);                     \
        }                                                                      \
    } while (0)

/* For validators that walk whole structures: debug builds only. */
#define assert_slow(call)                                                      \
    do {                                                                       \
        if (config_debug) {                                                    \
            call;                                                              \
        }                                                                      \
    } while (0)

#endif
