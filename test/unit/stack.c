/*
 * What: what os/stack.h knows of the stack that a thread runs on: of its own
 * that all up to its end can be read, of any other nothing.
 *
 * Invariants: (I1) everything that is said to be readable is read.
 *
 * Locking: none.
 */
#include "os/stack.h"

#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>

#include "harness.h"
#include "os/os.h"

#define STACK_BYTES ((size_t)256 << 10)

static uintptr_t end_seen;
static uintptr_t end_again;

/* Reads it all: a page that is not there ends the test. */
__attribute__((no_sanitize("address"))) static uintptr_t ask_here(void)
{
    char here = 1;
    uintptr_t sp = (uintptr_t)&here;
    uintptr_t end = os_stack_end(sp);
    unsigned sum = 0;
    for (uintptr_t at = sp; at < end; at += 64) {
        sum += *(volatile unsigned char *)at; /* NOLINT */
    }
    __asm__ volatile("" : : "r"(sum), "r"(&here) : "memory");
    return end;
}

__attribute__((noinline)) static uintptr_t ask_deep(unsigned depth)
{
    volatile char frame[4096];
    frame[0] = 0;
    uintptr_t end = depth == 0 ? ask_here() : ask_deep(depth - 1);
    frame[1] = frame[0];
    return end;
}

static void *ask_twice(void *unused)
{
    end_seen = ask_here();
    end_again = ask_deep(20);
    return unused;
}

static void in_thread(void *(*start)(void *), void *opaque, pthread_attr_t *how)
{
    pthread_t thread;
    EXPECT(pthread_create(&thread, how, start, opaque) == 0);
    EXPECT(pthread_join(thread, NULL) == 0);
}

TEST(main_thread)
{
    if (test_is_emulated()) {
        test_skip("the emulator's stack is not the system's");
    }
    uintptr_t end = ask_here();
    EXPECT(end != 0);
    EXPECT_EQ_U64(ask_deep(20), end);
    EXPECT_EQ_U64(ask_deep(600), end);
    EXPECT_EQ_U64(ask_here(), end);
}

TEST(other_thread)
{
    in_thread(ask_twice, NULL, NULL);
    EXPECT(end_seen != 0);
    EXPECT_EQ_U64(end_again, end_seen);
}

/* Room with a guard on either side. */
static char *map_stack(void)
{
    size_t page = os_page_size();
    char *p = mmap(NULL, STACK_BYTES + 2 * page, PROT_NONE,
        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    EXPECT(p != MAP_FAILED);
    EXPECT(mprotect(p + page, STACK_BYTES, PROT_READ | PROT_WRITE) == 0);
    return p + page;
}

TEST(stack_of_the_program)
{
    pthread_attr_t how;
    char *stack = map_stack();
    EXPECT(pthread_attr_init(&how) == 0);
    EXPECT(pthread_attr_setstack(&how, stack, STACK_BYTES) == 0);
    in_thread(ask_twice, NULL, &how);
    EXPECT(end_seen <= (uintptr_t)stack + STACK_BYTES);
    EXPECT_EQ_U64(end_again, end_seen);
    pthread_attr_destroy(&how);
}

/* ---- a stack that is not the thread's ---- */

static void handler(int unused)
{
    (void)unused;
    end_again = ask_here();
}

static void ask_aside(void)
{
    stack_t other = {.ss_sp = map_stack(), .ss_size = STACK_BYTES};
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_ONSTACK};
    EXPECT(sigaltstack(&other, NULL) == 0);
    EXPECT(sigaction(SIGUSR1, &action, NULL) == 0);
    EXPECT(raise(SIGUSR1) == 0);
    other.ss_flags = SS_DISABLE;
    EXPECT(sigaltstack(&other, NULL) == 0);
}

TEST(alternate_stack)
{
    uintptr_t end = ask_here();
    ask_aside();
    EXPECT_EQ_U64(end_again, 0);
    EXPECT_EQ_U64(ask_here(), end);
}

/* Whoever asks first from elsewhere is told nothing, for good. */
static void *ask_aside_first(void *unused)
{
    ask_aside();
    end_seen = ask_here();
    return unused;
}

TEST(alternate_stack_first)
{
    in_thread(ask_aside_first, NULL, NULL);
    EXPECT_EQ_U64(end_again, 0);
    EXPECT_EQ_U64(end_seen, 0);
}

int main(void)
{
    return test_run(TEST_CASE(main_thread), TEST_CASE(other_thread),
        TEST_CASE(stack_of_the_program), TEST_CASE(alternate_stack),
        TEST_CASE(alternate_stack_first), NULL);
}
