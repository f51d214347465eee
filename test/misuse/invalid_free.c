/*
 * What: frees of what is no block: addresses inside of one, of other memory,
 * of no memory. Harm is that malloc gives such memory to somebody, that a
 * live block is given away, or what a heap that lost its order does.
 *
 * Invariants: as in scene.h.
 *
 * Locking: none.
 */
#include <stdlib.h>
#include <sys/mman.h>

#include "scene.h"

#define IGNORED "the call changed nothing that malloc returns later"

/* Live blocks stay live, and malloc returns other memory than this. */
static void expect_own_heap(size_t size, const void *p, size_t n)
{
    static unsigned char *taken[128];
    uintptr_t start = (uintptr_t)p;
    for (unsigned i = 0; i < 128; i++) {
        taken[i] = (unsigned char *)take(size);
        misuse_harm_if((uintptr_t)taken[i] - start < n,
            "malloc returned memory that is not of the heap");
        misuse_harm_if(rows_touch(taken[i], size), "two live blocks overlap");
    }
    for (unsigned i = 0; i < 128; i++) {
        give(taken[i]);
    }
    finish();
}

static void interior(size_t size, size_t offset)
{
    row_t *row = row_make(size);
    unsigned char *p = row_victim(row) + offset;
    give(p);
    expect_own_heap(size, p, 0);
}

static void interior_of_half(size_t size, size_t arg)
{
    interior(size, size / 2 + arg);
}

static void interior_last(size_t size, size_t arg)
{
    interior(size, size - arg);
}

static void interior_twice(size_t size, size_t offset)
{
    row_t *row = row_make(size);
    give(row_victim(row) + offset);
    give(row_victim(row) + offset);
    expect_own_heap(size, NULL, 0);
}

static void before(size_t size, size_t distance)
{
    row_t *row = row_make(size);
    give(row_victim(row) - distance);
    expect_own_heap(size, NULL, 0);
}

static void behind(size_t size, size_t distance)
{
    row_t *row = row_make(size);
    give(row_victim(row) + size + distance);
    expect_own_heap(size, NULL, 0);
}

static void interior_of_free(size_t size, size_t offset)
{
    row_t *row = row_make(size);
    give(row_give(row) + offset);
    expect_own_heap(size, NULL, 0);
}

static void interior_of_aligned(size_t size, size_t offset)
{
    void *aligned = NULL;
    row_t *row = row_make(size);
    if (posix_memalign(&aligned, 4096, size) != 0) {
        misuse_broken("no memory for the scene");
    }
    give((unsigned char *)aligned + offset);
    expect_own_heap(row->size, (unsigned char *)aligned + offset, 1);
}

static void interior_sized(size_t size, size_t offset)
{
    NEEDS(sdallocx);
    row_t *row = row_make(size);
    sdallocx(opaque(row_victim(row) + offset), size, 0);
    expect_own_heap(size, NULL, 0);
}

static void interior_past_cache(size_t size, size_t offset)
{
    NEEDS(dallocx);
    row_t *row = row_make(size);
    dallocx(opaque(row_victim(row) + offset), WITHOUT_CACHE);
    expect_own_heap(size, NULL, 0);
}

static void give_errand(void *p)
{
    give(p);
}

static void interior_in_thread(size_t size, size_t offset)
{
    row_t *row = row_make(size);
    in_thread(give_errand, row_victim(row) + offset);
    expect_own_heap(size, NULL, 0);
}

/* ---- other memory ---- */

static void on_stack(size_t size, size_t offset)
{
    unsigned char block[8192] __attribute__((aligned(64)));
    row_make(size);
    for (size_t i = 0; i < sizeof(block); i++) {
        block[i] = SCENE_WRONG;
    }
    give(block + offset);
    expect_own_heap(size, block, sizeof(block));
}

/* A frame that looks like a chunk of an allocator with headers. */
static void forged_on_stack(size_t size, size_t arg)
{
    size_t words[1024] __attribute__((aligned(64)));
    row_make(size);
    for (size_t i = 0; i < 1024; i++) {
        words[i] = ((size + 23) & ~(size_t)15) | 1;
    }
    give(words + 16 + arg);
    expect_own_heap(size, words, sizeof(words));
}

static void in_data(size_t size, size_t offset)
{
    static unsigned char block[8192];
    row_make(size);
    give(block + offset);
    expect_own_heap(size, block, sizeof(block));
}

static void in_constants(size_t size, size_t offset)
{
    static const char text[64] = "a string of the program";
    row_make(size);
    give(text + offset);
    expect_own_heap(size, text, sizeof(text));
}

static void in_code(size_t size, size_t offset)
{
    row_make(size);
    give((unsigned char *)(uintptr_t)&abort + offset);
    expect_own_heap(size, (void *)(uintptr_t)&abort, 64);
}

static void in_environment(size_t size, size_t arg)
{
    extern char **environ;
    row_make(size);
    give(environ[arg]);
    expect_own_heap(size, environ[arg], 16);
}

static void in_thread_local(size_t size, size_t offset)
{
    static __thread unsigned char block[4096];
    row_make(size);
    give(block + offset);
    expect_own_heap(size, block, sizeof(block));
}

static void in_mapping(size_t size, size_t offset)
{
    size_t n = 1 << 20;
    row_make(size);
    unsigned char *p = (unsigned char *)mmap(
        NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) {
        misuse_broken("no memory for the scene");
    }
    give(p + offset);
    expect_own_heap(size, p, n);
}

static void in_unmapped(size_t size, size_t offset)
{
    row_make(size);
    unsigned char *p = (unsigned char *)mmap(
        NULL, 1 << 20, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(p, 1 << 20);
    give(p + offset);
    expect_own_heap(size, NULL, 0);
}

static void number(size_t size, size_t address)
{
    row_make(size);
    give((void *)address);
    expect_own_heap(size, (void *)address, 1);
}

/* Where a block might be, but none was ever given out. */
static void never_given(size_t size, size_t distance)
{
    row_t *row = row_make(size);
    give((unsigned char *)((uintptr_t)row_victim(row) & ~(uintptr_t)4095) +
         distance);
    expect_own_heap(size, NULL, 0);
}

static const misuse_case_t cases[] = {
    {"free_interior_1", interior, 1, SIZES_ALL, IGNORED},
    {"free_interior_4", interior, 4, SIZES_ALL, IGNORED},
    {"free_interior_8", interior, 8, SIZES_16, IGNORED},
    {"free_interior_16", interior, 16, SIZES_64, IGNORED},
    {"free_interior_page", interior, 4096, SIZES_BIG, IGNORED},
    {"free_interior_65536", interior, 65536, SIZES_BIG & ~0xe00, IGNORED},
    {"free_interior_half", interior_of_half, 0, SIZES_16, IGNORED},
    {"free_interior_last", interior_last, 1, SIZES_ALL, IGNORED},
    {"free_interior_twice", interior_twice, 8, SIZES_16, IGNORED},
    {"free_before_1", before, 1, SIZES_ALL, IGNORED},
    {"free_before_8", before, 8, SIZES_16, IGNORED},
    {"free_before_16", before, 16, SIZES_64, IGNORED},
    {"free_behind", behind, 0, SIZES_SLACK, IGNORED},
    {"free_interior_of_free_8", interior_of_free, 8, SIZES_16, IGNORED},
    {"free_interior_aligned", interior_of_aligned, 64, SIZES_64, IGNORED},
    {"free_interior_sized", interior_sized, 8, SIZES_16, IGNORED},
    {"free_interior_no_cache", interior_past_cache, 8, SIZES_16, IGNORED},
    {"free_interior_thread", interior_in_thread, 8, SIZES_16, IGNORED},
    {"free_stack", on_stack, 16, SIZES_ALL, IGNORED},
    {"free_stack_misaligned", on_stack, 5, SIZES_FEW, IGNORED},
    {"free_stack_forged", forged_on_stack, 0, SIZES_ALL, IGNORED},
    {"free_static", in_data, 0, SIZES_ALL, IGNORED},
    {"free_static_16", in_data, 16, SIZES_FEW, IGNORED},
    {"free_constant", in_constants, 0, SIZES_FEW, IGNORED},
    {"free_code", in_code, 0, SIZES_FEW, IGNORED},
    {"free_environment", in_environment, 0, SIZES_FEW, IGNORED},
    {"free_thread_local", in_thread_local, 64, SIZES_FEW, IGNORED},
    {"free_mapping", in_mapping, 0, SIZES_FEW, IGNORED},
    {"free_mapping_interior", in_mapping, 4096 + 64, SIZES_FEW, IGNORED},
    {"free_unmapped", in_unmapped, 64, SIZES_FEW, IGNORED},
    {"free_page_one", number, 0x1000, SIZES_FEW, IGNORED},
    {"free_null_plus_8", number, 8, SIZES_FEW, IGNORED},
    {"free_null_plus_64", number, 64, SIZES_FEW, IGNORED},
    {"free_dead_beef", number, 0xdeadbeef, SIZES_FEW, IGNORED},
    {"free_wild", number, (size_t)0x5eadbeef000, SIZES_FEW, IGNORED},
    {"free_wild_high", number, (size_t)0x7fff00001000, SIZES_FEW, IGNORED},
    {"free_gap", number, (size_t)0x0123456789abcde0, SIZES_FEW, IGNORED},
    {"free_kernel", number, (size_t)0xffff800000000000, SIZES_FEW, IGNORED},
    {"free_minus_1", number, SIZE_MAX, SIZES_FEW, IGNORED},
    {"free_minus_16", number, SIZE_MAX - 15, SIZES_FEW, IGNORED},
    {"free_never_given", never_given, (size_t)1 << 30, SIZES_FEW, IGNORED},
};

MISUSE_KIND(invalid_free, "frees of what is no block", cases);
