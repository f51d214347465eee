/*
 * What: runs a program and says what it cost, one line a run:
 * `measure [-p PRELOAD] [-n RUNS] [-t SECONDS] PROGRAM [ARGUMENT]...` prints
 * status, wall, user and system microseconds, peak KiB, minor and major
 * faults.
 *
 * Invariants: (I1) only the program sees LD_PRELOAD; (I2) linked statically
 * where that is possible: a program's peak is never less than that of the
 * process which started it; (I3) the program's standard output is dropped.
 *
 * Locking: none.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

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

static void child(char **argv, const char *preload, unsigned seconds)
{
    int null = open("/dev/null", O_WRONLY);

    if (null < 0 || dup2(null, STDOUT_FILENO) < 0) {
        die("/dev/null");
    }
    close(null);
    if (preload != NULL && setenv("LD_PRELOAD", preload, 1) != 0) {
        die("setenv");
    }
    alarm(seconds);
    execvp(argv[0], argv);
    die(argv[0]);
}

static void run_once(char **argv, const char *preload, unsigned seconds)
{
    struct rusage use;
    long long start = now_us();
    int status;
    pid_t pid = fork();

    if (pid < 0) {
        die("fork");
    }
    if (pid == 0) {
        child(argv, preload, seconds);
    }
    if (wait4(pid, &status, 0, &use) != pid) {
        die("wait4");
    }
    printf("%d %lld %lld %lld %ld %ld %ld\n", status, now_us() - start,
        time_us(use.ru_utime), time_us(use.ru_stime), use.ru_maxrss,
        use.ru_minflt, use.ru_majflt);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    const char *preload = NULL;
    unsigned seconds = 120;
    int runs = 1;
    int option;

    while ((option = getopt(argc, argv, "+p:n:t:")) != -1) {
        switch (option) {
        case 'p':
            preload = optarg;
            break;
        case 'n':
            runs = atoi(optarg);
            break;
        case 't':
            seconds = (unsigned)atoi(optarg);
            break;
        default:
            return 2;
        }
    }
    if (optind == argc || runs < 1) {
        fputs("usage: measure [-p LIBRARY] [-n RUNS] [-t SECONDS] PROGRAM\n",
            stderr);
        return 2;
    }
    for (int i = 0; i < runs; i++) {
        run_once(argv + optind, preload, seconds);
    }
    return 0;
}
