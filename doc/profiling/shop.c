/*
 * What: a program with three faults, for doc/PROFILING.md to find. It answers
 * orders of a shop.
 *   shop leak    forgets a block of some orders
 *   shop hog     keeps more than it should, and knows where it is
 *   shop holes   keeps little, but strewn over many pages; "shop apart" is
 *                the same with that little in an arena of its own
 *
 * Invariants: the same each time; no thread but the first.
 *
 * Locking: none.
 */
#include <jemalloc/jemalloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEEP_APART __attribute__((noinline))

static unsigned apart; /* arena of what lives long, 0: no such arena */

/* ---- leak ---- */

KEEP_APART static char *format_line(unsigned order)
{
    char *line = malloc(120);
    snprintf(line, 120, "order %u: 3 pieces, to be sent on Monday", order);
    return line;
}

KEEP_APART static void journal(unsigned order)
{
    char *line = format_line(order);
    if (order % 7 == 0) {
        return; /* nothing to be written; and the line? */
    }
    free(line);
}

/* ---- hog ---- */

struct answer {
    struct answer *next;
    char page[2000];
};

static struct answer *answers;
static char **catalogue;

KEEP_APART static void load_catalogue(unsigned count)
{
    catalogue = calloc(count, sizeof(*catalogue));
    for (unsigned i = 0; i < count; i++) {
        catalogue[i] = malloc(400);
        memset(catalogue[i], 'a', 400);
    }
}

KEEP_APART static void remember_answer(unsigned order)
{
    struct answer *answer = malloc(sizeof(*answer));
    snprintf(answer->page, sizeof(answer->page), "answer to %u", order);
    answer->next = answers;
    answers = answer;
}

/* ---- holes ---- */

struct note {
    struct note *next;
    char name[190];
};

static struct note *notes;

KEEP_APART static void *read_order(unsigned order)
{
    return memset(malloc(200 + order % 50), 'o', 200);
}

KEEP_APART static void note_customer(unsigned order)
{
    size_t size = 200 + order % 50;
    struct note *note =
        apart != 0 ? mallocx(size, MALLOCX_ARENA(apart) | MALLOCX_TCACHE_NONE)
                   : malloc(size);
    memset(note->name, 'c', sizeof(note->name));
    note->next = notes;
    notes = note;
}

/* Many orders at a time; of each tenth the customer is new. */
KEEP_APART static void busy_hour(unsigned count)
{
    void **orders = calloc(count, sizeof(*orders));
    for (unsigned i = 0; i < count; i++) {
        orders[i] = read_order(i);
        if (i % 10 == 0) {
            note_customer(i);
        }
    }
    for (unsigned i = 0; i < count; i++) {
        free(orders[i]);
    }
    free(orders);
}

/* ---- the day ---- */

static void answer_orders(const char *fault)
{
    for (unsigned order = 1; order <= 300000; order++) {
        free(read_order(order));
        if (strcmp(fault, "leak") == 0) {
            journal(order);
        } else if (strcmp(fault, "hog") == 0 && order % 2 == 0) {
            remember_answer(order);
        }
    }
}

int main(int argc, char **argv)
{
    const char *fault = argc > 1 ? argv[1] : "leak";
    size_t size = sizeof(apart);
    if (strcmp(fault, "apart") == 0) {
        mallctl("arenas.create", &apart, &size, NULL, 0);
    }
    load_catalogue(50000);
    if (strcmp(fault, "holes") == 0 || apart != 0) {
        busy_hour(1000000);
    }
    answer_orders(fault);
    unsigned customers = 0;
    for (const struct note *note = notes; note != NULL; note = note->next) {
        customers++;
    }
    printf("%u new customers\n", customers);
    return 0;
}
