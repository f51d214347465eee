/*
 * What: twenty places that allocate known amounts, see sites.h.
 *   sites BYTES     about so many at each place
 *
 * Invariants: as there.
 *
 * Locking: none.
 */
#include <unistd.h>

#include "sites.h"

static void *take(size_t n, size_t bytes)
{
    switch (n % 4) {
    case 0:
        return malloc(bytes);
    case 1:
        return calloc(1, bytes);
    case 2:
        return realloc(malloc(1), bytes);
    default:
        return aligned_alloc(8, bytes);
    }
}

#define SITE(number, bytes)                                                    \
    __attribute__((noinline)) void site_##number(void)                         \
    {                                                                          \
        size_t count = sites_count(bytes);                                     \
        for (size_t i = 0; i < count; i++) {                                   \
            kept[i] = take(1##number, bytes);                                  \
        }                                                                      \
        sites_settle(1##number - 100, count, free);                            \
    }

SITES(SITE)

int main(int argc, char **argv)
{
    budget = argc > 1 ? strtoul(argv[1], NULL, 0) : 65536;
#define CALL(number, bytes) site_##number();
    SITES(CALL)
    return 0;
}
