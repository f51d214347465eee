/*
 * What: the public entries of the control tree and of the report.
 *
 * Invariants: (I1) they return errno numbers and leave errno alone.
 *
 * Locking: none held on entry.
 */
#include <errno.h>

#include "api/init.h"
#include "ctl/ctl.h"
#include "ctl/ctl_block.h"
#include "extent/extent_hooks.h" /* the public header, with je_ names */
#include "stats/report.h"

static bool is_ready(void)
{
    if (!init_ensure()) {
        return false;
    }
    ctl_set_mallocx(je_mallocx);
    return true;
}

int je_mallctl(
    const char *name, void *oldp, size_t *oldlenp, void *newp, size_t newlen)
{
    int saved_errno = errno;
    int error =
        is_ready() ? ctl_by_name(name, oldp, oldlenp, newp, newlen) : EAGAIN;
    errno = saved_errno;
    return error;
}

int je_mallctlnametomib(const char *name, size_t *mibp, size_t *miblenp)
{
    int saved_errno = errno;
    int error = is_ready() ? ctl_name_to_mib(name, mibp, miblenp) : EAGAIN;
    errno = saved_errno;
    return error;
}

int je_mallctlbymib(const size_t *mib, size_t miblen, void *oldp,
    size_t *oldlenp, void *newp, size_t newlen)
{
    int saved_errno = errno;
    int error = is_ready()
                    ? ctl_by_mib(mib, miblen, oldp, oldlenp, newp, newlen)
                    : EAGAIN;
    errno = saved_errno;
    return error;
}

void je_malloc_stats_print(
    void (*write_cb)(void *, const char *), void *cbopaque, const char *opts)
{
    int saved_errno = errno;
    if (init_ensure()) {
        report_print(write_cb, cbopaque, opts);
    }
    errno = saved_errno;
}
