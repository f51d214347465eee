/*
 * What: see foreign.h.
 *
 * Invariants: as there.
 *
 * Locking: as there.
 */
#include "api/foreign.h"

#include <errno.h>

#include "arena/block.h"
#include "os/os.h"
#include "os/peek.h"
#include "util/bits.h"

/*
 * Weak: resolved when this library is loaded, so that finding them costs
 * nothing and needs no dlsym, which allocates; NULL where they do not exist.
 */
extern void __libc_free(void *ptr) __attribute__((weak));
extern void *__libc_realloc(void *ptr, size_t size) __attribute__((weak));
extern const char *gnu_get_libc_version(void) __attribute__((weak));

/* What precedes a block of glibc's. */
typedef struct {
    size_t before; /* bytes of the chunk before, or from a mapping's start */
    size_t size;   /* of this chunk, header included; flags in the low bits */
} chunk_head_t;

#define CHUNK_ALIGNMENT     (2 * sizeof(size_t))
#define CHUNK_MIN           (4 * sizeof(size_t))
#define CHUNK_BEFORE_IN_USE ((size_t)1)
#define CHUNK_MAPPED        ((size_t)2)
#define CHUNK_OTHER_ARENA   ((size_t)4)
#define CHUNK_FLAGS         ((size_t)7)

/* What begins each heap of the arenas that do not use the program break. */
typedef struct {
    uintptr_t arena;
    uintptr_t previous;
    size_t size;
    size_t accessible;
} heap_head_t;

/* Their alignment and largest size: 64 MiB, or 1 MiB on 32-bit systems. */
#define HEAP_ALIGNMENT ((uintptr_t)1 << (sizeof(void *) == 8 ? 26 : 20))

/* The first arena of such a heap follows its head at once. */
#define HEAP_HEAD_MAX ((uintptr_t)256)

static bool peek(void *to, uintptr_t from, size_t size)
{
    return from >= PAGE && os_peek(to, from, size) == size;
}

/* The chunk lies in [low, high), and what follows it there fits to it. */
static bool lies_in(uintptr_t chunk, size_t size, uintptr_t low, uintptr_t high)
{
    chunk_head_t next;
    if (chunk < low || chunk >= high || size < CHUNK_MIN ||
        size % CHUNK_ALIGNMENT != 0 || size > high - chunk ||
        high - chunk - size < sizeof(next) ||
        !peek(&next, chunk + size, sizeof(next))) {
        return false;
    }
    return (next.size & CHUNK_BEFORE_IN_USE) != 0 &&
           (next.size & ~CHUNK_FLAGS) <= high - chunk - size;
}

static bool is_on_the_break(uintptr_t chunk, size_t size)
{
    uintptr_t low;
    uintptr_t high;
    return os_break_bounds(&low, &high) && !os_is_sbrk((void *)chunk) &&
           lies_in(chunk, size, low, high);
}

static bool is_in_a_heap(uintptr_t chunk, size_t size)
{
    heap_head_t heap;
    uintptr_t start = bits_round_down(chunk, HEAP_ALIGNMENT);
    if (!peek(&heap, start, sizeof(heap)) || heap.arena == 0 ||
        heap.arena % sizeof(void *) != 0 || heap.size > HEAP_ALIGNMENT ||
        heap.size % os_page_size() != 0 || heap.accessible < heap.size ||
        heap.accessible > HEAP_ALIGNMENT ||
        heap.previous % HEAP_ALIGNMENT != 0) {
        return false;
    }
    bool is_first = heap.arena - start < HEAP_HEAD_MAX;
    return is_first == (heap.previous == 0) &&
           lies_in(chunk, size, start + sizeof(heap), start + heap.size);
}

static bool is_a_mapping(uintptr_t chunk, chunk_head_t head)
{
    size_t page = os_page_size();
    size_t size = head.size & ~CHUNK_FLAGS;
    uintptr_t start = chunk - head.before;
    uintptr_t end = chunk + size;
    uintptr_t offset = (chunk + sizeof(head)) & (page - 1);
    return start <= chunk && end > chunk && start >= PAGE &&
           start % page == 0 && end % page == 0 &&
           (offset & (offset - 1)) == 0 && os_is_readable(start) &&
           os_is_readable(end - sizeof(uint64_t));
}

/* The usable size of a live block of the C library; 0 if it is none. */
static size_t libc_usable_size(const void *ptr)
{
    chunk_head_t head;
    uintptr_t chunk = (uintptr_t)ptr - sizeof(head);
    if (__libc_free == NULL || __libc_realloc == NULL ||
        gnu_get_libc_version == NULL || chunk % CHUNK_ALIGNMENT != 0 ||
        !peek(&head, chunk, sizeof(head))) {
        return 0;
    }
    size_t size = head.size & ~CHUNK_FLAGS;
    size_t overhead = sizeof(size_t); /* the next chunk's first word is ours */
    bool is_one = false;
    switch (head.size & (CHUNK_MAPPED | CHUNK_OTHER_ARENA)) {
    case 0:
        is_one = is_on_the_break(chunk, size);
        break;
    case CHUNK_OTHER_ARENA:
        is_one = is_in_a_heap(chunk, size);
        break;
    case CHUNK_MAPPED:
        is_one = is_a_mapping(chunk, head);
        overhead = sizeof(head);
        break;
    default:
        break;
    }
    return is_one ? size - overhead : 0;
}

static bool give_back(void *ptr)
{
    if (libc_usable_size(ptr) == 0) {
        return false;
    }
    int saved = errno;
    __libc_free(ptr);
    errno = saved;
    return true;
}

void foreign_boot(void)
{
    block_set_alien_taker(give_back);
}

void foreign_free(void *ptr)
{
    if (!give_back(ptr)) {
        block_report(ptr, "free");
    }
}

size_t foreign_usable_size(const void *ptr, const char *operation)
{
    size_t usize = libc_usable_size(ptr);
    if (usize == 0) {
        block_report(ptr, operation);
    }
    return usize;
}

void *foreign_realloc(void *ptr, size_t size)
{
    return __libc_realloc(ptr, size);
}

bool foreign_free_unseen(void *ptr)
{
    if (__libc_free == NULL) {
        return false;
    }
    __libc_free(ptr);
    return true;
}

bool foreign_realloc_unseen(void *ptr, size_t size, void **result)
{
    if (__libc_realloc == NULL) {
        return false;
    }
    *result = __libc_realloc(ptr, size);
    return true;
}
