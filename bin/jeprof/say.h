/*
 * What: every word to the user: notes, warnings, the message that ends the
 * program, and progress of what takes long.
 *
 * Invariants: (I1) all of it goes to stderr, each message one line that
 * begins with "jeprof: "; (I2) progress is silent for the first second and
 * leaves no half line behind: a message wipes it.
 *
 * Locking: none.
 */
#ifndef JEPROF_SAY_H
#define JEPROF_SAY_H

#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>

__attribute__((format(printf, 1, 2))) void note(const char *format, ...);
__attribute__((format(printf, 1, 2))) void warn(const char *format, ...);
__attribute__((format(printf, 1, 2), noreturn)) void fail(
    const char *format, ...);

/* Where fail goes instead of ending the program; NULL: it ends. */
void say_set_trap(jmp_buf *trap);
/* What the trapped fail had to say. */
const char *say_trapped(void);

/* No notes, warnings and progress from now on. */
void say_be_quiet(bool quiet);

/*
 * Tells that `done` of `total` are done of what `what` names; cheap enough to
 * call often. A total of 0 is unknown.
 */
void progress(const char *what, uint64_t done, uint64_t total);
void progress_end(void);

#endif
