/*
 * What: the call stack of the calling thread. Each frame is undone by the
 * rule that the unwind tables give for its address; rules are remembered by
 * address, so that a stack seen before costs a few nanoseconds a frame. Code
 * without tables is left through its frame pointer if it keeps one, else the
 * stack ends there.
 *
 * Invariants: (I1) async-signal-safe: no lock waited for, no allocation,
 * errno kept; (I2) never faults: the stack is read upwards from the stack
 * pointer, as far as it is known to be there (os/stack.h), else page by page
 * as the kernel says; (I3) ends: every
 * step goes up the stack, or through a signal frame, of which a few are
 * followed.
 *
 * Locking: none; the cache of rules is words that check one another.
 */
#ifndef JE_PROF_PROF_STACK_H
#define JE_PROF_PROF_STACK_H

#include "os/frame.h"

/*
 * Return addresses, innermost first, at most `max`; how many. Frames of this
 * library at the top are left out if it is a shared one. The first address is
 * moved back into its call instruction, as readers take it for a place that
 * is being executed.
 */
unsigned prof_stack_capture(uintptr_t *frames, unsigned max);

/* The same from given registers, all frames, addresses as they are. */
unsigned prof_stack_walk(
    const frame_t *from, uintptr_t *frames, unsigned max, bool use_cache);

#endif
