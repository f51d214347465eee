/*
 * What: see thread_end.h.
 *
 * Invariants: as there.
 *
 * Locking: as there.
 */
#include "os/thread_end.h"

#include <pthread.h>

/* Of glibc, for compilers of C++; the third says whose code the first is. */
extern int __cxa_thread_atexit_impl(void (*call)(void *), void *argument,
    void *anything_here) __attribute__((weak));

static struct {
    void (*call)(void *argument);
    pthread_key_t key;
    bool has_key;
} thread_end;

bool thread_end_boot(void (*call)(void *argument))
{
    thread_end.call = call;
    thread_end.has_key = pthread_key_create(&thread_end.key, call) == 0;
    return thread_end.has_key || __cxa_thread_atexit_impl != NULL;
}

bool thread_end_ask(void *argument)
{
    if (thread_end.has_key) {
        return pthread_setspecific(thread_end.key, argument) == 0;
    }
    return __cxa_thread_atexit_impl != NULL &&
           __cxa_thread_atexit_impl(thread_end.call, argument, &thread_end) ==
               0;
}
