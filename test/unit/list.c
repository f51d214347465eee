/*
 * What: the ring against an array: inserting last, removing any, joining.
 *
 * Invariants: (I1) links agree both ways after each step.
 *
 * Locking: none.
 */
#include "util/list.h"

#include <string.h>

#include "harness.h"
#include "util/prng.h"

#define ITEMS 40

typedef struct {
    unsigned number;
    list_node_t node;
} item_t;

static item_t items[ITEMS];

/* What the lists hold, in order; each item is in one of them or in none. */
static struct {
    list_node_t list;
    unsigned number[ITEMS];
    unsigned count;
} rings[2];

static void begin(void)
{
    memset(rings, 0, sizeof(rings));
    list_init(&rings[0].list);
    list_init(&rings[1].list);
    for (unsigned i = 0; i < ITEMS; i++) {
        items[i].number = i;
        list_init(&items[i].node);
    }
}

static void check(unsigned r)
{
    unsigned seen = 0;
    list_foreach (node, &rings[r].list) {
        REQUIRE(seen < rings[r].count);
        EXPECT_EQ_U64(
            list_entry(node, item_t, node)->number, rings[r].number[seen++]);
        EXPECT_EQ_PTR(node->next->prev, node);
        EXPECT_EQ_PTR(node->prev->next, node);
    }
    EXPECT_EQ_U64(seen, rings[r].count);
    EXPECT(list_is_empty(&rings[r].list) == (seen == 0));
    EXPECT_EQ_PTR(list_first(&rings[r].list),
        seen == 0 ? NULL : &items[rings[r].number[0]].node);
}

/* Takes an item out of the model; false if it was in no list. */
static bool forget(unsigned number)
{
    for (unsigned r = 0; r < 2; r++) {
        for (unsigned i = 0; i < rings[r].count; i++) {
            if (rings[r].number[i] == number) {
                rings[r].count--;
                memmove(&rings[r].number[i], &rings[r].number[i + 1],
                    (rings[r].count - i) * sizeof(unsigned));
                return true;
            }
        }
    }
    return false;
}

static void splice(unsigned to)
{
    unsigned from = !to;
    list_splice(&rings[to].list, &rings[from].list);
    memcpy(&rings[to].number[rings[to].count], rings[from].number,
        rings[from].count * sizeof(unsigned));
    rings[to].count += rings[from].count;
    rings[from].count = 0;
}

TEST(agrees_with_an_array)
{
    begin();
    uint64_t random = 11;
    for (unsigned i = 0; i < 20000; i++) {
        unsigned number = (unsigned)prng_bits(&random, 32) % ITEMS;
        unsigned r = (unsigned)prng_bits(&random, 1);
        if (prng_bits(&random, 5) == 0) {
            splice(r);
        } else if (forget(number)) {
            list_remove(&items[number].node);
            EXPECT(list_is_empty(&items[number].node));
        } else {
            list_insert(&rings[r].list, &items[number].node);
            rings[r].number[rings[r].count++] = number;
        }
        check(0);
        check(1);
    }
}

int main(void)
{
    return test_run(TEST_CASE(agrees_with_an_array), NULL);
}
