/*
 * What: options that the program brings in its variables malloc_conf and
 * malloc_conf_2_conf_harder, their order of precedence with the environment,
 * and malloc_message.
 *
 * Invariants: the parent runs with the variables below; other settings are
 * tried by running this program again with MALLOC_CONF set.
 *
 * Locking: none.
 */
#include "harness.h"
#include <jemalloc/jemalloc.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

const char *malloc_conf = "narenas:3,dirty_decay_ms:1234,muzzy_decay_ms:5";
const char *malloc_conf_2_conf_harder = "tcache_max:16384,muzzy_decay_ms:77";

static unsigned long long option(const char *name, size_t bytes)
{
    uint64_t value = 0;
    size_t length = bytes;
    char full[64];
    snprintf(full, sizeof(full), "opt.%s", name);
    EXPECT_EQ_I64(mallctl(full, &value, &length, NULL, 0), 0);
    return value;
}

TEST(variables_are_read)
{
    EXPECT_EQ_U64(option("narenas", 4), 3);
    EXPECT_EQ_U64(option("dirty_decay_ms", sizeof(ssize_t)), 1234);
    EXPECT_EQ_U64(option("tcache_max", sizeof(size_t)), 16384);
    EXPECT_EQ_U64(option("muzzy_decay_ms", sizeof(ssize_t)), 77);
}

typedef struct {
    const char *conf;
    const char *what;
} again_t;

/* Runs this program once more, as `what`, with an environment. */
static void run_again(void *arg)
{
    again_t *again = arg;
    static char what[32];
    char *arguments[] = {what, NULL};
    snprintf(what, sizeof(what), "%s", again->what);
    setenv("MALLOC_CONF", again->conf, 1);
    test_exec_self(arguments);
}

static test_child_t with_conf(const char *conf, const char *what)
{
    again_t again = {conf, what};
    return test_in_child(run_again, &again);
}

TEST(environment_beats_the_variable)
{
    static test_child_t r;
    r = with_conf("dirty_decay_ms:4321,muzzy_decay_ms:4321", "show");
    EXPECT_EQ_I64(r.status, 0);
    EXPECT_EQ_STR(r.err, "narenas 3 dirty 4321 muzzy 77\n");
}

TEST(errors_name_the_culprit)
{
    static test_child_t r;
    r = with_conf("abort_conf:false,no_such_option:1,dirty_decay_ms:9", "show");
    EXPECT_EQ_I64(r.status, 0);
    EXPECT(strstr(r.err, "<jemalloc>: Invalid conf pair: no_such_option:1\n") !=
           NULL);
    EXPECT(strstr(r.err, "dirty 9 ") != NULL);
    r = with_conf("abort_conf:false,narenas:lots", "show");
    EXPECT(strstr(r.err, "<jemalloc>: Invalid conf value: narenas:lots\n") !=
           NULL);
    r = with_conf("narenas:2,abort_conf:true,no_such_option:1", "show");
    EXPECT(WIFSIGNALED(r.status) && WTERMSIG(r.status) == SIGABRT);
    EXPECT(strstr(r.err, "no_such_option:1") != NULL);
}

TEST(as_many_arenas_as_there_can_be)
{
    static test_child_t r;
    r = with_conf("narenas:4094", "show");
    EXPECT_EQ_I64(r.status, 0);
    EXPECT_EQ_STR(r.err, "narenas 4094 dirty 1234 muzzy 77\n");
    r = with_conf("narenas:4095", "show");
    EXPECT_EQ_I64(r.status, 0);
    EXPECT_EQ_STR(r.err, "<jemalloc>: Reducing narenas to limit (4094)\n"
                         "narenas 4094 dirty 1234 muzzy 77\n");
}

TEST(zero_realloc_options)
{
    static test_child_t r;
    r = with_conf("zero_realloc:alloc", "realloc");
    EXPECT_EQ_I64(r.status, 0);
    EXPECT_EQ_STR(r.err, "block of 8\n");
    r = with_conf("zero_realloc:free", "realloc");
    EXPECT_EQ_I64(r.status, 0);
    EXPECT_EQ_STR(r.err, "NULL\n");
    r = with_conf("zero_realloc:abort", "realloc");
    EXPECT(WIFSIGNALED(r.status) && WTERMSIG(r.status) == SIGABRT);
    EXPECT_EQ_STR(
        r.err, "Called realloc(non-null-ptr, 0) with zero_realloc:abort set\n");
}

TEST(zero_and_junk)
{
    static test_child_t r;
    r = with_conf("zero:true", "bytes");
    EXPECT_EQ_STR(r.err, "00 00 00 00\n");
    r = with_conf("junk:true", "bytes");
    EXPECT_EQ_STR(r.err, "a5 a5 a5 a5\n");
    r = with_conf("junk:alloc", "bytes");
    EXPECT_EQ_STR(r.err, "a5 a5 a5 a5\n");
    r = with_conf("junk:true,zero:true", "bytes");
    EXPECT_EQ_STR(r.err, "00 00 00 00\n");
}

/* What a block grows by in place is filled, too, and nothing else. */
TEST(zero_and_junk_of_growth)
{
    static test_child_t r;
    r = with_conf("zero:true", "growth");
    EXPECT_EQ_STR(r.err, "01 00 00\n");
    r = with_conf("junk:true", "growth");
    EXPECT_EQ_STR(r.err, "01 a5 a5\n");
    r = with_conf("junk:true,zero:true", "growth");
    EXPECT_EQ_STR(r.err, "01 00 00\n");
}

TEST(xmalloc)
{
    static test_child_t r;
    r = with_conf("xmalloc:true", "too_big");
    EXPECT(WIFSIGNALED(r.status) && WTERMSIG(r.status) == SIGABRT);
    EXPECT_EQ_STR(r.err, "<jemalloc>: Error in malloc(): out of memory\n");
    r = with_conf("xmalloc:true", "too_big_aligned");
    EXPECT(WIFSIGNALED(r.status) && WTERMSIG(r.status) == SIGABRT);
    EXPECT_EQ_STR(
        r.err, "<jemalloc>: Error allocating aligned memory: out of memory\n");
}

TEST(stats_print_at_exit)
{
    static test_child_t r;
    r = with_conf("stats_print:true,stats_print_opts:abl", "exit");
    EXPECT_EQ_I64(r.status, 0);
    EXPECT(strstr(r.err, "___ Begin jemalloc statistics ___") != NULL);
    EXPECT(strstr(r.err, "--- End jemalloc statistics ---") != NULL);
}

static char message[65536];
static size_t message_bytes;

static void receive(void *opaque, const char *text)
{
    (void)opaque;
    size_t n = strlen(text);
    if (message_bytes + n < sizeof(message)) {
        memcpy(message + message_bytes, text, n + 1);
        message_bytes += n;
    }
}

TEST(message_hook_gets_statistics)
{
    malloc_message = receive;
    malloc_stats_print(NULL, NULL, "gmdablxeh");
    malloc_message = NULL;
    EXPECT(strstr(message, "___ Begin jemalloc statistics ___") != NULL);
    EXPECT(strstr(message, "--- End jemalloc statistics ---") != NULL);
}

static int show(void)
{
    unsigned narenas = 0;
    ssize_t dirty = 0, muzzy = 0;
    size_t four = 4, eight = 8;
    char text[100];
    mallctl("opt.narenas", &narenas, &four, NULL, 0);
    mallctl("opt.dirty_decay_ms", &dirty, &eight, NULL, 0);
    mallctl("opt.muzzy_decay_ms", &muzzy, &eight, NULL, 0);
    int n = snprintf(text, sizeof(text), "narenas %u dirty %zd muzzy %zd\n",
        narenas, dirty, muzzy);
    return write(2, text, (size_t)n) != n;
}

static int show_realloc(void)
{
    volatile size_t nothing = 0;
    char text[100];
    void *p = realloc(malloc(100), nothing);
    int n = p == NULL ? snprintf(text, sizeof(text), "NULL\n")
                      : snprintf(text, sizeof(text), "block of %zu\n",
                            malloc_usable_size(p));
    return write(2, text, (size_t)n) != n;
}

static int show_bytes(void)
{
    char text[100];
    unsigned char *p = malloc(100);
    memset(p, 1, 100);
    free(p);
    unsigned char *small = malloc(100), *large = malloc(100000);
    int n = snprintf(text, sizeof(text), "%02x %02x %02x %02x\n", small[0],
        small[malloc_usable_size(small) - 1], large[0], large[99999]);
    return write(2, text, (size_t)n) != n;
}

/* Bytes of a block that shrank and grew again: the last old, the new ones. */
static int show_growth(void)
{
    const size_t big = (size_t)4 << 20, small = (size_t)1 << 20;
    char text[100];
    unsigned char *p = mallocx(big, 0);
    memset(p, 1, big);
    if (xallocx(p, small, 0, 0) != small || xallocx(p, big, 0, 0) != big) {
        return 1;
    }
    int n = snprintf(text, sizeof(text), "%02x %02x %02x\n", p[small - 1],
        p[small], p[big - 1]);
    return write(2, text, (size_t)n) != n;
}

int main(int argc, char **argv)
{
    volatile size_t too_big = SIZE_MAX / 2;
    const char *what = argc > 1 ? argv[1] : "";

    if (strcmp(what, "show") == 0) {
        return show();
    }
    if (strcmp(what, "realloc") == 0) {
        return show_realloc();
    }
    if (strcmp(what, "bytes") == 0) {
        return show_bytes();
    }
    if (strcmp(what, "growth") == 0) {
        return show_growth();
    }
    if (strcmp(what, "too_big") == 0) {
        return malloc(too_big) == NULL;
    }
    if (strcmp(what, "too_big_aligned") == 0) {
        return aligned_alloc(64, too_big) == NULL;
    }
    if (strcmp(what, "exit") == 0) {
        return malloc(1) == NULL;
    }
    return test_run(TEST_CASE(variables_are_read),
        TEST_CASE(environment_beats_the_variable),
        TEST_CASE(errors_name_the_culprit),
        TEST_CASE(as_many_arenas_as_there_can_be),
        TEST_CASE(zero_realloc_options), TEST_CASE(zero_and_junk),
        TEST_CASE(zero_and_junk_of_growth), TEST_CASE(xmalloc),
        TEST_CASE(stats_print_at_exit), TEST_CASE(message_hook_gets_statistics),
        NULL);
}
