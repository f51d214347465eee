/*
 * What: a program whose threads allocate all the time forks, thousands of
 * times. Every child allocates, frees what it inherited, purges, and exits;
 * some also print statistics, start a thread, or fork again.
 *
 *   forks [THREADS [FORKS]] [handlers] [background] [busy | quiet]
 *
 * `handlers`: the program has pthread_atfork handlers that allocate, outside
 * of ours and inside. `background`: with the background thread on. `busy`:
 * the threads never sleep, so that all wait for a CPU most of the time;
 * `quiet`: they allocate once, then sleep. Without FORKS it runs T seconds
 * (environment, default 10). The last lines say how long our own handlers
 * took, by the clock on the wall and by that of the CPU: what lies between
 * handlers registered before ours, which run inside them, and after, which
 * run outside.
 *
 * Invariants: a child that does not end is killed by its alarm, and every
 * child that does not exit with 0 is an error.
 *
 * Locking: the threads stop at a flag.
 */
#include <jemalloc/jemalloc.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define THREADS_MAX  512
#define FORKS_MAX    200000
#define INHERITED    200
#define CHILD_LIFE_S 120

/* Of 64 threads some allocate at any time, and a CPU is free now and then. */
#define BURST             200
#define BETWEEN_BURSTS_US 5000

enum { PREPARE, PARENT, CHILD, PHASES };
static const char *const phase_names[] = {"prepare", "parent", "child"};

enum { WALL, CPU, CLOCKS };
static const clockid_t clocks[] = {CLOCK_MONOTONIC, CLOCK_THREAD_CPUTIME_ID};
static const char *const clock_names[] = {"wall", "cpu"};

const char *malloc_conf = "narenas:64";

/* Written in the child too, so it is shared memory. */
typedef struct {
    _Atomic uint64_t began[PHASES][CLOCKS];
    _Atomic uint64_t took[PHASES][CLOCKS];
} times_t;

static struct {
    unsigned threads;
    unsigned forks;
    bool handlers;
    bool background;
    bool busy;
    bool quiet;
} want = {.threads = 64};

static atomic_bool stop;
static atomic_uint started;
static times_t *times;
static bool inside_ours;
static uint64_t *samples[PHASES][CLOCKS];
static char *inherited[INHERITED];

static uint64_t now(int clock)
{
    struct timespec t;
    clock_gettime(clocks[clock], &t);
    return (uint64_t)t.tv_sec * 1000000000U + (uint64_t)t.tv_nsec;
}

/* ---- work ---- */

static void exercise(unsigned seed)
{
    static const size_t sizes[] = {
        16, 64, 700, 3000, 14000, 20000, 100000, 1 << 20};
    char *p[8];
    for (unsigned i = 0; i < 8; i++) {
        p[i] = malloc(sizes[(i + seed) % 8]);
        if (p[i] == NULL) {
            abort();
        }
        p[i][0] = (char)i;
    }
    p[seed % 8] = realloc(p[seed % 8], 50000);
    for (unsigned i = 0; i < 8; i++) {
        if (p[i] == NULL || p[i][0] != (char)i) {
            abort();
        }
        free(p[i]);
    }
}

static void purge(void)
{
    if (mallctl("arena.4096.purge", NULL, NULL, NULL, 0) != 0) {
        abort();
    }
}

static void drop_text(void *opaque, const char *text)
{
    (void)opaque;
    (void)text;
}

static void *noise(void *arg)
{
    size_t seed = (size_t)(uintptr_t)arg;
    void *ring[64] = {NULL};

    for (size_t i = 0; !atomic_load(&stop); i++) {
        seed = (seed * 1103515245U + 12345U) & 0xfffffU;
        free(ring[i % 64]);
        ring[i % 64] = malloc(i % 50 == 0 ? seed : seed % 3000);
        if (i == 1000) {
            atomic_fetch_add(&started, 1);
        }
        if (!want.busy && i % BURST == 0) {
            usleep(BETWEEN_BURSTS_US);
        }
        while (want.quiet && i > 1000 && !atomic_load(&stop)) {
            usleep(BETWEEN_BURSTS_US);
        }
    }
    for (int i = 0; i < 64; i++) {
        free(ring[i]);
    }
    return NULL;
}

static void *exercise_thread(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < 20; i++) {
        exercise(i);
    }
    return NULL;
}

/* ---- handlers ---- */

static void handle(unsigned seed)
{
    if (want.handlers) {
        exercise(seed);
        if (seed % 16 == 0) {
            purge();
        }
    }
}

static unsigned handled;

static void begin(int phase)
{
    for (int c = 0; times != NULL && c < CLOCKS; c++) {
        atomic_store(&times->began[phase][c], now(c));
    }
}

static void end(int phase)
{
    for (int c = 0; times != NULL && c < CLOCKS; c++) {
        uint64_t began = atomic_load(&times->began[phase][c]);
        atomic_store(&times->took[phase][c], now(c) - began);
    }
}

/* Registered before ours: these run last before a fork, first after it. */
static void inner_prepare(void)
{
    end(PREPARE);
    handle(++handled);
}

static void inner_parent(void)
{
    handle(++handled);
    begin(PARENT);
}

static void inner_child(void)
{
    handle(++handled);
    begin(CHILD);
}

static void outer_prepare(void)
{
    handle(++handled);
    begin(PREPARE);
}

static void outer_parent(void)
{
    end(PARENT);
    handle(++handled);
}

static void outer_child(void)
{
    end(CHILD);
    handle(++handled);
}

/* Before any library starts, where the loader supports it. */
__attribute__((unused)) static void register_inner(void)
{
    inside_ours = pthread_atfork(inner_prepare, inner_parent, inner_child) == 0;
}

#ifdef __GLIBC__
__attribute__((section(".preinit_array"),
    used)) static void (*const before_all)(void) = register_inner;
#endif

/* ---- one fork ---- */

static int fork_again(void)
{
    int status = -1;
    pid_t pid = fork();
    if (pid == 0) {
        exercise(1);
        purge();
        _exit(0);
    }
    return waitpid(pid, &status, 0) == pid ? status : -1;
}

static int child(unsigned number)
{
    alarm(CHILD_LIFE_S);
    exercise(number);
    for (int i = 0; i < INHERITED; i++) {
        if (inherited[i][7] != (char)i) {
            return 2;
        }
        free(inherited[i]);
    }
    purge();
    if (number % 16 == 3) {
        malloc_stats_print(drop_text, NULL, NULL);
    }
    if (number % 16 == 7) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, exercise_thread, NULL) != 0 ||
            pthread_join(thread, NULL) != 0) {
            return 3;
        }
    }
    if (number % 16 == 11 && fork_again() != 0) {
        return 4;
    }
    exercise(number + 1);
    return 0;
}

static bool fork_once(unsigned number)
{
    int status = -1;
    pid_t pid = fork();
    if (pid == 0) {
        _exit(child(number));
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0) {
        fprintf(stderr, "FAILED fork %u: pid %d, status 0x%x\n", number,
            (int)pid, (unsigned)status);
        return false;
    }
    for (int i = 0; i < PHASES * CLOCKS; i++) {
        samples[i / CLOCKS][i % CLOCKS][number] =
            atomic_load(&times->took[i / CLOCKS][i % CLOCKS]);
    }
    return true;
}

/* ---- the run ---- */

static void *map(size_t size)
{
    void *p = mmap(
        NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) {
        perror("mmap");
        exit(2);
    }
    return p;
}

static bool read_arguments(int argc, char **argv)
{
    unsigned *numbers[] = {&want.threads, &want.forks};
    unsigned found = 0;
    for (int i = 1; i < argc; i++) {
        char *end_of_number;
        unsigned long n = strtoul(argv[i], &end_of_number, 10);
        if (strcmp(argv[i], "handlers") == 0) {
            want.handlers = true;
        } else if (strcmp(argv[i], "background") == 0) {
            want.background = true;
        } else if (strcmp(argv[i], "quiet") == 0) {
            want.quiet = true;
        } else if (strcmp(argv[i], "busy") == 0) {
            want.busy = true;
        } else if (*end_of_number == '\0' && found < 2 && n > 0 &&
                   n <= (found == 0 ? THREADS_MAX : FORKS_MAX)) {
            *numbers[found++] = (unsigned)n;
        } else {
            fprintf(stderr,
                "forks: '%s' is neither a number of threads (1..%d) or forks "
                "(1..%d) nor one of: handlers background busy quiet\n",
                argv[i], THREADS_MAX, FORKS_MAX);
            return false;
        }
    }
    return true;
}

/* An option of the library: it is read before main. */
static int start_over(char **argv)
{
    static const char options[] = "background_thread:true";
    if (getenv("MALLOC_CONF") != NULL) {
        fputs("forks: MALLOC_CONF turns the background thread off\n", stderr);
    } else {
        setenv("MALLOC_CONF", options, 1);
        setenv("JE_MALLOC_CONF", options, 1);
        execv("/proc/self/exe", argv);
        perror("forks: /proc/self/exe");
    }
    return 2;
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void report(unsigned forks)
{
    if (!inside_ours) {
        puts("times of our handlers: not to be had with this loader");
        return;
    }
    for (int i = 0; i < PHASES * CLOCKS; i++) {
        uint64_t *sample = samples[i / CLOCKS][i % CLOCKS];
        qsort(sample, forks, sizeof(*sample), compare);
        printf("our %-7s %-4s  p50 %7.1f us  p99 %7.1f us  max %9.1f us\n",
            phase_names[i / CLOCKS], clock_names[i % CLOCKS],
            (double)sample[forks / 2] / 1e3,
            (double)sample[forks * 99 / 100] / 1e3,
            (double)sample[forks - 1] / 1e3);
    }
}

static bool run(void)
{
    const char *seconds = getenv("T");
    uint64_t until =
        now(WALL) + 1000000000U * strtoul(seconds ? seconds : "10", NULL, 10);
    unsigned n = 0;
    bool held = true;
    while (held && n < FORKS_MAX &&
           (want.forks != 0 ? n < want.forks : now(WALL) < until)) {
        held = fork_once(n++);
        exercise(n);
    }
    printf("%u threads, %u forks%s%s%s\n", want.threads, n,
        want.handlers ? ", handlers that allocate" : "",
        want.background ? ", background thread" : "",
        want.busy    ? ", busy"
        : want.quiet ? ", quiet"
                     : "");
    report(n);
    return held;
}

int main(int argc, char **argv)
{
    static pthread_t threads[THREADS_MAX];
    if (!read_arguments(argc, argv)) {
        return 2;
    }
    bool on = false;
    size_t length = sizeof(on);
    if (want.background &&
        (mallctl("opt.background_thread", &on, &length, NULL, 0) != 0 || !on)) {
        return start_over(argv);
    }
    for (int i = 0; i < INHERITED; i++) {
        inherited[i] = malloc(10 + (size_t)i * 300);
        inherited[i][7] = (char)i;
    }
    for (int i = 0; i < PHASES * CLOCKS; i++) {
        samples[i / CLOCKS][i % CLOCKS] = map(FORKS_MAX * sizeof(uint64_t));
    }
    times = map(sizeof(*times));
    if (pthread_atfork(outer_prepare, outer_parent, outer_child) != 0) {
        return 2;
    }
    for (unsigned i = 0; i < want.threads; i++) {
        if (pthread_create(&threads[i], NULL, noise,
                (void *)(uintptr_t)(i * 7919 + 1)) != 0) {
            fprintf(stderr, "forks: cannot start thread %u\n", i);
            return 2;
        }
    }
    while (atomic_load(&started) < want.threads) {
        usleep(1000);
    }
    bool held = run();
    atomic_store(&stop, true);
    for (unsigned i = 0; i < want.threads; i++) {
        pthread_join(threads[i], NULL);
    }
    return held ? 0 : 1;
}
