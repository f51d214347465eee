/*
 * What: what is live at exit, told to the user: a summary in three lines at
 * most, then the stacks that hold the most. Symbols come from jeprof, run as
 * a program of its own, if it is installed; else addresses are printed.
 *
 * With opt.prof_leak_suppressions, stacks that a line of that file matches do
 * not count. A line is a pattern, `*` standing for any text, that is compared
 * with each function's name and with each module's path; a pattern without
 * `*` may match in the middle. Lines that begin with # are comments, a
 * leading "leak:" is skipped.
 *
 * Invariants: (I1) nothing live, nothing said.
 *
 * Locking: none; called at exit with no lock held.
 */
#ifndef JE_PROF_PROF_LEAK_H
#define JE_PROF_PROF_LEAK_H

#include "prof/prof_text.h"

/* Ends the process with status 1 if opt.prof_leak_error wants that. */
void prof_leak_report(const prof_profile_t *profile);

/* Whether a pattern matches a text, as described above. */
bool prof_leak_matches(
    const char *pattern, size_t pattern_length, const char *text);

#endif
