/*
 * What: see file.h.
 *
 * Invariants: as there.
 *
 * Locking: as there.
 */
#include "os/file.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "util/format.h"

#define NEW_FILE_MODE 0644

extern char **environ;

/* The name until the file is complete; beside the final one, to be renamed. */
static bool temporary_name(const char *path, char *out, size_t size)
{
    return format_print(out, size, "%s.%d.tmp", path, (int)getpid()) < size;
}

static bool is_special(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && !S_ISREG(info.st_mode);
}

int os_new_file_begin(os_new_file_t *file, const char *path)
{
    int saved = errno;
    int error = 0;
    size_t length = strnlen(path, PATH_MAX);
    file->fd = -1;
    file->direct = is_special(path);
    if (length == PATH_MAX ||
        !temporary_name(path, file->temporary, sizeof(file->temporary))) {
        return ENAMETOOLONG;
    }
    memcpy(file->path, path, length + 1);
    file->fd = open(file->direct ? path : file->temporary,
        O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, NEW_FILE_MODE);
    if (file->fd < 0) {
        error = errno;
    }
    errno = saved;
    return error;
}

int os_new_file_end(os_new_file_t *file, bool keep)
{
    int saved = errno;
    int error = close(file->fd) == 0 ? 0 : errno;
    if (!file->direct) {
        if (error == 0 && keep && rename(file->temporary, file->path) != 0) {
            error = errno;
        }
        if (error != 0 || !keep) {
            (void)unlink(file->temporary);
        }
    }
    errno = saved;
    return error;
}

int os_write_all(int fd, const void *data, size_t size)
{
    int saved = errno;
    int error = 0;
    const char *at = data;
    while (size != 0 && error == 0) {
        ssize_t put = write(fd, at, size);
        if (put > 0) {
            at += put;
            size -= (size_t)put;
        } else if (put == 0) {
            error = EIO;
        } else if (errno != EINTR) {
            error = errno;
        }
    }
    errno = saved;
    return error;
}

int os_open(const char *path)
{
    int saved = errno;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    errno = saved;
    return fd;
}

ssize_t os_read(int fd, void *data, size_t size)
{
    int saved = errno;
    ssize_t got;
    do {
        got = read(fd, data, size);
    } while (got < 0 && errno == EINTR);
    errno = saved;
    return got;
}

ssize_t os_read_at(int fd, void *data, size_t size, uint64_t at)
{
    int saved = errno;
    ssize_t got = -1;
    while (at <= INT64_MAX && (got = pread(fd, data, size, (off_t)at)) < 0 &&
           errno == EINTR) {
    }
    errno = saved;
    return got;
}

void os_close(int fd)
{
    int saved = errno;
    (void)close(fd);
    errno = saved;
}

bool os_remove(const char *path)
{
    int saved = errno;
    bool done = unlink(path) == 0;
    errno = saved;
    return done;
}

bool os_link_text(const char *path, char *text, size_t size)
{
    int saved = errno;
    ssize_t got = readlink(path, text, size);
    errno = saved;
    if (got < 0 || (size_t)got == size) {
        return false;
    }
    text[got] = '\0';
    return true;
}

uint64_t os_pid(void)
{
    return (uint64_t)getpid();
}

uint32_t os_thread_id(void)
{
    return (uint32_t)syscall(SYS_gettid);
}

void os_thread_name(char name[16])
{
    if (prctl(PR_GET_NAME, name, 0, 0, 0) != 0) {
        name[0] = '\0';
    }
}

uint64_t os_clock_wall_ns(void)
{
    struct timespec now;
    if (clock_gettime(CLOCK_REALTIME, &now) != 0) {
        return 0;
    }
    return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

void os_exit_now(int status)
{
    _exit(status);
}

int os_memory_file(void)
{
    int saved = errno;
    int fd = memfd_create("jemalloc", MFD_CLOEXEC);
    errno = saved;
    return fd;
}

bool os_rewind(int fd)
{
    return lseek(fd, 0, SEEK_SET) == 0;
}

bool os_is_program(const char *path)
{
    int saved = errno;
    struct stat info;
    bool is = stat(path, &info) == 0 && S_ISREG(info.st_mode) &&
              access(path, X_OK) == 0;
    errno = saved;
    return is;
}

/* Settings for the calling process that would do harm in its children. */
static bool is_ours(const char *setting)
{
    static const char *const names[] = {"MALLOC_CONF=", "LD_PRELOAD="};
    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strncmp(setting, names[i], strlen(names[i])) == 0) {
            return true;
        }
    }
    return false;
}

/* A program that takes longer is ended. */
#define RUN_SECONDS_MAX 60

/* More settings than that are left out. */
#define ENVIRONMENT_MAX 512

static void copy_environment(char **to)
{
    unsigned n = 0;
    for (char **e = environ; e != NULL && *e != NULL; e++) {
        if (!is_ours(*e) && n < ENVIRONMENT_MAX - 1) {
            to[n++] = *e;
        }
    }
    to[n] = NULL;
}

/* The child, which has nothing but a copy of the thread that called. */
JE_NORETURN static void become(char *const argv[], int in, int out)
{
    static char *environment[ENVIRONMENT_MAX];
    sigset_t none;
    int nowhere = open("/dev/null", O_WRONLY);
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)alarm(RUN_SECONDS_MAX);
    if (dup2(in, 0) == 0 && dup2(out, 1) == 1 && dup2(nowhere, 2) == 2) {
        copy_environment(environment);
        (void)execvpe(argv[0], argv, environment);
    }
    _exit(127);
}

/*
 * As fork, but nobody is told: neither handlers of the program, nor by a
 * signal at the end.
 */
bool os_run(char *const argv[], int in, int out)
{
    int saved = errno;
    int status = 0;
    pid_t ended = -1;
    pid_t child = (pid_t)syscall(SYS_clone, 0L, 0L, 0L, 0L, 0L);
    if (child == 0) {
        become(argv, in, out);
    }
    if (child > 0) {
        do {
            ended = waitpid(child, &status, __WALL);
        } while (ended < 0 && errno == EINTR);
    }
    errno = saved;
    return ended > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}
