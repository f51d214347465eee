/*
 * What: the system calls of a library that is linked into this program, each
 * of which can be made to fail; and books of the address space it has.
 *
 * The linker sends the calls here (--wrap, see WRAPPED_CALLS in
 * test/integration/local.mk), so the library itself needs no hook and is tested
 * as it is. Calls that libc makes for itself are not ours, and pass.
 *
 * The environment variable REFUSE=HOW:N (one:3, from:1, some:20) has calls
 * refused from the start of the program on.
 *
 * Invariants: (I1) a refused call changes nothing and sets errno as the
 * kernel would; (I2) every mapping call of the library is booked.
 *
 * Locking: none; counters are atomic.
 */
#ifndef JE_TEST_REFUSE_H
#define JE_TEST_REFUSE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum {
    REFUSE_NONE,
    REFUSE_ONE,  /* the n-th call from now on */
    REFUSE_FROM, /* the n-th and all that follow */
    REFUSE_SOME, /* one in n, by chance */
} refuse_how_t;

/* Begins to count, and to refuse. */
void refuse_begin(refuse_how_t how, uint64_t n);

/*
 * Where the chances of the calling thread begin; else they differ from run to
 * run.
 */
void refuse_seed(uint64_t seed);

/* Ends it; the calls made since it began. */
uint64_t refuse_end(void);

/* Bytes that the library has mapped, and got from the break, by its calls. */
size_t refuse_mapped_bytes(void);

/* Bytes that it wanted to unmap or open up, but was refused by us. */
size_t refuse_kept_bytes(void);

/* Times that the break moved up. */
unsigned refuse_break_moves(void);

/* What nobody refuses: for the test's own threads. */
int refuse_not_thread(
    pthread_t *thread, void *(*start)(void *), void *argument);

#endif
