/*
 * What: runs cases of misuse, each in a process of its own, and says what
 * became of it.
 *
 *   case --list        kind, name, sizes and what "no effect" means of each
 *   case --library     what is known about the malloc in this process
 *   case --batch       runs "NAME SIZE" lines of its input
 *   case NAME SIZE     runs one; exits with 0 if it was missed, 3 if it had
 *                      no effect, 4 if it was refused, or is killed as it was
 *
 * A line of the result is NAME, SIZE, verdict and detail, with tabs between:
 *
 *   message   stopped: killed by abort() after it wrote the detail
 *   fault     stopped: a fault at the wrong access
 *   refused   stopped: an error was returned, as the interface says
 *   none      the misuse happened, but could do no harm
 *   missed    harm was done; the detail says which
 *   crash     the process died otherwise
 *   hang      it did not end
 *   lacks     the library has no such function
 *   broken    the case itself could not be played
 *
 * Invariants: this process allocates nothing between its cases, so that each
 * finds the same heap.
 *
 * Locking: none.
 */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "scene.h"
#include "verdict.h"

/* Of waiting, and of the processor; a case needs a tenth of a second. */
#define SECONDS_MAX     60
#define CPU_SECONDS_MAX 1
#define INPUT_MAX       (1 << 20)

enum { EXIT_MISSED = 0, EXIT_USAGE = 2, EXIT_NONE = 3, EXIT_REFUSED = 4 };

verdict_t *verdict;

static const size_t sizes[] = {SCENE_SIZES};
#define SIZE_COUNT (sizeof(sizes) / sizeof(sizes[0]))

static struct sigaction handler_before[2];

/* ---- the process that does it ---- */

/* Notes where it was; the access is repeated, and ends as it always does. */
static void on_fault(int signal, siginfo_t *info, void *context)
{
    (void)context;
    uintptr_t at = (uintptr_t)info->si_addr;
    /* Addresses of the kernel's half come without their value. */
    verdict->faulted =
        at - verdict->wrong_start < verdict->wrong_bytes ||
        (at == 0 && info->si_code == SI_KERNEL && verdict->wrong_bytes != 0);
    sigaction(signal, &handler_before[signal == SIGBUS], NULL);
}

static void watch_faults(void)
{
    struct sigaction action;
    memset(&action, 0, sizeof(action));
    action.sa_sigaction = on_fault;
    action.sa_flags = SA_SIGINFO;
    sigaction(SIGSEGV, &action, &handler_before[0]);
    sigaction(SIGBUS, &action, &handler_before[1]);
}

static void commit(const misuse_case_t *one, size_t size, int err)
{
    dup2(err, STDERR_FILENO);
    struct rlimit cpu = {CPU_SECONDS_MAX, CPU_SECONDS_MAX + 1};
    setrlimit(RLIMIT_CPU, &cpu);
    watch_faults();
    alarm(SECONDS_MAX);
    one->run(size, one->arg);
    verdict->finished = true;
    exit(0);
}

/* ---- the process that watches ---- */

typedef struct end {
    int status;
    const char *verdict;
    char detail[200];
} end_t;

/* All that it writes; what does not fit is dropped. */
static void read_all(int fd, char *buf, size_t room)
{
    size_t length = 0;
    ssize_t got;
    char rest[512];
    do {
        bool fits = length + 1 < room;
        got = fits ? read(fd, buf + length, room - 1 - length)
                   : read(fd, rest, sizeof(rest));
        length += fits && got > 0 ? (size_t)got : 0;
    } while (got > 0);
    buf[length] = '\0';
}

/* The line that says why: ours, or the first. */
static void find_message(char *err, char *detail, size_t room)
{
    const char *line = strstr(err, "<jemalloc>: ");
    line = line != NULL ? line : err;
    size_t length = strcspn(line, "\n");
    length = length < room - 1 ? length : room - 1;
    memcpy(detail, line, length);
    detail[length] = '\0';
}

static void judge_signal(end_t *end, int signal, char *err)
{
    find_message(err, end->detail, sizeof(end->detail));
    bool may_say = signal == SIGABRT || signal == SIGILL || signal == SIGTRAP;
    if (verdict->faulted) {
        end->verdict = "fault";
        strcpy(end->detail, strsignal(signal));
    } else if (may_say && end->detail[0] != '\0') {
        end->verdict = "message";
    } else if (signal == SIGALRM || signal == SIGXCPU) {
        end->verdict = "hang";
    } else {
        end->verdict = "crash";
        strcpy(end->detail, strsignal(signal));
    }
}

static void judge(end_t *end, char *err)
{
    int status = end->status;
    if (WIFSIGNALED(status)) {
        judge_signal(end, WTERMSIG(status), err);
    } else if (verdict->lacks[0] != '\0') {
        end->verdict = "lacks";
        strcpy(end->detail, verdict->lacks);
    } else if (WEXITSTATUS(status) == VERDICT_EXIT_BROKEN) {
        end->verdict = "broken";
        strcpy(end->detail, verdict->harm);
    } else if (!verdict->finished || WEXITSTATUS(status) != 0) {
        end->verdict = "crash";
        snprintf(end->detail, sizeof(end->detail), "exit status %d",
            WEXITSTATUS(status));
    } else {
        end->verdict = verdict->harm[0] != '\0' ? "missed"
                       : verdict->refused       ? "refused"
                                                : "none";
        strcpy(end->detail, verdict->harm);
    }
}

static end_t play(const misuse_case_t *one, size_t size)
{
    static char err[4096];
    int ends[2];
    end_t end = {0, "broken", "no process for the case"};
    memset(verdict, 0, sizeof(*verdict));
    if (pipe(ends) != 0) {
        return end;
    }
    pid_t child = fork();
    if (child == 0) {
        close(ends[0]);
        commit(one, size, ends[1]);
    }
    close(ends[1]);
    read_all(ends[0], err, sizeof(err));
    close(ends[0]);
    if (child < 0 || waitpid(child, &end.status, 0) != child) {
        return end;
    }
    end.detail[0] = '\0';
    judge(&end, err);
    return end;
}

/* ---- the command line ---- */

static void print(const char *line)
{
    if (write(STDOUT_FILENO, line, strlen(line)) < 0) {
        _Exit(EXIT_USAGE);
    }
}

static const misuse_case_t *find(const char *name)
{
    for (const misuse_kind_t *const *k = misuse_kinds; *k != NULL; k++) {
        for (size_t i = 0; i < (*k)->count; i++) {
            if (strcmp((*k)->cases[i].name, name) == 0) {
                return &(*k)->cases[i];
            }
        }
    }
    return NULL;
}

/* Plays NAME SIZE and prints its line. */
static end_t play_named(const char *name, const char *size_text)
{
    char line[400];
    const misuse_case_t *one = find(name);
    end_t end = {0, "broken", "there is no such case; --list names them"};
    if (one != NULL) {
        end = play(one, strtoul(size_text, NULL, 10));
    }
    snprintf(line, sizeof(line), "%s\t%s\t%s\t%s\n", name, size_text,
        end.verdict, end.detail);
    print(line);
    return end;
}

static int batch(void)
{
    static char input[INPUT_MAX];
    char *rest = input;
    read_all(STDIN_FILENO, input, sizeof(input));
    for (char *line = strtok_r(input, "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest)) {
        char *size = strchr(line, ' ');
        if (size == NULL) {
            print("a line of the input is not NAME SIZE\n");
            return EXIT_USAGE;
        }
        *size++ = '\0';
        play_named(line, size);
    }
    return 0;
}

static void list_case(const misuse_kind_t *kind, const misuse_case_t *one)
{
    char line[600];
    char sizes_text[120] = "";
    size_t length = 0;
    for (size_t i = 0; i < SIZE_COUNT; i++) {
        if ((one->sizes >> i & 1) != 0) {
            length += (size_t)snprintf(sizes_text + length,
                sizeof(sizes_text) - length, "%s%zu", length ? "," : "",
                sizes[i]);
        }
    }
    snprintf(line, sizeof(line), "%s\t%s\t%s\t%s\t%s\n", kind->name,
        kind->title, one->name, sizes_text, one->harmless);
    print(line);
}

static int list(void)
{
    for (const misuse_kind_t *const *k = misuse_kinds; *k != NULL; k++) {
        for (size_t i = 0; i < (*k)->count; i++) {
            list_case(*k, &(*k)->cases[i]);
        }
    }
    return 0;
}

/* Whether it is a build whose assertions come before its messages. */
static int describe_library(void)
{
    bool debug = false;
    size_t length = sizeof(debug);
    if (mallctl != NULL) {
        mallctl("config.debug", &debug, &length, NULL, 0);
    }
    print(mallctl == NULL ? "foreign" : debug ? "debug" : "release");
    print(sizeof(void *) == 8 ? " 64" : " 32");
    print(sysconf(_SC_PAGESIZE) == 4096 ? " 4096\n" : " other\n");
    return 0;
}

/* Ends as the case did. */
static int end_alike(end_t end)
{
    if (WIFSIGNALED(end.status)) {
        raise(WTERMSIG(end.status));
    }
    return strcmp(end.verdict, "missed") == 0    ? EXIT_MISSED
           : strcmp(end.verdict, "none") == 0    ? EXIT_NONE
           : strcmp(end.verdict, "refused") == 0 ? EXIT_REFUSED
                                                 : EXIT_USAGE;
}

int main(int argc, char **argv)
{
    struct rlimit no_core = {0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    verdict = (verdict_t *)mmap(NULL, sizeof(*verdict), PROT_READ | PROT_WRITE,
        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (verdict == MAP_FAILED) {
        print("no page for the verdict\n");
        return EXIT_USAGE;
    }
    if (argc == 2 && strcmp(argv[1], "--list") == 0) {
        return list();
    }
    if (argc == 2 && strcmp(argv[1], "--library") == 0) {
        return describe_library();
    }
    if (argc == 2 && strcmp(argv[1], "--batch") == 0) {
        return batch();
    }
    if (argc == 3 && argv[1][0] != '-') {
        return end_alike(play_named(argv[1], argv[2]));
    }
    print("usage: case --list | --library | --batch | NAME SIZE\n");
    return EXIT_USAGE;
}
