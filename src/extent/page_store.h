/*
 * What: one arena's pages: which free run to reuse, when to grow. When to
 * give back is page_purge's.
 *
 * Invariants: those of page_runs.h, where the state is.
 *
 * Locking: `lock` is never held over a system call or hook (but when the
 * shared base grows by a block).
 */
#ifndef JE_EXTENT_PAGE_STORE_H
#define JE_EXTENT_PAGE_STORE_H

#include "extent/page_purge.h"

/* `ps` is zeroed memory. */
void page_store_init(page_store_t *ps, unsigned arena_ind,
    extent_hooks_t *hooks, ssize_t dirty_ms, ssize_t muzzy_ms, uint64_t now_ns);

/* Replaces the hooks; returns the former ones. */
extent_hooks_t *page_store_set_hooks(page_store_t *ps, extent_hooks_t *hooks);

/*
 * An ACTIVE, committed extent of `size` bytes (a multiple of PAGE) aligned
 * to `alignment` (a power of two >= PAGE); registered at both ends. NULL
 * when no memory is to be had. EXTENT_ZEROED tells whether it reads zero.
 */
JE_MUST_USE extent_t *page_store_alloc(
    page_store_t *ps, size_t size, size_t alignment);

/*
 * The same, with as much again free behind it if that can be had: for a
 * block that grows and had to move once should not move at each step.
 */
JE_MUST_USE extent_t *page_store_alloc_roomy(
    page_store_t *ps, size_t size, size_t alignment);

/* The same between two inaccessible pages, if the system allows it. */
JE_MUST_USE extent_t *page_store_alloc_guarded(
    page_store_t *ps, size_t size, size_t alignment);

/* Takes an ACTIVE extent back; its contents are garbage. */
void page_store_free(page_store_t *ps, extent_t *e);

/* The same, and gives its pages to the system at once. */
void page_store_free_clean(page_store_t *ps, extent_t *e);

/*
 * Makes an ACTIVE extent larger without moving it. False if what follows is
 * not free. *zeroed tells whether the new bytes read as zero.
 */
bool page_store_grow_in_place(
    page_store_t *ps, extent_t *e, size_t new_size, bool *zeroed);

/* Gives the end of an ACTIVE extent back. False if hooks refuse. */
bool page_store_shrink(page_store_t *ps, extent_t *e, size_t new_size);

/*
 * Moves the pages of `from` to the front of `to`, a fresh extent, and frees
 * `from` as clean. False if that is not possible here: nothing changed.
 */
bool page_store_move(page_store_t *ps, extent_t *from, extent_t *to);

/* Ends the store: every extent must be free; all goes to the hooks. */
void page_store_destroy(page_store_t *ps);

/*
 * The most bytes that all stores together had active since somebody watches;
 * whoever looks takes the flag down.
 */
typedef struct {
    _Atomic bool watched;
    _Atomic bool risen;
    _Atomic intptr_t active; /* more than there were then */
    _Atomic intptr_t highest;
} page_store_peak_t;

extern page_store_peak_t page_store_peak;

void page_store_watch_peak(bool on);

void page_store_boot(void);

/* Bytes of ended stores that the system did not take back. */
size_t page_store_orphan_bytes(void);

/* What ended stores left, shared by all. */
void page_store_prefork_spare(void);

void page_store_prefork_grow(page_store_t *ps);
void page_store_prefork(page_store_t *ps);
void page_store_postfork_child(page_store_t *ps);

/* Walks everything; aborts on a broken invariant (debug builds). */
void page_store_check(page_store_t *ps);

#endif
