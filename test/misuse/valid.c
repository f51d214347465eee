/*
 * What: programs at the border of what the interface allows, and inside of
 * it: no level of protection may stop them, and the answers must be right.
 * Harm is a wrong answer; the only good end is "no effect".
 *
 * Invariants: as in scene.h.
 *
 * Locking: none.
 */
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "scene.h"

#define FINE "nothing was wrong"

static void must(bool holds, const char *what)
{
    misuse_harm_if(!holds, what);
}

/* All usable bytes are written, and blocks around it keep theirs. */
static void use_all_of(void *p)
{
    memset(opaque(p), SCENE_WRONG, malloc_usable_size(p));
    rows_check();
}

static void usable_size(size_t size, size_t arg)
{
    row_t *row = row_make(size);
    for (unsigned i = 0; i < row->count; i += 2) {
        must(malloc_usable_size(row->p[i]) >= size + arg,
            "the usable size is less than what was asked for");
        row->state[i] = ROW_LIVE;
        use_all_of(row->p[i]);
    }
    finish();
}

static void aligned_usable_size(size_t size, size_t alignment)
{
    row_make(size);
    for (unsigned i = 0; i < 16; i++) {
        void *p = NULL;
        must(posix_memalign(&p, alignment, size) == 0, "posix_memalign fails");
        must((uintptr_t)p % alignment == 0, "a misaligned block");
        use_all_of(p);
        give(p);
    }
    finish();
}

static void all_aligned_functions(size_t size, size_t arg)
{
    for (size_t alignment = 8; alignment <= 65536; alignment *= 2) {
        void *p[5] = {NULL};
        must(posix_memalign(&p[0], alignment, size + arg) == 0, "no block");
        p[1] = aligned_alloc(alignment, size + arg);
        p[2] = memalign(alignment, size + arg);
        p[3] = valloc(size + arg);
        p[4] = pvalloc == NULL ? valloc(size) : pvalloc(size + arg);
        for (unsigned i = 0; i < 5; i++) {
            must(p[i] != NULL, "no block");
            must((uintptr_t)p[i] % (i < 3 ? alignment : 4096) == 0,
                "a misaligned block");
            use_all_of(p[i]);
        }
        for (unsigned i = 0; i < 5; i++) {
            give(p[i]);
        }
    }
    go_on(size);
}

/* ---- resizing ---- */

static void realloc_all_ways(size_t size, size_t arg)
{
    row_make(size);
    size_t sizes[] = {size, size + 1, size * 2, size * 10, size / 2 + 1, 1,
        size * 3, size * 3 - 1, size};
    unsigned char *p = (unsigned char *)take(size + arg);
    size_t kept = size;
    memset(p, 0x77, kept);
    for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        p = (unsigned char *)realloc(p, opaque_size(sizes[i]));
        must(p != NULL, "realloc fails");
        kept = kept < sizes[i] ? kept : sizes[i];
        for (size_t j = 0; j < kept; j++) {
            must(p[j] == 0x77, "realloc lost contents");
        }
        memset(p, 0x77, sizes[i]);
        kept = sizes[i];
    }
    use_all_of(p);
    give(p);
    finish();
}

static void realloc_to_nothing(size_t size, size_t arg)
{
    row_t *row = row_make(size);
    void *p = realloc(row_drop(row), opaque_size(arg));
    give(p); /* NULL, or a block of no bytes */
    finish();
}

static void realloc_of_nothing(size_t size, size_t arg)
{
    row_make(size);
    void *p = malloc(opaque_size(arg));
    p = realloc(p, size);
    must(p != NULL && malloc_usable_size(p) >= size, "realloc fails");
    use_all_of(p);
    give(p);
    finish();
}

static void grow_in_steps(size_t size, size_t steps)
{
    unsigned char *p = NULL;
    for (size_t n = 1; n <= steps; n++) {
        p = (unsigned char *)realloc(p, n * size);
        must(p != NULL, "realloc fails");
        memset(p + (n - 1) * size, (int)n, size);
    }
    for (size_t n = 1; n <= steps; n++) {
        must(p[(n - 1) * size] == (unsigned char)n &&
                 p[n * size - 1] == (unsigned char)n,
            "realloc lost contents");
    }
    give(p);
    go_on(size);
}

static void in_place(size_t size, size_t extra)
{
    NEEDS(xallocx);
    row_t *row = row_make(size);
    unsigned char *p = row_write(row);
    for (size_t wanted = size / 2 + 1; wanted < size * 3; wanted += size) {
        size_t usable = xallocx(p, wanted, extra, 0);
        must(usable == sallocx(p, 0), "xallocx and sallocx differ");
        use_all_of(p);
    }
    xallocx(p, size, 0, 0);
    row->state[row->victim] = ROW_GONE;
    give(p);
    finish();
}

static void by_flags(size_t size, size_t lg_align)
{
    NEEDS(rallocx);
    NEEDS(nallocx);
    row_make(size);
    int flags = (int)lg_align | 0x40; /* zeroed */
    unsigned char *p = (unsigned char *)mallocx(size, flags);
    must(sallocx(p, 0) == nallocx(size, flags), "nallocx and sallocx differ");
    for (size_t i = 0; i < size; i++) {
        must(p[i] == 0, "not zeroed");
    }
    use_all_of(p);
    size_t before = sallocx(p, 0);
    p = (unsigned char *)rallocx(p, size * 3, flags);
    for (size_t i = before; i < size * 3; i++) {
        must(p[i] == 0, "not zeroed");
    }
    must(((uintptr_t)p & (((size_t)1 << lg_align) - 1)) == 0,
        "a misaligned block");
    use_all_of(p);
    sdallocx(p, size * 3, (int)lg_align);
    finish();
}

/* ---- sized frees ---- */

/* Anything from what was asked for to what may be used. */
static void sized(size_t size, size_t flags)
{
    NEEDS(sdallocx);
    row_t *row = row_make(size);
    size_t usable = malloc_usable_size(row_victim(row));
    size_t step = (usable - size) / (row->count / 2) + 1;
    size_t named = size;
    for (unsigned i = 0; i < row->count; i++) {
        row->state[i] = ROW_GONE;
        sdallocx(row->p[i], opaque_size(named), (int)flags);
        named = named + step > usable ? usable : named + step;
    }
    go_on(size);
}

static void standard_sized(size_t size, size_t alignment)
{
    NEEDS(free_sized);
    NEEDS(free_aligned_sized);
    free_sized(take(size), size);
    free_sized(calloc(1, size), opaque_size(size));
    free_sized(realloc(take(1), size), size);
    free_aligned_sized(aligned_alloc(alignment, size), alignment, size);
    free_sized(NULL, size);
    free_aligned_sized(NULL, alignment, size);
    go_on(size);
}

static void sized_nothing(size_t size, size_t alignment)
{
    NEEDS(free_sized);
    NEEDS(free_aligned_sized);
    row_make(size);
    free_sized(malloc(opaque_size(0)), 0);
    free_sized(calloc(opaque_size(0), size), 0);
    free_aligned_sized(
        aligned_alloc(alignment, opaque_size(0)), alignment, opaque_size(0));
    finish();
}

/* ---- blocks of no bytes, and no blocks ---- */

static void nothing(size_t size, size_t arg)
{
    void *p[64];
    for (unsigned i = 0; i < 64; i++) {
        p[i] = malloc(opaque_size(0));
        must(p[i] != NULL, "malloc(0) returned NULL");
        for (unsigned j = 0; j < i; j++) {
            must(p[i] != p[j], "malloc(0) returned a block twice");
        }
        memset(p[i], SCENE_WRONG, malloc_usable_size(p[i]));
    }
    for (unsigned i = 0; i < 64; i++) {
        give(p[i]);
    }
    go_on(size + arg);
}

static void null(size_t size, size_t arg)
{
    give(NULL);
    must(malloc_usable_size(opaque(NULL)) == 0, "NULL has a usable size");
    void *p = realloc(opaque(NULL), size + arg);
    must(p != NULL, "realloc(NULL, n) is malloc(n)");
    give(p);
    go_on(size);
}

static void errno_kept(size_t size, size_t arg)
{
    row_t *row = row_make(size);
    errno = 77;
    for (unsigned i = 0; i < row->count; i++) {
        row_give_at(row, i);
    }
    must(errno == 77, "free changed errno");
    go_on(size + arg);
}

static void zeroed(size_t size, size_t arg)
{
    row_t *row = row_make(size);
    for (unsigned i = 0; i < row->count; i++) {
        row_give_at(row, i);
    }
    check_calloc(size + arg);
    go_on(size);
}

/* ---- other threads and processes ---- */

static void give_errand(void *p)
{
    give(p);
}

static void freed_elsewhere(size_t size, size_t arg)
{
    row_t *row = row_make(size);
    for (unsigned i = (unsigned)arg; i < row->count; i += 8) {
        row->state[i] = ROW_GONE;
        in_thread(give_errand, row->p[i]);
    }
    finish();
}

static void take_errand(void *arg)
{
    void **p = (void **)arg;
    p[0] = malloc((size_t)(uintptr_t)p[1]);
    p[2] = realloc(p[2], (size_t)(uintptr_t)p[1] * 2);
}

/* What a thread that is gone took, or resized, is freed here. */
static void taken_elsewhere(size_t size, size_t arg)
{
    row_make(size);
    for (size_t i = arg; i < 8; i++) {
        void *p[3] = {NULL, (void *)size, take(size)};
        in_thread(take_errand, p);
        use_all_of(p[0]);
        use_all_of(p[2]);
        give(p[0]);
        give(p[2]);
    }
    finish();
}

static void freed_in_child(size_t size, size_t arg)
{
    row_t *row = row_make(size);
    (void)row;
    pid_t child = fork();
    if (child == 0) {
        finish();
        exit(0);
    }
    int status = (int)arg + 1;
    must(waitpid(child, &status, 0) == child && status == 0,
        "the child was stopped");
    finish();
}

static void key_destructor(void *p)
{
    give(p);
    give(malloc(10));
}

static void key_errand(void *arg)
{
    pthread_key_t *key = (pthread_key_t *)arg;
    must(pthread_setspecific(*key, take(100)) == 0, "no value of a key");
}

static void freed_by_key(size_t size, size_t arg)
{
    pthread_key_t key;
    must(pthread_key_create(&key, key_destructor) == 0, "no key");
    for (size_t i = arg; i < 4; i++) {
        in_thread(key_errand, &key);
    }
    go_on(size);
}

/* ---- the end ---- */

static void *late[4];

static void give_late(void)
{
    for (unsigned i = 0; i < 3; i++) {
        give(late[i]);
    }
    late[0] = NULL;
    give(malloc(100));
}

__attribute__((destructor)) static void give_last(void)
{
    give(late[3]);
}

static void freed_at_exit(size_t size, size_t arg)
{
    for (unsigned i = 0; i < 4; i++) {
        late[i] = take(size + arg);
    }
    must(atexit(give_late) == 0, "no function at exit");
    go_on(size);
}

/* ---- what the C library allocates ---- */

static void from_libc(size_t size, size_t arg)
{
    char *text = NULL, *line = NULL;
    size_t room = 0;
    char *copy = strdup("a word");
    must(asprintf(&text, "%zu and %s", size + arg, copy) > 0, "no text");
    FILE *file = fopen("/proc/self/status", "r");
    must(file != NULL && getline(&line, &room, file) > 0, "no line");
    if (file != NULL) {
        fclose(file);
    }
    give(copy);
    give(text);
    give(line);
    go_on(size);
}

static const misuse_case_t cases[] = {
    {"valid_usable_size", usable_size, 0, SIZES_ALL, FINE},
    {"valid_usable_aligned_64", aligned_usable_size, 64, SIZES_ALL, FINE},
    {"valid_usable_aligned_4096", aligned_usable_size, 4096, SIZES_ALL, FINE},
    {"valid_usable_aligned_65536", aligned_usable_size, 65536, SIZES_FEW, FINE},
    {"valid_aligned_functions", all_aligned_functions, 0, SIZES_ALL, FINE},
    {"valid_aligned_functions_1", all_aligned_functions, 1, SIZES_FEW, FINE},
    {"valid_realloc", realloc_all_ways, 0, SIZES_ALL, FINE},
    {"valid_realloc_0", realloc_to_nothing, 0, SIZES_ALL, FINE},
    {"valid_realloc_of_0", realloc_of_nothing, 0, SIZES_ALL, FINE},
    {"valid_realloc_steps", grow_in_steps, 40, SIZES_ALL, FINE},
    {"valid_xallocx", in_place, 0, SIZES_ALL, FINE},
    {"valid_xallocx_extra", in_place, 5000, SIZES_ALL, FINE},
    {"valid_flags", by_flags, 0, SIZES_ALL, FINE},
    {"valid_flags_4096", by_flags, ALIGNED_4096, SIZES_ALL, FINE},
    {"valid_sized", sized, 0, SIZES_ALL, FINE},
    {"valid_sized_no_cache", sized, WITHOUT_CACHE, SIZES_ALL, FINE},
    {"valid_free_sized", standard_sized, 64, SIZES_ALL, FINE},
    {"valid_free_sized_4096", standard_sized, 4096, SIZES_ALL, FINE},
    {"valid_free_sized_0", sized_nothing, 16, SIZES_ONE, FINE},
    {"valid_free_sized_0_4096", sized_nothing, 4096, SIZES_ONE, FINE},
    {"valid_zero_size", nothing, 0, SIZES_ONE, FINE},
    {"valid_null", null, 0, SIZES_FEW, FINE},
    {"valid_errno", errno_kept, 0, SIZES_ALL, FINE},
    {"valid_calloc", zeroed, 0, SIZES_ALL, FINE},
    {"valid_free_in_thread", freed_elsewhere, 0, SIZES_ALL, FINE},
    {"valid_take_in_thread", taken_elsewhere, 0, SIZES_ALL, FINE},
    {"valid_fork", freed_in_child, 0, SIZES_FEW, FINE},
    {"valid_thread_destructor", freed_by_key, 0, SIZES_ONE, FINE},
    {"valid_atexit", freed_at_exit, 0, SIZES_ALL, FINE},
    {"valid_libc", from_libc, 0, SIZES_ONE, FINE},
};

MISUSE_KIND(valid, "valid programs", cases);
