/*
 * What: the CPU quota of control groups, read from made-up roots: version 1
 * and 2, nested groups, no limit, missing and malformed files.
 *
 * Invariants: (I1) the root is a fresh directory, removed at the end.
 *
 * Locking: none.
 */
#define _GNU_SOURCE

#include "os/os.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness.h"
#include "jemalloc/jemalloc.h"

static char root[64];

/* Runs a shell command in the root; the test cannot do without it. */
static void shell(const char *command)
{
    char line[1024];
    snprintf(line, sizeof(line), "cd '%s' && %s", root, command);
    REQUIRE(system(line) == 0);
}

static void begin(void)
{
    je_free(je_malloc(1)); /* boots */
    snprintf(root, sizeof(root), "%s", "/tmp/os_cpus.XXXXXX");
    REQUIRE(mkdtemp(root) != NULL);
    shell("mkdir -p proc/self sys/fs/cgroup");
}

static void end(void)
{
    shell("rm -rf proc sys");
    EXPECT_EQ_I64(rmdir(root), 0);
}

/* Writes a file below the root, directories included. */
static void put(const char *path, const char *text)
{
    char command[700];
    char full[700];
    snprintf(command, sizeof(command), "mkdir -p \"$(dirname '%s')\"", path);
    shell(command);
    snprintf(full, sizeof(full), "%s/%s", root, path);
    int fd = open(full, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    REQUIRE(fd >= 0);
    EXPECT_EQ_I64(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

static void expect_v2(const char *text, unsigned cpus)
{
    put("sys/fs/cgroup/a/cpu.max", text);
    unsigned got = os_cgroup_cpus(root);
    if (got != cpus) {
        test_note("cpu.max: %s", text);
        EXPECT_EQ_U64(got, cpus);
    }
}

TEST(version_2)
{
    begin();
    put("proc/self/cgroup", "0::/a\n");
    EXPECT_EQ_U64(os_cgroup_cpus(root), 0);
    expect_v2("100000 100000\n", 1);
    expect_v2("200000 100000\n", 2);
    expect_v2("200001 100000\n", 3);
    expect_v2("150000 100000\n", 2);
    expect_v2("1000 100000\n", 1);
    expect_v2("50000 50000", 1);
    expect_v2("6400000 100000\n", 64);
    expect_v2("max 100000\n", 0);
    end();
}

TEST(malformed_version_2)
{
    begin();
    put("proc/self/cgroup", "0::/a\n");
    const char *texts[] = {"", "\n", " ", "max", "100000", "100000\n",
        "100000 ", "100000 x", "100000 0\n", "0 100000\n", "-1 100000\n",
        "100000x 100000", "99999999999999999999 1\n", "1 99999999999999999999",
        "9223372036854775807 1\n", "x 100000\n", "\t100000 100000\n"};
    for (unsigned i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        expect_v2(texts[i], 0);
    }
    end();
}

TEST(the_smallest_on_the_way_up)
{
    begin();
    put("proc/self/cgroup", "0::/a/b/c\n");
    put("sys/fs/cgroup/a/b/c/cpu.max", "max 100000\n");
    EXPECT_EQ_U64(os_cgroup_cpus(root), 0);
    put("sys/fs/cgroup/a/cpu.max", "400000 100000\n");
    EXPECT_EQ_U64(os_cgroup_cpus(root), 4);
    put("sys/fs/cgroup/a/b/cpu.max", "200000 100000\n");
    EXPECT_EQ_U64(os_cgroup_cpus(root), 2);
    put("sys/fs/cgroup/a/b/c/cpu.max", "800000 100000\n");
    EXPECT_EQ_U64(os_cgroup_cpus(root), 2);
    /* The mount's own file is what a container sees of its limit. */
    put("sys/fs/cgroup/cpu.max", "100000 100000\n");
    EXPECT_EQ_U64(os_cgroup_cpus(root), 1);
    /* A sibling's is nobody's business, nor what lies above the mount. */
    put("sys/fs/cgroup/cpu.max", "300000 100000\n");
    put("sys/fs/cgroup/b/cpu.max", "100000 100000\n");
    put("sys/fs/cpu.max", "100000 100000\n");
    EXPECT_EQ_U64(os_cgroup_cpus(root), 2);
    end();
}

TEST(a_group_that_is_not_there)
{
    begin();
    put("proc/self/cgroup", "0::/docker/0123456789abcdef\n");
    put("sys/fs/cgroup/cpu.max", "300000 100000\n");
    EXPECT_EQ_U64(os_cgroup_cpus(root), 3);
    put("proc/self/cgroup", "0::/\n");
    EXPECT_EQ_U64(os_cgroup_cpus(root), 3);
    put("proc/self/cgroup", "0::\n");
    EXPECT_EQ_U64(os_cgroup_cpus(root), 3);
    end();
}

static void put_v1(const char *dir, const char *quota, const char *period)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/cpu.cfs_quota_us", dir);
    put(path, quota);
    snprintf(path, sizeof(path), "%s/cpu.cfs_period_us", dir);
    put(path, period);
}

TEST(version_1)
{
    begin();
    put("proc/self/cgroup", "4:memory:/m\n3:cpuset:/s\n2:cpu:/a/b\n");
    put_v1("sys/fs/cgroup/cpu/a/b", "250000\n", "100000\n");
    EXPECT_EQ_U64(os_cgroup_cpus(root), 3);
    put_v1("sys/fs/cgroup/cpu/a", "100000\n", "100000\n");
    EXPECT_EQ_U64(os_cgroup_cpus(root), 1);
    put_v1("sys/fs/cgroup/cpu/a", "-1\n", "100000\n");
    EXPECT_EQ_U64(os_cgroup_cpus(root), 3);
    put_v1("sys/fs/cgroup/cpu/a/b", "-1\n", "100000\n");
    EXPECT_EQ_U64(os_cgroup_cpus(root), 0);
    put_v1("sys/fs/cgroup/cpu/a/b", "100000\n", "0\n");
    EXPECT_EQ_U64(os_cgroup_cpus(root), 0);
    put_v1("sys/fs/cgroup/cpu/a/b", "x\n", "y\n");
    EXPECT_EQ_U64(os_cgroup_cpus(root), 0);
    /* The controllers whose names only begin alike do not count. */
    put("proc/self/cgroup", "3:cpuset:/a\n2:cpuacct:/a\n");
    put_v1("sys/fs/cgroup/cpu/a", "100000\n", "100000\n");
    EXPECT_EQ_U64(os_cgroup_cpus(root), 0);
    end();
}

/* Mounted together, with the links that systems make for each name. */
TEST(version_1_mounted_together)
{
    begin();
    shell("mkdir -p sys/fs/cgroup/cpu,cpuacct && "
          "ln -s cpu,cpuacct sys/fs/cgroup/cpu");
    put_v1("sys/fs/cgroup/cpu,cpuacct/a", "200000\n", "100000\n");
    put("proc/self/cgroup", "5:cpu,cpuacct:/a\n");
    EXPECT_EQ_U64(os_cgroup_cpus(root), 2);
    put("proc/self/cgroup", "5:cpuacct,cpu:/a\n");
    EXPECT_EQ_U64(os_cgroup_cpus(root), 2);
    /* Both versions at once: the smaller limit holds. */
    put("proc/self/cgroup", "5:cpuacct,cpu:/a\n0::/a\n");
    put("sys/fs/cgroup/a/cpu.max", "100000 100000\n");
    EXPECT_EQ_U64(os_cgroup_cpus(root), 1);
    end();
}

TEST(version_1_without_links)
{
    begin();
    put_v1("sys/fs/cgroup/cpu,cpuacct/a", "300000\n", "100000\n");
    put("proc/self/cgroup", "5:cpu,cpuacct:/a\n");
    EXPECT_EQ_U64(os_cgroup_cpus(root), 3);
    end();
}

/* Pods name every controller with a path of a hundred bytes. */
TEST(group_files_of_some_kilobytes)
{
    static char text[8192];
    size_t used = 0;
    begin();
    for (int i = 20; used < sizeof(text) - 300; i++) {
        used += (size_t)snprintf(text + used, sizeof(text) - used,
            "%d:name%d:/kubepods/burstable/pod0123456789abcdef/%0100d\n", i, i,
            i);
    }
    (void)snprintf(text + used, sizeof(text) - used, "1:cpu:/a\n");
    put_v1("sys/fs/cgroup/cpu/a", "100000\n", "100000\n");
    put("proc/self/cgroup", text);
    EXPECT_EQ_U64(os_cgroup_cpus(root), 1);
    end();
}

TEST(lines_that_mean_nothing)
{
    begin();
    put("sys/fs/cgroup/cpu.max", "100000 100000\n");
    const char *texts[] = {
        "", "\n", "0\n", ":\n", "0:\n", "x:y\n", "0:x:/\n", "no colon at all"};
    for (unsigned i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        put("proc/self/cgroup", texts[i]);
        EXPECT_EQ_U64(os_cgroup_cpus(root), 0);
    }
    put("proc/self/cgroup", "\n\nx\n0::/");
    EXPECT_EQ_U64(os_cgroup_cpus(root), 1);
    /* Names too long for any path. */
    static char text[3000];
    memset(text, 'x', sizeof(text) - 1);
    memcpy(text, "0::/", 4);
    put("proc/self/cgroup", text);
    EXPECT_EQ_U64(os_cgroup_cpus(root), 0);
    EXPECT_EQ_U64(os_cgroup_cpus(text), 0);
    EXPECT_EQ_U64(os_cgroup_cpus("/nonexistent"), 0);
    end();
}

TEST(this_machine)
{
    je_free(je_malloc(1));
    cpu_set_t set;
    REQUIRE(sched_getaffinity(0, sizeof(set), &set) == 0);
    unsigned all = (unsigned)CPU_COUNT(&set);
    unsigned quota = os_cgroup_cpus("");
    EXPECT_EQ_U64(os_cpu_count(), quota != 0 && quota < all ? quota : all);
    CPU_ZERO(&set);
    CPU_SET((unsigned)sched_getcpu(), &set);
    cpu_set_t former;
    REQUIRE(sched_getaffinity(0, sizeof(former), &former) == 0);
    REQUIRE(sched_setaffinity(0, sizeof(set), &set) == 0);
    EXPECT_EQ_U64(os_cpu_count(), 1);
    EXPECT_EQ_I64(sched_setaffinity(0, sizeof(former), &former), 0);
}

int main(void)
{
    return test_run(TEST_CASE(version_2), TEST_CASE(malformed_version_2),
        TEST_CASE(the_smallest_on_the_way_up),
        TEST_CASE(a_group_that_is_not_there), TEST_CASE(version_1),
        TEST_CASE(version_1_mounted_together),
        TEST_CASE(version_1_without_links),
        TEST_CASE(group_files_of_some_kilobytes),
        TEST_CASE(lines_that_mean_nothing), TEST_CASE(this_machine), NULL);
}
