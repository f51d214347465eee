/*
 * What: see prof_out.h. Formats: RFC 1951 (stored blocks), RFC 1952 (gzip).
 *
 * Invariants: as there.
 *
 * Locking: as there.
 */
#include "prof/prof_out.h"

#include <stdarg.h>
#include <string.h>

#include "os/file.h"
#include "util/format.h"

/* One stored block holds at most that. */
#define BUFFER_BYTES 65535

/* Longest text of one prof_out_print. */
#define PRINT_MAX 512

static struct {
    os_new_file_t file;
    int error;
    bool gzip;
    uint32_t crc;
    uint32_t total;
    size_t used;
    char buffer[BUFFER_BYTES];
} out;

static void put(const void *data, size_t size)
{
    if (out.error == 0) {
        out.error = os_write_all(out.file.fd, data, size);
    }
}

/* The polynomial of gzip, four bits at a time. */
static uint32_t crc_step(uint32_t crc, const char *data, size_t size)
{
    static const uint32_t table[16] = {0x00000000, 0x1db71064, 0x3b6e20c8,
        0x26d930ac, 0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c, 0xedb88320,
        0xf00f9344, 0xd6d6a3e8, 0xcb61b38c, 0x9b64c2b0, 0x86d3d2d4, 0xa00ae278,
        0xbdbdf21c};
    for (size_t i = 0; i < size; i++) {
        crc ^= (uint8_t)data[i];
        crc = crc >> 4 ^ table[crc & 15];
        crc = crc >> 4 ^ table[crc & 15];
    }
    return crc;
}

static void little_endian(uint8_t *to, uint32_t value, unsigned size)
{
    for (unsigned i = 0; i < size; i++) {
        to[i] = (uint8_t)(value >> (8 * i));
    }
}

static void flush(bool last)
{
    if (out.gzip) {
        uint8_t head[5] = {last};
        little_endian(head + 1, (uint32_t)out.used, 2);
        little_endian(head + 3, ~(uint32_t)out.used, 2);
        put(head, sizeof(head));
        out.crc = ~crc_step(~out.crc, out.buffer, out.used);
        out.total += (uint32_t)out.used;
    }
    put(out.buffer, out.used);
    out.used = 0;
}

int prof_out_begin(const char *path, bool gzip)
{
    /* Magic, deflate, no name, no time, nothing known of compression, Unix. */
    static const uint8_t head[10] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3};
    int error = os_new_file_begin(&out.file, path);
    if (error != 0) {
        return error;
    }
    out.error = 0;
    out.gzip = gzip;
    out.crc = 0;
    out.total = 0;
    out.used = 0;
    if (gzip) {
        put(head, sizeof(head));
    }
    return 0;
}

void prof_out_bytes(const void *data, size_t size)
{
    const char *at = data;
    while (size != 0) {
        size_t room = BUFFER_BYTES - out.used;
        size_t chunk = size < room ? size : room;
        memcpy(out.buffer + out.used, at, chunk);
        out.used += chunk;
        at += chunk;
        size -= chunk;
        if (out.used == BUFFER_BYTES) {
            flush(false);
        }
    }
}

void prof_out_text(const char *text)
{
    prof_out_bytes(text, strlen(text));
}

void prof_out_print(const char *fmt, ...)
{
    char text[PRINT_MAX];
    va_list ap;
    va_start(ap, fmt);
    size_t length = format_vprint(text, sizeof(text), fmt, ap);
    va_end(ap);
    prof_out_bytes(text, length < sizeof(text) ? length : sizeof(text) - 1);
}

bool prof_out_copy(const char *path)
{
    int fd = os_open(path);
    if (fd < 0) {
        return false;
    }
    char chunk[1024];
    ssize_t got;
    while ((got = os_read(fd, chunk, sizeof(chunk))) > 0) {
        prof_out_bytes(chunk, (size_t)got);
    }
    os_close(fd);
    return true;
}

int prof_out_end(void)
{
    flush(true);
    if (out.gzip) {
        uint8_t tail[8];
        little_endian(tail, out.crc, 4);
        little_endian(tail + 4, out.total, 4);
        put(tail, sizeof(tail));
    }
    int error = os_new_file_end(&out.file, out.error == 0);
    return out.error != 0 ? out.error : error;
}
