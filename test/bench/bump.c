/*
 * What: a preloadable allocator that only moves a pointer forward. It is the
 * floor that the other figures are measured from: loading a library that
 * replaces malloc costs this much before any allocator does anything.
 *
 * Invariants: (I1) memory is never used twice, so it reads as zero;
 * (I2) every block is preceded by its size in 16 bytes.
 *
 * Locking: none; one atomic addition claims a block.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

/*
 * Address space that is reserved at the first call and backed when touched:
 * the first power of two between these that the system grants. Valgrind, for
 * one, is short of address space.
 */
#define BUMP_MOST   ((size_t)64 << 30)
#define BUMP_LEAST  ((size_t)64 << 20)
#define BUMP_HEADER ((size_t)16)

#define BUMP_EXPORT __attribute__((visibility("default")))

static struct {
    _Atomic(char *) start;
    _Atomic(size_t) used;
    _Atomic(size_t) reserved;
} bump;

BUMP_EXPORT void *malloc(size_t size);
BUMP_EXPORT void *calloc(size_t count, size_t size);
BUMP_EXPORT void *realloc(void *block, size_t size);
BUMP_EXPORT void free(void *block);
BUMP_EXPORT int posix_memalign(void **out, size_t alignment, size_t size);
BUMP_EXPORT void *aligned_alloc(size_t alignment, size_t size);
BUMP_EXPORT void *memalign(size_t alignment, size_t size);
BUMP_EXPORT size_t malloc_usable_size(void *block);
BUMP_EXPORT void sdallocx(void *block, size_t size, int flags);
BUMP_EXPORT void *_Znwm(size_t size);
BUMP_EXPORT void _ZdlPvm(void *block, size_t size);

static char *reserve(size_t *size)
{
    for (*size = BUMP_MOST; *size >= BUMP_LEAST; *size /= 2) {
        char *fresh = mmap(NULL, *size, PROT_READ | PROT_WRITE,
            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

        if (fresh != MAP_FAILED) {
            return fresh;
        }
    }
    return NULL;
}

static __attribute__((noinline, cold)) char *start_slow(void)
{
    char *seen = NULL;
    size_t size;
    char *fresh = reserve(&size);

    if (fresh == NULL) {
        return NULL;
    }
    if (!atomic_compare_exchange_strong(&bump.start, &seen, fresh)) {
        munmap(fresh, size);
        return seen;
    }
    atomic_store(&bump.reserved, size);
    return fresh;
}

/*
 * A thread that reads `reserved` before the first one wrote it goes without
 * memory; programs allocate before they start threads.
 */
static inline void *bump_alloc(size_t alignment, size_t size)
{
    char *start = atomic_load_explicit(&bump.start, memory_order_acquire);
    size_t room = (size + 15) & ~(size_t)15;
    size_t at;
    char *block;

    if (start == NULL && (start = start_slow()) == NULL) {
        errno = ENOMEM;
        return NULL;
    }
    room += BUMP_HEADER + alignment - 16;
    at = atomic_fetch_add_explicit(&bump.used, room, memory_order_relaxed);
    if (size > BUMP_MOST || at + room > bump.reserved) {
        errno = ENOMEM;
        return NULL;
    }
    block = start + at + BUMP_HEADER + alignment - 1;
    block -= (uintptr_t)block & (alignment - 1);
    memcpy(block - BUMP_HEADER, &size, sizeof(size));
    return block;
}

void *malloc(size_t size)
{
    return bump_alloc(16, size);
}

void *calloc(size_t count, size_t size)
{
    if (size != 0 && count > SIZE_MAX / size) {
        errno = ENOMEM;
        return NULL;
    }
    return bump_alloc(16, count * size);
}

void free(void *block)
{
    (void)block;
}

size_t malloc_usable_size(void *block)
{
    size_t size = 0;

    if (block != NULL) {
        memcpy(&size, (char *)block - BUMP_HEADER, sizeof(size));
    }
    return size;
}

void *realloc(void *block, size_t size)
{
    size_t before = malloc_usable_size(block);
    void *fresh = bump_alloc(16, size);

    if (fresh != NULL && block != NULL) {
        memcpy(fresh, block, before < size ? before : size);
    }
    return fresh;
}

int posix_memalign(void **out, size_t alignment, size_t size)
{
    void *block;

    if (alignment < sizeof(void *) || (alignment & (alignment - 1)) != 0) {
        return EINVAL;
    }
    block = bump_alloc(alignment < 16 ? 16 : alignment, size);
    if (block == NULL) {
        return ENOMEM;
    }
    *out = block;
    return 0;
}

void *memalign(size_t alignment, size_t size)
{
    if (alignment == 0 || (alignment & (alignment - 1)) != 0) {
        errno = EINVAL;
        return NULL;
    }
    return bump_alloc(alignment < 16 ? 16 : alignment, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
    return memalign(alignment, size);
}

void sdallocx(void *block, size_t size, int flags)
{
    (void)block;
    (void)size;
    (void)flags;
}

void *_Znwm(size_t size)
{
    return bump_alloc(16, size);
}

void _ZdlPvm(void *block, size_t size)
{
    (void)block;
    (void)size;
}
