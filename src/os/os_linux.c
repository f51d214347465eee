/*
 * What: the part of os.h that needs Linux: purging, moving pages, waiting on
 * a word, the program break.
 *
 * Invariants: as in os.h. (I1) Advice that a kernel lacks is reported as not
 * done, so that the caller can fall back.
 *
 * Locking: break_lock serialises our moves of the break; a program that
 * moves it at the same moment is noticed if that shows in the alignment.
 */
#include "os/os.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "util/bits.h"
#include "util/fail.h"
#include "util/hash.h"

/* Values of the kernel's ABI that older C libraries do not name. */
#define LINUX_MADV_FREE        8
#define LINUX_MREMAP_DONTUNMAP 4

static struct {
    /* Bounds of everything obtained by os_sbrk; low 0 means nothing. */
    _Atomic uintptr_t break_low;
    _Atomic uintptr_t break_high;
    _Atomic bool break_lock;
    /* What try_move_pages found out: a move_t. */
    _Atomic unsigned move;
    _Atomic uintptr_t heap_start; /* 0: not asked yet */
} linux_state;

typedef enum {
    MOVE_UNTRIED,
    MOVE_WORKS,
    MOVE_FAILS,
} move_t;

static bool advise(void *addr, size_t size, int advice)
{
    assert(os_is_paged(addr, size));
    int saved = errno;
    bool done = madvise(addr, size, advice) == 0;
    errno = saved;
    return done;
}

/* Since Linux 6.13; the C library may be older. */
#define GUARD_INSTALL 102
#define GUARD_REMOVE  103

bool os_mark_closed(void *addr, size_t size)
{
    return advise(addr, size, GUARD_INSTALL);
}

bool os_mark_open(void *addr, size_t size)
{
    return advise(addr, size, GUARD_REMOVE);
}

/* By the system call: the C library's function may be younger than we. */
uint64_t os_random(void)
{
    uint64_t value = 0;
    int saved = errno;
    long got = -1;
#ifdef SYS_getrandom
    got = syscall(SYS_getrandom, &value, sizeof(value), 1 /* do not wait */);
#endif
    errno = saved;
    if (got != (long)sizeof(value)) {
        static _Atomic uint64_t turn;
        uint64_t start[2] = {0, 0};
        const void *seed = (const void *)getauxval(AT_RANDOM); /* NOLINT */
        if (seed != NULL) {
            memcpy(start, seed, sizeof(start));
        }
        value = hash_mix(start[0] ^ hash_mix(start[1] ^ os_clock_precise_ns() ^
                                             hash_mix(++turn)));
    }
    return value;
}

bool os_purge_forced(void *addr, size_t size)
{
    return advise(addr, size, MADV_DONTNEED);
}

bool os_purge_lazy(void *addr, size_t size)
{
    return advise(addr, size, LINUX_MADV_FREE);
}

bool os_advise_huge(void *addr, size_t size, bool want)
{
    return advise(addr, size, want ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
}

static bool move_pages(void *from, void *to, size_t size)
{
    return mremap(from, size, size,
               MREMAP_MAYMOVE | MREMAP_FIXED | LINUX_MREMAP_DONTUNMAP,
               to) == to;
}

/*
 * MREMAP_DONTUNMAP (Linux 5.7) leaves an empty mapping behind. Older kernels
 * refuse the flag; emulators of user programs pass it on but forget the
 * mapping, so that system calls find nothing there, and later accesses
 * neither. Asked with the one call that writes to memory, names no file, and
 * is let through wherever programs run.
 */
static move_t try_move_pages(void)
{
    size_t page = os_page_bytes;
    unsigned char *p = os_map(2 * page, page);
    if (p == NULL) {
        return MOVE_UNTRIED;
    }
    p[0] = 1;
    bool works = move_pages(p, p + page, page) && p[page] == 1 &&
                 syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, p + page / 2,
                     (size_t)8) == 0 &&
                 p[0] == 0;
    (void)os_unmap(p, 2 * page);
    return works ? MOVE_WORKS : MOVE_FAILS;
}

bool os_move_pages(void *from, void *to, size_t size)
{
    assert(os_is_paged(from, size) && os_is_paged(to, size));
    int saved = errno;
    unsigned move = atomic_get_relaxed(&linux_state.move);
    if (JE_UNLIKELY(move == MOVE_UNTRIED)) {
        move = try_move_pages();
        atomic_put_relaxed(&linux_state.move, move);
    }
    bool done = move == MOVE_WORKS && move_pages(from, to, size);
    errno = saved;
    return done;
}

/* The break moves up by whole pages; the C library does not lock it. */
static void *extend_break(size_t size)
{
    uintptr_t now = (uintptr_t)sbrk(0);
    if (now == (uintptr_t)-1) {
        return NULL;
    }
    size_t pad = bits_round_up(now, os_page_bytes) - now;
    uintptr_t got = (uintptr_t)sbrk((intptr_t)(size + pad));
    uintptr_t start = got + pad;
    /* Misaligned: the program moved the break in between. */
    if (got == (uintptr_t)-1 || (start & (os_page_bytes - 1)) != 0) {
        return NULL;
    }
    if (atomic_get_relaxed(&linux_state.break_low) == 0) {
        atomic_put_relaxed(&linux_state.break_low, start);
    }
    atomic_put_relaxed(&linux_state.break_high, start + size);
    return (void *)start; /* NOLINT */
}

void *os_sbrk(size_t size)
{
    if (size > (size_t)INTPTR_MAX - 2 * os_page_bytes) {
        return NULL;
    }
    int saved = errno;
    while (atomic_exchange(&linux_state.break_lock, true)) {
        os_yield();
    }
    void *p = extend_break(size);
    atomic_put_release(&linux_state.break_lock, false);
    errno = saved;
    return p;
}

bool os_is_sbrk(const void *addr)
{
    uintptr_t low = atomic_get_relaxed(&linux_state.break_low);
    return low != 0 && (uintptr_t)addr >= low &&
           (uintptr_t)addr < atomic_get_relaxed(&linux_state.break_high);
}

/* Number of the field of /proc/self/stat that says where the heap starts. */
#define STAT_START_BRK 47

/* 0 if the system does not tell. */
static uintptr_t read_start_of_heap(void)
{
    char text[1024];
    if (os_read_file("/proc/self/stat", text, sizeof(text)) <= 0) {
        return 0;
    }
    /* The second field is the program's name, in parentheses. */
    const char *at = strrchr(text, ')');
    for (unsigned field = 2; at != NULL && field < STAT_START_BRK; field++) {
        at = strchr(at + 1, ' ');
    }
    uintptr_t start = 0;
    for (at = at == NULL ? "" : at + 1; *at >= '0' && *at <= '9'; at++) {
        start = start * 10 + (uintptr_t)(*at - '0');
    }
    return start;
}

bool os_break_bounds(uintptr_t *low, uintptr_t *high)
{
    *low = atomic_get_relaxed(&linux_state.heap_start);
    if (*low == 0) {
        *low = read_start_of_heap();
        atomic_put_relaxed(&linux_state.heap_start, *low);
    }
    *high = (uintptr_t)sbrk(0);
    return *low != 0 && *high != (uintptr_t)-1;
}

int os_current_cpu(void)
{
    int saved = errno;
    int cpu = sched_getcpu();
    errno = saved;
    return cpu;
}

static void futex(_Atomic uint32_t *word, int op, uint32_t value,
    const struct timespec *timeout)
{
    int saved = errno;
    (void)syscall(SYS_futex, word, op, value, timeout, NULL, 0);
    errno = saved;
}

void os_wait(_Atomic uint32_t *word, uint32_t expected)
{
    futex(word, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, expected, NULL);
}

void os_wait_for(_Atomic uint32_t *word, uint32_t expected, uint64_t ns)
{
    struct timespec timeout = {
        .tv_sec = (time_t)(ns / 1000000000U),
        .tv_nsec = (long)(ns % 1000000000U),
    };
    futex(word, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, expected, &timeout);
}

void os_wake(_Atomic uint32_t *word, int count)
{
    futex(word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, (uint32_t)count, NULL);
}

/* ThreadSanitizer would see no order in such a barrier. */
#if defined(__has_feature)
#    define HAS_TSAN __has_feature(thread_sanitizer)
#elif defined(__SANITIZE_THREAD__)
#    define HAS_TSAN 1
#else
#    define HAS_TSAN 0
#endif

/* The kernel wants to know beforehand, in each process, that it will come. */
bool os_barrier_everywhere(void)
{
    if (HAS_TSAN) {
        return false;
    }
    int saved = errno;
    long failed =
        syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0);
    if (failed != 0 && errno == EPERM &&
        syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0,
            0) == 0) {
        failed =
            syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0);
    }
    errno = saved;
    return failed == 0;
}

/* glibc's, from 2.32 on; elsewhere it is undefined. */
extern char __libc_single_threaded __attribute__((weak));

bool os_is_main_thread(void)
{
    return syscall(SYS_gettid) == getpid();
}

bool os_is_threaded(void)
{
    char *single = &__libc_single_threaded;
    return single != NULL && *single == 0;
}

/* Stack of our threads: purging needs little, fork handlers never run there. */
#define THREAD_STACK_BYTES ((size_t)64 << 10)

static void *run_thread(void *opaque)
{
    const os_thread_t *what = opaque;
    (void)prctl(PR_SET_NAME, what->name, 0, 0, 0);
    return what->main(NULL);
}

bool os_start_thread(const os_thread_t *what)
{
    void *opaque = (void *)(uintptr_t)what; /* run_thread only reads it */
    int saved = errno;
    sigset_t all;
    sigset_t old;
    pthread_attr_t attr;
    pthread_t thread;
    bool done = false;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &old);
    if (pthread_attr_init(&attr) == 0) {
        (void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
        (void)pthread_attr_setstacksize(&attr, THREAD_STACK_BYTES);
        /* A program with huge thread-locals needs the default stack. */
        done = pthread_create(&thread, &attr, run_thread, opaque) == 0 ||
               (pthread_attr_init(&attr) == 0 &&
                   pthread_attr_setdetachstate(
                       &attr, PTHREAD_CREATE_DETACHED) == 0 &&
                   pthread_create(&thread, &attr, run_thread, opaque) == 0);
        (void)pthread_attr_destroy(&attr);
    }
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
    errno = saved;
    return done;
}

void os_postfork_child(void)
{
    atomic_put_relaxed(&linux_state.break_lock, false);
}
