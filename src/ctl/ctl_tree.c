/*
 * What: the table of all controls: name, access, handler, and for values
 * that a handler shares with others, where they lie.
 *
 * Invariants: (I1) rows that come from fields.def keep its order, so that the
 * position of a lock's name is its index in the snapshot.
 *
 * Locking: none; constant.
 */
#include "conf/sizeclass.h"
#include "ctl/ctl.h"
#include "ctl/ctl_arena.h"
#include "ctl/ctl_opt.h"
#include "ctl/ctl_stats.h"
#include "ctl/ctl_thread.h"
#include "extent/page_store.h"
#include "stats/snapshot.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define LEAF(key, class, function)                                             \
    {                                                                          \
        .name = key, .access = CTL_##class, .handler = function                \
    }
#define VARIANT(key, class, function, number)                                  \
    {                                                                          \
        .name = key, .access = CTL_##class, .handler = function,               \
        .offset = number                                                       \
    }
#define CONSTANT(key, object)                                                  \
    {                                                                          \
        .name = key, .access = CTL_READ, .handler = ctl_constant,              \
        .data = &(object), .size = sizeof(object)                              \
    }
#define MEMBER(key, function, type, member)                                    \
    {                                                                          \
        .name = key, .access = CTL_READ, .handler = function,                  \
        .offset = offsetof(type, member), .size = sizeof(((type *)0)->member)  \
    }
#define BRANCH(key, array)                                                     \
    {                                                                          \
        .name = key, .children = array, .child_count = COUNT(array)            \
    }
#define INDEXED(key, array, check)                                             \
    {                                                                          \
        .name = key, .children = array, .child_count = COUNT(array),           \
        .check_index = check                                                   \
    }

/* ---- thread, tcache ---- */

static const ctl_node_t thread_tcache[] = {
    LEAF("enabled", BOTH, ctl_thread_tcache_enabled),
    LEAF("flush", BOTH, ctl_thread_tcache_flush),
};

static const ctl_node_t thread[] = {
    LEAF("arena", BOTH, ctl_thread_arena),
    LEAF("allocated", READ, ctl_thread_allocated),
    LEAF("deallocated", READ, ctl_thread_deallocated),
    BRANCH("tcache", thread_tcache),
    LEAF("idle", ACT, ctl_thread_idle),
};

static const ctl_node_t tcache[] = {
    LEAF("create", READ, ctl_tcache_create),
    LEAF("flush", WRITE, ctl_tcache_flush),
    LEAF("destroy", WRITE, ctl_tcache_destroy),
};

/* ---- config, opt ---- */

static const ctl_node_t config[] = {
#define STATS_CONFIG(kind, name, fact, help) CONSTANT(#name, ctl_config.name),
#include "stats/fields.def"
};

static const ctl_node_t opt_malloc_conf[] = {
    VARIANT("symlink", READ, ctl_opt_source, CONF_SOURCE_SYMLINK),
    VARIANT("env_var", READ, ctl_opt_source, CONF_SOURCE_ENVIRONMENT),
    VARIANT("global_var", READ, ctl_opt_source, CONF_SOURCE_GLOBAL),
    VARIANT("global_var_2_conf_harder", READ, ctl_opt_source,
        CONF_SOURCE_GLOBAL_HARDER),
};

/* The column `ctl` says whether a row of options.def is a control. */
#define OPT_ROW_true(key)                                                      \
    {.name = #key,                                                             \
        .access = CTL_READ,                                                    \
        .handler = ctl_opt_value,                                              \
        .data = &conf_options[CTL_OPT_##key]},
#define OPT_ROW_false(key)
/* The column may arrive as the macro's expansion. */
#define OPT_ROW_1(key) OPT_ROW_true(key)
#define OPT_ROW_0(key) OPT_ROW_false(key)

static const ctl_node_t opt_node[] = {
#define OPTION(kind, name, value, min, max, rule, status, ctl, ignored, help)  \
    OPT_ROW_##ctl(name)
#include "conf/options.def"
    BRANCH("malloc_conf", opt_malloc_conf),
};

/* ---- arena, arenas ---- */

static const ctl_node_t arena_i[] = {
    LEAF("initialized", READ, ctl_arena_initialized),
    LEAF("decay", ACT, ctl_arena_decay),
    LEAF("purge", ACT, ctl_arena_purge),
    LEAF("reset", ACT, ctl_arena_reset),
    LEAF("destroy", ACT, ctl_arena_destroy),
    LEAF("dss", BOTH, ctl_arena_dss),
    VARIANT("dirty_decay_ms", BOTH, ctl_arena_decay_ms, PAGE_SET_DIRTY),
    VARIANT("muzzy_decay_ms", BOTH, ctl_arena_decay_ms, PAGE_SET_MUZZY),
    LEAF("extent_hooks", BOTH, ctl_arena_extent_hooks),
    LEAF("retain_grow_limit", BOTH, ctl_arena_retain_grow_limit),
    LEAF("name", BOTH, ctl_arena_name),
};

static const ctl_node_t arenas_bin[] = {
    VARIANT("size", READ, ctl_arenas_bin_bytes,
        offsetof(sizeclass_slab_t, region_bytes)),
    VARIANT(
        "nregs", READ, ctl_arenas_bin_u32, offsetof(sizeclass_slab_t, regions)),
    VARIANT("slab_size", READ, ctl_arenas_bin_bytes,
        offsetof(sizeclass_slab_t, slab_bytes)),
    VARIANT("nshards", READ, ctl_arenas_bin_u32,
        offsetof(sizeclass_slab_t, shards)),
};

static const ctl_node_t arenas_lextent[] = {
    LEAF("size", READ, ctl_arenas_lextent_size),
};

static const ctl_node_t arenas[] = {
    LEAF("narenas", READ, ctl_arenas_narenas),
    VARIANT("dirty_decay_ms", BOTH, ctl_arenas_decay_ms, PAGE_SET_DIRTY),
    VARIANT("muzzy_decay_ms", BOTH, ctl_arenas_decay_ms, PAGE_SET_MUZZY),
    CONSTANT("quantum", ctl_arenas.quantum),
    CONSTANT("page", ctl_arenas.page),
    CONSTANT("hugepage", ctl_arenas.hugepage),
    LEAF("tcache_max", READ, ctl_arenas_tcache_max),
    CONSTANT("nbins", ctl_arenas.nbins),
    LEAF("nhbins", READ, ctl_arenas_nhbins),
    INDEXED("bin", arenas_bin, ctl_bin_check),
    CONSTANT("nlextents", ctl_arenas.nlextents),
    INDEXED("lextent", arenas_lextent, ctl_lextent_check),
    LEAF("create", BOTH, ctl_arenas_create),
    LEAF("lookup", BOTH, ctl_arenas_lookup),
};

/* ---- stats ---- */

static const ctl_node_t arena_mutex[] = {
#define STATS_MUTEX(kind, name, member, help)                                  \
    MEMBER(#name, ctl_stats_arena_mutex, mutex_stats_t, member),
#include "stats/fields.def"
};

static const ctl_node_t arena_mutexes[] = {
#define STATS_ARENA_MUTEX(name, help) BRANCH(#name, arena_mutex),
#include "stats/fields.def"
};

static const ctl_node_t bin_mutex[] = {
#define STATS_MUTEX(kind, name, member, help)                                  \
    MEMBER(#name, ctl_stats_bin_mutex, mutex_stats_t, member),
#include "stats/fields.def"
};

static const ctl_node_t stats_bin[] = {
#define STATS_BIN(kind, name, help)                                            \
    MEMBER(#name, ctl_stats_bin, snapshot_bin_t, name),
#include "stats/fields.def"
    BRANCH("mutex", bin_mutex),
};

static const ctl_node_t stats_lextent[] = {
#define STATS_LEXTENT(kind, name, help)                                        \
    MEMBER(#name, ctl_stats_lextent, snapshot_lextent_t, name),
#include "stats/fields.def"
};

static const ctl_node_t stats_extent[] = {
#define STATS_EXTENT(kind, name, help)                                         \
    MEMBER(#name, ctl_stats_extent, snapshot_extent_t, name),
#include "stats/fields.def"
};

static const ctl_node_t stats_small[] = {
#define STATS_SUM(kind, name, help)                                            \
    MEMBER(#name, ctl_stats_arena, snapshot_arena_t, small.name),
#include "stats/fields.def"
};

static const ctl_node_t stats_large[] = {
#define STATS_SUM(kind, name, help)                                            \
    MEMBER(#name, ctl_stats_arena, snapshot_arena_t, large.name),
#include "stats/fields.def"
};

static const ctl_node_t stats_arena[] = {
#define STATS_ARENA(kind, name, key, merge, help)                              \
    MEMBER(#name, ctl_stats_arena, snapshot_arena_t, name),
#define STATS_MEMORY(kind, name, merge, help)                                  \
    MEMBER(#name, ctl_stats_arena, snapshot_arena_t, name),
#include "stats/fields.def"
    BRANCH("small", stats_small),
    BRANCH("large", stats_large),
    INDEXED("bins", stats_bin, ctl_bin_check),
    INDEXED("lextents", stats_lextent, ctl_lextent_check),
    INDEXED("extents", stats_extent, ctl_stats_run_check),
    BRANCH("mutexes", arena_mutexes),
};

static const ctl_node_t global_mutex[] = {
#define STATS_MUTEX(kind, name, member, help)                                  \
    MEMBER(#name, ctl_stats_global_mutex, mutex_stats_t, member),
#include "stats/fields.def"
};

static const ctl_node_t global_mutexes[] = {
#define STATS_GLOBAL_MUTEX(name, help) BRANCH(#name, global_mutex),
#include "stats/fields.def"
    LEAF("reset", BOTH, ctl_mutexes_reset),
};

static const ctl_node_t stats[] = {
#define STATS_TOTAL(kind, name, help)                                          \
    MEMBER(#name, ctl_stats_total, snapshot_total_t, name),
#include "stats/fields.def"
    LEAF("zero_reallocs", READ, ctl_zero_reallocs),
    BRANCH("mutexes", global_mutexes),
    INDEXED("arenas", stats_arena, ctl_stats_arena_check),
};

static const ctl_node_t approximate_stats[] = {
    LEAF("active", READ, ctl_active_now),
};

/* ---- experimental ---- */

static const ctl_node_t hooks[] = {
    LEAF("safety_check_abort", WRITE, ctl_safety_check_abort),
};

static const ctl_node_t utilization[] = {
    LEAF("query", BOTH, ctl_utilization_query),
    LEAF("batch_query", BOTH, ctl_utilization_batch_query),
};

static const ctl_node_t experimental[] = {
    BRANCH("hooks", hooks),
    BRANCH("utilization", utilization),
    LEAF("arenas_create_ext", BOTH, ctl_arenas_create_ext),
    LEAF("batch_alloc", BOTH, ctl_batch_alloc),
};

/* ---- the root ---- */

static const ctl_node_t top[] = {
    CONSTANT("version", ctl_version),
    LEAF("epoch", BOTH, ctl_epoch),
    BRANCH("thread", thread),
    BRANCH("config", config),
    BRANCH("opt", opt_node),
    BRANCH("tcache", tcache),
    INDEXED("arena", arena_i, ctl_arena_check),
    BRANCH("arenas", arenas),
    BRANCH("stats", stats),
    BRANCH("approximate_stats", approximate_stats),
    BRANCH("experimental", experimental),
};

static const ctl_node_t root = BRANCH("", top);

void ctl_boot(void)
{
    snapshot_boot();
    ctl_set_root(&root);
}
