/*
 * What: any bytes as an ELF file with debug information, as names of symbols,
 * and as a list of code. Nothing may crash.
 *
 * Invariants: (I1) what is looked up is the same for the same input.
 *
 * Locking: none.
 *
 * Run as replay.h says.
 */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "binary.h"
#include "debuginfo.h"
#include "mem.h"
#include "names.h"
#include "perfmap.h"
#include "replay.h"
#include "say.h"
#include "texts.h"

/* Each line is a symbol. */
static void name_lines(const uint8_t *data, size_t size)
{
    const char *at = (const char *)data;
    const char *end = at + size;
    while (at < end) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        size_t len = (size_t)((stop != NULL ? stop : end) - at);
        char *symbol = mem_copy(at, len);
        uint32_t name = names_demangle(symbol);
        uint32_t short_name = names_short(name);
        replay_check(*text_of(short_name) != '\0' || *text_of(name) == '\0',
            "a name is not shortened to nothing");
        names_is_allocator(short_name);
        names_is_allocator_library(symbol);
        mem_free(symbol);
        at += len + 1;
    }
}

/* Or a list of code, looked up in the middle of each range. */
static void list_code(const uint8_t *data, size_t size)
{
    perfmap_t m = {0};
    perfmap_read(&m, "input", (const char *)data, size);
    for (size_t i = 0; i < m.count; i++) {
        uint64_t address = m.code[i].start + m.code[i].size / 2;
        const perfmap_code_t *found = perfmap_find(&m, address);
        replay_check(found == NULL || address - found->start < found->size,
            "code is found where it is");
    }
}

static void look_up(binary_t *b)
{
    static debuginfo_frame_t frames[INLINED_MAX];
    debuginfo_t *d = debuginfo_open(b->module);
    b->debuginfo = d; /* closed with the file */
    for (uint64_t offset = 0; offset < b->len + 64; offset += 13) {
        uint64_t address, start, end;
        binary_is_after_call(b, offset);
        if (!binary_address(b, offset, &address)) {
            continue;
        }
        const char *symbol = binary_symbol(b, address, &start, &end);
        if (symbol != NULL) {
            names_short(names_demangle(symbol));
        }
        if (d != NULL) {
            debuginfo_lookup(d, address, offset % 2 == 0, frames);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    say_be_quiet(true);
    bool is_elf = size > 4 && memcmp(data, "\177ELF", 4) == 0;
    jmp_buf trap;
    int fd = memfd_create("input", MFD_CLOEXEC);
    if (fd >= 0 && setjmp(trap) == 0) {
        say_set_trap(&trap);
        text_id("", 0);
        if (!is_elf) {
            name_lines(data, size);
            list_code(data, size);
        } else if (write(fd, data, size) == (ssize_t)size) {
            char path[64];
            snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
            binary_t *b = binary_open(path);
            if (b != NULL) {
                look_up(b);
                binary_close(b);
            }
        }
    }
    say_set_trap(NULL);
    close(fd);
    mem_free_all();
    texts_forget();
    return 0;
}

#ifndef JE_LIBFUZZER
int main(int argc, char **argv)
{
    static const replay_target_t target = {.name = "jeprof_symbols",
        .input_max = REPLAY_INPUT_MAX,
        .rounds = 1000,
        .make = replay_mutate};
    return replay_main(argc, argv, &target);
}
#endif
