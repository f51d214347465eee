/*
 * What: how much stack the library takes from a thread. Each path is run on a
 * stack whose bytes are known, below the call; what has changed tells how deep
 * it went. Prints a table, paths by settings of the library. Then the same
 * paths run in threads with as little stack as there may be.
 *
 *   stacks depths     prints "path depth" lines, as the library is set
 *   stacks smallest   runs all paths in threads of PTHREAD_STACK_MIN bytes
 *
 * Invariants: (I1) a depth counts from the stack pointer at a call of the
 * library; nothing else is in it: all functions are bound beforehand; (I2) each
 * path has a thread of its own, in a process for each setting; (I3) limits hold
 * for the library as it is released: optimised, without assertions or
 * sanitizers.
 *
 * Locking: none; one thread is at work at a time.
 */
#define _GNU_SOURCE
#include "harness.h"
#include <jemalloc/jemalloc.h>

#include <limits.h>
#include <malloc.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

void *pvalloc(size_t size); /* where libc has none, the header has none */

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)

/*
 * Of a path that gives or takes memory, of such a one in a hardened process,
 * and of one that asks and tells. What flushes a cache sorts by slab first:
 * block_flush has room for the homes of 64 blocks.
 */
#define LIMIT_BLOCKS   1024
#define LIMIT_HARDENED 1536
#define LIMIT_FLUSHES  2816
#define LIMIT_CONTROLS 4096

#define STACK_BYTES (256 * KIB)
/* More is never used by what is measured. */
#define PAINTED_BYTES (32 * KIB)
#define PAINT         0xa5

/* More than there are arenas on small machines. */
#define THREADS_MAX 40

/* ---- painting ---- */

static _Thread_local volatile unsigned char *painted;
static _Thread_local unsigned char *top_of_step;

/* The stack pointer of the caller at a call. */
__attribute__((noinline)) static unsigned char *stack_pointer(void)
{
    return (unsigned char *)__builtin_frame_address(0) + 2 * sizeof(void *);
}

/* All that lies below the caller's frame. */
__attribute__((noinline)) static void paint(void)
{
    volatile unsigned char *top = stack_pointer();
    painted = top - PAINTED_BYTES;
    for (volatile unsigned char *p = painted; p < top; p++) {
        *p = PAINT;
    }
}

/* How far below the address what was painted is no longer. */
__attribute__((noinline)) static size_t depth_below(const unsigned char *top)
{
    const volatile unsigned char *p = painted;
    while (p < top && *p == PAINT) {
        p++;
    }
    return (size_t)(top - p);
}

/* ---- what the steps work with ---- */

#define BLOCKS 4000

static struct {
    void *blocks[BLOCKS];
    unsigned count;
    unsigned arena;
    unsigned tcache;
    volatile size_t sizes;
    size_t mib[8];
    size_t mib_length;
    char *names; /* of all controls that may be read, one after the other */
    char *names_end;
    char profile[64];
} work;

#define WRITE(name, value) mallctl(name, NULL, NULL, &(value), sizeof(value))

/* Each step begins with this: its own frame is not the library's. */
#define BEGIN() (top_of_step = stack_pointer())

static void put(void *p)
{
    if (p != NULL && work.count < BLOCKS) {
        work.blocks[work.count++] = p;
    }
}

static void free_all(void)
{
    BEGIN();
    while (work.count > 0) {
        free(work.blocks[--work.count]);
    }
}

static void nothing(void)
{
}

/* ---- blocks ---- */

static void malloc_one(void)
{
    BEGIN();
    put(malloc(64));
}

static void malloc_small(void)
{
    BEGIN();
    for (size_t size = 8; size <= 14336; size += size / 4 + 8) {
        for (unsigned i = 0; i < 100; i++) {
            put(malloc(size));
        }
    }
}

static void malloc_large(void)
{
    BEGIN();
    for (size_t size = 16 * KIB; size <= 6 * MIB; size += size / 3) {
        put(malloc(size));
        put(malloc(size));
    }
}

static void malloc_huge(void)
{
    BEGIN();
    put(malloc(9 * MIB));
    put(malloc(64 * MIB));
    put(malloc(300 * MIB));
}

static void calloc_all(void)
{
    BEGIN();
    for (size_t size = 8; size <= 10 * MIB; size += size / 2) {
        put(calloc(3, size));
    }
}

static void malloc_too_much(void)
{
    BEGIN();
    static volatile size_t most = PTRDIFF_MAX;
    put(malloc(most));
    put(malloc(most - 200 * MIB));
    put(calloc(most, 4));
    put(aligned_alloc(most / 2 + 1, most / 2 + 1));
    put(mallocx(most - MIB, MALLOCX_LG_ALIGN(30)));
}

static void realloc_up_and_down(void)
{
    BEGIN();
    void *p = NULL;
    for (size_t size = 10; size <= 100 * MIB; size += size / 2) {
        p = realloc(p, size);
        put(malloc(size / 2 + 1)); /* in the way */
    }
    for (size_t size = 90 * MIB; size > 10; size /= 2) {
        p = realloc(p, size);
    }
    p = reallocarray(p, 100, 1000);
    put(p);
}

static void aligned(void)
{
    BEGIN();
    void *p = NULL;
    for (size_t alignment = 16; alignment <= 4 * MIB; alignment *= 2) {
        put(aligned_alloc(alignment, 3 * alignment));
        put(memalign(alignment, 100));
        p = posix_memalign(&p, alignment, alignment + 1) == 0 ? p : NULL;
        put(p);
    }
    put(valloc(5000));
    put(pvalloc(5000));
}

static void sized_frees(void)
{
    BEGIN();
    for (size_t size = 8; size <= 10 * MIB; size += size / 2) {
        void *p = malloc(size);
        if (p != NULL) {
            sdallocx(p, size, 0);
        }
        p = malloc(size);
        if (p != NULL) {
            free_sized(p, size);
        }
        p = aligned_alloc(64, (size + 63) / 64 * 64);
        if (p != NULL) {
            free_aligned_sized(p, 64, (size + 63) / 64 * 64);
        }
    }
}

static void with_flags_of(int flags)
{
    BEGIN();
    for (size_t size = 8; size <= 10 * MIB; size += size) {
        void *p = mallocx(size, flags);
        void *more = p == NULL ? NULL : rallocx(p, size + size / 2, flags);
        if (more != NULL) {
            (void)xallocx(more, 2 * size, size, flags);
            (void)xallocx(more, size, 0, flags);
            (void)sallocx(more, flags);
            dallocx(more, flags);
        } else if (p != NULL) {
            dallocx(p, flags);
        }
    }
}

static void with_flags(void)
{
    with_flags_of(0);
    with_flags_of(MALLOCX_ZERO);
    with_flags_of(MALLOCX_ALIGN(64));
    with_flags_of(MALLOCX_LG_ALIGN(16) | MALLOCX_ZERO);
    with_flags_of(MALLOCX_TCACHE_NONE);
    with_flags_of(MALLOCX_ARENA(work.arena));
    with_flags_of(MALLOCX_ARENA(work.arena) | MALLOCX_TCACHE_NONE);
    with_flags_of(MALLOCX_TCACHE(work.tcache));
    with_flags_of(MALLOCX_TCACHE(work.tcache) | MALLOCX_ZERO);
}

static void ask_sizes(void)
{
    BEGIN();
    for (unsigned i = 0; i < work.count; i++) {
        work.sizes += malloc_usable_size(work.blocks[i]);
    }
    work.sizes += nallocx(100000, MALLOCX_ALIGN(4096));
}

/* ---- controls ---- */

static void read_controls(void)
{
    BEGIN();
    static uint64_t value[8];
    static char text[256];
    for (char *name = work.names; name < work.names_end;
         name += strlen(name) + 1) {
        for (size_t bytes = 8; bytes > 0; bytes /= 2) {
            size_t length = bytes;
            value[0] = (uintptr_t)text; /* where a name goes */
            if (mallctl(name, value, &length, NULL, 0) == 0) {
                break;
            }
        }
    }
}

static void by_vector(void)
{
    BEGIN();
    static uint64_t value;
    size_t length = sizeof(value);
    work.mib_length = 8;
    (void)mallctlnametomib(
        "arena.0.dirty_decay_ms", work.mib, &work.mib_length);
    (void)mallctlbymib(work.mib, work.mib_length, &value, &length, NULL, 0);
}

static void write_controls(void)
{
    BEGIN();
    static const char *act[] = {"thread.tcache.flush", "thread.peak.reset",
        "thread.idle", "arena.0.purge", "arena.4096.decay", "arena.4096.purge",
        "stats.mutexes.reset"};
    static bool on = true;
    static bool off = false;
    static ssize_t decay_ms = 0;
    static ssize_t usual_ms = 10000;
    static unsigned arena = 0;
    static const char *dss = "secondary";
    static const char *limits = "8-64:10|128:5";
    for (unsigned i = 0; i < sizeof(act) / sizeof(act[0]); i++) {
        (void)mallctl(act[i], NULL, NULL, NULL, 0);
    }
    (void)WRITE("arena.0.dirty_decay_ms", decay_ms);
    (void)WRITE("arena.0.dirty_decay_ms", usual_ms);
    (void)WRITE("arena.0.dss", dss);
    (void)WRITE("thread.arena", work.arena);
    (void)WRITE("thread.arena", arena);
    (void)WRITE("thread.tcache.enabled", off);
    (void)WRITE("thread.tcache.enabled", on);
    (void)WRITE("thread.tcache.ncached_max.write", limits);
    (void)WRITE("background_thread", on);
    (void)WRITE("background_thread", off);
    (void)WRITE("prof.active", off);
    (void)WRITE("prof.active", on);
    (void)WRITE("prof.reset", usual_ms);
}

static void refresh(void)
{
    BEGIN();
    static uint64_t epoch = 1;
    (void)WRITE("epoch", epoch);
}

/* A control's name with a number in it, without printf's stack. */
static int control_of(const char *before, unsigned number, const char *after)
{
    char name[40];
    char *p = name + strlen(before);
    strcpy(name, before);
    for (unsigned unit = 1000; unit > 0; unit /= 10) {
        if (number >= unit || unit == 1) {
            *p++ = (char)('0' + number / unit % 10);
        }
    }
    strcpy(p, after);
    return mallctl(name, NULL, NULL, NULL, 0);
}

static void make_and_end(void)
{
    BEGIN();
    unsigned arena = 0;
    unsigned cache = 0;
    size_t length = sizeof(unsigned);
    if (mallctl("arenas.create", &arena, &length, NULL, 0) == 0) {
        put(mallocx(100, MALLOCX_ARENA(arena) | MALLOCX_TCACHE_NONE));
        put(mallocx(100000, MALLOCX_ARENA(arena) | MALLOCX_TCACHE_NONE));
        work.count -= 2;
        (void)control_of("arena.", arena, ".reset");
        (void)control_of("arena.", arena, ".destroy");
    }
    if (mallctl("tcache.create", &cache, &length, NULL, 0) == 0) {
        put(mallocx(100, MALLOCX_TCACHE(cache)));
        (void)WRITE("tcache.flush", cache);
        (void)WRITE("tcache.destroy", cache);
    }
}

static void hear(void *opaque, const char *text)
{
    *(volatile size_t *)opaque += (size_t)*text;
}

static void print_statistics(void)
{
    BEGIN();
    static size_t sum;
    malloc_stats_print(hear, &sum, NULL);
}

static void print_json(void)
{
    BEGIN();
    static size_t sum;
    malloc_stats_print(hear, &sum, "J");
}

static void dump_profile(void)
{
    BEGIN();
    static const char *name = work.profile;
    (void)WRITE("prof.dump", name);
}

#ifdef __GLIBC__
static void trim(void)
{
    BEGIN();
    (void)mallinfo2();
    (void)malloc_trim(0);
}
#endif

/* ---- paths ---- */

typedef struct {
    const char *name;
    void (*prepare)(void); /* in the main thread */
    void (*run)(void);
    size_t limit;
    unsigned threads; /* that stay until all have run */
} path_t;

static const path_t paths[] = {
    {"malloc, first of a thread", nothing, malloc_one, LIMIT_BLOCKS,
        THREADS_MAX},
    {"free, first of a thread", malloc_small, free_all, LIMIT_FLUSHES, 1},
    {"malloc, small", nothing, malloc_small, LIMIT_FLUSHES, 1},
    {"malloc, large", nothing, malloc_large, LIMIT_BLOCKS, 1},
    {"malloc, huge", nothing, malloc_huge, LIMIT_BLOCKS, 1},
    {"malloc, refused", nothing, malloc_too_much, LIMIT_BLOCKS, 1},
    {"free, large", malloc_large, free_all, LIMIT_BLOCKS, 1},
    {"free, huge", malloc_huge, free_all, LIMIT_BLOCKS, 1},
    {"calloc", nothing, calloc_all, LIMIT_BLOCKS, 1},
    {"realloc", nothing, realloc_up_and_down, LIMIT_FLUSHES, 1},
    {"aligned", nothing, aligned, LIMIT_BLOCKS, 1},
    {"sized free", nothing, sized_frees, LIMIT_FLUSHES, 1},
    {"with flags", nothing, with_flags, LIMIT_FLUSHES, 1},
    {"usable size", malloc_large, ask_sizes, LIMIT_BLOCKS, 1},
    {"control, read", nothing, read_controls, LIMIT_CONTROLS, 1},
    {"control, by vector", nothing, by_vector, LIMIT_CONTROLS, 1},
    {"control, write or act", nothing, write_controls, LIMIT_CONTROLS, 1},
    {"control, epoch", nothing, refresh, LIMIT_CONTROLS, 1},
    {"arenas and caches", nothing, make_and_end, LIMIT_CONTROLS, 1},
    {"statistics", nothing, print_statistics, LIMIT_CONTROLS, 1},
    {"statistics, JSON", nothing, print_json, LIMIT_CONTROLS, 1},
    {"profile", malloc_large, dump_profile, LIMIT_CONTROLS, 1},
#ifdef __GLIBC__
    {"malloc_trim, mallinfo2", nothing, trim, LIMIT_CONTROLS, 1},
#endif
};
#define PATHS (sizeof(paths) / sizeof(paths[0]))

/* ---- threads ---- */

typedef struct {
    const path_t *path;
    size_t depth;
} job_t;

static sem_t ran;
static sem_t leave;

__attribute__((noinline)) static size_t depth_of(void (*run)(void))
{
    paint();
    run();
    return depth_below(top_of_step);
}

static void *measure(void *opaque)
{
    job_t *job = opaque;
    size_t depth = depth_of(job->path->run);
    job->depth = depth > job->depth ? depth : job->depth;
    sem_post(&ran);
    sem_wait(&leave);
    return NULL;
}

static void *run_only(void *opaque)
{
    ((job_t *)opaque)->path->run();
    sem_post(&ran);
    sem_wait(&leave);
    return NULL;
}

static pthread_t start(void *(*run)(void *), void *opaque, size_t bytes)
{
    pthread_t thread;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    if (pthread_attr_setstacksize(&attributes, bytes) != 0 ||
        pthread_create(&thread, &attributes, run, opaque) != 0) {
        dprintf(STDERR_FILENO, "no thread with %zu bytes of stack\n", bytes);
        _exit(2);
    }
    pthread_attr_destroy(&attributes);
    return thread;
}

/* One thread after the other; they end when all have run. */
static size_t in_threads(
    const path_t *path, void *(*run)(void *), size_t stack_bytes)
{
    pthread_t threads[THREADS_MAX];
    job_t job = {path, 0};
    path->prepare();
    for (unsigned i = 0; i < path->threads; i++) {
        threads[i] = start(run, &job, stack_bytes);
        sem_wait(&ran);
    }
    for (unsigned i = 0; i < path->threads; i++) {
        sem_post(&leave);
    }
    for (unsigned i = 0; i < path->threads; i++) {
        pthread_join(threads[i], NULL);
    }
    free_all();
    return job.depth;
}

/* ---- the end of a thread, and forks ---- */

/* In memory that a child of fork shares. */
static struct shared {
    size_t thread_end;
    size_t before_fork;
    size_t fork_parent;
    size_t fork_child;
    bool forking;
} * shared;

static pthread_key_t end_key;

/* After the library's, whose key is older; called from the same frame. */
static void note_end(void *unused)
{
    (void)unused;
    shared->thread_end = depth_below(
        (unsigned char *)__builtin_frame_address(0) + 2 * sizeof(void *));
}

static void *use_and_end(void *unused)
{
    (void)unused;
    malloc_small();
    malloc_large();
    free_all();
    pthread_setspecific(end_key, &end_key);
    paint();
    return NULL;
}

/*
 * Handlers of fork, two on each side of the library's: before a fork they run
 * in the order late, library, early; after it early, library, late.
 */
static bool is_forking(void)
{
    return shared != NULL && shared->forking;
}

static void paint_before(void)
{
    if (is_forking()) {
        paint();
    }
}

#define NOTE(name)                                                             \
    static void note_##name(void)                                              \
    {                                                                          \
        if (is_forking()) {                                                    \
            shared->name =                                                     \
                depth_below((unsigned char *)__builtin_frame_address(0) +      \
                            2 * sizeof(void *));                               \
        }                                                                      \
    }
NOTE(before_fork)
NOTE(fork_parent)
NOTE(fork_child)

static void register_early(void)
{
    (void)pthread_atfork(note_before_fork, paint_before, paint_before);
}

/* Runs before the constructors of all libraries. */
__attribute__((section(".preinit_array"), used)) static void (*const early)(
    void) = register_early;

static void *fork_once(void *unused)
{
    int status = 0;
    pid_t pid = fork();
    if (pid == 0) {
        _exit(0);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0) {
        _exit(3);
    }
    return unused;
}

static void measure_ends(void)
{
    if (pthread_key_create(&end_key, note_end) != 0 ||
        pthread_atfork(paint_before, note_fork_parent, note_fork_child) != 0) {
        _exit(2);
    }
    pthread_join(start(use_and_end, NULL, STACK_BYTES), NULL);
    shared->forking = true;
    pthread_join(start(fork_once, NULL, STACK_BYTES), NULL);
    shared->forking = false;
}

/* ---- processes ---- */

#define LIST_BYTES 65536

/* Names of the controls that may be read, with 0 for each number. */
static void read_list(void)
{
    static char names[LIST_BYTES];
    char line[256];
    char path[4096];
    (void)snprintf(path, sizeof(path), "%s/test/unit/ctl_nodes.list",
        getenv("JE_SRCDIR") != NULL ? getenv("JE_SRCDIR") : ".");
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        dprintf(STDERR_FILENO, "cannot read %s\n", path);
        _exit(2);
    }
    char *end = names;
    while (fgets(line, sizeof(line), file) != NULL) {
        const char *access = strchr(line, ' ');
        access = access == NULL ? NULL : strchr(access + 1, ' ');
        if (*line == '#' || access == NULL || access[1] != 'r') {
            continue;
        }
        for (const char *p = line; *p != ' '; p++) {
            *end++ = *p == '<' ? '0' : *p;
            p += *p == '<' ? 2 : 0;
        }
        *end++ = '\0';
    }
    fclose(file);
    work.names = names;
    work.names_end = end;
}

static void set_up(void)
{
    size_t length = sizeof(unsigned);
    read_list();
    (void)snprintf(work.profile, sizeof(work.profile), "/tmp/stacks.%ld.heap",
        (long)getpid());
    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED || sem_init(&ran, 0, 0) != 0 ||
        sem_init(&leave, 0, 0) != 0 ||
        mallctl("arenas.create", &work.arena, &length, NULL, 0) != 0 ||
        mallctl("tcache.create", &work.tcache, &length, NULL, 0) != 0) {
        _exit(2);
    }
}

static void say_depth(size_t depth, const char *name)
{
    dprintf(STDERR_FILENO, "%zu %s\n", depth, name);
}

static int print_depths(void)
{
    set_up();
    for (unsigned i = 0; i < PATHS; i++) {
        say_depth(in_threads(&paths[i], measure, STACK_BYTES), paths[i].name);
    }
    measure_ends();
    say_depth(shared->thread_end, "end of a thread");
    say_depth(shared->before_fork, "fork, before");
    say_depth(shared->fork_parent, "fork, in the parent");
    say_depth(shared->fork_child, "fork, in the child");
    (void)unlink(work.profile);
    return 0;
}

/* PTHREAD_STACK_MIN, or what glibc's is on x86: others have very little. */
static size_t smallest_stack(void)
{
    const size_t usual = 16 * KIB;
    size_t least = (size_t)PTHREAD_STACK_MIN;
    return least > usual ? least : usual;
}

static int run_in_smallest(void)
{
    set_up();
    for (unsigned i = 0; i < PATHS; i++) {
        /* Where it ends, if it ends. */
        dprintf(STDERR_FILENO, "in %s\n", paths[i].name);
        (void)in_threads(&paths[i], run_only, smallest_stack());
    }
    pthread_join(start(fork_once, NULL, smallest_stack()), NULL);
    (void)unlink(work.profile);
    return 0;
}

/* ---- cases ---- */

#define PROF "prof:true,lg_prof_sample:10,prof_prefix:"

static const struct {
    const char *name;
    const char *options;
    size_t limit; /* or the path's own, if that is more */
} settings[] = {
    {"default", "", LIMIT_BLOCKS},
    {"no decay", "dirty_decay_ms:0,muzzy_decay_ms:0", LIMIT_BLOCKS},
    {"no cache", "tcache:false", LIMIT_BLOCKS},
    {"hardened", "hardened:1", LIMIT_HARDENED},
    {"...:2", "hardened:2", LIMIT_HARDENED},
    /* A walk up the stack, by unwind tables. */
    {"profiled", PROF, LIMIT_CONTROLS},
};
#define SETTINGS (sizeof(settings) / sizeof(settings[0]))

typedef struct {
    const char *options;
    const char *what;
} process_t;

static void in_process(void *opaque)
{
    const process_t *process = opaque;
    char *arguments[] = {(char *)(uintptr_t)process->what, NULL};
    setenv("MALLOC_CONF", process->options, 1);
    test_exec_self(arguments);
}

/* The paths, the end of a thread, and fork's three. */
#define ROWS (PATHS + 4)

static struct {
    char name[40];
    size_t limit;
    size_t depths[SETTINGS];
} table[ROWS];

/* Lines "depth name". */
static void read_depths(unsigned setting, char *text)
{
    unsigned row = 0;
    for (char *line = strtok(text, "\n"); line != NULL && row < ROWS;
         line = strtok(NULL, "\n")) {
        char *name;
        table[row].depths[setting] = strtoul(line, &name, 10);
        if (name != line) {
            (void)snprintf(
                table[row].name, sizeof(table[row].name), "%s", name + 1);
            table[row].limit = row < PATHS    ? paths[row].limit
                               : row == PATHS ? LIMIT_FLUSHES
                                              : LIMIT_BLOCKS;
            row++;
        }
    }
    EXPECT_EQ_U64(row, ROWS);
}

static void print_table(void)
{
    char line[256];
    int at = snprintf(line, sizeof(line), "%-26s", "bytes of stack");
    for (unsigned s = 0; s < SETTINGS; s++) {
        at += snprintf(
            line + at, sizeof(line) - (size_t)at, "%9s", settings[s].name);
    }
    test_note("%s", line);
    for (unsigned row = 0; row < ROWS; row++) {
        at = snprintf(line, sizeof(line), "%-26s", table[row].name);
        for (unsigned s = 0; s < SETTINGS; s++) {
            at += snprintf(line + at, sizeof(line) - (size_t)at, "%9zu",
                table[row].depths[s]);
        }
        test_note("%s", line);
    }
}

static bool is_released(void)
{
    bool debug = true;
    size_t length = sizeof(debug);
    (void)mallctl("config.debug", &debug, &length, NULL, 0);
#if defined(__OPTIMIZE__) && defined(__x86_64__)
    return !debug;
#else
    return false;
#endif
}

static void expect_limits(void)
{
    for (unsigned row = 0; row < ROWS; row++) {
        for (unsigned s = 0; s < SETTINGS; s++) {
            size_t limit = table[row].limit > settings[s].limit
                               ? table[row].limit
                               : settings[s].limit;
            if (table[row].depths[s] > limit) {
                test_note("%s, %s: %zu bytes, more than %zu", table[row].name,
                    settings[s].name, table[row].depths[s], limit);
            }
            EXPECT_LE_U64(table[row].depths[s], limit);
        }
    }
}

static test_child_t child;

TEST(little_stack_on_any_path)
{
    if (HAS_SANITIZER || test_is_emulated()) {
        test_skip("a sanitizer, or an emulator, has frames of its own");
    }
    for (unsigned s = 0; s < SETTINGS; s++) {
        process_t process = {settings[s].options, "depths"};
        child = test_in_child(in_process, &process);
        EXPECT_EQ_I64(child.status, 0);
        read_depths(s, child.err);
    }
    print_table();
    if (is_released()) {
        expect_limits();
    } else {
        test_note("limits hold for optimised programs of x86-64");
    }
}

TEST(all_of_it_on_the_smallest_stack)
{
    if (HAS_SANITIZER) {
        test_skip("a sanitizer needs stack of its own");
    }
    for (unsigned s = 0; s < SETTINGS; s++) {
        process_t process = {settings[s].options, "smallest"};
        child = test_in_child(in_process, &process);
        if (child.status != 0) {
            test_note("%s: status %#x, %s", settings[s].name,
                (unsigned)child.status, child.err);
        }
        EXPECT_EQ_I64(child.status, 0);
    }
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "depths") == 0) {
        return print_depths();
    }
    if (argc > 1 && strcmp(argv[1], "smallest") == 0) {
        return run_in_smallest();
    }
    if (argc > 1) {
        dprintf(STDERR_FILENO, "stacks: '%s' is none of depths, smallest\n",
            argv[1]);
        return 2;
    }
    return test_run(TEST_CASE(little_stack_on_any_path),
        TEST_CASE(all_of_it_on_the_smallest_stack), NULL);
}
