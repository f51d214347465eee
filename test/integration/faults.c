/*
 * What: a workload during which each system call of the library fails in
 * turn: the n-th alone, the n-th and all after it, and some by chance in
 * eight threads. Each request must succeed or give a clean NULL, blocks must
 * keep their contents, no page may be lost, and once calls succeed again
 * everything must work as before. The same from the very first call of a
 * program on. Compiled a second time as test/stress/faults [SECONDS]: eight
 * threads for as long, with one call in twenty failing.
 *
 * Invariants: (I1) each n is tried in a process of its own, forked before
 * the library has mapped more than a program's first needs; (I2) the kernel's
 * list of mappings, the calls that were made, and the library's own counters
 * agree at the end.
 *
 * Locking: threads hand blocks over in slots that are exchanged.
 */
#include "harness.h"
#define JEMALLOC_NO_DEMANGLE
#include "jemalloc/jemalloc.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "arena/arena_table.h"
#include "books.h"
#include "conf/conf.h"
#include "refuse.h"

#ifndef FAULTS_ARE_STRESS
#    define FAULTS_ARE_STRESS 0
#endif

#define KIB      ((size_t)1 << 10)
#define MIB      ((size_t)1 << 20)
#define BLOCKS   400
#define THREADS  8
#define EXCHANGE 64

const char *je_malloc_conf;

/* Options of a process come from the environment, before the library asks. */
__attribute__((constructor(101))) static void choose_options(void)
{
    const char *options = getenv("FAULTS_OPTIONS");
    /* Without the break as the second source more requests fail. */
    je_malloc_conf = options == NULL ? "dss:disabled" : options;
}

typedef struct {
    unsigned char *p;
    size_t size;
} block_t;

static struct {
    block_t blocks[BLOCKS];
    unsigned count;
    unsigned failed; /* requests that got NULL */
} work;

/* What a child tells: shared with it. */
static struct {
    _Atomic uint64_t calls;
    _Atomic uint64_t failed;
} * told;

/* ---- blocks whose contents are known ---- */

static unsigned char mark_of(const block_t *b, size_t at)
{
    return (unsigned char)(((uintptr_t)b->p >> 4) * 7 + at * 13 + b->size);
}

static void mark(const block_t *b)
{
    b->p[0] = mark_of(b, 0);
    b->p[b->size / 2] = mark_of(b, b->size / 2);
    b->p[b->size - 1] = mark_of(b, b->size - 1);
}

static void expect_marked(const block_t *b)
{
    EXPECT_EQ_U64(b->p[b->size - 1], mark_of(b, b->size - 1));
    if (b->size > 2) {
        EXPECT_EQ_U64(b->p[b->size / 2], mark_of(b, b->size / 2));
    }
    EXPECT(b->size == 1 || b->p[0] == mark_of(b, 0));
}

/* Takes note of an answer: a block of that size, or a clean NULL. */
static bool note(void *p, size_t size)
{
    if (p == NULL) {
        work.failed++;
        EXPECT_EQ_I64(errno, ENOMEM);
        errno = 0;
        return false;
    }
    REQUIRE(work.count < BLOCKS);
    block_t *b = &work.blocks[work.count++];
    *b = (block_t){p, size};
    mark(b);
    return true;
}

static void note_zeroed(void *p, size_t size)
{
    const unsigned char *byte = p;
    if (p != NULL) {
        EXPECT(byte[0] == 0 && byte[size / 2] == 0 && byte[size - 1] == 0);
    }
    (void)note(p, size);
}

static void let_go(unsigned i)
{
    expect_marked(&work.blocks[i]);
    je_free(work.blocks[i].p);
    work.blocks[i] = work.blocks[--work.count];
}

/* ---- the workload ---- */

static void small_and_large(void)
{
    for (size_t size = 8; size <= 200 * KIB; size += size / 4 + 3) {
        for (unsigned i = 0; i < 3; i++) {
            (void)note(je_malloc(size), size);
        }
    }
    (void)note(je_malloc(3 * MIB), 3 * MIB);
    (void)note(je_malloc(9 * MIB), 9 * MIB);
    (void)note(je_malloc(40 * MIB), 40 * MIB);
    note_zeroed(je_calloc(3, 100), 300);
    note_zeroed(je_calloc(1, 5 * MIB), 5 * MIB);
}

static void aligned(void)
{
    static const size_t kinds[][2] = {{64, 100}, {8192, 100}, {MIB, 64 * KIB},
        {2 * MIB, 4096}, {16 * MIB, 1}};
    for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        void *p = je_aligned_alloc(kinds[i][0], kinds[i][1]);
        EXPECT_EQ_U64((uintptr_t)p & (kinds[i][0] - 1), 0);
        (void)note(p, kinds[i][1]);
    }
}

/* Growing keeps what was there, also if it fails. */
static void growing(void)
{
    size_t size = 40 * KIB;
    if (!note(je_malloc(size), size)) {
        return;
    }
    block_t *b = &work.blocks[work.count - 1];
    for (unsigned i = 0; i < 9; i++) {
        size_t wanted = i == 6 ? 50 * KIB : size * 2;
        unsigned char first = b->p[0];
        unsigned char *p = je_realloc(b->p, wanted);
        if (p == NULL) {
            work.failed++;
            EXPECT_EQ_I64(errno, ENOMEM);
            errno = 0;
            expect_marked(b);
            continue;
        }
        EXPECT_EQ_U64(p[0], first);
        size = wanted;
        *b = (block_t){p, size};
        mark(b);
    }
}

static void an_arena_of_its_own(void)
{
    unsigned arena;
    size_t length = sizeof(arena);
    if (je_mallctl("arenas.create", &arena, &length, NULL, 0) != 0) {
        work.failed++;
        return;
    }
    for (unsigned i = 0; i < 20; i++) {
        size_t size = 100 << (i / 2);
        unsigned char *p = je_mallocx(
            size, (int)(MALLOCX_ARENA((int)arena) | MALLOCX_TCACHE_NONE));
        if (p == NULL) {
            work.failed++;
        } else {
            p[0] = p[size - 1] = 1;
        }
    }
    char name[40];
    (void)snprintf(name, sizeof(name), "arena.%u.reset", arena);
    EXPECT_EQ_I64(je_mallctl(name, NULL, NULL, NULL, 0), 0);
    void *p = je_mallocx(
        5 * MIB, (int)(MALLOCX_ARENA((int)arena) | MALLOCX_TCACHE_NONE));
    work.failed += p == NULL;
    (void)snprintf(name, sizeof(name), "arena.%u.destroy", arena);
    EXPECT_EQ_I64(je_mallctl(name, NULL, NULL, NULL, 0), 0);
}

static void a_cache_of_its_own(void)
{
    unsigned cache;
    size_t length = sizeof(cache);
    if (je_mallctl("tcache.create", &cache, &length, NULL, 0) != 0) {
        work.failed++;
        return;
    }
    for (unsigned i = 0; i < 30; i++) {
        void *p = je_mallocx(300, MALLOCX_TCACHE(cache));
        if (p == NULL) {
            work.failed++;
        } else {
            je_dallocx(p, MALLOCX_TCACHE(cache));
        }
    }
    EXPECT_EQ_I64(
        je_mallctl("tcache.destroy", NULL, NULL, &cache, sizeof(cache)), 0);
}

static void *another_thread(void *argument)
{
    (void)argument;
    void *p[40];
    for (unsigned i = 0; i < 40; i++) {
        p[i] = je_malloc(i * i * 60 + 1);
        if (p[i] != NULL) {
            memset(p[i], (int)i, i * i * 60 + 1);
        }
    }
    for (unsigned i = 0; i < 40; i++) {
        je_free(p[i]);
    }
    return NULL;
}

static void run_thread(void)
{
    pthread_t thread;
    REQUIRE(refuse_not_thread(&thread, another_thread, NULL) == 0);
    pthread_join(thread, NULL);
}

static void purge(void)
{
    (void)je_mallctl("thread.tcache.flush", NULL, NULL, NULL, 0);
    EXPECT_EQ_I64(je_mallctl("arena.4096.purge", NULL, NULL, NULL, 0), 0);
}

static void run_workload(void)
{
    errno = 0;
    small_and_large();
    aligned();
    for (unsigned i = 0; i < work.count; i++) {
        let_go(i);
    }
    purge();
    growing();
    small_and_large();
    an_arena_of_its_own();
    a_cache_of_its_own();
    run_thread();
    for (unsigned i = 0; i < work.count; i += 2) {
        let_go(i);
    }
    purge();
    aligned();
}

static void let_all_go(void)
{
    while (work.count != 0) {
        let_go(work.count - 1);
    }
    purge();
}

/* ---- what must hold afterwards ---- */

static void check_books(size_t unknown_before)
{
    arena_table_check();
    size_t known = books_known_bytes() + unknown_before;
    size_t mapped = refuse_mapped_bytes();
    EXPECT_LE_U64(known, mapped);
    EXPECT_LE_U64(mapped, known + books_slack_bytes());
}

/* Controls keep a copy of all counters, which is then mapped. */
static void snapshot_controls(void)
{
    uint64_t epoch = 1;
    EXPECT_EQ_I64(je_mallctl("epoch", NULL, NULL, &epoch, sizeof(epoch)), 0);
}

/* ---- one process for each n ---- */

typedef struct {
    refuse_how_t how;
    uint64_t n;
} plan_t;

static void run_plan(void *argument)
{
    const plan_t *plan = argument;
    run_thread(); /* libc keeps the stack, and its books stay as they are */
    snapshot_controls();
    size_t unknown = refuse_mapped_bytes() - books_known_bytes();
    size_t others = books_kernel_bytes() - refuse_mapped_bytes();
    refuse_begin(plan->how, plan->n);
    run_workload();
    atomic_store(&told->calls, refuse_end());
    atomic_store(&told->failed, work.failed);
    check_books(unknown);
    work.failed = 0;
    run_workload();
    EXPECT_EQ_U64(work.failed, 0);
    let_all_go();
    check_books(unknown);
    if (getenv("JE_SANITIZER") == NULL || *getenv("JE_SANITIZER") == '\0') {
        EXPECT_EQ_U64(books_kernel_bytes() - refuse_mapped_bytes(), others);
    }
}

/* Coarser where each process costs a second. */
static uint64_t stride(void)
{
    const char *sanitizer = getenv("JE_SANITIZER");
    return sanitizer != NULL && *sanitizer != '\0' ? 23 : 1;
}

static void sweep(refuse_how_t how)
{
    static test_child_t child;
    uint64_t tried = 0;
    uint64_t failed = 0;
    for (uint64_t n = 1;; n += stride()) {
        plan_t plan = {how, n};
        child = test_in_child(run_plan, &plan);
        tried++;
        if (child.status != 0 || child.err[0] != '\0') {
            test_note("n = %llu", (unsigned long long)n);
            EXPECT_EQ_I64(child.status, 0);
            EXPECT_EQ_STR(child.err, "");
            break;
        }
        failed += atomic_load(&told->failed);
        if (atomic_load(&told->calls) < n) {
            break;
        }
    }
    /* A single call can mostly be done without; all of them cannot. */
    EXPECT(failed != 0 || how != REFUSE_FROM);
    test_note("%llu runs, %llu requests failed", (unsigned long long)tried,
        (unsigned long long)failed);
}

TEST(the_nth_call_fails)
{
    sweep(REFUSE_ONE);
}

TEST(all_calls_fail_from_the_nth_on)
{
    sweep(REFUSE_FROM);
}

/* Runs this program again with settings that the shell understands. */
static int run_again(const char *settings, char *output, size_t bytes)
{
    char path[512];
    char command[1024];
    ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - 1);
    REQUIRE(length > 0);
    path[length] = '\0';
    (void)snprintf(command, sizeof(command), "%s '%s' 2>&1", settings, path);
    FILE *out = popen(command, "r");
    REQUIRE(out != NULL);
    size_t got = fread(output, 1, bytes - 1, out);
    output[got] = '\0';
    int status = pclose(out);
    for (char *at = output; (at = strchr(at, '\n')) != NULL;) {
        *at = '|'; /* the results of another program, on one line */
    }
    return status;
}

TEST(the_break_as_the_second_source)
{
    static char output[4096];
    EXPECT_EQ_I64(
        run_again(
            "FAULTS_OPTIONS=dss:secondary JE_TEST_ONLY=the_nth_call_fails",
            output, sizeof(output)),
        0);
    test_note("%s", output);
}

/* ---- from the start of the program ---- */

/* The life of a small program, refused things from its first call on. */
TEST(life)
{
    for (unsigned i = 0; i < 30; i++) {
        size_t size = (size_t)100 << (i / 2);
        (void)note(je_malloc(size), size);
    }
    run_thread();
    uint64_t calls = refuse_end();
    test_note("calls %llu", (unsigned long long)calls);
    work.failed = 0;
    run_thread();
    run_workload();
    EXPECT_EQ_U64(work.failed, 0);
    let_all_go();
    arena_table_check();
}

/* Runs this program again as a life; -1 if that did not end well. */
static long run_life(const char *how, unsigned n, const char *options)
{
    char settings[512];
    static char output[4096];
    (void)snprintf(settings, sizeof(settings),
        "FAULTS_LIFE=1 FAULTS_OPTIONS='abort:false%s' REFUSE=%s:%u", options,
        how, n);
    int status = run_again(settings, output, sizeof(output));
    const char *calls = strstr(output, "# calls ");
    if (status != 0 || calls == NULL) {
        test_note("%s:%u '%s': status %d: %s", how, n, options, status, output);
        return -1;
    }
    return strtol(calls + 8, NULL, 10);
}

static void sweep_life(const char *how, const char *options)
{
    unsigned n = 1;
    long calls;
    do {
        calls = run_life(how, n, options);
        EXPECT_GE_I64(calls, 0);
        n += (unsigned)(stride() == 1 ? 1 : 5);
    } while (calls >= (long)n);
    test_note("%s: up to call %u", how, n - 1);
}

TEST(lives_without_one_call)
{
    sweep_life("one", "");
}

TEST(lives_without_calls_from_the_nth_on)
{
    sweep_life("from", "");
}

TEST(lives_with_other_options)
{
    static const char *const options[] = {",retain:false", ",dss:disabled",
        ",san_guard_large:2,san_guard_small:3", ",muzzy_decay_ms:1000",
        ",abort_conf:false,dirty_decay_ms:0,thp:always,metadata_thp:always",
        ",percpu_arena:percpu,background_thread:true", ",guard_sample:2"};
    for (unsigned i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
        if (strstr(options[i], "metadata_thp") != NULL && !conf_has_thp()) {
            continue;
        }
        for (unsigned n = 1; n < 40; n += 9) {
            EXPECT_GE_I64(run_life("one", n + i, options[i]), 0);
            EXPECT_GE_I64(run_life("from", n + i, options[i]), 0);
        }
        EXPECT_GE_I64(run_life("some", 5, options[i]), 0);
    }
    /* Slots that were half made, and what becomes of them. */
    for (unsigned n = 2; n < 8; n++) {
        EXPECT_GE_I64(run_life("some", n, ",guard_sample:1"), 0);
    }
}

/* ---- by chance, in threads ---- */

static struct {
    _Atomic(unsigned char *) slots[EXCHANGE];
    atomic_bool stop;
} exchange;

static uint64_t next_random(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 33;
}

static size_t random_size(uint64_t *random)
{
    uint64_t dice = next_random(random) % 100;
    size_t limit = dice < 70 ? 1 * KIB : dice < 97 ? 100 * KIB : 9 * MIB;
    return sizeof(size_t) + 1 + next_random(random) % limit;
}

/* The size stands in front, and its low byte at the end. */
static unsigned char *make(uint64_t *random)
{
    size_t size = random_size(random);
    unsigned char *p = je_malloc(size);
    if (p == NULL) {
        atomic_fetch_add(&told->failed, 1);
        return NULL;
    }
    memcpy(p, &size, sizeof(size));
    p[size - 1] = (unsigned char)size;
    return p;
}

static void unmake(unsigned char *p)
{
    size_t size;
    if (p != NULL) {
        memcpy(&size, p, sizeof(size));
        EXPECT_EQ_U64(p[size - 1], (unsigned char)size);
        je_free(p);
    }
}

static unsigned char *remake(unsigned char *p, uint64_t *random)
{
    size_t size = random_size(random);
    unsigned char *to = p == NULL ? NULL : je_realloc(p, size);
    if (to == NULL) {
        return p;
    }
    memcpy(to, &size, sizeof(size));
    to[size - 1] = (unsigned char)size;
    return to;
}

static void *hammer(void *argument)
{
    uint64_t random = (uintptr_t)argument;
    unsigned char *own[16] = {NULL};
    for (unsigned i = 0; !atomic_load(&exchange.stop); i++) {
        unsigned char **slot = &own[next_random(&random) % 16];
        switch (next_random(&random) % 8) {
        case 0:
            *slot = atomic_exchange(
                &exchange.slots[next_random(&random) % EXCHANGE], *slot);
            break;
        case 1:
            *slot = remake(*slot, &random);
            break;
        case 2:
            if (next_random(&random) % 64 == 0) {
                purge();
            }
            break;
        default:
            unmake(*slot);
            *slot = make(&random);
        }
    }
    for (unsigned i = 0; i < 16; i++) {
        unmake(own[i]);
    }
    return NULL;
}

static void run_threads(void *argument)
{
    double seconds = *(const double *)argument;
    pthread_t threads[THREADS];
    run_thread();
    snapshot_controls();
    size_t unknown = refuse_mapped_bytes() - books_known_bytes();
    refuse_begin(REFUSE_SOME, 20);
    for (uintptr_t i = 0; i < THREADS; i++) {
        /* NOLINTNEXTLINE(performance-no-int-to-ptr) */
        REQUIRE(refuse_not_thread(&threads[i], hammer, (void *)(i + 1)) == 0);
    }
    struct timespec pause = {
        (time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};
    (void)nanosleep(&pause, NULL);
    atomic_store(&exchange.stop, true);
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    atomic_store(&told->calls, refuse_end());
    for (unsigned i = 0; i < EXCHANGE; i++) {
        unmake(atomic_exchange(&exchange.slots[i], NULL));
    }
    purge();
    check_books(unknown);
    run_workload();
    EXPECT_EQ_U64(work.failed, 0);
    let_all_go();
    check_books(unknown);
}

static void run_threads_for(double seconds)
{
    static test_child_t child;
    child = test_in_child(run_threads, &seconds);
    EXPECT_EQ_I64(child.status, 0);
    EXPECT_EQ_STR(child.err, "");
    test_note("%llu calls, %llu requests failed",
        (unsigned long long)atomic_load(&told->calls),
        (unsigned long long)atomic_load(&told->failed));
}

TEST(by_chance_in_threads)
{
    run_threads_for(0.5);
}

static double stress_seconds;

TEST(stress)
{
    for (double left = stress_seconds; left > 0; left -= 5) {
        run_threads_for(left < 5 ? left : 5);
    }
}

int main(int argc, char **argv)
{
    told = mmap(NULL, sizeof(*told), PROT_READ | PROT_WRITE,
        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (getenv("FAULTS_LIFE") != NULL) {
        return test_run(TEST_CASE(life), NULL);
    }
    if (FAULTS_ARE_STRESS) {
        const char *seconds = argc > 1 ? argv[1] : getenv("T");
        stress_seconds = seconds == NULL ? 5 : strtod(seconds, NULL);
        return test_run(TEST_CASE(stress), NULL);
    }
    return test_run(TEST_CASE(the_nth_call_fails),
        TEST_CASE(all_calls_fail_from_the_nth_on),
        TEST_CASE(the_break_as_the_second_source),
        TEST_CASE(lives_without_one_call),
        TEST_CASE(lives_without_calls_from_the_nth_on),
        TEST_CASE(lives_with_other_options), TEST_CASE(by_chance_in_threads),
        NULL);
}
