/*
 * What: see probe.h.
 *
 * Invariants: as there.
 *
 * Locking: as there.
 */
#include "os/probe.h"

#ifdef HAVE_SYS_SDT_H
/* The tracer counts itself in these. */
#    define _SDT_HAS_SEMAPHORES 1
#    include <sys/sdt.h>

#    define SEMAPHORE                                                          \
        __attribute__((section(".probes"), visibility("hidden"), used))
extern unsigned short otel_memory_alloc_semaphore;
extern unsigned short otel_memory_free_semaphore;
SEMAPHORE unsigned short otel_memory_alloc_semaphore;
SEMAPHORE unsigned short otel_memory_free_semaphore;

static bool is_watched(const volatile unsigned short *semaphore)
{
    return JE_UNLIKELY(*semaphore != 0);
}
#else
#    define STAP_PROBE1(provider, name, a)
#    define STAP_PROBE3(provider, name, a, b, c)
static unsigned short otel_memory_alloc_semaphore;
static unsigned short otel_memory_free_semaphore;

static bool is_watched(const unsigned short *semaphore)
{
    (void)semaphore;
    return false;
}
#endif

void os_probe_alloc(const void *ptr, size_t size, uint64_t weight)
{
    if (is_watched(&otel_memory_alloc_semaphore)) {
        STAP_PROBE3(otel_memory, alloc, ptr, size, weight);
    }
    (void)ptr;
    (void)size;
    (void)weight;
}

void os_probe_free(const void *ptr)
{
    if (is_watched(&otel_memory_free_semaphore)) {
        STAP_PROBE1(otel_memory, free, ptr);
    }
    (void)ptr;
}
