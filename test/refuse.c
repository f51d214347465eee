/*
 * What: see refuse.h.
 *
 * Invariants: as there.
 *
 * Locking: as there.
 */
#include "refuse.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct {
    atomic_int how;
    _Atomic uint64_t n;
    _Atomic uint64_t calls;
    _Atomic size_t mapped_bytes;
    _Atomic size_t kept_bytes;
    atomic_uint break_moves;
    atomic_bool read_environment;
} refuse;

void refuse_begin(refuse_how_t how, uint64_t n)
{
    atomic_store(&refuse.read_environment, true);
    atomic_store(&refuse.calls, 0);
    atomic_store(&refuse.n, n);
    atomic_store(&refuse.how, (int)how);
}

uint64_t refuse_end(void)
{
    atomic_store(&refuse.how, REFUSE_NONE);
    return atomic_load(&refuse.calls);
}

size_t refuse_mapped_bytes(void)
{
    return atomic_load(&refuse.mapped_bytes);
}

size_t refuse_kept_bytes(void)
{
    return atomic_load(&refuse.kept_bytes);
}

unsigned refuse_break_moves(void)
{
    return atomic_load(&refuse.break_moves);
}

static void read_environment(void)
{
    static const char *const names[] = {"none", "one", "from", "some"};
    if (atomic_exchange(&refuse.read_environment, true)) {
        return;
    }
    const char *value = getenv("REFUSE");
    for (int how = 1; value != NULL && how < 4; how++) {
        size_t length = strlen(names[how]);
        if (strncmp(value, names[how], length) == 0 && value[length] == ':') {
            refuse_begin(
                (refuse_how_t)how, strtoull(value + length + 1, NULL, 10));
        }
    }
}

static _Thread_local uint64_t chances;

void refuse_seed(uint64_t seed)
{
    chances = seed | 1;
}

static bool by_chance(uint64_t one_in)
{
    if (chances == 0) {
        chances = (uint64_t)(uintptr_t)&chances >> 4;
    }
    chances = chances * 6364136223846793005u + 1442695040888963407u;
    return (chances >> 33) % one_in == 0;
}

/* Counts a call; true, with errno set, if it is to fail. */
static bool refused(int error)
{
    read_environment();
    uint64_t call = atomic_fetch_add(&refuse.calls, 1) + 1;
    uint64_t n = atomic_load(&refuse.n);
    bool no = false;
    switch (atomic_load(&refuse.how)) {
    case REFUSE_ONE:
        no = call == n;
        break;
    case REFUSE_FROM:
        no = call >= n;
        break;
    case REFUSE_SOME:
        no = by_chance(n);
        break;
    default:
        break;
    }
    if (no) {
        errno = error;
    }
    return no;
}

/* The same for what returns an error and leaves errno alone. */
static bool refused_by_result(void)
{
    int saved = errno;
    bool no = refused(saved);
    errno = saved;
    return no;
}

/* Where files may be larger than off_t was, glibc's calls go by other names. */
#if defined(__GLIBC__) && UINTPTR_MAX == UINT32_MAX &&                         \
    defined(_FILE_OFFSET_BITS)
#    define NAME_mmap      mmap64
#    define NAME_open      open64
#    define NAME_getrlimit getrlimit64
#else
#    define NAME_mmap      mmap
#    define NAME_open      open
#    define NAME_getrlimit getrlimit
#endif

#define JOIN_(a, b) a##b
#define JOIN(a, b)  JOIN_(a, b)
#define REAL(name)  JOIN(__real_, name)

#define WRAP(type, name, ...)                                                  \
    type REAL(name)(__VA_ARGS__);                                              \
    type JOIN(__wrap_, name)(__VA_ARGS__);                                     \
    type JOIN(__wrap_, name)(__VA_ARGS__)

WRAP(void *, NAME_mmap, void *addr, size_t length, int protection, int flags,
    int fd, off_t offset)
{
    if (refused(ENOMEM)) {
        return MAP_FAILED;
    }
    void *p = REAL(NAME_mmap)(addr, length, protection, flags, fd, offset);
    if (p != MAP_FAILED && (flags & MAP_FIXED) == 0) {
        atomic_fetch_add(&refuse.mapped_bytes, length);
    }
    return p;
}

WRAP(int, munmap, void *addr, size_t length)
{
    if (refused(ENOMEM)) {
        atomic_fetch_add(&refuse.kept_bytes, length);
        return -1;
    }
    int status = __real_munmap(addr, length);
    if (status == 0) {
        atomic_fetch_sub(&refuse.mapped_bytes, length);
    }
    return status;
}

WRAP(void *, mremap, void *from, size_t old_length, size_t length, int flags,
    void *to)
{
    return refused(ENOMEM) ? MAP_FAILED
                           : __real_mremap(from, old_length, length, flags, to);
}

WRAP(int, madvise, void *addr, size_t length, int advice)
{
    return refused(EINVAL) ? -1 : __real_madvise(addr, length, advice);
}

WRAP(int, mprotect, void *addr, size_t length, int protection)
{
    if (refused(ENOMEM)) {
        /* Guards that stay closed are given up with the arena they are in. */
        atomic_fetch_add(
            &refuse.kept_bytes, protection != PROT_NONE ? length : 0);
        return -1;
    }
    return __real_mprotect(addr, length, protection);
}

WRAP(void *, sbrk, intptr_t increment)
{
    if (increment == 0) {
        return __real_sbrk(0);
    }
    if (refused(ENOMEM)) {
        return (void *)-1; /* NOLINT */
    }
    void *p = __real_sbrk(increment);
    if (p != (void *)-1) { /* NOLINT */
        atomic_fetch_add(&refuse.mapped_bytes, (size_t)increment);
        atomic_fetch_add(&refuse.break_moves, 1);
    }
    return p;
}

WRAP(int, pthread_create, pthread_t *thread, const pthread_attr_t *attributes,
    void *(*start)(void *), void *argument)
{
    return refused_by_result()
               ? EAGAIN
               : __real_pthread_create(thread, attributes, start, argument);
}

int refuse_not_thread(pthread_t *thread, void *(*start)(void *), void *argument)
{
    return __real_pthread_create(thread, NULL, start, argument);
}

WRAP(int, pthread_key_create, pthread_key_t *key, void (*destroy)(void *))
{
    return refused_by_result() ? EAGAIN
                               : __real_pthread_key_create(key, destroy);
}

WRAP(int, pthread_setspecific, pthread_key_t key, const void *value)
{
    return refused_by_result() ? ENOMEM
                               : __real_pthread_setspecific(key, value);
}

WRAP(int, pthread_atfork, void (*prepare)(void), void (*parent)(void),
    void (*child)(void))
{
    return refused_by_result() ? ENOMEM
                               : __real_pthread_atfork(prepare, parent, child);
}

WRAP(int, sched_getaffinity, pid_t pid, size_t size, cpu_set_t *set)
{
    return refused(EPERM) ? -1 : __real_sched_getaffinity(pid, size, set);
}

WRAP(int, sched_getcpu, void)
{
    return refused(ENOSYS) ? -1 : __real_sched_getcpu();
}

WRAP(int, NAME_getrlimit, int resource, struct rlimit *limit)
{
    return refused(EPERM) ? -1 : REAL(NAME_getrlimit)(resource, limit);
}

WRAP(ssize_t, readlink, const char *path, char *buffer, size_t size)
{
    return refused(EACCES) ? -1 : __real_readlink(path, buffer, size);
}

WRAP(int, NAME_open, const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = (flags & O_CREAT) != 0 ? va_arg(arguments, mode_t) : 0;
    va_end(arguments);
    return refused(EMFILE) ? -1 : REAL(NAME_open)(path, flags, mode);
}

WRAP(ssize_t, read, int fd, void *buffer, size_t size)
{
    return refused(EIO) ? -1 : __real_read(fd, buffer, size);
}

/*
 * Sleeping on a word is no request that could be refused. Whoever passes less
 * has six arguments passed on all the same, from beyond its frame perhaps.
 */
__attribute__((no_sanitize("address"))) long __wrap_syscall(long number, ...);

WRAP(long, syscall, long number, ...)
{
    long a[6];
    va_list arguments;
    va_start(arguments, number);
    for (int i = 0; i < 6; i++) {
        a[i] = va_arg(arguments, long);
    }
    va_end(arguments);
    if (number != SYS_futex && refused(ENOSYS)) {
        return -1;
    }
    return __real_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
