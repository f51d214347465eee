/*
 * What: the other entry points of glibc's malloc that programs call blindly,
 * made to tell or do the truth about this heap instead of acting on the
 * C library's idle one.
 *
 * Invariants: (I1) structures are laid out as in <malloc.h>.
 *
 * Locking: none.
 */
#include <errno.h>
#include <limits.h>
#include <malloc.h>
#include <stdio.h>

#include "api/alloc.h"
#include "api/init.h"
#include "arena/totals.h"
#include "stats/report.h"

#ifdef __GLIBC__

JEMALLOC_EXPORT void *je_reallocarray(void *ptr, size_t num, size_t size);
JEMALLOC_EXPORT int je_malloc_trim(size_t pad);
JEMALLOC_EXPORT int je_mallopt(int parameter, int value);
JEMALLOC_EXPORT void je_malloc_stats(void);
JEMALLOC_EXPORT struct mallinfo je_mallinfo(void);
JEMALLOC_EXPORT int je_malloc_info(int options, FILE *stream);

/* As realloc of num * size; ENOMEM when the product overflows. */
void *je_reallocarray(void *ptr, size_t num, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(num, size, &bytes)) {
        errno = ENOMEM;
        return NULL;
    }
    return je_realloc(ptr, bytes);
}

/* Gives the calling thread's cache and all unused pages back. */
int je_malloc_trim(size_t pad)
{
    (void)pad; /* there is no top of the heap to keep */
    tsd_t *tsd = alloc_tsd();
    if (tsd == NULL) {
        return 0;
    }
    totals_t before;
    totals_t after;
    totals_read(&before);
    tsd_flush(tsd);
    arena_table_purge_all();
    totals_read(&after);
    return after.resident < before.resident;
}

/*
 * glibc's parameters tune glibc's heap; options of this one are set before
 * it starts. Success, because programs take failure for a broken system.
 */
int je_mallopt(int parameter, int value)
{
    (void)parameter;
    (void)value;
    return 1;
}

void je_malloc_stats(void)
{
    if (init_ensure()) {
        report_print(NULL, NULL, NULL);
    }
}

static int saturate(size_t n)
{
    return n > INT_MAX ? INT_MAX : (int)n;
}

struct mallinfo je_mallinfo(void)
{
    totals_t now = {0};
    if (init_ensure()) {
        totals_read(&now);
    }
    return (struct mallinfo){
        .arena = saturate(now.mapped),
        .hblkhd = saturate(now.metadata),
        .uordblks = saturate(now.allocated),
        .fordblks = saturate(now.mapped - now.allocated),
    };
}

#    if defined(__GLIBC_PREREQ) && __GLIBC_PREREQ(2, 33)
JEMALLOC_EXPORT struct mallinfo2 je_mallinfo2(void);

struct mallinfo2 je_mallinfo2(void)
{
    totals_t now = {0};
    if (init_ensure()) {
        totals_read(&now);
    }
    return (struct mallinfo2){
        .arena = now.mapped,
        .hblkhd = now.metadata,
        .uordblks = now.allocated,
        .fordblks = now.mapped - now.allocated,
    };
}
#    endif

/* The totals in the XML frame that readers of glibc's output expect. */
int je_malloc_info(int options, FILE *stream)
{
    if (options != 0) {
        return EINVAL;
    }
    totals_t now = {0};
    if (init_ensure()) {
        totals_read(&now);
    }
    int done = fprintf(stream,
        "<malloc version=\"jemalloc %s\">\n"
        "<total type=\"allocated\" size=\"%zu\"/>\n"
        "<system type=\"current\" size=\"%zu\"/>\n"
        "<aspace type=\"total\" size=\"%zu\"/>\n"
        "</malloc>\n",
        JEMALLOC_VERSION, now.allocated, now.resident, now.mapped);
    return done < 0 ? EIO : 0;
}

#endif
