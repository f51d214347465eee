/*
 * What: runs one command, ends it and everything it started when a time limit
 * passes, and appends its wall time, processor time and peak memory to a file:
 *     supervise [-t SECONDS] [-n LABEL] [-o FILE] [-e NAME=VALUE]... -- COMMAND
 * The exit status is the command's, 128 + signal, 124 for a time-out, and 125
 * for a failure of supervise itself.
 *
 * Invariants: (I1) when it returns, no process started by the command lives:
 * as the subreaper it inherits what the command leaves behind, and kills it;
 * (I2) it dies with whoever started it; (I3) SIGTERM, SIGINT and SIGHUP are
 * handed on, and the command then has GRACE_SECONDS to finish.
 *
 * Locking: none; one thread, and signals are waited for, never handled.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Seconds between a request to end and the end by force. */
#define GRACE_SECONDS 15.0

typedef struct {
    double limit_seconds;
    const char *label;
    const char *file;
    char **command;
} request_t;

typedef struct {
    pid_t child;
    bool done;
    bool timed_out;
    int status;
    struct rusage usage;
} run_t;

static void die(const char *what)
{
    fprintf(stderr, "supervise: %s: %s\n", what, strerror(errno));
    exit(125);
}

static double now_seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static request_t request_parse(int argc, char **argv)
{
    request_t request = {.limit_seconds = 600, .label = "-"};
    int letter;

    while ((letter = getopt(argc, argv, "+t:n:o:e:")) != -1) {
        switch (letter) {
        case 't':
            request.limit_seconds = atof(optarg);
            break;
        case 'n':
            request.label = optarg;
            break;
        case 'o':
            request.file = optarg;
            break;
        case 'e':
            /* supervise itself reads no environment after its start. */
            putenv(optarg);
            break;
        default:
            exit(125);
        }
    }
    request.command = argv + optind;
    if (request.command[0] == NULL) {
        fprintf(stderr, "supervise: no command\n");
        exit(125);
    }
    return request;
}

static pid_t command_start(char **command, const sigset_t *inherited)
{
    pid_t child = fork();

    if (child < 0) {
        die("fork");
    }
    if (child == 0) {
        /* A shell's background jobs ignore these; programs expect them. */
        signal(SIGINT, SIG_DFL);
        signal(SIGQUIT, SIG_DFL);
        sigprocmask(SIG_SETMASK, inherited, NULL);
        execvp(command[0], command);
        fprintf(stderr, "supervise: %s: %s\n", command[0], strerror(errno));
        _exit(127);
    }
    return child;
}

/* Reaps whatever has ended; notes the command's own end. */
static void run_reap(run_t *run, int flags)
{
    struct rusage usage;
    int status;
    pid_t pid;

    while ((pid = wait4(-1, &status, flags, &usage)) > 0) {
        if (pid == run->child) {
            run->done = true;
            run->status = status;
            run->usage = usage;
        }
        if ((flags & WNOHANG) == 0) {
            return;
        }
    }
}

/* The parent of process `name` (a directory of /proc), 0 when it is gone. */
static pid_t process_parent(const char *name)
{
    char path[64];
    char text[512];
    int parent = 0;

    snprintf(path, sizeof(path), "/proc/%.20s/stat", name);
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        return 0;
    }
    if (fgets(text, sizeof(text), file) != NULL) {
        char *end = strrchr(text, ')');
        if (end == NULL || sscanf(end, ") %*c %d", &parent) != 1) {
            parent = 0;
        }
    }
    fclose(file);
    return parent;
}

/* Kills every child; says whether there was one. */
static bool children_kill(void)
{
    DIR *proc = opendir("/proc");
    struct dirent *entry;
    bool found = false;

    if (proc == NULL) {
        die("/proc");
    }
    while ((entry = readdir(proc)) != NULL) {
        if (isdigit((unsigned char)entry->d_name[0]) &&
            process_parent(entry->d_name) == getpid()) {
            kill((pid_t)atoi(entry->d_name), SIGKILL);
            found = true;
        }
    }
    closedir(proc);
    return found;
}

/* I1: killing a child may hand us its own children, hence the loop. */
static void run_sweep(run_t *run)
{
    while (children_kill()) {
        run_reap(run, 0);
        run_reap(run, WNOHANG);
    }
}

static void run_wait(run_t *run, const sigset_t *signals, double limit)
{
    double deadline = now_seconds() + limit;

    while (run_reap(run, WNOHANG), !run->done) {
        double left = deadline - now_seconds();
        if (left <= 0) {
            run->timed_out = true;
            run_sweep(run);
            return;
        }
        struct timespec wait = {.tv_sec = (time_t)left,
            .tv_nsec = (long)((left - (double)(time_t)left) * 1e9)};
        int number = sigtimedwait(signals, NULL, &wait);
        if (number > 0 && number != SIGCHLD) {
            kill(run->child, number);
            deadline = now_seconds() + GRACE_SECONDS;
        }
    }
}

static double timeval_seconds(struct timeval value)
{
    return (double)value.tv_sec + (double)value.tv_usec / 1e6;
}

static int run_exit_status(const run_t *run)
{
    if (run->timed_out) {
        return 124;
    }
    if (WIFSIGNALED(run->status)) {
        return 128 + WTERMSIG(run->status);
    }
    return WEXITSTATUS(run->status);
}

/* One line: label, wall, user, system seconds, peak KiB, exit status. */
static void run_record(const run_t *run, const request_t *request, double wall)
{
    char line[512];
    int size =
        snprintf(line, sizeof(line), "%.100s\t%.3f\t%.3f\t%.3f\t%ld\t%d\n",
            request->label, wall, timeval_seconds(run->usage.ru_utime),
            timeval_seconds(run->usage.ru_stime), run->usage.ru_maxrss,
            run_exit_status(run));
    int file = open(request->file, O_WRONLY | O_APPEND | O_CREAT, 0666);

    if (file < 0 || write(file, line, (size_t)size) != size) {
        die(request->file);
    }
    close(file);
}

static void run_complain(const run_t *run, const request_t *request)
{
    const char *program = request->command[0];

    if (run->timed_out) {
        fprintf(stderr, "supervise: %s: no end within %.0f s\n", program,
            request->limit_seconds);
    } else if (WIFSIGNALED(run->status)) {
        fprintf(stderr, "supervise: %s: killed by signal %d (%s)\n", program,
            WTERMSIG(run->status), strsignal(WTERMSIG(run->status)));
    }
}

int main(int argc, char **argv)
{
    request_t request = request_parse(argc, argv);
    run_t run = {0};
    sigset_t signals;
    sigset_t inherited;
    pid_t parent = getppid();

    sigemptyset(&signals);
    sigaddset(&signals, SIGCHLD);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    sigprocmask(SIG_BLOCK, &signals, &inherited);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent) {
        return 125;
    }
    double start = now_seconds();
    run.child = command_start(request.command, &inherited);
    run_wait(&run, &signals, request.limit_seconds);
    double wall = now_seconds() - start;
    run_sweep(&run);
    run_complain(&run, &request);
    if (request.file != NULL) {
        run_record(&run, &request, wall);
    }
    return run_exit_status(&run);
}
