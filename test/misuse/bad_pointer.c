/*
 * What: realloc, and questions for the usable size, of what is no live
 * block: freed, inside of a block, other memory, no memory. Harm is that the
 * call succeeds, so that the program goes on with a stranger's block, and
 * what a heap that lost its order does.
 *
 * Invariants: as in scene.h.
 *
 * Locking: none.
 */
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "scene.h"

#define NOTHING_DONE "the call failed and changed nothing"
#define NO_ANSWER    "the answer was 0: no block"

/* ---- realloc ---- */

static void resize(const void *p, size_t size)
{
    void *q = realloc(opaque(p), opaque_size(size));
    if (q == NULL) {
        misuse_refused();
        return;
    }
    misuse_harm("realloc took what is no live block for one");
    misuse_harm_if(rows_touch(q, size), "two live blocks overlap");
}

static void freed(size_t size, size_t factor)
{
    row_t *row = row_make(size);
    resize(row_give(row), size * factor);
    finish();
}

static void freed_smaller(size_t size, size_t divisor)
{
    row_t *row = row_make(size);
    resize(row_give(row), size / divisor);
    finish();
}

static void freed_earlier(size_t size, size_t others)
{
    row_t *row = row_make(size);
    unsigned char *p = row_give(row);
    for (unsigned i = 0; i < row->count && i < others; i++) {
        if (i != row->victim) {
            row_give_at(row, i);
        }
    }
    resize(p, size * 3);
    finish();
}

static void freed_in_batch(size_t size, size_t others)
{
    row_t *row = row_make(size);
    unsigned char *p = row_give(row);
    others_come_and_go(size, others);
    resize(p, size * 3);
    finish();
}

static void give_errand(void *p)
{
    give(p);
}

static void freed_in_thread(size_t size, size_t arg)
{
    row_t *row = row_make(size);
    unsigned char *p = row_drop(row) + arg;
    in_thread(give_errand, p);
    resize(p, size * 2);
    finish();
}

/* The old address of a block that moved is resized again. */
static void moved(size_t size, size_t factor)
{
    row_t *row = row_make(size);
    unsigned char *p = row_drop(row);
    if (realloc(opaque(p), size * factor) != p) {
        resize(p, size * factor * 2);
    }
    finish();
}

static void interior(size_t size, size_t offset)
{
    row_t *row = row_make(size);
    resize(row_victim(row) + offset, size * 2);
    finish();
}

static void interior_same_size(size_t size, size_t offset)
{
    row_t *row = row_make(size);
    resize(row_victim(row) + offset, size);
    finish();
}

static void stack(size_t size, size_t offset)
{
    unsigned char block[8192] __attribute__((aligned(64)));
    for (size_t i = 0; i < sizeof(block); i++) {
        block[i] = SCENE_WRONG;
    }
    row_make(size);
    resize(block + offset, size);
    finish();
}

static void in_data(size_t size, size_t offset)
{
    static unsigned char block[8192];
    row_make(size);
    resize(block + offset, size);
    finish();
}

/* One page, with what no call of the allocator gave. */
static unsigned char *map_pages(void)
{
    void *p = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE,
        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) {
        misuse_broken("no memory for the scene");
    }
    return (unsigned char *)p;
}

static void mapping(size_t size, size_t offset)
{
    row_make(size);
    resize(map_pages() + offset, size);
    finish();
}

static void number(size_t size, size_t address)
{
    row_make(size);
    resize((void *)address, size);
    finish();
}

static void by_flags(size_t size, size_t flags)
{
    NEEDS(rallocx);
    row_t *row = row_make(size);
    void *q = rallocx(row_give(row), size * 2, (int)flags);
    misuse_harm_if(q != NULL, "rallocx took a freed block for a live one");
    finish();
}

static void in_place(size_t size, size_t more)
{
    NEEDS(xallocx);
    row_t *row = row_make(size);
    size_t usable = xallocx(row_give(row), size + more, 0, 0);
    misuse_harm_if(usable != 0, "xallocx took a freed block for a live one");
    finish();
}

static void freed_array(size_t size, size_t count)
{
    row_t *row = row_make(size);
    unsigned char *p = row_give(row);
    void *q = reallocarray(opaque(p), count, size);
    misuse_harm_if(q != NULL, "reallocarray took a freed block for a live one");
    finish();
}

static void to_nothing(size_t size, size_t arg)
{
    row_t *row = row_make(size);
    unsigned char *p = row_give(row);
    if (realloc(opaque(p), opaque_size(arg)) != NULL) {
        misuse_harm("realloc took what is no live block for one");
    }
    finish();
}

/* ---- the usable size ---- */

static void ask(const void *p)
{
    misuse_harm_if(malloc_usable_size(opaque(p)) != 0,
        "the usable size of what is no live block");
}

static void ask_freed(size_t size, size_t arg)
{
    row_t *row = row_make(size);
    ask(row_give(row) + arg);
    finish();
}

static void ask_freed_earlier(size_t size, size_t others)
{
    row_t *row = row_make(size);
    unsigned char *p = row_give(row);
    others_come_and_go(size, others);
    ask(p);
    finish();
}

static void ask_interior(size_t size, size_t offset)
{
    row_t *row = row_make(size);
    ask(row_victim(row) + offset);
    finish();
}

static void ask_data(size_t size, size_t offset)
{
    static unsigned char block[8192];
    row_make(size);
    ask(block + offset);
    finish();
}

static void ask_mapping(size_t size, size_t offset)
{
    row_make(size);
    ask(map_pages() + offset);
    finish();
}

static void ask_number(size_t size, size_t address)
{
    row_make(size);
    ask((void *)address);
    finish();
}

static void ask_freed_by_flags(size_t size, size_t flags)
{
    NEEDS(sallocx);
    row_t *row = row_make(size);
    misuse_harm_if(sallocx(row_give(row), (int)flags) != 0,
        "the usable size of what is no live block");
    finish();
}

static const misuse_case_t cases[] = {
    {"realloc_freed_same", freed, 1, SIZES_ALL, NOTHING_DONE},
    {"realloc_freed_2", freed, 2, SIZES_ALL, NOTHING_DONE},
    {"realloc_freed_10", freed, 10, SIZES_ALL, NOTHING_DONE},
    {"realloc_freed_smaller", freed_smaller, 2, SIZES_16, NOTHING_DONE},
    {"realloc_freed_after_6", freed_earlier, 6, SIZES_ALL, NOTHING_DONE},
    {"realloc_freed_after_60", freed_earlier, 60, SIZES_ALL, NOTHING_DONE},
    {"realloc_freed_after_10000", freed_in_batch, 10000, SIZES_FEW,
        NOTHING_DONE},
    {"realloc_freed_thread", freed_in_thread, 0, SIZES_ALL, NOTHING_DONE},
    {"realloc_moved_2", moved, 2, SIZES_ALL,
        "it grew where it is, or the second call failed"},
    {"realloc_moved_10", moved, 10, SIZES_ALL,
        "it grew where it is, or the second call failed"},
    {"realloc_freed_to_0", to_nothing, 0, SIZES_ALL,
        "the block was not given to two owners"},
    {"realloc_freed_array", freed_array, 7, SIZES_ALL, NOTHING_DONE},
    {"realloc_freed_rallocx", by_flags, 0, SIZES_ALL, NOTHING_DONE},
    {"realloc_freed_xallocx", in_place, 1000, SIZES_ALL, NOTHING_DONE},
    {"realloc_interior_1", interior, 1, SIZES_ALL, NOTHING_DONE},
    {"realloc_interior_8", interior, 8, SIZES_16, NOTHING_DONE},
    {"realloc_interior_16", interior, 16, SIZES_64, NOTHING_DONE},
    {"realloc_interior_page", interior, 4096, SIZES_BIG, NOTHING_DONE},
    {"realloc_interior_same", interior_same_size, 8, SIZES_16, NOTHING_DONE},
    {"realloc_stack", stack, 64, SIZES_FEW, NOTHING_DONE},
    {"realloc_static", in_data, 64, SIZES_FEW, NOTHING_DONE},
    {"realloc_mapping", mapping, 0, SIZES_FEW, NOTHING_DONE},
    {"realloc_page_one", number, 0x1000, SIZES_FEW, NOTHING_DONE},
    {"realloc_wild", number, (size_t)0x5eadbeef000, SIZES_FEW, NOTHING_DONE},
    {"realloc_kernel", number, (size_t)0xffff800000000000, SIZES_FEW,
        NOTHING_DONE},
    {"usable_freed", ask_freed, 0, SIZES_ALL, NO_ANSWER},
    {"usable_freed_after_64", ask_freed_earlier, 64, SIZES_ALL, NO_ANSWER},
    {"usable_interior_8", ask_interior, 8, SIZES_16, NO_ANSWER},
    {"usable_interior_page", ask_interior, 4096, SIZES_BIG, NO_ANSWER},
    {"usable_static", ask_data, 64, SIZES_FEW, NO_ANSWER},
    {"usable_mapping", ask_mapping, 64, SIZES_FEW, NO_ANSWER},
    {"usable_wild", ask_number, (size_t)0x5eadbeef000, SIZES_FEW, NO_ANSWER},
    {"usable_sallocx_freed", ask_freed_by_flags, 0, SIZES_ALL, NO_ANSWER},
};

MISUSE_KIND(bad_pointer, "resizing what is no block", cases);
