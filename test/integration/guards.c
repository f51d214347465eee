/*
 * What: guard_sample as programs see it: each kind of misuse of a guarded
 * block ends with a report that names it, the block, and both ends of its
 * life; valid programs notice nothing but exact sizes; one of N blocks is
 * guarded; the program's handlers, forks, threads, small stacks and other
 * options beside it.
 *
 * Invariants: each case is this program anew with MALLOC_CONF set, its name
 * the argument.
 *
 * Locking: none.
 */
#define _GNU_SOURCE
#include "harness.h"
#include <jemalloc/jemalloc.h>

#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE_OF(p) ((uintptr_t)(p) / (size_t)sysconf(_SC_PAGESIZE))
#define SIZE       48

static volatile unsigned char *volatile sink;

static int say(const char *text)
{
    return write(2, text, strlen(text)) < 0;
}

/* In the process of a case. */
#define CHECK(condition) check((condition), #condition, __LINE__)

static void check(bool held, const char *what, int line)
{
    char text[200];
    if (!held) {
        snprintf(text, sizeof(text), "line %d: not %s\n", line, what);
        say(text);
        _exit(TEST_CHILD_FAILED);
    }
}

/* Exact is what guarded blocks alone are. */
static bool is_guarded(void *p, size_t size)
{
    return malloc_usable_size(p) == size;
}

/* A block that ends, or begins, where its page does. */
static unsigned char *block_at(bool end)
{
    for (;;) {
        unsigned char *volatile p = malloc(SIZE);
        bool fits = end ? PAGE_OF(p + SIZE) != PAGE_OF(p + SIZE - 1)
                        : PAGE_OF(p - 1) != PAGE_OF(p);
        if (fits) {
            memset(p, 1, SIZE);
            return p;
        }
    }
}

/* ---- misuse ---- */

static int write_behind(void)
{
    sink = block_at(true);
    sink[SIZE] = 1;
    return say("survived\n");
}

static int read_behind(void)
{
    sink = block_at(true);
    return sink[SIZE + 3] == 1 ? 0 : say("survived\n");
}

static int write_before(void)
{
    sink = block_at(false);
    sink[-2] = 1;
    return say("survived\n");
}

static int write_freed(void)
{
    sink = block_at(false);
    free((void *)sink);
    sink[5] = 1;
    return say("survived\n");
}

static int read_freed(void)
{
    sink = block_at(true);
    free((void *)sink);
    return sink[0] == 1 ? 0 : say("survived\n");
}

static int free_twice(void)
{
    sink = block_at(true);
    free((void *)sink);
    free((void *)sink);
    return say("survived\n");
}

static int free_inside(void)
{
    sink = block_at(true);
    free((void *)(sink + 16));
    return say("survived\n");
}

static int free_with_wrong_size(void)
{
    sink = block_at(true);
    sdallocx((void *)sink, 4 * SIZE, 0);
    return say("survived\n");
}

static int realloc_freed(void)
{
    sink = block_at(true);
    free((void *)sink);
    sink = realloc((void *)sink, 100);
    return say("survived\n");
}

static int ask_freed(void)
{
    sink = block_at(true);
    free((void *)sink);
    return malloc_usable_size((void *)sink) == 1 ? 0 : say("survived\n");
}

/* What no page can show at once, free finds. */
static int write_far_behind(void)
{
    sink = block_at(false);
    sink[SIZE + 9] = 1;
    free((void *)sink);
    return say("survived\n");
}

static int write_far_before(void)
{
    sink = block_at(true);
    sink[-9] = 1;
    free((void *)sink);
    return say("survived\n");
}

/* ---- handlers, forks, threads ---- */

static struct sigaction ours;
static char handler_stack[8192];

static void on_fault(int number, siginfo_t *info, void *context)
{
    say("the program's handler\n");
    ours.sa_sigaction(number, info, context);
}

/* It comes first; what it makes of the one before is its own affair. */
static int own_handler(void)
{
    struct sigaction action = {.sa_flags = SA_SIGINFO};
    action.sa_sigaction = on_fault;
    sigaction(SIGSEGV, &action, &ours);
    return write_behind();
}

static int own_default(void)
{
    signal(SIGSEGV, SIG_DFL);
    return write_behind();
}

static int foreign_fault(void)
{
    sink = mmap(NULL, 65536, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    sink[5] = 1;
    return say("survived\n");
}

static int on_small_stack(void)
{
    stack_t stack = {.ss_sp = handler_stack, .ss_size = sizeof(handler_stack)};
    sigaltstack(&stack, NULL);
    return write_freed();
}

static int in_a_child(void)
{
    unsigned char *mine = block_at(true);
    pid_t child = fork();
    if (child == 0) {
        for (int i = 0; i < 1000; i++) {
            free(malloc((size_t)i));
        }
        free(mine);
        sink = mine;
        sink[0] = 2;
    }
    int status;
    waitpid(child, &status, 0);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
    CHECK(mine[0] == 1);
    free(mine);
    return say("the parent lives\n");
}

static void *named(void *name)
{
    pthread_setname_np(pthread_self(), name);
    if (strcmp(name, "giver") == 0) {
        sink = block_at(true);
    } else if (strcmp(name, "taker") == 0) {
        free((void *)sink);
    } else {
        sink[7] = 1;
    }
    return NULL;
}

static int three_threads(void)
{
    static char names[][8] = {"giver", "taker", "user"};
    for (int i = 0; i < 3; i++) {
        pthread_t thread;
        pthread_create(&thread, NULL, named, names[i]);
        pthread_join(thread, NULL);
    }
    return say("survived\n");
}

/* ---- valid programs ---- */

static int sizes(void)
{
    for (size_t size = 0; size <= 33000; size += size < 300 ? 1 : 251) {
        unsigned char *p = malloc(size);
        unsigned char *zero = calloc(1, size);
        CHECK(p != NULL && zero != NULL);
        CHECK(size > 32768 || is_guarded(p, size));
        CHECK(sallocx(p, 0) == malloc_usable_size(p));
        CHECK(sallocx(zero, 0) >= size);
        CHECK(size > 32768 ? nallocx(size, 0) == sallocx(p, 0)
                           : nallocx(size, 0) == size);
        memset(p, 1, malloc_usable_size(p));
        for (size_t i = 0; i < size; i++) {
            CHECK(zero[i] == 0);
        }
        sdallocx(p, size, 0);
        free(zero);
    }
    return 0;
}

static int alignments(void)
{
    for (size_t alignment = 8; alignment <= 65536; alignment *= 2) {
        for (size_t size = 1; size <= 20000; size = size * 3 + 1) {
            void *p[4] = {NULL, aligned_alloc(alignment, size),
                memalign(alignment, size),
                mallocx(size, MALLOCX_ALIGN(alignment) | MALLOCX_ZERO)};
            CHECK(posix_memalign(&p[0], alignment, size) == 0);
            for (int i = 0; i < 4; i++) {
                CHECK(p[i] != NULL);
                CHECK((uintptr_t)p[i] % alignment == 0);
                CHECK(malloc_usable_size(p[i]) >= size);
                memset(p[i], i, malloc_usable_size(p[i]));
            }
            free(p[0]);
            sdallocx(p[1], size, MALLOCX_ALIGN(alignment));
            dallocx(p[2], MALLOCX_TCACHE_NONE);
            dallocx(p[3], 0);
        }
    }
    return 0;
}

static int reallocs(void)
{
    unsigned char *p = NULL;
    size_t old = 0;
    for (unsigned i = 0; i < 3000; i++) {
        size_t size = 1 + i * 7919 % (i % 10 == 0 ? 70000 : 700);
        p = i % 3 == 0 ? rallocx(p == NULL ? malloc(1) : p, size, 0)
                       : realloc(p, size);
        CHECK(p != NULL);
        for (size_t k = 0; k < old && k < size; k++) {
            CHECK(p[k] == (unsigned char)((i - 1) * 3 + k));
        }
        CHECK(xallocx(p, size, 10, 0) >= size);
        for (size_t k = 0; k < size; k++) {
            p[k] = (unsigned char)(i * 3 + k);
        }
        old = size;
    }
    CHECK(realloc(p, 0) == NULL);
    return 0;
}

/* More live blocks than there are slots; explicit arenas and caches. */
static int full_pool(void)
{
    static unsigned char *blocks[20000];
    unsigned guarded = 0;
    for (int i = 0; i < 20000; i++) {
        blocks[i] = malloc(33);
        memset(blocks[i], i, 33);
        guarded += is_guarded(blocks[i], 33);
    }
    CHECK(guarded > 50);
    CHECK(guarded < 10000);
    for (int i = 0; i < 20000; i++) {
        CHECK(blocks[i][32] == (unsigned char)i);
        free(blocks[i]);
    }
    unsigned arena;
    size_t length = sizeof(arena);
    mallctl("arenas.create", &arena, &length, NULL, 0);
    void *p = mallocx(33, MALLOCX_ARENA(arena) | MALLOCX_TCACHE_NONE);
    CHECK(!is_guarded(p, 33));
    mallctl("thread.arena", NULL, NULL, &arena, sizeof(arena));
    for (int i = 0; i < 100; i++) {
        CHECK(!is_guarded(malloc(33), 33));
    }
    unsigned zero = 0;
    mallctl("thread.arena", NULL, NULL, &zero, sizeof(zero));
    char name[64];
    snprintf(name, sizeof(name), "arena.%u.destroy", arena);
    CHECK(mallctl(name, NULL, NULL, NULL, 0) == 0);
    CHECK(is_guarded(malloc(33), 33));
    return 0;
}

/* Traffic counts guarded blocks as others. */
static int traffic(void)
{
    uint64_t before[2];
    uint64_t after[2];
    size_t length = sizeof(before[0]);
    void *p[100];
    mallctl("thread.allocated", &before[0], &length, NULL, 0);
    mallctl("thread.deallocated", &before[1], &length, NULL, 0);
    for (int i = 0; i < 100; i++) {
        p[i] = malloc(64);
    }
    for (int i = 0; i < 100; i++) {
        free(p[i]);
    }
    mallctl("thread.allocated", &after[0], &length, NULL, 0);
    mallctl("thread.deallocated", &after[1], &length, NULL, 0);
    CHECK(after[0] - before[0] == 6400);
    CHECK(after[1] - before[1] == 6400);
    return 0;
}

/* ---- many threads; how many blocks are guarded ---- */

#define THREADS 8

static struct {
    _Atomic(void *) slots[256];
    unsigned rounds;
    _Atomic unsigned guarded;
} work;

/* Blocks go round among the threads, marked at both ends. */
static void *churn(void *opaque)
{
    unsigned random = (unsigned)(uintptr_t)opaque * 2654435761U;
    for (unsigned i = 0; i < work.rounds; i++) {
        random = random * 1664525U + 1013904223U;
        size_t size = 2 + (random >> 8) % ((random >> 28) == 0 ? 30000 : 500);
        unsigned char *p =
            (random >> 5) % 4 == 0 ? calloc(1, size) : malloc(size);
        work.guarded += malloc_usable_size(p) == size;
        p[0] = p[malloc_usable_size(p) - 1] = (unsigned char)size;
        unsigned char *old =
            atomic_exchange(&work.slots[(random >> 16) % 256], p);
        if (old != NULL) {
            CHECK(old[0] == old[malloc_usable_size(old) - 1]);
            old = (random >> 7) % 8 == 0 ? realloc(old, size) : old;
            free(old);
        }
        if (random >> 22 == 0 && opaque == NULL && fork() == 0) {
            free(malloc(100));
            _exit(0);
        }
    }
    return NULL;
}

static void run_threads(unsigned rounds)
{
    pthread_t threads[THREADS];
    work.rounds = rounds;
    for (uintptr_t i = 0; i < THREADS; i++) {
        pthread_create(&threads[i], NULL, churn, (void *)i);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    while (wait(NULL) > 0) {
    }
}

static int many_threads(void)
{
    run_threads(2000);
    for (int i = 0; i < 50; i++) { /* threads that come and go */
        run_threads(1);
    }
    return 0;
}

/* One of a hundred, in each of three classes, five standard deviations. */
static int one_of_hundred(void)
{
    static const size_t asked[] = {33, 1000, 20000};
    for (int k = 0; k < 3; k++) {
        unsigned guarded = 0;
        for (int i = 0; i < 100000; i++) {
            void *volatile p = malloc(asked[k]);
            guarded += is_guarded(p, asked[k]);
            free(p);
        }
        CHECK(guarded > 1000 - 5 * 32);
        CHECK(guarded < 1000 + 5 * 32);
    }
    return 0;
}

/* After a report the page can be used. */
static int go_on(void)
{
    sink = block_at(true);
    sink[SIZE] = 3;
    CHECK(sink[SIZE] == 3);
    free((void *)sink);
    CHECK(sink[2] <= 1);
    free((void *)sink);
    return say("survived\n");
}

static int ordinary(void)
{
    CHECK(!is_guarded(malloc(33), 33) || malloc_usable_size(malloc(33)) == 33);
    for (int i = 0; i < 10000; i++) {
        unsigned char *p = malloc((size_t)i % 4000);
        memset(p, 1, malloc_usable_size(p));
        free(p);
    }
    return 0;
}

static const struct {
    const char *name;
    int (*run)(void);
} cases[] = {
    {"write_behind", write_behind},
    {"read_behind", read_behind},
    {"write_before", write_before},
    {"write_freed", write_freed},
    {"read_freed", read_freed},
    {"free_twice", free_twice},
    {"free_inside", free_inside},
    {"free_with_wrong_size", free_with_wrong_size},
    {"realloc_freed", realloc_freed},
    {"ask_freed", ask_freed},
    {"write_far_behind", write_far_behind},
    {"write_far_before", write_far_before},
    {"own_handler", own_handler},
    {"own_default", own_default},
    {"foreign_fault", foreign_fault},
    {"on_small_stack", on_small_stack},
    {"in_a_child", in_a_child},
    {"three_threads", three_threads},
    {"sizes", sizes},
    {"alignments", alignments},
    {"reallocs", reallocs},
    {"full_pool", full_pool},
    {"traffic", traffic},
    {"many_threads", many_threads},
    {"one_of_hundred", one_of_hundred},
    {"go_on", go_on},
    {"ordinary", ordinary},
};

/* ---- what is expected of them ---- */

static test_child_t r;

typedef struct {
    const char *name;
    const char *conf;
} start_t;

static void start(void *opaque)
{
    const start_t *s = opaque;
    char *arguments[] = {(char *)(uintptr_t)s->name, NULL};
    setenv("MALLOC_CONF", s->conf, 1);
    setenv("PATH", "/nonexistent", 1); /* names would take their time */
    test_exec_self(arguments);
}

static void run(const char *name, const char *conf)
{
    start_t s = {name, conf};
    r = test_in_child(start, &s);
}

/* Texts that come in that order in what the case said. */
static void expect_texts(const char *name, ...)
{
    const char *at = r.err;
    va_list ap;
    va_start(ap, name);
    for (const char *text; (text = va_arg(ap, const char *)) != NULL;) {
        const char *found = strstr(at, text);
        if (found == NULL) {
            test_note("%s: no \"%s\" in: %s", name, text, r.err);
            EXPECT(!"the text is there");
            break;
        }
        at = found + strlen(text);
    }
    va_end(ap);
}

static void expect_end(const char *name, const char *conf, int number)
{
    run(name, conf);
    EXPECT(WIFSIGNALED(r.status));
    EXPECT_EQ_I64(WTERMSIG(r.status), number);
    EXPECT(strstr(r.err, "survived") == NULL);
}

static void expect_fine(const char *name, const char *conf)
{
    run(name, conf);
    EXPECT_EQ_I64(r.status, 0);
    if (r.status != 0) {
        test_note("%s, %s: %s", name, conf, r.err);
    }
}

#define BORN "  allocated by thread "
#define DIED "  freed by thread "
#define AT   " (guards) at\n<jemalloc>:     0x"

TEST(accesses_are_reported)
{
    const char *conf = "guard_sample:1";
    expect_end("write_behind", conf, SIGSEGV);
    expect_texts("write_behind", "<jemalloc>: buffer overflow by 1 byte: write",
        " behind the block 0x", " of 48 bytes\n", "accessed by thread ", AT,
        BORN, AT, "/guards+0x", NULL);
    EXPECT(strstr(r.err, DIED) == NULL);
    expect_end("read_behind", conf, SIGSEGV);
    expect_texts("read_behind", "buffer overflow by 4 bytes: read", NULL);
    expect_end("write_before", conf, SIGSEGV);
    expect_texts("write_before", "buffer underflow by 2 bytes: write",
        " before the block 0x", " of 48 bytes\n", BORN, AT, NULL);
    expect_end("write_freed", conf, SIGSEGV);
    expect_texts("write_freed", "use after free: write to 0x",
        ", 5 bytes into the block 0x", " of 48 bytes, which is free\n", BORN,
        AT, DIED, AT, NULL);
    expect_end("read_freed", conf, SIGSEGV);
    expect_texts("read_freed", "use after free: read of 0x", DIED, AT, NULL);
}

TEST(calls_are_reported)
{
    const char *conf = "guard_sample:1";
    static const char *const texts[][2] = {{"free_twice", "free of 0x"},
        {"realloc_freed", "realloc of 0x"}, {"ask_freed", "size query of 0x"}};
    for (int i = 0; i < 3; i++) {
        expect_end(texts[i][0], conf, SIGABRT);
        expect_texts(texts[i][0], texts[i][1],
            ", a block of 48 bytes that is free already\n", "called by thread",
            AT, BORN, AT, DIED, AT, NULL);
    }
    expect_end("free_inside", conf, SIGABRT);
    expect_texts("free_inside", "free of 0x",
        ", which points into or near the block 0x",
        " of 48 bytes but not to its start\n", BORN, AT, NULL);
    expect_end("free_with_wrong_size", conf, SIGABRT);
    expect_texts("free_with_wrong_size", "size mismatch: free of 0x",
        " as a block of 192 bytes, which was allocated with 48\n", NULL);
    expect_end("write_far_behind", conf, SIGABRT);
    expect_texts("write_far_behind", "buffer overflow by 10 bytes: 0x",
        " behind the block 0x", " of 48 bytes was written to\n", BORN, NULL);
    expect_end("write_far_before", conf, SIGABRT);
    expect_texts("write_far_before", "buffer underflow by 9 bytes: 0x", NULL);
}

TEST(handlers)
{
    const char *conf = "guard_sample:1";
    expect_end("own_handler", conf, SIGSEGV);
    expect_texts(
        "own_handler", "the program's handler\n<jemalloc>: buffer", BORN, NULL);
    expect_end("own_default", conf, SIGSEGV);
    EXPECT_EQ_STR(r.err, "");
    expect_end("foreign_fault", conf, SIGSEGV);
    EXPECT_EQ_STR(r.err, "");
    expect_end("on_small_stack", conf, SIGSEGV);
    expect_texts("on_small_stack", "use after free", DIED, AT, NULL);
}

TEST(children_are_guarded)
{
    run("in_a_child", "guard_sample:1");
    EXPECT_EQ_I64(r.status, 0);
    expect_texts("in_a_child", "use after free: write to 0x", BORN, DIED,
        "the parent lives\n", NULL);
}

TEST(threads_are_named)
{
    expect_end("three_threads", "guard_sample:1", SIGSEGV);
    expect_texts("three_threads", "use after free", "accessed by thread ",
        " (user) at", BORN, " (giver) at", DIED, " (taker) at", NULL);
}

TEST(valid_programs_work)
{
    static const char *const names[] = {
        "sizes", "alignments", "reallocs", "full_pool", "traffic"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        expect_fine(names[i], "guard_sample:1");
        EXPECT_EQ_STR(r.err, "");
    }
}

TEST(threads_share_slots)
{
    expect_fine("many_threads", "guard_sample:1");
    expect_fine("many_threads", "guard_sample:10");
}

TEST(one_of_n_is_guarded)
{
    expect_fine("one_of_hundred", "guard_sample:100");
}

TEST(other_options)
{
    static const char *const beside[] = {"junk:true", "zero:true",
        "tcache:false", "prof:true,lg_prof_sample:10,prof_prefix:",
        "prof:true,prof_active:false,lg_prof_sample:0", "percpu_arena:percpu",
        "profile:debug,zero_realloc:free", "tcache_max:1024"};
    char conf[128];
    for (size_t i = 0; i < sizeof(beside) / sizeof(beside[0]); i++) {
        for (int n = 1; n <= 10; n += 9) {
            snprintf(conf, sizeof(conf), "guard_sample:%d,%s", n, beside[i]);
            expect_fine("many_threads", conf);
            expect_fine("reallocs", conf);
        }
    }
    expect_end("write_behind", "guard_sample:1,junk:true", SIGSEGV);
    expect_texts("write_behind", "buffer overflow", NULL);
}

TEST(hardened_wins)
{
    expect_fine("ordinary", "guard_sample:1,hardened:1");
    EXPECT_EQ_STR(r.err, "<jemalloc>: guard_sample has no effect beside "
                         "hardened and its parts, which look at all blocks\n");
}

TEST(reports_only)
{
    run("go_on", "guard_sample:1,report_only:true");
    EXPECT_EQ_I64(r.status, 0);
    expect_texts("go_on", "buffer overflow by 1 byte: write", BORN,
        "use after free: read", DIED, "that is free already\n", "survived\n",
        NULL);
}

int main(int argc, char **argv)
{
    for (size_t i = 0; argc > 1 && i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (strcmp(cases[i].name, argv[1]) == 0) {
            return cases[i].run();
        }
    }
    if (HAS_SANITIZER) {
        return test_run(NULL); /* it has a malloc and handlers of its own */
    }
    test_find_self();
    return test_run(TEST_CASE(accesses_are_reported),
        TEST_CASE(calls_are_reported), TEST_CASE(handlers),
        TEST_CASE(children_are_guarded), TEST_CASE(threads_are_named),
        TEST_CASE(valid_programs_work), TEST_CASE(threads_share_slots),
        TEST_CASE(one_of_n_is_guarded), TEST_CASE(other_options),
        TEST_CASE(hardened_wins), TEST_CASE(reports_only), NULL);
}
