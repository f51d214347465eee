/*
 * What: the probes otel_memory:alloc and :free as a tracer finds and uses
 * them: by the notes in the library's file, a semaphore that is counted up,
 * and a breakpoint at the probe's place. Here the tracer is this process.
 *
 * Invariants: (I1) each sampled block gives one event of each kind, with the
 * arguments that the note describes; without the semaphore there are none.
 *
 * Locking: none.
 */
#ifndef _GNU_SOURCE
#    define _GNU_SOURCE
#endif
#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <ucontext.h>
#include <unistd.h>

#include "harness.h"
#include "jemalloc/jemalloc.h"

const char *malloc_conf = "prof:true,lg_prof_sample:0";

#if defined(__x86_64__) && defined(__linux__) && __has_include(<sys/sdt.h>)

#    define TRAP 0xcc /* int3 */
#    define NOP  0x90

typedef struct {
    uintptr_t place;
    uintptr_t semaphore;
    char arguments[64];
} probe_t;

static unsigned char *library; /* its file */
static uintptr_t base;         /* where it was loaded */
static probe_t probes[2];      /* alloc, free */
static const char *const names[2] = {"alloc", "free"};

/* ---- the tracer's hands ---- */

static void poke(uintptr_t address, const void *bytes, size_t size)
{
    int fd = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
    REQUIRE(fd >= 0);
    REQUIRE(pwrite(fd, bytes, size, (off_t)address) == (ssize_t)size);
    close(fd);
}

#    define EVENTS_MAX 64
static struct {
    int kind;
    uint64_t arguments[3];
} events[EVENTS_MAX];
static volatile unsigned events_count;

/* The breakpoint took the place of one nop, so nothing is left out. */
static void on_trap(int number, siginfo_t *info, void *opaque)
{
    const ucontext_t *context = opaque;
    const greg_t *registers = context->uc_mcontext.gregs;
    uintptr_t place = (uintptr_t)registers[REG_RIP] - 1;
    (void)number;
    (void)info;
    if (events_count < EVENTS_MAX) {
        events[events_count].kind = place == probes[0].place   ? 0
                                    : place == probes[1].place ? 1
                                                               : -1;
        events[events_count].arguments[0] = (uint64_t)registers[REG_RDI];
        events[events_count].arguments[1] = (uint64_t)registers[REG_RSI];
        events[events_count].arguments[2] = (uint64_t)registers[REG_RDX];
        events_count++;
    }
}

static void watch(bool on)
{
    uint16_t tracers = on;
    for (unsigned i = 0; i < 2; i++) {
        poke(probes[i].semaphore, &tracers, sizeof(tracers));
    }
}

/* ---- the notes ---- */

static void read_library(void)
{
    Dl_info info = {.dli_fname = "/proc/self/exe"};
    if (getauxval(AT_BASE) != 0) {
        REQUIRE(dladdr((void *)(uintptr_t)&mallocx, &info) != 0);
    } /* else a static program, where it was linked to */
    base = (uintptr_t)info.dli_fbase;
    FILE *file = fopen(info.dli_fname, "rb");
    REQUIRE(file != NULL);
    REQUIRE(fseek(file, 0, SEEK_END) == 0);
    size_t size = (size_t)ftell(file);
    rewind(file);
    library = malloc(size);
    REQUIRE(library != NULL && fread(library, 1, size, file) == size);
    fclose(file);
}

static const Elf64_Shdr *section(const char *name)
{
    const Elf64_Ehdr *elf = (const void *)library;
    const Elf64_Shdr *sections = (const void *)(library + elf->e_shoff);
    const char *strings =
        (const char *)library + sections[elf->e_shstrndx].sh_offset;
    for (unsigned i = 0; i < elf->e_shnum; i++) {
        if (strcmp(strings + sections[i].sh_name, name) == 0) {
            return &sections[i];
        }
    }
    return NULL;
}

/* Place, base and semaphore; then provider, name and arguments as text. */
static void read_note(const unsigned char *at)
{
    uint64_t numbers[3];
    memcpy(numbers, at, sizeof(numbers));
    const char *provider = (const char *)at + sizeof(numbers);
    const char *name = provider + strlen(provider) + 1;
    const char *arguments = name + strlen(name) + 1;
    EXPECT_EQ_STR(provider, "otel_memory");
    for (unsigned i = 0; i < 2; i++) {
        if (strcmp(name, names[i]) == 0) {
            probes[i].place = base + numbers[0];
            probes[i].semaphore = base + numbers[2];
            EXPECT(numbers[2] != 0);
            snprintf(probes[i].arguments, sizeof(probes[i].arguments), "%s",
                arguments);
        }
    }
    /* Nobody moved the file since it was linked. */
    EXPECT_EQ_U64(numbers[1], section(".stapsdt.base")->sh_addr);
}

static size_t aligned(uint32_t size)
{
    return (size + 3U) & ~(size_t)3;
}

/* How many of eight bytes there are. */
static unsigned count_arguments(const char *arguments)
{
    unsigned count = 0;
    for (const char *at = arguments; (at = strstr(at, "8@")) != NULL; at += 2) {
        count++;
    }
    return count;
}

TEST(notes)
{
    read_library();
    const Elf64_Shdr *notes = section(".note.stapsdt");
    REQUIRE(notes != NULL && section(".stapsdt.base") != NULL);
    const unsigned char *at = library + notes->sh_offset;
    const unsigned char *end = at + notes->sh_size;
    while (at < end) {
        const Elf64_Nhdr *note = (const void *)at;
        const unsigned char *name = at + sizeof(*note);
        at = name + aligned(note->n_namesz) + aligned(note->n_descsz);
        EXPECT_EQ_STR((const char *)name, "stapsdt");
        EXPECT_EQ_U64(note->n_type, 3);
        read_note(name + aligned(note->n_namesz));
    }
    /* Where they are is the compiler's choice. */
    EXPECT_EQ_U64(count_arguments(probes[0].arguments), 3);
    EXPECT_EQ_U64(count_arguments(probes[1].arguments), 1);
}

TEST(events)
{
    struct sigaction action = {.sa_sigaction = on_trap, .sa_flags = SA_SIGINFO};
    const unsigned char trap = TRAP;
    REQUIRE(probes[0].place != 0 && probes[1].place != 0);
    sigaction(SIGTRAP, &action, NULL);
    for (unsigned i = 0; i < 2; i++) {
        REQUIRE(*(unsigned char *)probes[i].place == NOP);
        poke(probes[i].place, &trap, 1);
    }
    free(malloc(100));
    EXPECT_EQ_U64(events_count, 0);
    watch(true);
    void *p = malloc(100);
    free(p);
    watch(false);
    free(malloc(100));
    REQUIRE(events_count == 2);
    EXPECT_EQ_U64((uint64_t)events[0].kind, 0);
    EXPECT_EQ_U64(events[0].arguments[0], (uintptr_t)p);
    EXPECT_EQ_U64(events[0].arguments[1], 100);
    /* What it stands for: itself, of its class. */
    EXPECT_EQ_U64(events[0].arguments[2], 112);
    EXPECT_EQ_U64((uint64_t)events[1].kind, 1);
    EXPECT_EQ_U64(events[1].arguments[0], (uintptr_t)p);
}

int main(void)
{
    return test_run(TEST_CASE(notes), TEST_CASE(events), NULL);
}

#else

TEST(events)
{
    test_skip("sys/sdt.h, or the instruction of a breakpoint, is not known");
}

int main(void)
{
    return test_run(TEST_CASE(events), NULL);
}

#endif
