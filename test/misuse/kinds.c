/*
 * What: the kinds of misuse that a C program can commit.
 *
 * Invariants: none.
 *
 * Locking: none.
 */
#include "scene.h"

extern const misuse_kind_t misuse_overflow, misuse_underflow, misuse_reads,
    misuse_writes_after_free, misuse_reads_after_free, misuse_double_free,
    misuse_invalid_free, misuse_bad_pointer, misuse_size_mismatch,
    misuse_uninitialised, misuse_impossible, misuse_zero_size, misuse_valid;

const misuse_kind_t *const misuse_kinds[] = {
    &misuse_overflow,
    &misuse_underflow,
    &misuse_reads,
    &misuse_writes_after_free,
    &misuse_reads_after_free,
    &misuse_double_free,
    &misuse_invalid_free,
    &misuse_bad_pointer,
    &misuse_size_mismatch,
    &misuse_uninitialised,
    &misuse_impossible,
    &misuse_zero_size,
    &misuse_valid,
    NULL,
};
