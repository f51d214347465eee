/*
 * What: the C++ allocation operators, as C functions that carry the mangled
 * names. They belong to a library that needs libc alone: whatever they want
 * from a C++ runtime (the new-handler, std::bad_alloc, catching) they take
 * from the runtime that the program has, and only once an allocation failed.
 *
 * Invariants: (I1) a call that succeeds at once touches nothing of C++;
 * (I2) every name of a C++ runtime or unwinder is a weak reference, so the
 * library loads without one; (I3) a retry after the new-handler asks for the
 * same alignment as the first try; (I4) nothrow forms return NULL whatever
 * exception the handler throws (where CAN_CATCH is 0 below, it passes through
 * them instead); (I5) a forced unwind, such as thread cancellation, is never
 * caught.
 *
 * Locking: none held here; the handler may call anything, these operators
 * included.
 */
#include "util/common.h"

#define JEMALLOC_NO_DEMANGLE
#include "jemalloc/jemalloc.h"

#include "api/alloc.h"
#include "conf/conf.h"
#include "util/fail.h"

#include <errno.h>

/*
 * Catching takes an unwinder that asks personality routines (which that of
 * 32-bit ARM does in its own way) and an assembler that can name one.
 */
#if defined(__GCC_HAVE_DWARF2_CFI_ASM) && !defined(__ARM_EABI__)
#    include <setjmp.h>
#    include <unwind.h>
#    define CAN_CATCH 1
#else
#    define CAN_CATCH 0
#endif

/*
 * Objects of the shared library may look for a runtime that was loaded after
 * them; linking dlopen into a static program would only earn a warning.
 */
#if defined(__PIC__) && !defined(__PIE__)
#    define CAN_FIND_LATE 1
#    include <dlfcn.h>
#else
#    define CAN_FIND_LATE 0
#endif

/* size_t is `unsigned long` (m) or, where that is 64 bits too many, j. */
#if SIZE_MAX > UINT32_MAX
#    define SIZE_CODE "m"
#else
#    define SIZE_CODE "j"
#endif

#define TEXT_OF(x)    #x
#define PREFIX_OF(x)  TEXT_OF(x)
#define MANGLED(name) __asm__(PREFIX_OF(__USER_LABEL_PREFIX__) name)
#define NOTHROW_CODE  "RKSt9nothrow_t"
#define ALIGN_CODE    "St11align_val_t"

/* From this size on a failing request is more likely a bug than a need. */
#define CXX_SUSPECT_BYTES ((size_t)1 << 30)

/* The reference `const std::nothrow_t &`, which nobody looks at. */
typedef const void *nothrow_ref_t;

typedef void (*new_handler_t)(void);

/* ------------------------------------------------------- the operators */

JEMALLOC_EXPORT void *cxx_new(size_t size) MANGLED("_Znw" SIZE_CODE);
JEMALLOC_EXPORT void *cxx_new_array(size_t size) MANGLED("_Zna" SIZE_CODE);
JEMALLOC_EXPORT void *cxx_new_nothrow(size_t size, nothrow_ref_t tag)
    MANGLED("_Znw" SIZE_CODE NOTHROW_CODE);
JEMALLOC_EXPORT void *cxx_new_array_nothrow(size_t size, nothrow_ref_t tag)
    MANGLED("_Zna" SIZE_CODE NOTHROW_CODE);
JEMALLOC_EXPORT void *cxx_new_aligned(size_t size, size_t alignment)
    MANGLED("_Znw" SIZE_CODE ALIGN_CODE);
JEMALLOC_EXPORT void *cxx_new_array_aligned(size_t size, size_t alignment)
    MANGLED("_Zna" SIZE_CODE ALIGN_CODE);
JEMALLOC_EXPORT void *cxx_new_aligned_nothrow(size_t size, size_t alignment,
    nothrow_ref_t tag) MANGLED("_Znw" SIZE_CODE ALIGN_CODE NOTHROW_CODE);
JEMALLOC_EXPORT void *cxx_new_array_aligned_nothrow(
    size_t size, size_t alignment, nothrow_ref_t tag)
    MANGLED("_Zna" SIZE_CODE ALIGN_CODE NOTHROW_CODE);

JEMALLOC_EXPORT void cxx_delete(void *p) MANGLED("_ZdlPv");
JEMALLOC_EXPORT void cxx_delete_array(void *p) MANGLED("_ZdaPv");
JEMALLOC_EXPORT void cxx_delete_nothrow(void *p, nothrow_ref_t tag)
    MANGLED("_ZdlPv" NOTHROW_CODE);
JEMALLOC_EXPORT void cxx_delete_array_nothrow(void *p, nothrow_ref_t tag)
    MANGLED("_ZdaPv" NOTHROW_CODE);
JEMALLOC_EXPORT void cxx_delete_sized(void *p, size_t size)
    MANGLED("_ZdlPv" SIZE_CODE);
JEMALLOC_EXPORT void cxx_delete_array_sized(void *p, size_t size)
    MANGLED("_ZdaPv" SIZE_CODE);
JEMALLOC_EXPORT void cxx_delete_aligned(void *p, size_t alignment)
    MANGLED("_ZdlPv" ALIGN_CODE);
JEMALLOC_EXPORT void cxx_delete_array_aligned(void *p, size_t alignment)
    MANGLED("_ZdaPv" ALIGN_CODE);
JEMALLOC_EXPORT void cxx_delete_aligned_nothrow(void *p, size_t alignment,
    nothrow_ref_t tag) MANGLED("_ZdlPv" ALIGN_CODE NOTHROW_CODE);
JEMALLOC_EXPORT void cxx_delete_array_aligned_nothrow(void *p, size_t alignment,
    nothrow_ref_t tag) MANGLED("_ZdaPv" ALIGN_CODE NOTHROW_CODE);
JEMALLOC_EXPORT void cxx_delete_sized_aligned(void *p, size_t size,
    size_t alignment) MANGLED("_ZdlPv" SIZE_CODE ALIGN_CODE);
JEMALLOC_EXPORT void cxx_delete_array_sized_aligned(void *p, size_t size,
    size_t alignment) MANGLED("_ZdaPv" SIZE_CODE ALIGN_CODE);

/* --------------------------------------- what the program's runtime has */

/* std::get_new_handler and std::__throw_bad_alloc. */
extern new_handler_t runtime_get_new_handler(void)
    MANGLED("_ZSt15get_new_handlerv") __attribute__((weak));
extern void runtime_throw_bad_alloc(void) MANGLED("_ZSt17__throw_bad_allocv")
    __attribute__((weak));

/* The same throw by hand, for a runtime without the function above. */
extern void *runtime_allocate_exception(size_t size)
    MANGLED("__cxa_allocate_exception") __attribute__((weak));
extern void runtime_throw(void *object, const void *type, void (*destroy)(void))
    MANGLED("__cxa_throw") __attribute__((weak));
extern const char runtime_bad_alloc_type[] MANGLED("_ZTISt9bad_alloc")
    __attribute__((weak));
extern const char runtime_bad_alloc_vtable[] MANGLED("_ZTVSt9bad_alloc")
    __attribute__((weak));
extern void runtime_bad_alloc_destroy(void) MANGLED("_ZNSt9bad_allocD1Ev")
    __attribute__((weak));

extern void *runtime_begin_catch(void *exception) MANGLED("__cxa_begin_catch")
    __attribute__((weak));
extern void runtime_end_catch(void) MANGLED("__cxa_end_catch")
    __attribute__((weak));

/*
 * `known`, or else what the object that contains `code` sees under `name`:
 * a C program may have loaded a C++ module, with a runtime of its own, long
 * after our weak references were resolved to nothing.
 */
#if CAN_FIND_LATE
/* Older C libraries keep these in a library of their own; do without then. */
#    pragma weak dladdr
#    pragma weak dlopen
#    pragma weak dlclose
#    pragma weak dlsym

static uintptr_t runtime_find(
    uintptr_t known, const char *name, const void *code)
{
    Dl_info info;

    if (known != 0 || dladdr == NULL || dlopen == NULL || dlclose == NULL ||
        dlsym == NULL) {
        return known;
    }
    if (dladdr(code, &info) == 0 || info.dli_fname == NULL) {
        return 0;
    }
    void *object = dlopen(info.dli_fname, RTLD_LAZY | RTLD_NOLOAD);
    if (object == NULL) {
        return 0;
    }
    uintptr_t found = (uintptr_t)dlsym(object, name);
    /* The caller's code runs in this object, so it stays loaded. */
    dlclose(object);
    return found;
}
#else
static uintptr_t runtime_find(
    uintptr_t known, JE_UNUSED const char *name, JE_UNUSED const void *code)
{
    return known;
}
#endif

#define RUNTIME(reference, name, code)                                         \
    ((__typeof__(&(reference)))runtime_find(                                   \
        (uintptr_t) & (reference), name, code))

/* Throws std::bad_alloc into `code`; returns only if no runtime is found. */
static void runtime_fail(const void *code)
{
    __typeof__(&runtime_throw_bad_alloc) throw_bad_alloc =
        RUNTIME(runtime_throw_bad_alloc, "_ZSt17__throw_bad_allocv", code);
    if (throw_bad_alloc != NULL) {
        throw_bad_alloc();
    }
    if (runtime_allocate_exception == NULL || runtime_throw == NULL ||
        runtime_bad_alloc_type == NULL || runtime_bad_alloc_vtable == NULL ||
        runtime_bad_alloc_destroy == NULL) {
        return;
    }
    /* A bad_alloc is one pointer, to the vtable past its two header words. */
    const char **object = runtime_allocate_exception(sizeof(*object));
    *object = runtime_bad_alloc_vtable + 2 * sizeof(void *);
    runtime_throw(object, runtime_bad_alloc_type, runtime_bad_alloc_destroy);
}

/* ---------------------------------------------------- catching, from C */

#if CAN_CATCH

/*
 * The frame of call_catching names cxx_personality as its personality, which
 * the unwinder asks on its way up. In the first round that answers "mine". In
 * the second, when all frames below are cleaned up, it does not return to the
 * unwinder but jumps into call_catching. So no function of the unwinder is
 * called, and one that is hidden inside the program serves as well.
 */
typedef struct catcher {
    jmp_buf landing;
    struct _Unwind_Exception *exception;
    struct catcher *outer;
} catcher_t;

/* The innermost frame of call_catching on this thread. */
static JE_THREAD_LOCAL catcher_t *innermost;

__attribute__((visibility("hidden"), used)) _Unwind_Reason_Code cxx_personality(
    int version, _Unwind_Action actions, _Unwind_Exception_Class class,
    struct _Unwind_Exception *exception, struct _Unwind_Context *context);

_Unwind_Reason_Code cxx_personality(int version, _Unwind_Action actions,
    JE_UNUSED _Unwind_Exception_Class class,
    struct _Unwind_Exception *exception,
    JE_UNUSED struct _Unwind_Context *context)
{
    if (version != 1 || innermost == NULL ||
        (actions & _UA_FORCE_UNWIND) != 0) {
        return _URC_CONTINUE_UNWIND;
    }
    if ((actions & _UA_SEARCH_PHASE) != 0) {
        return _URC_HANDLER_FOUND;
    }
    if ((actions & _UA_HANDLER_FRAME) == 0) {
        return _URC_CONTINUE_UNWIND;
    }
    innermost->exception = exception;
    longjmp(innermost->landing, 1);
}

/* Calls `handler`; the exception that it ended with, or NULL. */
static JE_NOINLINE struct _Unwind_Exception *call_catching(
    new_handler_t handler)
{
    catcher_t catcher;

    catcher.exception = NULL;
    catcher.outer = innermost;
    innermost = &catcher;
    if (setjmp(catcher.landing) == 0) {
        /* Encoding 0x1b: four bytes, signed, relative to their place. */
        __asm__ volatile(".cfi_personality 0x1b, cxx_personality");
        handler();
    }
    innermost = catcher.outer;
    return catcher.exception;
}

/* Runs `handler`; false if it ended by a C++ exception, now disposed of. */
static bool handler_run(new_handler_t handler, const void *code)
{
    struct _Unwind_Exception *exception = call_catching(handler);
    if (exception == NULL) {
        return true;
    }
    __typeof__(&runtime_begin_catch) begin_catch =
        RUNTIME(runtime_begin_catch, "__cxa_begin_catch", code);
    __typeof__(&runtime_end_catch) end_catch =
        RUNTIME(runtime_end_catch, "__cxa_end_catch", code);
    if (begin_catch != NULL && end_catch != NULL) {
        begin_catch(exception);
        end_catch();
    } else if (exception->exception_cleanup != NULL) {
        exception->exception_cleanup(_URC_FOREIGN_EXCEPTION_CAUGHT, exception);
    }
    return false;
}

#else

static bool handler_run(new_handler_t handler, JE_UNUSED const void *code)
{
    handler();
    return true;
}

#endif

/* -------------------------------------------------------- the slow path */

/* One failed or retried request; `alignment` 0 stands for the natural one. */
typedef struct {
    size_t size;
    size_t alignment;
    bool nothrow;
    /* Where the operator returns to: tells which runtime is concerned. */
    const void *code;
} request_t;

/* Boots first: options decide what an aligned size comes to. */
static void *try_aligned(size_t size, size_t alignment)
{
    (void)alloc_tsd();
    return alloc_aligned_default(alignment, size == 0 ? 1 : size);
}

static void *request_try(const request_t *request)
{
    return request->alignment == 0
               ? alloc_default(request->size)
               : try_aligned(request->size, request->alignment);
}

static void request_fail_hard(const request_t *request)
{
    const char *hint = "";

    if (request->size >= CXX_SUSPECT_BYTES) {
        hint = "If nobody meant to ask for that much, suspect heap corruption"
               " and try a sanitizer build.";
    }
    fail_misuse("Allocation of size %zu failed. %s"
                " opt.experimental_infallible_new is true. Aborting.\n",
        request->size, hint);
}

/* No handler is left that could help. */
static void *request_give_up(const request_t *request)
{
    errno = ENOMEM;
    if (!request->nothrow) {
        runtime_fail(request->code);
        fail_fatal("operator new found no memory for %zu bytes, and no C++"
                   " runtime to throw std::bad_alloc with.\n",
            request->size);
    }
    return NULL;
}

/* As the standard asks: call the handler in force, try again, for ever. */
static void *request_retry(const request_t *request)
{
    __typeof__(&runtime_get_new_handler) get_handler = RUNTIME(
        runtime_get_new_handler, "_ZSt15get_new_handlerv", request->code);

    if (opt.experimental_infallible_new) {
        request_fail_hard(request);
    }
    for (;;) {
        new_handler_t handler = get_handler == NULL ? NULL : get_handler();
        if (handler == NULL) {
            return request_give_up(request);
        }
        if (!request->nothrow) {
            handler();
        } else if (!handler_run(handler, request->code)) {
            return request_give_up(request);
        }
        void *p = request_try(request);
        if (p != NULL) {
            return p;
        }
    }
}

static JE_COLD void *new_slow(size_t size, bool nothrow, const void *code)
{
    request_t request = {.size = size, .nothrow = nothrow, .code = code};
    return request_retry(&request);
}

/* An alignment that is no power of two cannot be mended by a handler. */
static JE_COLD void *new_aligned_slow(
    size_t size, size_t alignment, bool nothrow, const void *code)
{
    request_t request = {size, alignment, nothrow, code};
    if (alignment == 0 || (alignment & (alignment - 1)) != 0) {
        return request_give_up(&request);
    }
    return request_retry(&request);
}

/* The stack was empty, or the block is large: mostly no failure yet. */
JE_NOINLINE static void *new_miss(size_t size, bool nothrow, const void *code)
{
    void *p = alloc_slow(size);
    return JE_LIKELY(p != NULL) ? p : new_slow(size, nothrow, code);
}

JE_ALWAYS_INLINE void *new_fast(size_t size, bool nothrow, const void *code)
{
    void *p = alloc_fast(size);
    return JE_LIKELY(p != NULL) ? p : new_miss(size, nothrow, code);
}

JE_ALWAYS_INLINE void *new_aligned_fast(
    size_t size, size_t alignment, bool nothrow, const void *code)
{
    void *p = NULL;

    if (JE_LIKELY(alignment != 0 && (alignment & (alignment - 1)) == 0)) {
        p = try_aligned(size, alignment);
    }
    return JE_LIKELY(p != NULL)
               ? p
               : new_aligned_slow(size, alignment, nothrow, code);
}

/* ------------------------------------------------------- operator new */

#define CALLER __builtin_return_address(0)

void *cxx_new(size_t size)
{
    return new_fast(size, false, CALLER);
}

void *cxx_new_array(size_t size)
{
    return new_fast(size, false, CALLER);
}

void *cxx_new_nothrow(size_t size, JE_UNUSED nothrow_ref_t tag)
{
    return new_fast(size, true, CALLER);
}

void *cxx_new_array_nothrow(size_t size, JE_UNUSED nothrow_ref_t tag)
{
    return new_fast(size, true, CALLER);
}

void *cxx_new_aligned(size_t size, size_t alignment)
{
    return new_aligned_fast(size, alignment, false, CALLER);
}

void *cxx_new_array_aligned(size_t size, size_t alignment)
{
    return new_aligned_fast(size, alignment, false, CALLER);
}

void *cxx_new_aligned_nothrow(
    size_t size, size_t alignment, JE_UNUSED nothrow_ref_t tag)
{
    return new_aligned_fast(size, alignment, true, CALLER);
}

void *cxx_new_array_aligned_nothrow(
    size_t size, size_t alignment, JE_UNUSED nothrow_ref_t tag)
{
    return new_aligned_fast(size, alignment, true, CALLER);
}

/* ---------------------------------------------------- operator delete */

void cxx_delete(void *p)
{
    free_default(p);
}

void cxx_delete_array(void *p)
{
    free_default(p);
}

void cxx_delete_nothrow(void *p, JE_UNUSED nothrow_ref_t tag)
{
    free_default(p);
}

void cxx_delete_array_nothrow(void *p, JE_UNUSED nothrow_ref_t tag)
{
    free_default(p);
}

void cxx_delete_sized(void *p, size_t size)
{
    free_sized_default(p, size);
}

void cxx_delete_array_sized(void *p, size_t size)
{
    free_sized_default(p, size);
}

void cxx_delete_aligned(void *p, JE_UNUSED size_t alignment)
{
    free_default(p);
}

void cxx_delete_array_aligned(void *p, JE_UNUSED size_t alignment)
{
    free_default(p);
}

void cxx_delete_aligned_nothrow(
    void *p, JE_UNUSED size_t alignment, JE_UNUSED nothrow_ref_t tag)
{
    free_default(p);
}

void cxx_delete_array_aligned_nothrow(
    void *p, JE_UNUSED size_t alignment, JE_UNUSED nothrow_ref_t tag)
{
    free_default(p);
}

void cxx_delete_sized_aligned(void *p, size_t size, size_t alignment)
{
    free_sized_aligned_default(p, size, alignment);
}

void cxx_delete_array_sized_aligned(void *p, size_t size, size_t alignment)
{
    free_sized_aligned_default(p, size, alignment);
}
