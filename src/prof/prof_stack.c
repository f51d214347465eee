/*
 * What: see prof_stack.h.
 *
 * Invariants: as there.
 *
 * Locking: as there.
 */
#include "prof/prof_stack.h"

#include "os/os.h"
#include "os/peek.h"
#include "prof/prof_cfi.h"
#include "util/atomic.h"
#include "util/bits.h"
#include "util/hash.h"

/* Own frames that may precede the first one of the program. */
#define OWN_FRAMES_MAX 32

/* Signal handlers interrupted by signal handlers. */
#define SIGNALS_MAX 8

/* Largest frame that is left through its frame pointer. */
#define FRAME_BYTES_MAX ((uintptr_t)1 << 20)

/* Pages of one stack that are looked at. */
#define STACK_PAGES_MAX 4096

#define CACHE_LG 12

/*
 * A rule in a word, for what nearly all frames are:
 *   kind 2 | base is FP 1 | return address saved 1 | FP saved 1 |
 *   outermost 1 | saves others 1 | permanent 1 | CFA offset 24 |
 *   place of the return address 16 | place of FP 16, from the CFA
 */
enum {
    RULE_SIMPLE = 1,
    RULE_SIGNAL = 2, /* the return from a signal handler */
    RULE_NONE = 3,   /* no table */
    RULE_KIND = 3,
    RULE_BASE_FP = 1 << 2,
    RULE_RETURN_SAVED = 1 << 3,
    RULE_FP_SAVED = 1 << 4,
    RULE_OUTERMOST = 1 << 5,
    RULE_SAVES_OTHERS = 1 << 6,
    RULE_PERMANENT = 1 << 7,
};
#define RULE_CFA_SHIFT    8
#define RULE_RETURN_SHIFT 32
#define RULE_FP_SHIFT     48

/* A torn entry does not match its own key. */
typedef struct {
    _Atomic uint64_t check; /* address ^ rule ^ mixed id */
    _Atomic uint64_t rule;
    _Atomic uint64_t id; /* of the module */
} cached_t;

static struct {
    cached_t cache[1 << CACHE_LG];
} stack_state;

typedef struct {
    frame_t frame;
    uintptr_t low; /* what is known to be readable of the stack */
    uintptr_t high;
    unsigned pages;
    unsigned signals;
    bool exact_pc; /* pc is an instruction to come, not a return address */
    bool use_cache;
    bool lost_registers; /* what was missing are registers of a cached step */
    uint32_t valid_id;   /* module that was there a moment ago */
} walk_t;

/* ---- the stack ---- */

/* A stack is read as it lies there, not as the compiler laid out variables. */
__attribute__((no_sanitize("address"))) static bool load(
    void *opaque, uintptr_t addr, uintptr_t *value)
{
    walk_t *walk = opaque;
    if (addr % sizeof(uintptr_t) != 0 || addr < walk->low ||
        addr > UINTPTR_MAX - os_page_size()) {
        return false;
    }
    while (addr >= walk->high) {
        if (walk->pages++ == STACK_PAGES_MAX || !os_is_readable(walk->high)) {
            return false;
        }
        walk->high += os_page_size();
    }
    *value = *(const uintptr_t *)addr; /* NOLINT */
    return true;
}

/* From here on the stack is this one. */
static void stand_on(walk_t *walk, uintptr_t sp)
{
    walk->low = sp;
    walk->high = bits_round_down(sp, os_page_size());
}

/* ---- the cache ---- */

/* Each address has two cells, so that two on one stack do not fight for one. */
static size_t first_cell(uintptr_t at)
{
    return hash_mix(at) >> (64 - CACHE_LG);
}

static bool cell_get(
    const cached_t *cell, uintptr_t at, uint64_t *rule, uint32_t *id)
{
    uint64_t check = atomic_get_relaxed(&cell->check);
    *rule = atomic_get_relaxed(&cell->rule);
    uint64_t got = atomic_get_relaxed(&cell->id);
    *id = (uint32_t)got;
    return *rule != 0 && (check ^ *rule ^ hash_mix(got)) == at;
}

static bool cache_get(uintptr_t at, uint64_t *rule, uint32_t *id)
{
    size_t first = first_cell(at);
    return cell_get(&stack_state.cache[first], at, rule, id) ||
           cell_get(&stack_state.cache[first ^ 1], at, rule, id);
}

/* What the first cell held moves to the second. */
static void cache_put(uintptr_t at, uint64_t rule, uint32_t id)
{
    size_t first = first_cell(at);
    cached_t *cell = &stack_state.cache[first];
    cached_t *other = &stack_state.cache[first ^ 1];
    atomic_put_relaxed(&other->check, atomic_get_relaxed(&cell->check));
    atomic_put_relaxed(&other->rule, atomic_get_relaxed(&cell->rule));
    atomic_put_relaxed(&other->id, atomic_get_relaxed(&cell->id));
    atomic_put_relaxed(&cell->check, at ^ rule ^ hash_mix(id));
    atomic_put_relaxed(&cell->rule, rule);
    atomic_put_relaxed(&cell->id, (uint64_t)id);
}

/* ---- rules ---- */

static bool fits(int32_t value, unsigned width)
{
    return value >= -(1 << (width - 1)) && value < 1 << (width - 1);
}

/* 0 if the row is too special for a word. */
static uint64_t pack(const cfi_row_t *row)
{
    const cfi_rule_t *ret = &row->rules[row->return_register];
    const cfi_rule_t *fp = &row->rules[FRAME_FP];
    if (ret->kind == CFI_UNDEFINED) {
        return RULE_SIMPLE | RULE_OUTERMOST;
    }
    uint64_t rule = RULE_SIMPLE;
    if (row->cfa.kind != CFI_OFFSET || !fits(row->cfa.value, 24) ||
        (row->cfa.reg != FRAME_SP && row->cfa.reg != FRAME_FP) ||
        row->rules[FRAME_SP].kind != CFI_SAME || row->signal) {
        return 0;
    }
    rule |= row->cfa.reg == FRAME_FP ? RULE_BASE_FP : 0;
    rule |= (uint64_t)(row->cfa.value & 0xffffff) << RULE_CFA_SHIFT;
    if (ret->kind == CFI_OFFSET && fits(ret->value, 16)) {
        rule |= RULE_RETURN_SAVED | (uint64_t)(uint16_t)ret->value
                                        << RULE_RETURN_SHIFT;
    } else if (ret->kind != CFI_SAME || row->return_register != 30) {
        return 0; /* only aarch64 keeps it in a register */
    }
    if (fp->kind == CFI_OFFSET && fits(fp->value, 16)) {
        rule |= RULE_FP_SAVED | (uint64_t)(uint16_t)fp->value << RULE_FP_SHIFT;
    } else if (fp->kind != CFI_SAME) {
        return 0;
    }
    for (unsigned i = 0; i < FRAME_REGISTERS; i++) {
        if (i != FRAME_FP && i != row->return_register &&
            row->rules[i].kind != CFI_SAME) {
            rule |= RULE_SAVES_OTHERS;
        }
    }
    return rule;
}

/* ---- steps: each changes the frame into its caller's ---- */

#define ALL_LOST (~(UINT32_C(1) << FRAME_SP | UINT32_C(1) << FRAME_FP))

/* The last check of every step: upwards, or out of a function without frame. */
static bool arrive(walk_t *walk, uintptr_t pc, uintptr_t sp, bool left_leaf)
{
    frame_t *frame = &walk->frame;
    uintptr_t old_sp = frame->reg[FRAME_SP];
    pc = frame_strip(pc);
    if (pc == 0 || sp < old_sp ||
        (sp == old_sp && (!left_leaf || pc == frame->pc))) {
        return false;
    }
    frame->pc = pc;
    frame->reg[FRAME_SP] = sp;
    walk->exact_pc = false;
    return true;
}

static bool step_simple(walk_t *walk, uint64_t rule)
{
    frame_t *frame = &walk->frame;
    if ((rule & RULE_OUTERMOST) != 0) {
        return false;
    }
    int32_t offset = (int32_t)((uint32_t)(rule >> RULE_CFA_SHIFT) << 8) >> 8;
    uintptr_t cfa =
        frame->reg[(rule & RULE_BASE_FP) != 0 ? FRAME_FP : FRAME_SP] +
        (uintptr_t)(intptr_t)offset;
    uintptr_t pc;
    bool saved = (rule & RULE_RETURN_SAVED) != 0;
    if (saved) {
        int16_t at = (int16_t)(rule >> RULE_RETURN_SHIFT);
        if (!load(walk, cfa + (uintptr_t)(intptr_t)at, &pc)) {
            return false;
        }
    } else {
        /* The link register; only a leaf can have left it there. */
        pc = frame->reg[FRAME_REGISTERS > 30 ? 30 : 0];
    }
    if ((rule & RULE_FP_SAVED) != 0) {
        int16_t at = (int16_t)(rule >> RULE_FP_SHIFT);
        if (!load(walk, cfa + (uintptr_t)(intptr_t)at, &frame->reg[FRAME_FP])) {
            return false;
        }
    }
    if ((rule & RULE_SAVES_OTHERS) != 0) {
        frame->lost |= ALL_LOST;
    }
    return arrive(walk, pc, cfa, !saved && walk->exact_pc);
}

/* What a signal interrupted: perhaps on another stack, at any instruction. */
static bool interrupt(walk_t *walk, uintptr_t pc, uintptr_t sp)
{
    walk->frame.pc = frame_strip(pc);
    walk->frame.reg[FRAME_SP] = sp;
    walk->exact_pc = true;
    stand_on(walk, sp);
    return walk->signals++ < SIGNALS_MAX && walk->frame.pc != 0;
}

static bool step_signal(walk_t *walk)
{
    frame_t *frame = &walk->frame;
    uintptr_t context = frame->reg[FRAME_SP];
    uintptr_t pc;
    frame_t next = {.lost = 0};
    if (!load(walk, context + frame_signal_slot(FRAME_REGISTERS), &pc)) {
        return false;
    }
    for (unsigned i = 0; i < FRAME_REGISTERS; i++) {
        if (!load(walk, context + frame_signal_slot(i), &next.reg[i])) {
            return false;
        }
    }
    *frame = next;
    return interrupt(walk, pc, next.reg[FRAME_SP]);
}

/* Without tables: by the frame pointer, if it looks like one. */
static bool step_by_fp(walk_t *walk)
{
    frame_t *frame = &walk->frame;
    uintptr_t fp = frame->reg[FRAME_FP];
    uintptr_t caller_fp;
    uintptr_t pc;
    prof_module_t module;
    if (fp < frame->reg[FRAME_SP] ||
        fp - frame->reg[FRAME_SP] > FRAME_BYTES_MAX ||
        !load(walk, fp, &caller_fp) ||
        !load(walk, fp + sizeof(uintptr_t), &pc) ||
        !prof_module_find(frame_strip(pc) - 1, &module)) {
        return false;
    }
    frame->reg[FRAME_FP] = caller_fp;
    frame->lost |= ALL_LOST;
    return arrive(walk, pc, fp + 2 * sizeof(uintptr_t), false);
}

static bool is_lost(const frame_t *frame, unsigned reg)
{
    return (frame->lost >> reg & 1) != 0;
}

/* The value of a register in the caller. */
static bool recover(walk_t *walk, const cfi_row_t *row, unsigned reg,
    uintptr_t cfa, uintptr_t *value, bool *lost)
{
    const cfi_rule_t *rule = &row->rules[reg];
    const frame_t *frame = &walk->frame;
    uintptr_t at = cfa + (uintptr_t)(intptr_t)rule->value;
    *lost = false;
    switch (rule->kind) {
    case CFI_OFFSET:
        return load(walk, at, value);
    case CFI_VAL_OFFSET:
        *value = at;
        return true;
    case CFI_REGISTER:
        if (rule->value < 0 || rule->value >= FRAME_REGISTERS) {
            return false;
        }
        reg = (unsigned)rule->value;
        break;
    case CFI_EXPRESSION:
    case CFI_VAL_EXPRESSION:
        if (!prof_cfi_evaluate(
                row, rule->value, frame, true, cfa, load, walk, value)) {
            return false;
        }
        return rule->kind == CFI_VAL_EXPRESSION || load(walk, *value, value);
    case CFI_UNDEFINED:
        *lost = true;
        return true;
    default:
        break;
    }
    *value = frame->reg[reg];
    *lost = is_lost(frame, reg);
    return true;
}

/* Any row at all, register by register. */
JE_NOINLINE static bool step_by_row(walk_t *walk, const cfi_row_t *row)
{
    frame_t *frame = &walk->frame;
    frame_t next = {.lost = 0};
    uintptr_t cfa = 0;
    bool expression = row->cfa.kind == CFI_VAL_EXPRESSION;
    /* The interpreter fails on lost registers without saying so. */
    walk->lost_registers = frame->lost != 0;
    if (row->rules[row->return_register].kind == CFI_UNDEFINED) {
        walk->lost_registers = false;
        return false;
    }
    if (expression ? !prof_cfi_evaluate(
                         row, row->cfa.value, frame, false, 0, load, walk, &cfa)
                   : is_lost(frame, row->cfa.reg)) {
        return false;
    }
    if (!expression) {
        cfa = frame->reg[row->cfa.reg] + (uintptr_t)(intptr_t)row->cfa.value;
    }
    bool lost;
    for (unsigned i = 0; i < FRAME_REGISTERS; i++) {
        if (!recover(walk, row, i, cfa, &next.reg[i], &lost)) {
            return false;
        }
        next.lost |= (uint32_t)lost << i;
    }
    if (row->rules[FRAME_SP].kind == CFI_SAME) {
        next.reg[FRAME_SP] = cfa;
        next.lost &= ~(UINT32_C(1) << FRAME_SP);
    }
    walk->lost_registers = false;
    uintptr_t pc = next.reg[row->return_register];
    bool in_register = row->rules[row->return_register].kind == CFI_SAME;
    next.pc = frame->pc;
    uintptr_t sp = next.reg[FRAME_SP];
    next.reg[FRAME_SP] = frame->reg[FRAME_SP];
    bool leaf = in_register && walk->exact_pc;
    *frame = next;
    return row->signal ? interrupt(walk, pc, sp) : arrive(walk, pc, sp, leaf);
}

/* The address whose rule applies: within the call, if there was one. */
static uintptr_t lookup_address(const walk_t *walk)
{
    return walk->frame.pc - !walk->exact_pc;
}

/*
 * The row of an address. *sure is false if there was no time to look for it:
 * tables that are not sorted are read from front to back.
 */
static bool find_row(
    const prof_module_t *module, uintptr_t at, cfi_row_t *row, bool *sure)
{
    *sure = true;
    if (!module->unsorted) {
        return !module->unknown && prof_cfi_find(module, at, row);
    }
    *sure = prof_module_may_search();
    if (!*sure) {
        return false;
    }
    uint64_t start = os_clock_thread_ns();
    bool found = prof_cfi_find(module, at, row);
    prof_module_spend(os_clock_thread_ns() - start);
    return found;
}

/* An address seen for the first time. */
JE_NOINLINE static bool step_slow(walk_t *walk)
{
    uintptr_t at = lookup_address(walk);
    prof_module_t module;
    /* A trampoline may be the first thing on its page: nothing calls it. */
    if (!prof_module_find(at, &module) &&
        (walk->exact_pc || !prof_module_find(walk->frame.pc, &module))) {
        return step_by_fp(walk);
    }
    uint64_t permanent = module.permanent ? RULE_PERMANENT : 0;
    uint8_t code[FRAME_TRAMPOLINE_BYTES];
    if (!walk->exact_pc &&
        prof_module_read(&module, code, walk->frame.pc, sizeof(code)) ==
            sizeof(code) &&
        frame_is_trampoline(code)) {
        cache_put(at, RULE_SIGNAL | permanent, module.id);
        return step_signal(walk);
    }
    cfi_row_t row;
    bool sure;
    if (!find_row(&module, at, &row, &sure)) {
        if (module.id != 0 && sure) {
            cache_put(at, RULE_NONE | permanent, module.id);
        }
        return step_by_fp(walk);
    }
    uint64_t rule = pack(&row);
    if (rule != 0 && module.id != 0) {
        cache_put(at, rule | permanent, module.id);
    }
    return step_by_row(walk, &row);
}

static bool step(walk_t *walk)
{
    uint64_t rule;
    uint32_t id;
    if (!walk->use_cache || !cache_get(lookup_address(walk), &rule, &id)) {
        return step_slow(walk);
    }
    if ((rule & RULE_PERMANENT) == 0 && id != walk->valid_id) {
        if (!prof_module_is_valid(id)) {
            return step_slow(walk);
        }
        walk->valid_id = id;
    }
    switch (rule & RULE_KIND) {
    case RULE_SIMPLE:
        return step_simple(walk, rule);
    case RULE_SIGNAL:
        return step_signal(walk);
    default:
        return step_by_fp(walk);
    }
}

/* ---- walks ---- */

static void begin(walk_t *walk, const frame_t *from, bool use_cache)
{
    *walk = (walk_t){.frame = *from, .use_cache = use_cache, .exact_pc = true};
    stand_on(walk, from->reg[FRAME_SP]);
}

static unsigned follow(
    walk_t *walk, uintptr_t *frames, unsigned max, bool drop_own)
{
    unsigned n = 0;
    unsigned own = 0;
    while (n < max) {
        if (drop_own && prof_module_is_own(walk->frame.pc) &&
            own < OWN_FRAMES_MAX) {
            own++;
        } else {
            drop_own = false;
            frames[n++] = walk->frame.pc;
        }
        if (n < max && !step(walk)) {
            break;
        }
    }
    return n;
}

/*
 * A cached step recovers the stack and frame pointers only. A frame further
 * up that needs another register makes the walk start again without cache.
 */
static unsigned walk_from(const frame_t *from, uintptr_t *frames, unsigned max,
    bool drop_own, bool use_cache)
{
    walk_t walk;
    begin(&walk, from, use_cache);
    unsigned n = follow(&walk, frames, max, drop_own);
    if (use_cache && walk.lost_registers) {
        begin(&walk, from, false);
        n = follow(&walk, frames, max, drop_own);
    }
    return n;
}

unsigned prof_stack_walk(
    const frame_t *from, uintptr_t *frames, unsigned max, bool use_cache)
{
    return FRAME_REGISTERS == 1
               ? 0
               : walk_from(from, frames, max, false, use_cache);
}

JE_NOINLINE unsigned prof_stack_capture(uintptr_t *frames, unsigned max)
{
    if (FRAME_REGISTERS == 1) {
        return 0;
    }
    frame_t frame;
    frame_here(&frame);
    unsigned n = walk_from(&frame, frames, max, true, true);
    /* The own module becomes known on the way. */
    if (n != 0 && prof_module_is_own(frames[0])) {
        n = walk_from(&frame, frames, max, true, true);
    }
    if (n != 0 && !prof_module_is_own(frames[0])) {
        frames[0]--;
    }
    return n;
}
