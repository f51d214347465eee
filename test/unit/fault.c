/*
 * What: faults of the program: whoever looks is told the address, the kind of
 * access and where it was; the access is tried again if that is wanted; else
 * whatever was installed before runs as if nothing was in between: handlers
 * of both kinds, with their masks, stacks and one-shot flags, nothing, or the
 * end of the process.
 *
 * Invariants: each case runs in a child.
 *
 * Locking: none.
 */
#define _GNU_SOURCE
#include "os/fault.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"
#include "os/os.h"

static struct {
    volatile char *page; /* cannot be touched */
    fault_t last;
    int looks;
    bool again;
} seen;

static bool look(const fault_t *fault)
{
    seen.looks++;
    seen.last = *fault;
    errno = EDOM;
    if (seen.again) {
        (void)os_permit((void *)seen.page, os_page_size());
    }
    return seen.again;
}

static void begin(void)
{
    seen.page = os_reserve(os_page_size(), os_page_size());
    EXPECT(fault_boot(look));
}

__attribute__((noinline)) static void write_to_page(void)
{
    seen.page[5] = 1;
    __asm__ volatile("" ::: "memory");
}

__attribute__((noinline)) static char read_page(void)
{
    char byte = seen.page[6];
    __asm__ volatile("" ::: "memory");
    return byte;
}

static volatile sig_atomic_t handled;
static volatile sig_atomic_t saw_look;
static volatile sig_atomic_t was_right;
static sigjmp_buf out;
static char other_stack[65536];

static bool is_on_other_stack(void)
{
    char here;
    return (uintptr_t)&here - (uintptr_t)other_stack < sizeof(other_stack);
}

static bool is_blocked(int number)
{
    sigset_t mask;
    (void)sigprocmask(SIG_BLOCK, NULL, &mask);
    return sigismember(&mask, number) == 1;
}

static void on_plain(int number)
{
    handled = number;
    saw_look = seen.looks;
    siglongjmp(out, 1);
}

static void on_info(int number, siginfo_t *info, void *context)
{
    const ucontext_t *uc = context;
    was_right = info->si_signo == number && uc != NULL &&
                (info->si_code <= 0 || info->si_addr == seen.page + 5);
    on_plain(number);
}

static void install(int flags, void (*handler)(int))
{
    struct sigaction action = {.sa_flags = flags};
    action.sa_handler = handler;
    if ((flags & SA_SIGINFO) != 0) {
        action.sa_sigaction = on_info;
    }
    (void)sigaddset(&action.sa_mask, SIGUSR1);
    EXPECT_EQ_I64(sigaction(SIGSEGV, &action, NULL), 0);
}

/* The default: the process ends by the signal, for whatever reason it came. */
static void die_by_access(void *arg)
{
    (void)arg;
    begin();
    write_to_page();
}

static void die_by_kill(void *arg)
{
    (void)arg;
    begin();
    (void)raise(SIGSEGV);
}

static void die_by_ignored_access(void *arg)
{
    (void)arg;
    (void)signal(SIGSEGV, SIG_IGN);
    begin();
    write_to_page();
}

TEST(the_default_ends_the_process)
{
    void (*const ways[])(void *) = {
        die_by_access, die_by_kill, die_by_ignored_access};
    for (int i = 0; i < 3; i++) {
        test_child_t child = test_in_child(ways[i], NULL);
        EXPECT(WIFSIGNALED(child.status));
        EXPECT_EQ_I64(WTERMSIG(child.status), SIGSEGV);
    }
}

static void ignore(void *arg)
{
    (void)arg;
    (void)signal(SIGSEGV, SIG_IGN);
    begin();
    errno = 7;
    EXPECT_EQ_I64(raise(SIGSEGV), 0);
    EXPECT_EQ_I64(seen.looks, 0);
    EXPECT_EQ_I64(errno, 7);
}

static void try_again(void *arg)
{
    (void)arg;
    begin();
    seen.again = true;
    errno = 7;
    write_to_page();
    EXPECT_EQ_I64(errno, 7);
    EXPECT_EQ_I64(seen.page[5], 1);
    EXPECT_EQ_I64(seen.looks, 1);
    EXPECT_EQ_U64(seen.last.addr, (uintptr_t)seen.page + 5);
    if (FRAME_REGISTERS != 1 && FRAME_REGISTERS != 9) {
        EXPECT_LT_U64(seen.last.frame.pc - (uintptr_t)write_to_page, 100);
    }
    if (!test_is_emulated()) {
        EXPECT_EQ_I64(seen.last.kind, FAULT_WRITE);
        (void)os_forbid((void *)seen.page, os_page_size());
        (void)read_page();
        EXPECT_EQ_I64(seen.last.kind, FAULT_READ);
        EXPECT_EQ_U64(seen.last.addr, (uintptr_t)seen.page + 6);
    }
}

/* With which flags a handler is installed: it runs, and as they say. */
static void chain(void *arg)
{
    int flags = *(int *)arg;
    stack_t stack = {.ss_sp = other_stack, .ss_size = sizeof(other_stack)};
    (void)sigaltstack(&stack, NULL);
    install(flags, on_plain);
    begin();
    if (sigsetjmp(out, 1) == 0) {
        write_to_page();
        EXPECT(!"the access worked");
    }
    EXPECT_EQ_I64(handled, SIGSEGV);
    EXPECT_EQ_I64(saw_look, 1);
    EXPECT_EQ_I64(was_right, (flags & SA_SIGINFO) != 0);
    if ((flags & SA_RESETHAND) != 0) {
        struct sigaction now;
        (void)sigaction(SIGSEGV, NULL, &now);
        EXPECT(now.sa_handler == SIG_DFL);
        return;
    }
    handled = 0;
    if (sigsetjmp(out, 1) == 0) {
        (void)raise(SIGSEGV);
    }
    EXPECT_EQ_I64(handled, SIGSEGV);
    EXPECT_EQ_I64(saw_look, 1); /* nobody looks at what was sent */
}

/* What the handler finds around it. */
static volatile sig_atomic_t around[3];

static void on_around(int number)
{
    around[0] = is_blocked(SIGUSR1);
    around[1] = is_blocked(number);
    around[2] = is_on_other_stack();
    siglongjmp(out, 1);
}

static void surroundings(void *arg)
{
    int flags = *(int *)arg;
    stack_t stack = {.ss_sp = other_stack, .ss_size = sizeof(other_stack)};
    (void)sigaltstack(&stack, NULL);
    install(flags, on_around);
    begin();
    if (sigsetjmp(out, 1) == 0) {
        write_to_page();
    }
    EXPECT_EQ_I64(around[0], 1);
    EXPECT_EQ_I64(around[1], (flags & SA_NODEFER) == 0);
    EXPECT_EQ_I64(around[2], (flags & SA_ONSTACK) != 0);
}

static void expect_fine(void (*fn)(void *), void *arg)
{
    test_child_t child = test_in_child(fn, arg);
    EXPECT_EQ_I64(child.status, 0);
    if (child.status != 0) {
        test_note("%s", child.err);
    }
}

TEST(what_was_ignored_stays_so)
{
    expect_fine(ignore, NULL);
}

TEST(accesses_are_tried_again)
{
    expect_fine(try_again, NULL);
}

TEST(handlers_run_as_before)
{
    static int flags[] = {0, SA_SIGINFO, SA_RESETHAND, SA_NODEFER,
        SA_SIGINFO | SA_ONSTACK, SA_SIGINFO | SA_RESETHAND | SA_NODEFER};
    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
        expect_fine(chain, &flags[i]);
    }
}

TEST(handlers_have_their_mask_and_stack)
{
    static int flags[] = {0, SA_NODEFER, SA_ONSTACK, SA_ONSTACK | SA_NODEFER};
    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
        expect_fine(surroundings, &flags[i]);
    }
}

int main(void)
{
    if (!os_boot()) {
        return 1;
    }
    if (HAS_SANITIZER) {
        return test_run(NULL); /* it has a handler of its own */
    }
    return test_run(TEST_CASE(the_default_ends_the_process),
        TEST_CASE(what_was_ignored_stays_so),
        TEST_CASE(accesses_are_tried_again), TEST_CASE(handlers_run_as_before),
        TEST_CASE(handlers_have_their_mask_and_stack), NULL);
}
