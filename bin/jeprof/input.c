/*
 * What: maps files, unpacks gzip, see input.h.
 *
 * Invariants: (I1) what is unpacked is at most UNPACKED_MAX long, so that a
 * small file cannot fill the machine.
 *
 * Locking: none.
 */
#include "input.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "mem.h"
#include "say.h"

#define UNPACKED_MAX ((size_t)16 << 30)
#define CHUNK        (1U << 30)

static input_t read_all(int fd, const char *name)
{
    text_t t = {NULL, 0, 0};
    text_clear(&t);
    static char buffer[65536];
    ssize_t n;
    while ((n = read(fd, buffer, sizeof(buffer))) > 0 ||
           (n < 0 && errno == EINTR)) {
        text_add(&t, buffer, n > 0 ? (size_t)n : 0);
    }
    if (n < 0) {
        fail("%s: cannot be read: %s", name, strerror(errno));
    }
    return (input_t){name, t.at, t.len, 0};
}

static input_t unpack(input_t in)
{
    z_stream z;
    memset(&z, 0, sizeof(z));
    if (inflateInit2(&z, 15 + 32) != Z_OK) {
        fail("%s: zlib does not start: %s", in.name, z.msg);
    }
    size_t room = in.len * 4 + 65536;
    size_t len = 0;
    char *bytes = mem_resize(NULL, room);
    z.next_in = (Bytef *)(uintptr_t)in.bytes;
    size_t left = in.len;
    int status = Z_OK;
    while (status == Z_OK) {
        if (len == room) {
            room *= 2;
            bytes = mem_resize(bytes, room);
        }
        uInt now = left < CHUNK ? (uInt)left : CHUNK;
        uInt space = room - len < CHUNK ? (uInt)(room - len) : CHUNK;
        z.avail_in = now;
        z.avail_out = space;
        z.next_out = (Bytef *)bytes + len;
        status = inflate(&z, Z_NO_FLUSH);
        left -= now - z.avail_in;
        len += space - z.avail_out;
        if (status == Z_STREAM_END && left > 2 && z.next_in[0] == 0x1f) {
            status = inflateReset(&z); /* another member follows */
        }
        if (len > UNPACKED_MAX) {
            inflateEnd(&z);
            fail("%s: unpacks to more than %zu GiB", in.name,
                UNPACKED_MAX >> 30);
        }
    }
    inflateEnd(&z);
    if (status != Z_STREAM_END) {
        if (len == 0) {
            fail("%s: damaged gzip data", in.name);
        }
        warn("%s: the gzip data ends early or is damaged after %zu bytes",
            in.name, len);
    }
    return (input_t){in.name, bytes, len, in.modified_at};
}

input_t input_of(const char *name, const char *bytes, size_t len)
{
    input_t in = {name, bytes, len, 0};
    bool packed = len > 2 && memcmp(bytes, "\x1f\x8b", 2) == 0;
    return packed ? unpack(in) : in;
}

input_t input_open(const char *name)
{
    bool is_stdin = strcmp(name, "-") == 0;
    int fd = is_stdin ? STDIN_FILENO : open(name, O_RDONLY | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0) {
        fail("%s: cannot be opened: %s", name, strerror(errno));
    }
    if (S_ISDIR(st.st_mode)) {
        fail("%s: a directory, not a profile", name);
    }
    void *at = MAP_FAILED;
    if (S_ISREG(st.st_mode) && st.st_size > 0) {
        at = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    }
    input_t in = at != MAP_FAILED ? input_of(name, at, (size_t)st.st_size)
                                  : read_all(fd, name);
    if (at == MAP_FAILED) {
        in = input_of(name, in.bytes, in.len);
    }
    in.modified_at = S_ISREG(st.st_mode) ? (uint64_t)st.st_mtim.tv_sec : 0;
    if (!is_stdin) {
        close(fd);
    }
    return in;
}

bool input_begins(const char *name, const void *magic, size_t len)
{
    char start[16];
    int fd = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || len > sizeof(start)) {
        return false;
    }
    ssize_t n = read(fd, start, len);
    close(fd);
    return n == (ssize_t)len && memcmp(start, magic, len) == 0;
}
