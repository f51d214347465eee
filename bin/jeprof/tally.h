/*
 * What: sums of a view by function, line, address or file, and of the calls
 * between them.
 *
 * Invariants: (I1) a node counts once in a stack, however often it is on it.
 *
 * Locking: none.
 */
#ifndef JEPROF_TALLY_H
#define JEPROF_TALLY_H

#include "view.h"

typedef struct tally_node {
    uint32_t label;
    double flat;
    double cum;
    double flat_count; /* of what is averaged */
    double cum_count;
    size_t stack; /* last one that counted it */
} tally_node_t;

typedef struct tally_edge {
    uint32_t from;
    uint32_t to;
    double value;
    bool is_inlined;
    size_t stack;
} tally_edge_t;

typedef struct tally {
    double total;
    double total_count;
    tally_node_t *nodes;
    size_t nodes_count, nodes_room;
    tally_edge_t *edges;
    size_t edges_count, edges_room;
    index_t node_index, edge_index;
    uint32_t *of_frame; /* node, plus 1 */
    uint32_t *order;    /* nodes as reports list them */
} tally_t;

void tally_make(tally_t *t, view_t *v, granularity_t by, bool with_edges);
/* By flat (or cumulative) value, then by label. */
void tally_sort(tally_t *t, bool by_cumulative);
void tally_release(tally_t *t);

#endif
