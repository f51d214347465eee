/*
 * What: see thread_end.h.
 *
 * Invariants: as there.
 *
 * Locking: as there.
 */
#include "os/thread_end.h"

#include <pthread.h>

#include "util/atomic.h"

/* Of glibc, for compilers of C++; the third says whose code the first is. */
extern int __cxa_thread_atexit_impl(void (*call)(void *), void *argument,
    void *anything_here) __attribute__((weak));

enum {
    KEY_NONE,
    KEY_TRIED_FOR,
    KEY_THERE,
};

static struct {
    void (*call)(void *argument);
    pthread_key_t key;
    _Atomic int state;
} thread_end;

static bool has_key(void)
{
    return atomic_get_acquire(&thread_end.state) == KEY_THERE;
}

/* Somebody may have given one up. */
static bool get_key(void)
{
    int none = KEY_NONE;
    if (atomic_compare_exchange_strong(
            &thread_end.state, &none, KEY_TRIED_FOR)) {
        bool done = pthread_key_create(&thread_end.key, thread_end.call) == 0;
        atomic_put_release(&thread_end.state, done ? KEY_THERE : KEY_NONE);
    }
    return has_key();
}

bool thread_end_is_possible(void)
{
    return has_key() || __cxa_thread_atexit_impl != NULL || get_key();
}

bool thread_end_boot(void (*call)(void *argument))
{
    thread_end.call = call;
    return get_key() || thread_end_is_possible();
}

bool thread_end_ask(void *argument)
{
    if (has_key()) {
        return pthread_setspecific(thread_end.key, argument) == 0;
    }
    return __cxa_thread_atexit_impl != NULL &&
           __cxa_thread_atexit_impl(thread_end.call, argument, &thread_end) ==
               0;
}
