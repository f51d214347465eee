/*
 * What: what the files of proofs begin with. A proof is a function that must
 * return true for all arguments whatever; prove.py compiles it together with
 * the code that it is about and asks a solver for arguments that refute it.
 *
 * Invariants: (I1) assertions are on, so that a violated precondition refutes
 * too, as does whatever -fsanitize=undefined traps on.
 *
 * Locking: none.
 */
#ifndef JE_TEST_PROOF_H
#define JE_TEST_PROOF_H

#include "config.h"
#undef CONFIG_DEBUG
#define CONFIG_DEBUG 1

#include <stdbool.h>
#include <stdint.h>

/* The parameters are the variables; all their values are meant. */
#define PROOF(name, ...)                                                       \
    bool proof_##name(__VA_ARGS__);                                            \
    bool proof_##name(__VA_ARGS__)

#define IMPLIES(condition, claim) (!(condition) || (claim))

/* Of a power of two: solvers would spend their time on dividers. */
static inline bool is_multiple(uint64_t x, uint64_t unit)
{
    return (x & (unit - 1)) == 0;
}

#endif
