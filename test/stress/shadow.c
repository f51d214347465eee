/*
 * What: random calls of every allocating and freeing entry point from many
 * threads, checked against a shadow model: each live block has a record of
 * its address, sizes and contents, and no two live blocks may share a byte.
 * Compiled twice: with the public names, and (JEMALLOC_NO_RENAME) with the
 * je_ names of the library that sanitizer builds test.
 *
 *   shadow [seconds] [-t threads] [-r seed] [-m max live MiB] [-n operations]
 *          [-p planted bug]
 *
 * The seconds may also come from the environment variable T.
 *
 * Invariants: (I1) the shadow never uses the allocator under test: all of its
 * memory comes from mmap; (I2) a granule's bit in the map is set from after
 * the allocation until before the free, so a set bit met while setting means
 * an overlap; (I3) the same seed gives each worker the same sequence of
 * decisions; what threads hand to each other still depends on timing;
 * (I4) with -p the named bug is planted, and the run must fail.
 *
 * Locking: each worker's mailbox has a mutex; the map is a lock-free bitmap;
 * everything else belongs to one worker.
 */
#undef _GNU_SOURCE
#define _GNU_SOURCE
#define JEMALLOC_NO_DEMANGLE

#include "jemalloc/jemalloc.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define WORKERS_MAX    64
#define BLOCKS_MAX     16384 /* records of one worker */
#define MAILBOX_BLOCKS 128
#define ARENAS         3
#define PAGE           ((size_t)4096)
#define SMALL_MAX      ((size_t)14336)
#define LARGE_MIN      ((size_t)16384)

/* Blocks up to this size are checked whole at each touch. */
#define CHECK_WHOLE_BYTES ((size_t)4096)
/* Larger ones at their edges, and whole once in so many touches. */
#define CHECK_WHOLE_ONE_IN 8
#define EDGE_BYTES         ((size_t)512)

/* Operations after which a worker's thread ends and another continues. */
#define LIFE_OPERATIONS 20000

/* One leaf of the map covers a GiB of addresses, a bit for 8 bytes. */
#define LEAF_ADDRESS_BITS 30
#define ROOT_ENTRIES      ((size_t)1 << (48 - LEAF_ADDRESS_BITS))
#define LEAF_WORDS        (((size_t)1 << LEAF_ADDRESS_BITS) / 8 / 64)

typedef struct {
    char *p;
    size_t size;      /* as asked for */
    size_t usable;    /* as the allocator said */
    size_t alignment; /* 0 = none asked for */
    uint64_t pattern; /* seed of the contents */
} block_t;

typedef struct {
    unsigned index;
    pthread_t thread;
    uint64_t random;
    uint64_t operations;
    const char *operation;
    block_t *blocks;
    size_t nblocks;
    size_t live_bytes;
    size_t live_target; /* changes now and then, so memory ebbs and flows */
    unsigned tcache;    /* explicit cache of the present thread */
    pthread_mutex_t lock;
    block_t mailbox[MAILBOX_BLOCKS];
    size_t mail;
} worker_t;

static struct {
    _Atomic(_Atomic uint64_t *) *root;
    worker_t *workers;
    unsigned nworkers;
    unsigned arenas[ARENAS];
    uint64_t seed;
    unsigned weights; /* of all operations together */
    uint64_t operations_max;
    double seconds;
    size_t live_max;
    const char *plant;
    double deadline;
    atomic_bool failed;
    bool exact;  /* usable is what was asked for */
    bool caches; /* threads have caches */
} shadow = {
    .nworkers = 4, .seconds = 5, .live_max = (size_t)256 << 20, .plant = ""};

/* ------------------------------------------------------------ reporting */

static _Thread_local worker_t *self;

__attribute__((format(printf, 1, 2), noreturn)) static void fail(
    const char *fmt, ...)
{
    char text[1024];
    int n = 0;
    va_list ap;

    if (atomic_exchange(&shadow.failed, true)) {
        pause(); /* Another thread is reporting and will end the process. */
    }
    if (self != NULL) {
        n = snprintf(text, sizeof(text),
            "shadow: FAILED seed %llu worker %u operation %llu (%s): ",
            (unsigned long long)shadow.seed, self->index,
            (unsigned long long)self->operations, self->operation);
    }
    va_start(ap, fmt);
    n += vsnprintf(text + n, sizeof(text) - (size_t)n - 1, fmt, ap);
    va_end(ap);
    text[n < 1023 ? n : 1022] = '\n';
    ssize_t written = write(2, text, (size_t)(n < 1023 ? n : 1022) + 1);
    _exit(written > 0 ? 1 : 2);
}

static void *pages(size_t bytes)
{
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) {
        fail("no %zu bytes for the shadow", bytes);
    }
    return p;
}

static double now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* ------------------------------------------------------------- chances */

static uint64_t random_u64(void)
{
    uint64_t z = (self->random += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static size_t below(size_t limit)
{
    return (size_t)(random_u64() % limit);
}

static bool one_in(size_t n)
{
    return below(n) == 0;
}

/* A size class's edge, or near it, or anything, within [low, high]. */
static size_t random_size_in(size_t low, size_t high)
{
    size_t size = low + below(high - low + 1);
    if (one_in(2)) {
        size_t power = (size_t)1 << (63 - __builtin_clzll(size | 8));
        size = power + power / 4 * below(5);
        size += below(3);
        size -= size > 1 ? 1 : 0;
    }
    return size < low ? low : size > high ? high : size;
}

static size_t random_size(void)
{
    size_t dice = below(1000);
    if (dice < 600) {
        return random_size_in(1, 512);
    }
    if (dice < 900) {
        return random_size_in(512, SMALL_MAX);
    }
    if (dice < 988) {
        return random_size_in(SMALL_MAX, (size_t)128 << 10);
    }
    if (dice < 998) {
        return random_size_in((size_t)128 << 10, (size_t)1 << 20);
    }
    return random_size_in((size_t)1 << 20, (size_t)9 << 20);
}

static size_t random_alignment(void)
{
    return (size_t)1 << (one_in(10) ? below(19) : below(13));
}

/* --------------------------------------------------------- the byte map */

static _Atomic uint64_t *map_leaf(uintptr_t address)
{
    size_t index = address >> LEAF_ADDRESS_BITS;
    if (index >= ROOT_ENTRIES) {
        fail("address %#zx has more than 48 bits", (size_t)address);
    }
    _Atomic uint64_t *leaf = atomic_load(&shadow.root[index]);
    if (leaf == NULL) {
        _Atomic uint64_t *fresh = pages(LEAF_WORDS * sizeof(*fresh));
        if (atomic_compare_exchange_strong(&shadow.root[index], &leaf, fresh)) {
            return fresh;
        }
        munmap((void *)fresh, LEAF_WORDS * sizeof(*fresh));
    }
    return leaf;
}

/* Sets or clears the bits of a block; all must have been the other way. */
static void map_change(const block_t *block, bool live)
{
    uintptr_t at = (uintptr_t)block->p, end = at + (block->usable + 7) / 8 * 8;

    while (at < end) {
        _Atomic uint64_t *leaf = map_leaf(at);
        size_t granule = (at & (((size_t)1 << LEAF_ADDRESS_BITS) - 1)) / 8;
        size_t bit = granule % 64;
        size_t count = (end - at) / 8 < 64 - bit ? (end - at) / 8 : 64 - bit;
        uint64_t mask =
            (count == 64 ? ~(uint64_t)0 : (((uint64_t)1 << count) - 1)) << bit;
        uint64_t before = live ? atomic_fetch_or(&leaf[granule / 64], mask)
                               : atomic_fetch_and(&leaf[granule / 64], ~mask);
        if (live && (before & mask) != 0) {
            fail("block %p of %zu bytes overlaps a live block at %p",
                (void *)block->p, block->usable,
                (void *)(at +
                         8 * (size_t)__builtin_ctzll((before & mask) >> bit)));
        }
        if (!live && (before & mask) != mask) {
            fail("the shadow lost block %p of %zu bytes at %#zx",
                (void *)block->p, block->usable, (size_t)at);
        }
        at += count * 8;
    }
}

/* ------------------------------------------------------------- contents */

static uint64_t pattern_word(uint64_t pattern, size_t index)
{
    return pattern + index * 0x9e3779b97f4a7c15u;
}

static void pattern_write(block_t *block)
{
    uint64_t *words = (uint64_t *)(void *)block->p;
    block->pattern = random_u64();
    for (size_t i = 0; i < block->usable / 8; i++) {
        words[i] = pattern_word(block->pattern, i);
    }
    uint64_t last = pattern_word(block->pattern, block->usable / 8);
    memcpy(&words[block->usable / 8], &last, block->usable % 8);
}

static void pattern_check_range(const block_t *block, size_t from, size_t to)
{
    for (size_t at = from; at < to; at += 8) {
        uint64_t expected = pattern_word(block->pattern, at / 8), got;
        size_t n = to - at < 8 ? to - at : 8;
        memcpy(&got, block->p + at, n);
        if (memcmp(&got, &expected, n) != 0) {
            memcpy((char *)&got + n, (char *)&expected + n, 8 - n);
            fail("contents of %p (size %zu usable %zu) changed at byte %zu:"
                 " expected %#llx got %#llx",
                (void *)block->p, block->size, block->usable, at,
                (unsigned long long)expected, (unsigned long long)got);
        }
    }
}

/* The first `bytes` of the block must be as written. */
static void pattern_check(const block_t *block, size_t bytes)
{
    if (bytes <= CHECK_WHOLE_BYTES || one_in(CHECK_WHOLE_ONE_IN)) {
        pattern_check_range(block, 0, bytes);
        return;
    }
    size_t middle = below(bytes - 8) & ~(size_t)7;
    pattern_check_range(block, 0, EDGE_BYTES);
    pattern_check_range(block, middle, middle + 8);
    pattern_check_range(block, (bytes - EDGE_BYTES) & ~(size_t)7, bytes);
}

static void zero_check(const char *p, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++) {
        if (p[i] != 0) {
            fail("byte %zu of %p, which should be zero up to %zu, is %#x", i,
                (const void *)p, to, (unsigned)(unsigned char)p[i]);
        }
    }
}

/* -------------------------------------------------------- planted bugs */

static bool planted(const char *name)
{
    return strcmp(shadow.plant, name) == 0 && one_in(100);
}

/* What a broken allocator might have answered instead of `p`. */
static char *plant_address(char *p, size_t usable)
{
    if (p != NULL && self->nblocks > 0 && planted("overlap")) {
        block_t *victim = &self->blocks[below(self->nblocks)];
        return usable <= victim->usable ? victim->p : p;
    }
    if (p != NULL && usable > 64 && planted("alignment")) {
        return p + 8;
    }
    if (p != NULL && self->nblocks > 0 && planted("contents")) {
        self->blocks[below(self->nblocks)].p[0] ^= 1;
    }
    return p;
}

/* ----------------------------------------------------- block life cycle */

static size_t natural_alignment(size_t usable)
{
    size_t lowest = usable & (~usable + 1);
    if (shadow.exact) {
        return usable < 16 ? 1 : 16;
    }
    if (usable > SMALL_MAX) {
        return 64;
    }
    return lowest < PAGE ? lowest : PAGE;
}

static void check_address(const block_t *block)
{
    size_t natural = natural_alignment(block->usable);
    size_t alignment = block->alignment > natural ? block->alignment : natural;
    if (((uintptr_t)block->p & (alignment - 1)) != 0) {
        fail("block %p of %zu bytes (usable %zu) is not aligned to %zu",
            (void *)block->p, block->size, block->usable, alignment);
    }
}

static void check_usable(block_t *block, size_t expected)
{
    size_t usable = je_malloc_usable_size(block->p);
    size_t same = je_sallocx(block->p, 0);
    if (planted("usable")) {
        usable += 8;
    }
    if (usable != expected || same != expected || usable < block->size ||
        (usable % 8 != 0 && !shadow.exact)) {
        fail("block %p of %zu bytes aligned %zu: malloc_usable_size %zu,"
             " sallocx %zu, expected %zu",
            (void *)block->p, block->size, block->alignment, usable, same,
            expected);
    }
    block->usable = usable;
}

static size_t expected_usable(size_t size, size_t alignment)
{
    int flags = alignment > 1 ? MALLOCX_ALIGN(alignment) : 0;
    return je_nallocx(size == 0 ? 1 : size, flags);
}

/* Takes a fresh block into the model; `zeroed` bytes of it must be zero. */
static void block_add(void *p, size_t size, size_t alignment, size_t zeroed)
{
    block_t block = {.p = p, .size = size, .alignment = alignment};

    if (p == NULL) {
        fail("no memory for %zu bytes aligned to %zu, %zu bytes live: %s", size,
            alignment, self->live_bytes, strerror(errno));
    }
    size_t usable =
        size == 0 && shadow.exact ? 0 : expected_usable(size, alignment);
    check_usable(&block, usable);
    block.p = plant_address(block.p, usable);
    check_address(&block);
    map_change(&block, true);
    zeroed = zeroed < usable ? zeroed : usable;
    if (zeroed > 0 && planted("zero")) {
        block.p[below(zeroed)] = 1;
    }
    zero_check(block.p, 0, zeroed);
    pattern_write(&block);
    self->live_bytes += block.usable;
    self->blocks[self->nblocks++] = block;
}

/* Takes a random block out of the model, checked and unmapped. */
static block_t block_take(void)
{
    size_t i = below(self->nblocks);
    block_t block = self->blocks[i];
    self->blocks[i] = self->blocks[--self->nblocks];
    self->live_bytes -= block.usable;
    pattern_check(&block, block.usable);
    map_change(&block, false);
    return block;
}

/* Puts a block back whose memory changed from `old` by a resizing call. */
static void block_resized(
    const block_t *old, void *p, size_t size, size_t alignment, bool zeroed)
{
    block_t block = *old;

    if (p == NULL) {
        fail("no memory to resize %p from %zu to %zu bytes aligned to %zu",
            (void *)old->p, old->usable, size, alignment);
    }
    block.p = p;
    block.size = size;
    block.alignment = alignment;
    check_usable(&block, expected_usable(size, alignment));
    check_address(&block);
    map_change(&block, true);
    if (planted("realloc")) {
        block.p[0] ^= 1;
    }
    pattern_check(&block, old->usable < size ? old->usable : size);
    if (zeroed && old->usable < block.usable) {
        zero_check(block.p, old->usable, block.usable);
    }
    pattern_write(&block);
    self->live_bytes += block.usable;
    self->blocks[self->nblocks++] = block;
}

/* --------------------------------------------------------- allocations */

static int random_cache_flags(void)
{
    switch (below(4)) {
    case 0:
        return MALLOCX_TCACHE_NONE;
    case 1:
        return (int)MALLOCX_TCACHE(self->tcache);
    default:
        return 0;
    }
}

static void check_arena(void *p, unsigned arena)
{
    unsigned found = ~0u;
    size_t length = sizeof(found);
    int error = je_mallctl("arenas.lookup", &found, &length, &p, sizeof(p));
    if (error != 0 || found != arena) {
        fail("block %p lies in arena %u, asked for %u (error %d)", p, found,
            arena, error);
    }
}

static void op_malloc(void)
{
    size_t size = one_in(200) ? 0 : random_size();
    block_add(je_malloc(size), size, 0, 0);
}

static void op_calloc(void)
{
    size_t size = one_in(200) ? 0 : random_size();
    size_t count = one_in(3) && size > 0 ? 1 + below(size) : 1;
    size_t each = size / count;
    block_add(je_calloc(count, each), count * each, 0, count * each);
}

static void op_posix_memalign(void)
{
    size_t alignment = random_alignment();
    size_t size = one_in(200) ? 0 : random_size();
    void *p = NULL;
    alignment = alignment < sizeof(void *) ? sizeof(void *) : alignment;
    int error = je_posix_memalign(&p, alignment, size);
    if (error != 0) {
        fail("posix_memalign(%zu, %zu) says %d", alignment, size, error);
    }
    block_add(p, size, alignment, 0);
}

static void op_aligned_alloc(void)
{
    size_t alignment = random_alignment(), size = random_size();
    block_add(je_aligned_alloc(alignment, size), size, alignment, 0);
}

static void op_memalign(void)
{
    size_t alignment = random_alignment(), size = random_size();
    block_add(je_memalign(alignment, size), size, alignment, 0);
}

#ifndef JEMALLOC_OVERRIDE_PVALLOC
void *je_pvalloc(size_t size); /* where libc has none, the header has none */
#endif

static void op_valloc(void)
{
    size_t size = random_size();
    if (one_in(2)) {
        block_add(je_valloc(size), size, PAGE, 0);
    } else {
        size = (size + PAGE - 1) & ~(PAGE - 1);
        block_add(je_pvalloc(size - below(PAGE)), size, PAGE, 0);
    }
}

static void op_mallocx(void)
{
    size_t size = random_size();
    size_t alignment = one_in(3) ? random_alignment() : 0;
    bool zero = one_in(3);
    int flags = random_cache_flags() | (zero ? MALLOCX_ZERO : 0);
    unsigned arena = shadow.arenas[below(ARENAS)];
    bool placed = one_in(3);

    if (alignment > 1) {
        flags |= MALLOCX_ALIGN(alignment);
    }
    if (placed) {
        flags |= MALLOCX_ARENA(arena);
    }
    void *p = je_mallocx(size, flags);
    if (p != NULL && placed && (flags & 0xfff00) == MALLOCX_TCACHE_NONE) {
        check_arena(p, arena);
    }
    block_add(p, size, alignment, zero ? SIZE_MAX : 0);
}

/* ------------------------------------------------------------- resizing */

static size_t random_new_size(size_t old)
{
    if (one_in(2)) {
        size_t low = old - old / 4, high = old + old / 4 + 16;
        return random_size_in(low == 0 ? 1 : low, high);
    }
    return random_size();
}

static void op_realloc(void)
{
    if (self->nblocks == 0 || one_in(50)) {
        size_t size = random_size();
        block_add(je_realloc(NULL, size), size, 0, 0);
        return;
    }
    block_t old = block_take();
    if (one_in(100)) {
        void *p = je_realloc(old.p, 0);
        if (p != NULL) {
            fail("realloc(block of %zu, 0) gave %p", old.size, p);
        }
        return;
    }
    size_t size = random_new_size(old.size);
    block_resized(&old, je_realloc(old.p, size), size, 0, false);
}

static void op_rallocx(void)
{
    if (self->nblocks == 0) {
        return;
    }
    block_t old = block_take();
    size_t size = random_new_size(old.size);
    size_t alignment = one_in(3) ? random_alignment() : 0;
    bool zero = one_in(3);
    int flags = random_cache_flags() | (zero ? MALLOCX_ZERO : 0);

    if (alignment > 1) {
        flags |= MALLOCX_ALIGN(alignment);
    }
    if (one_in(4)) {
        flags |= MALLOCX_ARENA(shadow.arenas[below(ARENAS)]);
    }
    void *p = je_rallocx(old.p, size, flags);
    block_resized(&old, p, size, alignment, zero);
}

static void check_xallocx(
    const block_t *old, size_t size, size_t extra, size_t got)
{
    size_t least = je_nallocx(size, 0), most = je_nallocx(size + extra, 0);
    bool unchanged = got == old->usable;
    bool fits = got >= least && got <= most;

    if ((old->usable <= SMALL_MAX || got < LARGE_MIN) && !unchanged) {
        fail("xallocx(%p of %zu, %zu, %zu) changed a small size to %zu",
            (void *)old->p, old->usable, size, extra, got);
    }
    if (!unchanged && !fits) {
        fail("xallocx(%p of %zu, %zu, %zu) gave %zu, outside %zu to %zu",
            (void *)old->p, old->usable, size, extra, got, least, most);
    }
}

static void op_xallocx(void)
{
    if (self->nblocks == 0) {
        return;
    }
    block_t block = block_take();
    block_t old = block;
    size_t size = random_new_size(old.usable), extra = 0;
    bool zero = one_in(2);

    if (one_in(2)) {
        extra = below(size + 1);
    }
    size_t got = je_xallocx(block.p, size, extra, zero ? MALLOCX_ZERO : 0);
    check_xallocx(&old, size, extra, got);
    if (got != old.usable || old.size > got) {
        block.size = got;
        block.alignment = 0;
    }
    check_usable(&block, got);
    map_change(&block, true);
    pattern_check(&block, old.usable < got ? old.usable : got);
    if (zero && got > old.usable) {
        zero_check(block.p, old.usable, got);
    }
    pattern_write(&block);
    self->live_bytes += block.usable;
    self->blocks[self->nblocks++] = block;
}

/* -------------------------------------------------------------- freeing */

static void block_free(const block_t *block)
{
    int align = block->alignment > 1 ? MALLOCX_ALIGN(block->alignment) : 0;
    size_t size = block->size + below(block->usable - block->size + 1);

    size = size == 0 ? 1 : size;
    errno = 4711;
    switch (below(5)) {
    case 0:
        je_dallocx(block->p, random_cache_flags());
        break;
    case 1:
        je_sdallocx(block->p, size, align | random_cache_flags());
        break;
    case 2:
        if (block->alignment != 0) {
            je_free_aligned_sized(block->p, block->alignment, size);
        } else {
            je_free_sized(block->p, size);
        }
        break;
    default:
        je_free(block->p);
        break;
    }
    if (errno != 4711) {
        fail("freeing %p of %zu bytes changed errno to %d", (void *)block->p,
            block->usable, errno);
    }
}

static void op_free(void)
{
    for (size_t n = 1 + below(4); n > 0 && self->nblocks > 0; n--) {
        block_t block = block_take();
        block_free(&block);
    }
}

static void op_touch(void)
{
    for (size_t n = below(8); n > 0 && self->nblocks > 0; n--) {
        block_t *block = &self->blocks[below(self->nblocks)];
        pattern_check(block, block->usable);
        check_usable(block, block->usable);
        pattern_write(block);
    }
}

/* ----------------------------------------------------------- between us */

static void op_send(void)
{
    worker_t *to = &shadow.workers[below(shadow.nworkers)];
    size_t n = 1 + below(16);

    pthread_mutex_lock(&to->lock);
    while (n-- > 0 && to->mail < MAILBOX_BLOCKS && self->nblocks > 0) {
        size_t i = below(self->nblocks);
        self->live_bytes -= self->blocks[i].usable;
        to->mailbox[to->mail++] = self->blocks[i];
        self->blocks[i] = self->blocks[--self->nblocks];
    }
    pthread_mutex_unlock(&to->lock);
}

static void op_receive(void)
{
    pthread_mutex_lock(&self->lock);
    while (self->mail > 0 && self->nblocks < BLOCKS_MAX) {
        block_t block = self->mailbox[--self->mail];
        self->live_bytes += block.usable;
        self->blocks[self->nblocks++] = block;
    }
    pthread_mutex_unlock(&self->lock);
}

static void control(const char *name)
{
    int error = je_mallctl(name, NULL, NULL, NULL, 0);
    if (error != 0) {
        fail("mallctl(%s) says %d", name, error);
    }
}

static void op_control(void)
{
    char name[64];
    const char *verb = one_in(4) ? "purge" : "decay";
    if (one_in(3) && shadow.caches) {
        control("thread.tcache.flush");
    } else if (one_in(2)) {
        int error = je_mallctl(
            "tcache.flush", NULL, NULL, &self->tcache, sizeof(self->tcache));
        if (error != 0) {
            fail("tcache.flush(%u) says %d", self->tcache, error);
        }
    } else {
        unsigned arena =
            one_in(4) ? MALLCTL_ARENAS_ALL : shadow.arenas[below(ARENAS)];
        snprintf(name, sizeof(name), "arena.%u.%s", arena, verb);
        control(name);
    }
}

/* -------------------------------------------------------------- workers */

static const struct {
    const char *name;
    void (*run)(void);
    unsigned weight;
} operations[] = {
    {"malloc", op_malloc, 200},
    {"calloc", op_calloc, 60},
    {"posix_memalign", op_posix_memalign, 25},
    {"aligned_alloc", op_aligned_alloc, 25},
    {"memalign", op_memalign, 25},
    {"valloc", op_valloc, 10},
    {"mallocx", op_mallocx, 80},
    {"realloc", op_realloc, 90},
    {"rallocx", op_rallocx, 60},
    {"xallocx", op_xallocx, 40},
    {"free", op_free, 140},
    {"touch", op_touch, 40},
    {"send", op_send, 10},
    {"receive", op_receive, 10},
    {"control", op_control, 2},
};

#define OPERATIONS (sizeof(operations) / sizeof(operations[0]))

static void run_one(void)
{
    size_t i = 0, dice = below(shadow.weights);

    while (dice >= operations[i].weight) {
        dice -= operations[i].weight;
        i = i + 1 < OPERATIONS ? i + 1 : 0;
    }
    self->operation = operations[i].name;
    self->operations++;
    operations[i].run();
    if (self->live_target == 0 || one_in(4000)) {
        size_t share = shadow.live_max / shadow.nworkers;
        self->live_target = one_in(3) ? share : 1 + share / (2 + below(30));
    }
    while (self->nblocks > 0 && (self->live_bytes > self->live_target ||
                                    self->nblocks >= BLOCKS_MAX - 1)) {
        self->operation = "free (over the limit)";
        op_free();
    }
}

static void tcache_control(const char *name, bool read)
{
    size_t length = sizeof(self->tcache);
    int error = read ? je_mallctl(name, &self->tcache, &length, NULL, 0)
                     : je_mallctl(name, NULL, NULL, &self->tcache,
                           sizeof(self->tcache));
    if (error != 0) {
        fail("mallctl(%s) says %d", name, error);
    }
}

static bool is_over(const worker_t *worker)
{
    return now() >= shadow.deadline ||
           (shadow.operations_max != 0 &&
               worker->operations >= shadow.operations_max);
}

/* One life of a worker: its blocks outlive it, its caches do not. */
static void *worker_life(void *arg)
{
    self = arg;
    self->operation = "birth";
    tcache_control("tcache.create", true);
    uint64_t end =
        self->operations + LIFE_OPERATIONS / 2 + below(LIFE_OPERATIONS);
    while (self->operations < end) {
        run_one();
        if (self->operations % 64 == 0 && is_over(self)) {
            break;
        }
    }
    self->operation = "death";
    tcache_control("tcache.destroy", false);
    return NULL;
}

/* Starts one life of the worker after another until the time is over. */
static void *worker_lives(void *arg)
{
    worker_t *worker = arg;

    while (!is_over(worker)) {
        pthread_t life;
        int error = pthread_create(&life, NULL, worker_life, worker);
        if (error != 0) {
            fail("pthread_create: %s", strerror(error));
        }
        pthread_join(life, NULL);
    }
    return NULL;
}

/* Everything still alive is checked and freed by one thread. */
static void drain(void)
{
    for (unsigned i = 0; i < shadow.nworkers; i++) {
        self = &shadow.workers[i];
        self->operation = "drain";
        tcache_control("tcache.create", true);
        do {
            op_receive();
            op_free();
        } while (self->nblocks > 0 || self->mail > 0);
        tcache_control("tcache.destroy", false);
        if (self->live_bytes != 0) {
            fail("%zu bytes left in the account", self->live_bytes);
        }
    }
}

/* ----------------------------------------------------------------- main */

__attribute__((noreturn)) static void usage(const char *culprit)
{
    fprintf(stderr,
        "shadow: cannot use '%s'\nusage: shadow [seconds] [-t threads]"
        " [-r seed] [-m max live MiB] [-n operations of each worker]\n"
        "              [-p overlap|alignment|contents|usable|zero|realloc]\n",
        culprit);
    exit(2);
}

static double number(const char *text, double low, double high)
{
    char *end;
    double value = text == NULL ? 0 : strtod(text, &end);
    if (text == NULL || *end != '\0' || value < low || value > high) {
        usage(text == NULL ? "nothing" : text);
    }
    return value;
}

static const char *plant_name(const char *text)
{
    static const char *const names[] = {
        "overlap", "alignment", "contents", "usable", "zero", "realloc"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (text != NULL && strcmp(names[i], text) == 0) {
            return names[i];
        }
    }
    usage(text == NULL ? "-p" : text);
}

static void parse(char **argv)
{
    shadow.seed = (uint64_t)getpid() * 1000003u + (uint64_t)time(NULL);
    if (getenv("T") != NULL) {
        shadow.seconds = number(getenv("T"), 0, 1e9);
    }
    while (*++argv != NULL) {
        const char *flag = *argv;
        if (flag[0] != '-') {
            shadow.seconds = number(flag, 0, 1e9);
        } else if (strcmp(flag, "-t") == 0) {
            shadow.nworkers = (unsigned)number(*++argv, 1, WORKERS_MAX);
        } else if (strcmp(flag, "-r") == 0) {
            shadow.seed = (uint64_t)number(*++argv, 0, 9e15);
        } else if (strcmp(flag, "-m") == 0) {
            shadow.live_max = (size_t)number(*++argv, 32, 1 << 20) << 20;
        } else if (strcmp(flag, "-n") == 0) {
            shadow.operations_max = (uint64_t)number(*++argv, 1, 1e15);
        } else if (strcmp(flag, "-p") == 0) {
            shadow.plant = plant_name(*++argv);
        } else {
            usage(flag);
        }
    }
}

static bool option(const char *name)
{
    bool value = false;
    size_t length = sizeof(value);
    return je_mallctl(name, &value, &length, NULL, 0) == 0 && value;
}

static void boot(void)
{
    size_t held = 0;
    size_t length = sizeof(held);
    (void)je_mallctl("opt.quarantine_small", &held, &length, NULL, 0);
    shadow.exact =
        option("opt.canary") || option("opt.zero_on_free") || held != 0;
    shadow.caches = option("opt.tcache");
    shadow.root = pages(ROOT_ENTRIES * sizeof(*shadow.root));
    shadow.workers = pages(shadow.nworkers * sizeof(worker_t));
    shadow.deadline = now() + shadow.seconds;
    for (size_t i = 0; i < OPERATIONS; i++) {
        shadow.weights += operations[i].weight;
    }
    for (size_t i = 0; i < ARENAS; i++) {
        length = sizeof(shadow.arenas[i]);
        int error =
            je_mallctl("arenas.create", &shadow.arenas[i], &length, NULL, 0);
        if (error != 0) {
            fail("arenas.create says %d", error);
        }
    }
    for (unsigned i = 0; i < shadow.nworkers; i++) {
        worker_t *worker = &shadow.workers[i];
        worker->index = i;
        worker->random = shadow.seed ^ ((uint64_t)i << 56);
        worker->operation = "none";
        worker->blocks = pages(BLOCKS_MAX * sizeof(block_t));
        pthread_mutex_init(&worker->lock, NULL);
    }
}

int main(int argc, char **argv)
{
    uint64_t total = 0;

    (void)argc;
    parse(argv);
    printf("shadow: seed %llu, %u threads, %.0f s, at most %zu MiB live\n",
        (unsigned long long)shadow.seed, shadow.nworkers, shadow.seconds,
        shadow.live_max >> 20);
    fflush(stdout);
    boot();
    for (unsigned i = 0; i < shadow.nworkers; i++) {
        worker_t *worker = &shadow.workers[i];
        if (pthread_create(&worker->thread, NULL, worker_lives, worker) != 0) {
            fail("cannot start thread %u", i);
        }
    }
    for (unsigned i = 0; i < shadow.nworkers; i++) {
        pthread_join(shadow.workers[i].thread, NULL);
        total += shadow.workers[i].operations;
    }
    drain();
    printf("shadow: ok, %llu operations\n", (unsigned long long)total);
    return 0;
}
