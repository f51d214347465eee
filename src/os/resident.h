/*
 * What: which pages of this process are in memory: of a range, and of each
 * mapping, as the kernel tells.
 *
 * Invariants: (I1) allocates nothing, keeps errno.
 *
 * Locking: none; what others map, touch and unmap meanwhile may be seen or
 * not.
 */
#ifndef JE_OS_RESIDENT_H
#define JE_OS_RESIDENT_H

#include "util/common.h"

/*
 * Bytes of a range of whole system pages that are in memory, or that were
 * only read so far. 0 where the system does not tell.
 */
size_t os_resident_bytes(uintptr_t addr, size_t size);

/* A mapping, and how much of it is in memory. */
typedef struct {
    uintptr_t start;
    uintptr_t end;
    size_t resident_bytes;
    size_t huge_bytes; /* of these, in huge pages */
    bool has_file;     /* a path stands behind it */
} os_resident_t;

/*
 * Calls `visit` for the mappings of this process, lowest first. False if the
 * system does not tell.
 */
JE_MUST_USE bool os_visit_resident(
    void (*visit)(const os_resident_t *mapping, void *opaque), void *opaque);

/* What is known of a page. */
enum {
    OS_PAGE_ABSENT,
    OS_PAGE_SHARED, /* there, and perhaps a common page of zeroes */
    OS_PAGE_OWN,    /* there, and nobody else's */
};

/* Descriptor for os_pages_read, or -1; ends with os_pages_close. */
int os_pages_open(void);
void os_pages_close(int fd);

/*
 * States of `count` system pages from `addr` on. False if the system does
 * not tell.
 */
#define OS_PAGES_AT_ONCE 512
JE_MUST_USE bool os_pages_read(
    int fd, uintptr_t addr, size_t count, uint8_t *states);

/* Bytes of the process that are in memory, as people read it; 0: unknown. */
size_t os_resident_set(void);

#endif
