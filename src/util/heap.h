/*
 * What: an intrusive pairing heap keyed by an address: insert in O(1), take
 * the lowest or remove any node in O(log n) amortised.
 *
 * Invariants: (I1) a parent's key is not above its children's; (I2) `prev`
 * of a first child is its parent, of another child its left sibling, of the
 * root NULL.
 *
 * Locking: the owner's.
 */
#ifndef JE_UTIL_HEAP_H
#define JE_UTIL_HEAP_H

#include "util/common.h"

typedef struct heap_node {
    struct heap_node *prev;
    struct heap_node *next;
    struct heap_node *child;
} heap_node_t;

typedef struct {
    heap_node_t *root;
} heap_t;

/* The key lies at a fixed distance from the node, the same in all users. */
#define HEAP_KEY_OFFSET (-(ptrdiff_t)sizeof(uintptr_t))

static inline uintptr_t heap_key(const heap_node_t *node)
{
    return *(
        const uintptr_t *)(const void *)((const char *)node + HEAP_KEY_OFFSET);
}

static inline void heap_init(heap_t *heap)
{
    heap->root = NULL;
}

static inline bool heap_is_empty(const heap_t *heap)
{
    return heap->root == NULL;
}

static inline heap_node_t *heap_first(const heap_t *heap)
{
    return heap->root;
}

/* Joins two roots (no siblings); the lower key becomes the parent. */
static inline heap_node_t *heap_meld(heap_node_t *a, heap_node_t *b)
{
    if (heap_key(b) < heap_key(a)) {
        heap_node_t *swap = a;
        a = b;
        b = swap;
    }
    b->prev = a;
    b->next = a->child;
    if (a->child != NULL) {
        a->child->prev = b;
    }
    a->child = b;
    return a;
}

static inline void heap_insert(heap_t *heap, heap_node_t *node)
{
    node->prev = NULL;
    node->next = NULL;
    node->child = NULL;
    heap->root = heap->root == NULL ? node : heap_meld(heap->root, node);
}

/*
 * Melds a list of siblings into one root: pairs from left to right, then
 * the pairs from right to left. NULL for an empty list.
 */
static inline heap_node_t *heap_meld_siblings(heap_node_t *first)
{
    heap_node_t *pairs = NULL;
    while (first != NULL) {
        heap_node_t *a = first;
        heap_node_t *b = a->next;
        heap_node_t *rest = b == NULL ? NULL : b->next;
        a->prev = NULL;
        a->next = NULL;
        if (b != NULL) {
            b->prev = NULL;
            b->next = NULL;
            a = heap_meld(a, b);
        }
        a->next = pairs;
        pairs = a;
        first = rest;
    }
    heap_node_t *root = NULL;
    while (pairs != NULL) {
        heap_node_t *next = pairs->next;
        pairs->next = NULL;
        root = root == NULL ? pairs : heap_meld(root, pairs);
        pairs = next;
    }
    return root;
}

static inline void heap_remove(heap_t *heap, heap_node_t *node)
{
    heap_node_t *rest = heap_meld_siblings(node->child);
    node->child = NULL;
    if (node == heap->root) {
        heap->root = rest;
    } else {
        if (node->prev->child == node) {
            node->prev->child = node->next;
        } else {
            node->prev->next = node->next;
        }
        if (node->next != NULL) {
            node->next->prev = node->prev;
        }
        if (rest != NULL) {
            heap->root = heap_meld(heap->root, rest);
        }
    }
    if (heap->root != NULL) {
        heap->root->prev = NULL;
        heap->root->next = NULL;
    }
    node->prev = NULL;
    node->next = NULL;
}

#endif
