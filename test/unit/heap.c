/*
 * What: the pairing heap against an array: the lowest, removal of any node,
 * drained in order.
 *
 * Invariants: (I1) after each step every parent is below its children and
 * every link has its counterpart.
 *
 * Locking: none.
 */
#include "util/heap.h"

#include "harness.h"
#include "util/prng.h"

#define NODES 300

typedef struct {
    uintptr_t key;
    heap_node_t node;
    bool inside;
} item_t;

static_assert(offsetof(item_t, node) == sizeof(uintptr_t), "heap.h's layout");

static item_t items[NODES];
static heap_t heap;

static unsigned check_below(
    const heap_node_t *first, const heap_node_t *left, uintptr_t key)
{
    unsigned count = 0;
    for (const heap_node_t *node = first; node != NULL; node = node->next) {
        EXPECT_EQ_PTR(node->prev, left);
        EXPECT_GE_U64(heap_key(node), key);
        count += 1 + check_below(node->child, node, heap_key(node));
        left = node;
    }
    return count;
}

/* Walks everything; the root must be the lowest of those inside. */
static void check(void)
{
    unsigned inside = 0;
    uintptr_t lowest = UINTPTR_MAX;
    for (unsigned i = 0; i < NODES; i++) {
        if (items[i].inside) {
            inside++;
            lowest = items[i].key < lowest ? items[i].key : lowest;
        }
    }
    EXPECT_EQ_U64(check_below(heap.root, NULL, 0), inside);
    EXPECT(heap_is_empty(&heap) == (inside == 0));
    if (inside != 0) {
        EXPECT_EQ_PTR(heap.root->next, NULL);
        EXPECT_EQ_U64(heap_key(heap_first(&heap)), lowest);
    } else {
        EXPECT_EQ_PTR(heap_first(&heap), NULL);
    }
}

static void toggle(item_t *item, uintptr_t key)
{
    if (item->inside) {
        heap_remove(&heap, &item->node);
    } else {
        item->key = key;
        heap_insert(&heap, &item->node);
    }
    item->inside = !item->inside;
}

static item_t *item_of(heap_node_t *node)
{
    return (item_t *)(void *)((char *)node - offsetof(item_t, node));
}

TEST(agrees_with_an_array)
{
    uint64_t random = 3;
    heap_init(&heap);
    for (unsigned i = 0; i < 6000; i++) {
        item_t *item = &items[prng_bits(&random, 32) % NODES];
        /* Few different keys, so that equal ones meet. */
        toggle(item, prng_bits(&random, 6) << 12);
        check();
        if (prng_bits(&random, 2) == 0 && !heap_is_empty(&heap)) {
            toggle(item_of(heap_first(&heap)), 0);
            check();
        }
    }
    while (!heap_is_empty(&heap)) {
        toggle(item_of(heap_first(&heap)), 0);
        check();
    }
}

/* The orders that make heaps degenerate. */
TEST(drained_in_order)
{
    for (unsigned order = 0; order < 3; order++) {
        heap_init(&heap);
        for (unsigned i = 0; i < NODES; i++) {
            uintptr_t key = order == 0 ? i : order == 1 ? NODES - i : i * 7919;
            toggle(&items[i], key % 65521);
        }
        uintptr_t before = 0;
        for (unsigned i = 0; i < NODES; i++) {
            REQUIRE(!heap_is_empty(&heap));
            EXPECT_GE_U64(heap_key(heap_first(&heap)), before);
            before = heap_key(heap_first(&heap));
            toggle(item_of(heap_first(&heap)), 0);
        }
        check();
    }
}

int main(void)
{
    return test_run(
        TEST_CASE(agrees_with_an_array), TEST_CASE(drained_in_order), NULL);
}
