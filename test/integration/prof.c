/*
 * What: what users of the profiler see: files, names, formats, reports, lists
 * and controls. Each case runs this program again under its own options.
 *
 * Invariants: (I1) works in a directory of its own, removed at the end.
 *
 * Locking: none.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"
#include "jemalloc/jemalloc.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* ---- what the program does when it is the child ---- */

__attribute__((noinline)) static void *make(size_t size)
{
    void *p = malloc(size);
    __asm__ volatile("" : "+r"(p) : : "memory");
    return p;
}

static int control(const char *name, const void *value, size_t size)
{
    return mallctl(name, NULL, NULL, (void *)(uintptr_t)value, size);
}

static void must(int got, int expected, const char *what)
{
    if (got != expected) {
        fprintf(stderr, "%s: %d, not %d\n", what, got, expected);
        _exit(9);
    }
}

static void dump_to(const char *path)
{
    must(control("prof.dump", &path, sizeof(path)), 0, path);
}

static void print(void *opaque, const char *text)
{
    (void)opaque;
    (void)!write(2, text, strlen(text));
}

/* Not known to the compiler, which would make a place of each round. */
static volatile unsigned ten = 10;
static volatile unsigned five = 5;

static void mode_fixed(void)
{
    const char *name = "main \"one";
    must(control("thread.prof.name", &name, sizeof(name)), 0, "name");
    for (unsigned i = 0; i < ten; i++) {
        (void)make(100);
    }
    for (unsigned i = 0; i < five; i++) {
        (void)make(5000);
    }
    dump_to("fixed.heap");
}

static void mode_many(void)
{
    for (unsigned i = 0; i < 5000; i++) {
        (void)make(1000);
    }
    dump_to("many.heap");
}

static void mode_leak(void)
{
    for (unsigned i = 0; i < five; i++) {
        (void)make(1000);
    }
}

static void mode_lists(void)
{
    struct {
        void (*write)(void *, const char *);
        void *opaque;
    } writer = {print, NULL};
    const char *path = "log.json";
    must(control("prof.log_start", &path, sizeof(path)), 0, "log_start");
    must(control("prof.log_start", &path, sizeof(path)), EFAULT, "again");
    free(make(200));
    (void)make(65536);
    must(control("prof.log_stop", NULL, 0), 0, "log_stop");
    must(control("prof.log_stop", NULL, 0), EFAULT, "not running");
    must(
        control("experimental.prof_recent.alloc_dump", &writer, sizeof(writer)),
        0, "alloc_dump");
}

static unsigned sampled, freed, dumped;

static void on_sample(
    const void *ptr, size_t size, void **frames, unsigned count, size_t usize)
{
    sampled += ptr != NULL && size == 333 && usize == 384 && count > 0 &&
               frames[0] != NULL;
    free(malloc(50)); /* not sampled */
}

static void on_free(const void *ptr, size_t usize)
{
    freed += ptr != NULL && usize == 384;
}

static void on_dump(const char *path)
{
    dumped += strcmp(path, "hook.heap") == 0;
}

static void backtrace_of_two(void **frames, unsigned *count, unsigned max)
{
    frames[0] = (void *)0x1234;
    frames[1] = (void *)0x5678;
    *count = max < 2 ? max : 2;
}

static void mode_hooks(void)
{
    void (*sample)(const void *, size_t, void **, unsigned, size_t) = on_sample;
    void (*release)(const void *, size_t) = on_free;
    void (*dump)(const char *) = on_dump;
    void (*trace)(void **, unsigned *, unsigned) = backtrace_of_two;
    void *none = NULL;
    must(control("experimental.hooks.prof_sample", &sample, sizeof(sample)), 0,
        "sample");
    must(control(
             "experimental.hooks.prof_sample_free", &release, sizeof(release)),
        0, "free");
    must(control("experimental.hooks.prof_dump", &dump, sizeof(dump)), 0,
        "dump");
    void *p = make(333);
    free(p);
    must(control("experimental.hooks.prof_backtrace", &trace, sizeof(trace)), 0,
        "trace");
    must(control("experimental.hooks.prof_backtrace", &none, sizeof(none)),
        EINVAL, "no trace");
    p = make(333);
    dump_to("hook.heap");
    free(p);
    must((int)sampled, 2, "samples");
    must((int)freed, 2, "frees");
    must((int)dumped, 1, "dumps");
}

static unsigned traces;
static unsigned deepest;

static void backtrace_of_one(void **frames, unsigned *count, unsigned max)
{
    traces++;
    deepest = max;
    frames[0] = (void *)0x1234;
    *count = 1;
}

/* A stack is asked for by a sample, and by its end only if that is listed. */
static void mode_deep(void)
{
    void (*trace)(void **, unsigned *, unsigned) = backtrace_of_one;
    must(control("experimental.hooks.prof_backtrace", &trace, sizeof(trace)), 0,
        "trace");
    void *p = make(333);
    must((int)traces, 1, "traces of a sample");
    free(p);
    must((int)traces, 1, "traces of a free");
    must((int)deepest, 8192, "frames, whatever opt.prof_bt_max says");
}

static unsigned seen;

static void on_any_sample(
    const void *ptr, size_t size, void **frames, unsigned count, size_t usize)
{
    seen += ptr != NULL && size <= usize && count > 0 && frames[0] != NULL;
}

/* Blocks that grow and shrink where they are: samples by the rate alone. */
static void resize_much(unsigned wanted)
{
    void (*sample)(const void *, size_t, void **, unsigned, size_t) =
        on_any_sample;
    must(control("experimental.hooks.prof_sample", &sample, sizeof(sample)), 0,
        "sample");
    void *p = make((size_t)4 << 20);
    for (unsigned i = 0; i < 4; i++) {
        size_t size = (size_t)(3 - i) << 20;
        size = size == 0 ? 1 << 16 : size;
        must(xallocx(p, size, 0, 0) == size, true, "shrinks in place");
    }
    must((int)seen, (int)wanted, "samples");
    free(p);
}

static void mode_never(void)
{
    resize_much(0);
}

static void mode_always(void)
{
    resize_much(5);
}

static char report[4 << 20];
static size_t reported;

static void collect(void *opaque, const char *chunk)
{
    size_t size = strlen(chunk);
    (void)opaque;
    must(reported + size < sizeof(report), true, "room for the report");
    memcpy(report + reported, chunk, size + 1);
    reported += size;
}

/* Samples are columns of the report with opt.prof_stats, and only then. */
static void report_columns(bool wanted)
{
    static const char *const letters[] = {"a", "Ja"};
    static const char *const names[] = {
        "prof_live_requested", "\"prof_live_requested\":"};
    (void)make(100);
    for (unsigned i = 0; i < 2; i++) {
        reported = 0;
        malloc_stats_print(collect, NULL, letters[i]);
        must(strstr(report, names[i]) != NULL, wanted, names[i]);
    }
}

static void mode_columns(void)
{
    report_columns(true);
}

static void mode_no_columns(void)
{
    report_columns(false);
}

static void mode_controls(void)
{
    bool on = true;
    bool was;
    size_t size = sizeof(was);
    size_t lg = 70;
    const char *text = "/nonexistent/file";
    must(control("prof.dump", &text, sizeof(text)), EFAULT, "no directory");
    text = "bad\nname";
    must(control("thread.prof.name", &text, sizeof(text)), EINVAL, "newline");
    must(mallctl("prof.active", &was, &size, &on, sizeof(on)), 0, "active");
    must(was, true, "was active");
    must(control("prof.reset", &lg, sizeof(lg)), 0, "reset");
    size = sizeof(lg);
    must(mallctl("prof.lg_sample", &lg, &size, NULL, 0), 0, "lg_sample");
    must((int)lg, 63, "clamped");
    text = "pre";
    must(control("prof.prefix", &text, sizeof(text)), 0, "prefix");
    must(control("prof.dump", NULL, 0), 0, "dump");
    must(control("prof.dump", NULL, 0), 0, "dump");
    text = "";
    must(control("prof.prefix", &text, sizeof(text)), 0, "empty prefix");
    must(control("prof.dump", NULL, 0), EFAULT, "nameless");
    must(control("prof.prefix", NULL, 0), EFAULT, "no prefix");
}

static uint64_t ops_of(const char *lock)
{
    char name[64];
    uint64_t epoch = 1;
    uint64_t ops;
    size_t size = sizeof(ops);
    snprintf(name, sizeof(name), "stats.mutexes.%s.num_ops", lock);
    must(control("epoch", &epoch, sizeof(epoch)), 0, "epoch");
    must(mallctl(name, &ops, &size, NULL, 0), 0, name);
    return ops;
}

/* More than reading the number itself takes. */
static void must_rise(const char *lock, void (*action)(void), uint64_t least)
{
    uint64_t before = ops_of(lock);
    uint64_t idle = ops_of(lock) - before;
    before = ops_of(lock);
    action();
    uint64_t after = ops_of(lock);
    if (after - before < idle + least || after - before > idle + 100 * least) {
        fprintf(stderr, "%s: %llu more, idle %llu\n", lock,
            (unsigned long long)(after - before), (unsigned long long)idle);
        _exit(9);
    }
}

static void sample_some(void)
{
    for (unsigned i = 0; i < ten; i++) {
        free(make(100));
    }
}

static void name_thread(void)
{
    const char *name = "somebody";
    must(control("thread.prof.name", &name, sizeof(name)), 0, "name");
}

static void dump_one(void)
{
    dump_to("locks.heap");
}

static void ignore(void *opaque, const char *chunk)
{
    (void)opaque;
    (void)chunk;
}

static void dump_recent(void)
{
    struct {
        void (*write)(void *, const char *);
        void *opaque;
    } writer = {ignore, NULL};
    must(
        control("experimental.prof_recent.alloc_dump", &writer, sizeof(writer)),
        0, "alloc_dump");
}

static void mode_locks(void)
{
    must_rise("prof", sample_some, 10);
    must_rise("prof_stats", sample_some, 20);
    must_rise("prof_recent_alloc", sample_some, 10);
    must_rise("prof_thds_data", name_thread, 1);
    must_rise("prof_dump", dump_one, 1);
    must_rise("prof_recent_dump", dump_recent, 1);
    must(control("stats.mutexes.reset", NULL, 0), 0, "reset");
    must(ops_of("prof_dump") < 10, true, "reset");
}

static const struct {
    const char *name;
    void (*run)(void);
} modes[] = {{"fixed", mode_fixed}, {"many", mode_many}, {"leak", mode_leak},
    {"lists", mode_lists}, {"hooks", mode_hooks}, {"controls", mode_controls},
    {"locks", mode_locks}, {"deep", mode_deep}, {"columns", mode_columns},
    {"no_columns", mode_no_columns}, {"never", mode_never},
    {"always", mode_always}};

/* ---- running it ---- */

typedef struct {
    const char *conf;
    const char *mode;
} run_t;

static char directory[] = "prof_XXXXXX";

static void execute(void *opaque)
{
    const run_t *r = opaque;
    setenv("MALLOC_CONF", r->conf, 1);
    char *arguments[] = {(char *)(uintptr_t)r->mode, NULL};
    test_exec_self(arguments);
}

static test_child_t run(const char *mode, const char *conf)
{
    run_t r = {conf, mode};
    return test_in_child(execute, &r);
}

static void expect_clean(const test_child_t *child)
{
    EXPECT_EQ_STR(child->err, "");
    EXPECT(WIFEXITED(child->status));
    EXPECT_EQ_U64(WEXITSTATUS(child->status), 0);
}

static char text[1 << 20];
static size_t text_size;

static void read_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    text_size = 0;
    if (f != NULL) {
        text_size = fread(text, 1, sizeof(text) - 1, f);
        fclose(f);
    }
    text[text_size] = '\0';
}

/* Files whose name ends so; one of them in `name`. */
static unsigned files_ending(const char *end, char *name, bool removes)
{
    unsigned n = 0;
    DIR *d = opendir(".");
    REQUIRE(d != NULL);
    for (struct dirent *e = readdir(d); e != NULL; e = readdir(d)) {
        size_t length = strlen(e->d_name);
        size_t end_length = strlen(end);
        if (e->d_name[0] != '.' && length >= end_length &&
            strcmp(e->d_name + length - end_length, end) == 0) {
            n++;
            snprintf(name, 256, "%s", e->d_name);
            if (removes) {
                unlink(e->d_name);
            }
        }
    }
    closedir(d);
    return n;
}

static void remove_all(void)
{
    char name[256];
    (void)files_ending("", name, true);
}

/* ---- cases ---- */

TEST(heap_v2)
{
    test_child_t child = run("fixed", "prof:true,lg_prof_sample:0");
    expect_clean(&child);
    read_file("fixed.heap");
    EXPECT_EQ_U64(strncmp(text, "heap_v2/1\n  t*: ", 16), 0);
    EXPECT(strstr(text, " [0: 0] main \"one\n@") != NULL);
    EXPECT(strstr(text, "\n  t*: 10: 1120 [0: 0]\n  t0: 10: 1120 [0: 0]\n") !=
           NULL);
    EXPECT(strstr(text, "\n  t*: 5: 25600 [0: 0]\n") != NULL);
    EXPECT(strstr(text, "\n\nMAPPED_LIBRARIES:\n") != NULL);
    EXPECT(strstr(text, "r-xp") != NULL);
    remove_all();
}

/* Raw numbers add up. */
TEST(raw_numbers)
{
    test_child_t child =
        run("many", "prof:true,lg_prof_sample:12,prof_unbias:false");
    expect_clean(&child);
    read_file("many.heap");
    unsigned long all[2];
    unsigned long sum[2] = {0, 0};
    REQUIRE(
        sscanf(text, "heap_v2/4096\n  t*: %lu: %lu [", &all[0], &all[1]) == 2);
    for (char *at = strstr(text, "\n@"); at != NULL; at = strstr(at, "\n@")) {
        unsigned long one[2];
        at = strchr(at + 1, '\n');
        REQUIRE(sscanf(at, "\n  t*: %lu: %lu [0: 0]", &one[0], &one[1]) == 2);
        sum[0] += one[0];
        sum[1] += one[1];
    }
    EXPECT_EQ_U64(sum[0], all[0]);
    EXPECT_EQ_U64(sum[1], all[1]);
    EXPECT_GT_U64(all[0], 500); /* of 5000 a fifth: 1109 */
    EXPECT_LT_U64(all[0], 1800);
    remove_all();
}

TEST(names_and_rotation)
{
    char name[256];
    char expected[256];
    test_child_t child = run("many",
        "prof:true,lg_prof_sample:12,lg_prof_interval:20,prof_prefix:x.y,"
        "prof_final:true");
    expect_clean(&child);
    EXPECT_GE_U64(files_ending(".i0.heap", name, false), 1);
    int pid = 0;
    REQUIRE(sscanf(name, "x.y.%d.0.i0.heap", &pid) == 1);
    snprintf(expected, sizeof(expected), "x.y.%d.1.i1.heap", pid);
    EXPECT(access(expected, R_OK) == 0);
    unsigned dumps = files_ending(".heap", name, false) - 1; /* many.heap */
    EXPECT_GE_U64(dumps, 4);
    snprintf(expected, sizeof(expected), "x.y.%d.%u.f.heap", pid, dumps - 1);
    EXPECT(access(expected, R_OK) == 0);
    remove_all();
    child = run(
        "many", "prof:true,lg_prof_sample:12,lg_prof_interval:20,prof_keep:2");
    expect_clean(&child);
    EXPECT_EQ_U64(files_ending(".heap", name, false), 3);
    EXPECT_EQ_U64(files_ending(".tmp", name, false), 0);
    remove_all();
    child = run("many", "prof:true,lg_prof_sample:12,prof_gdump:true");
    expect_clean(&child);
    EXPECT_GE_U64(files_ending(".heap", name, false), 20);
    EXPECT_EQ_U64(files_ending(".0.u0.heap", name, false), 1);
    EXPECT_EQ_U64(files_ending(".9.u9.heap", name, false), 1);
    remove_all();
    child = run("leak", "prof:true,prof_final:true,prof_pid_namespace:true");
    expect_clean(&child);
    EXPECT_EQ_U64(files_ending(".0.f.heap", name, false), 1);
    unsigned long space = 0;
    EXPECT(sscanf(name, "jeprof.%lu.%d.0.f.heap", &space, &pid) == 2);
    EXPECT_GT_U64(space, 1000000000);
    remove_all();
}

/* A static C library leaves blocks of its own, which are leaks, too. */
static bool is_alone(const char *err, const char *expected)
{
    bool is_static = getauxval(AT_BASE) == 0;
    return strstr(err, is_static ? "leak" : expected) != NULL;
}

TEST(leak_report)
{
    char name[256];
    test_child_t child =
        run("leak", "prof_leak:true,prof_final:true,lg_prof_sample:0");
    EXPECT(is_alone(child.err,
        "<jemalloc>: Leak approximation summary: ~5120 bytes, ~5 objects, >= 1 "
        "context\n<jemalloc>: Run jeprof on dump output for leak detail\n"));
    EXPECT(strstr(child.err, "~5120 bytes in ~5 objects from\n") != NULL);
    EXPECT_EQ_U64(child.status, 0);
    remove_all();
    child =
        run("leak", "prof_leak_error:true,prof_final:true,lg_prof_sample:0");
    EXPECT(strstr(child.err, "<jemalloc>: Exiting with error code because "
                             "memory leaks were detected\n") != NULL);
    EXPECT(WIFEXITED(child.status) && WEXITSTATUS(child.status) == 1);
    EXPECT_EQ_U64(files_ending(".f.heap", name, false), 1);
    read_file(name);
    EXPECT(strstr(text, "\nMAPPED_LIBRARIES:\n") != NULL); /* complete */
    remove_all();
    FILE *f = fopen("quiet", "w");
    fputs("# all of this program\nleak:*integration/prof\n", f);
    fclose(f);
    child = run("leak", "prof_leak_error:true,prof_final:true,lg_prof_sample:0,"
                        "prof_leak_suppressions:quiet");
    EXPECT(is_alone(child.err, "<jemalloc>: 1 leaking context suppressed\n"));
    EXPECT_EQ_U64(child.status, 0);
    remove_all();
}

TEST(lists)
{
    test_child_t child =
        run("lists", "prof:true,lg_prof_sample:0,prof_recent_alloc_max:2");
    EXPECT_EQ_U64(child.status, 0);
    EXPECT(strncmp(child.err,
               "{\"sample_interval\":1,\"recent_alloc_max\":2,\"recent_alloc\":"
               "[{\"size\":",
               65) == 0);
    EXPECT(strstr(child.err,
               "{\"size\":65536,\"usize\":65536,\"released\":"
               "false,\"alloc_thread_uid\":0,\"alloc_time\":") != NULL);
    EXPECT(strstr(child.err, "]}") != NULL);
    read_file("log.json");
    EXPECT(strncmp(text, "{\"info\":{\"duration\":", 20) == 0);
    EXPECT(strstr(text, "\"threads\":[{\"thr_uid\":0,\"thr_name\":\"\"}],"
                        "\"stack_traces\":[[\"0x") != NULL);
    EXPECT(strstr(text, "\"allocations\":[{\"alloc_thread\":0,\"free_thread\":"
                        "0,\"alloc_trace\":0,\"free_trace\":1,") != NULL);
    EXPECT(strstr(text, "\"usize\":224}]}") != NULL);
    remove_all();
}

TEST(hooks)
{
    test_child_t child = run("hooks", "prof:true,lg_prof_sample:0");
    expect_clean(&child);
    read_file("hook.heap");
    EXPECT(strstr(text, "\n@ 0x1234 0x5678\n  t*: 1: 384 [0: 0]\n") != NULL);
    remove_all();
}

TEST(deepest_stack)
{
    test_child_t child =
        run("deep", "prof:true,lg_prof_sample:0,prof_bt_max:1000000");
    expect_clean(&child);
}

TEST(resized_blocks)
{
    test_child_t child = run("never", "prof:true,lg_prof_sample:60");
    expect_clean(&child);
    child = run("always", "prof:true,lg_prof_sample:0");
    expect_clean(&child);
}

TEST(columns_of_the_report)
{
    test_child_t child = run("columns", "prof:true,prof_stats:true");
    expect_clean(&child);
    child = run("no_columns", "prof:true");
    expect_clean(&child);
    child = run("no_columns", "prof_stats:true");
    expect_clean(&child);
}

TEST(controls)
{
    char name[256];
    test_child_t child = run("controls", "prof:true,lg_prof_sample:0");
    expect_clean(&child);
    EXPECT_EQ_U64(files_ending(".0.m0.heap", name, false), 1);
    EXPECT_EQ_U64(files_ending(".1.m1.heap", name, false), 1);
    EXPECT_EQ_U64(files_ending(".tmp", name, false), 0);
    remove_all();
}

/* stats.mutexes.prof* count what the locks of the profiler do. */
TEST(locks)
{
    test_child_t child = run("locks",
        "prof:true,lg_prof_sample:0,prof_stats:true,prof_recent_alloc_max:5");
    expect_clean(&child);
    remove_all();
}

TEST(old_format)
{
    test_child_t child =
        run("fixed", "prof:true,lg_prof_sample:0,prof_dump_format:heap");
    expect_clean(&child);
    read_file("fixed.heap");
    unsigned long all[4];
    EXPECT_EQ_U64(
        sscanf(text, "heap profile: %lu: %lu [%lu: %lu] @ heap_v2/1\n", &all[0],
            &all[1], &all[2], &all[3]),
        4);
    EXPECT(strstr(text, "\n10: 1120 [0: 0] @ 0x") != NULL);
    EXPECT(strstr(text, "\n\nMAPPED_LIBRARIES:\n") != NULL);
    remove_all();
}

/* ---- profile.proto ---- */

static uint32_t crc_of(const unsigned char *bytes, size_t size)
{
    uint32_t crc = ~0U;
    for (size_t i = 0; i < size; i++) {
        crc ^= bytes[i];
        for (unsigned b = 0; b < 8; b++) {
            crc = crc & 1 ? crc >> 1 ^ 0xedb88320U : crc >> 1;
        }
    }
    return ~crc;
}

static uint32_t little(const unsigned char *bytes, unsigned size)
{
    uint32_t value = 0;
    while (size-- != 0) {
        value = value << 8 | bytes[size];
    }
    return value;
}

/* Undoes a gzip of stored blocks in place. */
static size_t unzip(unsigned char *bytes, size_t size)
{
    size_t at = 10;
    size_t out = 0;
    bool last = false;
    REQUIRE(size > 18 && bytes[0] == 0x1f && bytes[1] == 0x8b);
    while (!last) {
        REQUIRE(at + 5 < size);
        last = bytes[at] == 1;
        uint32_t length = little(bytes + at + 1, 2);
        EXPECT_EQ_U64(length ^ little(bytes + at + 3, 2), 0xffff);
        memmove(bytes + out, bytes + at + 5, length);
        at += 5 + length;
        out += length;
    }
    EXPECT_EQ_U64(at + 8, size);
    EXPECT_EQ_U64(little(bytes + at, 4), crc_of(bytes, out));
    EXPECT_EQ_U64(little(bytes + at + 4, 4), out);
    return out;
}

static uint64_t varint(const unsigned char **at)
{
    uint64_t value = 0;
    for (unsigned shift = 0;; shift += 7) {
        unsigned char byte = *(*at)++;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            return value;
        }
    }
}

typedef struct {
    unsigned fields[16];
    uint64_t objects; /* of live blocks of 112 bytes */
    unsigned mappings;
    bool has_name;
} proto_t;

/* locations packed, then values: inuse objects, inuse bytes */
static void look_at_sample(
    const unsigned char *at, const unsigned char *end, proto_t *proto)
{
    uint64_t values[4];
    unsigned n = 0;
    while (at < end) {
        uint64_t key = varint(&at);
        uint64_t value = varint(&at);
        if ((key & 7) == 2) {
            at += value;
        } else if (key >> 3 == 2 && n < 4) {
            values[n++] = value;
        }
    }
    EXPECT_EQ_U64(n, 2);
    proto->objects += values[1] == 1120 ? values[0] : 0;
}

static proto_t look_at_proto(const unsigned char *at, size_t size)
{
    proto_t proto = {.objects = 0};
    const unsigned char *end = at + size;
    while (at < end) {
        uint64_t key = varint(&at);
        uint64_t value = varint(&at);
        REQUIRE(key >> 3 < 16);
        proto.fields[key >> 3]++;
        if ((key & 7) == 2) {
            if (key >> 3 == 2) {
                look_at_sample(at, at + value, &proto);
            }
            proto.has_name |=
                key >> 3 == 6 && value == 9 && memcmp(at, "main \"one", 9) == 0;
            at += value;
        }
    }
    EXPECT(at == end);
    return proto;
}

TEST(pprof)
{
    test_child_t child =
        run("fixed", "prof:true,lg_prof_sample:0,prof_dump_format:pprof");
    expect_clean(&child);
    read_file("fixed.heap");
    size_t size = unzip((unsigned char *)text, text_size);
    proto_t proto = look_at_proto((unsigned char *)text, size);
    EXPECT_EQ_U64(proto.fields[1], 2); /* sample types */
    EXPECT_GE_U64(proto.fields[2], 2); /* samples */
    EXPECT_GE_U64(proto.fields[3], 3); /* program, libc, us */
    EXPECT_GE_U64(proto.fields[4], 3); /* locations */
    EXPECT_EQ_U64(proto.objects, 10);
    EXPECT(proto.has_name);
    remove_all();
}

int main(int argc, char **argv)
{
    for (size_t i = 0; argc > 1 && i < COUNT(modes); i++) {
        if (strcmp(argv[1], modes[i].name) == 0) {
            modes[i].run();
            return 0;
        }
    }
    test_find_self();
    if (mkdtemp(directory) == NULL || chdir(directory) != 0) {
        return 1;
    }
    int status = test_run(TEST_CASE(heap_v2), TEST_CASE(raw_numbers),
        TEST_CASE(names_and_rotation), TEST_CASE(leak_report), TEST_CASE(lists),
        TEST_CASE(hooks), TEST_CASE(deepest_stack), TEST_CASE(resized_blocks),
        TEST_CASE(columns_of_the_report), TEST_CASE(controls), TEST_CASE(locks),
        TEST_CASE(old_format), TEST_CASE(pprof), NULL);
    if (chdir("..") == 0) {
        rmdir(directory);
    }
    return status;
}
