/*
 * What: reads of new memory that nobody has written yet. Harm is that what
 * an earlier owner wrote there is found.
 *
 * Invariants: as in scene.h.
 *
 * Locking: none.
 */
#include <malloc.h>
#include <stdlib.h>

#include "scene.h"

#define NO_SECRETS "nothing that an earlier owner wrote was found"
#define TRIES      256

static void look(const void *p, size_t n)
{
    misuse_harm_if(
        p != NULL && secret_in(p, n), "a secret of an earlier owner was read");
}

/* A row whose blocks all held secrets, and are freed. */
static void leave_secrets(size_t size)
{
    row_t *row = row_make(size);
    for (unsigned i = 0; i < row->count; i++) {
        secret_fill(row->p[i], size);
        row_give_at(row, i);
    }
}

static void after_free(size_t size, size_t others)
{
    row_t *row = row_make(size);
    secret_fill(row_victim(row), size);
    row_give(row);
    others_come_and_go(size, others);
    for (unsigned i = 0; i < TRIES; i++) {
        look(take(size), size);
    }
    finish();
}

static void after_row(size_t size, size_t arg)
{
    leave_secrets(size);
    for (unsigned i = 0; i < TRIES; i++) {
        look((char *)take(size) + arg, size - arg);
    }
    finish();
}

static void behind_request(size_t size, size_t arg)
{
    leave_secrets(malloc_usable_size(take(size)));
    for (unsigned i = 0; i < TRIES; i++) {
        char *p = (char *)take(size);
        size_t usable = malloc_usable_size(p);
        if (usable > size + arg) {
            look(p + size, usable - size);
        }
    }
    finish();
}

static void grown(size_t size, size_t factor)
{
    leave_secrets(size * factor);
    for (unsigned i = 0; i < 16; i++) {
        char *p = (char *)realloc(take(size), opaque_size(size * factor));
        look(p == NULL ? NULL : p + size, size * (factor - 1));
    }
    finish();
}

static void grown_by_flags(size_t size, size_t factor)
{
    NEEDS(rallocx);
    leave_secrets(size * factor);
    for (unsigned i = 0; i < 16; i++) {
        char *p = (char *)rallocx(take(size), opaque_size(size * factor), 0);
        look(p == NULL ? NULL : p + size, size * (factor - 1));
    }
    finish();
}

static void aligned(size_t size, size_t alignment)
{
    leave_secrets(size);
    for (unsigned i = 0; i < 64; i++) {
        look(aligned_alloc(alignment, opaque_size(size)), size);
    }
    finish();
}

static void on_a_page(size_t size, size_t arg)
{
    leave_secrets(size);
    for (unsigned i = 0; i < 64; i++) {
        void *p = NULL;
        if (posix_memalign(&p, 4096, opaque_size(size)) == 0) {
            look((char *)p + arg, size);
        }
    }
    finish();
}

static void by_flags(size_t size, size_t flags)
{
    NEEDS(mallocx);
    leave_secrets(size);
    for (unsigned i = 0; i < TRIES; i++) {
        look(mallocx(opaque_size(size), (int)flags), size);
    }
    finish();
}

/* Their pages come to blocks of another size. */
static void other_class(size_t size, size_t other)
{
    row_t *row = row_make_wide(size, 512 << 10);
    for (unsigned i = 0; i < row->count; i++) {
        secret_fill(row->p[i], size);
        row_give_at(row, i);
    }
    for (size_t i = 0; i < (2 << 20) / other; i++) {
        look(take(other), other);
    }
    finish();
}

static void leave_errand(void *arg)
{
    leave_secrets(*(size_t *)arg);
}

static void other_thread(size_t size, size_t arg)
{
    in_thread(leave_errand, &size);
    for (unsigned i = 0; i < TRIES; i++) {
        look((char *)take(size) + arg, size);
    }
    finish();
}

static void look_errand(void *arg)
{
    size_t size = *(size_t *)arg;
    for (unsigned i = 0; i < TRIES; i++) {
        look(take(size), size);
    }
}

static void in_other_thread(size_t size, size_t arg)
{
    (void)arg;
    leave_secrets(size);
    in_thread(look_errand, &size);
    finish();
}

/* calloc has to be clean whatever was there. */
static void zeroed(size_t size, size_t arg)
{
    leave_secrets(size + arg);
    for (unsigned i = 0; i < 64; i++) {
        look(calloc(1, opaque_size(size)), size);
    }
    finish();
}

static const misuse_case_t cases[] = {
    {"uninit_malloc", after_free, 0, SIZES_ALL, NO_SECRETS},
    {"uninit_malloc_after_64", after_free, 64, SIZES_ALL, NO_SECRETS},
    {"uninit_malloc_after_10000", after_free, 10000, SIZES_FEW, NO_SECRETS},
    {"uninit_row", after_row, 0, SIZES_ALL, NO_SECRETS},
    {"uninit_second_word", after_row, 8, SIZES_16, NO_SECRETS},
    {"uninit_slack", behind_request, 0, SIZES_SLACK, NO_SECRETS},
    {"uninit_realloc_2", grown, 2, SIZES_ALL, NO_SECRETS},
    {"uninit_realloc_3", grown, 3, SIZES_ALL, NO_SECRETS},
    {"uninit_rallocx_2", grown_by_flags, 2, SIZES_ALL, NO_SECRETS},
    {"uninit_aligned_64", aligned, 64, SIZES_ALL, NO_SECRETS},
    {"uninit_aligned_page", on_a_page, 0, SIZES_ALL, NO_SECRETS},
    {"uninit_mallocx", by_flags, 0, SIZES_ALL, NO_SECRETS},
    {"uninit_no_cache", by_flags, WITHOUT_CACHE, SIZES_ALL, NO_SECRETS},
    {"uninit_other_class", other_class, 1536, SIZES_FEW, NO_SECRETS},
    {"uninit_other_large", other_class, 100000, SIZES_FEW, NO_SECRETS},
    {"uninit_of_thread", other_thread, 0, SIZES_ALL, NO_SECRETS},
    {"uninit_in_thread", in_other_thread, 0, SIZES_ALL, NO_SECRETS},
    {"uninit_calloc", zeroed, 0, SIZES_ALL, NO_SECRETS},
};

MISUSE_KIND(uninitialised, "reads of uninitialised memory", cases);
