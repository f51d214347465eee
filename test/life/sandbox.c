/*
 * What: programs whose system calls are filtered, as in containers and
 * sandboxes: each call that the library makes is refused, one process for
 * each, once with EPERM and once with ENOSYS, from the start of the program
 * or from a later moment on. A workload with threads, arenas, purging,
 * profiles and statistics then works, or is told so: allocations fail with
 * ENOMEM, controls with an error number.
 *
 * Invariants: (I1) a refusal that did not happen is a failure: each process
 * tries its call first; (I2) only where the kernel filters: elsewhere the
 * cases are skipped.
 *
 * Locking: none; the threads of a workload share counters.
 */
#define _GNU_SOURCE
#include "harness.h"
#include <jemalloc/jemalloc.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

const char *malloc_conf = "prof:true,lg_prof_sample:15,dirty_decay_ms:100,"
                          "muzzy_decay_ms:100,san_guard_large:32,junk:false";

#define THREADS 3
#define ROUNDS  80
#define RING    64

/* ---- what is refused ---- */

/* Of calls that the loader needs, too: only what the library asks for. */
typedef enum {
    ALWAYS,
    OWN_MAPPINGS,   /* mmap with MAP_NORESERVE */
    OWN_PROTECTION, /* mprotect to nothing, or to reading and writing */
} when_t;

/* What the workload may do without. */
enum {
    MAY_LACK_MEMORY = 1,
    MAY_LACK_THREADS = 2,
    MAY_LACK_FILES = 4, /* profiles are not written */
    LATER_ONLY = 8,     /* no program starts without */
};

#define NUMBERS 4

typedef struct {
    const char *name;
    long numbers[NUMBERS]; /* 0 ends them; none of ours is number 0 but read */
    when_t when;
    unsigned flags;
} call_t;

/* Not every processor has each; numbers that do not exist match nothing. */
#define NO_SUCH_CALL 100000
#ifndef SYS_open
#    define SYS_open NO_SUCH_CALL
#endif
#ifndef SYS_readlink
#    define SYS_readlink NO_SUCH_CALL
#endif
#ifndef SYS_rename
#    define SYS_rename NO_SUCH_CALL
#endif
#ifndef SYS_unlink
#    define SYS_unlink NO_SUCH_CALL
#endif
#ifndef SYS_stat
#    define SYS_stat NO_SUCH_CALL
#endif
#ifndef SYS_newfstatat
#    define SYS_newfstatat NO_SUCH_CALL
#endif
#ifndef SYS_stat64
#    define SYS_stat64 NO_SUCH_CALL
#endif
#ifndef SYS_mmap2
#    define SYS_mmap2 NO_SUCH_CALL
#endif
#ifndef SYS_getrlimit
#    define SYS_getrlimit NO_SUCH_CALL
#endif
#ifndef SYS_ugetrlimit
#    define SYS_ugetrlimit NO_SUCH_CALL
#endif
#ifndef SYS_clock_gettime64
#    define SYS_clock_gettime64 NO_SUCH_CALL
#endif
#ifndef SYS_process_madvise
#    define SYS_process_madvise 440
#endif
#ifndef SYS_clone3
#    define SYS_clone3 435
#endif
#ifndef SYS_statx
#    define SYS_statx NO_SUCH_CALL
#endif

static const call_t calls[] = {
    {"madvise", {SYS_madvise}, ALWAYS, 0},
    {"process_madvise", {SYS_process_madvise}, ALWAYS, 0},
    {"mremap", {SYS_mremap}, ALWAYS, 0},
    {"mprotect", {SYS_mprotect}, OWN_PROTECTION,
        MAY_LACK_MEMORY | MAY_LACK_THREADS},
    {"mmap", {SYS_mmap, SYS_mmap2}, OWN_MAPPINGS,
        MAY_LACK_MEMORY | MAY_LACK_THREADS | MAY_LACK_FILES},
    {"munmap", {SYS_munmap}, ALWAYS, 0},
    {"brk", {SYS_brk}, ALWAYS, 0},
    {"mincore", {SYS_mincore}, ALWAYS, 0},
    {"clone3", {SYS_clone3}, ALWAYS, MAY_LACK_THREADS},
    {"clone", {SYS_clone}, ALWAYS, MAY_LACK_THREADS},
    {"clone and clone3", {SYS_clone, SYS_clone3}, ALWAYS, MAY_LACK_THREADS},
    {"prctl", {SYS_prctl}, ALWAYS, 0},
    {"membarrier", {SYS_membarrier}, ALWAYS, 0},
    {"rt_sigprocmask", {SYS_rt_sigprocmask}, ALWAYS, 0},
    {"process_vm_readv", {SYS_process_vm_readv}, ALWAYS, 0},
    {"rt_sigprocmask and process_vm_readv",
        {SYS_rt_sigprocmask, SYS_process_vm_readv}, ALWAYS, 0},
    {"sched_getaffinity", {SYS_sched_getaffinity}, ALWAYS, 0},
    {"sched_yield", {SYS_sched_yield}, ALWAYS, 0},
    {"getcpu", {SYS_getcpu}, ALWAYS, 0},
    {"getpid", {SYS_getpid}, ALWAYS, 0},
    {"gettid", {SYS_gettid}, ALWAYS, 0},
    {"clock_gettime", {SYS_clock_gettime, SYS_clock_gettime64}, ALWAYS, 0},
    {"prlimit64", {SYS_prlimit64, SYS_getrlimit, SYS_ugetrlimit}, ALWAYS, 0},
    {"readlink", {SYS_readlinkat, SYS_readlink}, ALWAYS, 0},
    {"memfd_create", {SYS_memfd_create}, ALWAYS, 0},
    {"rename", {SYS_renameat, SYS_renameat2, SYS_rename}, ALWAYS,
        MAY_LACK_FILES},
    {"unlink", {SYS_unlinkat, SYS_unlink}, ALWAYS, 0},
    {"stat", {SYS_newfstatat, SYS_stat, SYS_stat64, SYS_statx}, ALWAYS,
        LATER_ONLY},
    {"lseek", {SYS_lseek}, ALWAYS, 0},
    {"openat", {SYS_openat, SYS_open}, ALWAYS, LATER_ONLY | MAY_LACK_FILES},
    {"close", {SYS_close}, ALWAYS, LATER_ONLY | MAY_LACK_FILES},
    {"write", {SYS_write}, ALWAYS, LATER_ONLY | MAY_LACK_FILES},
};
#define CALLS (sizeof(calls) / sizeof(calls[0]))

static const int errors[] = {EPERM, ENOSYS};

/* ---- filters ---- */

#define LOW_WORD(index)                                                        \
    ((uint32_t)(offsetof(struct seccomp_data, args) + 8 * (index)))

typedef struct {
    struct sock_filter code[32];
    unsigned short length;
} program_t;

static void emit(
    program_t *p, unsigned short code, uint32_t k, uint8_t yes, uint8_t no)
{
    p->code[p->length++] = (struct sock_filter){code, yes, no, k};
}

/* Lets through what is not the library's own. */
static void emit_condition(program_t *p, when_t when)
{
    unsigned short equal = BPF_JMP | BPF_JEQ | BPF_K;
    unsigned short load = BPF_LD | BPF_W | BPF_ABS;
    if (when == OWN_MAPPINGS) {
        emit(p, load, LOW_WORD(3), 0, 0);
        emit(p, BPF_JMP | BPF_JSET | BPF_K, MAP_NORESERVE, 1, 0);
        emit(p, BPF_RET | BPF_K, SECCOMP_RET_ALLOW, 0, 0);
    } else if (when == OWN_PROTECTION) {
        emit(p, load, LOW_WORD(2), 0, 0);
        emit(p, equal, PROT_NONE, 2, 0);
        emit(p, equal, PROT_READ | PROT_WRITE, 1, 0);
        emit(p, BPF_RET | BPF_K, SECCOMP_RET_ALLOW, 0, 0);
    }
}

/* From now on these calls of this process fail; false if it cannot be. */
static bool refuse(const long *numbers, when_t when, int error)
{
    program_t p = {.length = 0};
    unsigned n = 1;
    while (n < NUMBERS && numbers[n] != 0) {
        n++;
    }
    emit(&p, BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr), 0, 0);
    for (unsigned i = 0; i < n; i++) {
        emit(&p, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)numbers[i],
            (uint8_t)(n - i), 0);
    }
    emit(&p, BPF_RET | BPF_K, SECCOMP_RET_ALLOW, 0, 0);
    emit_condition(&p, when);
    emit(&p, BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (uint32_t)error, 0, 0);
    struct sock_fprog filter = {p.length, p.code};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter, 0, 0) == 0;
}

/* Arguments that no call accepts, and no filter lets through. */
static bool is_refused(const call_t *call, int error)
{
    long protection = call->when == OWN_PROTECTION ? PROT_NONE : -1L;
    errno = 0;
    return syscall(call->numbers[0], -1L, -1L, protection, -1L, -1L, -1L) ==
               -1 &&
           errno == error;
}

/* ---- the workload ---- */

static struct {
    const call_t *call;
    const char *path; /* of the profile */
    atomic_uint nulls;
    atomic_uint problems;
    unsigned threads;
} work;

static bool may_lack(unsigned what)
{
    return (work.call->flags & what) != 0;
}

/* Counts what went wrong, and says it where that can be said. */
static void problem(const char *what, int error)
{
    atomic_fetch_add(&work.problems, 1);
    dprintf(STDERR_FILENO, "%s, error %d\n", what, error);
}

static void *checked(void *p)
{
    if (p == NULL) {
        atomic_fetch_add(&work.nulls, 1);
        if (errno != ENOMEM || !may_lack(MAY_LACK_MEMORY)) {
            problem("no memory", errno);
        }
    }
    return p;
}

static void mark(unsigned char *p, size_t size, unsigned seed)
{
    p[0] = (unsigned char)seed;
    p[size / 2] = (unsigned char)(seed + 1);
    p[size - 1] = (unsigned char)(seed + 2);
}

static bool is_marked(const unsigned char *p, size_t size, unsigned seed)
{
    return p[size - 1] == (unsigned char)(seed + 2) &&
           (size < 3 || (p[0] == (unsigned char)seed &&
                            p[size / 2] == (unsigned char)(seed + 1)));
}

static void check_zero(size_t size)
{
    unsigned char *p = checked(calloc(1, size));
    if (p != NULL && (p[0] | p[size / 2] | p[size - 1]) != 0) {
        problem("calloc gave bytes that are not zero", 0);
    }
    free(p);
}

/* Grows by realloc: the pages of large blocks may be moved. */
static void grow(unsigned seed)
{
    size_t size = 200000;
    unsigned char *p = checked(malloc(size));
    for (int i = 0; p != NULL && i < 4; i++) {
        mark(p, size, seed);
        unsigned char *more = checked(realloc(p, 2 * size));
        if (more == NULL) {
            break;
        }
        p = more;
        if (p[0] != (unsigned char)seed ||
            p[size - 1] != (unsigned char)(seed + 2)) {
            problem("realloc lost bytes", 0);
        }
        size *= 2;
    }
    free(p);
}

static void *allocate(void *opaque)
{
    static const size_t sizes[] = {
        8, 100, 900, 5000, 17000, 70000, 300000, 1500000};
    unsigned seed = (unsigned)(uintptr_t)opaque;
    unsigned char *ring[RING] = {NULL};
    size_t ring_sizes[RING] = {0};
    for (unsigned i = 0; i < ROUNDS; i++) {
        unsigned at = i % RING;
        if (ring[at] != NULL && !is_marked(ring[at], ring_sizes[at], at)) {
            problem("a block changed", 0);
        }
        free(ring[at]);
        seed = seed * 1103515245U + 12345U;
        ring_sizes[at] = sizes[seed >> 16 & 7] + (seed >> 20) % 90 + 3;
        ring[at] = checked(malloc(ring_sizes[at]));
        if (ring[at] != NULL) {
            mark(ring[at], ring_sizes[at], at);
        }
        if (i % 64 == 20) {
            check_zero(ring_sizes[at]);
            grow(i);
            free(checked(aligned_alloc(1U << 16, 1U << 17)));
            free(checked(malloc(20U << 20))); /* from the oversize arena */
        }
    }
    for (unsigned i = 0; i < RING; i++) {
        free(ring[i]);
    }
    return NULL;
}

static void run_threads(void)
{
    pthread_t threads[THREADS];
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, (size_t)256 << 10);
    for (work.threads = 0; work.threads < THREADS; work.threads++) {
        int error = pthread_create(&threads[work.threads], &attributes,
            allocate, (void *)(uintptr_t)(work.threads * 7919 + 1));
        if (error != 0) {
            if (!may_lack(MAY_LACK_THREADS)) {
                problem("no thread", error);
            }
            break;
        }
    }
    allocate((void *)1);
    for (unsigned i = 0; i < work.threads; i++) {
        pthread_join(threads[i], NULL);
    }
}

/* A control that fails only for want of what is refused. */
static int control(const char *name, void *old, size_t *old_size, void *new,
    size_t new_size, unsigned excuse)
{
    int error = mallctl(name, old, old_size, new, new_size);
    if (error != 0 && !may_lack(excuse)) {
        problem(name, error);
    }
    return error;
}

static void use_own_arena(void)
{
    unsigned arena;
    size_t size = sizeof(arena);
    char name[64];
    const char *dss = "primary"; /* moves the break */
    if (control("arenas.create", &arena, &size, NULL, 0, MAY_LACK_MEMORY) !=
        0) {
        return;
    }
    snprintf(name, sizeof(name), "arena.%u.dss", arena);
    control(name, NULL, NULL, &dss, sizeof(dss), MAY_LACK_MEMORY);
    int flags = MALLOCX_ARENA(arena) | MALLOCX_TCACHE_NONE;
    for (size_t bytes = 100; bytes < 6000000; bytes *= 3) {
        void *p = checked(mallocx(bytes, flags));
        if (p != NULL) {
            memset(p, 1, bytes);
            dallocx(p, MALLOCX_TCACHE_NONE);
        }
    }
    snprintf(name, sizeof(name), "arena.%u.destroy", arena);
    control(name, NULL, NULL, NULL, 0, MAY_LACK_MEMORY);
}

static void purge_all(void)
{
    uint64_t epoch = 1;
    control("arena.4096.decay", NULL, NULL, NULL, 0, MAY_LACK_MEMORY);
    control("arena.4096.purge", NULL, NULL, NULL, 0, MAY_LACK_MEMORY);
    control("epoch", NULL, NULL, &epoch, sizeof(epoch), MAY_LACK_MEMORY);
}

static void use_background_thread(void)
{
    bool on = true;
    bool off = false;
    if (control("background_thread", NULL, NULL, &on, sizeof(on),
            MAY_LACK_THREADS) == 0) {
        usleep(20000);
    }
    control(
        "background_thread", NULL, NULL, &off, sizeof(off), MAY_LACK_THREADS);
}

static void dump_profile(void)
{
    char head[8] = "";
    int error = control("prof.dump", NULL, NULL, &work.path, sizeof(work.path),
        MAY_LACK_FILES | MAY_LACK_MEMORY);
    int fd = open(work.path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0 && read(fd, head, 7) == 7 && strcmp(head, "heap_v2") != 0) {
        problem("a profile begins otherwise", 0);
    }
    if (error == 0 && head[0] == '\0' && !may_lack(MAY_LACK_FILES)) {
        problem("no profile after a dump", errno);
    }
    close(fd);
}

static void count_text(void *opaque, const char *text)
{
    *(size_t *)opaque += strlen(text);
}

static void print_statistics(void)
{
    size_t length = 0;
    malloc_stats_print(count_text, &length, "");
    if (length < 1000 && !may_lack(MAY_LACK_MEMORY)) {
        problem("hardly any statistics", 0);
    }
}

static int run_workload(const call_t *call, int error, const char *path)
{
    work.call = call;
    work.path = path;
    if (!is_refused(call, error)) {
        problem("not refused", errno);
    }
    run_threads();
    purge_all();
    use_own_arena();
    use_background_thread();
    dump_profile();
    print_statistics();
    allocate((void *)2);
    if (call->when == OWN_MAPPINGS && atomic_load(&work.nulls) == 0) {
        problem("memory out of nothing", 0);
    }
    return atomic_load(&work.problems) == 0 ? 0 : 1;
}

/* ---- cases ---- */

typedef struct {
    unsigned call;
    int error;
    bool from_the_start;
    char *path;
} case_t;

static void in_sandbox(void *opaque)
{
    const case_t *c = opaque;
    const call_t *call = &calls[c->call];
    char number[16];
    char error[16];
    snprintf(number, sizeof(number), "%u", c->call);
    snprintf(error, sizeof(error), "%d", c->error);
    if (!refuse(call->numbers, call->when, c->error)) {
        _exit(77);
    }
    if (c->from_the_start) {
        char *arguments[] = {(char *)"sandbox", (char *)"workload", number,
            error, c->path, NULL};
        execv("/proc/self/exe", arguments);
        _exit(127);
    }
    exit(run_workload(call, c->error, c->path));
}

static void try_filter(void *opaque)
{
    static const long harmless[NUMBERS] = {SYS_getppid};
    (void)opaque;
    bool works = refuse(harmless, ALWAYS, EPERM) &&
                 syscall(SYS_getppid) == -1 && errno == EPERM;
    _exit(works ? 0 : 1);
}

static void need_filters(void)
{
    if (HAS_SANITIZER) {
        test_skip("a sanitizer makes these system calls itself");
    }
    if (test_in_child(try_filter, NULL).status != 0) {
        test_skip("the kernel, or its emulator, takes no seccomp filter");
    }
}

/* A wholly static program of glibc's needs memory before it begins. */
static bool can_start(const call_t *call)
{
    bool is_static = getauxval(AT_BASE) == 0;
    return (call->flags & LATER_ONLY) == 0 &&
           !(is_static && call->when == OWN_MAPPINGS);
}

/* musl gives its threads stacks that they may not touch. */
static bool takes_for_done(const call_t *call, int error)
{
#ifdef __GLIBC__
    (void)call;
    (void)error;
    return false;
#else
    return call->when == OWN_PROTECTION && error == ENOSYS;
#endif
}

static void run_cases(bool from_the_start)
{
    static test_child_t child;
    char path[] = "/tmp/sandbox.XXXXXX";
    need_filters();
    int fd = mkstemp(path);
    REQUIRE(fd >= 0);
    close(fd);
    for (unsigned i = 0; i < CALLS; i++) {
        if (from_the_start && !can_start(&calls[i])) {
            continue;
        }
        for (unsigned e = 0; e < 2; e++) {
            if (takes_for_done(&calls[i], errors[e])) {
                continue;
            }
            case_t c = {i, errors[e], from_the_start, path};
            REQUIRE(truncate(path, 0) == 0);
            child = test_in_child(in_sandbox, &c);
            if (child.status != 0) {
                test_note("%s refused with %s: status %#x, %s", calls[i].name,
                    strerror(errors[e]), (unsigned)child.status, child.err);
            }
            EXPECT_EQ_I64(child.status, 0);
        }
    }
    unlink(path);
}

TEST(refused_from_the_start)
{
    run_cases(true);
}

TEST(refused_later)
{
    run_cases(false);
}

int main(int argc, char **argv)
{
    if (argc == 5 && strcmp(argv[1], "workload") == 0) {
        return run_workload(
            &calls[strtoul(argv[2], NULL, 10) % CALLS], atoi(argv[3]), argv[4]);
    }
    return test_run(
        TEST_CASE(refused_from_the_start), TEST_CASE(refused_later), NULL);
}
