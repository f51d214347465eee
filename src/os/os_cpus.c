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

/*
 * Mapped while the quota is read: pods have a dozen long lines, and the
 * thread that asks may have a small stack.
 */
typedef struct {
    char groups[CPUS_GROUPS_MAX];
    char mount[CPUS_PATH_MAX]; /* of the controller */
    char dir[CPUS_PATH_MAX];   /* on the way up */
    char path[CPUS_PATH_MAX];  /* of a file in it */
} scratch_t;

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

/* The file of that name in s->dir. */
static bool read_in(scratch_t *s, const char *name, char text[CPUS_TEXT_MAX])
{
    return format_print(s->path, sizeof(s->path), "%s/%s", s->dir, name) <
               sizeof(s->path) &&
           os_read_file(s->path, text, CPUS_TEXT_MAX) > 0;
}

/* "cpu.max" of version 2: "QUOTA PERIOD" or "max PERIOD". */
static unsigned quota_v2(scratch_t *s)
{
    char text[CPUS_TEXT_MAX];
    if (!read_in(s, "cpu.max", text)) {
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

static int64_t read_number(scratch_t *s, const char *name)
{
    char text[CPUS_TEXT_MAX];
    if (!read_in(s, name, text)) {
        return -1;
    }
    const char *next = text;
    return parse_number(&next);
}

static unsigned quota_v1(scratch_t *s)
{
    return cpus_of_quota(read_number(s, "cpu.cfs_quota_us"),
        read_number(s, "cpu.cfs_period_us"));
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

/* The smallest limit on the way from the process's group to s->mount. */
static unsigned walk_up(
    scratch_t *s, const char *group, unsigned (*quota)(scratch_t *))
{
    if (format_print(s->dir, sizeof(s->dir), "%s%s", s->mount, group) >=
        sizeof(s->dir)) {
        return 0;
    }
    size_t stop = strlen(s->mount);
    unsigned least = 0;
    for (;;) {
        unsigned cpus = quota(s);
        if (cpus != 0 && (least == 0 || cpus < least)) {
            least = cpus;
        }
        char *slash = last_slash(s->dir);
        if (slash == NULL || (size_t)(slash - s->dir) < stop) {
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
static unsigned quota_of_v1(scratch_t *s, const char *root,
    const char *controllers, size_t length, const char *group)
{
    (void)format_print(s->mount, sizeof(s->mount), "%s/sys/fs/cgroup/%.*s",
        root, (int)length, controllers);
    unsigned cpus = walk_up(s, group, quota_v1);
    if (cpus == 0) {
        (void)format_print(
            s->mount, sizeof(s->mount), "%s/sys/fs/cgroup/cpu", root);
        cpus = walk_up(s, group, quota_v1);
    }
    return cpus;
}

/* One line "ID:CONTROLLERS:GROUP" of /proc/self/cgroup. */
static unsigned quota_of_line(scratch_t *s, const char *root, char *line)
{
    char *controllers = strchr(line, ':');
    char *group = controllers == NULL ? NULL : strchr(controllers + 1, ':');
    if (group == NULL) {
        return 0;
    }
    controllers++;
    if (has_cpu_controller(controllers, group)) {
        return quota_of_v1(
            s, root, controllers, (size_t)(group - controllers), group + 1);
    }
    if (group != controllers) {
        return 0;
    }
    (void)format_print(s->mount, sizeof(s->mount), "%s/sys/fs/cgroup", root);
    return walk_up(s, group + 1, quota_v2);
}

/* The smallest limit that any line of s->groups leads to. */
static unsigned least_quota(scratch_t *s, const char *root)
{
    unsigned least = 0;
    for (char *line = s->groups; line != NULL && *line != '\0';) {
        char *end = strchr(line, '\n');
        if (end != NULL) {
            *end = '\0';
        }
        unsigned cpus = quota_of_line(s, root, line);
        if (cpus != 0 && (least == 0 || cpus < least)) {
            least = cpus;
        }
        line = end == NULL ? NULL : end + 1;
    }
    return least;
}

unsigned os_cgroup_cpus(const char *root)
{
    size_t size = bits_round_up(sizeof(scratch_t), os_page_size());
    scratch_t *s = os_map(size, os_page_size());
    unsigned least = 0;
    if (s == NULL) {
        return 0;
    }
    if (format_print(s->path, sizeof(s->path), "%s/proc/self/cgroup", root) <
            sizeof(s->path) &&
        os_read_file(s->path, s->groups, sizeof(s->groups)) > 0) {
        least = least_quota(s, root);
    }
    (void)os_unmap(s, size);
    return least;
}

unsigned os_cpu_count(void)
{
    unsigned cpus = os_affinity_cpus();
    unsigned quota = os_cgroup_cpus("");
    return quota != 0 && quota < cpus ? quota : cpus;
}
