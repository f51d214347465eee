/*
 * What: see scene.h.
 *
 * Invariants: as there.
 *
 * Locking: as there.
 */
#include "scene.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "verdict.h"

#define ROWS_MAX 3

/* What the next misused block costs: a program's pages stay in memory. */
#define BYTES_MAX ((size_t)32 << 20)

static struct {
    row_t rows[ROWS_MAX];
    unsigned used;
} scene;

/* ---- judgement ---- */

void misuse_harm(const char *what)
{
    if (verdict->harm[0] == '\0') {
        strncpy(verdict->harm, what, sizeof(verdict->harm) - 1);
    }
}

void misuse_harm_if(bool harmed, const char *what)
{
    if (harmed) {
        misuse_harm(what);
    }
}

void misuse_refused(void)
{
    verdict->refused = true;
}

void misuse_lacks(const char *function)
{
    strncpy(verdict->lacks, function, sizeof(verdict->lacks) - 1);
    _Exit(VERDICT_EXIT_LACKS);
}

void misuse_broken(const char *what)
{
    strncpy(verdict->harm, what, sizeof(verdict->harm) - 1);
    _Exit(VERDICT_EXIT_BROKEN);
}

void misuse_expect_fault(const void *p, size_t n)
{
    verdict->wrong_start = (uintptr_t)p;
    verdict->wrong_bytes = n;
}

/* ---- what the compiler must not know ---- */

void *opaque(const void *p)
{
    const void *volatile hidden = p;
    return (void *)(uintptr_t)hidden;
}

size_t opaque_size(size_t size)
{
    volatile size_t hidden = size;
    return hidden;
}

void give(const void *p)
{
    free(opaque(p));
}

/* Never NULL. */
static void *take_by(size_t size, row_alloc_t alloc)
{
    void *p = alloc(opaque_size(size));
    if (p == NULL) {
        misuse_broken("no memory for the scene");
    }
    return p;
}

void *take(size_t size)
{
    return take_by(size, malloc);
}

void wrong_write(void *p, size_t n)
{
    volatile unsigned char *bytes = (unsigned char *)opaque(p);
    misuse_expect_fault(p, n);
    for (size_t i = 0; i < n; i++) {
        bytes[i] = SCENE_WRONG;
    }
    misuse_expect_fault(NULL, 0);
}

void wrong_store(void *p, uintptr_t value)
{
    volatile uintptr_t *word = (uintptr_t *)opaque(p);
    misuse_expect_fault(p, sizeof(*word));
    *word = value;
    misuse_expect_fault(NULL, 0);
}

void wrong_read(const void *p, size_t n)
{
    const volatile unsigned char *bytes = (const unsigned char *)opaque(p);
    misuse_expect_fault(p, n);
    for (size_t i = 0; i < n; i++) {
        (void)bytes[i];
    }
    misuse_expect_fault(NULL, 0);
    rows_check_read(p, n);
}

typedef struct errand {
    void (*run)(void *);
    void *arg;
} errand_t;

static void *run_errand(void *arg)
{
    const errand_t *errand = (const errand_t *)arg;
    errand->run(errand->arg);
    return NULL;
}

void in_thread(void (*run)(void *), void *arg)
{
    pthread_t thread;
    errand_t errand = {run, arg};
    if (pthread_create(&thread, NULL, run_errand, &errand) != 0 ||
        pthread_join(thread, NULL) != 0) {
        misuse_broken("no thread for the scene");
    }
}

/* ---- secrets ---- */

void secret_fill(void *p, size_t n)
{
    memset(opaque(p), SCENE_SECRET, n);
}

bool secret_in(const void *p, size_t n)
{
    const volatile unsigned char *bytes = (const unsigned char *)opaque(p);
    size_t wanted = n < 8 ? n : 8;
    size_t run = 0;
    for (size_t i = 0; i < n && run < wanted; i++) {
        run = bytes[i] == SCENE_SECRET ? run + 1 : 0;
    }
    return run == wanted;
}

/* ---- rows ---- */

/* The j-th byte of the i-th block: 0x80 to 0xbf. */
static unsigned char own_byte(unsigned i, size_t j)
{
    return (unsigned char)(0x80 | ((i * 7 + j + (j >> 6)) & 0x3f));
}

static void fill(unsigned char *p, size_t size, unsigned i)
{
    for (size_t j = 0; j < size; j++) {
        p[j] = own_byte(i, j);
    }
}

/* By address; libc's sort may allocate. */
static void sort(unsigned char **p, unsigned n)
{
    for (unsigned gap = n / 2; gap > 0; gap = gap == 2 ? 1 : gap * 5 / 11) {
        for (unsigned i = gap; i < n; i++) {
            unsigned char *moving = p[i];
            unsigned j = i;
            for (; j >= gap && p[j - gap] > moving; j -= gap) {
                p[j] = p[j - gap];
            }
            p[j] = moving;
        }
    }
}

/* Nearest the middle of those whose neighbours are as near as they get. */
static unsigned choose_victim(const row_t *row)
{
    size_t nearest = SIZE_MAX;
    unsigned best = row->count / 2;
    for (unsigned k = 0; k + 3 < row->count; k++) {
        unsigned i = row->count / 2 + (k % 2 == 0 ? k / 2 : -(k / 2) - 1);
        if (i == 0 || i + 1 >= row->count) {
            continue;
        }
        size_t behind = (size_t)(row->p[i + 1] - row->p[i]);
        size_t before = (size_t)(row->p[i] - row->p[i - 1]);
        size_t distance = behind > before ? behind : before;
        if (distance < nearest) {
            nearest = distance;
            best = i;
        }
    }
    return best;
}

static row_t *row_fill(size_t size, unsigned count, row_alloc_t alloc)
{
    if (scene.used == ROWS_MAX || count > ROW_MAX) {
        misuse_broken("the scene has too many blocks");
    }
    row_t *row = &scene.rows[scene.used++];
    row->size = size;
    row->count = count;
    for (unsigned i = 0; i < count; i++) {
        row->p[i] = (unsigned char *)take_by(size, alloc);
    }
    sort(row->p, count);
    for (unsigned i = 0; i < count; i++) {
        fill(row->p[i], size, i);
    }
    row->victim = choose_victim(row);
    return row;
}

/* How many blocks a case looks at. */
static unsigned usual_count(size_t size)
{
    return size <= 1024 ? 64 : size <= 4096 ? 32 : size <= 20000 ? 16 : 8;
}

row_t *row_make_by(size_t size, row_alloc_t alloc)
{
    return row_fill(size, usual_count(size), alloc);
}

row_t *row_make(size_t size)
{
    return row_make_by(size, malloc);
}

row_t *row_make_wide(size_t size, size_t bytes)
{
    unsigned count = (unsigned)(2 * bytes / size) + 8;
    unsigned usual = usual_count(size);
    return row_fill(size, count > usual ? count : usual, malloc);
}

row_t *row_more(size_t size, unsigned count)
{
    return row_fill(size, count, malloc);
}

unsigned char *row_victim(const row_t *row)
{
    return row->p[row->victim];
}

unsigned char *row_next(const row_t *row)
{
    return row->p[row->victim + 1];
}

unsigned char *row_drop(row_t *row)
{
    row->state[row->victim] = ROW_GONE;
    return row_victim(row);
}

unsigned char *row_write(row_t *row)
{
    row->state[row->victim] = ROW_LIVE;
    return row_victim(row);
}

unsigned char *row_give_at(row_t *row, unsigned i)
{
    row->state[i] = ROW_GONE;
    give(row->p[i]);
    return row->p[i];
}

unsigned char *row_give(row_t *row)
{
    return row_give_at(row, row->victim);
}

static bool is_changed(const volatile unsigned char *p, size_t size, unsigned i)
{
    for (size_t j = 0; j < size; j++) {
        if (p[j] != own_byte(i, j)) {
            return true;
        }
    }
    return false;
}

unsigned char *take_again(const void *p, size_t size, size_t tries)
{
    size_t most = BYTES_MAX / size;
    tries = tries < most ? tries : most;
    for (size_t i = 0; i < tries; i++) {
        unsigned char *q = (unsigned char *)take(size);
        if (q == p) {
            fill(q, size, 0);
            return q;
        }
    }
    return NULL;
}

void check_taken(const unsigned char *p, size_t size)
{
    misuse_harm_if(
        is_changed(p, size, 0), "the bytes of the block's next owner changed");
}

void check_calloc(size_t size)
{
    for (unsigned i = 0; i < 16; i++) {
        unsigned char *p = (unsigned char *)calloc(1, opaque_size(size));
        if (p == NULL) {
            misuse_harm("calloc fails from now on");
            return;
        }
        for (size_t j = 0; j < size; j++) {
            misuse_harm_if(p[j] != 0, "calloc returned memory that is not 0");
        }
        misuse_harm_if(rows_touch(p, size), "two live blocks overlap");
    }
}

void rows_check(void)
{
    for (const row_t *row = scene.rows; row < scene.rows + scene.used; row++) {
        for (unsigned i = 0; i < row->count; i++) {
            misuse_harm_if(row->state[i] == ROW_KEPT &&
                               is_changed(row->p[i], row->size, i),
                "the bytes of another live block changed");
        }
    }
}

/* The i-th block is live and has a byte in common with [p, p + n). */
static bool touches(const row_t *row, unsigned i, uintptr_t p, size_t n)
{
    uintptr_t start = (uintptr_t)row->p[i];
    return row->state[i] != ROW_GONE && p < start + row->size && start < p + n;
}

bool rows_touch(const void *p, size_t n)
{
    for (const row_t *row = scene.rows; row < scene.rows + scene.used; row++) {
        for (unsigned i = 0; i < row->count; i++) {
            if (touches(row, i, (uintptr_t)p, n)) {
                return true;
            }
        }
    }
    return false;
}

void rows_check_read(const void *p, size_t n)
{
    misuse_harm_if(rows_touch(p, n), "the bytes of another live block "
                                     "were read");
}

/* ---- what comes after ---- */

#define MORE_MAX 128

static void check_apart(unsigned char **p, unsigned count, size_t size)
{
    sort(p, count);
    for (unsigned i = 0; i < count; i++) {
        misuse_harm_if(
            i + 1 < count && p[i] + size > p[i + 1], "two live blocks overlap");
        misuse_harm_if(rows_touch(p[i], size), "two live blocks overlap");
        misuse_harm_if((uintptr_t)p[i] % (size < 16 ? 8 : 16) != 0,
            "malloc returned a misaligned block");
    }
}

void go_on(size_t size)
{
    static unsigned char *p[MORE_MAX];
    unsigned count = usual_count(size) * 2;
    for (unsigned i = 0; i < count; i++) {
        p[i] = (unsigned char *)malloc(opaque_size(size));
        if (p[i] == NULL) {
            misuse_harm("malloc fails from now on");
            return;
        }
    }
    check_apart(p, count, size);
    for (unsigned i = 0; i < count; i++) {
        fill(p[i], size, i);
    }
    rows_check();
    for (unsigned i = 0; i < count; i++) {
        give(p[i]);
    }
}

void finish(void)
{
    misuse_expect_fault(NULL, 0);
    rows_check();
    for (row_t *row = scene.rows; row < scene.rows + scene.used; row++) {
        for (unsigned i = 0; i < row->count; i++) {
            if (row->state[i] != ROW_GONE) {
                row_give_at(row, i);
            }
        }
    }
    for (unsigned i = 0; i < scene.used; i++) {
        go_on(scene.rows[i].size);
    }
}

void others_come_and_go(size_t size, size_t n)
{
    static void *p[10000];
    size_t most = BYTES_MAX / size;
    n = n < most ? n : most;
    for (size_t i = 0; i < n; i++) {
        p[i] = take(size);
    }
    for (size_t i = 0; i < n; i++) {
        give(p[i]);
    }
}
