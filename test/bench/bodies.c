/*
 * What: bodies that attract one another: each step sorts them into a tree of
 * cubes, one block a cube, sums up forces over it and drops it again. Few
 * sizes, hundreds of thousands of live nodes, much arithmetic in between.
 *
 * Invariants: (I1) an inner node's mass and centre are those of the bodies
 * below it; (I2) the mass of the whole tree is that of all bodies.
 *
 * Locking: none, one thread.
 */
#include "work.h"

#include <math.h>

#define NEAR  0.8 /* Width over distance below which a cube is a point. */
#define STEP  1e-3
#define SOFT  1e-3
#define DEPTH 40

typedef struct {
    double at[3];
    double speed[3];
    double mass;
} body_t;

typedef struct node {
    struct node *parts[8];
    double centre[3];
    double mass;
    const body_t *body; /* Of a leaf. */
} node_t;

static uint64_t made;

static node_t *leaf_new(const body_t *body)
{
    node_t *node = calloc(1, sizeof(*node));

    work_require(node != NULL, "out of memory");
    made++;
    node->body = body;
    return node;
}

/* Which eighth of the cube around `middle` holds `at`; moves `middle` there. */
static unsigned eighth(const double *at, double *middle, double width)
{
    unsigned which = 0;

    for (int i = 0; i < 3; i++) {
        if (at[i] >= middle[i]) {
            which |= 1u << i;
        }
        middle[i] += at[i] >= middle[i] ? width / 4 : -width / 4;
    }
    return which;
}

static void insert(node_t **root, const body_t *body, double width)
{
    double middle[3] = {0, 0, 0};

    for (int depth = 0; *root != NULL; depth++) {
        node_t *node = *root;
        double copy[3];

        work_require(depth < DEPTH, "bodies in one place");
        memcpy(copy, middle, sizeof(copy));
        if (node->body != NULL) {
            *root = leaf_new(NULL);
            (*root)->parts[eighth(node->body->at, copy, width)] = node;
        }
        root = &(*root)->parts[eighth(body->at, middle, width)];
        width /= 2;
    }
    *root = leaf_new(body);
}

static void sum_up(node_t *node)
{
    if (node->body != NULL) {
        memcpy(node->centre, node->body->at, sizeof(node->centre));
        node->mass = node->body->mass;
        return;
    }
    for (int i = 0; i < 8; i++) {
        node_t *part = node->parts[i];

        if (part != NULL) {
            sum_up(part);
            node->mass += part->mass;
            for (int j = 0; j < 3; j++) {
                node->centre[j] += part->centre[j] * part->mass;
            }
        }
    }
    for (int j = 0; j < 3; j++) {
        node->centre[j] /= node->mass;
    }
}

static void attract(const node_t *node, double width, body_t *body)
{
    double way[3], square = SOFT;

    for (int i = 0; i < 3; i++) {
        way[i] = node->centre[i] - body->at[i];
        square += way[i] * way[i];
    }
    if (node->body == NULL && width * width > NEAR * NEAR * square) {
        for (int i = 0; i < 8; i++) {
            if (node->parts[i] != NULL) {
                attract(node->parts[i], width / 2, body);
            }
        }
        return;
    }
    for (int i = 0; i < 3; i++) {
        body->speed[i] += STEP * node->mass * way[i] / (square * sqrt(square));
    }
}

static void drop(node_t *node)
{
    for (int i = 0; i < 8; i++) {
        if (node->parts[i] != NULL) {
            drop(node->parts[i]);
        }
    }
    free(node);
}

static double one_step(body_t *bodies, uint64_t count)
{
    node_t *root = NULL;
    double width = 1, mass;

    for (uint64_t i = 0; i < count; i++) {
        for (int j = 0; j < 3; j++) {
            width = fmax(width, 2.1 * fabs(bodies[i].at[j]));
        }
    }
    for (uint64_t i = 0; i < count; i++) {
        insert(&root, &bodies[i], width);
    }
    sum_up(root);
    for (uint64_t i = 0; i < count; i++) {
        attract(root, width, &bodies[i]);
    }
    mass = root->mass;
    drop(root);
    for (uint64_t i = 0; i < count; i++) {
        for (int j = 0; j < 3; j++) {
            bodies[i].at[j] += STEP * bodies[i].speed[j];
        }
    }
    return mass;
}

int main(int argc, char **argv)
{
    uint64_t count = work_arg(argc, argv, 1, 20000);
    uint64_t steps = work_arg(argc, argv, 2, 4);
    body_t *bodies = calloc(count, sizeof(*bodies));
    uint64_t state = 1;
    double sum = 0;

    work_require(bodies != NULL, "out of memory");
    for (uint64_t i = 0; i < count; i++) {
        bodies[i].mass = 1;
        for (int j = 0; j < 3; j++) {
            bodies[i].at[j] = work_random(&state) / 4294967296.0 - 0.5;
        }
    }
    for (uint64_t i = 0; i < steps; i++) {
        double mass = one_step(bodies, count);

        work_require(fabs(mass - (double)count) < 1e-6 * (double)count,
            "a tree lost bodies");
    }
    for (uint64_t i = 0; i < count; i++) {
        sum += fabs(bodies[i].at[0]);
    }
    free(bodies);
    return work_report(made, (uint64_t)(sum * 1e6));
}
