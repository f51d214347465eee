/*
 * What: the stack walker against what the compiler knows: functions with and
 * without frame pointers, realigned and variable frames, signal handlers,
 * libc's own frames, generated code, libraries that come and go, and garbage.
 *
 * Invariants: (I1) deterministic; (I2) a walk that does not end is ended by
 * the runner's time limit.
 *
 * Locking: none.
 */
#include "prof/prof_stack.h"

#include <dlfcn.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "harness.h"
#include "prof/prof_cfi.h"
#include "prof/prof_module.h"
#include "util/prng.h"

#define DEPTH 200

typedef struct {
    uintptr_t frames[DEPTH];
    unsigned n;
} captured_t;

static captured_t got;
static uintptr_t expected[DEPTH];
static unsigned expected_n;

/* What keeps the compiler from joining, inlining and tail-calling. */
#define KEEP __asm__ volatile("" ::: "memory")

__attribute__((noinline)) static void leaf(void)
{
    got.n = prof_stack_capture(got.frames, DEPTH);
    KEEP;
}

static void expect_caller(void *return_address)
{
    expected[expected_n++] = (uintptr_t)return_address;
}

/* One compiler can be told for each function, the other for the file. */
#if defined(__clang__)
#    define FRAMES(kind) __attribute__((noinline))
#else
#    define FRAMES(kind) __attribute__((noinline, optimize(kind)))
#endif

/* A chain of different kinds of frames. */
FRAMES("omit-frame-pointer") static void plain(int depth);

FRAMES("no-omit-frame-pointer") static void with_fp(int depth)
{
    expect_caller(__builtin_return_address(0));
    plain(depth - 1);
    KEEP;
}

__attribute__((noinline)) static void variable(int depth)
{
    expect_caller(__builtin_return_address(0));
    volatile char *room = __builtin_alloca((size_t)depth * 16 + 100);
    room[0] = 1;
    with_fp(depth - 1);
    room[1] = 1;
}

__attribute__((noinline)) static void realigned(int depth)
{
    expect_caller(__builtin_return_address(0));
    volatile char room[256] __attribute__((aligned(128)));
    __asm__ volatile("" : : "r"(room) : "memory");
    variable(depth - 1);
    __asm__ volatile("" : : "r"(room) : "memory");
}

/* Its tables say where the caller's frame is by an expression. */
__attribute__((noinline)) static void realigned_variable(int depth)
{
    expect_caller(__builtin_return_address(0));
    volatile char room[256] __attribute__((aligned(128)));
    volatile char *more = __builtin_alloca((size_t)depth * 16 + 100);
    __asm__ volatile("" : : "r"(room), "r"(more) : "memory");
    realigned(depth - 1);
    __asm__ volatile("" : : "r"(room), "r"(more) : "memory");
}

static void plain(int depth)
{
    expect_caller(__builtin_return_address(0));
    if (depth <= 0) {
        leaf();
    } else {
        realigned_variable(depth - 1);
    }
    KEEP;
}

static void expect_chain(void)
{
    /* got: leaf's walk, its caller in plain ... ; the own frames stay, as
     * tests link the library into the program. */
    unsigned at = 0;
    while (at < got.n && got.frames[at] != expected[expected_n - 1]) {
        at++;
    }
    EXPECT_LE_U64(at, 4);
    EXPECT_GE_U64(got.n - at, expected_n);
    for (unsigned i = 0; i < expected_n && at + i < got.n; i++) {
        EXPECT_EQ_U64(got.frames[at + i], expected[expected_n - 1 - i]);
    }
}

TEST(frames_of_all_kinds)
{
    if (FRAME_REGISTERS == 1) {
        test_skip("no walker for this processor");
    }
    for (unsigned round = 0; round < 3; round++) { /* cold, then cached */
        expected_n = 0;
        plain(40);
        EXPECT_GE_U64(expected_n, 40);
        expect_chain();
    }
}

/* Up to libc's first function, whatever it is called. */
TEST(reaches_main)
{
    leaf();
    uintptr_t libc_start = 0;
    for (unsigned i = 0; i < got.n; i++) {
        Dl_info info;
        if (dladdr((void *)got.frames[i], &info) != 0 &&
            (strstr(info.dli_fname, "libc") != NULL ||
                strstr(info.dli_fname, "musl") != NULL)) {
            libc_start = got.frames[i];
        }
    }
    EXPECT_GE_U64(got.n, 4);
    /* There is no telling in a static program. */
    EXPECT(libc_start != 0 || getauxval(AT_BASE) == 0);
}

/* The first n of a stack are the first n of a shorter one. */
TEST(depth_is_limited)
{
    uintptr_t all[DEPTH];
    frame_t here;
    frame_here(&here);
    unsigned n = prof_stack_walk(&here, all, DEPTH, true);
    EXPECT_GE_U64(n, 3);
    for (unsigned max = 1; max < n; max++) {
        uintptr_t few[DEPTH];
        EXPECT_EQ_U64(prof_stack_walk(&here, few, max, true), max);
        EXPECT_EQ_U64(memcmp(few, all, max * sizeof(*few)), 0);
    }
    uintptr_t uncached[DEPTH];
    EXPECT_EQ_U64(prof_stack_walk(&here, uncached, DEPTH, false), n);
    EXPECT_EQ_U64(memcmp(uncached, all, n * sizeof(*all)), 0);
}

/* ---- signals ---- */

static volatile sig_atomic_t handled;

static void on_signal(int number)
{
    (void)number;
    leaf();
    handled = 1;
}

/* Some C libraries are built without tables. */
static bool has_tables(uintptr_t function)
{
    prof_module_t module;
    cfi_row_t row;
    return prof_module_find(function, &module) &&
           prof_cfi_find(&module, function, &row);
}

__attribute__((noinline)) static void interrupted(int number, bool here)
{
    expect_caller(__builtin_return_address(0));
    if (here) {
        timer_t timer;
        struct sigevent event = {
            .sigev_notify = SIGEV_SIGNAL, .sigev_signo = number};
        struct itimerspec soon = {.it_value = {0, 1000000}};
        handled = 0;
        REQUIRE(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
        REQUIRE(timer_settime(timer, 0, &soon, NULL) == 0);
        while (!handled) {
            KEEP;
        }
        timer_delete(timer);
    } else {
        (void)raise(number);
    }
    KEEP;
}

static void walk_through_handler(int flags, bool here)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = flags};
    REQUIRE(sigaction(SIGUSR1, &action, NULL) == 0);
    for (unsigned round = 0; round < 2; round++) {
        expected_n = 0;
        interrupted(SIGUSR1, here);
        bool seen = false;
        for (unsigned i = 0; i < got.n; i++) {
            seen = seen || got.frames[i] == expected[0];
        }
        EXPECT(seen);
    }
}

/* ThreadSanitizer keeps a signal until the program calls something. */
static bool delivers_at_once(void)
{
    const char *sanitizer = getenv("JE_SANITIZER");
    return sanitizer == NULL || strstr(sanitizer, "thread") == NULL;
}

TEST(through_a_signal_handler)
{
    walk_through_handler(0, delivers_at_once());
}

TEST(through_a_handler_and_raise)
{
    if (!has_tables((uintptr_t)raise)) {
        test_skip("the C library has no unwind tables");
    }
    walk_through_handler(0, false);
}

TEST(through_a_handler_on_its_own_stack)
{
    if (test_is_emulated() && sysconf(_SC_PAGESIZE) > 4096) {
        test_skip("/proc/self/maps of the emulator lacks the trampoline");
    }
    static char memory[65536];
    stack_t alternate = {.ss_sp = memory, .ss_size = sizeof(memory)};
    REQUIRE(sigaltstack(&alternate, NULL) == 0);
    walk_through_handler(SA_ONSTACK, delivers_at_once());
}

/* Handlers that interrupt anything, at any instruction: must not crash. */
static volatile sig_atomic_t ticks;

static void on_tick(int number)
{
    (void)number;
    uintptr_t frames[DEPTH];
    unsigned n = prof_stack_capture(frames, DEPTH);
    ticks += n > 2;
}

TEST(at_any_instruction)
{
    struct sigaction action = {.sa_handler = on_tick, .sa_flags = SA_RESTART};
    REQUIRE(sigaction(SIGUSR2, &action, NULL) == 0);
    timer_t timer;
    struct sigevent event = {
        .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR2};
    REQUIRE(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
    struct itimerspec every = {.it_interval = {0, 100000}, .it_value = {0, 1}};
    REQUIRE(timer_settime(timer, 0, &every, NULL) == 0);
    while (ticks < 500) {
        expected_n = 0;
        plain(20);
        char text[64];
        snprintf(text, sizeof(text), "%d %f", (int)ticks, (double)ticks);
        KEEP;
    }
    timer_delete(timer);
    EXPECT_GE_U64(ticks, 500);
}

/* ---- generated code ---- */

typedef void (*through_t)(void (*)(void));

TEST(generated_code)
{
    /* With a frame pointer, and with 0 in its register. */
#if defined(__x86_64__)
    /* push rbp; mov rbp, rsp (or xor ebp, ebp); call rdi; pop rbp; ret */
    static const uint8_t kept[] = {
        0x55, 0x48, 0x89, 0xe5, 0xff, 0xd7, 0x5d, 0xc3};
    static const uint8_t lost[] = {
        0x55, 0x48, 0x31, 0xed, 0xff, 0xd7, 0x5d, 0xc3};
#    define HAS_CODE true
#elif defined(__i386__)
    /* push ebp; mov ebp, esp (or xor ebp, ebp); call [esp+8]; pop ebp; ret */
    static const uint8_t kept[] = {
        0x55, 0x89, 0xe5, 0xff, 0x54, 0x24, 0x08, 0x5d, 0xc3};
    static const uint8_t lost[] = {
        0x55, 0x31, 0xed, 0xff, 0x54, 0x24, 0x08, 0x5d, 0xc3};
#    define HAS_CODE true
#elif defined(__aarch64__)
    /* stp x29, x30, [sp, #-16]!; mov x29, sp (or #0); blr x0; ldp; ret */
    static const uint32_t kept[] = {
        0xa9bf7bfd, 0x910003fd, 0xd63f0000, 0xa8c17bfd, 0xd65f03c0};
    static const uint32_t lost[] = {
        0xa9bf7bfd, 0xd280001d, 0xd63f0000, 0xa8c17bfd, 0xd65f03c0};
#    define HAS_CODE true
#else
    static const uint8_t kept[1], lost[1];
#    define HAS_CODE false
#endif
    if (!HAS_CODE) {
        test_skip("no code for this processor");
    }
    uint8_t *code = mmap(
        NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    REQUIRE(code != MAP_FAILED);
    memcpy(code, kept, sizeof(kept));
    memcpy(code + 64, lost, sizeof(lost));
    REQUIRE(mprotect(code, 4096, PROT_READ | PROT_EXEC) == 0);
    __builtin___clear_cache((char *)code, (char *)code + 4096);
    leaf();
    unsigned plain_n = got.n;
    ((through_t)(uintptr_t)code)(leaf);
    EXPECT_EQ_U64(got.n, plain_n + 1); /* goes on behind it */
    ((through_t)(uintptr_t)(code + 64))(leaf);
    EXPECT_LT_U64(got.n, plain_n); /* ends cleanly */
    EXPECT_GE_U64(got.n, 2);
    munmap(code, 4096);
}

/* ---- garbage ---- */

/* Registers full of anything, over a stack full of anything. */
TEST(garbage_does_no_harm)
{
    static uint64_t memory[4096];
    uint64_t random = 42;
    uintptr_t frames[DEPTH];
    frame_t here;
    frame_here(&here);
    for (unsigned round = 0; round < 20000; round++) {
        frame_t from;
        for (unsigned i = 0; i < 4096; i += 1 + round % 7) {
            uint64_t r = prng_bits(&random, 64);
            memory[i] = r % 4 == 0   ? (uintptr_t)&memory[r / 4 % 4096]
                        : r % 4 == 1 ? (uintptr_t)leaf + r / 4 % 4096
                        : r % 4 == 2 ? (uintptr_t)strlen + r / 4 % 65536
                                     : r;
        }
        for (unsigned i = 0; i < FRAME_REGISTERS; i++) {
            from.reg[i] = memory[prng_bits(&random, 12)];
        }
        from.reg[FRAME_SP] = (uintptr_t)&memory[prng_bits(&random, 12)];
        from.pc = round % 2 != 0 ? here.pc : (uintptr_t)memory[round % 4096];
        from.lost = 0;
        EXPECT_LE_U64(
            prof_stack_walk(&from, frames, DEPTH, round % 4 != 0), DEPTH);
    }
}

/* A stack pointer that leads nowhere. */
TEST(no_stack_at_all)
{
    uintptr_t frames[DEPTH];
    frame_t here;
    frame_here(&here);
    static const uintptr_t nowhere[] = {
        0, 8, 4096, UINTPTR_MAX - 7, UINTPTR_MAX / 2 + 1};
    for (unsigned i = 0; i < 5; i++) {
        frame_t from = here;
        from.reg[FRAME_SP] = nowhere[i];
        from.reg[FRAME_FP] = nowhere[i];
        EXPECT_LE_U64(prof_stack_walk(&from, frames, DEPTH, true), 1);
        EXPECT_LE_U64(prof_stack_walk(&from, frames, DEPTH, false), 1);
    }
}

/* Each page end is met once: a stack that stops at a forbidden page. */
TEST(stack_that_ends_early)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *pages = mmap(NULL, 3 * page, PROT_READ | PROT_WRITE,
        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    REQUIRE(pages != MAP_FAILED);
    REQUIRE(mprotect(pages + 2 * page, page, PROT_NONE) == 0);
    frame_t here;
    frame_here(&here);
    uintptr_t frames[DEPTH];
    for (size_t at = page; at < 2 * page; at += 8) {
        frame_t from = here;
        from.reg[FRAME_SP] = (uintptr_t)pages + at;
        from.reg[FRAME_FP] = (uintptr_t)pages + at + 16;
        EXPECT_LE_U64(prof_stack_walk(&from, frames, DEPTH, true), 1);
    }
    munmap(pages, 3 * page);
}

/* Modules are found again after everything was forgotten. */
TEST(modules)
{
    prof_module_t module;
    prof_module_reset_for_test();
    REQUIRE(prof_module_find((uintptr_t)leaf, &module));
    EXPECT(module.permanent && !module.unknown && module.id != 0);
    EXPECT(module.tables > module.start && module.tables < module.end);
    EXPECT(prof_module_is_valid(module.id));
    /* Not one byte behind a segment: nothing may be mapped there. */
    char bytes[64];
    EXPECT_LE_U64(module.tables_end, module.data_end);
    EXPECT_EQ_U64(prof_module_read(&module, bytes, module.tables, 64), 64);
    EXPECT_EQ_U64(prof_module_read(&module, bytes, module.data_end - 8, 64), 8);
    EXPECT_EQ_U64(prof_module_read(&module, bytes, module.data_end, 64), 0);
    EXPECT_EQ_U64(prof_module_read(&module, bytes, module.code_end - 8, 64), 8);
    EXPECT_EQ_U64(prof_module_read(&module, bytes, module.code_end, 64), 0);
    /* Something that no sanitizer puts its own function before. */
    REQUIRE(prof_module_find((uintptr_t)getppid, &module));
    EXPECT(module.permanent);
    EXPECT(!prof_module_find((uintptr_t)&module, &module)); /* not code */
    EXPECT(!prof_module_find(0, &module));
    EXPECT(!prof_module_find(UINTPTR_MAX, &module));
}

int main(void)
{
    return test_run(TEST_CASE(frames_of_all_kinds), TEST_CASE(reaches_main),
        TEST_CASE(depth_is_limited), TEST_CASE(through_a_signal_handler),
        TEST_CASE(through_a_handler_and_raise),
        TEST_CASE(through_a_handler_on_its_own_stack),
        TEST_CASE(at_any_instruction), TEST_CASE(generated_code),
        TEST_CASE(garbage_does_no_harm), TEST_CASE(no_stack_at_all),
        TEST_CASE(stack_that_ends_early), TEST_CASE(modules), NULL);
}
