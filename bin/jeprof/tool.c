/*
 * What: child processes, see tool.h.
 *
 * Invariants: (I1) a child's stdin is written while its stdout is read, so
 * that neither waits for the other for ever.
 *
 * Locking: none.
 */
#include "tool.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static bool is_program(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode) &&
           access(path, X_OK) == 0;
}

/* Looks into the directories of a list. */
static char *search(const char *list, char separator, const char *name)
{
    char separators[] = {separator, '\0'};
    for (const char *at = list; *at != '\0';) {
        size_t len = strcspn(at, separators);
        char *path = mem_format("%.*s%s%s", (int)len, at,
            len > 0 && at[len - 1] == '/' ? "" : "/", name);
        if (len > 0 && is_program(path)) {
            return path;
        }
        mem_free(path);
        at += len + (at[len] == separator);
    }
    return NULL;
}

char *tool_find(const char *name, const char *spec)
{
    size_t n = strlen(name);
    for (const char *at = spec; at != NULL && *at != '\0';) {
        size_t len = strcspn(at, ",");
        if (len > n + 1 && strncmp(at, name, n) == 0 && at[n] == ':') {
            return mem_copy(at + n + 1, len - n - 1);
        }
        at += len + (at[len] == ',');
    }
    char *found = spec != NULL ? search(spec, ',', name) : NULL;
    const char *path = getenv("PATH");
    return found != NULL
               ? found
               : search(path != NULL ? path : "/bin:/usr/bin", ':', name);
}

static pid_t start(const char *const argv[], int in[2], int out[2])
{
    pid_t pid = fork();
    if (pid != 0) {
        return pid;
    }
    if (in != NULL) {
        dup2(in[0], STDIN_FILENO);
        dup2(out[1], STDOUT_FILENO);
        close(in[0]);
        close(in[1]);
        close(out[0]);
        close(out[1]);
    }
    signal(SIGPIPE, SIG_DFL);
    execv(argv[0], (char *const *)(uintptr_t)argv);
    _exit(127);
}

static void feed(int to, int from, const text_t *input, text_t *output)
{
    size_t written = 0;
    size_t len = input != NULL ? input->len : 0;
    if (len == 0) {
        close(to);
        to = -1;
    }
    static char buffer[65536];
    for (;;) {
        struct pollfd fds[2] = {{from, POLLIN, 0}, {to, POLLOUT, 0}};
        if (poll(fds, 2, -1) < 0) {
            if (errno == EINTR) {
                continue;
            }
            break;
        }
        if (fds[1].revents != 0) {
            ssize_t n = write(to, input->at + written, len - written);
            written += n > 0 ? (size_t)n : 0;
            if (written == len || (n < 0 && errno != EAGAIN)) {
                close(to);
                to = -1;
            }
        }
        if (fds[0].revents != 0) {
            ssize_t n = read(from, buffer, sizeof(buffer));
            if (n <= 0) {
                break;
            }
            text_add(output, buffer, (size_t)n);
        }
    }
    if (to >= 0) {
        close(to);
    }
}

int tool_run(const char *const argv[], const text_t *input, text_t *output)
{
    int in[2];
    int out[2];
    text_clear(output);
    if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0) {
        return -1;
    }
    void (*old)(int) = signal(SIGPIPE, SIG_IGN);
    pid_t pid = start(argv, in, out);
    close(in[0]);
    close(out[1]);
    fcntl(in[1], F_SETFL, O_NONBLOCK);
    feed(in[1], out[0], input, output);
    close(out[0]);
    int status = -1;
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    signal(SIGPIPE, old);
    return pid > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

bool tool_start(const char *const argv[])
{
    return start(argv, NULL, NULL) > 0;
}
