/*
 * What: the few things that are done with files and processes: writing a
 * file that is complete or absent, reading the process's own description,
 * running a program.
 *
 * Invariants: (I1) allocates nothing, keeps errno; (I2) descriptors do not
 * survive exec.
 *
 * Locking: none.
 */
#ifndef JE_OS_FILE_H
#define JE_OS_FILE_H

#include <limits.h>

#include "util/common.h"

/*
 * A file under its temporary name until it is complete. What is no regular
 * file (a pipe, a terminal) is written to directly.
 */
typedef struct {
    int fd;
    bool direct;
    char path[PATH_MAX];
    char temporary[PATH_MAX];
} os_new_file_t;

/* 0, or an errno number. */
JE_MUST_USE int os_new_file_begin(os_new_file_t *file, const char *path);

/* Gives the file its name if `keep`, else removes it. 0 or an errno number. */
JE_MUST_USE int os_new_file_end(os_new_file_t *file, bool keep);

/* Writes it all; 0 or an errno number. */
JE_MUST_USE int os_write_all(int fd, const void *data, size_t size);

/* For reading; -1 if it cannot be opened. */
int os_open(const char *path);
/* Bytes read, 0 at the end, -1 on errors; interrupted calls are repeated. */
ssize_t os_read(int fd, void *data, size_t size);
/* The same, of `size` bytes from a place in the file on. */
ssize_t os_read_at(int fd, void *data, size_t size, uint64_t at);
void os_close(int fd);

bool os_remove(const char *path);

/* Text of a symbolic link, terminated; false if there is none or no room. */
JE_MUST_USE bool os_link_text(const char *path, char *text, size_t size);

uint64_t os_pid(void);

/* The calling thread as the system numbers them. */
uint32_t os_thread_id(void);

/* The system's name of the calling thread, "" if it has none. */
void os_thread_name(char name[16]);

/* Wall clock. */
uint64_t os_clock_wall_ns(void);

/* Ends the process at once: no exit handler runs. */
JE_NORETURN void os_exit_now(int status);

/* A file without a name, or -1. */
int os_memory_file(void);

/* Back to the first byte. */
JE_MUST_USE bool os_rewind(int fd);

bool os_is_program(const char *path);

/*
 * Runs a program, found in PATH if its name has no slash, with its input from
 * `in` and its output to `out`, without what this library reads from the
 * environment; waits for it, a minute at most. False if it could not be run or
 * failed. Async-signal-safe.
 */
JE_MUST_USE bool os_run(char *const argv[], int in, int out);

#endif
