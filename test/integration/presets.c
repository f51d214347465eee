/*
 * What: what the presets of the option profile do for a program: misuse that
 * debug and hardened stop, memory that low-memory gives back at once.
 *
 * Invariants: each case runs in a process of its own, this program with
 * MALLOC_CONF set.
 *
 * Locking: none.
 */
#include "harness.h"
#include <jemalloc/jemalloc.h>

#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- what the processes do ---- */

static int say(const char *text)
{
    return write(2, text, strlen(text)) < 0;
}

static int free_twice(void)
{
    void *volatile p = malloc(100);
    free(p);
    free(p);
    return say("survived\n");
}

static int use_after_free(void)
{
    volatile char *volatile p = malloc(4 << 20);
    p[1 << 20] = 1;
    free((void *)p);
    p[1 << 20] = 2;
    return say("survived\n");
}

/* Two system pages and more, whatever the system page is. */
static int overrun(void)
{
    const size_t size = 100000;
    for (unsigned n = 0; n < 32; n++) {
        volatile char *volatile p = malloc(size);
        memset((void *)(p + size), 1, 2 * size);
    }
    return say("survived\n");
}

static int show_bytes(void)
{
    char text[100];
    unsigned char *p = malloc(100);
    memset(p, 1, 100);
    free(p);
    unsigned char *small = malloc(100), *large = malloc(100000);
    snprintf(text, sizeof(text), "%02x %02x %02x\n", small[0], large[0],
        large[99999]);
    return say(text);
}

/* Frees a block of 2 MiB: are its pages still in memory? */
static int show_peak(void)
{
    const size_t size = 2 << 20;
    unsigned char resident = 1;
    char *volatile p = malloc(size);
    memset(p, 1, size);
    uintptr_t middle = ((uintptr_t)p + size / 2) & ~(uintptr_t)65535;
    free(p);
    if (mincore((void *)middle, 1, (void *)&resident) != 0) {
        resident = 0; /* no longer mapped */
    }
    return say((resident & 1) != 0 ? "kept\n" : "given back\n");
}

static const struct {
    const char *name;
    int (*run)(void);
} deeds[] = {
    {"free_twice", free_twice},
    {"use_after_free", use_after_free},
    {"overrun", overrun},
    {"bytes", show_bytes},
    {"peak", show_peak},
};

/* ---- tests ---- */

typedef struct {
    const char *preset;
    const char *deed;
} order_t;

static void run_again(void *arg)
{
    order_t *order = arg;
    char conf[64], deed[32];
    char *argv[] = {deed, NULL};
    snprintf(deed, sizeof(deed), "%s", order->deed);
    snprintf(conf, sizeof(conf), "profile:%s", order->preset);
    setenv("MALLOC_CONF", conf, 1);
    test_exec_self(argv);
}

static test_child_t under(const char *preset, const char *deed)
{
    order_t order = {preset, deed};
    return test_in_child(run_again, &order);
}

static void expect_signal(const char *preset, const char *deed, int signal)
{
    static test_child_t r;
    r = under(preset, deed);
    if (!WIFSIGNALED(r.status) || WTERMSIG(r.status) != signal) {
        test_note("%s, %s: status %#x, said: %s", preset, deed,
            (unsigned)r.status, r.err);
    }
    EXPECT(WIFSIGNALED(r.status));
    EXPECT_EQ_I64(WTERMSIG(r.status), signal);
}

static void expect_said(const char *preset, const char *deed, const char *said)
{
    static test_child_t r;
    r = under(preset, deed);
    EXPECT_EQ_I64(r.status, 0);
    EXPECT_EQ_STR(r.err, said);
}

TEST(second_frees)
{
    expect_signal("debug", "free_twice", SIGABRT);
    expect_signal("hardened", "free_twice", SIGABRT);
}

TEST(freed_pages)
{
    expect_said("none", "use_after_free", "survived\n");
    expect_signal("debug", "use_after_free", SIGSEGV);
}

TEST(overruns)
{
    expect_signal("debug", "overrun", SIGSEGV);
    expect_signal("hardened", "overrun", SIGSEGV);
}

TEST(fresh_memory)
{
    expect_said("debug", "bytes", "a5 a5 a5\n");
    expect_said("hardened,conf_readonly:false", "bytes", "00 00 00\n");
}

TEST(freed_peaks)
{
    expect_said("none", "peak", "kept\n");
    expect_said("latency", "peak", "kept\n");
    expect_said("container", "peak", "kept\n");
    expect_said("low-memory", "peak", "given back\n");
}

int main(int argc, char **argv)
{
    for (size_t i = 0; argc > 1 && i < sizeof(deeds) / sizeof(*deeds); i++) {
        if (strcmp(deeds[i].name, argv[1]) == 0) {
            return deeds[i].run();
        }
    }
    return test_run(TEST_CASE(second_frees), TEST_CASE(freed_pages),
        TEST_CASE(overruns), TEST_CASE(fresh_memory), TEST_CASE(freed_peaks),
        NULL);
}
