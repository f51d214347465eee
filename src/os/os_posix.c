/*
 * What: the part of os.h that any POSIX system with anonymous mappings has.
 *
 * Invariants: as in os.h.
 *
 * Locking: none.
 */
#include "os/os.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "util/bits.h"
#include "util/fail.h"
#include "util/format.h"

/* 64 KiB pages exist on ARM and POWER; nothing larger does. */
#define OS_PAGE_MIN ((size_t)4096)
#define OS_PAGE_MAX ((size_t)65536)

/* No program gets more than half of the addresses, but of the smallest all. */
#define OS_ADDRESS_MAX                                                         \
    (sizeof(void *) == 8 ? (size_t)1 << (CONFIG_LG_VADDR - 1) : SIZE_MAX)

#ifndef MAP_NORESERVE
#    define MAP_NORESERVE 0
#endif

size_t os_page_bytes = OS_PAGE_MIN;
bool os_overcommits = true;

/* Linux says so; 2: what is mapped, may be written and is private counts at
 * once. */
#define OVERCOMMIT_NEVER '2'

bool os_overcommits_by(const char *root)
{
    char path[256];
    char mode[8];
    (void)format_print(
        path, sizeof(path), "%s/proc/sys/vm/overcommit_memory", root);
    return os_read_file(path, mode, sizeof(mode)) <= 0 ||
           mode[0] != OVERCOMMIT_NEVER;
}

bool os_boot(void)
{
    long page = sysconf(_SC_PAGESIZE);
    if (page < (long)OS_PAGE_MIN || page > (long)OS_PAGE_MAX ||
        !bits_is_pow2((uint64_t)page)) {
        return false;
    }
    os_page_bytes = (size_t)page;
    os_overcommits = os_overcommits_by("");
    return true;
}

#define READ_WRITE (PROT_READ | PROT_WRITE)

static void *map_raw(void *addr, size_t size, int protection, int extra_flags)
{
    int saved = errno;
    void *p = mmap(addr, size, protection,
        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | extra_flags, -1, 0);
    errno = saved;
    return p == MAP_FAILED ? NULL : p;
}

/* Maps more than needed and gives the ends back. Few need it, or its frame. */
JE_NOINLINE static void *map_trimmed(
    size_t size, size_t alignment, int protection)
{
    size_t total = size + alignment - os_page_bytes;
    if (total < size) {
        return NULL;
    }
    char *raw = map_raw(NULL, total, protection, 0);
    if (raw == NULL) {
        return NULL;
    }
    char *start = (char *)bits_round_up((uintptr_t)raw, alignment); /* NOLINT */
    size_t lead = (size_t)(start - raw);
    if (lead != 0) {
        (void)os_unmap(raw, lead);
    }
    if (total - lead != size) {
        (void)os_unmap(start + size, total - lead - size);
    }
    return start;
}

static void *map_aligned(size_t size, size_t alignment, int protection)
{
    assert(((alignment | size) & (os_page_bytes - 1)) == 0);
    void *p = map_raw(NULL, size, protection, 0);
    if (p == NULL || ((uintptr_t)p & (alignment - 1)) == 0) {
        return p;
    }
    (void)os_unmap(p, size);
    return map_trimmed(size, alignment, protection);
}

void *os_map(size_t size, size_t alignment)
{
    return map_aligned(size, alignment, READ_WRITE);
}

void *os_reserve(size_t size, size_t alignment)
{
    return map_aligned(size, alignment, PROT_NONE);
}

bool os_decommit(void *addr, size_t size)
{
    return map_raw(addr, size, PROT_NONE, MAP_FIXED) == addr;
}

void *os_map_at(void *addr, size_t size)
{
    assert(os_is_paged(addr, size));
#ifdef MAP_FIXED_NOREPLACE
    void *p = map_raw(addr, size, READ_WRITE, MAP_FIXED_NOREPLACE);
#else
    void *p = map_raw(addr, size, READ_WRITE, 0);
#endif
    if (p != NULL && p != addr) {
        (void)os_unmap(p, size);
        return NULL;
    }
    return p;
}

bool os_unmap(void *addr, size_t size)
{
    assert(os_is_paged(addr, size));
    int saved = errno;
    bool done = munmap(addr, size) == 0;
    errno = saved;
    return done;
}

bool os_forbid(void *addr, size_t size)
{
    assert(os_is_paged(addr, size));
    int saved = errno;
    bool done = mprotect(addr, size, PROT_NONE) == 0;
    errno = saved;
    return done;
}

bool os_write_protect(void *addr, size_t size)
{
    assert(os_is_paged(addr, size));
    int saved = errno;
    bool done = mprotect(addr, size, PROT_READ) == 0;
    errno = saved;
    return done;
}

bool os_permit(void *addr, size_t size)
{
    assert(os_is_paged(addr, size));
    int saved = errno;
    bool done = mprotect(addr, size, READ_WRITE) == 0;
    errno = saved;
    return done;
}

size_t os_address_limit(void)
{
    int saved = errno;
    struct rlimit limit;
    bool limited = getrlimit(RLIMIT_AS, &limit) == 0 &&
                   limit.rlim_cur != RLIM_INFINITY &&
                   limit.rlim_cur < OS_ADDRESS_MAX;
    errno = saved;
    return limited ? (size_t)limit.rlim_cur : OS_ADDRESS_MAX;
}

static uint64_t clock_read(clockid_t clock)
{
    struct timespec now;
    if (clock_gettime(clock, &now) != 0) {
        return 0;
    }
    return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

uint64_t os_clock_ns(void)
{
#ifdef CLOCK_MONOTONIC_COARSE
    return clock_read(CLOCK_MONOTONIC_COARSE);
#else
    return clock_read(CLOCK_MONOTONIC);
#endif
}

uint64_t os_clock_precise_ns(void)
{
    return clock_read(CLOCK_MONOTONIC);
}

uint64_t os_clock_thread_ns(void)
{
    return clock_read(CLOCK_THREAD_CPUTIME_ID);
}

void os_yield(void)
{
    (void)sched_yield();
}

ssize_t os_read_file(const char *path, char *buf, size_t size)
{
    int saved = errno;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = -1;
    if (fd >= 0) {
        got = read(fd, buf, size - 1);
        (void)close(fd);
    }
    if (got >= 0) {
        buf[got] = '\0';
    }
    errno = saved;
    return got;
}
