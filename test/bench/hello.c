/*
 * What: the smallest program that allocates: 100 bytes, then the process's
 * own resident memory, now and at its highest, in KiB on one line.
 *
 * Invariants: (I1) nothing but the 100 bytes is allocated: no stdio.
 *
 * Locking: none.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Writes the digits after `label` in `status`, then `end`. */
static void show(const char *status, const char *label, char end)
{
    const char *at = strstr(status, label);
    char line[32];
    size_t used = 0;

    if (at == NULL) {
        _exit(1);
    }
    at += strlen(label);
    at += strspn(at, " \t");
    while (used < sizeof(line) - 1 && *at >= '0' && *at <= '9') {
        line[used++] = *at++;
    }
    line[used++] = end;
    if (write(STDOUT_FILENO, line, used) != (ssize_t)used) {
        _exit(1);
    }
}

int main(void)
{
    static char status[8192];
    char *block = malloc(100);
    int fd = open("/proc/self/status", O_RDONLY);

    if (block == NULL || fd < 0) {
        return 1;
    }
    memset(block, 1, 100);
    if (read(fd, status, sizeof(status) - 1) <= 0) {
        return 1;
    }
    show(status, "VmRSS:", ' ');
    show(status, "VmHWM:", '\n');
    free(block);
    return 0;
}
