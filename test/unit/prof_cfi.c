/*
 * What: unwind tables made by hand: each instruction, each operator of
 * expressions, each form of an address, with and without an index; tables
 * that end early or ask for what nobody has.
 *
 * Invariants: addresses of code are mere numbers; nothing is run.
 *
 * Locking: none.
 */
#include "prof/prof_cfi.h"

#include <string.h>

#include "harness.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Bytes of a text, and how many. */
#define BYTES(text) text, sizeof(text) - 1

/* ---- expressions ---- */

#define STORED_AT 0x1000
#define STORED    0xabcd

static bool load(void *opaque, uintptr_t addr, uintptr_t *value)
{
    EXPECT_EQ_PTR(opaque, &load);
    *value = STORED;
    return addr == STORED_AT;
}

static cfi_row_t row;
static frame_t frame;

static bool evaluate(
    const char *bytes, size_t size, const uintptr_t *first, uintptr_t *value)
{
    memset(&row, 0, sizeof(row));
    row.bytes[5] = (uint8_t)size;
    memcpy(row.bytes + 6, bytes, size);
    frame.reg[0] = 1000;
    frame.reg[FRAME_REGISTERS - 1] = 2000;
    return prof_cfi_evaluate(&row, 5, &frame, first != NULL,
        first == NULL ? 0 : *first, load, (void *)(uintptr_t)&load, value);
}

static void expect_value(const char *bytes, size_t size, uintptr_t wanted)
{
    uintptr_t value = ~wanted;
    bool done = evaluate(bytes, size, NULL, &value);
    if (!done || value != wanted) {
        test_note("operator %#x, %zu bytes", (uint8_t)bytes[size - 1], size);
    }
    EXPECT(done);
    EXPECT_EQ_U64(value, wanted);
}

static void expect_refused(const char *bytes, size_t size)
{
    uintptr_t value;
    bool done = evaluate(bytes, size, NULL, &value);
    if (done) {
        test_note("operator %#x, %zu bytes", (uint8_t)bytes[size - 1], size);
    }
    EXPECT(!done);
}

static void expect_binary(int8_t a, int8_t b, uint8_t op, intptr_t wanted)
{
    char bytes[] = {0x09, (char)a, 0x09, (char)b, (char)op};
    expect_value(bytes, 5, (uintptr_t)wanted);
    /* Both must be there. */
    expect_refused(bytes + 2, 3);
    expect_refused(bytes + 4, 1);
}

TEST(binary_operators)
{
    static const struct {
        uint8_t op;
        int8_t results[3]; /* of (-7, 3), (5, 5), (3, -7) */
    } cases[] = {{0x1a, {1, 5, 1}}, {0x1c, {-10, 0, 10}},
        {0x1e, {-21, 25, -21}}, {0x21, {-5, 5, -5}}, {0x22, {-4, 10, -4}},
        {0x27, {-6, 0, -6}}, {0x29, {0, 1, 0}}, {0x2a, {0, 1, 1}},
        {0x2b, {0, 0, 1}}, {0x2c, {1, 1, 0}}, {0x2d, {1, 0, 0}},
        {0x2e, {1, 0, 1}}};
    for (unsigned i = 0; i < COUNT(cases); i++) {
        expect_binary(-7, 3, cases[i].op, cases[i].results[0]);
        expect_binary(5, 5, cases[i].op, cases[i].results[1]);
        expect_binary(3, -7, cases[i].op, cases[i].results[2]);
    }
    expect_binary(-7, 3, 0x24, -56);
    expect_binary(-7, 3, 0x25, (intptr_t)((uintptr_t)-7 >> 3));
    expect_binary(-7, 3, 0x26, -1);
    expect_binary(40, 3, 0x26, 5);
    expect_binary(1, 64, 0x24, 0);
    expect_binary(-1, 64, 0x25, 0);
    if (sizeof(void *) == 8) {
        expect_binary(1, 63, 0x24, INTPTR_MIN);
        expect_binary(-1, 63, 0x25, 1);
        expect_binary(-7, 63, 0x26, -1);
        expect_binary(-7, 64, 0x26, -1);
        expect_binary(7, 127, 0x26, 0);
    }
}

/* Operators that no table needs, and what would leave the expression. */
TEST(operators_that_are_none)
{
    static const uint8_t none[] = {0x00, 0x03, 0x07, 0x17, 0x18, 0x19, 0x1b,
        0x1d, 0x28, 0x2f, 0x50, 0x6f, 0x90, 0x91, 0x93, 0x95, 0x97, 0xff};
    for (unsigned i = 0; i < sizeof(none); i++) {
        char bytes[] = {0x31, 0x32, 0x33, (char)none[i]};
        expect_refused(bytes, 4);
    }
}

TEST(constants_and_registers)
{
    for (unsigned i = 0; i < 32; i++) {
        char literal = (char)(0x30 + i);
        expect_value(&literal, 1, i);
    }
    expect_value(BYTES("\x08\xff"), 0xff);
    expect_value(BYTES("\x09\xff"), (uintptr_t)-1);
    expect_value(BYTES("\x0a\xff\xff"), 0xffff);
    expect_value(BYTES("\x0b\xfe\xff"), (uintptr_t)-2);
    expect_value(BYTES("\x0c\x78\x56\x34\x12"), 0x12345678);
    expect_value(BYTES("\x0d\xfd\xff\xff\xff"), (uintptr_t)-3);
    expect_value(BYTES("\x0e\x01\x02\0\0\0\0\0\0"), 0x201);
    expect_value(BYTES("\x0f\xfc\xff\xff\xff\xff\xff\xff\xff"), (uintptr_t)-4);
    expect_refused(BYTES("\x0c\x78\x56\x34"));
    expect_refused(BYTES("\x08"));
    expect_value(BYTES("\x70\x00"), 1000);
    expect_value(BYTES("\x70\x78"), 992);
    expect_value(BYTES("\x92\x00\x08"), 1008);
    char last[] = {(char)0x92, FRAME_REGISTERS - 1, 1};
    expect_value(last, 3, FRAME_REGISTERS == 1 ? 1001 + 1000 : 2001);
    last[1]++;
    expect_refused(last, 3);
    frame.lost = 1;
    expect_refused(BYTES("\x70\x00"));
    frame.lost = 0;
    expect_value(BYTES("\x0a\x00\x10\x06"), STORED);
    expect_refused(BYTES("\x0a\x01\x10\x06"));
}

/* Numbers of up to ten bytes, and not of eleven. */
TEST(numbers_of_many_bytes)
{
    expect_value(BYTES("\x11\x3f"), 63);
    expect_value(BYTES("\x11\x40"), (uintptr_t)-64);
    expect_value(BYTES("\x11\x80\x7f"), (uintptr_t)-128);
    expect_value(BYTES("\x11\xff\x00"), 127);
    expect_value(BYTES("\x10\xe5\x8e\x26"), 624485);
    if (sizeof(void *) == 8) {
        expect_value(BYTES("\x11\x80\x80\x80\x80\x80\x80\x80\x80\x40"),
            (uintptr_t)INT64_MIN / 2 * 3);
        expect_value(BYTES("\x11\x80\x80\x80\x80\x80\x80\x80\x80\x80\x7f"),
            (uintptr_t)INT64_MIN);
        expect_value(
            BYTES("\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), UINTPTR_MAX);
    }
    expect_refused(BYTES("\x11\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00"));
    expect_refused(BYTES("\x10\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00"));
}

TEST(operands)
{
    expect_value(BYTES("\x35\x12\x22"), 10);                /* dup */
    expect_value(BYTES("\x35\x36\x13"), 5);                 /* drop */
    expect_value(BYTES("\x35\x36\x14"), 5);                 /* over */
    expect_value(BYTES("\x35\x36\x37\x15\x02"), 5);         /* pick */
    expect_value(BYTES("\x35\x36\x37\x15\x00"), 7);         /* pick */
    expect_value(BYTES("\x35\x32\x16\x1c"), (uintptr_t)-3); /* swap */
    expect_value(BYTES("\x35\x1f"), (uintptr_t)-5);         /* neg */
    expect_value(BYTES("\x35\x20"), ~(uintptr_t)5);         /* not */
    expect_value(BYTES("\x35\x23\x81\x01"), 134);           /* plus_uconst */
    expect_value(BYTES("\x35\x96"), 5);                     /* nop */
    expect_refused(BYTES("\x12"));
    expect_refused(BYTES("\x13\x35"));
    expect_refused(BYTES("\x35\x14"));
    expect_refused(BYTES("\x35\x36\x37\x15\x03"));
    expect_refused(BYTES("\x35\x15\xff"));
    expect_refused(BYTES("\x35\x16"));
    expect_refused(BYTES("\x1f"));
    expect_refused(BYTES("\x20"));
    expect_refused(BYTES("\x06"));
    expect_refused(BYTES("\x23\x01"));
    expect_refused(BYTES(""));
    expect_value(BYTES("0123456789:;<=>?"), 15);
    expect_refused(BYTES("0123456789:;<=>?@"));
    /* The address of the frame may lie there already. */
    uintptr_t first = 77;
    uintptr_t value = 0;
    EXPECT(evaluate(BYTES(""), &first, &value));
    EXPECT_EQ_U64(value, 77);
    EXPECT(evaluate(BYTES("\x32\x22"), &first, &value));
    EXPECT_EQ_U64(value, 79);
    /* Longer than what it lies in. */
    int32_t at = (int32_t)sizeof(row.bytes) - 3;
    memcpy(row.bytes + at, "\x02\x31\x32", 3);
    EXPECT(prof_cfi_evaluate(
        &row, at, &frame, false, 0, load, (void *)(uintptr_t)&load, &value));
    EXPECT_EQ_U64(value, 2);
    row.bytes[at] = 3;
    EXPECT(!prof_cfi_evaluate(
        &row, at, &frame, false, 0, load, (void *)(uintptr_t)&load, &value));
}

/* ---- tables ---- */

static struct {
    uint8_t bytes[8192] __attribute__((aligned(8)));
    size_t n;
    size_t entry;  /* where the one that is being written begins */
    size_t common; /* and its common part */
} table;

static void put(uint64_t value, size_t size)
{
    REQUIRE(table.n + size <= sizeof(table.bytes));
    memcpy(table.bytes + table.n, &value, size);
    table.n += size;
}

static void put_bytes(const char *bytes, size_t size)
{
    REQUIRE(table.n + size <= sizeof(table.bytes));
    memcpy(table.bytes + table.n, bytes, size);
    table.n += size;
}

static uintptr_t here(void)
{
    return (uintptr_t)table.bytes + table.n;
}

static void begin_entry(void)
{
    table.entry = table.n;
    put(0, 4);
}

static void end_entry(void)
{
    uint32_t length = (uint32_t)(table.n - table.entry - 4);
    memcpy(table.bytes + table.entry, &length, 4);
}

/* The common part: what is aligned by how much, and what rows begin with. */
#define CODE_ALIGN 4
#define DATA_ALIGN "\x78"                 /* -8 */
#define INITIAL    "\x0c\x02\x10\x81\x01" /* CFA = r2 + 16, r1 at CFA - 8 */

static void put_common(uint8_t version, const char *letters,
    const char *augmentation, size_t augmentation_size)
{
    table.common = table.n;
    begin_entry();
    put(0, 4);
    put(version, 1);
    put_bytes(letters, strlen(letters) + 1);
    put_bytes("\x04" DATA_ALIGN, 2);
    put(FRAME_REGISTERS - 1, 1);
    put_bytes(augmentation, augmentation_size);
    put_bytes(INITIAL, sizeof(INITIAL) - 1);
    end_entry();
}

static void begin_code(void)
{
    begin_entry();
    put(table.n - table.common, 4);
}

/* With absolute addresses. */
static void put_code(
    uintptr_t code, size_t size, const char *program, size_t program_size)
{
    begin_code();
    put(code, sizeof(uintptr_t));
    put(size, sizeof(uintptr_t));
    put_bytes(program, program_size);
    end_entry();
}

static prof_module_t module_of_table(bool unsorted)
{
    uintptr_t start = (uintptr_t)table.bytes;
    return (prof_module_t){.start = start,
        .end = start + table.n,
        .tables = start,
        .tables_end = start + table.n,
        .data_start = start,
        .data_end = start + table.n,
        .permanent = true,
        .id = 1,
        .unsorted = unsorted};
}

static bool find(uintptr_t pc)
{
    prof_module_t module = module_of_table(true);
    return prof_cfi_find(&module, pc, &row);
}

static void restart(void)
{
    memset(&table, 0, sizeof(table));
}

static bool has_walker(void)
{
    if (FRAME_REGISTERS < 9) {
        test_skip("no walker for this processor");
    }
    return true;
}

static void expect_rule(cfi_rule_t rule, int32_t value, cfi_kind_t kind)
{
    EXPECT_EQ_U64(rule.kind, kind);
    if (kind == CFI_EXPRESSION || kind == CFI_VAL_EXPRESSION) {
        uintptr_t result = ~(uintptr_t)value;
        EXPECT(prof_cfi_evaluate(&row, rule.value, &frame, false, 0, load,
            (void *)(uintptr_t)&load, &result));
        EXPECT_EQ_U64(result, value);
    } else {
        EXPECT_EQ_I64(rule.value, value);
    }
}

/* What a program makes of the CFA and of r1. */
static const struct {
    const char *bytes;
    size_t size;
    cfi_rule_t cfa;
    cfi_rule_t r1;
} programs[] = {
    {BYTES(""), {16, CFI_OFFSET, 2}, {-8, CFI_OFFSET, 0}},
    {BYTES("\x00\x2d\x2e\x85\x01"), {16, CFI_OFFSET, 2}, {-8, CFI_OFFSET, 0}},
    {BYTES("\x0c\x03\x20"), {32, CFI_OFFSET, 3}, {-8, CFI_OFFSET, 0}},
    {BYTES("\x0d\x03"), {16, CFI_OFFSET, 3}, {-8, CFI_OFFSET, 0}},
    {BYTES("\x0e\x18"), {24, CFI_OFFSET, 2}, {-8, CFI_OFFSET, 0}},
    {BYTES("\x0f\x03\x31\x32\x22"), {3, CFI_VAL_EXPRESSION, 0},
        {-8, CFI_OFFSET, 0}},
    {BYTES("\x12\x03\x7d"), {24, CFI_OFFSET, 3}, {-8, CFI_OFFSET, 0}},
    {BYTES("\x13\x01"), {-8, CFI_OFFSET, 2}, {-8, CFI_OFFSET, 0}},
    {BYTES("\x81\x02"), {16, CFI_OFFSET, 2}, {-16, CFI_OFFSET, 0}},
    {BYTES("\x81\x02\xc1"), {16, CFI_OFFSET, 2}, {-8, CFI_OFFSET, 0}},
    {BYTES("\x05\x01\x03"), {16, CFI_OFFSET, 2}, {-24, CFI_OFFSET, 0}},
    {BYTES("\x81\x02\x06\x01"), {16, CFI_OFFSET, 2}, {-8, CFI_OFFSET, 0}},
    {BYTES("\x07\x01"), {16, CFI_OFFSET, 2}, {0, CFI_UNDEFINED, 0}},
    {BYTES("\x08\x01"), {16, CFI_OFFSET, 2}, {0, CFI_SAME, 0}},
    {BYTES("\x09\x01\x05"), {16, CFI_OFFSET, 2}, {5, CFI_REGISTER, 0}},
    {BYTES("\x10\x01\x01\x34"), {16, CFI_OFFSET, 2}, {4, CFI_EXPRESSION, 0}},
    {BYTES("\x11\x01\x7f"), {16, CFI_OFFSET, 2}, {8, CFI_OFFSET, 0}},
    {BYTES("\x14\x01\x02"), {16, CFI_OFFSET, 2}, {-16, CFI_VAL_OFFSET, 0}},
    {BYTES("\x15\x01\x7f"), {16, CFI_OFFSET, 2}, {8, CFI_VAL_OFFSET, 0}},
    {BYTES("\x16\x01\x01\x35"), {16, CFI_OFFSET, 2},
        {5, CFI_VAL_EXPRESSION, 0}},
    {BYTES("\x2f\x01\x02"), {16, CFI_OFFSET, 2}, {16, CFI_OFFSET, 0}},
    {BYTES("\x0a\x81\x02\x0e\x30\x0b"), {16, CFI_OFFSET, 2},
        {-8, CFI_OFFSET, 0}},
    {BYTES("\x0a\x81\x02\x0a\x81\x03\x0b"), {16, CFI_OFFSET, 2},
        {-16, CFI_OFFSET, 0}},
    {BYTES("\x0a\x0a\x0a\x81\x02"), {16, CFI_OFFSET, 2}, {-16, CFI_OFFSET, 0}},
    /* Registers that are of no use to us are passed over. */
    {BYTES("\x05\x28\x02\x06\x28\xff\xa8\x02"), {16, CFI_OFFSET, 2},
        {-8, CFI_OFFSET, 0}},
};

TEST(instructions)
{
    (void)has_walker();
    for (unsigned i = 0; i < COUNT(programs); i++) {
        restart();
        put_common(1, "", BYTES(""));
        put_code(0x1000, 0x100, programs[i].bytes, programs[i].size);
        bool found = find(0x1000);
        if (!found) {
            test_note("program %u", i);
        }
        EXPECT(found);
        EXPECT_EQ_U64(row.return_register, FRAME_REGISTERS - 1);
        EXPECT(!row.signal);
        expect_rule(row.cfa, programs[i].cfa.value, programs[i].cfa.kind);
        EXPECT_EQ_U64(row.cfa.reg, programs[i].cfa.reg);
        expect_rule(row.rules[1], programs[i].r1.value, programs[i].r1.kind);
        EXPECT_EQ_U64(row.rules[4].kind, CFI_SAME);
    }
}

static const struct {
    const char *bytes;
    size_t size;
} wrong[] = {
    {BYTES("\x0b")},             /* nothing is remembered */
    {BYTES("\x0a\x0a\x0a\x0a")}, /* too much */
    {BYTES("\x0a\x0b\x0b")},
    {BYTES("\x0c\x28\x10")}, /* no such register */
    {BYTES("\x0d\x28")},
    {BYTES("\x0c\x03")}, /* cut */
    {BYTES("\x0f\x03\x31\x32")},
    {BYTES("\x10\x01\x02\x31")},
    {BYTES("\x0e\x80\x80\x80\x80\x08")},     /* 2^31 */
    {BYTES("\x05\x01\x80\x80\x80\x80\x02")}, /* 2^29, times 8 */
    {BYTES("\x1d")},
    {BYTES("\x30")},
    {BYTES("\x3f")},
    {BYTES("\x17")},
    {BYTES("\x02")},
    {BYTES("\x03\x01")},
    {BYTES("\x04\x01\x02\x03")},
};

TEST(instructions_that_are_wrong)
{
    (void)has_walker();
    for (unsigned i = 0; i < COUNT(wrong); i++) {
        restart();
        put_common(1, "", BYTES(""));
        put_code(0x1000, 0x100, wrong[i].bytes, wrong[i].size);
        bool found = find(0x1000);
        if (found) {
            test_note("program %u", i);
        }
        EXPECT(!found);
    }
}

/* A row begins where the code has advanced to. */
TEST(places)
{
    static const struct {
        uintptr_t begin;
        int32_t offset;
    } rows[] = {{0x1000, 24}, {0x1004, 32}, {0x1018, 40}, {0x1418, 48},
        {0x41418, 56}, {0x50000, 64}, {0x50000 + 63 * CODE_ALIGN, 72}};
    (void)has_walker();
    restart();
    put_common(3, "", BYTES(""));
    begin_code();
    put(0x1000, sizeof(uintptr_t));
    put(0x100000, sizeof(uintptr_t));
    put_bytes(BYTES("\x0e\x18\x41\x0e\x20\x02\x05\x0e\x28\x03\x00\x01\x0e\x30"
                    "\x04\x00\x00\x01\x00\x0e\x38\x01"));
    put(0x50000, sizeof(uintptr_t));
    put_bytes(BYTES("\x0e\xc0\x00\x7f\x0e\xc8\x00"));
    end_entry();
    for (unsigned i = 0; i < COUNT(rows); i++) {
        EXPECT(find(rows[i].begin));
        EXPECT_EQ_I64(row.cfa.value, rows[i].offset);
        EXPECT(i == 0 || find(rows[i].begin - 1));
        EXPECT(i == 0 || row.cfa.value == rows[i - 1].offset);
    }
    EXPECT(find(0x1000 + 0x100000 - 1));
    EXPECT(!find(0x1000 + 0x100000));
    EXPECT(!find(0xfff));
}

/* The code at 0x1000..0x10ff in a form of addresses. */
static void put_encoded(uint8_t encoding, uintptr_t code)
{
    static const uint8_t sizes[16] = {
        sizeof(uintptr_t), 0, 2, 4, 8, 0, 0, 0, 0, 0, 2, 4, 8, 0, 0, 0};
    char augmentation[] = {1, (char)encoding};
    restart();
    put_common(1, "zR", augmentation, 2);
    begin_code();
    if ((encoding & 0x70) == 0x10) {
        code -= here();
    }
    if (sizes[encoding & 0xf] == 0) { /* 0x1000, then 0x100 */
        put_bytes(BYTES("\x80\x20\x80\x02"));
    } else {
        put(code, sizes[encoding & 0xf]);
        put(0x100, sizes[encoding & 0xf]);
    }
    put_bytes(BYTES("\x02xy")); /* augmentation data that we do not know */
    put_bytes(BYTES("\x0e\x18"));
    end_entry();
}

static void expect_around(uintptr_t code)
{
    EXPECT(!find(code - 1));
    EXPECT(find(code));
    EXPECT_EQ_I64(row.cfa.value, 24);
    EXPECT(find(code + 0xff));
    EXPECT(!find(code + 0x100));
}

TEST(forms_of_addresses)
{
    static const uint8_t forms[] = {
        0x00, 0x01, 0x02, 0x03, 0x04, 0x09, 0x0a, 0x0b, 0x0c, 0x10, 0x14, 0x1c};
    static const uint8_t none[] = {0x05, 0x08, 0x0d, 0x0f, 0x20, 0x30, 0x50};
    (void)has_walker();
    for (unsigned i = 0; i < COUNT(forms); i++) {
        put_encoded(forms[i], 0x1000);
        expect_around(0x1000);
    }
    put_encoded(0x1b, (uintptr_t)table.bytes + 0x100000);
    expect_around((uintptr_t)table.bytes + 0x100000);
    put_encoded(0x1b, (uintptr_t)table.bytes - 0x100000);
    expect_around((uintptr_t)table.bytes - 0x100000);
    put_encoded(0x0a, (uintptr_t)-0x1000);
    expect_around((uintptr_t)-0x1000);
    put_encoded(0x0b, (uintptr_t)-0x1000);
    expect_around((uintptr_t)-0x1000);
    put_encoded(0x02, 0xf000);
    expect_around(0xf000);
    put_encoded(0x03, 0xf0000000);
    expect_around(0xf0000000);
    for (unsigned i = 0; i < COUNT(none); i++) {
        put_encoded(none[i], 0x1000);
        EXPECT(!find(0x1000));
    }
}

static bool finds_with(uint8_t version, const char *letters,
    const char *augmentation, size_t size, bool augmented)
{
    restart();
    put_common(version, letters, augmentation, size);
    begin_code();
    put(0x1000, sizeof(uintptr_t));
    put(0x100, sizeof(uintptr_t));
    if (augmented) {
        put_bytes(BYTES("\x00"));
    }
    put_bytes(BYTES("\x0e\x18"));
    end_entry();
    return find(0x1010) && row.cfa.value == 24 && row.rules[1].value == -8;
}

TEST(common_parts)
{
    char personality[2 + sizeof(uintptr_t) + 2] = {
        sizeof(personality) - 1, 0, [sizeof(personality) - 2] = 0x1b};
    (void)has_walker();
    EXPECT(finds_with(1, "", BYTES(""), false));
    EXPECT(finds_with(3, "", BYTES(""), false));
    EXPECT(!finds_with(2, "", BYTES(""), false));
    EXPECT(!finds_with(4, "", BYTES(""), false));
    EXPECT(!finds_with(1, "eh", BYTES(""), false));
    EXPECT(finds_with(1, "z", BYTES("\x00"), true));
    EXPECT(finds_with(1, "zR", BYTES("\x01\x00"), true));
    EXPECT(!row.signal);
    EXPECT(finds_with(1, "zRS", BYTES("\x01\x00"), true));
    EXPECT(row.signal);
    EXPECT(finds_with(1, "zRB", BYTES("\x01\x00"), true));
    EXPECT(finds_with(1, "zLR", BYTES("\x02\x1b\x00"), true));
    EXPECT(finds_with(1, "zR", BYTES("\x03\x00xx"), true));
    EXPECT(!finds_with(1, "zR", BYTES("\x7f\x00"), true));
    /* The personality's address lies between. */
    personality[sizeof(personality) - 1] = 0;
    EXPECT(finds_with(1, "zPLR", personality, sizeof(personality), true));
    /* An entry that claims more of its own than there is. */
    restart();
    put_common(1, "zR", BYTES("\x01\x00"));
    begin_code();
    put(0x1000, sizeof(uintptr_t));
    put(0x100, sizeof(uintptr_t));
    put_bytes(BYTES("\x03\x00\x00"));
    end_entry();
    EXPECT(!find(0x1000));
    /* Its return address in a register that nobody has. */
    restart();
    put_common(1, "", BYTES(""));
    table.bytes[4 + 4 + 1 + 1 + 2] = FRAME_REGISTERS;
    put_code(0x1000, 0x100, BYTES(""));
    EXPECT(!find(0x1000));
    /* What it belongs to is no common part. */
    restart();
    put_common(1, "", BYTES(""));
    table.bytes[4] = 1;
    put_code(0x1000, 0x100, BYTES(""));
    EXPECT(!find(0x1000));
}

/* Entries of all lengths, so that they lie across every edge of a window. */
TEST(tables_without_an_index)
{
    char nops[96] = {0};
    (void)has_walker();
    restart();
    for (unsigned i = 0; i < 90; i++) {
        if (i % 30 == 0) {
            put_common(1, "", BYTES(""));
        }
        put_code(0x1000 + i * 0x100, 0x80, nops, i % 7 + i % 5 * 8);
        if (i % 40 == 39) {
            put(0, 4); /* the end of what one object file brought */
        }
    }
    for (unsigned i = 0; i < 90; i++) {
        EXPECT(find(0x1000 + i * 0x100));
        EXPECT(find(0x107f + i * 0x100));
        EXPECT(!find(0x1080 + i * 0x100));
    }
    EXPECT(!find(0xfff));
    /* What is longer than the table ends the search. */
    size_t end = table.n;
    put_code(0x9000, 0x80, nops, 8);
    EXPECT(find(0x9000));
    table.bytes[end] = (uint8_t)(table.bytes[end] + 5);
    EXPECT(!find(0x9000));
    EXPECT(find(0x1000 + 89 * 0x100));
}

/* ---- with an index ---- */

#define INDEXED 20

static void put_index(unsigned rows, uint32_t count)
{
    static uintptr_t entries[INDEXED];
    restart();
    put_bytes(BYTES("\x01\x1b\x03\x3b"));
    put(0, 4);
    put(count, 4);
    size_t at = table.n;
    table.n += rows * 8;
    put_common(1, "", BYTES(""));
    for (unsigned i = 0; i < rows; i++) {
        char program[] = {0x0e, (char)i};
        entries[i] = table.n;
        put_code((uintptr_t)table.bytes + 0x10000 + i * 0x100, 0x80, program,
            sizeof(program));
    }
    for (unsigned i = 0; i < rows; i++) {
        uint32_t pair[] = {0x10000 + i * 0x100, (uint32_t)entries[i]};
        memcpy(table.bytes + at + i * 8, pair, 8);
    }
}

static bool find_indexed(size_t offset)
{
    prof_module_t module = module_of_table(false);
    return prof_cfi_find(&module, (uintptr_t)table.bytes + offset, &row);
}

TEST(tables_with_an_index)
{
    (void)has_walker();
    for (unsigned rows = 1; rows <= INDEXED; rows++) {
        put_index(rows, rows);
        for (unsigned i = 0; i < rows; i++) {
            EXPECT(find_indexed(0x10000 + i * 0x100));
            EXPECT_EQ_I64(row.cfa.value, i);
            EXPECT(find_indexed(0x1007f + i * 0x100));
            EXPECT_EQ_I64(row.cfa.value, i);
            EXPECT(!find_indexed(0x10080 + i * 0x100));
        }
        EXPECT(!find_indexed(0xffff));
        EXPECT(!find_indexed(0));
    }
    put_index(3, 2);
    EXPECT(find_indexed(0x10100));
    EXPECT(!find_indexed(0x10200));
    put_index(3, 0);
    EXPECT(!find_indexed(0x10000));
}

TEST(indices_that_are_none)
{
    (void)has_walker();
    for (unsigned i = 0; i < 4; i++) {
        put_index(3, 3);
        EXPECT(find_indexed(0x10000));
        table.bytes[i] ^= 4; /* version, and the forms of its fields */
        EXPECT(!find_indexed(0x10000));
    }
    /* Of which there is less than it says. */
    put_index(3, 3);
    prof_module_t module = module_of_table(false);
    uintptr_t pc = module.start + 0x10200;
    EXPECT(prof_cfi_find(&module, pc, &row));
    module.data_end = module.start + 12 + 2 * 8 + 4;
    EXPECT(!prof_cfi_find(&module, pc, &row));
    module = module_of_table(false);
    module.tables_end = module.start + 12 + 2 * 8;
    EXPECT(prof_cfi_find(&module, module.start + 0x10100, &row));
    EXPECT(!prof_cfi_find(&module, pc, &row));
    module.tables = 0;
    EXPECT(!prof_cfi_find(&module, pc, &row));
    module.tables = module.start + 2;
    EXPECT(!prof_cfi_find(&module, pc, &row));
}

int main(void)
{
    return test_run(TEST_CASE(binary_operators),
        TEST_CASE(operators_that_are_none), TEST_CASE(constants_and_registers),
        TEST_CASE(numbers_of_many_bytes), TEST_CASE(operands),
        TEST_CASE(instructions), TEST_CASE(instructions_that_are_wrong),
        TEST_CASE(places), TEST_CASE(forms_of_addresses),
        TEST_CASE(common_parts), TEST_CASE(tables_without_an_index),
        TEST_CASE(tables_with_an_index), TEST_CASE(indices_that_are_none),
        NULL);
}
