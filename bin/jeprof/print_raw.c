/*
 * What: text profiles for other programs: symbolised text that jeprof itself
 * reads again, and callgrind's format.
 *
 * Invariants: (I1) in --raw each location has an address of its own, even if
 * several processes had different code at one address.
 *
 * Locking: none.
 */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "print.h"

/* ---- Symbolised text ------------------------------------------------------
 */

static const uint64_t *addresses;

static bool same_address(uint32_t id, const void *key)
{
    return addresses[id] == *(const uint64_t *)key;
}

/* Addresses as they were, but for those that are taken already (I1). */
static uint64_t *choose_addresses(const profile_t *p)
{
    uint64_t *chosen = mem_alloc((p->locations_count + 1) * sizeof(*chosen));
    index_t index = {NULL, 0, 0};
    addresses = chosen;
    for (uint32_t i = 0; i < p->locations_count; i++) {
        chosen[i] = p->locations[i].address;
        while (chosen[i] == 0 || chosen[i] == UINT64_MAX ||
               index_find(&index, hash_word(chosen[i]), same_address,
                   &chosen[i], i) != INDEX_NEW) {
            chosen[i] = ((uint64_t)0xfe << 56) + chosen[i] + i + 1;
        }
    }
    mem_free(index.slots);
    return chosen;
}

static void print_symbol(
    FILE *to, const profile_t *p, uint32_t id, uint64_t address)
{
    const location_t *l = &p->locations[id];
    fprintf(to, "0x%016" PRIx64 " ", address);
    for (uint32_t k = l->frames_count; k-- > 0;) {
        const frame_t *f = &p->frames[l->frames + k];
        fprintf(to, "%s%s", text_of(p->functions[f->function].name),
            k > 0 ? "--" : "");
    }
    fputc('\n', to);
}

static int64_t rounded(double value)
{
    return view_whole(value < 0 ? 0 : round(value));
}

void print_raw(FILE *to, view_t *v)
{
    const profile_t *p = v->p;
    uint64_t *chosen = choose_addresses(p);
    fprintf(to, "--- symbol\nbinary=%s\n", v->title);
    for (uint32_t i = 0; i < p->locations_count; i++) {
        print_symbol(to, p, i, chosen[i]);
    }
    double total[VALUES] = {0, 0, 0, 0};
    view_rewind(v);
    while (view_next(v)) {
        for (int k = 0; k < VALUES; k++) {
            total[k] += view_value_of(v, k);
        }
    }
    fprintf(to,
        "---\n--- heap\nheap profile: %" PRId64 ": %" PRId64 " [%" PRId64
        ": %" PRId64 "] @ %s\n",
        rounded(total[0]), rounded(total[1]), rounded(total[2]),
        rounded(total[3]), p->kind == KIND_GROWTH ? "growthz" : "heapprofile");
    view_rewind(v);
    while (view_next(v)) {
        fprintf(to, "%" PRId64 ": %" PRId64 " [%" PRId64 ": %" PRId64 "] @",
            rounded(view_value_of(v, 0)), rounded(view_value_of(v, 1)),
            rounded(view_value_of(v, 2)), rounded(view_value_of(v, 3)));
        const uint32_t *steps = profile_steps(p, v->sample);
        for (uint32_t i = 0; i < profile_depth(p, v->sample); i++) {
            /* Who reads it takes 1 off all but the first. */
            fprintf(to, " 0x%" PRIx64, chosen[steps[i]] + (i > 0));
        }
        fputc('\n', to);
    }
    fputs("\nMAPPED_LIBRARIES:\n", to);
    mem_free(chosen);
}

/* ---- Callgrind ------------------------------------------------------------
 */

/* Cost of a line of a function, or of its calls of another function there. */
typedef struct cost {
    uint32_t function;
    uint32_t file;
    uint32_t line;
    uint32_t callee; /* 0: its own cost */
    uint32_t callee_file;
    uint32_t callee_line;
    double value;
    double objects;
    size_t stack;
} cost_t;

static cost_t *costs;

static bool same_cost(uint32_t id, const void *key)
{
    const cost_t *have = &costs[id];
    const cost_t *want = key;
    return have->function == want->function && have->file == want->file &&
           have->line == want->line && have->callee == want->callee;
}

static int compare_costs(const void *a, const void *b)
{
    const cost_t *x = a;
    const cost_t *y = b;
    if (x->function != y->function) {
        return x->function < y->function ? -1 : 1;
    }
    if (x->file != y->file) {
        return x->file < y->file ? -1 : 1;
    }
    if (x->callee != y->callee) {
        return x->callee < y->callee ? -1 : 1;
    }
    return (x->line > y->line) - (x->line < y->line);
}

typedef struct costs_table {
    size_t count, room;
    index_t index;
} costs_table_t;

static void add_cost(
    costs_table_t *t, cost_t key, const view_t *v, size_t stack)
{
    uint32_t fresh = (uint32_t)t->count;
    uint64_t hash = hash_word(((uint64_t)key.function << 32 | key.callee) ^
                              hash_word((uint64_t)key.file << 32 | key.line));
    uint32_t id = index_find(&t->index, hash, same_cost, &key, fresh);
    if (id == INDEX_NEW) {
        key.stack = SIZE_MAX;
        *MEM_PUSH(costs, t->count, t->room) = key;
        id = fresh;
    }
    cost_t *cost = &costs[id];
    if (cost->stack != stack) {
        cost->stack = stack;
        cost->value += view_value(v);
        cost->objects += view_value_of(v, INUSE_OBJECTS);
    }
}

static void collect_costs(costs_table_t *t, view_t *v)
{
    view_rewind(v);
    for (size_t stack = 0; view_next(v); stack++) {
        for (size_t i = 0; i < v->depth; i++) {
            const frame_t *f = &v->p->frames[v->frames[i]];
            cost_t key = {
                .function = f->function, .file = f->file, .line = f->line};
            if (i > 0) {
                const frame_t *callee = &v->p->frames[v->frames[i - 1]];
                key.callee = callee->function;
                key.callee_file = callee->file;
                key.callee_line = callee->line;
            }
            add_cost(t, key, v, stack);
        }
    }
}

/* "(7) name" the first time, "(7)" later. */
static void print_named(
    FILE *to, const char *what, uint32_t id, const char *name, uint8_t *seen)
{
    fprintf(to, seen[id] ? "%s=(%u)\n" : "%s=(%u) %s\n", what, id + 1, name);
    seen[id] = 1;
}

static const char *file_name(uint32_t id)
{
    return id != 0 ? text_of(id) : "??";
}

void print_callgrind(FILE *to, view_t *v)
{
    costs_table_t t = {0, 0, {NULL, 0, 0}};
    costs = NULL;
    collect_costs(&t, v);
    if (t.count > 0) {
        qsort(costs, t.count, sizeof(*costs), compare_costs);
    }
    uint8_t *files = mem_alloc(texts_count() + 1);
    uint8_t *functions = mem_alloc(v->p->functions_count + 1);
    bool seconds = strcmp(view_unit(v), "seconds") == 0;
    double scale = seconds ? 1e6 : 1;
    bool amount = strcmp(view_unit(v), "MB") == 0;
    fprintf(to,
        "# callgrind format\nversion: 1\ncreator: jeprof\n"
        "positions: line\nevents: %s\n",
        seconds  ? "us"
        : amount ? "B"
                 : view_unit(v));
    uint32_t function = UINT32_MAX;
    uint32_t file = UINT32_MAX;
    for (size_t i = 0; i < t.count; i++) {
        const cost_t *c = &costs[i];
        const function_t *f = &v->p->functions[c->function];
        if (c->function != function || c->file != file) {
            fputc('\n', to);
            print_named(to, "fl", c->file, file_name(c->file), files);
            print_named(to, "fn", c->function, text_of(f->name), functions);
            function = c->function;
            file = c->file;
        }
        if (c->callee != 0) {
            f = &v->p->functions[c->callee];
            print_named(
                to, "cfi", c->callee_file, file_name(c->callee_file), files);
            print_named(to, "cfn", c->callee, text_of(f->name), functions);
            fprintf(to, "calls=%" PRId64 " %u\n",
                rounded(c->objects) > 0 ? rounded(c->objects) : 1,
                c->callee_line);
        }
        fprintf(to, "%u %" PRId64 "\n", c->line, view_whole(c->value * scale));
    }
    mem_free(costs);
    mem_free(t.index.slots);
    mem_free(files);
    mem_free(functions);
}
