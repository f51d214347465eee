/*
 * What: see api_model.h.
 *
 * Invariants: as there.
 *
 * Locking: as there.
 */
#include "api_model.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define JEMALLOC_NO_DEMANGLE
#include "jemalloc/jemalloc.h"

#include "api_plant.h"
#include "arena/guarded.h"
#include "conf/sizeclass.h"

#define PAGE_BYTES ((size_t)4096)
#define SMALL_MAX  ((size_t)14336)
#define JUNK_BYTE  0xa5
/* Every large block begins at a multiple of it. */
#define LARGE_ALIGNMENT 64
/* And every block whose size is exact. */
#define EXACT_ALIGNMENT 16
/* Bytes read and written at each power of two in a large block. */
#define PROBE_BYTES 64

static char complaint[512];
static atomic_int complaints;

const char *model_complaint(void)
{
    return atomic_load(&complaints) == 2 ? complaint : NULL;
}

void model_complain(const char *fmt, ...)
{
    int none = 0;
    if (!atomic_compare_exchange_strong(&complaints, &none, 1)) {
        return;
    }
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(complaint, sizeof(complaint), fmt, ap);
    va_end(ap);
    atomic_store(&complaints, 2);
    fprintf(stderr, "does not hold: %s\n", complaint);
#ifdef JE_LIBFUZZER
    abort();
#endif
}

/* ---- contents ---- */

static uint64_t word_at(uint64_t pattern, size_t offset)
{
    return pattern + offset / 8 * 0x9e3779b97f4a7c15u;
}

typedef void window_fn_t(const model_block_t *b, size_t from, size_t to);

static void write_window(const model_block_t *b, size_t from, size_t to)
{
    for (size_t at = from; at < to; at += 8) {
        uint64_t word = word_at(b->pattern, at);
        memcpy(b->p + at, &word, to - at < 8 ? to - at : 8);
    }
}

static void check_window(const model_block_t *b, size_t from, size_t to)
{
    for (size_t at = from; at < to; at += 8) {
        uint64_t word = word_at(b->pattern, at);
        if (memcmp(b->p + at, &word, to - at < 8 ? to - at : 8) != 0) {
            model_complain("block %p (size %zu, usable %zu, aligned %zu) "
                           "changed at byte %zu",
                (void *)b->p, b->size, b->usable, b->alignment, at);
            return;
        }
    }
}

/* The places of a block that are written, as far as they lie below limit. */
static void each_window(const model_block_t *b, size_t limit, window_fn_t *fn)
{
    if (b->usable <= MODEL_WHOLE_BYTES) {
        fn(b, 0, limit < b->usable ? limit : b->usable);
        return;
    }
    fn(b, 0, limit < PAGE_BYTES ? limit : PAGE_BYTES);
    for (size_t at = 2 * PAGE_BYTES; at < b->usable - PROBE_BYTES; at *= 2) {
        if (at + PROBE_BYTES <= limit) {
            fn(b, at, at + PROBE_BYTES);
        }
    }
    if (limit >= b->usable) {
        fn(b, (b->usable - PAGE_BYTES) & ~(size_t)7, b->usable);
    }
}

/* A range whose bytes are all the same; in places, if it is large. */
static void check_bytes(const model_block_t *b, size_t from, size_t to,
    unsigned char byte, const char *what)
{
    for (size_t at = from; at < to; at++) {
        if (at - from == MODEL_WHOLE_BYTES && to - at > 2 * PAGE_BYTES) {
            at = to - PAGE_BYTES;
        }
        if (b->p[at] != byte) {
            model_complain("byte %zu of block %p (size %zu, usable %zu), "
                           "which should be %s from %zu on, is %#x",
                at, (void *)b->p, b->size, b->usable, what, from,
                (unsigned)b->p[at]);
            return;
        }
    }
}

/* What options and flags promise of memory that was not in use before. */
static void check_fresh(
    const model_t *m, const model_block_t *b, size_t from, bool zero)
{
    if (zero || m->zero) {
        check_bytes(b, from, b->usable, 0, "zero");
    } else if (m->junk) {
        check_bytes(b, from, b->usable, JUNK_BYTE, "junk");
    }
}

/* ---- places and sizes ---- */

const model_block_t *model_overlap(
    const model_t *m, const void *p, size_t bytes)
{
    uintptr_t low = (uintptr_t)p;
    for (unsigned i = 0; i < m->count; i++) {
        const model_block_t *b = &m->blocks[i];
        uintptr_t start = (uintptr_t)b->p;
        if (low < start + b->usable && start < low + bytes) {
            return b;
        }
    }
    return NULL;
}

static size_t natural_alignment(bool exact, size_t usable)
{
    if (exact) {
        return usable < EXACT_ALIGNMENT ? 1 : EXACT_ALIGNMENT;
    }
    size_t lowest = usable & (~usable + 1);
    if (usable > SMALL_MAX) {
        return LARGE_ALIGNMENT;
    }
    return lowest < PAGE_BYTES ? lowest : PAGE_BYTES;
}

static void check_place(const model_t *m, const model_block_t *b)
{
    size_t natural =
        natural_alignment(m->exact || guarded_has(b->p), b->usable);
    size_t alignment = b->alignment > natural ? b->alignment : natural;
    if (((uintptr_t)b->p & (alignment - 1)) != 0) {
        model_complain("block %p (size %zu, usable %zu) is no multiple of %zu",
            (void *)b->p, b->size, b->usable, alignment);
    }
    const model_block_t *other = model_overlap(m, b->p, b->usable);
    if (other != NULL) {
        model_complain("block %p (size %zu, usable %zu) overlaps the block %p "
                       "(size %zu, usable %zu)",
            (void *)b->p, b->size, b->usable, (void *)other->p, other->size,
            other->usable);
    }
}

static void check_usable(const model_block_t *b, size_t expected)
{
    size_t usable = je_malloc_usable_size(b->p);
    size_t same = je_sallocx(b->p, 0);
    usable += PLANTED(PLANT_USABLE) ? 8 : 0;
    if (usable != expected || same != expected || usable < b->size) {
        model_complain("block %p (size %zu, aligned %zu): malloc_usable_size "
                       "%zu, sallocx %zu, promised %zu",
            (void *)b->p, b->size, b->alignment, usable, same, expected);
    }
}

/* A block of no bytes has none; but who says how to align it gets a byte. */
static size_t promised_usable(const model_t *m, const model_answer_t *a)
{
    if (m->exact && a->size == 0 && a->alignment == 0) {
        return 0;
    }
    size_t size = a->size == 0 ? 1 : a->size;
    if (!m->exact && guarded_is_on()) {
        /* Of what is not guarded more can be used than anybody says. */
        return guarded_has(a->p) ? a->size
                                 : sizeclass_usize_aligned(size, a->alignment);
    }
    return je_nallocx(size, a->alignment > 1 ? MALLOCX_ALIGN(a->alignment) : 0);
}

size_t model_counted(const model_block_t *b)
{
    return guarded_has(b->p) ? sizeclass_usize_aligned(
                                   b->size == 0 ? 1 : b->size, b->alignment)
                             : b->usable;
}

/* ---- life of a block ---- */

static void insert(model_t *m, model_block_t *b)
{
    b->pattern = ++m->patterns * 0xd6e8feb86659fd93u;
    each_window(b, b->usable, write_window);
    m->live_bytes += model_counted(b);
    m->blocks[m->count++] = *b;
}

static model_block_t block_of(const model_t *m, const model_answer_t *a)
{
    return (model_block_t){.p = a->p,
        .size = a->size,
        .usable = promised_usable(m, a),
        .alignment = a->alignment};
}

void model_add(model_t *m, const model_answer_t *answer)
{
    model_block_t b = block_of(m, answer);
    check_usable(&b, b.usable);
    if (PLANTED(PLANT_TWICE) && m->count > 0) {
        b.p = m->blocks[0].p;
        b.usable = m->blocks[0].usable;
    }
    b.p += PLANTED(PLANT_ALIGNMENT) ? 8 : 0;
    check_place(m, &b);
    if (PLANTED(PLANT_DIRTY) && answer->zero) {
        b.p[b.usable - 1] = 1;
    }
    check_fresh(m, &b, 0, answer->zero);
    if (model_complaint() == NULL) {
        insert(m, &b);
    }
}

model_block_t model_take(model_t *m, unsigned index)
{
    model_block_t b = m->blocks[index];
    each_window(&b, b.usable, check_window);
    m->blocks[index] = m->blocks[--m->count];
    m->live_bytes -= model_counted(&b);
    return b;
}

void model_put_back(model_t *m, const model_block_t *old)
{
    check_usable(old, old->usable);
    each_window(old, old->usable, check_window);
    m->live_bytes += model_counted(old);
    m->blocks[m->count++] = *old;
}

static void settle(
    model_t *m, const model_block_t *old, model_block_t *b, bool zero)
{
    model_block_t kept = *old;
    kept.p = b->p;
    check_usable(b, b->usable);
    check_place(m, b);
    if (PLANTED(PLANT_RESIZED)) {
        b->p[0] ^= 1;
    }
    each_window(
        &kept, old->usable < b->usable ? old->usable : b->usable, check_window);
    if (old->usable < b->usable) {
        check_fresh(m, b, old->usable, zero);
    }
    if (model_complaint() == NULL) {
        insert(m, b);
    }
}

void model_resized(
    model_t *m, const model_block_t *old, const model_answer_t *answer)
{
    model_block_t b = block_of(m, answer);
    settle(m, old, &b, answer->zero);
}

void model_resized_in_place(
    model_t *m, const model_block_t *old, size_t usable, bool zero)
{
    model_block_t b = *old;
    if (usable != old->usable) {
        b.size = usable;
        b.alignment = 0;
    }
    b.usable = usable;
    settle(m, old, &b, zero);
}

void model_touch(model_t *m)
{
    if (PLANTED(PLANT_CONTENTS) && m->count > 0) {
        m->blocks[m->count / 2].p[0] ^= 1;
    }
    for (unsigned n = m->count; n > 0; n--) {
        model_block_t b = model_take(m, 0);
        check_usable(&b, b.usable);
        insert(m, &b);
    }
}
