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
    double value[VALUES];
    double base[VALUES];
} flame_node_t;

typedef struct flame {
    flame_node_t *nodes;
    size_t count, room;
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
static uint32_t *parents;

static bool same_child(uint32_t id, const void *key)
{
    const flame_key_t *k = key;
    const flame_node_t *n = &current->nodes[id];
    return n->function == k->function && n->is_inlined == k->is_inlined &&
           parents[id] == k->parent;
}

static uint32_t child_of(flame_t *g, uint32_t parent, const profile_t *p,
    uint32_t frame, size_t *parents_room)
{
    const frame_t *f = &p->frames[frame];
    flame_key_t key = {parent, f->function, f->is_inlined};
    uint32_t fresh = (uint32_t)g->count;
    uint64_t hash =
        hash_word(((uint64_t)parent << 32 | f->function) * 2 + f->is_inlined);
    uint32_t id = index_find(&g->index, hash, same_child, &key, fresh);
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
    parents = mem_room(parents, fresh, parents_room, sizeof(*parents));
    parents[fresh] = parent;
    *MEM_PUSH(g->nodes, g->count, g->room) = node;
    g->nodes[parent].child = fresh;
    return fresh;
}

static void add_values(flame_node_t *n, const sample_t *s)
{
    for (int i = 0; i < VALUES; i++) {
        n->value[i] += s->value[i];
        n->base[i] += s->base[i];
    }
}

static void grow_tree(flame_t *g, view_t *v)
{
    size_t parents_room = 0;
    parents = NULL;
    current = g;
    parents = mem_room(parents, 0, &parents_room, sizeof(*parents));
    *MEM_PUSH(g->nodes, g->count, g->room) = (flame_node_t){0};
    view_rewind(v);
    while (view_next(v)) {
        uint32_t at = 0;
        add_values(&g->nodes[0], v->sample);
        size_t level = 0;
        for (size_t i = v->depth; i-- > 0 && level < DEPTH_MAX; level++) {
            at = child_of(g, at, v->p, v->frames[i], &parents_room);
            add_values(&g->nodes[at], v->sample);
        }
    }
    mem_free(parents);
    mem_free(g->index.slots);
    for (int i = 0; i < VALUES; i++) {
        g->limit[i] =
            fmax(fabs(g->nodes[0].value[i]), fabs(g->nodes[0].base[i])) /
            SMALLEST_PART;
    }
}

static bool is_visible(const flame_t *g, const flame_node_t *n)
{
    for (int i = 0; i < VALUES; i++) {
        if (fabs(n->value[i]) > g->limit[i] || fabs(n->base[i]) > g->limit[i]) {
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
static void print_numbers(
    FILE *to, const profile_t *p, const double *values, int count)
{
    bool heap = p->kind != KIND_CPU && p->kind != KIND_CONTENTION;
    for (int i = 0; i < count; i++) {
        double scale = !heap && i == INUSE_SPACE ? 1e6 : 1;
        fprintf(to, ",%.0f", values[i] * scale);
    }
}

/* [depth, name, flags, place, values..., base values...] of each node. */
static void print_tree(
    FILE *to, flame_t *g, const profile_t *p, uint32_t id, unsigned depth)
{
    int count = p->has_alloc ? VALUES : 2;
    for (; id != 0; id = g->nodes[id].next) {
        const flame_node_t *n = &g->nodes[id];
        if (!is_visible(g, n)) {
            continue;
        }
        fprintf(to, ",\n[%u,%u,%d,", depth, name_number(g, n->function),
            n->is_inlined);
        if (n->place != 0) {
            print_json_string(to, text_of(n->place));
        } else {
            fputs("0", to);
        }
        print_numbers(to, p, n->value, count);
        if (p->has_base) {
            print_numbers(to, p, n->base, count);
        }
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
    int count = p->has_alloc ? VALUES : 2;
    bool heap = p->kind != KIND_CPU && p->kind != KIND_CONTENTION;
    fputs("{\"title\":", to);
    print_json_string(to, v->title);
    fprintf(to, ",\"kind\":\"%s\",\"values\":%d,\"base\":%s,\"metric\":%d,\n",
        heap                  ? "heap"
        : p->kind == KIND_CPU ? "cpu"
                              : "contention",
        count, p->has_base ? "true" : "false",
        v->metric < (metric_t)count ? (int)v->metric : INUSE_SPACE);
    fputs("\"nodes\":[[0,-1,0,0", to);
    print_numbers(to, p, g->nodes[0].value, count);
    if (p->has_base) {
        print_numbers(to, p, g->nodes[0].base, count);
    }
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
    mem_free(g.names);
    mem_free(g.order);
}
