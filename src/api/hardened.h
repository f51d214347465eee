/*
 * What: the calls of a process whose blocks are sealed (arena/seal.h): the
 * option hardened, or one of its parts. A block is as large as was asked for
 * to the byte. When it ends, what lies before and behind it is looked at; it
 * is cleared and held back (thread/quarantine.h), and looked at again before
 * it is handed out. Large blocks end where a page does, and after their end
 * cannot be touched.
 *
 * Invariants: (I1) the doors of all threads are shut, so that each call comes
 * here; (I2) what looks wrong is reported by name and stays out of use.
 *
 * Locking: none held on entry.
 */
#ifndef JE_API_HARDENED_H
#define JE_API_HARDENED_H

#include "api/checked.h"

/* No size was given. */
#define HARDENED_ANY_SIZE SIZE_MAX

/* Small sizes, from the thread's cache; NULL: the long way. */
JE_MUST_USE void *hardened_malloc(size_t size);

/* What is in order and goes to the thread's cache. False: the long way. */
JE_MUST_USE bool hardened_free_small(void *ptr);

/* NULL with errno set by `take`. */
JE_MUST_USE void *hardened_alloc(const checked_request_t *request);

/*
 * Ends a block; `size` is what the program says it is. What may be used again
 * goes through `give`, to `home`.
 */
void hardened_free(
    void *ptr, size_t size, checked_give_t *give, const alloc_place_t *home);

/*
 * Bytes that were asked for. False, after a report in the name of
 * `operation`, if there is no such block; of what is not ours at all *size is
 * SIZE_MAX.
 */
JE_MUST_USE bool hardened_size(
    const void *ptr, const char *operation, size_t *size);

/* Gives a block another size where it is. False if it has no room. */
JE_MUST_USE bool hardened_resize(void *ptr, size_t size);

/*
 * Looks at every small block there is, but in arenas with hooks of the
 * program; reports what is wrong.
 */
void hardened_check_all(void);

#endif
