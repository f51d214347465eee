/*
 * What: functions that do nothing, in a shared library of their own, so that
 * a loop over them costs what the benchmark's loops cost without allocator.
 *
 * Invariants: (I1) same shape as malloc and free: one argument in, one
 * pointer out; no more than two instructions each.
 *
 * Locking: none.
 */
#include <stddef.h>

void *bench_take(size_t size);
void bench_give(void *block);

void *bench_take(size_t size)
{
    return (void *)size;
}

void bench_give(void *block)
{
    (void)block;
}
