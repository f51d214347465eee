/*
 * What: how many CPUs this process is granted: the affinity mask, cut down
 * by the CPU quota of its control group (version 2 or 1), as containers set.
 *
 * Invariants: (I1) the answer is at least 1; (I2) anything unreadable means
 * no limit.
 *
 * Locking: none.
 */
#include "os/os.h"

#include <limits.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

#include "util/bits.h"
#include "util/format.h"

/* Longest path of a control file that is looked at, in bytes. */
#define CPUS_PATH_MAX 512
/* Bytes of a control file that are read: two numbers. */
#define CPUS_TEXT_MAX 64
/* Bytes of /proc/self/cgroup that are read. */
#define CPUS_GROUPS_MAX 16384

unsigned os_affinity_cpus(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof(set), &set) == 0) {
        return (unsigned)CPU_COUNT(&set);
    }
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 ? (unsigned)online : 1;
}

/* Parses the digits at *text and moves behind them; -1 if there are none. */
static int64_t parse_number(const char **text)
{
    const char *start = *text;
    const char *end = start;
    while (*end >= '0' && *end <= '9') {
        end++;
    }
    uint64_t value;
    bool negative;
    *text = end;
    /* Base ten always: a leading 0 cannot occur in these files but as "0". */
    if (end == start || !format_parse_u64(start, end, &value, &negative) ||
        value > INT64_MAX) {
        return -1;
    }
    return (int64_t)value;
}

static unsigned cpus_of_quota(int64_t quota, int64_t period)
{
    if (quota <= 0 || period <= 0) {
        return 0;
    }
    int64_t cpus = quota / period + (quota % period != 0);
    return cpus > INT_MAX ? 0 : (unsigned)cpus;
}

/* "cpu.max" of version 2: "QUOTA PERIOD" or "max PERIOD". */
static unsigned quota_v2(const char *dir)
{
    char path[CPUS_PATH_MAX];
    char text[CPUS_TEXT_MAX];
    if (format_print(path, sizeof(path), "%s/cpu.max", dir) >= sizeof(path) ||
        os_read_file(path, text, sizeof(text)) <= 0) {
        return 0;
    }
    const char *next = text;
    int64_t quota = parse_number(&next);
    if (quota < 0 || *next != ' ') {
        return 0;
    }
    next++;
    return cpus_of_quota(quota, parse_number(&next));
}

static int64_t read_number(const char *dir, const char *name)
{
    char path[CPUS_PATH_MAX];
    char text[CPUS_TEXT_MAX];
    if (format_print(path, sizeof(path), "%s/%s", dir, name) >= sizeof(path) ||
        os_read_file(path, text, sizeof(text)) <= 0) {
        return -1;
    }
    const char *next = text;
    return parse_number(&next);
}

static unsigned quota_v1(const char *dir)
{
    return cpus_of_quota(read_number(dir, "cpu.cfs_quota_us"),
        read_number(dir, "cpu.cfs_period_us"));
}

/* By hand, as memcheck does not understand strrchr of a static program. */
static char *last_slash(char *path)
{
    char *slash = NULL;
    for (char *p = path; *p != '\0'; p++) {
        slash = *p == '/' ? p : slash;
    }
    return slash;
}

/* The smallest limit on the way from the process's group to the root. */
static unsigned walk_up(
    const char *mount, const char *group, unsigned (*quota)(const char *))
{
    char dir[CPUS_PATH_MAX];
    if (format_print(dir, sizeof(dir), "%s%s", mount, group) >= sizeof(dir)) {
        return 0;
    }
    size_t stop = strlen(mount);
    unsigned least = 0;
    for (;;) {
        unsigned cpus = quota(dir);
        if (cpus != 0 && (least == 0 || cpus < least)) {
            least = cpus;
        }
        char *slash = last_slash(dir);
        if (slash == NULL || (size_t)(slash - dir) < stop) {
            return least;
        }
        *slash = '\0';
    }
}

/* Whether the comma list [list, end) of version 1 names the cpu controller. */
static bool has_cpu_controller(const char *list, const char *end)
{
    while (list < end) {
        const char *comma = memchr(list, ',', (size_t)(end - list));
        const char *stop = comma == NULL ? end : comma;
        if (stop - list == 3 && memcmp(list, "cpu", 3) == 0) {
            return true;
        }
        list = stop + 1;
    }
    return false;
}

/* Version 1 is mounted by the names of its controllers, or just as "cpu". */
static unsigned quota_of_v1(
    const char *root, const char *controllers, size_t length, const char *group)
{
    char mount[CPUS_PATH_MAX];
    (void)format_print(mount, sizeof(mount), "%s/sys/fs/cgroup/%.*s", root,
        (int)length, controllers);
    unsigned cpus = walk_up(mount, group, quota_v1);
    if (cpus == 0) {
        (void)format_print(mount, sizeof(mount), "%s/sys/fs/cgroup/cpu", root);
        cpus = walk_up(mount, group, quota_v1);
    }
    return cpus;
}

/* One line "ID:CONTROLLERS:GROUP" of /proc/self/cgroup. */
static unsigned quota_of_line(const char *root, char *line)
{
    char *controllers = strchr(line, ':');
    char *group = controllers == NULL ? NULL : strchr(controllers + 1, ':');
    if (group == NULL) {
        return 0;
    }
    controllers++;
    if (has_cpu_controller(controllers, group)) {
        return quota_of_v1(
            root, controllers, (size_t)(group - controllers), group + 1);
    }
    if (group != controllers) {
        return 0;
    }
    char mount[CPUS_PATH_MAX];
    (void)format_print(mount, sizeof(mount), "%s/sys/fs/cgroup", root);
    return walk_up(mount, group + 1, quota_v2);
}

/* The smallest limit that any line of the text leads to. */
static unsigned least_quota(const char *root, char *text)
{
    unsigned least = 0;
    for (char *line = text; line != NULL && *line != '\0';) {
        char *end = strchr(line, '\n');
        if (end != NULL) {
            *end = '\0';
        }
        unsigned cpus = quota_of_line(root, line);
        if (cpus != 0 && (least == 0 || cpus < least)) {
            least = cpus;
        }
        line = end == NULL ? NULL : end + 1;
    }
    return least;
}

unsigned os_cgroup_cpus(const char *root)
{
    char path[CPUS_PATH_MAX];
    /* Pods have a dozen long lines there: too much for a small stack. */
    size_t size = bits_round_up(CPUS_GROUPS_MAX, os_page_size());
    char *text = os_map(size, os_page_size());
    unsigned least = 0;
    if (text == NULL) {
        return 0;
    }
    if (format_print(path, sizeof(path), "%s/proc/self/cgroup", root) <
            sizeof(path) &&
        os_read_file(path, text, size) > 0) {
        least = least_quota(root, text);
    }
    (void)os_unmap(text, size);
    return least;
}

unsigned os_cpu_count(void)
{
    unsigned cpus = os_affinity_cpus();
    unsigned quota = os_cgroup_cpus("");
    return quota != 0 && quota < cpus ? quota : cpus;
}
