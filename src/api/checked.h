/*
 * What: the slow calls of a process that memcheck watches. Blocks are as
 * large as was asked for to the byte, lie between zones that nobody may
 * touch, move whenever realloc changes their size, and are detained when they
 * are freed (arena/ledger.h). Or, where Valgrind put its own malloc in the
 * place of ours, all blocks are Valgrind's: the program may mix functions
 * that it replaced with those that it does not know.
 *
 * Invariants: (I1) the doors of all threads are shut, so that each call comes
 * here; (I2) memory of regions is never touched by the allocator itself; (I3)
 * misuse is memcheck's to report: the call has no effect besides.
 *
 * Locking: none held on entry.
 */
#ifndef JE_API_CHECKED_H
#define JE_API_CHECKED_H

#include "arena/arena.h"

typedef struct alloc_place alloc_place_t;

/* What alloc.c does when nobody watches. */
typedef void *checked_take_t(size_t size, size_t usize, size_t alignment,
    bool zero, const alloc_place_t *place);
typedef void checked_give_t(void *region, const alloc_place_t *place);

typedef struct {
    size_t size;
    size_t alignment; /* a power of two, or 0 */
    bool zero;
    arena_t *arena; /* NULL: the thread's */
    const alloc_place_t *place;
    checked_take_t *take;
} checked_request_t;

/* NULL when no memory is to be had; sets no errno. */
void *checked_alloc(const checked_request_t *request);

/* Ends a block; what may be used again goes through `give`, to `home`. */
void checked_free(void *ptr, checked_give_t *give, const alloc_place_t *home);

/* Bytes that the program may use: what it asked for. 0 of what is no block. */
size_t checked_usable_size(const void *ptr);

/* The manual arena of a live block, or NULL. */
arena_t *checked_arena(const void *ptr);

/*
 * realloc of what is nothing to copy from: of Valgrind's own blocks, of the C
 * library's, of no block at all. False if it is an ordinary block.
 */
bool checked_realloc(void *ptr, size_t size, bool is_plain, void **result);

/* As resize_in_place. */
size_t checked_resize_in_place(
    void *ptr, size_t size, size_t extra, size_t alignment, bool zero);

#endif
