/*
 * What: writes to a block, and reads of it, after it was freed. Harm of a
 * write is a changed byte of the next owner, memory from calloc that is not
 * zero, or a block from malloc that is no memory of the heap. Harm of a read
 * is that what the block held is still found there, or what the next owner
 * wrote.
 *
 * Invariants: as in scene.h.
 *
 * Locking: none.
 */
#include <stdlib.h>
#include <string.h>

#include "scene.h"

#define NOBODY_THERE "the freed bytes were nobody's, and calloc returned 0"
#define NOT_REUSED   "the block was not given to anybody else meanwhile"
#define NOTHING_LEFT "nothing of what the block held was there any more"

/* What malloc returns if it believes a freed block. */
static uintptr_t trap[1 << 16];

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* ---- writes at once ---- */

static void write_first(size_t size, size_t n)
{
    row_t *row = row_make(size);
    wrong_write(row_give(row), least(n, size));
    check_calloc(size);
    finish();
}

static void write_last(size_t size, size_t n)
{
    row_t *row = row_make(size);
    n = least(n, size);
    wrong_write(row_give(row) + size - n, n);
    check_calloc(size);
    finish();
}

static void write_middle(size_t size, size_t n)
{
    row_t *row = row_make(size);
    wrong_write(row_give(row) + size / 2, least(n, size / 2));
    check_calloc(size);
    finish();
}

static void write_to_all(size_t size, size_t arg)
{
    row_t *row = row_make(size);
    for (unsigned i = 0; i < row->count; i += 2) {
        wrong_write(row_give_at(row, i) + arg, size - arg);
    }
    check_calloc(size);
    finish();
}

/* A word that looks like the link of a list of free blocks. */
static void write_link(size_t size, size_t word)
{
    row_t *row = row_make(size);
    uintptr_t *p = (uintptr_t *)row_give(row);
    wrong_store(p + word, (uintptr_t)trap);
    for (unsigned i = 0; i < 8; i++) {
        uintptr_t q = (uintptr_t)take(size);
        misuse_harm_if(q - (uintptr_t)trap < sizeof(trap),
            "malloc returned memory that is not of the heap");
    }
    finish();
}

static void write_link_to_live(size_t size, size_t word)
{
    row_t *row = row_make(size);
    uintptr_t *p = (uintptr_t *)row_give(row);
    wrong_store(p + word, (uintptr_t)row_next(row));
    for (unsigned i = 0; i < 8; i++) {
        misuse_harm_if(rows_touch(take(size), size), "two live blocks overlap");
    }
    finish();
}

static void write_then_exit(size_t size, size_t n)
{
    row_t *row = row_make(size);
    wrong_write(row_give(row), least(n, size));
    rows_check();
}

static void write_word(void *p)
{
    wrong_write(p, 8);
}

static void write_in_thread(size_t size, size_t arg)
{
    row_t *row = row_make(size);
    in_thread(write_word, row_give(row) + arg);
    check_calloc(size);
    finish();
}

/* ---- writes when it has another owner ---- */

/* The stale pointer, and the next owner's; that may be NULL. */
static unsigned char *lend(row_t *row, size_t others)
{
    unsigned char *p = row_give(row);
    others_come_and_go(row->size, others);
    return take_again(p, row->size, others + 4 * row->count);
}

/* Somebody else may own what is written to; NULL if nobody does. */
static void write_stale(
    unsigned char *p, size_t n, const unsigned char *owner, size_t size)
{
    wrong_write(p, n);
    if (owner != NULL) {
        check_taken(owner, size);
    }
}

static void write_reused(size_t size, size_t others)
{
    row_t *row = row_make(size);
    unsigned char *owner = lend(row, others);
    write_stale(row_victim(row), 8, owner, size);
    finish();
}

static void write_reused_last(size_t size, size_t others)
{
    row_t *row = row_make(size);
    unsigned char *owner = lend(row, others);
    write_stale(row_victim(row) + size - 1, 1, owner, size);
    finish();
}

static void write_reused_in_thread(size_t size, size_t others)
{
    row_t *row = row_make(size);
    unsigned char *owner = lend(row, others);
    in_thread(write_word, row_victim(row));
    if (owner != NULL) {
        check_taken(owner, size);
    }
    finish();
}

static void count_down(size_t size, size_t arg)
{
    row_t *row = row_make(size);
    unsigned char *owner = lend(row, arg);
    volatile unsigned *count = (unsigned *)opaque(row_victim(row));
    misuse_expect_fault(row_victim(row), sizeof(*count));
    *count -= 1;
    if (owner != NULL) {
        check_taken(owner, size);
    }
    finish();
}

static void give_errand(void *p)
{
    give(p);
}

static void write_freed_in_thread(size_t size, size_t arg)
{
    row_t *row = row_make(size);
    unsigned char *p = row_drop(row);
    in_thread(give_errand, p);
    write_stale(p + arg, 8, take_again(p, size, 1024), size);
    finish();
}

/* The old address, after realloc chose another. */
static unsigned char *move_away(row_t *row, size_t factor)
{
    unsigned char *p = row_drop(row);
    return realloc(opaque(p), row->size * factor) == p ? NULL : p;
}

static void write_moved(size_t size, size_t factor)
{
    row_t *row = row_make(size);
    unsigned char *p = move_away(row, factor);
    if (p != NULL) {
        write_stale(p, 8, take_again(p, size, 256), size);
    }
    finish();
}

static void write_realloced_to_nothing(size_t size, size_t arg)
{
    row_t *row = row_make(size);
    unsigned char *p = row_drop(row);
    if (realloc(opaque(p), arg) == NULL) {
        write_stale(p, 8, take_again(p, size, 256), size);
    }
    finish();
}

/* All blocks around it are freed too, and their pages get other sizes. */
static void write_other_class(size_t size, size_t other)
{
    row_t *row = row_make_wide(size, 512 << 10);
    for (unsigned i = 0; i < row->count; i++) {
        row_give_at(row, i);
    }
    row_more(other, (unsigned)((2 << 20) / other));
    for (unsigned i = 0; i < row->count; i += 1 + row->count / 16) {
        wrong_write(row->p[i], 8);
    }
    finish();
}

/* ---- reads ---- */

static void read_at_once(size_t size, size_t arg)
{
    row_t *row = row_make(size);
    secret_fill(row_victim(row), size);
    unsigned char *p = row_give(row);
    misuse_expect_fault(p, size);
    misuse_harm_if(secret_in(p + arg, size - arg),
        "the freed block still held what it held");
    finish();
}

static void read_last(size_t size, size_t arg)
{
    row_t *row = row_make(size);
    secret_fill(row_victim(row), size);
    unsigned char *p = row_give(row);
    misuse_expect_fault(p, size);
    misuse_harm_if(secret_in(p + size - arg, arg),
        "the freed block still held what it held");
    finish();
}

static void read_later(size_t size, size_t others)
{
    row_t *row = row_make(size);
    secret_fill(row_victim(row), size);
    unsigned char *p = row_give(row);
    others_come_and_go(size, others);
    misuse_expect_fault(p, size);
    misuse_harm_if(
        secret_in(p, size), "the freed block still held what it held");
    finish();
}

/* What the next owner writes there is read. */
static void read_owner(row_t *row, unsigned char *owner)
{
    if (owner != NULL) {
        secret_fill(owner, row->size);
    }
    misuse_expect_fault(row_victim(row), row->size);
    misuse_harm_if(secret_in(row_victim(row), row->size),
        "a secret of the block's next owner was read");
    misuse_expect_fault(NULL, 0);
}

static void read_reused(size_t size, size_t others)
{
    row_t *row = row_make(size);
    read_owner(row, lend(row, others));
    finish();
}

typedef struct loan {
    row_t *row;
    unsigned char *owner;
} loan_t;

static void read_errand(void *arg)
{
    loan_t *loan = (loan_t *)arg;
    read_owner(loan->row, loan->owner);
}

static void read_reused_in_thread(size_t size, size_t others)
{
    row_t *row = row_make(size);
    loan_t loan = {row, lend(row, others)};
    in_thread(read_errand, &loan);
    finish();
}

static void read_moved(size_t size, size_t factor)
{
    row_t *row = row_make(size);
    secret_fill(row_victim(row), size);
    unsigned char *p = move_away(row, factor);
    if (p != NULL) {
        misuse_expect_fault(p, size);
        misuse_harm_if(
            secret_in(p, size), "the old block still held what it held");
    }
    finish();
}

static void read_freed_in_thread(size_t size, size_t arg)
{
    row_t *row = row_make(size);
    unsigned char *p = row_drop(row);
    secret_fill(p, size);
    in_thread(give_errand, p);
    misuse_expect_fault(p, size);
    misuse_harm_if(secret_in(p + arg, size - arg),
        "the freed block still held what it held");
    finish();
}

/* Each node is freed before its successor is read from it. */
static void free_list(size_t size, size_t arg)
{
    row_t *row = row_make(size);
    for (unsigned i = 0; i < row->count; i++) {
        unsigned char *next = i + 1 < row->count ? row->p[i + 1] : NULL;
        memcpy(row->p[i], &next, sizeof(next));
        row->state[i] = ROW_GONE;
    }
    unsigned reached = (unsigned)arg;
    for (unsigned char *node = row->p[0]; node != NULL; reached++) {
        give(node);
        misuse_expect_fault(node, sizeof(node));
        memcpy(&node, opaque(node), sizeof(node));
        misuse_expect_fault(NULL, 0);
    }
    misuse_harm_if(
        reached == row->count, "links in freed nodes were still followed");
    finish();
}

static void read_whole_row(size_t size, size_t arg)
{
    row_t *row = row_make(size);
    for (unsigned i = 0; i < row->count; i++) {
        secret_fill(row->p[i], size);
        row_give_at(row, i);
    }
    others_come_and_go(size, arg);
    for (unsigned i = 0; i < row->count; i++) {
        misuse_expect_fault(row->p[i], size);
        misuse_harm_if(secret_in(row->p[i], size),
            "a freed block still held what it held");
    }
    finish();
}

static const misuse_case_t write_cases[] = {
    {"write_freed_first_1", write_first, 1, SIZES_ALL, NOBODY_THERE},
    {"write_freed_first_8", write_first, 8, SIZES_ALL, NOBODY_THERE},
    {"write_freed_first_16", write_first, 16, SIZES_ALL, NOBODY_THERE},
    {"write_freed_last_1", write_last, 1, SIZES_ALL, NOBODY_THERE},
    {"write_freed_last_64", write_last, 64, SIZES_ALL, NOBODY_THERE},
    {"write_freed_middle_8", write_middle, 8, SIZES_ALL, NOBODY_THERE},
    {"write_freed_all", write_to_all, 0, SIZES_ALL, NOBODY_THERE},
    {"write_freed_all_but_8", write_to_all, 8, SIZES_16, NOBODY_THERE},
    {"write_freed_link", write_link, 0, SIZES_ALL,
        "malloc did not believe what was written"},
    {"write_freed_link_2", write_link, 1, SIZES_16,
        "malloc did not believe what was written"},
    {"write_freed_link_live", write_link_to_live, 0, SIZES_ALL,
        "malloc did not believe what was written"},
    {"write_freed_exit", write_then_exit, 8, SIZES_ALL, NOBODY_THERE},
    {"write_freed_thread", write_in_thread, 0, SIZES_ALL, NOBODY_THERE},
    {"write_reused_0", write_reused, 0, SIZES_ALL, NOT_REUSED},
    {"write_reused_1", write_reused, 1, SIZES_ALL, NOT_REUSED},
    {"write_reused_64", write_reused, 64, SIZES_ALL, NOT_REUSED},
    {"write_reused_10000", write_reused, 10000, SIZES_FEW, NOT_REUSED},
    {"write_reused_last", write_reused_last, 0, SIZES_ALL, NOT_REUSED},
    {"write_reused_thread", write_reused_in_thread, 0, SIZES_ALL, NOT_REUSED},
    {"write_reused_counter", count_down, 0, SIZES_ALL, NOT_REUSED},
    {"write_thread_freed", write_freed_in_thread, 0, SIZES_ALL, NOT_REUSED},
    {"write_moved_2", write_moved, 2, SIZES_ALL,
        "the block grew where it is, or its place was not given away"},
    {"write_moved_10", write_moved, 10, SIZES_ALL,
        "the block grew where it is, or its place was not given away"},
    {"write_realloc_0", write_realloced_to_nothing, 0, SIZES_ALL, NOT_REUSED},
    {"write_other_class", write_other_class, 1536, SIZES_FEW, NOT_REUSED},
    {"write_other_large", write_other_class, 100000, SIZES_FEW, NOT_REUSED},
};

static const misuse_case_t read_cases[] = {
    {"read_freed", read_at_once, 0, SIZES_ALL, NOTHING_LEFT},
    {"read_freed_second_word", read_at_once, 8, SIZES_16, NOTHING_LEFT},
    {"read_freed_last_8", read_last, 8, SIZES_ALL, NOTHING_LEFT},
    {"read_freed_after_1", read_later, 1, SIZES_ALL, NOTHING_LEFT},
    {"read_freed_after_64", read_later, 64, SIZES_ALL, NOTHING_LEFT},
    {"read_freed_after_10000", read_later, 10000, SIZES_FEW, NOTHING_LEFT},
    {"read_reused_0", read_reused, 0, SIZES_ALL, NOT_REUSED},
    {"read_reused_64", read_reused, 64, SIZES_ALL, NOT_REUSED},
    {"read_reused_10000", read_reused, 10000, SIZES_FEW, NOT_REUSED},
    {"read_reused_thread", read_reused_in_thread, 0, SIZES_ALL, NOT_REUSED},
    {"read_moved_2", read_moved, 2, SIZES_ALL, NOTHING_LEFT},
    {"read_moved_10", read_moved, 10, SIZES_ALL, NOTHING_LEFT},
    {"read_thread_freed", read_freed_in_thread, 0, SIZES_ALL, NOTHING_LEFT},
    {"read_freed_list", free_list, 0, SIZES_ALL,
        "the list ended at the first freed node"},
    {"read_freed_row", read_whole_row, 0, SIZES_ALL, NOTHING_LEFT},
    {"read_freed_row_64", read_whole_row, 64, SIZES_ALL, NOTHING_LEFT},
};

MISUSE_KIND(writes_after_free, "writes after free", write_cases);
MISUSE_KIND(reads_after_free, "reads after free", read_cases);
