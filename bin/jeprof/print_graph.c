/*
 * What: the call graph: nodes as large as what they allocate, edges as thick
 * as what is allocated through them; drawn by Graphviz.
 *
 * Invariants: (I1) of the edges into a node that is shown, the heaviest from
 * another node that is shown always stays, so that no node hangs in the air.
 *
 * Locking: none.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "print.h"
#include "say.h"
#include "tally.h"
#include "tool.h"

typedef struct graph {
    tally_t tally;
    uint32_t *number; /* of a node in the picture; 0: not in it */
    uint32_t *in;     /* edges that are drawn */
    uint32_t *out;
    uint32_t *edges; /* heaviest first */
    double node_limit;
    double edge_limit;
} graph_t;

static const tally_edge_t *sorted_edges;

static int compare_edges(const void *a, const void *b)
{
    const tally_edge_t *x = &sorted_edges[*(const uint32_t *)a];
    const tally_edge_t *y = &sorted_edges[*(const uint32_t *)b];
    if (fabs(x->value) != fabs(y->value)) {
        return fabs(x->value) > fabs(y->value) ? -1 : 1;
    }
    if (x->from != y->from) {
        return x->from < y->from ? -1 : 1;
    }
    return (x->to > y->to) - (x->to < y->to);
}

static void choose(graph_t *g, view_t *v, const settings_t *s)
{
    tally_t *t = &g->tally;
    tally_make(t, v, s->granularity, true);
    tally_sort(t, true);
    g->node_limit = s->nodefraction * fabs(t->total);
    g->edge_limit = s->edgefraction * fabs(t->total);
    g->number = mem_alloc((t->nodes_count + 1) * sizeof(uint32_t));
    g->in = mem_alloc((t->nodes_count + 1) * sizeof(uint32_t));
    g->out = mem_alloc((t->nodes_count + 1) * sizeof(uint32_t));
    g->edges = mem_alloc((t->edges_count + 1) * sizeof(uint32_t));
    uint32_t shown = 0;
    for (size_t i = 0; i < t->nodes_count && shown < s->nodecount; i++) {
        const tally_node_t *n = &t->nodes[t->order[i]];
        if (fabs(n->cum) > g->node_limit) {
            g->number[t->order[i]] = ++shown;
        }
    }
    for (uint32_t i = 0; i < t->edges_count; i++) {
        g->edges[i] = i;
    }
    sorted_edges = t->edges;
    if (t->edges_count > 0) {
        qsort(g->edges, t->edges_count, sizeof(*g->edges), compare_edges);
    }
}

/* In a label of Graphviz; the parts of a C++ name below one another. */
static void print_label(FILE *to, const char *text)
{
    for (; *text != '\0'; text++) {
        if (strncmp(text, "::", 2) == 0) {
            fputs("\\n", to);
            text++;
        } else if (strncmp(text, " (inline)", 9) == 0 || *text == ' ') {
            fputs("\\n", to);
        } else if (*text == '"' || *text == '\\') {
            fprintf(to, "\\%c", *text);
        } else {
            fputc(*text, to);
        }
    }
}

static void print_quoted(FILE *to, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\') {
            fputc('\\', to);
        }
        fputc(*text, to);
    }
}

static double percent(double part, double total)
{
    return total != 0 ? part * 100 / total : 0;
}

static void print_head(
    FILE *to, const graph_t *g, const view_t *v, const settings_t *s)
{
    char total[32], node[32], edge[32];
    view_format(v, g->tally.total, total);
    fputs("digraph \"", to);
    print_quoted(to, v->title);
    fprintf(to, "; %s %s\" {\n", total, view_unit(v));
    if (s->output == OUT_GV && s->scale == 0) {
        fputs("size=\"8,11\"\n", to);
    }
    fputs("node [width=0.375,height=0.25];\n"
          "Legend [shape=box,fontsize=24,shape=plaintext,label=\"",
        to);
    print_quoted(to, v->title);
    fprintf(to,
        "\\lTotal: %s %s\\lNodes up to %s %s are left out\\l"
        "Edges up to %s %s are left out\\l\"];\n",
        total, view_unit(v), view_format(v, g->node_limit, node), view_unit(v),
        view_format(v, g->edge_limit, edge), view_unit(v));
}

static void print_node(FILE *to, const graph_t *g, const view_t *v,
    const settings_t *s, uint32_t id)
{
    const tally_node_t *n = &g->tally.nodes[id];
    double total = g->tally.total;
    char flat[32], cum[32];
    fprintf(to, "N%u [label=\"", g->number[id]);
    print_label(to, text_of(n->label));
    fprintf(to, "\\n%s (%.1f%%)\\r", view_format(v, n->flat, flat),
        percent(n->flat, total));
    if (n->cum != n->flat) {
        fprintf(to, "of %s (%.1f%%)\\r", view_format(v, n->cum, cum),
            percent(n->cum, total));
    }
    double part = total != 0 ? fmin(fabs(n->flat / total), 1) : 0;
    bool painted = s->heapcheck && n->flat != 0;
    fprintf(to, "\",shape=box,fontsize=%.1f%s];\n", 8 + 50 * sqrt(part),
        painted ? ",style=filled,fillcolor=gray" : "");
}

static void print_edge(
    FILE *to, const graph_t *g, const view_t *v, const tally_edge_t *e)
{
    char value[32];
    double part = g->tally.total != 0 ? fabs(e->value / g->tally.total) : 0;
    fprintf(to,
        "N%u -> N%u [label=\"%s\",weight=%d,style=\"setlinewidth(%.2f)"
        "%s\"];\n",
        g->number[e->from], g->number[e->to], view_format(v, e->value, value),
        1 + (int)fmin(part * 1000, 10000), fmax(0.3, fmin(part * 6, 4)),
        e->is_inlined ? ",dashed" : "");
}

void print_graph(FILE *to, view_t *v, const settings_t *s)
{
    graph_t g;
    memset(&g, 0, sizeof(g));
    choose(&g, v, s);
    print_head(to, &g, v, s);
    for (size_t i = 0; i < g.tally.nodes_count; i++) {
        if (g.number[g.tally.order[i]] != 0) {
            print_node(to, &g, v, s, g.tally.order[i]);
        }
    }
    for (size_t i = 0; i < g.tally.edges_count; i++) {
        const tally_edge_t *e = &g.tally.edges[g.edges[i]];
        if (g.number[e->from] == 0 || g.number[e->to] == 0 || e->value == 0) {
            continue;
        }
        bool fits = g.out[e->from] < s->maxdegree &&
                    g.in[e->to] < s->maxdegree && fabs(e->value) > g.edge_limit;
        bool first = g.in[e->to] == 0 && e->from != e->to; /* I1 */
        if (fits || first) {
            g.in[e->to] += e->from != e->to;
            g.out[e->from]++;
            print_edge(to, &g, v, e);
        }
    }
    fputs("}\n", to);
    mem_free(g.number);
    mem_free(g.in);
    mem_free(g.out);
    mem_free(g.edges);
    tally_release(&g.tally);
}

void draw_graph(FILE *to, view_t *v, const settings_t *s, const char *format)
{
    char *dot = tool_find("dot", s->tools);
    if (dot == NULL) {
        fail("pictures need the program dot of Graphviz, which is not in PATH: "
             "install graphviz, or use --dot, --flame or --text");
    }
    text_t source = {NULL, 0, 0};
    text_t picture = {NULL, 0, 0};
    capture_t c;
    capture_begin(&c);
    print_graph(c.file, v, s);
    capture_end(&c);
    text_add(&source, c.at, c.len);
    free(c.at);
    char *option = mem_format("-T%s", format);
    const char *const argv[] = {dot, option, NULL};
    int status = tool_run(argv, &source, &picture);
    if (status != 0 || picture.len == 0) {
        fail("%s -T%s failed (status %d)", dot, format, status);
    }
    fwrite(picture.at, 1, picture.len, to);
    mem_free(source.at);
    mem_free(picture.at);
    mem_free(option);
    mem_free(dot);
}
