/*
 * What: a tiny test runner. A test program lists its cases in main; the
 * runner prints TAP on descriptor 1 and the operands of whatever did not
 * hold.
 *
 * Invariants: (I1) the runner never allocates, neither between nor during
 * tests: static buffers and write(2) only, so measurements are not disturbed;
 * (I2) an expectation that fails is reported once, with file and line, and
 * the test goes on; a requirement that fails leaves the test;
 * (I3) a case that hangs is ended after JE_TEST_TIMEOUT seconds (environment,
 * default 120) with the name of the case.
 *
 * Locking: none; expectations may be used from any thread. A requirement
 * that fails in another thread than the runner's ends that thread.
 */
#ifndef JE_TEST_HARNESS_H
#define JE_TEST_HARNESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A sanitizer wants address space, stack and threads of its own. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#    define HAS_SANITIZER true
#elif defined(__has_feature)
#    define HAS_SANITIZER                                                      \
        (__has_feature(address_sanitizer) || __has_feature(thread_sanitizer))
#else
#    define HAS_SANITIZER false
#endif

#ifdef __cplusplus
extern "C" {
#endif

typedef void (*test_fn_t)(void);

#define TEST(name)      static void test_##name(void)
#define TEST_CASE(name) #name, test_##name

/*
 * Runs (name, function) pairs up to NULL and returns the exit status for
 * main. With JE_TEST_ONLY=name in the environment the others are skipped.
 */
int test_run(const char *first_name, ...);

/* Marks the running case as skipped and leaves it. */
__attribute__((noreturn)) void test_skip(const char *reason);

/* A free-form diagnostic line ("# ..."); printf syntax. */
__attribute__((format(printf, 1, 2))) void test_note(const char *fmt, ...);

/* What a child process did: see test_in_child. */
#define TEST_CHILD_ERR_BYTES 65536
typedef struct test_child {
    int status;                     /* as waitpid gives it */
    char err[TEST_CHILD_ERR_BYTES]; /* its stderr, NUL-terminated, maybe cut */
} test_child_t;

/* Exit status of a child in which an expectation failed. */
#define TEST_CHILD_FAILED 99

/*
 * Runs fn(arg) in a forked child, its stderr captured, its stdout closed to
 * /dev/null, and waits for it. The child exits 0 when fn returns, or with
 * TEST_CHILD_FAILED when an expectation did not hold there.
 */
test_child_t test_in_child(void (*fn)(void *), void *arg);

/*
 * Starts this program anew with the given arguments (NULL ends them), through
 * the emulator in JE_EMULATOR if the processor is another. Does not return.
 */
__attribute__((noreturn)) void test_exec_self(char *const *arguments);

/* For a program that will change its directory: where it is, for the above. */
void test_find_self(void);

/* Whether the processor is an emulator's, which has its own ways. */
bool test_is_emulated(void);

/* The machinery of the macros below; each returns whether it held. */
bool test_expect_true(bool held, const char *what, const char *file, int line);
bool test_expect_u64(uint64_t a, uint64_t b, const char *op, const char *what,
    const char *file, int line);
bool test_expect_i64(int64_t a, int64_t b, const char *op, const char *what,
    const char *file, int line);
bool test_expect_ptr(const void *a, const void *b, bool equal, const char *what,
    const char *file, int line);
bool test_expect_str(
    const char *a, const char *b, const char *what, const char *file, int line);
__attribute__((noreturn)) void test_leave(void);

#define EXPECT(cond) ((void)test_expect_true((cond), #cond, __FILE__, __LINE__))
#define EXPECT_U64_(a, op, b)                                                  \
    ((void)test_expect_u64((uint64_t)(a), (uint64_t)(b), #op,                  \
        #a " " #op " " #b, __FILE__, __LINE__))
#define EXPECT_I64_(a, op, b)                                                  \
    ((void)test_expect_i64((int64_t)(a), (int64_t)(b), #op, #a " " #op " " #b, \
        __FILE__, __LINE__))
#define EXPECT_PTR_(a, b, equal, what)                                         \
    ((void)test_expect_ptr((a), (b), (equal), what, __FILE__, __LINE__))
#define EXPECT_EQ_U64(a, b) EXPECT_U64_(a, ==, b)
#define EXPECT_NE_U64(a, b) EXPECT_U64_(a, !=, b)
#define EXPECT_LE_U64(a, b) EXPECT_U64_(a, <=, b)
#define EXPECT_GE_U64(a, b) EXPECT_U64_(a, >=, b)
#define EXPECT_LT_U64(a, b) EXPECT_U64_(a, <, b)
#define EXPECT_GT_U64(a, b) EXPECT_U64_(a, >, b)
#define EXPECT_EQ_I64(a, b) EXPECT_I64_(a, ==, b)
#define EXPECT_NE_I64(a, b) EXPECT_I64_(a, !=, b)
#define EXPECT_LE_I64(a, b) EXPECT_I64_(a, <=, b)
#define EXPECT_GE_I64(a, b) EXPECT_I64_(a, >=, b)
#define EXPECT_EQ_PTR(a, b) EXPECT_PTR_(a, b, true, #a " == " #b)
#define EXPECT_NE_PTR(a, b) EXPECT_PTR_(a, b, false, #a " != " #b)
#define EXPECT_EQ_STR(a, b)                                                    \
    ((void)test_expect_str((a), (b), #a " == " #b, __FILE__, __LINE__))

#define REQUIRE(cond)                                                          \
    do {                                                                       \
        if (!test_expect_true((cond), #cond, __FILE__, __LINE__)) {            \
            test_leave();                                                      \
        }                                                                      \
    } while (0)

#ifdef __cplusplus
}
#endif

#endif
