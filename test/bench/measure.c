/*
 * What: runs a program and says what it cost, one line a run:
 * `measure [-p PRELOAD] [-n RUNS] [-t SECONDS] [-o FILE] PROGRAM [ARGUMENT]...`
 * prints status, wall, user and system microseconds, peak KiB, minor and major
 * faults, system calls (-1 where the kernel does not count them for us).
 *
 * Invariants: (I1) only the program sees LD_PRELOAD; (I2) linked statically
 * where that is possible: a program's peak is never less than that of the
 * process which started it; (I3) the program's standard output goes to FILE,
 * or is dropped.
 *
 * Locking: none.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static struct {
    const char *preload;
    const char *output;
    unsigned seconds;
} option = {.output = "/dev/null", .seconds = 120};

static void die(const char *what)
{
    perror(what);
    exit(2);
}

static long long now_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000LL + t.tv_nsec / 1000;
}

static long long time_us(struct timeval t)
{
    return t.tv_sec * 1000000LL + t.tv_usec;
}

/* The kernel's number of the event "a system call begins"; 0 if unknown. */
static unsigned long long call_event(void)
{
    static const char *const places[] = {
        "/sys/kernel/tracing/events/raw_syscalls/sys_enter/id",
        "/sys/kernel/debug/tracing/events/raw_syscalls/sys_enter/id"};
    char text[32] = "";

    for (int i = 0; i < 2; i++) {
        int fd = open(places[i], O_RDONLY);

        if (fd >= 0) {
            ssize_t got = read(fd, text, sizeof(text) - 1);

            close(fd);
            return got > 0 ? strtoull(text, NULL, 10) : 0;
        }
    }
    return 0;
}

/* Counts calls of `pid` and its children from its exec on; -1 if it cannot. */
static int open_counter(pid_t pid)
{
    struct perf_event_attr attr;

    memset(&attr, 0, sizeof(attr));
    attr.size = sizeof(attr);
    attr.type = PERF_TYPE_TRACEPOINT;
    attr.config = call_event();
    attr.disabled = 1;
    attr.inherit = 1;
    attr.enable_on_exec = 1;
    if (attr.config == 0) {
        return -1;
    }
    return (int)syscall(SYS_perf_event_open, &attr, pid, -1, -1, 0);
}

static long long close_counter(int fd)
{
    long long count;

    if (fd < 0 || read(fd, &count, sizeof(count)) != sizeof(count)) {
        count = -1;
    }
    if (fd >= 0) {
        close(fd);
    }
    return count;
}

/* Waits until the parent counts, then becomes the program. */
static void child(char **argv, int gate)
{
    int out = open(option.output, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    char go;

    if (out < 0 || dup2(out, STDOUT_FILENO) < 0) {
        die(option.output);
    }
    close(out);
    if (read(gate, &go, 1) != 1) {
        exit(2);
    }
    close(gate);
    if (option.preload != NULL &&
        setenv("LD_PRELOAD", option.preload, 1) != 0) {
        die("setenv");
    }
    alarm(option.seconds);
    execvp(argv[0], argv);
    die(argv[0]);
}

static void run_once(char **argv)
{
    struct rusage use;
    long long start;
    int status, counter, gate[2];
    pid_t pid = pipe(gate) == 0 ? fork() : -1;

    if (pid < 0) {
        die("fork");
    }
    if (pid == 0) {
        close(gate[1]);
        child(argv, gate[0]);
    }
    close(gate[0]);
    counter = open_counter(pid);
    start = now_us();
    if (write(gate[1], "g", 1) != 1) {
        die("pipe");
    }
    if (wait4(pid, &status, 0, &use) != pid) {
        die("wait4");
    }
    close(gate[1]);
    printf("%d %lld %lld %lld %ld %ld %ld %lld\n", status, now_us() - start,
        time_us(use.ru_utime), time_us(use.ru_stime), use.ru_maxrss,
        use.ru_minflt, use.ru_majflt, close_counter(counter));
    fflush(stdout);
}

int main(int argc, char **argv)
{
    int runs = 1;
    int letter;

    while ((letter = getopt(argc, argv, "+p:n:t:o:")) != -1) {
        switch (letter) {
        case 'p':
            option.preload = optarg;
            break;
        case 'n':
            runs = atoi(optarg);
            break;
        case 't':
            option.seconds = (unsigned)atoi(optarg);
            break;
        case 'o':
            option.output = optarg;
            break;
        default:
            return 2;
        }
    }
    if (optind == argc || runs < 1) {
        fputs("usage: measure [-p LIBRARY] [-n RUNS] [-t SECONDS] [-o FILE]"
              " PROGRAM [ARGUMENT]...\n",
            stderr);
        return 2;
    }
    for (int i = 0; i < runs; i++) {
        run_once(argv + optind);
    }
    return 0;
}
