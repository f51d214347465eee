/*
 * What: pointers that the address map does not know, because the C library's
 * own malloc gave them: to an object that sees the C library first
 * (RTLD_DEEPBIND), to one that asked it by name, or before this library came
 * into the process. What is certainly such a block goes to the functions of
 * the C library; everything else is reported as misuse.
 *
 * The evidence, all of it, read through the kernel so that nothing faults:
 *
 *   - the C library is glibc, and its functions are there (not in a static
 *     program, whose only malloc is ours);
 *   - the two words before the pointer are the header of a chunk in use:
 *     aligned, of a possible size, in its heap, followed by a chunk that says
 *     that the one before it is in use;
 *   - the heap is what the header says: the program break; or a heap of
 *     another arena, whose first words describe it; or a mapping of its own.
 *
 * Invariants: (I1) a pointer without all of this is never forwarded; (I2)
 * errno is kept by the frees.
 *
 * Locking: none; the caller holds none.
 */
#ifndef JE_API_FOREIGN_H
#define JE_API_FOREIGN_H

#include "util/common.h"

/* From now on what went through a cache before is looked at too. */
void foreign_boot(void);

/* Gives the block back to whom it belongs, or reports the pointer. */
void foreign_free(void *ptr);

/* Its usable size. Reported in the name of `operation` if it is none: 0. */
size_t foreign_usable_size(const void *ptr, const char *operation);

/* The C library's realloc of a block that has a usable size. */
void *foreign_realloc(void *ptr, size_t size);

/*
 * Where Valgrind stands in for the C library, which judges pointers itself
 * and whose blocks look different: false if there is no such library.
 */
JE_MUST_USE bool foreign_free_unseen(void *ptr);
JE_MUST_USE bool foreign_realloc_unseen(void *ptr, size_t size, void **result);

#endif
