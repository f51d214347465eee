/*
 * What: see valgrind.h.
 *
 * Invariants: as there.
 *
 * Locking: as there.
 */
#include "os/valgrind.h"

#if CONFIG_VALGRIND
#    include <unistd.h>

#    include "os/reentry.h"

/*
 * A static program keeps the first thread's thread-locals at the program
 * break. The kernel cleared them, which memcheck does not know of the break.
 */
#    define STATIC_TLS_MAX ((size_t)1 << 20)

valgrind_mode_t valgrind_mode = VALGRIND_OFF;

static void define_static_tls(void)
{
    uintptr_t first = (uintptr_t)&reentry_depth & ~(uintptr_t)4095;
    uintptr_t end = (uintptr_t)sbrk(0);
    if (end > first && end - first <= STATIC_TLS_MAX) {
        (void)VALGRIND_MAKE_MEM_DEFINED_IF_ADDRESSABLE(first, end - first);
    }
}

void valgrind_boot(void)
{
    /* Only memcheck knows the request, and answers with something else. */
    if (RUNNING_ON_VALGRIND == 0 ||
        VALGRIND_MAKE_MEM_DEFINED(&valgrind_mode, sizeof(valgrind_mode)) == 0) {
        return;
    }
    define_static_tls();
    valgrind_mode = VALGRIND_OURS;
}

void valgrind_set_intercepted(void)
{
    valgrind_mode = VALGRIND_INTERCEPTED;
}
#endif
