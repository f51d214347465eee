/*
 * What: looking at memory that may not be there: other people's tables, code
 * and stacks, while they may be unmapped.
 *
 * Invariants: (I1) never faults, whatever the address; (I2) async-signal-safe:
 * no lock, no allocation, errno kept.
 *
 * Locking: none.
 */
#ifndef JE_OS_PEEK_H
#define JE_OS_PEEK_H

#include "util/common.h"

/* Copies what is readable of [from, from+size); the bytes that it got. */
size_t os_peek(void *to, uintptr_t from, size_t size);

/* Whether the aligned 8 bytes at `addr` could be read a moment ago. */
bool os_is_readable(uintptr_t addr);

/*
 * Calls `visit` for the mappings of this process, lowest first, until it says
 * false: bounds, whether executable, the offset in the file behind it and, if
 * there is room for it, the name of that file. False if the system does not
 * tell.
 */
typedef struct {
    uintptr_t start;
    uintptr_t end;
    uint64_t offset;
    bool readable;
    bool executable;
    bool file; /* behind it; else memory alone */
    const char *name;
} os_mapping_t;

bool os_visit_mappings(bool (*visit)(const os_mapping_t *mapping, void *opaque),
    void *opaque, char *name, size_t name_size);

/* Addresses that stay mapped as long as the process lives; 0 if unknown. */
typedef struct {
    uintptr_t program; /* program headers of the executable */
    uintptr_t vdso;
    uintptr_t loader;
    uintptr_t libc; /* somewhere in the C library */
} os_fixtures_t;

os_fixtures_t os_fixtures(void);

#endif
