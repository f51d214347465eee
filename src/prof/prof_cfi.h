/*
 * What: how to get from a frame to its caller's, as the .eh_frame tables of a
 * module say: finds the entry of an address and runs its program up to it.
 *
 * Invariants: (I1) async-signal-safe, no lock, no allocation, about 3 KiB of
 * stack; (I2) no byte of the tables is trusted: whatever they hold, reads
 * stay within the module and the copy, and every loop ends.
 *
 * Locking: none.
 */
#ifndef JE_PROF_PROF_CFI_H
#define JE_PROF_PROF_CFI_H

#include "os/frame.h"
#include "prof/prof_module.h"

typedef enum {
    CFI_SAME,       /* the register keeps its value */
    CFI_UNDEFINED,  /* lost; of the return address: the outermost frame */
    CFI_OFFSET,     /* saved at CFA + value */
    CFI_VAL_OFFSET, /* is CFA + value */
    CFI_REGISTER,   /* is in register `value` */
    CFI_EXPRESSION, /* saved at what the expression says */
    CFI_VAL_EXPRESSION,
} cfi_kind_t;

/* Of expressions `value` is the place of their length in `bytes`. */
typedef struct {
    int32_t value;
    uint8_t kind;
    uint8_t reg; /* of the CFA only */
} cfi_rule_t;

/* Room for the programs of an entry and its common part. */
#define CFI_CIE_BYTES 192
#define CFI_FDE_BYTES 768

typedef struct {
    cfi_rule_t cfa; /* CFI_OFFSET from `reg`, or CFI_VAL_EXPRESSION */
    cfi_rule_t rules[FRAME_REGISTERS];
    unsigned return_register;
    bool signal;
    uint8_t bytes[CFI_CIE_BYTES + CFI_FDE_BYTES];
} cfi_row_t;

/* Finds the row of `pc`; false if the module has none that we understand. */
bool prof_cfi_find(const prof_module_t *module, uintptr_t pc, cfi_row_t *row);

/* Reads a word of the stack for an expression; false if it must not. */
typedef bool (*cfi_load_t)(void *opaque, uintptr_t addr, uintptr_t *value);

/*
 * Evaluates the expression whose length stands at `at` in row->bytes, with
 * `first` on the stack if `has_first`.
 */
bool prof_cfi_evaluate(const cfi_row_t *row, int32_t at, const frame_t *frame,
    bool has_first, uintptr_t first, cfi_load_t load, void *opaque,
    uintptr_t *value);

#endif
