/*
 * What: how the process that commits a misuse tells the one that watches it:
 * a page that both share.
 *
 * Invariants: what a process wrote before it was killed counts.
 *
 * Locking: none; one writes while it lives, the other reads when it is dead.
 */
#ifndef MISUSE_VERDICT_H
#define MISUSE_VERDICT_H

#include <stdbool.h>
#include <stdint.h>

#define VERDICT_EXIT_LACKS  91
#define VERDICT_EXIT_BROKEN 92

typedef struct verdict {
    char harm[96];  /* the first harm that was done; or why broken */
    char lacks[32]; /* the function that the library lacks */
    /* Where the wrong access is made; to be there before it is. */
    volatile uintptr_t wrong_start;
    volatile size_t wrong_bytes;
    bool refused;
    bool faulted;  /* a fault at the wrong access */
    bool finished; /* the case came to its end */
} verdict_t;

extern verdict_t *verdict;

#endif
