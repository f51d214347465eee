/*
 * What: the places where tracers may look at sampled blocks: the user-space
 * probes otel_memory:alloc (pointer, size, bytes that the sample stands for)
 * and otel_memory:free (pointer). Nobody looking, each is a load and a test.
 *
 * Invariants: (I1) without sys/sdt.h there are none and nothing is left.
 *
 * Locking: none.
 */
#ifndef JE_OS_PROBE_H
#define JE_OS_PROBE_H

#include "util/common.h"

void os_probe_alloc(const void *ptr, size_t size, uint64_t weight);
void os_probe_free(const void *ptr);

#endif
