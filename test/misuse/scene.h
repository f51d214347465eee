/*
 * What: what the cases of misuse have in common: rows of live blocks around
 * the one that is misused, wrong accesses that the compiler cannot see
 * through, the judgement whether anybody was harmed, and what a program does
 * afterwards.
 *
 * A case makes a row, commits its misuse, and finishes. Harm is whatever
 * misuse_harm was told of; a case that ends without it had no effect. Both
 * are said only after the process has gone on: blocks are freed, some more of
 * that size are taken, and the process exits as usual. A library that
 * notices by then has stopped the misuse.
 *
 * Invariants: (I1) nothing here allocates but what a case asks for; (I2) a
 * block of a row that is live holds its own bytes, none of which is
 * SCENE_WRONG, SCENE_SECRET or 0; (I3) nothing depends on time or chance.
 *
 * Locking: none; threads of a case run one after another.
 */
#ifndef MISUSE_SCENE_H
#define MISUSE_SCENE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- cases ---- */

/* Block sizes that cases run with, one bit each in `sizes`. */
#define SCENE_SIZES                                                            \
    8, 16, 24, 64, 100, 512, 1024, 4000, 4096, 10000, 20000, 65536, 300000
#define SIZES_ALL   0x1fff
#define SIZES_ONE   0x0008 /* 64: the size plays no part */
#define SIZES_SMALL 0x01ff /* to 4096 */
#define SIZES_BIG   0x1e00 /* from 10000 */
#define SIZES_FEW   0x1948 /* 64, 1024, 4096, 65536, 300000 */
#define SIZES_SOME  0x0148 /* 64, 1024, 4096: their rows lie in one piece */
#define SIZES_16    0x1ffe /* from 16 */
#define SIZES_64    0x1ff8 /* from 64 */
#define SIZES_4096  0x1f00 /* from 4096 */
#define SIZES_SLACK 0x1e94 /* those that are no size class of ours */

typedef struct misuse_case {
    const char *name;
    void (*run)(size_t size, size_t arg);
    size_t arg;
    unsigned sizes;
    const char *harmless; /* what "no effect" means */
} misuse_case_t;

typedef struct misuse_kind {
    const char *name;
    const char *title;
    const misuse_case_t *cases;
    size_t count;
} misuse_kind_t;

#define MISUSE_KIND(name, title, cases)                                        \
    const misuse_kind_t misuse_##name = {                                      \
        #name, title, cases, sizeof(cases) / sizeof((cases)[0])}

/* What a driver holds, up to NULL. */
extern const misuse_kind_t *const misuse_kinds[];

/* ---- judgement ---- */

/* Somebody was harmed; the first word counts. */
void misuse_harm(const char *what);
void misuse_harm_if(bool harmed, const char *what);

/* The library refused a request that nobody can serve. */
void misuse_refused(void);

/* A case that cannot be played: the library lacks the function. */
__attribute__((noreturn)) void misuse_lacks(const char *function);
__attribute__((noreturn)) void misuse_broken(const char *what);

#define NEEDS(function)                                                        \
    do {                                                                       \
        if ((function) == NULL) {                                              \
            misuse_lacks(#function);                                           \
        }                                                                      \
    } while (0)

/* What a fault has to lie in, to be the wrong access itself. */
void misuse_expect_fault(const void *p, size_t n);

/* ---- what the compiler must not know ---- */

void *opaque(const void *p);
size_t opaque_size(size_t size);

/* free(p), of whatever p is. */
void give(const void *p);

/* malloc(size), never NULL. */
void *take(size_t size);

/* Writes, or reads, n bytes that are not the caller's. */
#define SCENE_WRONG 0x11
void wrong_write(void *p, size_t n);
void wrong_store(void *p, uintptr_t value);
void wrong_read(const void *p, size_t n);

void in_thread(void (*run)(void *), void *arg);

/* ---- secrets ---- */

#define SCENE_SECRET 0xe5
void secret_fill(void *p, size_t n);

/* Eight of its bytes in a row (or all, if there are fewer) are there. */
bool secret_in(const void *p, size_t n);

/* ---- rows ---- */

#define ROW_MAX (1 << 19)

typedef struct row {
    size_t size;
    unsigned count;
    unsigned victim;           /* in the middle, its neighbours near */
    unsigned char *p[ROW_MAX]; /* by address */
    unsigned char state[ROW_MAX];
} row_t;

/* Of a block: live with its own bytes, live with any bytes, not ours. */
enum { ROW_KEPT, ROW_LIVE, ROW_GONE };

typedef void *(*row_alloc_t)(size_t size);

/* As many blocks as fit the size, from malloc; there are three rows. */
row_t *row_make(size_t size);
row_t *row_make_by(size_t size, row_alloc_t alloc);

/* With at least so many bytes of blocks on each side of the victim. */
row_t *row_make_wide(size_t size, size_t bytes);

unsigned char *row_victim(const row_t *row);
unsigned char *row_next(const row_t *row); /* the block behind the victim */

/* The victim is another's from now on: no check, no free. */
unsigned char *row_drop(row_t *row);

/* The victim may have any bytes from now on. */
unsigned char *row_write(row_t *row);

/* Frees the victim, or another block, and returns where it was. */
unsigned char *row_give(row_t *row);
unsigned char *row_give_at(row_t *row, unsigned i);

/* More blocks, as a row that others are checked against. */
row_t *row_more(size_t size, unsigned count);

/* Takes blocks of that size until it is p, which gets own bytes; or NULL. */
unsigned char *take_again(const void *p, size_t size, size_t tries);

/* Harm if what take_again gave has other bytes now. */
void check_taken(const unsigned char *p, size_t size);

/* Some blocks from calloc, which must be zero and nobody else's. */
void check_calloc(size_t size);

/* Live blocks of all rows still have their own bytes. */
void rows_check(void);

/* A block of a row that was read by accident, from a place of another. */
void rows_check_read(const void *p, size_t n);

/* Whether [p, p + n) has a byte in common with a live block of a row. */
bool rows_touch(const void *p, size_t n);

/* Takes blocks, which must be apart from all others, and frees them. */
void go_on(size_t size);

/* Check, free all rows, go on: the end of nearly every case. */
void finish(void);

/* Frees n other blocks of that size, as far as memory allows. */
void others_come_and_go(size_t size, size_t n);

/* ---- functions that a library may lack ---- */

void *mallocx(size_t size, int flags) __attribute__((weak));
void *rallocx(void *p, size_t size, int flags) __attribute__((weak));
size_t xallocx(void *p, size_t size, size_t extra, int flags)
    __attribute__((weak));
size_t sallocx(const void *p, int flags) __attribute__((weak));
size_t nallocx(size_t size, int flags) __attribute__((weak));
void dallocx(void *p, int flags) __attribute__((weak));
void sdallocx(void *p, size_t size, int flags) __attribute__((weak));
void free_sized(void *p, size_t size) __attribute__((weak));
void free_aligned_sized(void *p, size_t alignment, size_t size)
    __attribute__((weak));
void *pvalloc(size_t size) __attribute__((weak));
int mallctl(const char *name, void *oldp, size_t *oldlenp, void *newp,
    size_t newlen) __attribute__((weak));

/* Flags of the above. */
#define WITHOUT_CACHE 0x100
#define ALIGNED_4096  12

#ifdef __cplusplus
}
#endif

#endif
