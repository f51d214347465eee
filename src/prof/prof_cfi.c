/*
 * What: see prof_cfi.h. The formats are those of the Linux Standard Base
 * (.eh_frame, .eh_frame_hdr) and of DWARF 3 (the instructions).
 *
 * Invariants: as there.
 *
 * Locking: as there.
 */
#include "prof/prof_cfi.h"

#include <string.h>

/* ---- reading ---- */

/* Pointer encodings: the low half is the form, the high one the base. */
enum {
    ENC_ABSOLUTE = 0x00,
    ENC_ULEB = 0x01,
    ENC_UDATA2 = 0x02,
    ENC_UDATA4 = 0x03,
    ENC_UDATA8 = 0x04,
    ENC_SLEB = 0x09,
    ENC_SDATA2 = 0x0a,
    ENC_SDATA4 = 0x0b,
    ENC_SDATA8 = 0x0c,
    ENC_FORM = 0x0f,
    ENC_PC_RELATIVE = 0x10,
    ENC_BASE = 0x70,
    ENC_DATA_SDATA4 = 0x3b, /* what all linkers write into .eh_frame_hdr */
};

/* A part of row->bytes, read from front to back. */
typedef struct {
    const uint8_t *bytes;
    size_t at;
    size_t end;
    bool failed;
} reader_t;

static uint64_t read_fixed(reader_t *r, unsigned size)
{
    uint64_t value = 0;
    if (r->end - r->at < size || r->at > r->end) {
        r->failed = true;
        return 0;
    }
    memcpy(&value, r->bytes + r->at, size);
    r->at += size;
    return value;
}

static int64_t read_signed(reader_t *r, unsigned size)
{
    uint64_t value = read_fixed(r, size);
    unsigned shift = 64 - 8 * size;
    return (int64_t)(value << shift) >> shift;
}

static uint64_t read_uleb(reader_t *r)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint8_t byte = (uint8_t)read_fixed(r, 1);
        value |= (uint64_t)(byte & 0x7f) << shift;
        if ((byte & 0x80) == 0) {
            return value;
        }
    }
    r->failed = true;
    return 0;
}

static int64_t read_sleb(reader_t *r)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint8_t byte = (uint8_t)read_fixed(r, 1);
        value |= (uint64_t)(byte & 0x7f) << shift;
        if ((byte & 0x80) == 0) {
            if ((byte & 0x40) != 0 && shift + 7 < 64) {
                value |= ~0ULL << (shift + 7);
            }
            return (int64_t)value;
        }
    }
    r->failed = true;
    return 0;
}

/* A value in one of the forms; `at` is the address of r->bytes[0]. */
static uintptr_t read_encoded(reader_t *r, uint8_t encoding, uintptr_t at)
{
    uintptr_t here = at + r->at;
    uintptr_t value = 0;
    switch (encoding & ENC_FORM) {
    case ENC_ABSOLUTE:
        value = (uintptr_t)read_fixed(r, sizeof(uintptr_t));
        break;
    case ENC_UDATA8:
    case ENC_SDATA8:
        value = (uintptr_t)read_fixed(r, 8);
        break;
    case ENC_ULEB:
        value = (uintptr_t)read_uleb(r);
        break;
    case ENC_UDATA2:
        value = (uintptr_t)read_fixed(r, 2);
        break;
    case ENC_UDATA4:
        value = (uintptr_t)read_fixed(r, 4);
        break;
    case ENC_SLEB:
        value = (uintptr_t)read_sleb(r);
        break;
    case ENC_SDATA2:
        value = (uintptr_t)read_signed(r, 2);
        break;
    case ENC_SDATA4:
        value = (uintptr_t)read_signed(r, 4);
        break;
    default:
        r->failed = true;
    }
    if ((encoding & ENC_BASE) == ENC_PC_RELATIVE) {
        value += here;
    } else if ((encoding & ENC_BASE) != 0) {
        r->failed = true;
    }
    return value;
}

/* ---- finding the entry ---- */

typedef struct {
    int32_t code; /* both relative to .eh_frame_hdr */
    int32_t entry;
} table_row_t;

static bool read_table_row(const prof_module_t *module, uintptr_t table,
    uint64_t index, table_row_t *row)
{
    return prof_module_read(module, row, table + index * sizeof(*row),
               sizeof(*row)) == sizeof(*row);
}

/* Address of the entry (FDE) that should cover `pc`; 0 if there is none. */
static uintptr_t find_entry(const prof_module_t *module, uintptr_t pc)
{
    struct {
        uint8_t version, frame_encoding, count_encoding, table_encoding;
        int32_t frame;
        uint32_t count;
    } head;
    uintptr_t tables = module->tables;
    if (tables == 0 || module->unsorted || tables % 4 != 0 ||
        prof_module_read(module, &head, tables, sizeof(head)) != sizeof(head) ||
        head.version != 1 || head.count_encoding != ENC_UDATA4 ||
        (head.frame_encoding & ENC_FORM) != ENC_SDATA4 ||
        head.table_encoding != ENC_DATA_SDATA4) {
        return 0;
    }
    uintptr_t table = tables + sizeof(head);
    uint64_t room = (module->tables_end - table) / sizeof(table_row_t);
    uint64_t low = 0;
    uint64_t high = head.count < room ? head.count : room;
    table_row_t best = {0, 0};
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        table_row_t row;
        if (!read_table_row(module, table, middle, &row)) {
            return 0;
        }
        if (tables + (uintptr_t)(intptr_t)row.code <= pc) {
            best = row;
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return best.entry == 0 ? 0 : tables + (uintptr_t)(intptr_t)best.entry;
}

/* What the common part (CIE) says. */
typedef struct {
    uint64_t code_align;
    int64_t data_align;
    uint8_t encoding;
    bool augmented;
    reader_t program;
} common_t;

/*
 * Copies an entry to bytes[from..], cut where the room ends; its contents
 * behind the length come back as a reader.
 */
static bool copy_entry(const prof_module_t *module, uintptr_t addr,
    cfi_row_t *row, size_t from, size_t room, reader_t *out)
{
    size_t got = prof_module_read(module, row->bytes + from, addr, room);
    *out = (reader_t){row->bytes, from, from + got, false};
    uint64_t length = read_fixed(out, 4);
    /* Neither the end mark nor the 64-bit form, which nobody writes here. */
    if (out->failed || length == 0 || length >= 0xfffffff0U) {
        return false;
    }
    if (length < out->end - out->at) {
        out->end = out->at + length;
    }
    return true;
}

static bool read_augmentation(
    reader_t *r, const char *letters, common_t *common, cfi_row_t *row)
{
    if (letters[0] == '\0') {
        return true;
    }
    if (letters[0] != 'z') {
        return false;
    }
    common->augmented = true;
    uint64_t bytes = read_uleb(r);
    size_t end = r->at + (bytes < r->end - r->at ? bytes : r->end - r->at);
    for (unsigned i = 1; letters[i] != '\0' && !r->failed; i++) {
        switch (letters[i]) {
        case 'R':
            common->encoding = (uint8_t)read_fixed(r, 1);
            break;
        case 'P': {
            uint8_t encoding = (uint8_t)read_fixed(r, 1) & ENC_FORM;
            (void)read_encoded(r, encoding, 0);
            break;
        }
        case 'L':
            (void)read_fixed(r, 1);
            break;
        case 'S':
            row->signal = true;
            break;
        default:
            break; /* 'B' and its like have no data */
        }
    }
    r->at = end;
    return !r->failed;
}

static bool read_common(const prof_module_t *module, uintptr_t addr,
    cfi_row_t *row, common_t *common)
{
    reader_t r;
    if (!copy_entry(module, addr, row, 0, CFI_CIE_BYTES, &r)) {
        return false;
    }
    uint32_t id = (uint32_t)read_fixed(&r, 4);
    uint8_t version = (uint8_t)read_fixed(&r, 1);
    const char *letters = (const char *)row->bytes + r.at;
    while (read_fixed(&r, 1) != 0) {
    }
    if (r.failed || id != 0 || (version != 1 && version != 3)) {
        return false;
    }
    *common = (common_t){.encoding = ENC_ABSOLUTE};
    common->code_align = read_uleb(&r);
    common->data_align = read_sleb(&r);
    row->return_register =
        (unsigned)(version == 1 ? read_fixed(&r, 1) : read_uleb(&r));
    if (!read_augmentation(&r, letters, common, row)) {
        return false;
    }
    common->program = r;
    return row->return_register < FRAME_REGISTERS;
}

/* ---- tables without an index ---- */

/* Bytes of a table that are copied at a time, and what an entry begins with. */
#define WINDOW_BYTES 512
#define ENTRY_BYTES  32

typedef struct {
    uintptr_t at;
    size_t got;
    uint8_t bytes[WINDOW_BYTES];
} window_t;

/* A reader of the entry at `addr`; what it lacks is behind the table's end. */
static reader_t look(
    const prof_module_t *module, window_t *window, uintptr_t addr)
{
    if (addr - window->at + ENTRY_BYTES > window->got) {
        size_t left = module->tables_end - addr;
        window->at = addr;
        window->got = prof_module_read(module, window->bytes, addr,
            left < WINDOW_BYTES ? left : WINDOW_BYTES);
    }
    return (reader_t){window->bytes, addr - window->at, window->got, false};
}

/* From the first entry to the one that covers `pc`. */
JE_NOINLINE static uintptr_t scan_entries(
    const prof_module_t *module, uintptr_t pc, cfi_row_t *row)
{
    window_t window = {.at = 0, .got = 0};
    common_t common = {.encoding = 0};
    uintptr_t known = 0;
    uintptr_t at = module->tables;
    while (at < module->tables_end) {
        reader_t r = look(module, &window, at);
        uint64_t length = read_fixed(&r, 4);
        uint32_t id = length == 0 ? 0 : (uint32_t)read_fixed(&r, 4);
        if (r.failed || length > module->tables_end - at) {
            return 0;
        }
        uintptr_t above = at + 4 - id;
        if (id != 0 && above != known) {
            known = read_common(module, above, row, &common) ? above : 0;
        }
        if (id != 0 && known != 0) {
            uintptr_t begin = read_encoded(&r, common.encoding, window.at);
            uintptr_t bytes =
                read_encoded(&r, common.encoding & ENC_FORM, window.at);
            if (!r.failed && pc - begin < bytes) {
                return at;
            }
        }
        at += 4 + (uintptr_t)length;
    }
    return 0;
}

/* ---- running the program ---- */

#define REMEMBER_MAX 3

typedef struct {
    cfi_rule_t cfa;
    cfi_rule_t rules[FRAME_REGISTERS];
} rules_t;

typedef struct {
    const common_t *common;
    uintptr_t code;    /* address that the current row begins at */
    uintptr_t encoded; /* address of row->bytes[0], for DW_CFA_set_loc */
    uintptr_t pc;
    rules_t now;
    rules_t initial;
    rules_t remembered[REMEMBER_MAX];
    unsigned depth;
} machine_t;

static void set_rule(
    machine_t *m, uint64_t reg, cfi_kind_t kind, int64_t value, bool *failed)
{
    if (value != (int32_t)value) {
        *failed = true;
    } else if (reg < FRAME_REGISTERS) { /* others are of no use to us */
        m->now.rules[reg] =
            (cfi_rule_t){.value = (int32_t)value, .kind = (uint8_t)kind};
    }
}

static void set_cfa(
    machine_t *m, cfi_kind_t kind, uint64_t reg, int64_t value, bool *failed)
{
    if (reg >= FRAME_REGISTERS || value != (int32_t)value) {
        *failed = true;
        return;
    }
    m->now.cfa = (cfi_rule_t){(int32_t)value, (uint8_t)kind, (uint8_t)reg};
}

/* An expression stays where it is; the rule keeps its place. */
static int64_t skip_expression(reader_t *r)
{
    size_t at = r->at;
    uint64_t length = read_uleb(r);
    if (length > r->end - r->at) {
        r->failed = true;
    } else {
        r->at += length;
    }
    return (int64_t)at;
}

static void remember(machine_t *m, bool *failed)
{
    if (m->depth == REMEMBER_MAX) {
        *failed = true;
        return;
    }
    m->remembered[m->depth++] = m->now;
}

static void restore(machine_t *m, bool *failed)
{
    if (m->depth == 0) {
        *failed = true;
        return;
    }
    m->now = m->remembered[--m->depth];
}

static void advance(machine_t *m, uint64_t delta)
{
    m->code += delta * m->common->code_align;
}

/* Instructions about the place in the code; true if `op` is one. */
static bool run_place(machine_t *m, reader_t *r, uint8_t op)
{
    bool *failed = &r->failed;
    switch (op) {
    case 0x00: /* nop */
    case 0x2d: /* GNU_window_save, on aarch64 negate_ra_state: see strip */
        break;
    case 0x01: /* set_loc */
        m->code = read_encoded(r, m->common->encoding, m->encoded);
        break;
    case 0x02: /* advance_loc1 */
        advance(m, read_fixed(r, 1));
        break;
    case 0x03:
        advance(m, read_fixed(r, 2));
        break;
    case 0x04:
        advance(m, read_fixed(r, 4));
        break;
    case 0x0a:
        remember(m, failed);
        break;
    case 0x0b:
        restore(m, failed);
        break;
    case 0x2e: /* GNU_args_size */
        (void)read_uleb(r);
        break;
    default:
        return false;
    }
    return true;
}

/* Instructions about the frame's address. */
static bool run_cfa(machine_t *m, reader_t *r, uint8_t op)
{
    bool *failed = &r->failed;
    int64_t data = m->common->data_align;
    uint64_t reg;
    switch (op) {
    case 0x0c: /* def_cfa */
        reg = read_uleb(r);
        set_cfa(m, CFI_OFFSET, reg, (int64_t)read_uleb(r), failed);
        break;
    case 0x0d: /* def_cfa_register */
        set_cfa(m, CFI_OFFSET, read_uleb(r), m->now.cfa.value, failed);
        break;
    case 0x0e: /* def_cfa_offset */
        set_cfa(m, CFI_OFFSET, m->now.cfa.reg, (int64_t)read_uleb(r), failed);
        break;
    case 0x0f: /* def_cfa_expression */
        set_cfa(m, CFI_VAL_EXPRESSION, 0, skip_expression(r), failed);
        break;
    case 0x12: /* def_cfa_sf */
        reg = read_uleb(r);
        set_cfa(m, CFI_OFFSET, reg, read_sleb(r) * data, failed);
        break;
    case 0x13: /* def_cfa_offset_sf */
        set_cfa(m, CFI_OFFSET, m->now.cfa.reg, read_sleb(r) * data, failed);
        break;
    default:
        return false;
    }
    return true;
}

/* Instructions about one register. */
static bool run_register(machine_t *m, reader_t *r, uint8_t op)
{
    bool *failed = &r->failed;
    int64_t data = m->common->data_align;
    uint64_t reg;
    switch (op) {
    case 0x05: /* offset_extended */
        reg = read_uleb(r);
        set_rule(m, reg, CFI_OFFSET, (int64_t)read_uleb(r) * data, failed);
        break;
    case 0x06: /* restore_extended */
        reg = read_uleb(r);
        if (reg < FRAME_REGISTERS) {
            m->now.rules[reg] = m->initial.rules[reg];
        }
        break;
    case 0x07: /* undefined */
        set_rule(m, read_uleb(r), CFI_UNDEFINED, 0, failed);
        break;
    case 0x08: /* same_value */
        set_rule(m, read_uleb(r), CFI_SAME, 0, failed);
        break;
    case 0x09: /* register */
        reg = read_uleb(r);
        set_rule(m, reg, CFI_REGISTER, (int64_t)read_uleb(r), failed);
        break;
    case 0x10: /* expression */
        reg = read_uleb(r);
        set_rule(m, reg, CFI_EXPRESSION, skip_expression(r), failed);
        break;
    case 0x11: /* offset_extended_sf */
        reg = read_uleb(r);
        set_rule(m, reg, CFI_OFFSET, read_sleb(r) * data, failed);
        break;
    case 0x14: /* val_offset */
        reg = read_uleb(r);
        set_rule(m, reg, CFI_VAL_OFFSET, (int64_t)read_uleb(r) * data, failed);
        break;
    case 0x15: /* val_offset_sf */
        reg = read_uleb(r);
        set_rule(m, reg, CFI_VAL_OFFSET, read_sleb(r) * data, failed);
        break;
    case 0x16: /* val_expression */
        reg = read_uleb(r);
        set_rule(m, reg, CFI_VAL_EXPRESSION, skip_expression(r), failed);
        break;
    case 0x2f: /* GNU_negative_offset_extended */
        reg = read_uleb(r);
        set_rule(m, reg, CFI_OFFSET, -(int64_t)read_uleb(r) * data, failed);
        break;
    default:
        return false;
    }
    return true;
}

/* Runs until the row of m->pc is complete. False on anything unknown. */
static bool run(machine_t *m, reader_t *r)
{
    while (r->at < r->end && !r->failed) {
        rules_t before = m->now;
        uint8_t op = (uint8_t)read_fixed(r, 1);
        switch (op >> 6) {
        case 1: /* advance_loc */
            advance(m, op & 0x3f);
            break;
        case 2: /* offset */
            set_rule(m, op & 0x3f, CFI_OFFSET,
                (int64_t)read_uleb(r) * m->common->data_align, &r->failed);
            break;
        case 3: /* restore */
            if ((op & 0x3f) < FRAME_REGISTERS) {
                m->now.rules[op & 0x3f] = m->initial.rules[op & 0x3f];
            }
            break;
        default:
            r->failed |= !run_place(m, r, op) && !run_cfa(m, r, op) &&
                         !run_register(m, r, op);
        }
        if (m->code > m->pc) {
            m->now = before;
            return !r->failed;
        }
    }
    return !r->failed;
}

static bool run_programs(const common_t *common, reader_t program,
    uintptr_t begin, uintptr_t encoded, uintptr_t pc, cfi_row_t *row)
{
    machine_t m = {.common = common, .code = 0, .pc = UINTPTR_MAX};
    reader_t shared = common->program;
    if (!run(&m, &shared)) {
        return false;
    }
    m.initial = m.now;
    m.code = begin;
    m.encoded = encoded;
    m.pc = pc;
    if (!run(&m, &program)) {
        return false;
    }
    row->cfa = m.now.cfa;
    memcpy(row->rules, m.now.rules, sizeof(row->rules));
    return true;
}

bool prof_cfi_find(const prof_module_t *module, uintptr_t pc, cfi_row_t *row)
{
    uintptr_t entry = module->unsorted ? scan_entries(module, pc, row)
                                       : find_entry(module, pc);
    reader_t r;
    common_t common;
    row->signal = false;
    if (entry == 0 ||
        !copy_entry(module, entry, row, CFI_CIE_BYTES, CFI_FDE_BYTES, &r)) {
        return false;
    }
    /* Where the entry was before it was copied, less where it is now. */
    uintptr_t encoded = entry - CFI_CIE_BYTES;
    uintptr_t field = encoded + r.at;
    uint32_t distance = (uint32_t)read_fixed(&r, 4);
    if (!read_common(module, field - distance, row, &common)) {
        return false;
    }
    uintptr_t begin = read_encoded(&r, common.encoding, encoded);
    uintptr_t bytes = read_encoded(&r, common.encoding & ENC_FORM, encoded);
    if (r.failed || pc - begin >= bytes) {
        return false;
    }
    if (common.augmented) {
        uint64_t skip = read_uleb(&r);
        if (skip > r.end - r.at) {
            return false;
        }
        r.at += skip;
    }
    return run_programs(&common, r, begin, encoded, pc, row);
}

/* ---- expressions ---- */

#define STACK_MAX 16

typedef struct {
    uintptr_t value[STACK_MAX];
    unsigned depth;
    bool failed;
} operands_t;

static void push(operands_t *s, uintptr_t value)
{
    if (s->depth == STACK_MAX) {
        s->failed = true;
        return;
    }
    s->value[s->depth++] = value;
}

static uintptr_t pop(operands_t *s)
{
    if (s->depth == 0) {
        s->failed = true;
        return 0;
    }
    return s->value[--s->depth];
}

static uintptr_t peek(operands_t *s, unsigned below)
{
    if (below >= s->depth) {
        s->failed = true;
        return 0;
    }
    return s->value[s->depth - 1 - below];
}

static bool is_binary(uint8_t op)
{
    return op == 0x1a || op == 0x1c || op == 0x1e ||
           (op >= 0x21 && op <= 0x2e && op != 0x23 && op != 0x28);
}

/*
 * Two operands in, one result out; false if it is no such operator. A long
 * list, a line for each.
 */
static bool evaluate_binary(operands_t *s, uint8_t op)
{
    if (!is_binary(op)) {
        return false; /* and the operands need not be there */
    }
    uintptr_t b = peek(s, 0);
    uintptr_t a = peek(s, 1);
    uintptr_t result;
    intptr_t sa = (intptr_t)a;
    intptr_t sb = (intptr_t)b;
    switch (op) {
    case 0x1a: /* and */
        result = a & b;
        break;
    case 0x1c: /* minus */
        result = a - b;
        break;
    case 0x1e: /* mul */
        result = a * b;
        break;
    case 0x21: /* or */
        result = a | b;
        break;
    case 0x22: /* plus */
        result = a + b;
        break;
    case 0x24: /* shl */
        result = b < 64 ? a << b : 0;
        break;
    case 0x25: /* shr */
        result = b < 64 ? a >> b : 0;
        break;
    case 0x26: /* shra */
        result = (uintptr_t)(sa >> (b < 64 ? b : 63));
        break;
    case 0x27: /* xor */
        result = a ^ b;
        break;
    case 0x29: /* eq */
        result = a == b;
        break;
    case 0x2a: /* ge */
        result = sa >= sb;
        break;
    case 0x2b: /* gt */
        result = sa > sb;
        break;
    case 0x2c: /* le */
        result = sa <= sb;
        break;
    case 0x2d: /* lt */
        result = sa < sb;
        break;
    case 0x2e: /* ne */
        result = a != b;
        break;
    default:
        return false;
    }
    (void)pop(s);
    (void)pop(s);
    push(s, result);
    return true;
}

/* Constants: true if `op` is one. */
static bool evaluate_constant(operands_t *s, reader_t *r, uint8_t op)
{
    if (op >= 0x30 && op <= 0x4f) { /* lit0..lit31 */
        push(s, op - 0x30U);
    } else if (op >= 0x08 && op <= 0x0f) { /* const1u, const1s, ... const8s */
        unsigned size = 1U << ((op - 0x08) / 2);
        push(s, op % 2 != 0 ? (uintptr_t)read_signed(r, size)
                            : (uintptr_t)read_fixed(r, size));
    } else if (op == 0x10) { /* constu */
        push(s, (uintptr_t)read_uleb(r));
    } else if (op == 0x11) { /* consts */
        push(s, (uintptr_t)read_sleb(r));
    } else {
        return false;
    }
    return true;
}

static void push_register(
    operands_t *s, const frame_t *frame, unsigned reg, int64_t add)
{
    if (reg >= FRAME_REGISTERS || (frame->lost >> reg & 1) != 0) {
        s->failed = true;
        return;
    }
    push(s, frame->reg[reg] + (uintptr_t)add);
}

static void evaluate_one(operands_t *s, reader_t *r, uint8_t op,
    const frame_t *frame, cfi_load_t load, void *opaque)
{
    uintptr_t a;
    uintptr_t value = 0;
    if (evaluate_constant(s, r, op) || evaluate_binary(s, op)) {
        return;
    }
    if (op >= 0x70 && op <= 0x8f) { /* breg0..breg31 */
        push_register(s, frame, op - 0x70U, read_sleb(r));
        return;
    }
    switch (op) {
    case 0x06: /* deref */
        s->failed |= !load(opaque, pop(s), &value);
        push(s, value);
        break;
    case 0x12: /* dup */
        push(s, peek(s, 0));
        break;
    case 0x13: /* drop */
        (void)pop(s);
        break;
    case 0x14: /* over */
        push(s, peek(s, 1));
        break;
    case 0x15: /* pick */
        push(s, peek(s, (unsigned)read_fixed(r, 1)));
        break;
    case 0x16: /* swap */
        value = pop(s);
        a = pop(s);
        push(s, value);
        push(s, a);
        break;
    case 0x1f: /* neg */
        push(s, -pop(s));
        break;
    case 0x20: /* not */
        push(s, ~pop(s));
        break;
    case 0x23: /* plus_uconst */
        push(s, pop(s) + (uintptr_t)read_uleb(r));
        break;
    case 0x92: /* bregx */
        value = (uintptr_t)read_uleb(r);
        push_register(s, frame, (unsigned)value, read_sleb(r));
        break;
    case 0x96: /* nop */
        break;
    default:
        s->failed = true;
    }
}

bool prof_cfi_evaluate(const cfi_row_t *row, int32_t at, const frame_t *frame,
    bool has_first, uintptr_t first, cfi_load_t load, void *opaque,
    uintptr_t *value)
{
    reader_t r = {row->bytes, (size_t)at, sizeof(row->bytes), false};
    operands_t s = {.depth = 0};
    uint64_t length = read_uleb(&r);
    if (length > r.end - r.at) {
        return false;
    }
    r.end = r.at + length;
    if (has_first) {
        push(&s, first);
    }
    while (r.at < r.end && !r.failed && !s.failed) {
        uint8_t op = (uint8_t)read_fixed(&r, 1);
        evaluate_one(&s, &r, op, frame, load, opaque);
    }
    *value = pop(&s);
    return !r.failed && !s.failed;
}
