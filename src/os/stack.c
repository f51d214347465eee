/*
 * What: see stack.h. Something at the top of each stack is known: the main
 * thread's ends with what the kernel wrote there, that of another thread with
 * its thread-local storage. If all is readable from here to there it is one
 * stack: between two of them there is a guard.
 *
 * Invariants: as there.
 *
 * Locking: as there.
 */
#include "os/stack.h"

#include <sys/auxv.h>

#include "os/os.h"
#include "os/peek.h"
#include "util/bits.h"

/* Larger ones are walked page by page. */
#define STACK_BYTES_MAX ((uintptr_t)16 << 20)

JE_THREAD_LOCAL os_stack_t os_stack_self;

static bool is_readable(uintptr_t from, uintptr_t to)
{
    for (; from < to; from += os_page_size()) {
        if (!os_is_readable(from)) {
            return false;
        }
    }
    return true;
}

static uintptr_t top_above(uintptr_t sp)
{
    uintptr_t storage = (uintptr_t)&os_stack_self;
    uintptr_t top = storage - sp < STACK_BYTES_MAX
                        ? storage
                        : (uintptr_t)getauxval(AT_RANDOM);
    return top - sp < STACK_BYTES_MAX ? bits_round_up(top, os_page_size()) : 0;
}

/* In this order: a signal handler may ask in between. */
static uintptr_t ask_first(os_stack_t *self, uintptr_t sp)
{
    uintptr_t end = top_above(sp);
    end = is_readable(sp, end) ? end : 0;
    atomic_put_release(&self->low, sp);
    atomic_put_release(&self->end, end);
    return end;
}

uintptr_t os_stack_ask(uintptr_t sp)
{
    os_stack_t *self = &os_stack_self;
    uintptr_t low = atomic_get_relaxed(&self->low);
    uintptr_t end = atomic_get_relaxed(&self->end);
    sp = bits_round_down(sp, os_page_size());
    if (low == 0) {
        return ask_first(self, sp);
    }
    if (end == 0 || low - sp > STACK_BYTES_MAX || !is_readable(sp, low)) {
        return 0;
    }
    atomic_put_release(&self->low, sp);
    return end;
}
