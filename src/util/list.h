/*
 * What: an intrusive doubly linked ring. The list itself is a node, so that
 * insertion and removal need no special cases.
 *
 * Invariants: (I1) a node that is in no list points to itself;
 * (I2) node->next->prev == node for every node.
 *
 * Locking: the owner's.
 */
#ifndef JE_UTIL_LIST_H
#define JE_UTIL_LIST_H

#include "util/common.h"

typedef struct list_node {
    struct list_node *next;
    struct list_node *prev;
} list_node_t;

/* The structure of type `type` whose member `member` is at `node`. */
#define list_entry(node, type, member)                                         \
    ((type *)(void *)((char *)(node)-offsetof(type, member)))

#define list_foreach(node, list)                                               \
    for (list_node_t *node = (list)->next; node != (list); node = node->next)

static inline void list_init(list_node_t *node)
{
    node->next = node;
    node->prev = node;
}

static inline bool list_is_empty(const list_node_t *list)
{
    return list->next == list;
}

/* Inserts as the last one, seen from the list's head. */
static inline void list_insert(list_node_t *list, list_node_t *node)
{
    node->next = list;
    node->prev = list->prev;
    list->prev->next = node;
    list->prev = node;
}

static inline void list_remove(list_node_t *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    list_init(node);
}

/* The first node, or NULL. */
static inline list_node_t *list_first(const list_node_t *list)
{
    return list_is_empty(list) ? NULL : list->next;
}

/* Moves all nodes of `from` to the end of `to`. */
static inline void list_splice(list_node_t *to, list_node_t *from)
{
    if (list_is_empty(from)) {
        return;
    }
    from->next->prev = to->prev;
    to->prev->next = from->next;
    from->prev->next = to;
    to->prev = from->prev;
    list_init(from);
}

#endif
