/*
 * What: the tree of controls, made of the rows of nodes.def.
 *
 * Invariants: (I1) every leaf has a handler and no children, everything else
 * has children and no handler.
 *
 * Locking: none; constant.
 */
#include "conf/sizeclass.h"
#include "ctl/ctl.h"
#include "ctl/ctl_arena.h"
#include "ctl/ctl_background.h"
#include "ctl/ctl_block.h"
#include "ctl/ctl_opt.h"
#include "ctl/ctl_prof.h"
#include "ctl/ctl_stats.h"
#include "ctl/ctl_tcache.h"
#include "ctl/ctl_thread.h"
#include "extent/page_store.h"
#include "stats/rss.h"
#include "stats/snapshot.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define GROUP(group) static const ctl_node_t group_##group[] = {
#define END                                                                    \
    }                                                                          \
    ;
#define ROW(key, type, class, function, object, number, help)                  \
    {.name = key,                                                              \
        .access = CTL_##class,                                                 \
        .handler = function,                                                   \
        .data = object,                                                        \
        .offset = number,                                                      \
        .size = CTL_SIZE_##type},
#define BRANCH(key, group, help) INDEXED(key, group, NULL, help)
#define INDEXED(key, group, check, help)                                       \
    {.name = key,                                                              \
        .children = group_##group,                                             \
        .child_count = COUNT(group_##group),                                   \
        .check_index = check},
/* clang-format off: rows are no statements */
#include "ctl/nodes.def"
/* clang-format on */

static const ctl_node_t root = {
    .name = "", .children = group_root, .child_count = COUNT(group_root)};

const ctl_node_t *ctl_tree(void)
{
    return &root;
}

void ctl_boot(void)
{
    snapshot_boot();
    ctl_set_root(&root);
}
