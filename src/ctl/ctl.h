/*
 * What: the control tree: from a name or an index vector to a node, and the
 * common rules of reading and writing one. What a node does is in ctl_*.c;
 * which nodes there are is in ctl_tree.c.
 *
 * Invariants: (I1) a handler runs only for a leaf, with every index on the
 * way checked and the node's access class obeyed; (I2) nothing is written to
 * the caller's memory but through ctl_give.
 *
 * Locking: none here. Handlers that look at arenas take snapshot_lock.
 */
#ifndef JE_CTL_CTL_H
#define JE_CTL_CTL_H

#include "util/common.h"

/* Components of the longest name. */
#define CTL_DEPTH_MAX 7

typedef enum {
    CTL_READ,  /* EPERM when there is input */
    CTL_WRITE, /* EPERM when output is wanted */
    CTL_ACT,   /* EPERM for both */
    CTL_BOTH,  /* both; also where input says what output is wanted */
    /* The handler checks: something else comes before EPERM. */
    CTL_OWN = 4,
    CTL_OWN_READ = CTL_OWN | CTL_READ,
    CTL_OWN_WRITE = CTL_OWN | CTL_WRITE,
    CTL_OWN_ACT = CTL_OWN | CTL_ACT,
    CTL_OWN_BOTH = CTL_OWN | CTL_BOTH,
} ctl_access_t;

/* Bytes of what nodes of a type deliver, or else take. */
#define CTL_SIZE_NONE     0
#define CTL_SIZE_BOOL     sizeof(bool)
#define CTL_SIZE_SIZE     sizeof(size_t)
#define CTL_SIZE_SSIZE    sizeof(ssize_t)
#define CTL_SIZE_UNSIGNED sizeof(unsigned)
#define CTL_SIZE_U32      sizeof(uint32_t)
#define CTL_SIZE_U64      sizeof(uint64_t)
#define CTL_SIZE_I64      sizeof(int64_t)
#define CTL_SIZE_RATIO    sizeof(uint32_t)
#define CTL_SIZE_ENUM     sizeof(const char *)
#define CTL_SIZE_TEXT     sizeof(const char *)
#define CTL_SIZE_LETTERS  sizeof(const char *)
#define CTL_SIZE_SIGNAL   sizeof(unsigned)
#define CTL_SIZE_POINTER  sizeof(void *)

typedef struct ctl_node ctl_node_t;

/* One execution of a leaf: the caller's arguments and the way to the leaf. */
typedef struct {
    const ctl_node_t *node;
    const size_t *mib;
    void *oldp;
    size_t *oldlenp;
    const void *newp;
    size_t newlen;
} ctl_call_t;

struct ctl_node {
    const char *name;
    /* Below a name, or if `check_index` is set, below a name and a number. */
    const ctl_node_t *children;
    /* Checks mib[depth - 1], given what stands before it: 0 or an errno. */
    int (*check_index)(const size_t *mib, size_t depth);
    /* Leaves only. */
    int (*handler)(const ctl_call_t *call);
    /* The value of ctl_constant, or what the handler likes. */
    const void *data;
    uint32_t offset;
    uint16_t child_count;
    uint8_t size;
    uint8_t access;
};

/* The tree's root, from ctl_tree.c; and handing it over, which ctl_boot does.
 */
const ctl_node_t *ctl_tree(void);
void ctl_set_root(const ctl_node_t *root);

void ctl_boot(void);
void ctl_prefork(void);
void ctl_postfork_parent(void);

int ctl_by_name(
    const char *name, void *oldp, size_t *oldlenp, void *newp, size_t newlen);
int ctl_name_to_mib(const char *name, size_t *mib, size_t *miblen);
int ctl_by_mib(const size_t *mib, size_t miblen, void *oldp, size_t *oldlenp,
    void *newp, size_t newlen);

/* ---- for handlers ---- */

/*
 * Delivers a value if the caller wants one. With the wrong size it delivers
 * what fits, says how much, and the answer is EINVAL.
 */
JE_MUST_USE int ctl_give(
    const ctl_call_t *call, const void *value, size_t size);

/* For results that must not get lost: EINVAL, *oldlenp = 0, unless exact. */
JE_MUST_USE int ctl_want_output(const ctl_call_t *call, size_t size);

static inline bool ctl_has_input(const ctl_call_t *call)
{
    return call->newp != NULL;
}

/* Fetches the input, if there is one: 0, or EINVAL for a wrong size. */
JE_MUST_USE int ctl_take(const ctl_call_t *call, void *value, size_t size);

/* The same for a bool, whatever byte the program has there. */
JE_MUST_USE int ctl_take_bool(const ctl_call_t *call, bool *value);

/* The same where there must be one. */
JE_MUST_USE int ctl_need(const ctl_call_t *call, void *value, size_t size);

/* 0, or EPERM if the arguments do not suit the access class. */
JE_MUST_USE int ctl_check_access(const ctl_call_t *call, ctl_access_t access);

/* Handler: delivers node->size bytes at node->data. */
int ctl_constant(const ctl_call_t *call);

#endif
