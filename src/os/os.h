/*
 * What: everything the library asks of the operating system, in words. A
 * port is one more os_*.c that keeps these promises.
 *
 * Invariants: (I1) no function here allocates from the heap or sets errno as
 * a side effect the caller could see (errno is restored); (I2) all addresses
 * and lengths of mapping calls are multiples of os_page_size().
 *
 * Locking: none; all functions are thread-safe.
 */
#ifndef JE_OS_OS_H
#define JE_OS_OS_H

#include "util/atomic.h"
#include "util/common.h"

/* Reads the page size; the first call of all. Fails only on absurd values. */
JE_MUST_USE bool os_boot(void);

/* The largest page that kernels for this processor have. */
#if defined(__x86_64__) || defined(__i386__)
#    define OS_LARGEST_PAGE 4096
#else
#    define OS_LARGEST_PAGE 65536
#endif

/* Bytes of a system page: 4, 16 or 64 KiB; a fact of the running kernel. */
extern size_t os_page_bytes;

static inline size_t os_page_size(void)
{
    return os_page_bytes;
}

/* Whether whole system pages are meant, as I2 demands. */
static inline bool os_is_paged(const void *addr, size_t size)
{
    return (((uintptr_t)addr | size) & (os_page_bytes - 1)) == 0;
}

/*
 * Reserves and commits `size` zeroed bytes aligned to `alignment` (a power
 * of two, at least a page). NULL when the system has none.
 */
void *os_map(size_t size, size_t alignment);

/* The same at exactly `addr`; NULL if anything is already mapped there. */
void *os_map_at(void *addr, size_t size);

/*
 * Whether mapped memory counts only when it is touched. If not, what is not
 * in use should only be reserved. Known from os_boot on.
 */
extern bool os_overcommits;

/*
 * What the system's settings say about it. `root` is put before /proc ("" in
 * production); true if they say nothing.
 */
bool os_overcommits_by(const char *root);

/* As os_map, but the range cannot be touched and does not count as memory. */
void *os_reserve(size_t size, size_t alignment);

/*
 * Drops contents and memory; from now on the range is as os_reserve leaves
 * it, until os_permit, after which it reads as zero. False if not done.
 */
bool os_decommit(void *addr, size_t size);

/* Bytes of addresses that the process may have; more is never to be had. */
size_t os_address_limit(void);

/* Gives the range back for good. False if the system refused. */
bool os_unmap(void *addr, size_t size);

/* Extends the program break by `size` bytes; NULL if it cannot. */
void *os_sbrk(size_t size);

/*
 * The segment that grows with the program break. False if the system does
 * not tell where it starts.
 */
JE_MUST_USE bool os_break_bounds(uintptr_t *low, uintptr_t *high);

/* Whether the range was obtained by os_sbrk. */
bool os_is_sbrk(const void *addr);

/* Drops contents now; the next read gives zeros. False if not done. */
bool os_purge_forced(void *addr, size_t size);

/* Lets the kernel drop contents whenever it likes. False if not done. */
bool os_purge_lazy(void *addr, size_t size);

/* Accesses fault from now on, or are allowed again. False if refused. */
bool os_forbid(void *addr, size_t size);
bool os_permit(void *addr, size_t size);

/*
 * Drops contents and memory of pages with rights and puts markers there, so
 * that accesses fault; takes the markers away. Cheaper than rights, and the
 * mapping stays one. False if the kernel has none (before Linux 6.13), or not
 * for these.
 */
bool os_mark_closed(void *addr, size_t size);
bool os_mark_open(void *addr, size_t size);

/* Writes fault from now on. False if refused. */
bool os_write_protect(void *addr, size_t size);

/*
 * Moves the pages behind [from, from+size) to `to`, which must be mapped
 * and is replaced. `from` stays mapped and reads as zero. False if the
 * system cannot; then nothing changed.
 */
bool os_move_pages(void *from, void *to, size_t size);

/* Asks for (or against) huge pages in a range. False if not supported. */
bool os_advise_huge(void *addr, size_t size, bool want);

/* Nanoseconds on a cheap monotonic clock with a resolution of a few ms. */
uint64_t os_clock_ns(void);

/* Nanoseconds on the precise monotonic clock. */
uint64_t os_clock_precise_ns(void);

/* Nanoseconds that the calling thread ran; 0 if the system does not tell. */
uint64_t os_clock_thread_ns(void);

/* CPUs in the affinity mask, >= 1; one system call. */
unsigned os_affinity_cpus(void);

/* CPUs this process may use: affinity mask and container quota, >= 1. */
unsigned os_cpu_count(void);

/*
 * CPUs that the cgroup quota in force grants, rounded up, or 0 for no limit.
 * `root` is put before /proc and /sys ("" in production).
 */
unsigned os_cgroup_cpus(const char *root);

/* Number of the CPU the caller runs on, or -1. */
int os_current_cpu(void);

/* Sleeps while *word == expected, until woken; may wake spuriously. */
void os_wait(_Atomic uint32_t *word, uint32_t expected);

/* The same for at most `ns` nanoseconds. */
void os_wait_for(_Atomic uint32_t *word, uint32_t expected, uint64_t ns);

/* Wakes up to `count` sleepers on `word`. */
void os_wake(_Atomic uint32_t *word, int count);

void os_yield(void);

/*
 * A full memory barrier in every running thread of the process. False if the
 * system has none to offer.
 */
JE_MUST_USE bool os_barrier_everywhere(void);

/* Whether the caller is the thread that the process started with. */
bool os_is_main_thread(void);

/* Whether libc says that the process has ever had a second thread. */
bool os_is_threaded(void);

/*
 * Starts a thread of our own: all signals blocked, a small stack, that name.
 * Nothing is kept of it; it ends with the process or when `main` returns,
 * which gets NULL. The description must stay as long.
 */
typedef struct {
    void *(*main)(void *);
    const char *name;
} os_thread_t;

bool os_start_thread(const os_thread_t *what);

/* In a fork child: what another thread was doing here, nobody does now. */
void os_postfork_child(void);

/* 64 bits that nobody can foresee. */
uint64_t os_random(void);

/* One pause of a spinning CPU. */
static inline void os_spin_pause(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb");
#endif
}

/* Reads at most size-1 bytes of a file, terminated. -1 if it cannot. */
ssize_t os_read_file(const char *path, char *buf, size_t size);

#endif
