/*
 * What: minimises functions of a few bits: terms that differ in one place are
 * merged until nothing merges any more, then the fewest of what is left are
 * chosen that cover the function. Terms are strings of `0`, `1` and `-` on
 * lists and in a hash table, with a list of what each covers: small blocks of
 * many ages, one thread.
 *
 * Invariants: (I1) a term is in the table of its generation once; (I2) the
 * chosen terms are the function: that is checked at every point.
 *
 * Locking: none, one thread.
 */
#include "work.h"

#define BUCKETS 4096

typedef struct cover {
    struct cover *next;
    uint32_t point;
} cover_t;

typedef struct term {
    struct term *next;
    char *text;
    cover_t *covers;
    int merged;
} term_t;

typedef struct {
    term_t *buckets[BUCKETS];
    uint64_t count;
} table_t;

static uint64_t made;
static unsigned bits;

static void *get(size_t size)
{
    made++;
    return work_get(size);
}

static uint32_t hash_of(const char *text)
{
    uint32_t hash = 2166136261u;

    for (; *text != '\0'; text++) {
        hash = (hash ^ (uint8_t)*text) * 16777619u;
    }
    return (hash ^ hash >> 15) % BUCKETS;
}

static int covers_point(const char *text, uint32_t point)
{
    for (unsigned i = 0; i < bits; i++) {
        if (text[i] != '-' && (uint32_t)(text[i] - '0') != (point >> i & 1)) {
            return 0;
        }
    }
    return 1;
}

static term_t *table_lookup(const table_t *table, const char *text)
{
    term_t *term = table->buckets[hash_of(text)];

    while (term != NULL && strcmp(term->text, text) != 0) {
        term = term->next;
    }
    return term;
}

static void table_insert(table_t *table, const char *text)
{
    uint32_t at = hash_of(text);
    term_t *term = get(sizeof(*term));

    term->text = get(bits + 1);
    memcpy(term->text, text, bits + 1);
    term->covers = NULL;
    term->merged = 0;
    term->next = table->buckets[at];
    table->buckets[at] = term;
    table->count++;
}

static void term_drop(term_t *term)
{
    while (term->covers != NULL) {
        cover_t *next = term->covers->next;

        free(term->covers);
        term->covers = next;
    }
    free(term->text);
    free(term);
}

/* Merges `term` with each that differs in one place; into `next`. */
static void merge(const table_t *table, term_t *term, table_t *next)
{
    char *text = get(bits + 1);

    memcpy(text, term->text, bits + 1);
    for (unsigned i = 0; i < bits; i++) {
        term_t *other;

        if (text[i] == '-') {
            continue;
        }
        text[i] = text[i] == '0' ? '1' : '0';
        other = table_lookup(table, text);
        if (other != NULL) {
            other->merged = term->merged = 1;
            text[i] = '-';
            if (table_lookup(next, text) == NULL) {
                table_insert(next, text);
            }
        }
        text[i] = term->text[i];
    }
    free(text);
}

/* What of `table` did not merge goes on the list `primes`; the rest ends. */
static term_t *settle(table_t *table, term_t *primes)
{
    for (unsigned i = 0; i < BUCKETS; i++) {
        term_t *term = table->buckets[i];

        while (term != NULL) {
            term_t *next = term->next;

            if (term->merged) {
                term_drop(term);
            } else {
                term->next = primes;
                primes = term;
            }
            term = next;
        }
    }
    free(table);
    return primes;
}

static table_t *table_new(void)
{
    table_t *table = calloc(1, sizeof(*table));

    work_require(table != NULL, "out of memory");
    made++;
    return table;
}

static term_t *find_primes(const uint8_t *wanted)
{
    table_t *table = table_new();
    term_t *primes = NULL;
    char *text = get(bits + 1);

    text[bits] = '\0';
    for (uint32_t point = 0; point < 1u << bits; point++) {
        for (unsigned i = 0; i < bits; i++) {
            text[i] = (char)('0' + (point >> i & 1));
        }
        if (wanted[point]) {
            table_insert(table, text);
        }
    }
    free(text);
    while (table->count != 0) {
        table_t *next = table_new();

        for (unsigned i = 0; i < BUCKETS; i++) {
            for (term_t *t = table->buckets[i]; t != NULL; t = t->next) {
                merge(table, t, next);
            }
        }
        primes = settle(table, primes);
        table = next;
    }
    free(table);
    return primes;
}

static void list_covers(term_t *term, const uint8_t *wanted)
{
    for (uint32_t point = 0; point < 1u << bits; point++) {
        if (wanted[point] && covers_point(term->text, point)) {
            cover_t *cover = get(sizeof(*cover));

            cover->point = point;
            cover->next = term->covers;
            term->covers = cover;
        }
    }
}

/* Drops from a term's list the points that are served; how many are left. */
static uint32_t still_needed(term_t *term, const uint8_t *left)
{
    cover_t **at = &term->covers;
    uint32_t count = 0;

    while (*at != NULL) {
        cover_t *cover = *at;

        if (left[cover->point]) {
            at = &cover->next;
            count++;
        } else {
            *at = cover->next;
            free(cover);
        }
    }
    return count;
}

/* Takes the term that serves most until all are served; how many it took. */
static uint64_t choose(term_t *primes, uint8_t *left, uint8_t *served)
{
    for (uint64_t chosen = 0;; chosen++) {
        term_t *best = NULL;
        uint32_t most = 0;

        for (term_t *term = primes; term != NULL; term = term->next) {
            uint32_t count = still_needed(term, left);

            if (count > most) {
                most = count;
                best = term;
            }
        }
        if (best == NULL) {
            return chosen;
        }
        for (cover_t *c = best->covers; c != NULL; c = c->next) {
            left[c->point] = 0;
        }
        for (uint32_t point = 0; point < 1u << bits; point++) {
            served[point] |= (uint8_t)covers_point(best->text, point);
        }
    }
}

static uint64_t minimise(uint64_t *state)
{
    uint32_t points = 1u << bits;
    uint8_t *wanted = get(points), *left = get(points);
    uint8_t *served = calloc(points, 1);
    term_t *primes;
    uint64_t chosen;

    work_require(served != NULL, "out of memory");
    for (uint32_t i = 0; i < points; i++) {
        wanted[i] = work_below(state, 10) < 6;
    }
    memcpy(left, wanted, points);
    primes = find_primes(wanted);
    for (term_t *term = primes; term != NULL; term = term->next) {
        list_covers(term, wanted);
    }
    chosen = choose(primes, left, served);
    work_require(memcmp(served, wanted, points) == 0, "a wrong cover");
    while (primes != NULL) {
        term_t *next = primes->next;

        term_drop(primes);
        primes = next;
    }
    free(wanted);
    free(left);
    free(served);
    return chosen;
}

int main(int argc, char **argv)
{
    uint64_t rounds = work_arg(argc, argv, 1, 100);
    uint64_t state = 1, sum = 0;

    for (uint64_t i = 0; i < rounds; i++) {
        bits = 6 + work_below(&state, 5);
        sum += minimise(&state);
    }
    return work_report(made, sum);
}
