/*
 * What: a preloaded witness. Each process that starts with it appends one
 * line to the file named by WITNESS_LOG: its executable, the object that its
 * malloc comes from, and whether WITNESS_LIBRARY is loaded. This is the proof
 * that a program under test really ran on the library under test.
 *
 * Invariants: (I1) one write a process, so lines of several processes do not
 * mix; (I2) allocates nothing; (I3) stands before the library in LD_PRELOAD,
 * so that RTLD_NEXT reaches the library.
 *
 * Locking: none; runs once, before main.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/*
 * A program that is not position-independent and takes the address of malloc
 * answers with a stub of its own: an undefined symbol that has a value. The
 * real owner is then the next definition.
 */
static const char *malloc_owner(void)
{
    Dl_info info;
    ElfW(Sym) *symbol = NULL;
    void *entry = dlsym(RTLD_DEFAULT, "malloc");

    if (entry == NULL ||
        dladdr1(entry, &info, (void **)&symbol, RTLD_DL_SYMENT) == 0) {
        return "nobody";
    }
    if (symbol != NULL && symbol->st_shndx == SHN_UNDEF) {
        entry = dlsym(RTLD_NEXT, "malloc");
        if (entry == NULL || dladdr(entry, &info) == 0) {
            return "nobody";
        }
    }
    return info.dli_fname;
}

static const char *library_state(void)
{
    const char *library = getenv("WITNESS_LIBRARY");

    if (library == NULL || dlopen(library, RTLD_LAZY | RTLD_NOLOAD) == NULL) {
        return "absent";
    }
    return "loaded";
}

__attribute__((constructor)) static void witness(void)
{
    const char *path = getenv("WITNESS_LOG");
    char program[PATH_MAX];
    char line[3 * PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", program, sizeof(program) - 1);

    if (path == NULL || length < 0) {
        return;
    }
    program[length] = '\0';
    int size = snprintf(line, sizeof(line), "%s\t%s\t%s\n", program,
        malloc_owner(), library_state());
    int log = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
    if (log < 0) {
        return;
    }
    if (write(log, line, (size_t)size) != size) {
        fprintf(stderr, "witness: short write to %s\n", path);
    }
    close(log);
}
