/*
 * What: messages and progress, see say.h.
 *
 * Invariants: (I1) `shown` is true while a progress line stands on a terminal.
 *
 * Locking: none.
 */
#include "say.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static struct {
    jmp_buf *trap;
    bool quiet;
    bool shown;
    uint64_t start_ms;
    uint64_t last_ms;
    const char *what;
    char trapped[1024];
} state;

static uint64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void wipe(void)
{
    if (state.shown) {
        fputs("\r\033[K", stderr);
        state.shown = false;
    }
}

static void say(const char *kind, const char *format, va_list args)
{
    if (state.quiet) {
        return;
    }
    wipe();
    fprintf(stderr, "jeprof: %s", kind);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
}

void note(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    say("", format, args);
    va_end(args);
}

void warn(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    say("warning: ", format, args);
    va_end(args);
}

void fail(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    if (state.trap != NULL) {
        vsnprintf(state.trapped, sizeof(state.trapped), format, args);
        va_end(args);
        longjmp(*state.trap, 1);
    }
    state.quiet = false;
    fflush(stdout);
    say("", format, args);
    va_end(args);
    exit(1);
}

void say_set_trap(jmp_buf *trap)
{
    state.trap = trap;
}

const char *say_trapped(void)
{
    return state.trapped;
}

void say_be_quiet(bool quiet)
{
    state.quiet = quiet;
}

/* On a terminal one line that changes, else a line every five seconds. */
void progress(const char *what, uint64_t done, uint64_t total)
{
    uint64_t now = now_ms();
    if (state.what != what) {
        state.what = what;
        state.start_ms = now;
        state.last_ms = now;
    }
    bool terminal = isatty(STDERR_FILENO);
    uint64_t pause = terminal && state.shown ? 200 : terminal ? 1000 : 5000;
    bool first = state.last_ms == state.start_ms;
    if (state.quiet || now - state.last_ms < (first ? 1000 : pause)) {
        return;
    }
    state.last_ms = now;
    wipe();
    fprintf(stderr, "jeprof: %s", what);
    if (total > 0) {
        fprintf(
            stderr, ": %u%%", (unsigned)(100.0 * (double)done / (double)total));
    } else {
        fprintf(stderr, ": %llu", (unsigned long long)done);
    }
    fputs(terminal ? "" : "\n", stderr);
    state.shown = terminal;
}

void progress_end(void)
{
    wipe();
    state.what = NULL;
}
