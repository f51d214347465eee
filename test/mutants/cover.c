/*
 * What: notes which code a test runs. Linked into every program and library
 * of the instrumented tree; the compiler puts a call at the head of each
 * block (-fsanitize-coverage=trace-pc). The note is a byte in a file that all
 * processes map, so it outlives abort, fork, exec and _exit.
 *
 * Invariants: (I1) nothing is allocated and errno stays; (I2) the file is
 * named after the build id of the image that the call stands in, the byte is
 * at the distance of the call from the image's beginning; (I3) where the file
 * cannot be had the notes go nowhere.
 *
 * Locking: none; writers store the same byte.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Bytes of text that one image may have. */
#define IMAGE_BYTES (8UL << 20)

extern const ElfW(Ehdr) __ehdr_start __attribute__((visibility("hidden")));

/* Where a test wraps syscall (-Wl,--wrap), the true one. */
extern long __real_syscall(long number, ...) __attribute__((weak));

static unsigned char *notes;

static const unsigned char *build_id(unsigned *length)
{
    const char *base = (const char *)&__ehdr_start;
    const ElfW(Phdr) *part =
        (const ElfW(Phdr) *)(const void *)(base + __ehdr_start.e_phoff);
    for (unsigned i = 0; i < __ehdr_start.e_phnum; i++) {
        const char *at = base + part[i].p_vaddr;
        const char *end = at + part[i].p_filesz;
        while (part[i].p_type == PT_NOTE && at < end) {
            const ElfW(Nhdr) *note = (const ElfW(Nhdr) *)(const void *)at;
            const char *name = at + sizeof(*note);
            const char *text = name + ((note->n_namesz + 3) & ~3U);
            if (note->n_type == NT_GNU_BUILD_ID) {
                *length = note->n_descsz;
                return (const unsigned char *)text;
            }
            at = text + ((note->n_descsz + 3) & ~3U);
        }
    }
    *length = 0;
    return NULL;
}

static void open_notes(void)
{
    static unsigned char nowhere[IMAGE_BYTES];
    char path[sizeof(COVER_DIRECTORY) + 64] = COVER_DIRECTORY "/";
    char *out = path + sizeof(COVER_DIRECTORY);
    unsigned length;
    const unsigned char *id = build_id(&length);
    for (unsigned i = 0; i < length && i < 20; i++) {
        *out++ = "0123456789abcdef"[id[i] >> 4];
        *out++ = "0123456789abcdef"[id[i] & 15];
    }
    long (*call)(long, ...) = __real_syscall != NULL ? __real_syscall : syscall;
    long fd = call(SYS_openat, AT_FDCWD, path, O_RDWR | O_CREAT, 0666);
    long at = -1;
    if (fd >= 0 && call(SYS_ftruncate, fd, IMAGE_BYTES) == 0) {
        at = call(SYS_mmap, NULL, IMAGE_BYTES, PROT_READ | PROT_WRITE,
            MAP_SHARED, fd, 0L);
    }
    if (fd >= 0) {
        call(SYS_close, fd);
    }
    notes = at == -1 ? nowhere : (unsigned char *)at;
}

void __sanitizer_cov_trace_pc(void);
__attribute__((visibility("hidden"))) void __sanitizer_cov_trace_pc(void)
{
    if (notes == NULL) {
        int saved = errno;
        open_notes();
        errno = saved;
    }
    uintptr_t at =
        (uintptr_t)__builtin_return_address(0) - (uintptr_t)&__ehdr_start;
    if (at < IMAGE_BYTES) {
        notes[at] = 1;
    }
}
