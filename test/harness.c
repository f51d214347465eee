/*
 * What: the test runner of harness.h.
 *
 * Invariants: (I1) no allocation: text is formatted into buffers on the
 * stack and leaves in one write(2) a line; (I2) leaving a test is a longjmp
 * of the runner's thread to the runner, or the end of any other thread, or
 * the end of a child process.
 *
 * Locking: none; the failure count is atomic, the rest belongs to the
 * runner's thread.
 */
#define _GNU_SOURCE

#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* Longest line of output in bytes; longer ones are cut. */
#define LINE_BYTES 2048

/* Seconds after which a case is said to hang, unless the user says. */
#define TIMEOUT_DEFAULT_S 120

static struct {
    jmp_buf leave;
    pthread_t thread;
    const char *running;
    const char *skipped;
    unsigned timeout_s;
    atomic_uint failures;
    bool in_child;
} runner;

static void write_all(int fd, const char *text, size_t length_bytes)
{
    while (length_bytes > 0) {
        ssize_t n = write(fd, text, length_bytes);
        if (n < 0 && errno != EINTR) {
            return;
        }
        if (n > 0) {
            text += n;
            length_bytes -= (size_t)n;
        }
    }
}

/* One line, newline added; to stderr in a child, where it is captured. */
__attribute__((format(printf, 2, 0))) static void say_v(
    const char *prefix, const char *fmt, va_list ap)
{
    char line[LINE_BYTES];
    size_t used = strlen(prefix);
    memcpy(line, prefix, used);
    int n = vsnprintf(line + used, sizeof(line) - used - 1, fmt, ap);
    used += n > 0 ? (size_t)n : 0;
    used = used < sizeof(line) - 1 ? used : sizeof(line) - 2;
    line[used] = '\n';
    write_all(runner.in_child ? STDERR_FILENO : STDOUT_FILENO, line, used + 1);
}

__attribute__((format(printf, 1, 2))) static void say(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    say_v("", fmt, ap);
    va_end(ap);
}

void test_note(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    say_v("# ", fmt, ap);
    va_end(ap);
}

void test_leave(void)
{
    if (runner.in_child) {
        _exit(TEST_CHILD_FAILED);
    }
    if (!pthread_equal(pthread_self(), runner.thread)) {
        pthread_exit(NULL);
    }
    longjmp(runner.leave, 1);
}

void test_skip(const char *reason)
{
    runner.skipped = reason;
    test_leave();
}

bool test_expect_true(bool held, const char *what, const char *file, int line)
{
    if (!held) {
        atomic_fetch_add(&runner.failures, 1);
        test_note("%s:%d: does not hold: %s", file, line, what);
    }
    return held;
}

/* `order` is negative, 0 or positive as a is below, equal to or above b. */
static bool order_holds(int order, const char *op)
{
    bool equal_allowed = op[1] == '=';
    switch (op[0]) {
    case '=':
        return order == 0;
    case '!':
        return order != 0;
    case '<':
        return order < 0 || (equal_allowed && order == 0);
    default:
        return order > 0 || (equal_allowed && order == 0);
    }
}

bool test_expect_u64(uint64_t a, uint64_t b, const char *op, const char *what,
    const char *file, int line)
{
    bool held = order_holds((a > b) - (a < b), op);
    if (!held) {
        atomic_fetch_add(&runner.failures, 1);
        test_note("%s:%d: does not hold: %s (left %" PRIu64 ", right %" PRIu64
                  "; hex %" PRIx64 ", %" PRIx64 ")",
            file, line, what, a, b, a, b);
    }
    return held;
}

bool test_expect_i64(int64_t a, int64_t b, const char *op, const char *what,
    const char *file, int line)
{
    bool held = order_holds((a > b) - (a < b), op);
    if (!held) {
        atomic_fetch_add(&runner.failures, 1);
        test_note("%s:%d: does not hold: %s (left %" PRId64 ", right %" PRId64
                  ")",
            file, line, what, a, b);
    }
    return held;
}

bool test_expect_ptr(const void *a, const void *b, bool equal, const char *what,
    const char *file, int line)
{
    bool held = (a == b) == equal;
    if (!held) {
        atomic_fetch_add(&runner.failures, 1);
        test_note("%s:%d: does not hold: %s (left %p, right %p)", file, line,
            what, a, b);
    }
    return held;
}

bool test_expect_str(
    const char *a, const char *b, const char *what, const char *file, int line)
{
    bool held = a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
    if (!held) {
        atomic_fetch_add(&runner.failures, 1);
        test_note("%s:%d: does not hold: %s", file, line, what);
        test_note("    left:  %s", a != NULL ? a : "(null)");
        test_note("    right: %s", b != NULL ? b : "(null)");
    }
    return held;
}

static void on_alarm(int signal_number)
{
    (void)signal_number;
    say("Bail out! %s: no end after %u s", runner.running, runner.timeout_s);
    _exit(TEST_CHILD_FAILED);
}

static void watch_start(void)
{
    const char *text = getenv("JE_TEST_TIMEOUT");
    int seconds = text != NULL ? atoi(text) : 0;
    runner.timeout_s = seconds > 0 ? (unsigned)seconds : TIMEOUT_DEFAULT_S;
    signal(SIGALRM, on_alarm);
}

/* Runs one case and prints its line; returns whether it did not fail. */
static bool run_case(unsigned number, const char *name, test_fn_t fn)
{
    const char *only = getenv("JE_TEST_ONLY");
    if (only != NULL && strcmp(only, name) != 0) {
        say("ok %u - %s # SKIP not chosen", number, name);
        return true;
    }
    atomic_store(&runner.failures, 0);
    runner.running = name;
    runner.skipped = NULL;
    alarm(runner.timeout_s);
    if (setjmp(runner.leave) == 0) {
        fn();
    }
    alarm(0);
    bool passed = atomic_load(&runner.failures) == 0;
    if (runner.skipped != NULL && passed) {
        say("ok %u - %s # SKIP %s", number, name, runner.skipped);
    } else {
        say("%s %u - %s", passed ? "ok" : "not ok", number, name);
    }
    return passed;
}

static unsigned count_cases(const char *name, va_list ap)
{
    unsigned count = 0;
    while (name != NULL) {
        (void)va_arg(ap, test_fn_t);
        count++;
        name = va_arg(ap, const char *);
    }
    return count;
}

int test_run(const char *first_name, ...)
{
    va_list ap;
    va_start(ap, first_name);
    say("1..%u", count_cases(first_name, ap));
    va_end(ap);

    runner.thread = pthread_self();
    watch_start();
    bool passed = true;
    unsigned number = 0;
    va_start(ap, first_name);
    const char *name = first_name;
    while (name != NULL) {
        test_fn_t fn = va_arg(ap, test_fn_t);
        passed = run_case(++number, name, fn) && passed;
        name = va_arg(ap, const char *);
    }
    va_end(ap);
    return passed ? EXIT_SUCCESS : EXIT_FAILURE;
}

__attribute__((noreturn)) static void child_main(
    int err_fd, void (*fn)(void *), void *arg)
{
    /* A death that is part of the test leaves no core file behind. */
    struct rlimit no_core = {0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    runner.in_child = true;
    atomic_store(&runner.failures, 0);
    alarm(runner.timeout_s);
    int null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    dup2(null_fd, STDOUT_FILENO);
    dup2(err_fd, STDERR_FILENO);
    fn(arg);
    _exit(atomic_load(&runner.failures) == 0 ? 0 : TEST_CHILD_FAILED);
}

/* Reads to the end of file; keeps what fits, so the child never blocks. */
static void capture(int fd, char *text, size_t capacity_bytes)
{
    char rest[512];
    size_t used = 0;
    for (;;) {
        bool fits = used < capacity_bytes - 1;
        ssize_t n = fits ? read(fd, text + used, capacity_bytes - 1 - used)
                         : read(fd, rest, sizeof(rest));
        if (n == 0 || (n < 0 && errno != EINTR)) {
            break;
        }
        used += n > 0 && fits ? (size_t)n : 0;
    }
    text[used] = '\0';
}

/* What an emulator adds when it passes on a deadly signal is not the child's.
 */
static void drop_emulator_line(char *text)
{
    char *line = strstr(text, "qemu: uncaught target signal");
    if (line != NULL && (line == text || line[-1] == '\n')) {
        char *end = strchr(line, '\n');
        end = end == NULL ? line + strlen(line) : end + 1;
        memmove(line, end, strlen(end) + 1);
    }
}

bool test_is_emulated(void)
{
    const char *emulator = getenv("JE_EMULATOR");
    return emulator != NULL && *emulator != '\0';
}

static char self_path[PATH_MAX];

/* An emulator may say it relative to the directory. */
void test_find_self(void)
{
    if (realpath("/proc/self/exe", self_path) == NULL) {
        self_path[0] = '\0';
    }
}

void test_exec_self(char *const *arguments)
{
    static char words[4096];
    char *argv[32];
    size_t count = 0;
    const char *emulator = getenv("JE_EMULATOR");
    if (self_path[0] == '\0') {
        test_find_self();
    }
    snprintf(words, sizeof(words), "%s", emulator != NULL ? emulator : "");
    char *rest = words;
    char *word;
    while (count < 16 && (word = strsep(&rest, " ")) != NULL) {
        if (*word != '\0') {
            argv[count++] = word;
        }
    }
    argv[count++] = self_path;
    while (count < 31 && *arguments != NULL) {
        argv[count++] = *arguments++;
    }
    argv[count] = NULL;
    execvp(argv[0], argv);
    _exit(127);
}

test_child_t test_in_child(void (*fn)(void *), void *arg)
{
    test_child_t child;
    int fds[2];
    child.status = -1;
    child.err[0] = '\0';
    if (pipe2(fds, O_CLOEXEC) != 0) {
        test_note("pipe2: %s", strerror(errno));
        return child;
    }
    pid_t pid = fork();
    if (pid == 0) {
        child_main(fds[1], fn, arg);
    }
    close(fds[1]);
    if (pid > 0) {
        capture(fds[0], child.err, sizeof(child.err));
        drop_emulator_line(child.err);
        while (waitpid(pid, &child.status, 0) < 0 && errno == EINTR) {
        }
    } else {
        test_note("fork: %s", strerror(errno));
    }
    close(fds[0]);
    return child;
}
