/*
 * What: a program linked without the table that unwinders search in, as
 * wholly static ones often are: its own sections are found in its file, and
 * stacks are walked all the same; files full of garbage do no harm.
 *
 * Invariants: (I1) nothing is written but a temporary file.
 *
 * Locking: none.
 */
#define _GNU_SOURCE
#include "prof/prof_sections.h"

#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness.h"
#include "prof/prof_module.h"
#include "prof/prof_stack.h"
#include "util/prng.h"

#define SELF "/proc/self/exe"

extern const char __ehdr_start[] __attribute__((visibility("hidden")));

static const ElfW(Ehdr) * own_header(void)
{
    return (const ElfW(Ehdr) *)(const void *)__ehdr_start;
}

/* What keeps the compiler from joining and tail-calling. */
#define KEEP __asm__ volatile("" ::: "memory")

static uintptr_t frames[64];
static unsigned frames_n;
static void *expected[32];

__attribute__((noinline)) static void descend(int depth)
{
    expected[depth] = __builtin_return_address(0);
    if (depth == 0) {
        frames_n = prof_stack_capture(frames, 64);
    } else {
        descend(depth - 1);
    }
    KEEP;
}

static unsigned frames_in_order(int depth)
{
    unsigned found = 0;
    for (unsigned i = 0; i < frames_n && found <= (unsigned)depth; i++) {
        found += frames[i] == (uintptr_t)expected[found];
    }
    return found;
}

TEST(stacks_without_an_index)
{
    prof_module_t module;
    if (FRAME_REGISTERS == 1) {
        test_skip("no walker for this processor");
    }
    prof_module_reset_for_test();
    REQUIRE(prof_module_find((uintptr_t)&descend, &module));
    EXPECT(module.unsorted);
    EXPECT(module.tables >= module.start && module.tables < module.end);
    for (int round = 0; round < 3; round++) { /* cold, then cached */
        descend(20);
        EXPECT_EQ_U64(frames_in_order(20), 21);
    }
}

TEST(own_sections)
{
    prof_section_t text;
    prof_section_t other;
    REQUIRE(prof_sections_find(SELF, own_header(), ".text", &text));
    uintptr_t addr = (uintptr_t)&descend;
    /* Programs that are not moved say where they are. */
    uintptr_t shift =
        own_header()->e_type == ET_EXEC ? 0 : (uintptr_t)own_header();
    EXPECT_LT_U64(addr - shift - text.addr, text.size);
    EXPECT(prof_sections_find(SELF, own_header(), ".eh_frame", &other));
    EXPECT(!prof_sections_find(SELF, own_header(), ".eh_frame_hdr", &other));
    EXPECT(!prof_sections_find(SELF, own_header(), ".tex", &other));
    EXPECT(!prof_sections_find(SELF, own_header(), "", &other));
    EXPECT(!prof_sections_find(SELF, own_header(),
        "a name that is longer than those of all sections", &other));
}

TEST(other_files)
{
    prof_section_t section;
    ElfW(Ehdr) other = *own_header();
    other.e_entry++;
    EXPECT(!prof_sections_find(SELF, &other, ".text", &section));
    EXPECT(!prof_sections_find("/nowhere", own_header(), ".text", &section));
    EXPECT(!prof_sections_find("/proc", own_header(), ".text", &section));
    EXPECT(!prof_sections_find("/dev/null", own_header(), ".text", &section));
    EXPECT(!prof_sections_find("", own_header(), ".text", &section));
}

/* A header that is believed, before anything else at all. */
TEST(garbage_does_no_harm)
{
    char path[] = "/tmp/prof_sections.XXXXXX";
    int fd = mkstemp(path);
    uint64_t random = 1;
    REQUIRE(fd >= 0);
    int next = dup(fd);
    close(next);
    for (unsigned round = 0; round < 2000; round++) {
        union {
            ElfW(Ehdr) elf;
            ElfW(Shdr) headers[8];
            uint64_t words[64];
        } file;
        for (unsigned i = 0; i < 64; i++) {
            file.words[i] = prng_bits(&random, 64) >> prng_bits(&random, 6);
        }
        file.elf.e_shentsize = sizeof(ElfW(Shdr));
        file.elf.e_shnum = (uint16_t)prng_bits(&random, 1 + round % 10);
        file.elf.e_shstrndx = (uint16_t)prng_bits(&random, 2);
        file.elf.e_shoff = (uintptr_t)file.words[10] >> round % 64;
        size_t bytes = (size_t)prng_bits(&random, 9) + 1;
        REQUIRE(ftruncate(fd, 0) == 0);
        REQUIRE(pwrite(fd, &file, bytes, 0) == (ssize_t)bytes);
        prof_section_t section = {0, 0};
        bool found = prof_sections_find(path, &file.elf, ".text", &section);
        EXPECT(!found || section.addr != 0 || section.size != 0);
    }
    EXPECT_EQ_I64(dup(fd), next); /* all were closed */
    close(next);
    close(fd);
    unlink(path);
}

int main(void)
{
    return test_run(TEST_CASE(stacks_without_an_index), TEST_CASE(own_sections),
        TEST_CASE(other_files), TEST_CASE(garbage_does_no_harm), NULL);
}
