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
#include "os/stack.h"
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

/* Calls that a large program allocates from; pages of it come with use. */
#define CACHE_LG 14

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
    _Atomic uint64_t check; /* see check_of */
    _Atomic uint64_t rule;
    _Atomic uint64_t id; /* of the module */
} cached_t;

static struct {
    cached_t cache[1 << CACHE_LG];
} stack_state;

/* Modules of one stack that may be unloaded, and are asked for once. */
#define VALID_MAX 8

typedef struct {
    frame_t frame;
    uintptr_t low; /* what is known to be readable of the stack */
    uintptr_t high;
    unsigned pages;
    unsigned signals;
    bool exact_pc; /* pc is an instruction to come, not a return address */
    bool use_cache;
    bool lost_registers; /* what was missing are registers of a cached step */
    uintptr_t own_start; /* code of this library, whose frames come first */
    uintptr_t own_bytes;
    unsigned valid_count;
    uint32_t valid_ids[VALID_MAX]; /* modules that were there a moment ago */
} walk_t;

/* ---- the stack ---- */

/* Whether all up to the address can be read, page by page. */
JE_NOINLINE static bool look_up_to(walk_t *walk, uintptr_t addr)
{
    if (addr < walk->low || addr > UINTPTR_MAX - os_page_size()) {
        return false;
    }
    while (addr >= walk->high) {
        if (walk->pages++ == STACK_PAGES_MAX || !os_is_readable(walk->high)) {
            return false;
        }
        walk->high += os_page_size();
    }
    return true;
}

/* Whether no question is needed to read it. */
static inline bool is_known_word(const walk_t *walk, uintptr_t addr)
{
    return addr % sizeof(uintptr_t) == 0 && addr >= walk->low &&
           addr < walk->high;
}

/* A stack is read as it lies there, not as the compiler laid out variables. */
__attribute__((no_sanitize("address"))) static inline bool load_word(
    walk_t *walk, uintptr_t addr, uintptr_t *value)
{
    if (JE_UNLIKELY(!is_known_word(walk, addr)) &&
        (addr % sizeof(uintptr_t) != 0 || !look_up_to(walk, addr))) {
        return false;
    }
    *value = *(const uintptr_t *)addr; /* NOLINT */
    return true;
}

static bool load(void *opaque, uintptr_t addr, uintptr_t *value)
{
    return load_word(opaque, addr, value);
}

/* From here on the stack is this one. */
static void stand_on(walk_t *walk, uintptr_t sp)
{
    uintptr_t end = os_stack_end(sp);
    walk->low = sp;
    walk->high = end != 0 ? end : bits_round_down(sp, os_page_size());
}

/* ---- the cache ---- */

/* 2^64 divided by the golden ratio: spreads what differs a little. */
#define SPREAD UINT64_C(0x9e3779b97f4a7c15)

/* Each address has two cells, so that two on one stack do not fight for one. */
static inline size_t first_cell(uintptr_t at)
{
    return (size_t)(at * SPREAD >> (64 - CACHE_LG));
}

static inline uint64_t check_of(uintptr_t at, uint64_t rule, uint64_t id)
{
    return at ^ rule ^ id * SPREAD;
}

static inline bool cell_get(
    const cached_t *cell, uintptr_t at, uint64_t *rule, uint32_t *id)
{
    uint64_t check = atomic_get_relaxed(&cell->check);
    *rule = atomic_get_relaxed(&cell->rule);
    uint64_t got = atomic_get_relaxed(&cell->id);
    *id = (uint32_t)got;
    return *rule != 0 && check_of(at, *rule, got) == check;
}

static inline bool cache_get(uintptr_t at, uint64_t *rule, uint32_t *id)
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
    atomic_put_relaxed(&cell->check, check_of(at, rule, id));
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

/* What is to be added to the base, and to the CFA. */
static inline uintptr_t cfa_offset(uint64_t rule)
{
    int32_t offset = (int32_t)((uint32_t)(rule >> RULE_CFA_SHIFT) << 8) >> 8;
    return (uintptr_t)(intptr_t)offset;
}

static inline uintptr_t return_place(uint64_t rule)
{
    return (uintptr_t)(intptr_t)(int16_t)(rule >> RULE_RETURN_SHIFT);
}

static inline uintptr_t fp_place(uint64_t rule)
{
    return (uintptr_t)(intptr_t)(int16_t)(rule >> RULE_FP_SHIFT);
}

/* ---- steps: each changes the frame into its caller's ---- */

#define ALL_LOST (~(UINT32_C(1) << FRAME_SP | UINT32_C(1) << FRAME_FP))

/* The last check of every step: upwards, or out of a function without frame. */
static inline bool arrive(
    walk_t *walk, uintptr_t pc, uintptr_t sp, bool left_leaf)
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

static inline bool step_simple(walk_t *walk, uint64_t rule)
{
    frame_t *frame = &walk->frame;
    if ((rule & RULE_OUTERMOST) != 0) {
        return false;
    }
    uintptr_t cfa =
        frame->reg[(rule & RULE_BASE_FP) != 0 ? FRAME_FP : FRAME_SP] +
        cfa_offset(rule);
    uintptr_t pc;
    bool saved = (rule & RULE_RETURN_SAVED) != 0;
    if (saved) {
        if (!load_word(walk, cfa + return_place(rule), &pc)) {
            return false;
        }
    } else {
        /* The link register; only a leaf can have left it there. */
        pc = frame->reg[FRAME_REGISTERS > 30 ? 30 : 0];
    }
    if ((rule & RULE_FP_SAVED) != 0 &&
        !load_word(walk, cfa + fp_place(rule), &frame->reg[FRAME_FP])) {
        return false;
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
static inline uintptr_t lookup_address(const walk_t *walk)
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

/* Asked once a walk. */
static bool is_valid(walk_t *walk, uint32_t id)
{
    for (unsigned i = 0; i < walk->valid_count; i++) {
        if (walk->valid_ids[i] == id) {
            return true;
        }
    }
    if (!prof_module_is_valid(id)) {
        return false;
    }
    if (walk->valid_count < VALID_MAX) {
        walk->valid_ids[walk->valid_count++] = id;
    }
    return true;
}

static inline bool step(walk_t *walk)
{
    uint64_t rule;
    uint32_t id;
    if (JE_UNLIKELY(!walk->use_cache) ||
        JE_UNLIKELY(!cache_get(lookup_address(walk), &rule, &id))) {
        return step_slow(walk);
    }
    if (JE_UNLIKELY((rule & RULE_PERMANENT) == 0) && !is_valid(walk, id)) {
        return step_slow(walk);
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

static void begin(
    walk_t *walk, const frame_t *from, bool drop_own, bool use_cache)
{
    *walk = (walk_t){.frame = *from, .use_cache = use_cache, .exact_pc = true};
    walk->own_bytes = drop_own ? prof_module_own(&walk->own_start) : 0;
    stand_on(walk, from->reg[FRAME_SP]);
}

static inline bool is_own(const walk_t *walk, uintptr_t pc)
{
    return pc - walk->own_start < walk->own_bytes;
}

/*
 * Frames that a remembered, simple rule of code that stays undoes: nearly all.
 * What the walk needs for them is in registers meanwhile. Ends before the
 * first other frame, one of this library among them if `own` says so, of
 * another one if not; and after `max` of them. How many.
 */
__attribute__((no_sanitize("address"))) static inline unsigned glide(
    walk_t *walk, uintptr_t *frames, unsigned max, bool own)
{
    const uint64_t need = RULE_SIMPLE | RULE_PERMANENT | RULE_RETURN_SAVED;
    const uint64_t mask = need | RULE_KIND | RULE_OUTERMOST;
    uintptr_t pc = walk->frame.pc;
    uintptr_t sp = walk->frame.reg[FRAME_SP];
    uintptr_t fp = walk->frame.reg[FRAME_FP];
    uint64_t rules = 0;
    unsigned n = 0;
    if (walk->exact_pc || !walk->use_cache) {
        return 0;
    }
    while (n < max && is_own(walk, pc) == own) {
        uint64_t rule;
        uint32_t id;
        if (!cache_get(pc - 1, &rule, &id) || (rule & mask) != need) {
            break;
        }
        uintptr_t cfa =
            ((rule & RULE_BASE_FP) != 0 ? fp : sp) + cfa_offset(rule);
        uintptr_t pc_at = cfa + return_place(rule);
        uintptr_t fp_at =
            (rule & RULE_FP_SAVED) != 0 ? cfa + fp_place(rule) : pc_at;
        if (cfa <= sp || !is_known_word(walk, pc_at) ||
            !is_known_word(walk, fp_at)) {
            break;
        }
        uintptr_t next = frame_strip(*(const uintptr_t *)pc_at); /* NOLINT */
        if (next == 0) {
            break;
        }
        if (!own) {
            frames[n] = pc;
        }
        n++;
        rules |= rule;
        fp = fp_at != pc_at ? *(const uintptr_t *)fp_at : fp; /* NOLINT */
        pc = next;
        sp = cfa;
    }
    walk->frame.pc = pc;
    walk->frame.reg[FRAME_SP] = sp;
    walk->frame.reg[FRAME_FP] = fp;
    walk->frame.lost |= (rules & RULE_SAVES_OTHERS) != 0 ? ALL_LOST : 0;
    return n;
}

static unsigned follow(walk_t *walk, uintptr_t *frames, unsigned max)
{
    unsigned n = 0;
    unsigned own = 0;
    while (own < OWN_FRAMES_MAX && is_own(walk, walk->frame.pc)) {
        if (!step(walk)) {
            return 0;
        }
        own += 1 + glide(walk, frames, OWN_FRAMES_MAX - own - 1, true);
    }
    while (n < max) {
        n += glide(walk, frames + n, max - n, false);
        if (n == max) {
            break;
        }
        frames[n++] = walk->frame.pc;
        if (n == max || !step(walk)) {
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
    begin(&walk, from, drop_own, use_cache);
    unsigned n = follow(&walk, frames, max);
    if (JE_UNLIKELY(use_cache && walk.lost_registers)) {
        begin(&walk, from, drop_own, false);
        n = follow(&walk, frames, max);
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
    uintptr_t own_start;
    uintptr_t own_bytes = prof_module_own(&own_start);
    /* The own module becomes known on the way. */
    if (n != 0 && frames[0] - own_start < own_bytes) {
        n = walk_from(&frame, frames, max, true, true);
    }
    if (n != 0 && frames[0] - own_start >= own_bytes) {
        frames[0]--;
    }
    return n;
}
