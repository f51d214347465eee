/*
 * What: the system as the models see it, for those calls of os.h that more
 * than one of them makes.
 *
 * Invariants: none.
 *
 * Locking: none.
 */
#include "explore.h"
#include "os/os.h"
#include "os/reentry.h"

JE_THREAD_LOCAL unsigned reentry_depth;
void (*reentry_observer)(bool inside);

void os_wait(_Atomic uint32_t *word, uint32_t expected)
{
    model_wait(word, expected);
}

void os_wake(_Atomic uint32_t *word, int count)
{
    model_wake(word, count);
}

bool os_barrier_everywhere(void)
{
    model_barrier();
    return true;
}

uint64_t os_clock_precise_ns(void)
{
    return 0;
}

unsigned os_affinity_cpus(void)
{
    return 2;
}

void *model_move(void *to, const void *from, size_t bytes)
{
    void **out = to;
    void *const *in = from;
    size_t count = bytes / sizeof(*out);
    for (size_t i = 0; i < count; i++) {
        size_t k = out < (void **)(uintptr_t)in ? i : count - 1 - i;
        out[k] = in[k];
    }
    return to;
}

void fail_assert(
    const char *expression, const char *file, int line, const char *function)
{
    (void)file;
    (void)line;
    (void)function;
    model_require(false, expression);
    __builtin_trap();
}
