/*
 * What: the flame graph: one page with the profile in it, that needs nothing
 * else; what it looks like and does stands in flame.html.
 *
 * Invariants: (I1) the tree is written in preorder, children by name; (I2)
 * nodes below a part of the total are added up into their parent, so that the
 * page stays small enough to open.
 *
 * Locking: none.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bin/jeprof/flame_page.h"
#include "print.h"
#include "say.h"

/* Narrower than a pixel on any screen. */
#define SMALLEST_PART 20000
/* What is called deeper than that is added up there. */
#define DEPTH_MAX 2000

typedef struct node {
    uint32_t function;
    uint32_t place; /* text "file:line" where the frame was at first seen */
    bool is_inlined;
    uint32_t next; /* sibling; 0 none */
    uint32_t child;
} flame_node_t;

typedef struct flame {
    flame_node_t *nodes;
    size_t count, room;
    uint32_t *parents;
    size_t parents_room;
    double *values; /* `stride` of each node: now, then those of the base */
    size_t values_room;
    int stride;
    int kinds; /* of values */
    index_t index;
    uint32_t *names; /* number in the page, by function, plus 1 */
    uint32_t names_count;
    uint32_t *order; /* functions in the order of these numbers */
    double limit[VALUES];
} flame_t;

typedef struct key {
    uint32_t parent;
    uint32_t function;
    bool is_inlined;
} flame_key_t;

static const flame_t *current;

static bool same_child(uint32_t id, const void *key)
{
    const flame_key_t *k = key;
    const flame_node_t *n = &current->nodes[id];
    return n->function == k->function && n->is_inlined == k->is_inlined &&
           current->parents[id] == k->parent;
}

static uint32_t add_node(flame_t *g, uint32_t parent, flame_node_t node)
{
    uint32_t id = (uint32_t)g->count;
    size_t wanted = (size_t)g->stride * (id + 1);
    g->parents =
        mem_room(g->parents, id, &g->parents_room, sizeof(*g->parents));
    g->parents[id] = parent;
    while (g->values_room < wanted) {
        g->values = mem_room(
            g->values, g->values_room, &g->values_room, sizeof(*g->values));
    }
    *MEM_PUSH(g->nodes, g->count, g->room) = node;
    return id;
}

static uint32_t child_of(
    flame_t *g, uint32_t parent, const profile_t *p, uint32_t frame)
{
    const frame_t *f = &p->frames[frame];
    flame_key_t key = {parent, f->function, f->is_inlined};
    uint64_t hash =
        hash_word(((uint64_t)parent << 32 | f->function) * 2 + f->is_inlined);
    uint32_t id =
        index_find(&g->index, hash, same_child, &key, (uint32_t)g->count);
    if (id != INDEX_NEW) {
        return id;
    }
    flame_node_t node = {.function = f->function,
        .is_inlined = f->is_inlined,
        .next = g->nodes[parent].child};
    if (f->file != 0) {
        char *place = mem_format("%s:%u", text_of(f->file), f->line);
        node.place = text_id_of(place);
        mem_free(place);
    }
    id = add_node(g, parent, node);
    g->nodes[parent].child = id;
    return id;
}

static double *values_of(const flame_t *g, uint32_t id)
{
    return &g->values[(size_t)g->stride * id];
}

static void add_values(flame_t *g, uint32_t id, const sample_t *s)
{
    double *values = values_of(g, id);
    for (int i = 0; i < g->kinds; i++) {
        values[i] += s->value[i];
        if (g->stride > g->kinds) {
            values[g->kinds + i] += s->base[i];
        }
    }
}

static void grow_tree(flame_t *g, view_t *v)
{
    current = g;
    g->kinds = v->p->has_alloc ? VALUES : 2;
    g->stride = v->p->has_base ? 2 * g->kinds : g->kinds;
    add_node(g, 0, (flame_node_t){0});
    view_rewind(v);
    while (view_next(v)) {
        uint32_t at = 0;
        add_values(g, 0, v->sample);
        size_t level = 0;
        for (size_t i = v->depth; i-- > 0 && level < DEPTH_MAX; level++) {
            at = child_of(g, at, v->p, v->frames[i]);
            add_values(g, at, v->sample);
        }
    }
    mem_free(g->parents);
    mem_free(g->index.slots);
    for (int i = 0; i < g->stride; i++) {
        double part = fabs(g->values[i]) / SMALLEST_PART;
        double *limit = &g->limit[i % g->kinds];
        *limit = fmax(*limit, part);
    }
}

static bool is_visible(const flame_t *g, uint32_t id)
{
    const double *values = values_of(g, id);
    for (int i = 0; i < g->stride; i++) {
        if (fabs(values[i]) > g->limit[i % g->kinds]) {
            return true;
        }
    }
    return false;
}

static uint32_t name_number(flame_t *g, uint32_t function)
{
    if (g->names[function] == 0) {
        g->order[g->names_count++] = function;
        g->names[function] = g->names_count;
    }
    return g->names[function] - 1;
}

/* Whole numbers: of seconds the millionth parts. */
static void print_values(
    FILE *to, const flame_t *g, const profile_t *p, uint32_t id)
{
    bool heap = p->kind != KIND_CPU && p->kind != KIND_CONTENTION;
    const double *values = values_of(g, id);
    for (int i = 0; i < g->stride; i++) {
        bool seconds = !heap && i % g->kinds == INUSE_SPACE;
        fprintf(to, ",%.0f", values[i] * (seconds ? 1e6 : 1));
    }
}

/* [depth, name, inlined, place, values..., base values...] of each node. */
static void print_tree(
    FILE *to, flame_t *g, const profile_t *p, uint32_t id, unsigned depth)
{
    for (; id != 0; id = g->nodes[id].next) {
        const flame_node_t *n = &g->nodes[id];
        if (!is_visible(g, id)) {
            continue;
        }
        fprintf(to, ",\n[%u,%u,%d,", depth, name_number(g, n->function),
            n->is_inlined);
        if (n->place != 0) {
            print_json_string(to, text_of(n->place));
        } else {
            fputs("0", to);
        }
        print_values(to, g, p, id);
        fputc(']', to);
        if (n->child != 0) {
            print_tree(to, g, p, n->child, depth + 1);
        }
    }
}

static void print_names(FILE *to, const flame_t *g, const profile_t *p)
{
    fputs("\"names\":[", to);
    for (uint32_t i = 0; i < g->names_count; i++) {
        const function_t *f = &p->functions[g->order[i]];
        const char *path = text_of(p->images[f->image].path);
        const char *base = strrchr(path, '/');
        fputs(i > 0 ? ",\n[" : "\n[", to);
        print_json_string(to, text_of(f->label));
        fputc(',', to);
        print_json_string(to, text_of(f->name));
        fputc(',', to);
        print_json_string(to, base != NULL ? base + 1 : path);
        fputc(']', to);
    }
    fputs("]", to);
}

static void print_data(FILE *to, const view_t *v, flame_t *g)
{
    const profile_t *p = v->p;
    bool heap = p->kind != KIND_CPU && p->kind != KIND_CONTENTION;
    fputs("{\"title\":", to);
    print_json_string(to, v->title);
    fprintf(to, ",\"kind\":\"%s\",\"values\":%d,\"base\":%s,\"metric\":%d,\n",
        heap                  ? "heap"
        : p->kind == KIND_CPU ? "cpu"
                              : "contention",
        g->kinds, p->has_base ? "true" : "false",
        (int)v->metric < g->kinds ? (int)v->metric : INUSE_SPACE);
    fputs("\"nodes\":[[0,-1,0,0", to);
    print_values(to, g, p, 0);
    fputc(']', to);
    if (g->nodes[0].child != 0) {
        print_tree(to, g, p, g->nodes[0].child, 1);
    }
    fputs("],\n", to);
    print_names(to, g, p);
    fputs("}", to);
}

void print_flame(FILE *to, view_t *v)
{
    static const char mark[] = "/*PROFILE*/";
    flame_t g;
    memset(&g, 0, sizeof(g));
    grow_tree(&g, v);
    g.names = mem_alloc((v->p->functions_count + 1) * sizeof(*g.names));
    g.order = mem_alloc((v->p->functions_count + 1) * sizeof(*g.order));
    const char *page = (const char *)flame_page;
    const char *hole = memmem(page, sizeof(flame_page), mark, sizeof(mark) - 1);
    if (hole == NULL) {
        fail("the page has no place for the profile");
    }
    fwrite(page, 1, (size_t)(hole - page), to);
    print_data(to, v, &g);
    hole += sizeof(mark) - 1;
    fwrite(hole, 1, sizeof(flame_page) - (size_t)(hole - page), to);
    mem_free(g.nodes);
    mem_free(g.values);
    mem_free(g.names);
    mem_free(g.order);
}
