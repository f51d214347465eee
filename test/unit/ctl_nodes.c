/*
 * What: every control there is, against a list of what there should be
 * (ctl_nodes.list), and the rules that all of them obey: names and vectors
 * lead to the same place; wrong sizes, directions and names give the error
 * that they should, write no byte too many and change nothing.
 *
 * With the argument --print the program writes the list that it would agree
 * with.
 *
 * Invariants: (I1) each control is tried under each index that it has a
 * meaning for: 0, and for arenas 4096; (I2) the rules are tried a second time
 * in a process with the profiler, whose controls give ENOENT without it.
 *
 * Locking: none.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/ctl.h"
#include "harness.h"
#include "jemalloc/jemalloc.h"

const char *je_malloc_conf = "narenas:2,abort_conf:true,retain:true";

#define NAME_MAX_BYTES 96
#define LEAVES_MAX     1024
#define ROOM           64
#define UNTOUCHED      0xee

typedef struct {
    const ctl_node_t *node;
    char name[NAME_MAX_BYTES];   /* with <i> where an index belongs */
    char actual[NAME_MAX_BYTES]; /* with 0 there */
} leaf_t;

static leaf_t leaves[LEAVES_MAX];
static size_t leaf_count;

static void walk(const ctl_node_t *node, const char *name, const char *actual)
{
    if (node->handler != NULL) {
        REQUIRE(leaf_count < LEAVES_MAX);
        leaf_t *leaf = &leaves[leaf_count++];
        leaf->node = node;
        strcpy(leaf->name, name);
        strcpy(leaf->actual, actual);
        return;
    }
    const char *dot = *name == '\0' ? "" : ".";
    bool indexed = node->check_index != NULL;
    for (size_t i = 0; i < node->child_count; i++) {
        const ctl_node_t *child = &node->children[i];
        char below[2][NAME_MAX_BYTES];
        int n = snprintf(below[0], NAME_MAX_BYTES, "%s%s%s%s", name,
            indexed ? ".<i>" : "", dot, child->name);
        (void)snprintf(below[1], NAME_MAX_BYTES, "%s%s%s%s", actual,
            indexed ? ".0" : "", dot, child->name);
        REQUIRE(n > 0 && n < NAME_MAX_BYTES);
        walk(child, below[0], below[1]);
    }
}

static const char *error_word(int error)
{
    switch (error) {
    case 0:
        return "0";
    case EINVAL:
        return "EINVAL";
    case ENOENT:
        return "ENOENT";
    case EPERM:
        return "EPERM";
    case EFAULT:
        return "EFAULT";
    case EAGAIN:
        return "EAGAIN";
    default:
        return "another error";
    }
}

static const char *access_word(const ctl_node_t *node)
{
    static const char *const words[] = {
        [CTL_READ] = "r-",
        [CTL_WRITE] = "-w",
        [CTL_ACT] = "--",
        [CTL_BOTH] = "rw",
    };
    return words[node->access & CTL_BOTH];
}

static_assert((CTL_READ | CTL_WRITE | CTL_ACT | CTL_BOTH) == 3, "two bits");

static bool is_action(const leaf_t *leaf)
{
    return leaf->node->size == 0;
}

/* What reading it into a buffer of the right size comes to. */
static int read_exact(const leaf_t *leaf)
{
    unsigned char value[ROOM] = {0};
    size_t len = leaf->node->size;
    return is_action(leaf) ? 0 : je_mallctl(leaf->actual, value, &len, NULL, 0);
}

static void line_of(const leaf_t *leaf, char *line, size_t size)
{
    snprintf(line, size, "%s %u %s %s", leaf->name, leaf->node->size,
        access_word(leaf->node), error_word(read_exact(leaf)));
}

/* ---- the list ---- */

static char list[65536];

static void load_list(void)
{
    char path[4096];
    const char *source_dir = getenv("JE_SRCDIR");
    snprintf(path, sizeof(path), "%s/test/unit/ctl_nodes.list",
        source_dir != NULL ? source_dir : ".");
    FILE *file = fopen(path, "r");
    REQUIRE(file != NULL);
    size_t len = fread(list, 1, sizeof(list) - 1, file);
    fclose(file);
    REQUIRE(len > 0 && len < sizeof(list) - 1);
    list[len] = '\0';
}

/* Takes a line out of the list. False if it is not there. */
static bool strike(const char *line)
{
    size_t len = strlen(line);
    for (char *at = list; (at = strstr(at, line)) != NULL; at++) {
        if ((at == list || at[-1] == '\n') && at[len] == '\n') {
            memset(at, '#', len);
            return true;
        }
    }
    return false;
}

/* The list is of builds for 64 bits with C++. */
static bool is_elsewhere(const char *line)
{
    return sizeof(void *) != 8 ||
           (!CONFIG_CXX && strstr(line, "infallible_new") != NULL);
}

TEST(list)
{
    load_list();
    for (size_t i = 0; i < leaf_count; i++) {
        char line[2 * NAME_MAX_BYTES];
        line_of(&leaves[i], line, sizeof(line));
        if (!is_elsewhere(line) && !strike(line)) {
            test_note("not in the list: %s", line);
            EXPECT(false);
        }
    }
    for (char *line = strtok(list, "\n"); line != NULL;
         line = strtok(NULL, "\n")) {
        if (!is_elsewhere(line) && line[0] != '#') {
            test_note("only in the list: %s", line);
            EXPECT(false);
        }
    }
}

/* ---- names and vectors ---- */

/* As mallctl, by a vector of `depth` elements. */
static int by_mib(const size_t *mib, size_t depth)
{
    unsigned char value[ROOM];
    size_t len = 0;
    return je_mallctlbymib(mib, depth, value, &len, NULL, 1);
}

static void try_names(const leaf_t *leaf)
{
    size_t mib[CTL_DEPTH_MAX + 1] = {0};
    size_t depth = CTL_DEPTH_MAX;
    char name[NAME_MAX_BYTES + 8];
    int error = je_mallctlnametomib(leaf->actual, mib, &depth);
    if (error != 0) {
        EXPECT_EQ_I64(read_exact(leaf), error); /* a whole branch is off */
        return;
    }
    for (size_t shorter = 0; shorter < depth; shorter++) {
        EXPECT_EQ_I64(by_mib(mib, shorter), ENOENT);
    }
    EXPECT_EQ_I64(by_mib(mib, depth + 1), ENOENT);
    snprintf(name, sizeof(name), "%s.x", leaf->actual);
    EXPECT_EQ_I64(je_mallctl(name, NULL, NULL, NULL, 0), ENOENT);
    snprintf(name, sizeof(name), "%s.", leaf->actual);
    EXPECT_EQ_I64(je_mallctl(name, NULL, NULL, NULL, 0), ENOENT);
    strcpy(name, leaf->actual);
    name[strlen(name) - 1] = '~';
    EXPECT_EQ_I64(je_mallctl(name, NULL, NULL, NULL, 0), ENOENT);
    /* Each beginning of the name gives the beginning of the vector. */
    for (size_t d = depth; d > 0; d--) {
        size_t part[CTL_DEPTH_MAX];
        size_t n = CTL_DEPTH_MAX;
        strcpy(name, leaf->actual);
        char *end = name;
        for (size_t i = 0; i < d; i++) {
            end += strcspn(end, ".") + (i + 1 < d);
        }
        *end = '\0';
        EXPECT_EQ_I64(je_mallctlnametomib(name, part, &n), 0);
        EXPECT_EQ_U64(n, d);
        EXPECT_EQ_I64(memcmp(part, mib, d * sizeof(mib[0])), 0);
    }
}

TEST(names)
{
    for (size_t i = 0; i < leaf_count; i++) {
        try_names(&leaves[i]);
    }
}

/* ---- sizes ---- */

/* Those whose value is another at each reading, or that make something. */
static bool is_steady(const leaf_t *leaf)
{
    static const char *const moving[] = {
        "thread.allocated", "thread.deallocated", "approximate_stats.active"};
    for (size_t i = 0; i < sizeof(moving) / sizeof(moving[0]); i++) {
        if (strcmp(leaf->actual, moving[i]) == 0) {
            return false;
        }
    }
    return strstr(leaf->actual, "create") == NULL;
}

static void read_with(const leaf_t *leaf, size_t room)
{
    unsigned char value[ROOM + 1];
    unsigned char exact[ROOM + 1];
    size_t size = leaf->node->size;
    size_t len = size;
    memset(value, UNTOUCHED, sizeof(value));
    EXPECT_EQ_I64(je_mallctl(leaf->actual, exact, &len, NULL, 0), 0);
    EXPECT_EQ_U64(len, size);
    len = room;
    int error = je_mallctl(leaf->actual, value, &len, NULL, 0);
    size_t given = room < size ? room : size;
    if (strstr(leaf->actual, "create") != NULL) {
        given = 0;
    }
    EXPECT_EQ_I64(error, EINVAL);
    EXPECT_EQ_U64(len, given);
    EXPECT(!is_steady(leaf) || memcmp(value, exact, given) == 0);
    for (size_t i = given; i < sizeof(value); i++) {
        EXPECT_EQ_U64(value[i], UNTOUCHED);
    }
}

TEST(outputs_of_the_wrong_size)
{
    for (size_t i = 0; i < leaf_count; i++) {
        const leaf_t *leaf = &leaves[i];
        if (is_action(leaf) || read_exact(leaf) != 0) {
            continue;
        }
        for (size_t room = 0; room <= leaf->node->size + 2U; room++) {
            if (room != leaf->node->size) {
                read_with(leaf, room);
            }
        }
    }
}

/* ---- directions ---- */

/* One of the results; prints the name otherwise. */
static void expect_error(const leaf_t *leaf, int error, int a, int b)
{
    if (error != a && error != b) {
        test_note("%s gives %s", leaf->actual, error_word(error));
        EXPECT(false);
    }
}

static void try_directions(const leaf_t *leaf)
{
    unsigned char value[ROOM] = {0};
    size_t len = leaf->node->size;
    const char *name = leaf->actual;
    switch (leaf->node->access & CTL_BOTH) {
    case CTL_READ:
        expect_error(
            leaf, je_mallctl(name, NULL, NULL, value, len), EPERM, ENOENT);
        expect_error(
            leaf, je_mallctl(name, NULL, NULL, NULL, 1), EPERM, ENOENT);
        expect_error(
            leaf, je_mallctl(name, value, &len, value, len), EPERM, ENOENT);
        expect_error(
            leaf, je_mallctl(name, NULL, NULL, value, 0), EPERM, ENOENT);
        break;
    case CTL_WRITE:
        if (strcmp(name, "experimental.hooks.thread_event") != 0) {
            expect_error(
                leaf, je_mallctl(name, value, NULL, NULL, 0), EPERM, ENOENT);
            expect_error(
                leaf, je_mallctl(name, NULL, &len, value, len), EPERM, ENOENT);
        }
        expect_error(
            leaf, je_mallctl(name, NULL, NULL, value, len + 1), EINVAL, ENOENT);
        break;
    case CTL_ACT:
        expect_error(
            leaf, je_mallctl(name, value, NULL, NULL, 0), EPERM, ENOENT);
        expect_error(
            leaf, je_mallctl(name, NULL, &len, NULL, 0), EPERM, ENOENT);
        expect_error(
            leaf, je_mallctl(name, NULL, NULL, value, 1), EPERM, ENOENT);
        expect_error(
            leaf, je_mallctl(name, NULL, NULL, NULL, 1), EPERM, ENOENT);
        break;
    default:
        break;
    }
}

TEST(directions)
{
    for (size_t i = 0; i < leaf_count; i++) {
        try_directions(&leaves[i]);
    }
}

/* Input of the wrong size changes nothing. */
TEST(inputs_of_the_wrong_size)
{
    for (size_t i = 0; i < leaf_count; i++) {
        const leaf_t *leaf = &leaves[i];
        unsigned char before[ROOM] = {0};
        unsigned char after[ROOM] = {0};
        unsigned char value[ROOM] = {0};
        size_t size = leaf->node->size;
        size_t len = size;
        if ((leaf->node->access & CTL_BOTH) != CTL_BOTH || is_action(leaf)) {
            continue;
        }
        bool readable = je_mallctl(leaf->actual, before, &len, NULL, 0) == 0;
        /* 17 bytes is the size of nothing. */
        int error = je_mallctl(leaf->actual, NULL, NULL, value, 17);
        if (error == 0 || error == EAGAIN || error == EPERM) {
            test_note("%s gives %s", leaf->actual, error_word(error));
            EXPECT(false);
        }
        len = size;
        if (readable && is_steady(leaf)) {
            EXPECT_EQ_I64(je_mallctl(leaf->actual, after, &len, NULL, 0), 0);
            EXPECT_EQ_I64(memcmp(before, after, size), 0);
        }
    }
}

/* Only one of pointer and length: success without a reading. */
TEST(half_an_output)
{
    for (size_t i = 0; i < leaf_count; i++) {
        const leaf_t *leaf = &leaves[i];
        size_t size = leaf->node->size;
        size_t len = size;
        unsigned char value[ROOM];
        memset(value, UNTOUCHED, sizeof(value));
        if ((leaf->node->access & CTL_BOTH) != CTL_READ ||
            read_exact(leaf) != 0 || strstr(leaf->actual, "create") != NULL ||
            strstr(leaf->actual, "pactivep") != NULL) {
            continue;
        }
        EXPECT_EQ_I64(je_mallctl(leaf->actual, value, NULL, NULL, 0), 0);
        EXPECT_EQ_U64(value[0], UNTOUCHED);
        EXPECT_EQ_I64(je_mallctl(leaf->actual, NULL, &len, NULL, 0), 0);
        EXPECT_EQ_U64(len, size);
        EXPECT_EQ_I64(je_mallctl(leaf->actual, NULL, NULL, NULL, 0), 0);
    }
}

/* All arenas at once have the statistics that one has. */
TEST(merged_statistics)
{
    static const char stem[] = "stats.arenas.0.";
    for (size_t i = 0; i < leaf_count; i++) {
        const leaf_t *leaf = &leaves[i];
        char name[NAME_MAX_BYTES + 8];
        unsigned char value[ROOM];
        size_t len = leaf->node->size;
        if (strncmp(leaf->actual, stem, sizeof(stem) - 1) != 0) {
            continue;
        }
        snprintf(name, sizeof(name), "stats.arenas.4096.%s",
            leaf->actual + sizeof(stem) - 1);
        EXPECT_EQ_I64(je_mallctl(name, value, &len, NULL, 0), 0);
        snprintf(name, sizeof(name), "stats.arenas.4097.%s",
            leaf->actual + sizeof(stem) - 1);
        EXPECT_EQ_I64(je_mallctl(name, value, &len, NULL, 0), ENOENT);
    }
}

/* ---- with the profiler ---- */

/* Those of the profiler are there, whichever way they go. */
TEST(profiler)
{
    unsigned seen = 0;
    for (size_t i = 0; i < leaf_count; i++) {
        if (strstr(leaves[i].actual, "prof.") != NULL ||
            strstr(leaves[i].actual, "prof_recent.") != NULL) {
            int error = read_exact(&leaves[i]);
            expect_error(&leaves[i], error, 0,
                (leaves[i].node->access & CTL_BOTH) == CTL_WRITE ? EPERM : 0);
            seen++;
        }
    }
    EXPECT_GE_U64(seen, 20);
}

static int run_rules(void)
{
    return test_run(TEST_CASE(profiler), TEST_CASE(names),
        TEST_CASE(outputs_of_the_wrong_size), TEST_CASE(directions),
        TEST_CASE(inputs_of_the_wrong_size), TEST_CASE(half_an_output),
        TEST_CASE(merged_statistics), NULL);
}

static void run_again(void *arg)
{
    static char word[] = "--profiler";
    char *argv[] = {word, NULL};
    (void)arg;
    dup2(STDERR_FILENO, STDOUT_FILENO); /* where what failed is heard */
    setenv(CONFIG_PREFIX_UPPER "MALLOC_CONF",
        "prof:true,prof_active:false,prof_stats:true", 1);
    test_exec_self(argv);
}

TEST(rules_with_profiler)
{
    static test_child_t child;
    bool prof = false;
    size_t len = sizeof(prof);
    EXPECT_EQ_I64(je_mallctl("config.prof", &prof, &len, NULL, 0), 0);
    if (!prof) {
        test_skip("built without profiler");
    }
    child = test_in_child(run_again, NULL);
    if (child.status != 0) {
        test_note("%s", child.err);
    }
    EXPECT_EQ_I64(child.status, 0);
}

int main(int argc, char **argv)
{
    je_free(je_malloc(1));
    walk(ctl_tree(), "", "");
    if (argc == 2 && strcmp(argv[1], "--profiler") == 0) {
        return run_rules();
    }
    if (argc == 2 && strcmp(argv[1], "--print") == 0) {
        printf("# Every control: name, bytes, access, what reading it gives\n"
               "# (under index 0, without profiler). Written by\n"
               "# test/unit/ctl_nodes --print, on a machine of 64 bits.\n");
        for (size_t i = 0; i < leaf_count; i++) {
            char line[2 * NAME_MAX_BYTES];
            line_of(&leaves[i], line, sizeof(line));
            printf("%s\n", line);
        }
        return 0;
    }
    return test_run(TEST_CASE(list), TEST_CASE(names),
        TEST_CASE(outputs_of_the_wrong_size), TEST_CASE(directions),
        TEST_CASE(inputs_of_the_wrong_size), TEST_CASE(half_an_output),
        TEST_CASE(merged_statistics), TEST_CASE(rules_with_profiler), NULL);
}
