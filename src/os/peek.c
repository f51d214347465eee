/*
 * What: see peek.h. The kernel does the reading: it answers with an error
 * where a load of ours would fault.
 *
 * Invariants: as there.
 *
 * Locking: as there.
 */
#include "os/peek.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "os/os.h"
#include "os/valgrind.h"
#include "util/atomic.h"
#include "util/bits.h"

/* No such address anywhere: the lowest page is never mapped by programs. */
#define NOWHERE ((uintptr_t)8)

static struct {
    _Atomic bool copy_refused; /* a sandbox forbids process_vm_readv */
    _Atomic int probe;         /* 0 untried, 1 works, -1 does not */
} peek_state;

/* EFAULT comes before EINVAL: the set is fetched before it is looked at. */
static bool probe_by_mask(uintptr_t addr)
{
    const int no_such_how = -1;
    return syscall(SYS_rt_sigprocmask, no_such_how, addr, NULL, 8) == 0 ||
           errno != EFAULT;
}

/* Coarser: says that something is mapped there, readable or not. */
static bool probe_by_residence(uintptr_t addr)
{
    unsigned char resident;
    uintptr_t page = bits_round_down(addr, os_page_size());
    return mincore((void *)page, 1, &resident) == 0; /* NOLINT */
}

bool os_is_readable(uintptr_t addr)
{
    int saved = errno;
    int probe = atomic_get_relaxed(&peek_state.probe);
    if (addr < os_page_size()) {
        return false; /* no set at all, for the kernel */
    }
    if (JE_UNLIKELY(probe == 0)) {
        /* Valgrind would report each set that cannot be read. */
        bool works = !valgrind_is_running() && !probe_by_mask(NOWHERE);
        probe = works ? 1 : -1;
        atomic_put_relaxed(&peek_state.probe, probe);
    }
    bool readable = probe > 0 ? probe_by_mask(addr) : probe_by_residence(addr);
    errno = saved;
    return readable;
}

static size_t peek_by_page(char *to, uintptr_t from, size_t size)
{
    size_t got = 0;
    while (got < size) {
        uintptr_t at = from + got;
        size_t left = os_page_size() - (at & (os_page_size() - 1));
        size_t chunk = left < size - got ? left : size - got;
        if (!os_is_readable(bits_round_down(at, sizeof(uint64_t)))) {
            break;
        }
        memcpy(to + got, (const void *)at, chunk); /* NOLINT */
        got += chunk;
    }
    return got;
}

size_t os_peek(void *to, uintptr_t from, size_t size)
{
    if (!atomic_get_relaxed(&peek_state.copy_refused)) {
        int saved = errno;
        struct iovec local = {to, size};
        struct iovec remote = {(void *)from, size}; /* NOLINT */
        long got = syscall(
            SYS_process_vm_readv, getpid(), &local, 1UL, &remote, 1UL, 0UL);
        int error = got < 0 ? errno : 0;
        errno = saved;
        if (got >= 0) {
            return (size_t)got;
        }
        if (error != EPERM && error != ENOSYS) {
            return 0;
        }
        atomic_put_relaxed(&peek_state.copy_refused, true);
    }
    return peek_by_page(to, from, size);
}

/* ---- the map of the process ---- */

/* Bytes read at a time; small, as this runs on any stack there is. */
#define MAPS_CHUNK 512

typedef struct {
    os_mapping_t now;
    unsigned field; /* start, end, rights, offset, device, inode, name */
    char *name;
    size_t name_size;
    size_t name_length;
} maps_parser_t;

static bool hex_digit(char c, uint64_t *value)
{
    unsigned digit = c >= '0' && c <= '9'   ? (unsigned)(c - '0')
                     : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10
                                            : 16;
    if (digit < 16) {
        *value = *value * 16 + digit;
    }
    return digit < 16;
}

/* Takes one character; true at the end of a line. */
static bool maps_parse(maps_parser_t *p, char c)
{
    uint64_t value;
    if (c == '\n') {
        return true;
    }
    switch (p->field) {
    case 0:
    case 1:
        value = p->field == 0 ? p->now.start : p->now.end;
        if (!hex_digit(c, &value)) {
            p->field++;
        } else if (p->field == 0) {
            p->now.start = (uintptr_t)value;
        } else {
            p->now.end = (uintptr_t)value;
        }
        break;
    case 2:
        p->now.readable |= c == 'r';
        p->now.executable |= c == 'x';
        p->field += c == ' ';
        break;
    case 3:
        p->field += !hex_digit(c, &p->now.offset);
        break;
    case 4:
        p->field += c == ' ';
        break;
    case 5:
        p->now.file |= c >= '1' && c <= '9';
        p->field += c == ' ';
        break;
    default:
        if ((c != ' ' || p->name_length != 0) &&
            p->name_length + 1 < p->name_size) {
            p->name[p->name_length++] = c;
        }
    }
    return false;
}

static bool maps_report(maps_parser_t *p,
    bool (*visit)(const os_mapping_t *mapping, void *opaque), void *opaque)
{
    if (p->name_size != 0) {
        p->name[p->name_length] = '\0';
        p->now.name = p->name;
    }
    bool goes_on = visit(&p->now, opaque);
    *p = (maps_parser_t){.name = p->name, .name_size = p->name_size};
    return goes_on;
}

JE_NOINLINE static bool visit_chunk(int fd, maps_parser_t *parser,
    bool (*visit)(const os_mapping_t *mapping, void *opaque), void *opaque)
{
    char chunk[MAPS_CHUNK];
    ssize_t got = read(fd, chunk, sizeof(chunk));
    if (got < 0 && errno == EINTR) {
        return true;
    }
    for (ssize_t i = 0; i < got; i++) {
        if (maps_parse(parser, chunk[i]) &&
            !maps_report(parser, visit, opaque)) {
            return false;
        }
    }
    return got > 0;
}

bool os_visit_mappings(bool (*visit)(const os_mapping_t *mapping, void *opaque),
    void *opaque, char *name, size_t name_size)
{
    int saved = errno;
    int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        maps_parser_t parser = {.name = name, .name_size = name_size};
        while (visit_chunk(fd, &parser, visit, opaque)) {
        }
        (void)close(fd);
    }
    errno = saved;
    return fd >= 0;
}

os_fixtures_t os_fixtures(void)
{
    return (os_fixtures_t){
        .program = (uintptr_t)getauxval(AT_PHDR),
        .vdso = (uintptr_t)getauxval(AT_SYSINFO_EHDR),
        .loader = (uintptr_t)getauxval(AT_BASE),
        .libc = (uintptr_t)&getauxval,
    };
}
