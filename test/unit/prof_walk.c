/*
 * What: the stack walker over a module and stacks made by hand: each way that
 * a table may restore a register, the largest offsets that a remembered rule
 * holds, steps that lead nowhere, frame pointers, signals in signals; and
 * what is read out of the module's header.
 *
 * Invariants: (I1) the module is a file that is mapped, but nothing in it is
 * run; (I2) numbers of registers are those of x86-64, elsewhere all is
 * skipped.
 *
 * Locking: none.
 */
#include "prof/prof_stack.h"

#include <elf.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "harness.h"
#include "os/frame.h"
#include "os/os.h"
#include "prof/prof_module.h"

#if FRAME_REGISTERS == 17

#    define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#    define BYTES(text)  text, sizeof(text) - 1
#    define PART         4096
#    define DEPTH        64

/* ---- the module ---- */

/* Functions of so many bytes each; what their callers' frames are. */
#    define FUNCTION_BYTES 64

enum {
    PLAIN,
    PUSHED,
    BY_FP,
    OUTERMOST,
    BY_R3,
    R3_SAVED,
    R3_MOVED,
    R3_COMPUTED,
    R3_LOADED,
    R3_EVALUATED,
    R3_UNDEFINED,
    R3_FROM_NOBODY,
    CFA_EVALUATED,
    RETURN_MOVED,
    FAR,
    FARTHER,
    RETURN_FAR,
    RETURN_FARTHER,
    FP_FAR,
    FP_FARTHER,
    DOWN,
    STILL,
    LEAF,
    PAGES_MOST,
    PAGES_TOO_MANY,
    SIGNAL, /* from here on with the letter S */
    FUNCTIONS
};

/* Before each: the CFA is r7 + 8, and the caller's address lies below it. */
static const struct {
    const char *bytes;
    size_t size;
} programs[FUNCTIONS] = {
    [PLAIN] = {BYTES("")},
    [PUSHED] = {BYTES("\x0e\x10\x86\x02")},           /* r6 at CFA - 16 */
    [BY_FP] = {BYTES("\x0c\x06\x10\x86\x02")},        /* CFA = r6 + 16 */
    [OUTERMOST] = {BYTES("\x07\x10")},                /* no caller */
    [BY_R3] = {BYTES("\x0d\x03")},                    /* CFA = r3 + 8 */
    [R3_SAVED] = {BYTES("\x0e\x10\x83\x02")},         /* r3 at CFA - 16 */
    [R3_MOVED] = {BYTES("\x09\x03\x0c")},             /* r3 is in r12 */
    [R3_COMPUTED] = {BYTES("\x15\x03\x7e")},          /* r3 is CFA + 16 */
    [R3_LOADED] = {BYTES("\x10\x03\x02\x23\x08")},    /* r3 at CFA + 8 */
    [R3_EVALUATED] = {BYTES("\x16\x03\x02\x23\x18")}, /* r3 is CFA + 24 */
    [R3_UNDEFINED] = {BYTES("\x07\x03")},
    [R3_FROM_NOBODY] = {BYTES("\x09\x03\x11")},    /* r3 is in r17: none */
    [CFA_EVALUATED] = {BYTES("\x0f\x02\x77\x18")}, /* r7 + 24 */
    [RETURN_MOVED] = {BYTES("\x09\x10\x0c")},      /* is in r12 */
    [FAR] = {BYTES("\x0e\xf8\xff\xff\x03")},       /* CFA = r7 + 2^23 - 8 */
    [FARTHER] = {BYTES("\x0e\x80\x80\x80\x04")},   /* r7 + 2^23 */
    [RETURN_FAR] = {BYTES("\x0e\x80\x80\x04\x90\x80\x20")}, /* CFA - 2^15 */
    [RETURN_FARTHER] = {BYTES("\x0e\x80\x80\x04\x90\x81\x20")},
    [FP_FAR] = {BYTES("\x0e\x80\x80\x04\x86\x80\x20")},
    [FP_FARTHER] = {BYTES("\x0e\x80\x80\x04\x86\x81\x20")},
    [DOWN] = {BYTES("\x13\x01")},              /* CFA = r7 - 8 */
    [STILL] = {BYTES("\x0e\x00\x11\x10\x7f")}, /* CFA = r7, address above */
    [LEAF] = {BYTES("\x0e\x00\x08\x10")},      /* address still in r16 */
    [PAGES_MOST] = {BYTES("\x0e\x80\x80\x80\x08")},     /* CFA = r7 + 2^24 */
    [PAGES_TOO_MANY] = {BYTES("\x0e\x88\x80\x80\x08")}, /* and 8 */
    [SIGNAL] = {BYTES("\x0e\x20\x87\x02")}, /* CFA = r7 + 32, r7 at CFA - 16 */
};

/* Code without a table, a return from a handler, and the end of the code. */
#    define BARE       (FUNCTIONS * FUNCTION_BYTES)
#    define TRAMPOLINE (BARE + FUNCTION_BYTES)
#    define LAST       (PART - FUNCTION_BYTES)

static const uint8_t trampoline[] = {
    0x48, 0xc7, 0xc0, 0x0f, 0x00, 0x00, 0x00, 0x0f, 0x05};

static struct {
    uint8_t *at; /* header and tables, code, and a part with nothing */
    union {
        Elf64_Ehdr header;
        uint8_t bytes[3 * PART];
    } file;
    size_t n;
} image;

static uintptr_t code(void)
{
    return (uintptr_t)image.at + PART;
}

/* Where a function's instructions are; what it calls returns 8 bytes on. */
static uintptr_t start_of(unsigned function)
{
    return code() + function * FUNCTION_BYTES;
}

static uintptr_t after(unsigned function)
{
    return start_of(function) + 8;
}

static void put(const void *bytes, size_t size)
{
    REQUIRE(image.n + size <= PART);
    memcpy(image.file.bytes + image.n, bytes, size);
    image.n += size;
}

static void put_number(uint64_t number, size_t size)
{
    put(&number, size);
}

static size_t begin_entry(void)
{
    put_number(0, 4);
    return image.n;
}

static void end_entry(size_t begun)
{
    uint32_t length = (uint32_t)(image.n - begun);
    memcpy(image.file.bytes + begun - 4, &length, 4);
}

static size_t put_common(const char *letters)
{
    size_t begun = begin_entry();
    put_number(0, 4);
    put_number(1, 1);
    put(letters, strlen(letters) + 1);
    put("\x01\x78\x10", 3); /* code by 1, data by -8, address in r16 */
    put(letters, letters[0] != '\0'); /* anything: so much of its own, */
    image.file.bytes[image.n - 1] = letters[0] != '\0' ? 0 : 0x10; /* none */
    put("\x0c\x07\x08\x90\x01", 5);
    end_entry(begun);
    return begun - 4;
}

/* Its row of the index is written, too. */
static void put_function(size_t common, size_t rows, unsigned index,
    uintptr_t begin, size_t size, const char *program, size_t program_size)
{
    uint32_t pair[] = {(uint32_t)(begin - ((uintptr_t)image.at + rows - 12)),
        (uint32_t)(image.n - (rows - 12))};
    memcpy(image.file.bytes + rows + 8 * index, pair, 8);
    size_t begun = begin_entry();
    put_number(image.n - common, 4);
    put_number(begin, 8);
    put_number(size, 8);
    put("", program == programs[SIGNAL].bytes);
    put(program, program_size);
    end_entry(begun);
}

static void put_tables(void)
{
    put("\x01\x1b\x03\x3b\0\0\0\0", 8);
    put_number(FUNCTIONS + 1, 4);
    size_t rows = image.n;
    image.n += 8 * (FUNCTIONS + 1);
    size_t common = put_common("");
    size_t of_signals = put_common("zS");
    for (unsigned i = 0; i < FUNCTIONS; i++) {
        put_function(i < SIGNAL ? common : of_signals, rows, i, start_of(i),
            FUNCTION_BYTES, programs[i].bytes, programs[i].size);
    }
    put_function(common, rows, FUNCTIONS, code() + LAST, FUNCTION_BYTES,
        programs[OUTERMOST].bytes, programs[OUTERMOST].size);
}

/* The executable part comes first, and nothing is linked to address 0. */
#    define LINKED_AT 0x70000

static void put_header(unsigned segments)
{
    image.file.header = (Elf64_Ehdr){.e_ident = ELFMAG,
        .e_phoff = sizeof(Elf64_Ehdr),
        .e_phentsize = sizeof(Elf64_Phdr),
        .e_phnum = (uint16_t)segments};
    Elf64_Phdr headers[] = {
        {PT_LOAD, PF_R | PF_X, PART, LINKED_AT + PART, 0, PART, PART, PART},
        {PT_GNU_EH_FRAME, PF_R, 0, 0, 0, 0, 0, 4},
        {PT_LOAD, PF_R, 0, LINKED_AT, 0, PART, PART, PART},
        {PT_LOAD, PF_R, PART * 2, LINKED_AT + PART * 2, 0, PART, PART, PART}};
    image.n = sizeof(Elf64_Ehdr) + sizeof(headers);
    headers[1].p_vaddr = LINKED_AT + image.n;
    put_tables();
    headers[1].p_memsz = image.n - (headers[1].p_vaddr - LINKED_AT);
    memcpy(image.file.bytes + sizeof(Elf64_Ehdr), headers, sizeof(headers));
}

static void map_image(void)
{
    static const int protections[] = {
        PROT_READ, PROT_READ | PROT_EXEC, PROT_READ};
    int fd = memfd_create("prof_walk", MFD_CLOEXEC);
    REQUIRE(fd >= 0);
    REQUIRE(write(fd, image.file.bytes, sizeof(image.file)) ==
            (ssize_t)sizeof(image.file));
    for (unsigned i = 0; i < 3; i++) {
        REQUIRE(
            mmap(image.at + i * PART, PART, protections[i],
                MAP_PRIVATE | MAP_FIXED, fd, (off_t)(i * PART)) != MAP_FAILED);
    }
    close(fd);
}

static void make_image(unsigned segments)
{
    if (test_is_emulated() || os_page_size() != PART) {
        test_skip("made for pages of another size");
    }
    if (image.at == NULL) {
        image.at = mmap(NULL, 5 * (size_t)PART, PROT_NONE,
            MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        REQUIRE(image.at != MAP_FAILED);
        image.at += PART; /* nothing of others is next to it */
    }
    memset(&image.file, 0, sizeof(image.file));
    memcpy(
        image.file.bytes + PART + TRAMPOLINE, trampoline, sizeof(trampoline));
    put_header(segments);
    map_image();
    prof_module_reset_for_test();
}

/* ---- walks ---- */

static uintptr_t stack[(20 << 20) / sizeof(uintptr_t)]
    __attribute__((aligned(PART)));

static frame_t from;

static void begin_at(uintptr_t pc)
{
    memset(&from, 0, sizeof(from));
    memset(stack, 0, PART);
    from.pc = pc;
    from.reg[FRAME_SP] = (uintptr_t)stack;
}

static void begin(unsigned function)
{
    make_image(4);
    begin_at(start_of(function));
}

/* By the tables, and from memory. */
static void expect_places(const uintptr_t *wanted, unsigned n)
{
    uintptr_t frames[DEPTH];
    for (unsigned round = 0; round < 3; round++) {
        unsigned found = prof_stack_walk(&from, frames, DEPTH, round != 0);
        if (found != n) {
            test_note("round %u", round);
        }
        EXPECT_EQ_U64(found, n);
        for (unsigned i = 0; i < n && i < found; i++) {
            EXPECT_EQ_U64(frames[i], wanted[i]);
        }
    }
}

#    define EXPECT_PLACES(...)                                                 \
        expect_places((uintptr_t[]){from.pc, __VA_ARGS__},                     \
            COUNT(((uintptr_t[]){from.pc, __VA_ARGS__})))

static void expect_end(void)
{
    expect_places(&from.pc, 1);
}

TEST(frames_that_follow_each_other)
{
    begin(PLAIN);
    stack[0] = after(PUSHED);
    stack[1] = (uintptr_t)&stack[6];
    stack[2] = after(PLAIN);
    stack[3] = after(BY_FP);
    stack[6] = (uintptr_t)&stack[20];
    stack[7] = after(BY_FP);
    stack[21] = after(OUTERMOST);
    EXPECT_PLACES(after(PUSHED), after(PLAIN), after(BY_FP), after(BY_FP),
        after(OUTERMOST));
    /* Where nothing is, it ends. */
    stack[21] = 0;
    EXPECT_PLACES(after(PUSHED), after(PLAIN), after(BY_FP), after(BY_FP));
}

/* The second frame is where r3 says, the third where it said first. */
TEST(registers_restored)
{
    begin(R3_SAVED);
    stack[0] = (uintptr_t)&stack[9];
    stack[1] = after(BY_R3);
    stack[9] = after(OUTERMOST);
    EXPECT_PLACES(after(BY_R3), after(OUTERMOST));
    begin(R3_MOVED);
    from.reg[12] = (uintptr_t)&stack[9];
    stack[0] = after(BY_R3);
    stack[9] = after(OUTERMOST);
    EXPECT_PLACES(after(BY_R3), after(OUTERMOST));
    begin(R3_COMPUTED); /* CFA is stack + 1 */
    stack[0] = after(BY_R3);
    stack[3] = after(OUTERMOST);
    EXPECT_PLACES(after(BY_R3), after(OUTERMOST));
    begin(R3_LOADED);
    stack[0] = after(BY_R3);
    stack[2] = (uintptr_t)&stack[9];
    stack[9] = after(OUTERMOST);
    EXPECT_PLACES(after(BY_R3), after(OUTERMOST));
    begin(R3_EVALUATED);
    stack[0] = after(BY_R3);
    stack[4] = after(OUTERMOST);
    EXPECT_PLACES(after(BY_R3), after(OUTERMOST));
    /* What is remembered of some frames would have lost it on the way. */
    begin(R3_SAVED);
    stack[0] = (uintptr_t)&stack[9];
    stack[1] = after(PLAIN);
    stack[2] = after(PUSHED);
    stack[4] = after(BY_R3);
    stack[9] = after(OUTERMOST);
    EXPECT_PLACES(after(PLAIN), after(PUSHED), after(BY_R3), after(OUTERMOST));
}

TEST(registers_that_are_lost)
{
    begin(R3_UNDEFINED);
    from.reg[3] = (uintptr_t)&stack[9];
    stack[0] = after(BY_R3);
    stack[9] = after(OUTERMOST);
    EXPECT_PLACES(after(BY_R3));
    /* It is the only one. */
    stack[0] = after(PLAIN);
    stack[1] = after(OUTERMOST);
    EXPECT_PLACES(after(PLAIN), after(OUTERMOST));
    uintptr_t frames[DEPTH];
    begin(R3_FROM_NOBODY);
    stack[0] = after(OUTERMOST);
    EXPECT_EQ_U64(prof_stack_walk(&from, frames, DEPTH, false), 1);
    /* Said to be lost from the start. */
    begin(BY_R3);
    from.reg[3] = (uintptr_t)&stack[9];
    stack[9] = after(OUTERMOST);
    EXPECT_PLACES(after(OUTERMOST));
    from.lost = 1U << 3;
    EXPECT_EQ_U64(prof_stack_walk(&from, frames, DEPTH, false), 1);
}

TEST(other_bases)
{
    begin(CFA_EVALUATED);
    stack[2] = after(OUTERMOST);
    EXPECT_PLACES(after(OUTERMOST));
    begin(RETURN_MOVED);
    from.reg[12] = after(PLAIN);
    stack[1] = after(OUTERMOST);
    EXPECT_PLACES(after(PLAIN), after(OUTERMOST));
}

/* Offsets that fit into a remembered rule, and the next ones. */
TEST(far_away)
{
    static const struct {
        unsigned function;
        size_t address;
    } places[] = {{FAR, (1 << 23) - 16}, {FARTHER, (1 << 23) - 8},
        {RETURN_FAR, (1 << 16) - (1 << 15)},
        {RETURN_FARTHER, (1 << 16) - (1 << 15) - 8},
        {PAGES_MOST, (1 << 24) - 8}};
    for (unsigned i = 0; i < COUNT(places); i++) {
        begin(places[i].function);
        stack[places[i].address / 8] = after(OUTERMOST);
        EXPECT_PLACES(after(OUTERMOST));
        stack[places[i].address / 8] = 0;
    }
    /* So many pages are not looked at. */
    begin(PAGES_TOO_MANY);
    stack[(1 << 24) / 8] = after(OUTERMOST);
    expect_end();
    static const unsigned functions[] = {FP_FAR, FP_FARTHER};
    for (unsigned i = 0; i < 2; i++) {
        begin(functions[i]);
        size_t fp = ((1 << 16) - (1 << 15)) / 8 - i;
        size_t address = (1 << 16) / 8 - 1;
        stack[fp] = (uintptr_t)&stack[address + 9];
        stack[address] = after(BY_FP);
        stack[address + 10] = after(OUTERMOST);
        EXPECT_PLACES(after(BY_FP), after(OUTERMOST));
        stack[fp] = stack[address] = 0;
    }
}

/* Steps down, or on the spot. */
TEST(steps_that_lead_nowhere)
{
    begin(DOWN);
    from.reg[FRAME_SP] = (uintptr_t)&stack[4];
    stack[2] = after(OUTERMOST);
    expect_end();
    begin(STILL);
    stack[1] = after(OUTERMOST);
    expect_end();
    begin(LEAF);
    from.reg[16] = after(PLAIN);
    stack[0] = after(OUTERMOST);
    EXPECT_PLACES(after(PLAIN), after(OUTERMOST));
    from.reg[16] = from.pc; /* into itself */
    expect_end();
    from.reg[16] = 0;
    expect_end();
    /* Only the first frame's address can still be there. */
    begin(PLAIN);
    stack[0] = after(LEAF);
    from.reg[16] = after(OUTERMOST);
    EXPECT_PLACES(after(LEAF));
}

/* ---- frames without tables ---- */

static void begin_bare(size_t fp)
{
    make_image(4);
    begin_at(code() + BARE);
    from.reg[FRAME_FP] = (uintptr_t)stack + fp;
    stack[fp / 8 + 1] = after(OUTERMOST);
}

TEST(frame_pointers)
{
    begin_bare(0);
    EXPECT_PLACES(after(OUTERMOST));
    begin_bare(1 << 20);
    EXPECT_PLACES(after(OUTERMOST));
    begin_bare((1 << 20) + 8);
    expect_end();
    begin_bare(0);
    from.reg[FRAME_SP] += 8; /* above it */
    expect_end();
    begin_bare(4); /* not aligned */
    memcpy((char *)stack + 12, &(uintptr_t){after(OUTERMOST)}, 8);
    expect_end();
    begin_bare(0);
    stack[1] = (uintptr_t)stack; /* no code */
    expect_end();
    /* The last thing that a function does may be a call. */
    begin_bare(0);
    stack[1] = code() + PART;
    EXPECT_PLACES(code() + PART);
    /* From one to the next, and other registers are not known then. */
    begin_bare(16);
    stack[2] = (uintptr_t)&stack[8];
    stack[3] = code() + BARE + 8;
    stack[9] = after(BY_R3);
    from.reg[3] = (uintptr_t)&stack[20];
    stack[20] = after(OUTERMOST);
    EXPECT_PLACES(code() + BARE + 8, after(BY_R3));
}

/* ---- signals ---- */

/* The context that a trampoline finds above it; what it goes on with. */
static void put_context(size_t at, uintptr_t pc, uintptr_t sp, uintptr_t r3)
{
    char *context = (char *)&stack[at];
    memcpy(context + frame_signal_slot(FRAME_REGISTERS), &pc, 8);
    memcpy(context + frame_signal_slot(FRAME_SP), &sp, 8);
    memcpy(context + frame_signal_slot(3), &r3, 8);
}

TEST(signals)
{
    begin(PLAIN);
    stack[0] = code() + TRAMPOLINE;
    put_context(
        1, start_of(BY_R3), (uintptr_t)&stack[300], (uintptr_t)&stack[320]);
    stack[320] = after(PUSHED);
    stack[322] = after(OUTERMOST);
    EXPECT_PLACES(
        code() + TRAMPOLINE, start_of(BY_R3), after(PUSHED), after(OUTERMOST));
    /* Down, as from a stack of its own; and by a table. */
    begin(PLAIN);
    from.reg[FRAME_SP] = (uintptr_t)&stack[300];
    stack[300] = after(SIGNAL);
    stack[303] = (uintptr_t)stack;
    stack[304] = start_of(PLAIN);
    stack[0] = after(OUTERMOST);
    EXPECT_PLACES(after(SIGNAL), start_of(PLAIN), after(OUTERMOST));
    /* Interrupted in a leaf, on the spot. */
    stack[304] = start_of(LEAF);
    EXPECT_PLACES(after(SIGNAL), start_of(LEAF));
    stack[304] = 0;
    EXPECT_PLACES(after(SIGNAL));
}

/* As many as are followed, each with a frame in between. */
TEST(signals_in_signals)
{
    enum { SIGNALS = 8 };
    uintptr_t wanted[2 * SIGNALS + 3];
    unsigned n = 0;
    begin(PLAIN);
    wanted[n++] = from.pc;
    for (unsigned i = 0; i <= SIGNALS; i++) {
        stack[i * 16] = after(SIGNAL);
        stack[i * 16 + 3] = (uintptr_t)&stack[i * 16 + 16];
        stack[i * 16 + 4] = start_of(PLAIN);
        wanted[n++] = after(SIGNAL);
        if (i < SIGNALS) {
            wanted[n++] = start_of(PLAIN);
        }
    }
    stack[(SIGNALS + 1) * 16] = after(OUTERMOST);
    expect_places(wanted, n);
}

/* A context that is cut off by the end of what can be read. */
TEST(signals_without_a_context)
{
    begin(PLAIN);
    for (size_t words = 1; words < 16; words++) {
        size_t size = frame_signal_slot(FRAME_REGISTERS) / 8;
        uint8_t *pages = mmap(NULL, 2 * (size_t)PART, PROT_READ | PROT_WRITE,
            MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        REQUIRE(pages != MAP_FAILED);
        REQUIRE(mprotect(pages + PART, PART, PROT_NONE) == 0);
        uintptr_t *sp = (uintptr_t *)(void *)(pages + PART) - size - 1 + words;
        *sp = code() + TRAMPOLINE;
        from.reg[FRAME_SP] = (uintptr_t)sp;
        EXPECT_PLACES(code() + TRAMPOLINE);
        munmap(pages, 2 * (size_t)PART);
    }
}

/* ---- the header ---- */

TEST(header)
{
    prof_module_t module;
    make_image(4);
    uintptr_t start = (uintptr_t)image.at;
    REQUIRE(prof_module_find(code(), &module));
    EXPECT(!module.unknown && !module.permanent && !module.unsorted);
    EXPECT_EQ_U64(module.start, start);
    EXPECT_EQ_U64(module.end, start + 3 * (uintptr_t)PART);
    EXPECT_EQ_U64(module.code_start, code());
    EXPECT_EQ_U64(module.code_end, code() + PART);
    EXPECT_EQ_U64(
        module.tables, start + sizeof(Elf64_Ehdr) + 4 * sizeof(Elf64_Phdr));
    EXPECT_EQ_U64(module.tables_end, start + image.n);
    EXPECT_EQ_U64(module.data_start, start);
    EXPECT_EQ_U64(module.data_end, start + PART);
    prof_module_t again;
    EXPECT(prof_module_find(code() + PART - 1, &again));
    EXPECT_EQ_U64(again.id, module.id);
    EXPECT(prof_module_is_valid(module.id));
    EXPECT(!prof_module_is_valid(module.id + 1));
    EXPECT(!prof_module_is_valid(module.id + 1024)); /* the same place */
    EXPECT(!prof_module_find(start, &again));        /* no code */
    EXPECT(!prof_module_find(code() + PART, &again));
    EXPECT(!prof_module_find(start - 1, &again));
    /* Another file where it was. */
    image.file.header.e_version++;
    map_image();
    EXPECT(!prof_module_is_valid(module.id));
    EXPECT(prof_module_find(code(), &again));
    EXPECT_NE_U64(again.id, module.id);
    EXPECT(prof_module_is_valid(again.id));
}

/* Of which the last segments are missing, or not to be believed. */
TEST(headers_that_say_less)
{
    prof_module_t module;
    make_image(3);
    REQUIRE(prof_module_find(code(), &module));
    EXPECT_EQ_U64(module.end, code() + PART);
    EXPECT(!module.unknown && module.tables != 0);
    /* The code first of all, and no tables. */
    make_image(1);
    REQUIRE(prof_module_find(code(), &module));
    EXPECT(module.unknown); /* it does not lie behind its header */
    EXPECT_EQ_U64(module.code_start, code());
    EXPECT_EQ_U64(module.code_end, code() + PART);
    make_image(0);
    REQUIRE(prof_module_find(code(), &module));
    EXPECT(module.unknown);
    /* As many as there may be: those that are not there are of no kind. */
    make_image(32);
    REQUIRE(prof_module_find(code(), &module));
    EXPECT(module.unknown || module.end == code() + 2 * (uintptr_t)PART);
    make_image(33);
    REQUIRE(prof_module_find(code(), &module));
    EXPECT(module.unknown);
}

int main(void)
{
    return test_run(TEST_CASE(frames_that_follow_each_other),
        TEST_CASE(registers_restored), TEST_CASE(registers_that_are_lost),
        TEST_CASE(other_bases), TEST_CASE(far_away),
        TEST_CASE(steps_that_lead_nowhere), TEST_CASE(frame_pointers),
        TEST_CASE(signals), TEST_CASE(signals_in_signals),
        TEST_CASE(signals_without_a_context), TEST_CASE(header),
        TEST_CASE(headers_that_say_less), NULL);
}

#else

TEST(other_processors)
{
    test_skip("made for x86-64");
}

int main(void)
{
    return test_run(TEST_CASE(other_processors), NULL);
}

#endif
