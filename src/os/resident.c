/*
 * What: see resident.h.
 *
 * Invariants: as there.
 *
 * Locking: as there.
 */
#include "os/resident.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "os/os.h"
#include "util/fail.h"

/* Pages asked about at a time. */
#define PAGES_AT_ONCE 1024

/* Bytes of /proc/self/smaps that are read at a time, and its longest line. */
#define TEXT_BYTES 1024
#define LINE_BYTES 128

/* Entries of /proc/self/pagemap that are read at a time: half a KiB. */
#define ENTRIES_AT_ONCE 64

/* Their bits. */
#define PAGEMAP_PRESENT (1ULL << 63)
#define PAGEMAP_FILE    (1ULL << 61)
#define PAGEMAP_OWN     (1ULL << 56)

size_t os_resident_bytes(uintptr_t addr, size_t size)
{
    unsigned char in_memory[PAGES_AT_ONCE];
    int saved = errno;
    size_t pages = 0;
    while (size != 0) {
        size_t step = PAGES_AT_ONCE * os_page_size();
        step = size < step ? size : step;
        size_t count = step / os_page_size();
        if (mincore((void *)addr, step, in_memory) != 0) { /* NOLINT */
            break;
        }
        for (size_t i = 0; i < count; i++) {
            pages += in_memory[i] & 1;
        }
        addr += step;
        size -= step;
    }
    errno = saved;
    return pages * os_page_size();
}

/* ---- text of /proc ---- */

/* Digits at the front of a text; *end is what follows. */
static uint64_t take_number(const char *text, unsigned base, const char **end)
{
    uint64_t value = 0;
    for (;; text++) {
        unsigned digit = (unsigned)(*text - '0');
        if (*text >= 'a' && *text <= 'f') {
            digit = (unsigned)(*text - 'a') + 10;
        }
        if (digit >= base) {
            break;
        }
        value = value * base + digit;
    }
    *end = text;
    return value;
}

/* Bytes of "Key:   123 kB"; false if the line has another key. */
static bool take_kib(const char *line, const char *key, size_t *bytes)
{
    size_t len = strlen(key);
    if (strncmp(line, key, len) != 0) {
        return false;
    }
    const char *at = line + len;
    *bytes = (size_t)take_number(at + strspn(at, " \t"), 10, &at) << 10;
    return true;
}

/* "55d0-55e0 rw-p 00000000 00:00 0     /path"; false if it is none. */
static bool take_bounds(const char *line, os_resident_t *mapping)
{
    const char *at;
    uint64_t start = take_number(line, 16, &at);
    if (at == line || *at != '-') {
        return false;
    }
    uint64_t end = take_number(at + 1, 16, &at);
    if (*at != ' ') {
        return false;
    }
    *mapping = (os_resident_t){
        .start = (uintptr_t)start,
        .end = (uintptr_t)end,
        .has_file = strchr(at, '/') != NULL,
    };
    return true;
}

typedef struct {
    os_resident_t mapping;
    bool has_mapping;
    void (*visit)(const os_resident_t *mapping, void *opaque);
    void *opaque;
} smaps_t;

static void finish_mapping(smaps_t *smaps)
{
    if (smaps->has_mapping) {
        smaps->visit(&smaps->mapping, smaps->opaque);
    }
    smaps->has_mapping = false;
}

static void smaps_line(const char *line, void *opaque)
{
    smaps_t *smaps = opaque;
    os_resident_t next;
    if (take_bounds(line, &next)) {
        finish_mapping(smaps);
        smaps->mapping = next;
        smaps->has_mapping = true;
    } else if (!take_kib(line, "Rss:", &smaps->mapping.resident_bytes)) {
        (void)take_kib(line, "AnonHugePages:", &smaps->mapping.huge_bytes);
    }
}

/* Calls `visit` for each line, cut to its beginning. */
static bool visit_lines(const char *path,
    void (*visit)(const char *line, void *opaque), void *opaque)
{
    char text[TEXT_BYTES];
    char line[LINE_BYTES];
    size_t len = 0;
    ssize_t got = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    while ((got = read(fd, text, sizeof(text))) > 0 ||
           (got < 0 && errno == EINTR)) {
        for (ssize_t i = 0; i < got; i++) {
            if (text[i] == '\n') {
                line[len] = '\0';
                visit(line, opaque);
                len = 0;
            } else if (len < sizeof(line) - 1) {
                line[len++] = text[i];
            }
        }
    }
    (void)close(fd);
    return got == 0;
}

bool os_visit_resident(
    void (*visit)(const os_resident_t *mapping, void *opaque), void *opaque)
{
    int saved = errno;
    smaps_t smaps = {.visit = visit, .opaque = opaque};
    bool done = visit_lines("/proc/self/smaps", smaps_line, &smaps);
    finish_mapping(&smaps);
    errno = saved;
    return done;
}

static void status_line(const char *line, void *opaque)
{
    (void)take_kib(line, "VmRSS:", opaque);
}

size_t os_resident_set(void)
{
    int saved = errno;
    size_t bytes = 0;
    (void)visit_lines("/proc/self/status", status_line, &bytes);
    errno = saved;
    return bytes;
}

/* ---- pages ---- */

int os_pages_open(void)
{
    int saved = errno;
    int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    errno = saved;
    return fd;
}

void os_pages_close(int fd)
{
    int saved = errno;
    if (fd >= 0) {
        (void)close(fd);
    }
    errno = saved;
}

static uint8_t page_state(uint64_t entry)
{
    if ((entry & PAGEMAP_PRESENT) == 0) {
        return OS_PAGE_ABSENT;
    }
    return (entry & (PAGEMAP_OWN | PAGEMAP_FILE)) != 0 ? OS_PAGE_OWN
                                                       : OS_PAGE_SHARED;
}

static bool read_entries(int fd, uintptr_t addr, size_t count, uint8_t *states)
{
    uint64_t entries[ENTRIES_AT_ONCE];
    int saved = errno;
    size_t want = count * sizeof(entries[0]);
    off_t at = (off_t)(addr / os_page_size() * sizeof(entries[0]));
    ssize_t got = pread(fd, entries, want, at);
    errno = saved;
    if (got != (ssize_t)want) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        states[i] = page_state(entries[i]);
    }
    return true;
}

bool os_pages_read(int fd, uintptr_t addr, size_t count, uint8_t *states)
{
    assert(count <= OS_PAGES_AT_ONCE);
    for (size_t i = 0; i < count; i += ENTRIES_AT_ONCE) {
        size_t left = count - i;
        if (!read_entries(fd, addr + i * os_page_size(),
                left < ENTRIES_AT_ONCE ? left : ENTRIES_AT_ONCE, states + i)) {
            return false;
        }
    }
    return true;
}
