/*
 * What: see api_cxx.h.
 *
 * Invariants: as there.
 *
 * Locking: as there.
 */

/* In front of every mangled name, those of the runtime included. */
#undef __USER_LABEL_PREFIX__
#define __USER_LABEL_PREFIX__ je

#include "api/cxx.c"

#include "api_cxx.h"

#include <setjmp.h>
#include <string.h>

static _Thread_local struct {
    jmp_buf back;
    unsigned handlers; /* calls that are left */
    bool handler_throws;
    bool threw;
#if CAN_CATCH
    struct _Unwind_Exception exception;
#endif
} runtime;

/* ---- the runtime ---- */

static void handle(void)
{
    runtime.handlers--;
#if CAN_CATCH
    if (runtime.handlers == 0 && runtime.handler_throws) {
        memset(&runtime.exception, 0, sizeof(runtime.exception));
        (void)_Unwind_RaiseException(&runtime.exception);
        /* It comes back if nobody wants it. */
        fail_fatal("nobody catches what a new-handler throws\n");
    }
#endif
}

new_handler_t runtime_get_new_handler(void)
{
    return runtime.handlers > 0 ? handle : NULL;
}

void runtime_throw_bad_alloc(void)
{
    runtime.threw = true;
    longjmp(runtime.back, 1);
}

void *runtime_begin_catch(void *exception)
{
    return exception;
}

void runtime_end_catch(void)
{
}

/* ---- calls ---- */

static void *call_new(unsigned form, size_t size, size_t alignment)
{
    switch (form) {
    case 0:
        return cxx_new(size);
    case 1:
        return cxx_new_array(size);
    case 2:
        return cxx_new_nothrow(size, &runtime);
    case 3:
        return cxx_new_array_nothrow(size, &runtime);
    case 4:
        return cxx_new_aligned(size, alignment);
    case 5:
        return cxx_new_array_aligned(size, alignment);
    case 6:
        return cxx_new_aligned_nothrow(size, alignment, &runtime);
    default:
        return cxx_new_array_aligned_nothrow(size, alignment, &runtime);
    }
}

void *cxx_call_new(unsigned form, size_t size, size_t alignment,
    unsigned handlers, bool handler_throws)
{
    runtime.handlers = handlers;
    /* Out of the throwing forms it would reach the caller of this. */
    runtime.handler_throws = handler_throws && (form & 2) != 0;
    runtime.threw = false;
    if (setjmp(runtime.back) != 0) {
        return NULL;
    }
    return call_new(form, size, alignment);
}

bool cxx_threw(void)
{
    return runtime.threw;
}

static void delete_aligned(
    unsigned form, void *p, size_t size, size_t alignment)
{
    switch (form) {
    case 0:
        cxx_delete_aligned(p, alignment);
        break;
    case 1:
        cxx_delete_array_aligned(p, alignment);
        break;
    case 2:
        cxx_delete_aligned_nothrow(p, alignment, &runtime);
        break;
    case 3:
        cxx_delete_array_aligned_nothrow(p, alignment, &runtime);
        break;
    case 4:
        cxx_delete_sized_aligned(p, size, alignment);
        break;
    default:
        cxx_delete_array_sized_aligned(p, size, alignment);
        break;
    }
}

static void delete_plain(unsigned form, void *p, size_t size)
{
    switch (form) {
    case 0:
        cxx_delete(p);
        break;
    case 1:
        cxx_delete_array(p);
        break;
    case 2:
        cxx_delete_nothrow(p, &runtime);
        break;
    case 3:
        cxx_delete_array_nothrow(p, &runtime);
        break;
    case 4:
        cxx_delete_sized(p, size);
        break;
    default:
        cxx_delete_array_sized(p, size);
        break;
    }
}

void cxx_call_delete(unsigned form, void *p, size_t size, size_t alignment)
{
    if (alignment != 0) {
        delete_aligned(form % 6, p, size, alignment);
    } else {
        delete_plain(form % 6, p, size);
    }
}
