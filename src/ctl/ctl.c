/*
 * What: see ctl.h.
 *
 * Invariants: as there. (I3) Names are taken literally: no empty component,
 * and an index is decimal digits and nothing else.
 *
 * Locking: as there.
 */
#include "ctl/ctl.h"

#include <errno.h>
#include <string.h>

#include "stats/snapshot.h"

/* Where the resolution of a name or a vector has come to. */
typedef struct {
    const ctl_node_t *node;
    size_t depth;
    bool wants_index;
} position_t;

static struct {
    const ctl_node_t *root;
} ctl_state;

static position_t at_root(void)
{
    return (position_t){.node = ctl_state.root};
}

static void enter(position_t *at, size_t child)
{
    at->node = &at->node->children[child];
    at->wants_index = at->node->check_index != NULL;
    at->depth++;
}

/* mib[at->depth] is the index to go to. */
static int enter_index(position_t *at, const size_t *mib)
{
    at->depth++;
    at->wants_index = false;
    return at->node->check_index(mib, at->depth);
}

static bool is_leaf(const position_t *at)
{
    return at->node->handler != NULL;
}

/*
 * ---- names, byte by byte: in static programs memcheck sees the C library's
 * vector code decide by what lies behind a string ----
 */

/* Bytes of the first component. */
static size_t component_length(const char *name)
{
    size_t len = 0;
    while (name[len] != '.' && name[len] != '\0') {
        len++;
    }
    return len;
}

/* `text` has at least `len` bytes, none of them the end. */
static bool is_named(const char *name, const char *text, size_t len)
{
    size_t same = 0;
    while (same < len && name[same] == text[same]) {
        same++;
    }
    return same == len && name[same] == '\0';
}

static bool parse_index(const char *text, size_t len, size_t *value)
{
    *value = 0;
    for (size_t i = 0; i < len; i++) {
        unsigned digit = (unsigned)text[i] - '0';
        if (digit > 9 || *value > (SIZE_MAX - digit) / 10) {
            return false;
        }
        *value = *value * 10 + digit;
    }
    return true;
}

static bool find_child(
    const ctl_node_t *node, const char *text, size_t len, size_t *child)
{
    for (size_t i = 0; i < node->child_count; i++) {
        if (is_named(node->children[i].name, text, len)) {
            *child = i;
            return true;
        }
    }
    return false;
}

/* One component further; its number goes to mib. */
static bool step_name(position_t *at, const char *text, size_t len, size_t *mib)
{
    size_t *element = &mib[at->depth];
    if (at->wants_index) {
        return parse_index(text, len, element) && enter_index(at, mib) == 0;
    }
    if (!find_child(at->node, text, len, element)) {
        return false;
    }
    enter(at, *element);
    return true;
}

static int resolve_name(const char *name, size_t *mib, position_t *at)
{
    *at = at_root();
    for (;;) {
        size_t len = component_length(name);
        if (len == 0 || at->depth == CTL_DEPTH_MAX ||
            !step_name(at, name, len, mib)) {
            return ENOENT;
        }
        if (name[len] == '\0') {
            return 0;
        }
        name += len + 1;
    }
}

/* ---- vectors ---- */

static int step_mib(position_t *at, const size_t *mib)
{
    if (at->wants_index) {
        return enter_index(at, mib);
    }
    if (mib[at->depth] >= at->node->child_count) {
        return ENOENT;
    }
    enter(at, mib[at->depth]);
    return 0;
}

/* ---- execution ---- */

int ctl_check_access(const ctl_call_t *call, ctl_access_t access)
{
    bool wants = call->oldp != NULL || call->oldlenp != NULL;
    bool gives = call->newp != NULL || call->newlen != 0;
    bool denied = (gives && (access == CTL_READ || access == CTL_ACT)) ||
                  (wants && (access == CTL_WRITE || access == CTL_ACT));
    return denied ? EPERM : 0;
}

static int execute(const ctl_call_t *call)
{
    ctl_access_t access = call->node->access;
    int error = access >= CTL_OWN ? 0 : ctl_check_access(call, access);
    return error != 0 ? error : call->node->handler(call);
}

int ctl_by_name(
    const char *name, void *oldp, size_t *oldlenp, void *newp, size_t newlen)
{
    size_t mib[CTL_DEPTH_MAX];
    position_t at;
    int error = resolve_name(name, mib, &at);
    if (error != 0 || !is_leaf(&at)) {
        return ENOENT;
    }
    ctl_call_t call = {at.node, mib, oldp, oldlenp, newp, newlen};
    return execute(&call);
}

int ctl_name_to_mib(const char *name, size_t *mib, size_t *miblen)
{
    size_t full[CTL_DEPTH_MAX];
    position_t at;
    int error = resolve_name(name, full, &at);
    if (error != 0) {
        return error;
    }
    if (at.depth < *miblen) {
        *miblen = at.depth;
    }
    if (*miblen != 0) {
        memcpy(mib, full, *miblen * sizeof(*mib));
    }
    return 0;
}

int ctl_by_mib(const size_t *mib, size_t miblen, void *oldp, size_t *oldlenp,
    void *newp, size_t newlen)
{
    position_t at = at_root();
    while (at.depth < miblen && !is_leaf(&at)) {
        int error = step_mib(&at, mib);
        if (error != 0) {
            return error;
        }
    }
    if (at.depth != miblen || !is_leaf(&at)) {
        return ENOENT;
    }
    ctl_call_t call = {at.node, mib, oldp, oldlenp, newp, newlen};
    return execute(&call);
}

/* ---- for handlers ---- */

int ctl_give(const ctl_call_t *call, const void *value, size_t size)
{
    if (call->oldp == NULL || call->oldlenp == NULL) {
        return 0;
    }
    size_t room = *call->oldlenp;
    size_t count = room < size ? room : size;
    memcpy(call->oldp, value, count);
    *call->oldlenp = count;
    return room == size ? 0 : EINVAL;
}

int ctl_want_output(const ctl_call_t *call, size_t size)
{
    if (call->oldp != NULL && call->oldlenp != NULL && *call->oldlenp == size) {
        return 0;
    }
    if (call->oldlenp != NULL) {
        *call->oldlenp = 0;
    }
    return EINVAL;
}

int ctl_take(const ctl_call_t *call, void *value, size_t size)
{
    if (call->newp == NULL) {
        return 0;
    }
    if (call->newlen != size) {
        return EINVAL;
    }
    memcpy(value, call->newp, size);
    return 0;
}

int ctl_take_bool(const ctl_call_t *call, bool *value)
{
    uint8_t byte = *value;
    int error = ctl_take(call, &byte, sizeof(byte));
    *value = byte != 0;
    return error;
}

int ctl_need(const ctl_call_t *call, void *value, size_t size)
{
    return call->newp == NULL ? EINVAL : ctl_take(call, value, size);
}

int ctl_constant(const ctl_call_t *call)
{
    return ctl_give(call, call->node->data, call->node->size);
}

/* ---- boot and fork ---- */

void ctl_set_root(const ctl_node_t *root)
{
    ctl_state.root = root;
}

void ctl_prefork(void)
{
    snapshot_prefork();
}

void ctl_postfork_parent(void)
{
    snapshot_postfork_parent();
}
