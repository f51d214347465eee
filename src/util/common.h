/*
 * What: the vocabulary every file starts from: standard includes, compiler
 * attributes, and the build constants (`config_*`) that configure decides.
 *
 * Invariants: (I1) included first everywhere; (I2) build variants are tested
 * with `if (config_x)`, so every variant is compiled.
 *
 * Locking: none.
 */
#ifndef JE_UTIL_COMMON_H
#define JE_UTIL_COMMON_H

#include "config.h"

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* <assert.h> is for static_assert alone; `assert` itself comes from fail.h. */
#undef assert

#define JE_LIKELY(x)        __builtin_expect(!!(x), 1)
#define JE_UNLIKELY(x)      __builtin_expect(!!(x), 0)
#define JE_NOINLINE         __attribute__((noinline))
#define JE_ALWAYS_INLINE    static inline __attribute__((always_inline))
#define JE_COLD             __attribute__((cold, noinline))
#define JE_NORETURN         __attribute__((noreturn))
#define JE_MUST_USE         __attribute__((warn_unused_result))
#define JE_PRINTF(fmt, arg) __attribute__((format(printf, fmt, arg)))
#define JE_UNUSED           __attribute__((unused))
#define JE_ALIGNED(n)       __attribute__((aligned(n)))

/*
 * The library is dlopen-able because its thread-locals are few and live in
 * the surplus of the static TLS block: initial-exec gives the hot path one
 * load instead of a call.
 */
#if CONFIG_INITIAL_EXEC_TLS
#    define JE_THREAD_LOCAL __thread __attribute__((tls_model("initial-exec")))
#else
#    define JE_THREAD_LOCAL __thread
#endif

/*
 * For those that begin as zero but are looked at before the library boots: a
 * copied zero, as memcheck does not know that a static program's own zeros
 * are clear.
 */
#ifdef __ELF__
#    define JE_COPIED __attribute__((section(".tdata")))
#else
#    define JE_COPIED
#endif

/* Bytes of a cache line: what two CPUs fight over at a time. */
#define JE_CACHELINE 64

static const bool config_debug = CONFIG_DEBUG;
static const bool config_cache_oblivious = CONFIG_CACHE_OBLIVIOUS;
static const bool config_user_config = CONFIG_USER_CONFIG;
static const bool config_force_getenv = CONFIG_FORCE_GETENV;
static const bool config_dss = CONFIG_DSS;

#endif
