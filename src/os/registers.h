/*
 * What: hints where a value is best kept, for the few functions in which each
 * instruction counts.
 *
 * Invariants: (I1) no hint changes what is computed.
 *
 * Locking: none.
 */
#ifndef JE_OS_REGISTERS_H
#define JE_OS_REGISTERS_H

#include "util/common.h"

/* The value is what the function will return: no move at its end. */
JE_ALWAYS_INLINE void *register_of_result(void *value)
{
#if defined(__x86_64__)
    __asm__("" : "+a"(value));
#endif
    return value;
}

#endif
