/*
 * What: the control tree: names and vectors, the rules of reading and
 * writing, special indices, each node that there is, and the sums that the
 * statistics must keep.
 *
 * Invariants: (I1) nothing depends on the machine but through opt.narenas,
 * which is set here.
 *
 * Locking: none.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/types.h>

#include "conf/limits.h"
#include "harness.h"
#include "jemalloc/jemalloc.h"

const char *je_malloc_conf = "narenas:2,abort_conf:true,retain:true";

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Numbers of classes, as parts of names: large ones, and runs of pages. */
#if UINTPTR_MAX > UINT32_MAX
#    define LARGE_COUNT "196"
#    define LARGE_LAST  "195"
#    define RUN_COUNT   "199"
#else
#    define LARGE_COUNT "68"
#    define LARGE_LAST  "67"
#    define RUN_COUNT   "71"
#endif

/* ---- shorthand ---- */

static int act(const char *name)
{
    return je_mallctl(name, NULL, NULL, NULL, 0);
}

static int get(const char *name, void *value, size_t size)
{
    return je_mallctl(name, value, &size, NULL, 0);
}

static int set(const char *name, const void *value, size_t size)
{
    return je_mallctl(name, NULL, NULL, (void *)(uintptr_t)value, size);
}

/* A size, or a counter of 64 bits. */
static int get_number(const char *name, size_t *value)
{
    uint64_t count = 0;
    if (get(name, value, sizeof(*value)) == 0) {
        return 0;
    }
    int error = get(name, &count, sizeof(count));
    *value = (size_t)count;
    return error;
}

static size_t get_size(const char *name)
{
    size_t value = 0;
    if (get_number(name, &value) != 0) {
        test_note("no %s", name);
        EXPECT(false);
        return SIZE_MAX;
    }
    return value;
}

static unsigned get_unsigned(const char *name)
{
    unsigned value = UINT_MAX;
    if (get(name, &value, sizeof(value)) != 0) {
        test_note("no %s", name);
        EXPECT(false);
    }
    return value;
}

static const char *get_text(const char *name)
{
    const char *value = "?";
    EXPECT_EQ_I64(get(name, &value, sizeof(value)), 0);
    return value;
}

static uint64_t refresh(void)
{
    uint64_t epoch = 1;
    size_t len = sizeof(epoch);
    EXPECT_EQ_I64(je_mallctl("epoch", &epoch, &len, &epoch, sizeof(epoch)), 0);
    return epoch;
}

/* "arena.<i>.<leaf>" and the like, in one of a few static buffers. */
static const char *indexed(const char *format, unsigned i)
{
    static char names[4][96];
    static unsigned turn;
    char *name = names[turn++ % COUNT(names)];
    size_t len = strcspn(format, "%");
    char digits[12];
    size_t n = sizeof(digits);
    digits[--n] = '\0';
    do {
        digits[--n] = (char)('0' + i % 10);
        i /= 10;
    } while (i != 0);
    memcpy(name, format, len);
    strcpy(name + len, digits + n);
    strcat(name, format + len + 1);
    return name;
}

/* ---- names ---- */

TEST(names_that_are_none)
{
    static const char *const names[] = {
        "",
        ".",
        "..",
        "stats",
        "stats.",
        ".version",
        "version.",
        "version.x",
        "version..",
        "versio",
        "versionx",
        "Version",
        " version",
        "arenas.bin",
        "arenas.bin.",
        "arenas.bin.0",
        "arenas.bin..size",
        "arenas.bin.x.size",
        "arenas.bin.-1.size",
        "arenas.bin.36.size",
        "arenas.bin.18446744073709551616.size",
        "arenas.bin.99999999999999999999999999.size",
        "arenas.lextent." LARGE_COUNT ".size",
        "arena.0",
        "arena.4095.decay",
        "arena.4098.decay",
        "arena.4294967296.decay",
        "stats.arenas.4095.pactive",
        "stats.arenas.0.bins.36.nmalloc",
        "stats.arenas.0.lextents." LARGE_COUNT ".nmalloc",
        "stats.arenas.0.extents." RUN_COUNT ".ndirty",
        "stats.arenas.0.bins.0.mutex",
        "stats.arenas.0.bins.0.mutex.num_ops.x",
        "a.b.c.d.e.f.g.h.i.j",
        "opt.profx",
        "opt.utrace",
        "opt.narenas_ratio",
        "opt.malloc_conf",
    };
    char value[64];
    for (size_t i = 0; i < COUNT(names); i++) {
        size_t len = sizeof(value);
        int error = je_mallctl(names[i], value, &len, NULL, 0);
        if (error != ENOENT) {
            test_note("\"%s\" gives %d", names[i], error);
        }
        EXPECT_EQ_I64(error, ENOENT);
        EXPECT_EQ_U64(len, sizeof(value));
    }
}

/* Cuts, doubles and changes real names: never more than a clean ENOENT. */
TEST(names_mutilated)
{
    static const char *const seeds[] = {
        "stats.arenas.0.bins.3.mutex.num_ops",
        "arenas.lextent.12.size",
        "opt.malloc_conf.env_var",
        "thread.tcache.enabled",
    };
    static const char changes[] = {'.', '0', '-', ' ', '\x7f', 'x'};
    char name[80];
    for (size_t s = 0; s < COUNT(seeds); s++) {
        size_t len = strlen(seeds[s]);
        for (size_t at = 0; at < len; at++) {
            for (size_t c = 0; c < COUNT(changes); c++) {
                strcpy(name, seeds[s]);
                name[at] = changes[c];
                size_t mib[8] = {0};
                size_t miblen = 7;
                int error = je_mallctlnametomib(name, mib, &miblen);
                EXPECT(error == 0 || error == ENOENT);
                EXPECT_EQ_U64(mib[7], 0);
                EXPECT_LE_U64(miblen, 7);
            }
            memcpy(name, seeds[s], at);
            name[at] = '\0';
            int error = act(name);
            EXPECT(error == ENOENT || error == 0);
        }
    }
}

TEST(name_to_mib)
{
    size_t mib[7];
    size_t len = 7;
    EXPECT_EQ_I64(je_mallctlnametomib("stats.arenas", mib, &len), 0);
    EXPECT_EQ_U64(len, 2);
    len = 7;
    EXPECT_EQ_I64(je_mallctlnametomib("arenas.bin.5.nregs", mib, &len), 0);
    EXPECT_EQ_U64(len, 4);
    EXPECT_EQ_U64(mib[2], 5);
    size_t cut[7] = {0, 0, 77, 77, 77, 77, 77};
    len = 2;
    EXPECT_EQ_I64(je_mallctlnametomib("arenas.bin.5.nregs", cut, &len), 0);
    EXPECT_EQ_U64(len, 2);
    EXPECT_EQ_U64(cut[0], mib[0]);
    EXPECT_EQ_U64(cut[1], mib[1]);
    EXPECT_EQ_U64(cut[2], 77);
    len = 0;
    EXPECT_EQ_I64(je_mallctlnametomib("arenas.bin.5.nregs", NULL, &len), 0);
    EXPECT_EQ_U64(len, 0);
    len = 5;
    EXPECT_EQ_I64(je_mallctlnametomib("arenas.nothing", mib, &len), ENOENT);
    EXPECT_EQ_U64(len, 5);
}

TEST(mib_walk)
{
    size_t mib[8] = {0};
    size_t len = 7;
    size_t size = 0;
    size_t n = sizeof(size);
    REQUIRE(je_mallctlnametomib("arenas.bin.0.size", mib, &len) == 0);
    for (unsigned i = 0; i < get_unsigned("arenas.nbins"); i++) {
        size_t before = size;
        mib[2] = i;
        EXPECT_EQ_I64(je_mallctlbymib(mib, len, &size, &n, NULL, 0), 0);
        EXPECT_LT_U64(before, size);
    }
    EXPECT_EQ_U64(size, 14336);
    mib[2] = 36;
    EXPECT_EQ_I64(je_mallctlbymib(mib, 4, &size, &n, NULL, 0), ENOENT);
    mib[2] = SIZE_MAX;
    EXPECT_EQ_I64(je_mallctlbymib(mib, 4, &size, &n, NULL, 0), ENOENT);
    mib[2] = 0;
    EXPECT_EQ_I64(je_mallctlbymib(mib, 3, &size, &n, NULL, 0), ENOENT);
    EXPECT_EQ_I64(je_mallctlbymib(mib, 5, &size, &n, NULL, 0), ENOENT);
    EXPECT_EQ_I64(je_mallctlbymib(mib, 8, &size, &n, NULL, 0), ENOENT);
    EXPECT_EQ_I64(je_mallctlbymib(mib, 0, &size, &n, NULL, 0), ENOENT);
    mib[3] = 1000;
    EXPECT_EQ_I64(je_mallctlbymib(mib, 4, &size, &n, NULL, 0), ENOENT);
    mib[0] = SIZE_MAX;
    EXPECT_EQ_I64(je_mallctlbymib(mib, 4, &size, &n, NULL, 0), ENOENT);
    len = 7;
    REQUIRE(je_mallctlnametomib("arena.0.purge", mib, &len) == 0);
#if SIZE_MAX > UINT_MAX
    mib[1] = (size_t)UINT_MAX + 1;
    EXPECT_EQ_I64(je_mallctlbymib(mib, len, NULL, NULL, NULL, 0), EFAULT);
#endif
}

/* ---- buffers and access ---- */

TEST(output_rules)
{
    unsigned char raw[24];
    memset(raw, 0xee, sizeof(raw));
    size_t page = 0;
    size_t len = 3;
    EXPECT_EQ_I64(je_mallctl("arenas.page", raw, &len, NULL, 0), EINVAL);
    EXPECT_EQ_U64(len, 3);
    EXPECT_EQ_U64(raw[1], 0x10);
    EXPECT_EQ_U64(raw[3], 0xee);
    len = 16;
    EXPECT_EQ_I64(je_mallctl("arenas.page", raw, &len, NULL, 0), EINVAL);
    EXPECT_EQ_U64(len, sizeof(page));
    EXPECT_EQ_U64(raw[sizeof(page)], 0xee);
    len = 0;
    EXPECT_EQ_I64(je_mallctl("arenas.page", raw, &len, NULL, 0), EINVAL);
    EXPECT_EQ_U64(len, 0);
    len = sizeof(page);
    EXPECT_EQ_I64(je_mallctl("arenas.page", NULL, &len, NULL, 0), 0);
    EXPECT_EQ_I64(je_mallctl("arenas.page", &page, NULL, NULL, 0), 0);
    EXPECT_EQ_U64(page, 0);
    EXPECT_EQ_I64(act("arenas.page"), 0);
    EXPECT_EQ_I64(get("arenas.page", &page, sizeof(page)), 0);
    EXPECT_EQ_U64(page, 4096);
}

TEST(access_classes)
{
    size_t value = 1;
    size_t len = sizeof(value);
    EXPECT_EQ_I64(set("arenas.page", &value, sizeof(value)), EPERM);
    EXPECT_EQ_I64(je_mallctl("version", NULL, NULL, NULL, 1), EPERM);
    EXPECT_EQ_I64(je_mallctl("stats.active", NULL, NULL, &value, 0), EPERM);
    EXPECT_EQ_I64(get("tcache.flush", &value, 4), EPERM);
    EXPECT_EQ_I64(je_mallctl("tcache.destroy", NULL, &len, &value, 4), EPERM);
    EXPECT_EQ_I64(get("arena.0.purge", &value, len), EPERM);
    EXPECT_EQ_I64(je_mallctl("arena.0.decay", NULL, &len, NULL, 0), EPERM);
    EXPECT_EQ_I64(set("thread.idle", &value, len), EPERM);
    EXPECT_EQ_I64(je_mallctl("thread.idle", NULL, NULL, NULL, 1), EPERM);
    EXPECT_EQ_I64(set("thread.tcache.flush", &value, len), EPERM);
    EXPECT_EQ_I64(set("stats.mutexes.reset", &value, len), 0);
}

TEST(errno_is_kept)
{
    errno = 12345;
    EXPECT_EQ_I64(act("no.such.thing"), ENOENT);
    EXPECT_EQ_I64(act("arena.0.purge"), 0);
    (void)refresh();
    EXPECT_EQ_I64(errno, 12345);
}

/* ---- constants ---- */

TEST(constants)
{
    bool yes = false;
    EXPECT_EQ_STR(get_text("version"), JEMALLOC_VERSION);
    EXPECT_EQ_U64(get_size("arenas.quantum"), 16);
    EXPECT_EQ_U64(get_size("arenas.hugepage"), 2 << 20);
    EXPECT_EQ_U64(get_size("arenas.tcache_max"), 32768);
    EXPECT_EQ_U64(get_unsigned("arenas.nbins"), 36);
    EXPECT_EQ_U64(get_unsigned("arenas.nhbins"), 41);
    EXPECT_EQ_U64(get_unsigned("arenas.nlextents"), SC_COUNT - 36);
    EXPECT_EQ_U64(get_size("arenas.bin.7.size"), 112);
    EXPECT_EQ_U64(get_unsigned("arenas.bin.7.nregs"), 256);
    EXPECT_EQ_U64(get_size("arenas.bin.7.slab_size"), 28672);
    EXPECT_EQ_U64(get_unsigned("arenas.bin.7.nshards"), 1);
    EXPECT_EQ_U64(get_size("arenas.bin.007.size"), 112);
    EXPECT_EQ_U64(get_size("arenas.lextent.0.size"), 16384);
    EXPECT_EQ_U64(get_size("arenas.lextent." LARGE_LAST ".size"), SC_MAX);
    EXPECT_EQ_I64(get("config.stats", &yes, sizeof(yes)), 0);
    EXPECT(yes);
    EXPECT_EQ_I64(get("config.lazy_lock", &yes, sizeof(yes)), 0);
    EXPECT(!yes);
    EXPECT_EQ_STR(get_text("config.malloc_conf"), "");
}

TEST(options)
{
    ssize_t ms = 0;
    bool flag = false;
    uint32_t ratio = 0;
    const char *text;
    EXPECT_EQ_U64(get_unsigned("opt.narenas"), 2);
    EXPECT_EQ_I64(get("opt.abort_conf", &flag, sizeof(flag)), 0);
    EXPECT(flag);
    EXPECT_EQ_I64(get("opt.dirty_decay_ms", &ms, sizeof(ms)), 0);
    EXPECT_EQ_I64(ms, 10000);
    EXPECT_EQ_STR(get_text("opt.dss"), "secondary");
    EXPECT_EQ_STR(get_text("opt.zero_realloc"), "free");
    EXPECT_EQ_STR(get_text("opt.stats_print_opts"), "");
    EXPECT_EQ_I64(get("opt.hpa_dirty_mult", &ratio, sizeof(ratio)), 0);
    EXPECT_EQ_U64(ratio, 16384);
    EXPECT_EQ_STR(get_text("opt.malloc_conf.global_var"),
        "narenas:2,abort_conf:true,retain:true");
    EXPECT_EQ_I64(get("opt.malloc_conf.env_var", &text, sizeof(text)), ENOENT);
    EXPECT_EQ_I64(set("opt.narenas", &ratio, sizeof(ratio)), EPERM);
}

/* ---- epoch ---- */

TEST(epoch)
{
    uint64_t first = refresh();
    uint64_t epoch = 0;
    size_t len = sizeof(epoch);
    EXPECT_EQ_U64(refresh(), first + 1);
    EXPECT_EQ_I64(get("epoch", &epoch, sizeof(epoch)), 0);
    EXPECT_EQ_U64(epoch, first + 1);
    epoch = 1;
    EXPECT_EQ_I64(set("epoch", &epoch, 4), EINVAL);
    len = 4;
    EXPECT_EQ_I64(
        je_mallctl("epoch", &epoch, &len, &epoch, sizeof(epoch)), EINVAL);
    EXPECT_EQ_U64(len, 4);
    EXPECT_EQ_I64(get("epoch", &epoch, sizeof(epoch)), 0);
    EXPECT_EQ_U64(epoch, first + 2);
}

/* ---- thread and caches ---- */

TEST(thread_counters)
{
    uint64_t allocated[2];
    uint64_t deallocated[2];
    EXPECT_EQ_I64(get("thread.allocated", &allocated[0], 8), 0);
    EXPECT_EQ_I64(get("thread.deallocated", &deallocated[0], 8), 0);
    void *small = je_malloc(100);
    void *large = je_malloc(100000);
    size_t usable = je_malloc_usable_size(small) + je_malloc_usable_size(large);
    EXPECT_EQ_I64(get("thread.allocated", &allocated[1], 8), 0);
    EXPECT_EQ_U64(allocated[1] - allocated[0], usable);
    je_free(small);
    je_free(large);
    EXPECT_EQ_I64(get("thread.deallocated", &deallocated[1], 8), 0);
    EXPECT_EQ_U64(deallocated[1] - deallocated[0], usable);
}

TEST(thread_tcache)
{
    bool on = false;
    bool off = false;
    size_t len = 3;
    uint32_t wide = 0;
    EXPECT_EQ_I64(get("thread.tcache.enabled", &on, sizeof(on)), 0);
    EXPECT(on);
    EXPECT_EQ_I64(act("thread.tcache.flush"), 0);
    /* The new value is applied although the output does not fit. */
    EXPECT_EQ_I64(
        je_mallctl("thread.tcache.enabled", &wide, &len, &off, 1), EINVAL);
    EXPECT_EQ_U64(len, 1);
    EXPECT_EQ_I64(act("thread.tcache.flush"), EFAULT);
    EXPECT_EQ_I64(set("thread.tcache.flush", &off, 1), EFAULT);
    EXPECT_EQ_I64(act("thread.idle"), 0);
    je_free(je_malloc(10));
    EXPECT_EQ_I64(set("thread.tcache.enabled", &on, 2), EINVAL);
    EXPECT_EQ_I64(set("thread.tcache.enabled", &on, 1), 0);
    EXPECT_EQ_I64(act("thread.tcache.flush"), 0);
    EXPECT_EQ_I64(act("thread.idle"), 0);
}

TEST(thread_arena)
{
    unsigned home = get_unsigned("thread.arena");
    unsigned mine = get_unsigned("arenas.create");
    unsigned old = UINT_MAX;
    size_t len = sizeof(old);
    EXPECT_EQ_I64(
        je_mallctl("thread.arena", &old, &len, &mine, sizeof(mine)), 0);
    EXPECT_EQ_U64(old, home);
    EXPECT_EQ_U64(get_unsigned("thread.arena"), mine);
    EXPECT_EQ_I64(act(indexed("arena.%.destroy", mine)), EFAULT);
    void *p = je_malloc(1 << 20);
    unsigned owner = UINT_MAX;
    EXPECT_EQ_I64(je_mallctl("arenas.lookup", &owner, &len, &p, sizeof(p)), 0);
    EXPECT_EQ_U64(owner, mine);
    je_free(p);
    len = 3;
    EXPECT_EQ_I64(
        je_mallctl("thread.arena", &old, &len, &home, sizeof(home)), EINVAL);
    EXPECT_EQ_U64(get_unsigned("thread.arena"), mine);
    unsigned absent = get_unsigned("arenas.narenas");
    EXPECT_EQ_I64(set("thread.arena", &absent, sizeof(absent)), EFAULT);
    EXPECT_EQ_I64(set("thread.arena", &home, 2), EINVAL);
    EXPECT_EQ_I64(set("thread.arena", &home, sizeof(home)), 0);
    EXPECT_EQ_I64(act("thread.tcache.flush"), 0);
    EXPECT_EQ_I64(act(indexed("arena.%.destroy", mine)), 0);
    EXPECT_EQ_I64(act(indexed("arena.%.destroy", mine)), EFAULT);
}

TEST(explicit_caches)
{
    unsigned id[3];
    size_t len = 3;
    EXPECT_EQ_I64(je_mallctl("tcache.create", id, &len, NULL, 0), EINVAL);
    EXPECT_EQ_U64(len, 0);
    EXPECT_EQ_I64(act("tcache.create"), EINVAL);
    id[0] = get_unsigned("tcache.create");
    id[1] = get_unsigned("tcache.create");
    EXPECT_EQ_U64(id[1], id[0] + 1);
    je_dallocx(je_mallocx(64, MALLOCX_TCACHE(id[0])), MALLOCX_TCACHE(id[0]));
    EXPECT_EQ_I64(set("tcache.flush", &id[0], sizeof(id[0])), 0);
    EXPECT_EQ_I64(set("tcache.flush", &id[0], 2), EINVAL);
    EXPECT_EQ_I64(act("tcache.flush"), EINVAL);
    EXPECT_EQ_I64(set("tcache.destroy", &id[0], sizeof(id[0])), 0);
    EXPECT_EQ_I64(set("tcache.destroy", &id[0], sizeof(id[0])), 0);
    EXPECT_EQ_U64(get_unsigned("tcache.create"), id[0]);
    id[2] = 4094;
    EXPECT_EQ_I64(set("tcache.flush", &id[2], sizeof(id[2])), EFAULT);
    EXPECT_EQ_I64(set("tcache.destroy", &id[2], sizeof(id[2])), EFAULT);
    EXPECT_EQ_I64(set("tcache.destroy", &id[0], sizeof(id[0])), 0);
    EXPECT_EQ_I64(set("tcache.destroy", &id[1], sizeof(id[1])), 0);
}

/* ---- arenas ---- */

TEST(arena_life)
{
    bool there = true;
    unsigned n = get_unsigned("arenas.narenas");
    (void)refresh();
    unsigned ind = get_unsigned("arenas.create");
    EXPECT_EQ_I64(
        get(indexed("arena.%.initialized", ind), &there, sizeof(there)), 0);
    EXPECT(!there);
    size_t pages;
    EXPECT_EQ_I64(
        get(indexed("stats.arenas.%.pactive", ind), &pages, sizeof(pages)),
        ENOENT);
    (void)refresh();
    EXPECT_EQ_I64(
        get(indexed("arena.%.initialized", ind), &there, sizeof(there)), 0);
    EXPECT(there);
    EXPECT_EQ_U64(get_size(indexed("stats.arenas.%.pactive", ind)), 0);
    EXPECT_EQ_I64(act(indexed("arena.%.destroy", ind)), 0);
    EXPECT_EQ_U64(get_size(indexed("stats.arenas.%.pactive", ind)), 0);
    (void)refresh();
    EXPECT_EQ_I64(
        get(indexed("stats.arenas.%.pactive", ind), &pages, sizeof(pages)),
        ENOENT);
    EXPECT_EQ_U64(get_unsigned("arenas.create"), ind);
    EXPECT_EQ_I64(act(indexed("arena.%.destroy", ind)), 0);
    EXPECT_GE_U64(get_unsigned("arenas.narenas"), n);
}

TEST(arena_special_indices)
{
    unsigned n = get_unsigned("arenas.narenas");
    const unsigned all[] = {4096, n};
    bool yes = false;
    size_t size = 1;
    ssize_t ms;
    void *hooks;
    char buffer[32];
    char *name = buffer;
    for (size_t i = 0; i < COUNT(all); i++) {
        EXPECT_EQ_I64(get(indexed("arena.%.initialized", all[i]), &yes, 1), 0);
        EXPECT(yes);
        EXPECT_EQ_I64(act(indexed("arena.%.purge", all[i])), 0);
        EXPECT_EQ_I64(act(indexed("arena.%.decay", all[i])), 0);
        EXPECT_EQ_I64(act(indexed("arena.%.reset", all[i])), EFAULT);
        EXPECT_EQ_I64(act(indexed("arena.%.destroy", all[i])), EFAULT);
        EXPECT_EQ_I64(
            get(indexed("arena.%.name", all[i]), &name, sizeof(name)), EINVAL);
        EXPECT_EQ_I64(
            get(indexed("arena.%.dirty_decay_ms", all[i]), &ms, sizeof(ms)),
            EFAULT);
        EXPECT_EQ_I64(
            get(indexed("arena.%.extent_hooks", all[i]), &hooks, sizeof(hooks)),
            EFAULT);
        EXPECT_EQ_I64(get(indexed("arena.%.retain_grow_limit", all[i]), &size,
                          sizeof(size)),
            EFAULT);
        EXPECT_EQ_STR(get_text(indexed("arena.%.dss", all[i])), "secondary");
    }
    EXPECT_EQ_I64(act("arena.4097.purge"), EFAULT);
    EXPECT_EQ_I64(act("arena.4097.decay"), EFAULT);
    EXPECT_EQ_I64(act("arena.4097.reset"), EFAULT);
    EXPECT_EQ_I64(act("arena.4097.destroy"), EFAULT);
    EXPECT_EQ_I64(get("arena.4097.name", &name, sizeof(name)), EINVAL);
    EXPECT_EQ_I64(get("arena.4097.dss", &name, sizeof(name)), EFAULT);
    EXPECT_EQ_I64(act("arena.0.reset"), EFAULT);
    EXPECT_EQ_I64(act("arena.0.destroy"), EFAULT);
}

/* All of them, and the last one too. */
TEST(purge_of_all_arenas)
{
    unsigned last = get_unsigned("arenas.create");
    EXPECT_EQ_U64(get_unsigned("arenas.narenas"), last + 1);
    int flags = MALLOCX_ARENA(last) | MALLOCX_TCACHE_NONE;
    void *p = je_mallocx(1 << 20, flags);
    REQUIRE(p != NULL);
    memset(p, 1, 1 << 20);
    je_dallocx(p, flags);
    (void)refresh();
    const char *dirty = indexed("stats.arenas.%.pdirty", last);
    EXPECT_GE_U64(get_size(dirty), 256);
    EXPECT_EQ_I64(act("arena.4096.purge"), 0);
    (void)refresh();
    EXPECT_EQ_U64(get_size(dirty), 0);
    EXPECT_EQ_I64(act(indexed("arena.%.destroy", last)), 0);
}

TEST(arena_dss)
{
    unsigned ind = get_unsigned("arenas.create");
    const char *word = "primary";
    const char *now = NULL;
    size_t len = sizeof(now);
    EXPECT_EQ_I64(je_mallctl(indexed("arena.%.dss", ind), &now, &len, &word,
                      sizeof(word)),
        0);
    EXPECT_EQ_STR(now, "primary");
    word = "first";
    EXPECT_EQ_I64(
        set(indexed("arena.%.dss", ind), &word, sizeof(word)), EINVAL);
    word = NULL;
    EXPECT_EQ_I64(
        set(indexed("arena.%.dss", ind), &word, sizeof(word)), EINVAL);
    word = "disabled";
    len = 2;
    EXPECT_EQ_I64(je_mallctl(indexed("arena.%.dss", ind), &now, &len, &word,
                      sizeof(word)),
        EINVAL);
    EXPECT_EQ_STR(get_text(indexed("arena.%.dss", ind)), "disabled");
    EXPECT_EQ_STR(get_text("arena.4096.dss"), "secondary");
    EXPECT_EQ_I64(set("arena.4096.dss", &word, sizeof(word)), 0);
    EXPECT_EQ_STR(get_text("arena.0.dss"), "secondary");
    EXPECT_EQ_STR(get_text("arena.4096.dss"), "disabled");
    unsigned later = get_unsigned("arenas.create");
    EXPECT_EQ_STR(get_text(indexed("arena.%.dss", later)), "disabled");
    EXPECT_EQ_I64(act(indexed("arena.%.destroy", later)), 0);
    word = "secondary";
    EXPECT_EQ_I64(set("arena.4096.dss", &word, sizeof(word)), 0);
    EXPECT_EQ_I64(act(indexed("arena.%.destroy", ind)), 0);
    /* A number that is used again starts afresh. */
    EXPECT_EQ_U64(get_unsigned("arenas.create"), ind);
    EXPECT_EQ_STR(get_text(indexed("arena.%.dss", ind)), "secondary");
    EXPECT_EQ_I64(act(indexed("arena.%.destroy", ind)), 0);
}

TEST(arena_decay_ms)
{
    unsigned ind = get_unsigned("arenas.create");
    ssize_t ms = -2;
    ssize_t old = 0;
    size_t len = sizeof(old);
    const char *name = indexed("arena.%.dirty_decay_ms", ind);
    EXPECT_EQ_I64(set(name, &ms, sizeof(ms)), EFAULT);
    if (sizeof(ms) == 8) {
        ms = PTRDIFF_MAX; /* elsewhere this is a possible time */
        EXPECT_EQ_I64(set(name, &ms, sizeof(ms)), EFAULT);
    }
    ms = 500;
    EXPECT_EQ_I64(je_mallctl(name, &old, &len, &ms, sizeof(ms)), 0);
    EXPECT_EQ_I64(old, 10000);
    len = sizeof(old) / 2;
    ms = 600;
    EXPECT_EQ_I64(je_mallctl(name, &old, &len, &ms, sizeof(ms)), EINVAL);
    EXPECT_EQ_U64(get_size(name), 500);
    ms = -2;
    EXPECT_EQ_I64(set("arenas.muzzy_decay_ms", &ms, sizeof(ms)), EFAULT);
    ms = 777;
    EXPECT_EQ_I64(set("arenas.muzzy_decay_ms", &ms, sizeof(ms)), 0);
    EXPECT_EQ_U64(get_size("arena.0.muzzy_decay_ms"), 0);
    EXPECT_EQ_I64(act(indexed("arena.%.destroy", ind)), 0);
    ind = get_unsigned("arenas.create");
    EXPECT_EQ_U64(get_size(indexed("arena.%.muzzy_decay_ms", ind)), 777);
    ms = 0;
    EXPECT_EQ_I64(set("arenas.muzzy_decay_ms", &ms, sizeof(ms)), 0);
    EXPECT_EQ_I64(act(indexed("arena.%.destroy", ind)), 0);
}

TEST(arena_name)
{
    char buffer[32];
    char *out = buffer;
    size_t len = sizeof(out);
    EXPECT_EQ_I64(get("arena.0.name", &out, sizeof(out)), 0);
    EXPECT_EQ_STR(buffer, "auto_0");
    unsigned ind = get_unsigned("arenas.create");
    const char *name = indexed("arena.%.name", ind);
    EXPECT_EQ_I64(get(name, &out, sizeof(out)), 0);
    EXPECT_EQ_STR(buffer, indexed("manual_%", ind));
    const char *long_name = "0123456789012345678901234567890123456789";
    EXPECT_EQ_I64(
        je_mallctl(name, &out, &len, &long_name, sizeof(long_name)), 0);
    EXPECT_EQ_STR(buffer, indexed("manual_%", ind));
    EXPECT_EQ_I64(get(name, &out, sizeof(out)), 0);
    EXPECT_EQ_STR(buffer, "0123456789012345678901234567890");
    EXPECT_EQ_I64(get(name, &out, sizeof(out) / 2), EINVAL);
    out = NULL;
    EXPECT_EQ_I64(get(name, &out, sizeof(out)), EINVAL);
    EXPECT_EQ_I64(set(name, &out, sizeof(out)), EINVAL);
    EXPECT_EQ_I64(act(indexed("arena.%.destroy", ind)), 0);
    out = buffer;
    EXPECT_EQ_I64(get(name, &out, sizeof(out)), EFAULT);
}

TEST(arena_hooks)
{
    extent_hooks_t *hooks = NULL;
    EXPECT_EQ_I64(get("arena.0.extent_hooks", &hooks, sizeof(hooks)), 0);
    REQUIRE(hooks != NULL && hooks->alloc != NULL);
    extent_hooks_t mine = *hooks;
    extent_hooks_t none = *hooks;
    none.alloc = NULL;
    extent_hooks_t *p = &none;
    unsigned ind = 0;
    size_t len = sizeof(ind);
    EXPECT_EQ_I64(
        je_mallctl("arenas.create", &ind, &len, &p, sizeof(p)), EINVAL);
    p = &mine;
    len = sizeof(ind);
    EXPECT_EQ_I64(je_mallctl("arenas.create", &ind, &len, &p, 2), EINVAL);
    len = sizeof(ind);
    EXPECT_EQ_I64(je_mallctl("arenas.create", &ind, &len, &p, sizeof(p)), 0);
    extent_hooks_t *got = NULL;
    EXPECT_EQ_I64(
        get(indexed("arena.%.extent_hooks", ind), &got, sizeof(got)), 0);
    EXPECT_EQ_PTR(got, &mine);
    void *block = je_mallocx(1 << 16, MALLOCX_ARENA(ind) | MALLOCX_TCACHE_NONE);
    EXPECT_NE_PTR(block, NULL);
    je_dallocx(block, MALLOCX_TCACHE_NONE);
    len = sizeof(got);
    EXPECT_EQ_I64(je_mallctl(indexed("arena.%.extent_hooks", ind), &got, &len,
                      &hooks, sizeof(hooks)),
        0);
    EXPECT_EQ_PTR(got, &mine);
    EXPECT_EQ_I64(act(indexed("arena.%.destroy", ind)), 0);
    struct {
        extent_hooks_t *hooks;
        bool metadata_use_hooks;
    } config = {&mine, false};
    len = sizeof(ind);
    EXPECT_EQ_I64(je_mallctl("experimental.arenas_create_ext", &ind, &len,
                      &config, sizeof(config)),
        0);
    EXPECT_EQ_I64(act(indexed("arena.%.destroy", ind)), 0);
}

TEST(arena_oversize)
{
    unsigned ind = get_unsigned("arenas.create");
    int flags = (int)(MALLOCX_ARENA(ind) | MALLOCX_TCACHE_NONE);
    char name[64];
    strcpy(name, indexed("arena.%.oversize_threshold", ind));
    EXPECT_EQ_U64(get_size(name), 8 << 20);
    size_t threshold = 1 << 20;
    size_t old = 0;
    size_t len = 3;
    EXPECT_EQ_I64(
        je_mallctl(name, &old, &len, &threshold, sizeof(threshold)), EINVAL);
    EXPECT_EQ_U64(get_size(name), 8 << 20);
    void *p = je_mallocx(2 << 20, flags);
    void *q = je_mallocx(2 << 20, flags);
    je_dallocx(p, MALLOCX_TCACHE_NONE);
    (void)refresh();
    size_t dirty = get_size(indexed("stats.arenas.%.pdirty", ind));
    EXPECT_GE_U64(dirty, 512);
    EXPECT_EQ_I64(set(name, &threshold, sizeof(threshold)), 0);
    EXPECT_EQ_U64(get_size(name), threshold);
    je_dallocx(q, MALLOCX_TCACHE_NONE);
    (void)refresh();
    EXPECT_EQ_U64(get_size(indexed("stats.arenas.%.pdirty", ind)), dirty);
    EXPECT_EQ_I64(
        get(indexed("arena.%.oversize_threshold", 4096), &old, sizeof(old)),
        EFAULT);
    EXPECT_EQ_I64(act(indexed("arena.%.destroy", ind)), 0);
}

TEST(active_pages)
{
    size_t *pages = NULL;
    size_t *none = NULL;
    const char *name = "experimental.arenas.0.pactivep";
    EXPECT_EQ_I64(act(name), EINVAL);
    EXPECT_EQ_I64(get(name, &pages, sizeof(pages)), 0);
    REQUIRE(pages != NULL);
    size_t before = *pages;
    void *p = je_mallocx(1 << 20, MALLOCX_ARENA(0) | MALLOCX_TCACHE_NONE);
    EXPECT_GE_U64(*pages, before + 256);
    (void)refresh();
    EXPECT_EQ_U64(*pages, get_size("stats.arenas.0.pactive"));
    je_dallocx(p, MALLOCX_TCACHE_NONE);
    EXPECT_EQ_U64(*pages, before);
    EXPECT_EQ_I64(
        get("experimental.arenas.4096.pactivep", &none, sizeof(none)), EFAULT);
    EXPECT_EQ_I64(
        get("experimental.arenas.4000.pactivep", &none, sizeof(none)), ENOENT);
}

/* Numbers that are part of the interface: the first that is none. */
TEST(ends_of_lists)
{
    static const char *const last[] = {
        "stats.arenas.0.hpa_shard.nonfull_slabs.63.npageslabs_huge",
        "stats.arenas.0.hpa_shard.alloc.8.extents"};
    static const char *const none[] = {
        "stats.arenas.0.hpa_shard.nonfull_slabs.64.npageslabs_huge",
        "stats.arenas.0.hpa_shard.alloc.9.extents"};
    uint64_t value;
    for (size_t i = 0; i < 2; i++) {
        EXPECT_EQ_I64(get(last[i], &value, sizeof(value)), 0);
        EXPECT_EQ_I64(get(none[i], &value, sizeof(value)), ENOENT);
    }
}

TEST(background_thread)
{
    bool on = true;
    bool old = true;
    size_t len = 3;
    size_t limit = get_size("max_background_threads");
    EXPECT_EQ_U64(limit, get_size("opt.max_background_threads"));
    EXPECT_EQ_I64(get("background_thread", &old, sizeof(old)), 0);
    EXPECT(!old);
    EXPECT_EQ_I64(je_mallctl("background_thread", &old, &len, &on, 1), EINVAL);
    EXPECT_EQ_I64(get("background_thread", &old, sizeof(old)), 0);
    EXPECT(!old);
    EXPECT_EQ_I64(set("background_thread", &on, 2), EINVAL);
    for (unsigned i = 0; i < 4; i++) {
        EXPECT_EQ_I64(set("background_thread", &on, sizeof(on)), 0);
        EXPECT_EQ_I64(get("background_thread", &old, sizeof(old)), 0);
        EXPECT(old == on);
        (void)refresh();
        EXPECT_EQ_U64(get_size("stats.background_thread.num_threads"), on);
        on = i == 1 ? true : !on;
    }
    on = false;
    EXPECT_EQ_I64(set("background_thread", &on, sizeof(on)), 0);
    size_t bad[] = {0, limit + 1, SIZE_MAX};
    for (size_t i = 0; i < COUNT(bad); i++) {
        EXPECT_EQ_I64(
            set("max_background_threads", &bad[i], sizeof(bad[i])), EINVAL);
    }
    size_t one = 1;
    EXPECT_EQ_I64(set("max_background_threads", &one, sizeof(one)), 0);
    EXPECT_EQ_U64(get_size("max_background_threads"), 1);
    EXPECT_EQ_I64(set("max_background_threads", &limit, sizeof(limit)), 0);
}

TEST(arena_grow_limit)
{
    size_t limit = 4095;
    size_t old = get_size("arena.0.retain_grow_limit");
    const char *name = "arena.0.retain_grow_limit";
    EXPECT_EQ_I64(set(name, &limit, sizeof(limit)), EFAULT);
    limit = (5 << 20) + 1;
    EXPECT_EQ_I64(set(name, &limit, sizeof(limit)), 0);
    EXPECT_EQ_U64(get_size(name), 5 << 20);
    limit = SIZE_MAX;
    EXPECT_EQ_I64(set(name, &limit, sizeof(limit)), 0);
    EXPECT_EQ_I64(set(name, &old, sizeof(old)), 0);
    EXPECT_EQ_U64(get_size(name), old);
}

TEST(lookup)
{
    unsigned ind = 77;
    size_t len = sizeof(ind);
    void *foreign[] = {&ind, NULL, (void *)16, (void *)UINTPTR_MAX};
    EXPECT_EQ_I64(act("arenas.lookup"), EINVAL);
    for (size_t i = 0; i < COUNT(foreign); i++) {
        EXPECT_EQ_I64(je_mallctl("arenas.lookup", &ind, &len, &foreign[i],
                          sizeof(foreign[i])),
            EINVAL);
    }
    EXPECT_EQ_U64(ind, 77);
    void *p = je_malloc(1);
    EXPECT_EQ_I64(je_mallctl("arenas.lookup", &ind, &len, &p, 2), EINVAL);
    EXPECT_EQ_I64(je_mallctl("arenas.lookup", &ind, &len, &p, sizeof(p)), 0);
    EXPECT_EQ_U64(ind, get_unsigned("thread.arena"));
    je_free(p);
}

/* ---- experimental ---- */

typedef struct {
    void *slabcur;
    size_t nfree;
    size_t nregs;
    size_t size;
    size_t bin_nfree;
    size_t bin_nregs;
} query_t;

TEST(utilization)
{
    unsigned ind = get_unsigned("arenas.create");
    int flags = MALLOCX_ARENA(ind) | MALLOCX_TCACHE_NONE;
    void *ptrs[] = {je_mallocx(100, flags), je_mallocx(100000, flags), &ind};
    query_t q;
    size_t len = sizeof(q);
    const char *name = "experimental.utilization.query";
    EXPECT_EQ_I64(je_mallctl(name, &q, &len, &ptrs[0], sizeof(void *)), 0);
    EXPECT_EQ_U64(q.nfree, 255);
    EXPECT_EQ_U64(q.nregs, 256);
    EXPECT_EQ_U64(q.size, 28672);
    EXPECT_EQ_U64(q.bin_nfree, 255);
    EXPECT_EQ_U64(q.bin_nregs, 256);
    EXPECT_EQ_PTR(q.slabcur, ptrs[0]);
    EXPECT_EQ_I64(je_mallctl(name, &q, &len, &ptrs[1], sizeof(void *)), 0);
    EXPECT_EQ_U64(q.nregs, 1);
    EXPECT_GE_U64(q.size, 100000);
    EXPECT_EQ_PTR(q.slabcur, NULL);
    EXPECT_EQ_I64(je_mallctl(name, &q, &len, &ptrs[2], sizeof(void *)), 0);
    EXPECT_EQ_U64(q.nregs, 0);
    len = sizeof(q) - 1;
    EXPECT_EQ_I64(je_mallctl(name, &q, &len, &ptrs[0], sizeof(void *)), EINVAL);
    EXPECT_EQ_U64(len, sizeof(q) - 1);
    size_t rows[3][3];
    len = sizeof(rows);
    name = "experimental.utilization.batch_query";
    EXPECT_EQ_I64(je_mallctl(name, rows, &len, ptrs, sizeof(ptrs)), 0);
    EXPECT_EQ_U64(rows[0][0], 255);
    EXPECT_EQ_U64(rows[1][1], 1);
    EXPECT_EQ_U64(rows[2][2], 0);
    EXPECT_EQ_I64(je_mallctl(name, rows, &len, ptrs, 16), EINVAL);
    EXPECT_EQ_I64(je_mallctl(name, rows, &len, ptrs, 0), EINVAL);
    EXPECT_EQ_I64(act(indexed("arena.%.destroy", ind)), 0);
}

TEST(batch_alloc)
{
    struct {
        void **ptrs;
        size_t num;
        size_t size;
        int flags;
    } batch;
    void *ptrs[100] = {NULL};
    size_t filled = 0;
    size_t len = sizeof(filled);
    const char *name = "experimental.batch_alloc";
    memset(&batch, 0, sizeof(batch));
    batch.ptrs = ptrs;
    batch.num = COUNT(ptrs);
    batch.size = 48;
    batch.flags = MALLOCX_ZERO;
    EXPECT_EQ_I64(je_mallctl(name, &filled, &len, &batch, sizeof(batch)), 0);
    EXPECT_EQ_U64(filled, COUNT(ptrs));
    for (size_t i = 0; i < filled; i++) {
        EXPECT_EQ_U64(*(uint64_t *)ptrs[i], 0);
        je_free(ptrs[i]);
    }
    EXPECT_EQ_I64(je_mallctl(name, &filled, &len, &batch, 8), EINVAL);
    EXPECT_EQ_U64(len, 0);
    EXPECT_EQ_I64(set(name, &batch, sizeof(batch)), EINVAL);
    len = sizeof(filled);
    batch.size = (size_t)PTRDIFF_MAX + 1;
    EXPECT_EQ_I64(je_mallctl(name, &filled, &len, &batch, sizeof(batch)), 0);
    EXPECT_EQ_U64(filled, 0);
}

static char misuse_message[256];

static void note_misuse(const char *message)
{
    strncpy(misuse_message, message, sizeof(misuse_message) - 1);
}

TEST(safety_check_abort)
{
    void (*action)(const char *) = note_misuse;
    const char *name = "experimental.hooks.safety_check_abort";
    size_t len = sizeof(action);
    EXPECT_EQ_I64(act(name), EINVAL);
    EXPECT_EQ_I64(set(name, &action, 2), EINVAL);
    EXPECT_EQ_I64(je_mallctl(name, &action, &len, &action, len), EPERM);
    EXPECT_EQ_I64(set(name, &action, sizeof(action)), 0);
    char *block = je_malloc(100000);
    je_free(block + 64);
    EXPECT(strstr(misuse_message, "<jemalloc>: ") == misuse_message);
    je_free(block);
    action = NULL;
    EXPECT_EQ_I64(set(name, &action, sizeof(action)), 0);
}

/* ---- statistics ---- */

/* The number behind `leaf`, which follows the first `stem` bytes of name. */
static size_t below(char *name, size_t stem, const char *leaf)
{
    strcpy(name + stem, leaf);
    return get_size(name);
}

/* 300 blocks of 112 bytes, 100 of them freed; 5 of 20480, one freed. */
static unsigned arena_with_known_blocks(void)
{
    unsigned ind = get_unsigned("arenas.create");
    int flags = (int)(MALLOCX_ARENA(ind) | MALLOCX_TCACHE_NONE);
    void *small[300];
    void *large[5];
    for (size_t i = 0; i < COUNT(small); i++) {
        small[i] = je_mallocx(100, flags);
    }
    for (size_t i = 0; i < COUNT(large); i++) {
        large[i] = je_mallocx(20480, flags);
    }
    for (size_t i = 0; i < 100; i++) {
        je_dallocx(small[i], MALLOCX_TCACHE_NONE);
    }
    je_dallocx(large[0], MALLOCX_TCACHE_NONE);
    (void)refresh();
    return ind;
}

TEST(stats_of_known_blocks)
{
    unsigned ind = arena_with_known_blocks();
    char name[64];
    strcpy(name, indexed("stats.arenas.%.bins.7.", ind));
    size_t stem = strlen(name);
    EXPECT_EQ_U64(below(name, stem, "nmalloc"), 300);
    EXPECT_EQ_U64(below(name, stem, "ndalloc"), 100);
    EXPECT_EQ_U64(below(name, stem, "nrequests"), 300);
    EXPECT_EQ_U64(below(name, stem, "curregs"), 200);
    EXPECT_EQ_U64(below(name, stem, "nslabs"), 2);
    EXPECT_EQ_U64(below(name, stem, "curslabs"), 2);
    EXPECT_GE_U64(below(name, stem, "mutex.num_ops"), 400);
    strcpy(name, indexed("stats.arenas.%.lextents.1.", ind));
    stem = strlen(name);
    EXPECT_EQ_U64(below(name, stem, "nmalloc"), 5);
    EXPECT_EQ_U64(below(name, stem, "ndalloc"), 1);
    EXPECT_EQ_U64(below(name, stem, "curlextents"), 4);
    strcpy(name, indexed("stats.arenas.%.", ind));
    stem = strlen(name);
    EXPECT_EQ_U64(below(name, stem, "small.allocated"), 200 * 112);
    EXPECT_EQ_U64(below(name, stem, "small.nmalloc"), 300);
    EXPECT_EQ_U64(below(name, stem, "large.allocated"), 4 * 20480);
    EXPECT_EQ_U64(below(name, stem, "large.nfills"), 5);
    EXPECT_GE_U64(below(name, stem, "pdirty"), 5);
    EXPECT_GE_U64(below(name, stem, "pactive"), 2 * 7 + 4 * 5);
    EXPECT_GE_U64(below(name, stem, "mutexes.large.num_ops"), 6);
    unsigned threads = 1;
    EXPECT_EQ_I64(get(indexed("stats.arenas.%.nthreads", ind), &threads, 4), 0);
    EXPECT_EQ_U64(threads, 0);
    EXPECT_EQ_I64(act(indexed("arena.%.destroy", ind)), 0);
}

/* The same blocks through purge, reset and the end of their arena. */
TEST(stats_after_the_end)
{
    unsigned ind = arena_with_known_blocks();
    char name[64];
    strcpy(name, indexed("stats.arenas.%.", ind));
    size_t stem = strlen(name);
    EXPECT_EQ_I64(act(indexed("arena.%.purge", ind)), 0);
    (void)refresh();
    EXPECT_EQ_U64(below(name, stem, "pdirty"), 0);
    EXPECT_GT_U64(below(name, stem, "dirty_purged"), 0);
    EXPECT_LE_U64(
        below(name, stem, "dirty_nmadvise"), below(name, stem, "dirty_purged"));
    EXPECT_EQ_I64(act(indexed("arena.%.reset", ind)), 0);
    (void)refresh();
    EXPECT_EQ_U64(below(name, stem, "small.allocated"), 0);
    EXPECT_EQ_U64(below(name, stem, "small.ndalloc"), 100);
    EXPECT_EQ_U64(below(name, stem, "large.allocated"), 0);
    EXPECT_EQ_U64(below(name, stem, "large.ndalloc"), 5);
    EXPECT_EQ_U64(below(name, stem, "pactive"), 0);
    EXPECT_EQ_I64(act(indexed("arena.%.destroy", ind)), 0);
    (void)refresh();
    EXPECT_GE_U64(get_size("stats.arenas.4097.small.nmalloc"), 300);
    EXPECT_GE_U64(get_size("stats.arenas.4097.lextents.1.ndalloc"), 5);
    EXPECT_EQ_U64(get_size("stats.arenas.4097.small.allocated"), 0);
    bool yes = false;
    EXPECT_EQ_I64(get("arena.4097.initialized", &yes, sizeof(yes)), 0);
    EXPECT(yes);
}

static size_t merged(const char *leaf)
{
    char name[96] = "stats.arenas.4096.";
    strcat(name, leaf);
    return get_size(name);
}

/* Over all arenas that show numbers. */
static size_t summed(const char *leaf)
{
    size_t sum = 0;
    unsigned n = get_unsigned("arenas.narenas");
    for (unsigned i = 0; i < n; i++) {
        char name[96];
        strcpy(name, indexed("stats.arenas.%.", i));
        strcat(name, leaf);
        size_t value = 0;
        if (get_number(name, &value) == 0) {
            sum += value;
        }
    }
    return sum;
}

TEST(stats_sums)
{
    static const char *const leaves[] = {
        "pactive",
        "pdirty",
        "mapped",
        "retained",
        "base",
        "resident",
        "tcache_bytes",
        "small.nmalloc",
        "large.allocated",
        "bins.3.curregs",
        "lextents.0.nmalloc",
        "extents.31.retained_bytes",
        "bins.3.mutex.num_ops",
    };
    (void)refresh();
    for (size_t i = 0; i < COUNT(leaves); i++) {
        EXPECT_EQ_U64(merged(leaves[i]), summed(leaves[i]));
    }
    EXPECT_EQ_U64(get_size("stats.allocated"),
        merged("small.allocated") + merged("large.allocated"));
    EXPECT_EQ_U64(get_size("stats.active"), merged("pactive") * 4096);
    EXPECT_EQ_U64(
        get_size("stats.metadata"), merged("base") + merged("internal"));
    EXPECT_EQ_U64(get_size("stats.mapped"), merged("mapped"));
    EXPECT_EQ_U64(get_size("stats.resident"), merged("resident"));
    EXPECT_EQ_U64(get_size("stats.retained"), merged("retained"));
    EXPECT_LE_U64(get_size("stats.allocated"), get_size("stats.active"));
    EXPECT_LT_U64(get_size("stats.active"), get_size("stats.resident"));
    EXPECT_LT_U64(get_size("stats.active"), get_size("stats.mapped"));
    EXPECT_EQ_U64(get_size("stats.mapped") % 4096, 0);
    EXPECT_EQ_U64(get_size("stats.resident") % 4096, 0);
    EXPECT_EQ_STR(get_text("stats.arenas.4096.dss"), "N/A");
    EXPECT_EQ_U64(merged("dirty_decay_ms"), SIZE_MAX);
    EXPECT_EQ_U64(merged("uptime"), get_size("stats.arenas.0.uptime"));
    EXPECT_EQ_U64(get_size(indexed("stats.arenas.%.pactive",
                      get_unsigned("arenas.narenas"))),
        merged("pactive"));
}

/* Each row of the tables adds up to the arena's figures. */
TEST(stats_tables)
{
    static const char *const kinds[] = {"dirty", "muzzy", "retained"};
    const size_t totals[] = {
        merged("pdirty") * 4096, merged("pmuzzy") * 4096, merged("retained")};
    char name[64];
    size_t small = 0;
    for (unsigned i = 0; i < 36; i++) {
        size_t curregs =
            get_size(indexed("stats.arenas.4096.bins.%.curregs", i));
        small += curregs * get_size(indexed("arenas.bin.%.size", i));
    }
    EXPECT_EQ_U64(small, merged("small.allocated"));
    for (size_t k = 0; k < COUNT(kinds); k++) {
        size_t bytes = 0;
        for (unsigned i = 0; i < SC_COUNT - 33; i++) {
            strcpy(name, indexed("stats.arenas.4096.extents.%.", i));
            strcat(name, kinds[k]);
            strcat(name, "_bytes");
            bytes += get_size(name);
        }
        EXPECT_EQ_U64(bytes, totals[k]);
    }
}

TEST(stats_live_and_cached)
{
    size_t allocated = (refresh(), get_size("stats.allocated"));
    size_t active = get_size("approximate_stats.active");
    size_t zeros = get_size("stats.zero_reallocs");
    void *p = je_malloc(3 << 20);
    EXPECT_EQ_U64(get_size("stats.allocated"), allocated);
    EXPECT_GE_U64(get_size("approximate_stats.active"), active + (3 << 20));
    (void)refresh();
    EXPECT_GE_U64(get_size("stats.allocated"), allocated + (3 << 20));
    (void)je_realloc(p, 0);
    EXPECT_EQ_U64(get_size("stats.zero_reallocs"), zeros + 1);
}

static void *bind_and_leave(void *arg)
{
    unsigned ind = *(unsigned *)arg;
    EXPECT_EQ_I64(set("thread.arena", &ind, sizeof(ind)), 0);
    je_free(je_malloc(1000));
    (void)refresh();
    EXPECT_EQ_U64(get_unsigned(indexed("stats.arenas.%.nthreads", ind)), 1);
    EXPECT_GT_U64(get_size(indexed("stats.arenas.%.tcache_bytes", ind)), 0);
    return NULL;
}

TEST(stats_of_threads)
{
    unsigned ind = get_unsigned("arenas.create");
    pthread_t thread;
    REQUIRE(pthread_create(&thread, NULL, bind_and_leave, &ind) == 0);
    REQUIRE(pthread_join(thread, NULL) == 0);
    (void)refresh();
    EXPECT_EQ_U64(get_unsigned(indexed("stats.arenas.%.nthreads", ind)), 0);
    EXPECT_EQ_U64(get_size(indexed("stats.arenas.%.tcache_bytes", ind)), 0);
    EXPECT_EQ_I64(act(indexed("arena.%.destroy", ind)), 0);
}

/* Many arenas at once: the snapshot must grow. */
TEST(stats_of_many_arenas)
{
    unsigned inds[60];
    for (size_t i = 0; i < COUNT(inds); i++) {
        inds[i] = get_unsigned("arenas.create");
        je_dallocx(
            je_mallocx(1 << 16, MALLOCX_ARENA(inds[i]) | MALLOCX_TCACHE_NONE),
            MALLOCX_TCACHE_NONE);
    }
    (void)refresh();
    for (size_t i = 0; i < COUNT(inds); i++) {
        EXPECT_EQ_U64(
            get_size(indexed("stats.arenas.%.large.nmalloc", inds[i])), 1);
        EXPECT_EQ_I64(act(indexed("arena.%.destroy", inds[i])), 0);
    }
    (void)refresh();
    EXPECT_EQ_U64(merged("mapped"), summed("mapped"));
}

/* ---- at the same time ---- */

static atomic_bool enough;

static void *churn(void *arg)
{
    void *blocks[64] = {NULL};
    unsigned seed = *(unsigned *)arg;
    while (!atomic_load(&enough)) {
        seed = seed * 1664525 + 1013904223;
        void **slot = &blocks[seed >> 26];
        je_free(*slot);
        *slot = je_malloc((seed >> 8) % 40000);
    }
    for (size_t i = 0; i < COUNT(blocks); i++) {
        je_free(blocks[i]);
    }
    return NULL;
}

static void *make_and_end(void *arg)
{
    (void)arg;
    while (!atomic_load(&enough)) {
        unsigned ind = UINT_MAX;
        EXPECT_EQ_I64(get("arenas.create", &ind, sizeof(ind)), 0);
        int flags = (int)(MALLOCX_ARENA((int)ind) | MALLOCX_TCACHE_NONE);
        je_dallocx(je_mallocx(5000, flags), MALLOCX_TCACHE_NONE);
        char name[32] = "arena.";
        size_t at = strlen(name);
        for (unsigned unit = 1000; unit != 0; unit /= 10) {
            name[at++] = (char)('0' + ind / unit % 10);
        }
        strcpy(name + at, ".destroy");
        EXPECT_EQ_I64(act(name), 0);
    }
    return NULL;
}

TEST(refresh_while_busy)
{
    pthread_t threads[3];
    unsigned seeds[] = {1, 2};
    atomic_store(&enough, false);
    REQUIRE(pthread_create(&threads[0], NULL, churn, &seeds[0]) == 0);
    REQUIRE(pthread_create(&threads[1], NULL, churn, &seeds[1]) == 0);
    REQUIRE(pthread_create(&threads[2], NULL, make_and_end, NULL) == 0);
    for (unsigned i = 0; i < 300; i++) {
        (void)refresh();
        EXPECT_EQ_U64(get_size("stats.mapped"), merged("mapped"));
        EXPECT_EQ_I64(act("arena.4096.decay"), 0);
        EXPECT_GT_U64(get_size("approximate_stats.active"), 0);
    }
    atomic_store(&enough, true);
    for (size_t i = 0; i < COUNT(threads); i++) {
        EXPECT_EQ_I64(pthread_join(threads[i], NULL), 0);
    }
}

/* ---- arenas made before anybody looked at numbers ---- */

static bool is_initialized(unsigned ind)
{
    bool there = false;
    EXPECT_EQ_I64(
        get(indexed("arena.%.initialized", ind), &there, sizeof(there)), 0);
    return there;
}

/* An arena has no numbers before the refresh that follows its beginning. */
static void expect_new(unsigned ind)
{
    EXPECT(!is_initialized(ind));
    (void)refresh();
    EXPECT(is_initialized(ind));
}

static void new_by_hooks(void *arg)
{
    void *hooks = NULL;
    (void)arg;
    EXPECT_EQ_I64(get("arena.1.extent_hooks", &hooks, sizeof(hooks)), 0);
    EXPECT_EQ_I64(set("arena.1.extent_hooks", &hooks, sizeof(hooks)), 0);
    expect_new(1);
}

static void new_by_thread(void *arg)
{
    unsigned ind = 1;
    (void)arg;
    EXPECT_EQ_I64(set("thread.arena", &ind, sizeof(ind)), 0);
    expect_new(1);
}

static void new_by_create(void *arg)
{
    (void)arg;
    expect_new(get_unsigned("arenas.create"));
}

/* The first of all: elsewhere in this program numbers are known already. */
TEST(new_arenas_have_no_numbers)
{
    static void (*const ways[])(void *) = {
        new_by_hooks, new_by_thread, new_by_create};
    static test_child_t child;
    for (unsigned i = 0; i < COUNT(ways); i++) {
        child = test_in_child(ways[i], NULL);
        EXPECT_EQ_I64(child.status, 0);
        EXPECT_EQ_STR(child.err, "");
    }
}

int main(void)
{
    return test_run(TEST_CASE(new_arenas_have_no_numbers),
        TEST_CASE(names_that_are_none), TEST_CASE(names_mutilated),
        TEST_CASE(name_to_mib), TEST_CASE(mib_walk), TEST_CASE(output_rules),
        TEST_CASE(access_classes), TEST_CASE(errno_is_kept),
        TEST_CASE(constants), TEST_CASE(options), TEST_CASE(epoch),
        TEST_CASE(thread_counters), TEST_CASE(thread_tcache),
        TEST_CASE(thread_arena), TEST_CASE(explicit_caches),
        TEST_CASE(arena_life), TEST_CASE(arena_special_indices),
        TEST_CASE(purge_of_all_arenas), TEST_CASE(arena_dss),
        TEST_CASE(arena_decay_ms), TEST_CASE(arena_name),
        TEST_CASE(arena_hooks), TEST_CASE(arena_oversize),
        TEST_CASE(active_pages), TEST_CASE(ends_of_lists),
        TEST_CASE(background_thread), TEST_CASE(arena_grow_limit),
        TEST_CASE(lookup), TEST_CASE(utilization), TEST_CASE(batch_alloc),
        TEST_CASE(safety_check_abort), TEST_CASE(stats_of_known_blocks),
        TEST_CASE(stats_after_the_end), TEST_CASE(stats_sums),
        TEST_CASE(stats_tables), TEST_CASE(stats_live_and_cached),
        TEST_CASE(stats_of_threads), TEST_CASE(stats_of_many_arenas),
        TEST_CASE(refresh_while_busy), NULL);
}
