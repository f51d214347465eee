/*
 * What: the sums, see tally.h.
 *
 * Invariants: (I1) each frame's node is found once and then remembered.
 *
 * Locking: none.
 */
#include "tally.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "mem.h"

static const tally_t *current;

static bool same_node(uint32_t id, const void *key)
{
    return current->nodes[id].label == *(const uint32_t *)key;
}

static bool same_edge(uint32_t id, const void *key)
{
    const tally_edge_t *have = &current->edges[id];
    const tally_edge_t *want = key;
    return have->from == want->from && have->to == want->to;
}

static uint32_t label_of(
    const view_t *v, uint32_t frame, uint32_t location, granularity_t by)
{
    const frame_t *f = &v->p->frames[frame];
    const function_t *function = &v->p->functions[f->function];
    const char *file = f->file != 0 ? text_of(f->file) : "??";
    if (by == BY_FUNCTION && !f->is_inlined) {
        return function->label;
    }
    if (by == BY_FILE) {
        return text_id_of(file);
    }
    text_t label = {NULL, 0, 0};
    text_clear(&label);
    if (by == BY_ADDRESS) {
        text_format(
            &label, "%016" PRIx64 " ", v->p->locations[location].address);
    }
    text_string(&label, text_of(function->label));
    text_string(&label, f->is_inlined ? " (inline)" : "");
    if (by != BY_FUNCTION && f->line != 0) {
        text_format(&label, " %s:%u", file, f->line);
    } else if (by != BY_FUNCTION) {
        text_format(&label, " %s:?", file);
    }
    uint32_t id = text_id(label.at, label.len);
    mem_free(label.at);
    return id;
}

static uint32_t node_of(tally_t *t, const view_t *v, size_t i, granularity_t by)
{
    uint32_t frame = v->frames[i];
    if (t->of_frame[frame] != 0) {
        return t->of_frame[frame] - 1;
    }
    uint32_t label = label_of(v, frame, v->locations[i], by);
    uint32_t fresh = (uint32_t)t->nodes_count;
    uint32_t id =
        index_find(&t->node_index, hash_word(label), same_node, &label, fresh);
    if (id == INDEX_NEW) {
        tally_node_t node = {.label = label, .stack = SIZE_MAX};
        *MEM_PUSH(t->nodes, t->nodes_count, t->nodes_room) = node;
        id = fresh;
    }
    t->of_frame[frame] = id + 1;
    return id;
}

static void add_edge(tally_t *t, uint32_t from, uint32_t to, double value,
    size_t stack, bool is_inlined)
{
    tally_edge_t key = {from, to, 0, is_inlined, SIZE_MAX};
    uint32_t fresh = (uint32_t)t->edges_count;
    uint32_t id = index_find(&t->edge_index,
        hash_word((uint64_t)from << 32 | to), same_edge, &key, fresh);
    if (id == INDEX_NEW) {
        *MEM_PUSH(t->edges, t->edges_count, t->edges_room) = key;
        id = fresh;
    }
    if (t->edges[id].stack != stack) {
        t->edges[id].stack = stack;
        t->edges[id].value += value;
    }
}

static void add_stack(tally_t *t, const view_t *v, granularity_t by,
    bool with_edges, size_t stack)
{
    double value = view_value(v);
    double count = view_value_of(v, INUSE_OBJECTS);
    t->total += value;
    t->total_count += count;
    uint32_t below = 0;
    for (size_t i = 0; i < v->depth; i++) {
        uint32_t id = node_of(t, v, i, by);
        tally_node_t *node = &t->nodes[id];
        if (i == 0) {
            node->flat += value;
            node->flat_count += count;
        } else if (with_edges) {
            add_edge(t, id, below, value, stack,
                v->p->frames[v->frames[i - 1]].is_inlined);
        }
        if (node->stack != stack) {
            node->stack = stack;
            node->cum += value;
            node->cum_count += count;
        }
        below = id;
    }
}

static double mean(double amount, double count)
{
    return count != 0 ? amount / count : 0;
}

void tally_make(tally_t *t, view_t *v, granularity_t by, bool with_edges)
{
    memset(t, 0, sizeof(*t));
    current = t;
    t->of_frame = mem_alloc((v->p->frames_count + 1) * sizeof(*t->of_frame));
    view_rewind(v);
    for (size_t stack = 0; view_next(v); stack++) {
        add_stack(t, v, by, with_edges, stack);
    }
    for (size_t i = 0; v->metric == METRIC_MEAN_DELAY && i < t->nodes_count;
         i++) {
        tally_node_t *n = &t->nodes[i];
        n->flat = mean(n->flat, n->flat_count);
        n->cum = mean(n->cum, n->cum_count);
    }
    if (v->metric == METRIC_MEAN_DELAY) {
        t->total = mean(t->total, t->total_count);
    }
}

static bool by_cumulative_value;

static int compare_nodes(const void *a, const void *b)
{
    const tally_node_t *x = &current->nodes[*(const uint32_t *)a];
    const tally_node_t *y = &current->nodes[*(const uint32_t *)b];
    double vx = by_cumulative_value ? x->cum : x->flat;
    double vy = by_cumulative_value ? y->cum : y->flat;
    if (vx != vy) {
        return fabs(vx) > fabs(vy)   ? -1
               : fabs(vx) < fabs(vy) ? 1
               : vx > vy             ? -1
                                     : 1;
    }
    return strcmp(text_of(x->label), text_of(y->label));
}

void tally_sort(tally_t *t, bool by_cumulative)
{
    current = t;
    by_cumulative_value = by_cumulative;
    mem_free(t->order);
    t->order = mem_alloc((t->nodes_count + 1) * sizeof(*t->order));
    for (uint32_t i = 0; i < t->nodes_count; i++) {
        t->order[i] = i;
    }
    if (t->nodes_count > 0) {
        qsort(t->order, t->nodes_count, sizeof(*t->order), compare_nodes);
    }
}

void tally_release(tally_t *t)
{
    mem_free(t->nodes);
    mem_free(t->edges);
    mem_free(t->node_index.slots);
    mem_free(t->edge_index.slots);
    mem_free(t->of_frame);
    mem_free(t->order);
}
