/*
 * What: the C++ operators of the library under names that no C++ program
 * looks for ("je" and the mangled name), and the runtime that they find: its
 * exceptions and new-handlers are made here.
 *
 * Invariants: (I1) what an operator throws ends up here.
 *
 * Locking: none; state is the thread's.
 */
#ifndef JE_TEST_FUZZ_API_CXX_H
#define JE_TEST_FUZZ_API_CXX_H

#include <stdbool.h>
#include <stddef.h>

#define CXX_NEW_FORMS    8  /* bit 0 array, bit 1 nothrow, bit 2 aligned */
#define CXX_DELETE_FORMS 10 /* bit 0 array */

static inline bool cxx_new_is_aligned(unsigned form)
{
    return (form & 4) != 0;
}

/*
 * The block, or NULL if the operator threw or returned that. The new-handler
 * is called up to so many times, and throws in the end if it is said to.
 */
void *cxx_call_new(unsigned form, size_t size, size_t alignment,
    unsigned handlers, bool handler_throws);

/* Whether the last call of this thread threw bad_alloc. */
bool cxx_threw(void);

/* `alignment` 0: none was asked for, so no aligned form is used. */
void cxx_call_delete(unsigned form, void *p, size_t size, size_t alignment);

#endif
