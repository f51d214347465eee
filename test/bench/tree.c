/*
 * What: a single thread that lives on small, short-lived objects: it builds
 * random formulas, derives and simplifies them, evaluates and drops them.
 * Every variable carries a name of its own length.
 *
 * Invariants: (I1) each formula's value before and after simplification is
 * the same, up to rounding; (I2) a node owns its children and its name.
 *
 * Locking: none, one thread.
 */
#include "work.h"

typedef enum { TREE_NUMBER, TREE_NAME, TREE_ADD, TREE_TIMES } kind_t;

typedef struct node {
    kind_t kind;
    union {
        double number;
        struct {
            char *name;
            double value;
        };
        struct {
            struct node *left;
            struct node *right;
        };
    };
} node_t;

static uint64_t state = 1;
static uint64_t made;

static void *get(size_t size)
{
    made++;
    return work_get(size);
}

static node_t *make_number(double number)
{
    node_t *node = get(sizeof(*node));

    node->kind = TREE_NUMBER;
    node->number = number;
    return node;
}

static node_t *make_name(size_t length, double value)
{
    node_t *node = get(sizeof(*node));

    node->kind = TREE_NAME;
    node->name = get(length + 1);
    memset(node->name, 'x', length);
    node->name[length] = '\0';
    node->value = value;
    return node;
}

static node_t *make_pair(kind_t kind, node_t *left, node_t *right)
{
    node_t *node = get(sizeof(*node));

    node->kind = kind;
    node->left = left;
    node->right = right;
    return node;
}

static void drop(node_t *node)
{
    if (node->kind == TREE_NAME) {
        free(node->name);
    } else if (node->kind != TREE_NUMBER) {
        drop(node->left);
        drop(node->right);
    }
    free(node);
}

static node_t *copy(const node_t *node)
{
    switch (node->kind) {
    case TREE_NUMBER:
        return make_number(node->number);
    case TREE_NAME:
        return make_name(strlen(node->name), node->value);
    default:
        return make_pair(node->kind, copy(node->left), copy(node->right));
    }
}

static node_t *build(unsigned depth)
{
    kind_t kind = work_below(&state, 2) ? TREE_ADD : TREE_TIMES;
    node_t *left;

    if (depth == 0 || work_below(&state, 8) == 0) {
        if (work_below(&state, 3) == 0) {
            return make_number((double)work_below(&state, 3));
        }
        return make_name(1 + work_below(&state, 60),
            0.5 + (double)work_below(&state, 1000) / 1000);
    }
    left = build(depth - 1);
    return make_pair(kind, left, build(depth - 1));
}

/* The derivative by every name at once. */
static node_t *derive(const node_t *node)
{
    switch (node->kind) {
    case TREE_NUMBER:
        return make_number(0);
    case TREE_NAME:
        return make_number(1);
    case TREE_ADD:
        return make_pair(TREE_ADD, derive(node->left), derive(node->right));
    default:
        return make_pair(TREE_ADD,
            make_pair(TREE_TIMES, derive(node->left), copy(node->right)),
            make_pair(TREE_TIMES, copy(node->left), derive(node->right)));
    }
}

static int is_number(const node_t *node, double number)
{
    return node->kind == TREE_NUMBER && node->number == number;
}

/* Drops `gone` and the pair around the two; `kept` stays. */
static node_t *keep(node_t *pair, node_t *kept, node_t *gone)
{
    drop(gone);
    free(pair);
    return kept;
}

static node_t *simplify(node_t *node)
{
    double neutral = node->kind == TREE_TIMES;

    if (node->kind == TREE_NUMBER || node->kind == TREE_NAME) {
        return node;
    }
    node->left = simplify(node->left);
    node->right = simplify(node->right);
    if (is_number(node->left, neutral)) {
        return keep(node, node->right, node->left);
    }
    if (is_number(node->right, neutral)) {
        return keep(node, node->left, node->right);
    }
    if (node->kind == TREE_TIMES && is_number(node->left, 0)) {
        return keep(node, node->left, node->right);
    }
    if (node->kind == TREE_TIMES && is_number(node->right, 0)) {
        return keep(node, node->right, node->left);
    }
    return node;
}

static double evaluate(const node_t *node)
{
    switch (node->kind) {
    case TREE_NUMBER:
        return node->number;
    case TREE_NAME:
        return node->value;
    case TREE_ADD:
        return evaluate(node->left) + evaluate(node->right);
    default:
        return evaluate(node->left) * evaluate(node->right);
    }
}

static int is_close(double a, double b)
{
    double apart = a > b ? a - b : b - a;

    return apart <= 1e-6 * (a < 0 ? -a : a) + 1e-9;
}

static void round_of(unsigned depth)
{
    node_t *formula = build(depth);
    node_t *derived = derive(formula);
    double before = evaluate(derived);

    derived = simplify(derived);
    work_require(is_close(before, evaluate(derived)), "wrong derivative");
    drop(formula);
    drop(derived);
}

int main(int argc, char **argv)
{
    uint64_t rounds = work_arg(argc, argv, 1, 100000);

    for (uint64_t i = 0; i < rounds; i++) {
        round_of(3 + work_below(&state, 6));
    }
    return work_report(made, state);
}
