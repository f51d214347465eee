/*
 * What: what memcheck, the tool of Valgrind, is told of this heap, and which
 * of its two ways the process runs in. Found out at boot; nothing to set.
 *
 * Outside of Valgrind each request is a few instructions that do nothing, and
 * they are made only on paths that `valgrind_mode` sends there.
 *
 * Invariants: (I1) without valgrind/memcheck.h, or with --disable-valgrind,
 * the mode is a constant and nothing is left; (I2) requests run in the frame
 * of who makes them, so that reports begin near the program's call.
 *
 * Locking: none. The mode is set before there is a second thread.
 */
#ifndef JE_OS_VALGRIND_H
#define JE_OS_VALGRIND_H

#include "util/common.h"

typedef enum {
    VALGRIND_OFF,         /* nobody looks, or a tool that wants no telling */
    VALGRIND_OURS,        /* memcheck is told of each block of ours */
    VALGRIND_INTERCEPTED, /* the public malloc is Valgrind's own */
} valgrind_mode_t;

/* Bytes before and after each block that nobody may touch. */
#define VALGRIND_REDZONE 16

#if CONFIG_VALGRIND
#    include <valgrind/memcheck.h>

extern valgrind_mode_t valgrind_mode;

/* Whether any tool of Valgrind runs the process. */
static inline bool valgrind_is_running(void)
{
    return RUNNING_ON_VALGRIND != 0;
}

/* A block of the program begins, with undefined contents. */
JE_ALWAYS_INLINE void valgrind_begin(void *ptr, size_t size)
{
    VALGRIND_MALLOCLIKE_BLOCK(ptr, size, VALGRIND_REDZONE, 0);
}

/* It ends; reported if there is none at `ptr`. */
JE_ALWAYS_INLINE void valgrind_end(const void *ptr)
{
    VALGRIND_FREELIKE_BLOCK(ptr, VALGRIND_REDZONE);
}

/* It gets another size where it is, not 0; what is new is undefined. */
JE_ALWAYS_INLINE void valgrind_resize(
    void *ptr, size_t old_size, size_t new_size)
{
    VALGRIND_RESIZEINPLACE_BLOCK(ptr, old_size, new_size, VALGRIND_REDZONE);
}

/* Nobody may touch the range; anybody may, but not rely on its contents. */
static inline void valgrind_forbid(const void *addr, size_t size)
{
    (void)VALGRIND_MAKE_MEM_NOACCESS(addr, size);
}

static inline void valgrind_permit(const void *addr, size_t size)
{
    (void)VALGRIND_MAKE_MEM_UNDEFINED(addr, size);
}

static inline void valgrind_define(const void *addr, size_t size)
{
    (void)VALGRIND_MAKE_MEM_DEFINED(addr, size);
}

/* Whether memcheck says that the byte may be touched. */
static inline bool valgrind_may_touch(const void *addr)
{
    unsigned char bits;
    return VALGRIND_GET_VBITS(addr, &bits, 1) == 1;
}

void valgrind_boot(void);

/* From now on the mode is VALGRIND_INTERCEPTED. */
void valgrind_set_intercepted(void);

#else

static const valgrind_mode_t valgrind_mode = VALGRIND_OFF;

static inline bool valgrind_is_running(void)
{
    return false;
}

static inline void valgrind_begin(void *ptr, size_t size)
{
    (void)ptr;
    (void)size;
}

static inline void valgrind_end(const void *ptr)
{
    (void)ptr;
}

static inline void valgrind_resize(void *ptr, size_t old_size, size_t new_size)
{
    (void)ptr;
    (void)old_size;
    (void)new_size;
}

static inline void valgrind_forbid(const void *addr, size_t size)
{
    (void)addr;
    (void)size;
}

static inline void valgrind_permit(const void *addr, size_t size)
{
    (void)addr;
    (void)size;
}

static inline void valgrind_define(const void *addr, size_t size)
{
    (void)addr;
    (void)size;
}

static inline bool valgrind_may_touch(const void *addr)
{
    (void)addr;
    return false;
}

static inline void valgrind_boot(void)
{
}

static inline void valgrind_set_intercepted(void)
{
}
#endif

#endif
