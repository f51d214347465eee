/*
 * What: one ELF file and what it knows about its code: segments, symbols,
 * build id, debug information, wherever that lies (in the file, behind its
 * debug link, by build id below /usr/lib/debug, at a debuginfod server).
 *
 * Invariants: (I1) addresses are those of the file, before relocation;
 * (I2) a symbol is believed only inside of its bounds.
 *
 * Locking: none.
 */
#ifndef JEPROF_BINARY_H
#define JEPROF_BINARY_H

#include <elfutils/libdwfl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct binary {
    const char *path;
    Dwfl *dwfl;
    Dwfl_Module *module;
    Elf *elf;
    const char *bytes; /* of the whole file; NULL if not at hand */
    size_t len;
    unsigned machine;
    uint32_t build_id; /* hexadecimal text, or 0 */
    struct binary_symbol *symbols;
    size_t symbols_count, symbols_room;
    bool has_symbols; /* they were read */
    struct debuginfo *debuginfo;
    bool has_debuginfo; /* it was looked for */
} binary_t;

/* NULL if there is no such file or it is no ELF file. */
binary_t *binary_open(const char *path);

/* By build id alone, from the system's store or a server; else NULL. */
binary_t *binary_open_by_id(const char *build_id, const char *name);

void binary_close(binary_t *b);

/* The address of a place in the file; false if no code is loaded from it. */
bool binary_address(const binary_t *b, uint64_t offset, uint64_t *address);

/* Whether code is loaded to that address. */
bool binary_has_code(const binary_t *b, uint64_t address);

/*
 * Whether the instruction before that place in the file is a call, as it is
 * before each return address. True where we cannot tell.
 */
bool binary_is_after_call(const binary_t *b, uint64_t offset);

/* The symbol around the address, NULL if none is; from where to where. */
const char *binary_symbol(
    binary_t *b, uint64_t address, uint64_t *start, uint64_t *end);

#endif
