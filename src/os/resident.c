/*
 * What: see resident.h.
 *
 * Invariants: as there.
 *
 * Locking: as there.
 */
#include "os/resident.h"

#include <errno.h>
#include <sys/mman.h>

#include "os/os.h"

/* Pages asked about at a time. */
#define PAGES_AT_ONCE 1024

size_t os_resident_bytes(uintptr_t addr, size_t size)
{
    unsigned char in_memory[PAGES_AT_ONCE];
    int saved = errno;
    size_t pages = 0;
    while (size != 0) {
        size_t step = PAGES_AT_ONCE * os_page_size();
        step = size < step ? size : step;
        size_t count = step / os_page_size();
        if (mincore((void *)addr, step, in_memory) != 0) { /* NOLINT */
            break;
        }
        for (size_t i = 0; i < count; i++) {
            pages += in_memory[i] & 1;
        }
        addr += step;
        size -= step;
    }
    errno = saved;
    return pages * os_page_size();
}
