/*
 * What: the twenty places that allocate in sites.c and sites.cc, and what is
 * common to these: blocks are kept, some are freed again, and what each place
 * has left is printed, so that a profile can be compared with it.
 *
 * Invariants: (I1) nothing but the places allocates while they run; (I2) of
 * place number n a part of 1 / (n % 4 + 1) is kept, but never nothing.
 *
 * Locking: none.
 */
#ifndef JE_TEST_JEPROF_SITES_H
#define JE_TEST_JEPROF_SITES_H

#include <malloc.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

/* X(number, bytes) */
#define SITES(X)                                                               \
    X(00, 8)                                                                   \
    X(01, 16)                                                                  \
    X(02, 24)                                                                  \
    X(03, 48)                                                                  \
    X(04, 64)                                                                  \
    X(05, 112)                                                                 \
    X(06, 200)                                                                 \
    X(07, 320)                                                                 \
    X(08, 512)                                                                 \
    X(09, 1000)                                                                \
    X(10, 2048)                                                                \
    X(11, 4000)                                                                \
    X(12, 8192)                                                                \
    X(13, 14336)                                                               \
    X(14, 40000)                                                               \
    X(15, 131072)                                                              \
    X(16, 300000)                                                              \
    X(17, 1048576)                                                             \
    X(18, 8388608)                                                             \
    X(19, 67108864)

#define KEPT_MAX (1 << 20)

static void *kept[KEPT_MAX];
static size_t budget; /* bytes that a place allocates in all, about */

static inline size_t sites_count(size_t bytes)
{
    size_t n = budget / bytes;
    return n < 1 ? 1 : n < KEPT_MAX ? n : KEPT_MAX;
}

/* Frees what place `n` gives back, and tells what it has left. */
static inline void sites_settle(
    unsigned n, size_t count, void (*release)(void *))
{
    size_t blocks = 0;
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++) {
        if (i % (n % 4 + 1) == 0) {
            blocks++;
            bytes += malloc_usable_size(kept[i]);
        } else {
            release(kept[i]);
        }
    }
    /* No stream: its buffer would be one more allocation. */
    char line[80];
    int len =
        snprintf(line, sizeof(line), "site_%02u %zu %zu\n", n, blocks, bytes);
    if (write(1, line, (size_t)len) != len) {
        abort();
    }
}

#endif
