/*
 * What: the address space of a library that is linked into this program, as
 * three parties have it: the library itself, the calls it made (refuse.h), and
 * the kernel. What they say must agree.
 *
 * Invariants: (I1) nothing is allocated here.
 *
 * Locking: the locks of one arena after another.
 */
#ifndef JE_TEST_BOOKS_H
#define JE_TEST_BOOKS_H

#include <stddef.h>

/* Everything that the library knows to have mapped. */
size_t books_known_bytes(void);

/*
 * Bytes of all anonymous private mappings and the break, as the kernel has
 * them. Other threads would change them.
 */
size_t books_kernel_bytes(void);

/*
 * By how much the calls may come to more than the library knows: what it was
 * refused to unmap, and the slack of the break, which nobody can give back.
 */
size_t books_slack_bytes(void);

#endif
