/*
 * What: names of functions as people read them: demangled, shortened, and
 * which of them belong to an allocator.
 *
 * Invariants: (I1) names are numbers of texts.
 *
 * Locking: none.
 */
#ifndef JEPROF_NAMES_H
#define JEPROF_NAMES_H

#include <stdbool.h>
#include <stdint.h>

/* The readable form of a symbol: C++ and Rust demangled, versions cut off. */
uint32_t names_demangle(const char *symbol);

/* Without parameters, template arguments and the type that it returns. */
uint32_t names_short(uint32_t name);

/* Whether the short name is that of a function that allocates. */
bool names_is_allocator(uint32_t short_name);

/*
 * Whether it is that of a function of this allocator that may stand between
 * the call of the program and the record of its stack. In a program that is
 * linked with the allocator these have names like any other.
 */
bool names_is_internal(uint32_t short_name);

/* Whether it is that of the innermost of them, at which such a run starts. */
bool names_is_recorder(uint32_t short_name);

/* Whether the path is that of an allocator as a shared library. */
bool names_is_allocator_library(const char *path);

#endif
