/*
 * What: changing the size of a live block: in place, by moving pages, or by
 * copying, in this order.
 *
 * Invariants: (I1) on failure the old block is untouched; (I2) bytes are
 * zeroed, if asked, from the old usable size on.
 *
 * Locking: none held on entry.
 */
#ifndef JE_API_RESIZE_H
#define JE_API_RESIZE_H

#include "api/alloc.h"

typedef struct {
    size_t size;
    size_t alignment; /* a power of two, or 0 */
    bool zero;
    alloc_place_t place;
} resize_request_t;

/* The block's new address, or NULL and errno. */
void *resize_block(void *ptr, const resize_request_t *request);

/* Resizes without moving; the usable size that resulted. */
size_t resize_in_place(
    void *ptr, size_t size, size_t extra, size_t alignment, bool zero);

#endif
