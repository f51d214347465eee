/*
 * What: the kinds of misuse that only a C++ program can commit.
 *
 * Invariants: none.
 *
 * Locking: none.
 */
#include "scene.h"

extern const misuse_kind_t misuse_cxx_operators, misuse_valid_cxx;

const misuse_kind_t *const misuse_kinds[] = {
    &misuse_cxx_operators,
    &misuse_valid_cxx,
    NULL,
};
