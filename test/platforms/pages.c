/*
 * What: larger pages on a machine that has small ones. Preloaded (PAGE_BYTES
 * in the environment), it answers for the page size, and takes the mapping
 * calls of the program and its libraries as a kernel with such pages would:
 * mappings begin at such pages, an address in the middle of one is EINVAL,
 * and a length covers each page that it touches.
 *
 * Invariants: (I1) what libc asks for inside itself does not come here: it
 * goes on in small pages, as if in address space that was there before.
 *
 * Locking: none.
 */
#define _GNU_SOURCE

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

static size_t page_bytes;

__attribute__((constructor(101))) static void read_page_bytes(void)
{
    const char *text = getenv("PAGE_BYTES");
    page_bytes = text != NULL ? strtoul(text, NULL, 10) : 4096;
}

/* Asked before the constructor ran, too: the library boots in one as well. */
static size_t page(void)
{
    if (page_bytes == 0) {
        read_page_bytes();
    }
    return page_bytes;
}

static size_t rounded(size_t size)
{
    return (size + page() - 1) & ~(page() - 1);
}

static int misplaced(const void *addr)
{
    if (((uintptr_t)addr & (page() - 1)) == 0) {
        return 0;
    }
    errno = EINVAL;
    return 1;
}

static void *map(
    void *addr, size_t size, int prot, int flags, int fd, off_t offset)
{
#ifdef SYS_mmap2
    return (void *)syscall(
        SYS_mmap2, addr, size, prot, flags, fd, offset / 4096);
#else
    return (void *)syscall(SYS_mmap, addr, size, prot, flags, fd, offset);
#endif
}

/* Maps too much and gives the ends back, unless the place is prescribed. */
EXPORT void *mmap(
    void *addr, size_t size, int prot, int flags, int fd, off_t offset)
{
    if ((flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) != 0) {
        return misplaced(addr)
                   ? MAP_FAILED
                   : map(addr, rounded(size), prot, flags, fd, offset);
    }
    if ((flags & MAP_ANONYMOUS) == 0) {
        /* To whole pages of its own: munmap takes whole ones away. */
        void *place =
            mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        return place == MAP_FAILED
                   ? place
                   : map(place, size, prot, flags | MAP_FIXED, fd, offset);
    }
    size_t total = rounded(size) + page();
    if (total < size) {
        errno = ENOMEM;
        return MAP_FAILED;
    }
    char *raw = map(NULL, total, prot, flags, fd, offset);
    if (raw == MAP_FAILED) {
        return raw;
    }
    /* The high end: the next mapping, below it, is to be its neighbour. */
    size_t tail = (uintptr_t)raw & (page() - 1);
    if (tail != 0) {
        syscall(SYS_munmap, raw + total - tail, tail);
    }
    syscall(SYS_munmap, raw, page() - tail);
    return raw + page() - tail;
}

EXPORT int munmap(void *addr, size_t size)
{
    return misplaced(addr) ? -1 : (int)syscall(SYS_munmap, addr, rounded(size));
}

EXPORT int mprotect(void *addr, size_t size, int prot)
{
    return misplaced(addr)
               ? -1
               : (int)syscall(SYS_mprotect, addr, rounded(size), prot);
}

EXPORT int madvise(void *addr, size_t size, int advice)
{
    return misplaced(addr)
               ? -1
               : (int)syscall(SYS_madvise, addr, rounded(size), advice);
}

/* Only as the library uses it: pages go to a given place. */
EXPORT void *mremap(void *addr, size_t from, size_t to, int flags, ...)
{
    va_list ap;
    va_start(ap, flags);
    void *place = va_arg(ap, void *);
    va_end(ap);
    if (misplaced(addr) || misplaced(place) || (flags & MREMAP_FIXED) == 0) {
        errno = EINVAL;
        return MAP_FAILED;
    }
    return (void *)syscall(
        SYS_mremap, addr, rounded(from), rounded(to), flags, place);
}

EXPORT int getpagesize(void)
{
    return (int)page();
}

/* What sysconf says of everything else comes from the kernel's small page. */
EXPORT long sysconf(int name)
{
    extern long __sysconf(int);
    return name == _SC_PAGESIZE ? (long)page() : __sysconf(name);
}
