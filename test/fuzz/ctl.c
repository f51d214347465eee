/*
 * What: any control by any name or vector, with any lengths and values.
 * Nothing may crash, hang, or write past a buffer; results are those that
 * the header promises.
 *
 * An input is one call:
 *   kind     n by name, t name to vector, m by a vector that is tampered with
 *   old new  lengths: this many bytes above '0'
 *   nulls    bits: 1 no oldp, 2 no oldlenp, 4 no newp
 *   name     up to a newline
 *   value    the rest; for m its first three bytes change the vector
 *
 * Invariants: (I1) where a control takes an address, it gets one that is
 * good: a bad one is the caller's fault; queries about addresses get any;
 * (I2) the program's blocks are not in arenas that calls may end.
 *
 * Locking: none.
 *
 * Run as replay.h says; calls are made up.
 */
#include "ctl/ctl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "arena/arena_table.h"
#include "ctl/ctl_arena.h"
#include "ctl/ctl_block.h"
#include "ctl/ctl_prof.h"
#include "ctl/ctl_tcache.h"
#include "ctl/ctl_thread.h"
#include "harness.h"
#include "jemalloc/jemalloc.h"
#include "replay.h"

const char *je_malloc_conf = "narenas:2,abort_conf:true";

#define HEADER       4
#define INPUT_MAX    512
#define NAME_BYTES   128
#define LENGTH_MAX   79
#define GUARD        16
#define GUARD_BYTE   0xc3
#define CALLS        20000
#define ARENAS_MOST  64
#define CHECK_PERIOD 4096

static unsigned long done; /* calls that gave 0 */

/* ---- objects whose addresses are good ---- */

static char text[INPUT_MAX];
static char arena_name[32];
static void *blocks[4];

static void on_event(bool is_alloc, uint64_t allocated, uint64_t deallocated)
{
    (void)is_alloc;
    (void)allocated;
    (void)deallocated;
}

static void on_activity(void *context, uint64_t allocated, uint64_t deallocated)
{
    (void)context;
    (void)allocated;
    (void)deallocated;
}

static void on_misuse(const char *message)
{
    (void)message;
}

static void put(void *value, size_t size, const void *object, size_t bytes)
{
    memcpy(value, object, size < bytes ? size : bytes);
}

static bool takes_text(const ctl_node_t *node)
{
    return node->handler == ctl_arena_dss || node->handler == ctl_arena_name ||
           node->handler == ctl_thread_ncached_write ||
           node->handler == ctl_thread_prof_name ||
           node->handler == ctl_prof_dump || node->handler == ctl_prof_prefix ||
           node->handler == ctl_prof_log_start;
}

/* Replaces what would be an address by one that is good. */
static void make_good(const ctl_node_t *node, unsigned char *value, size_t size)
{
    const void *object = NULL;
    if (takes_text(node)) {
        object = text;
        put(value, size, &object, sizeof(object));
    } else if (node->handler == ctl_arena_extent_hooks ||
               node->handler == ctl_arenas_create ||
               node->handler == ctl_arenas_create_ext) {
        object = &extent_hooks_default;
        put(value, size, &object, sizeof(object));
    } else if (node->handler == ctl_safety_check_abort) {
        fail_abort_t action = on_misuse;
        put(value, size, &action, sizeof(action));
    } else if (node->handler == ctl_thread_event) {
        watch_event_t event = {on_event, 1000 + size, size % 2 == 0};
        put(value, size, &event, sizeof(event));
    } else if (node->handler == ctl_thread_activity) {
        tsd_activity_t activity = {on_activity, NULL};
        put(value, size, &activity, sizeof(activity));
    } else if (node->handler == ctl_batch_alloc) {
        struct {
            void **ptrs;
            size_t num;
            size_t size;
            int flags;
        } batch;
        memset(&batch, 0, sizeof(batch));
        batch.ptrs = blocks;
        batch.num = size == 0 ? 0 : value[0] % 5;
        batch.size = (size_t)(size < 2 ? 0 : value[1]) * 997 + 1;
        batch.flags = MALLOCX_TCACHE_NONE;
        put(value, size, &batch, sizeof(batch));
    }
}

/* ---- a call ---- */

typedef struct {
    const uint8_t *data;
    size_t size;
    char name[NAME_BYTES];
    char kind;
    size_t old_size;
    size_t new_size;
    unsigned nulls;
} input_t;

static size_t length(uint8_t byte)
{
    size_t len = byte < '0' ? 0 : (size_t)byte - '0';
    return len > LENGTH_MAX ? LENGTH_MAX : len;
}

static bool decode(input_t *in, const uint8_t *data, size_t size)
{
    if (size < HEADER || size > INPUT_MAX) {
        return false;
    }
    in->kind = (char)data[0];
    in->old_size = length(data[1]);
    in->new_size = length(data[2]);
    in->nulls = data[3] - (unsigned)'0';
    data += HEADER;
    size -= HEADER;
    size_t len = 0;
    while (len < size && data[len] != '\n') {
        len++;
    }
    size_t kept = len < NAME_BYTES - 1 ? len : NAME_BYTES - 1;
    memcpy(in->name, data, kept);
    in->name[kept] = '\0';
    len += len < size;
    in->data = data + len;
    in->size = size - len;
    return true;
}

static const ctl_node_t *node_of(const size_t *mib, size_t depth)
{
    const ctl_node_t *node = ctl_tree();
    for (size_t i = 0; i < depth; i++) {
        if (mib[i] >= node->child_count) {
            return NULL;
        }
        node = &node->children[mib[i]];
        i += node->check_index != NULL;
    }
    return node->handler != NULL ? node : NULL;
}

static bool is_errno(int error)
{
    return error == 0 || error == EINVAL || error == ENOENT || error == EPERM ||
           error == EAGAIN || error == EFAULT;
}

/* Memory of exactly that size for the sanitizer; guards for everybody. */
static unsigned char *new_buffer(size_t size)
{
    unsigned char *buffer = malloc(size + GUARD);
    REQUIRE(buffer != NULL);
    memset(buffer, GUARD_BYTE, size + GUARD);
    return buffer;
}

static void end_buffer(unsigned char *buffer, size_t size)
{
    for (size_t i = size; i < size + GUARD; i++) {
        replay_check(
            buffer[i] == GUARD_BYTE, "nothing is written past a buffer");
    }
    free(buffer);
}

/* What a call may not do to this program, or not too often. */
static bool is_left_out(const ctl_node_t *node)
{
    if (node->handler == ctl_arena_reset ||
        node->handler == ctl_arena_destroy) {
        (void)je_mallctl("thread.tcache.flush", NULL, NULL, NULL, 0);
    }
    return (node->handler == ctl_arenas_create ||
               node->handler == ctl_arenas_create_ext) &&
           arena_table_narenas() > ARENAS_MOST;
}

static void free_blocks(void)
{
    for (size_t i = 0; i < sizeof(blocks) / sizeof(blocks[0]); i++) {
        if (blocks[i] != NULL) {
            je_dallocx(blocks[i], MALLOCX_TCACHE_NONE);
            blocks[i] = NULL;
        }
    }
}

static void call(const input_t *in, const size_t *mib, size_t depth)
{
    const ctl_node_t *node = node_of(mib, depth);
    if (node != NULL && is_left_out(node)) {
        return;
    }
    unsigned char *old = new_buffer(in->old_size);
    unsigned char *new = new_buffer(in->new_size);
    for (size_t i = 0; i < in->new_size && i < in->size; i++) {
        new[i] = in->data[i];
    }
    if (node != NULL) {
        make_good(node, new, in->new_size);
    }
    char *out = arena_name; /* for arena.<i>.name, which wants an address */
    put(old, in->old_size, &out, sizeof(out));
    size_t len = in->old_size;
    void *oldp = (in->nulls & 1) != 0 ? NULL : old;
    size_t *oldlenp = (in->nulls & 2) != 0 ? NULL : &len;
    void *newp = (in->nulls & 4) != 0 ? NULL : new;
    int error =
        in->kind == 'm'
            ? je_mallctlbymib(mib, depth, oldp, oldlenp, newp, in->new_size)
            : je_mallctl(in->name, oldp, oldlenp, newp, in->new_size);
    done += error == 0;
    replay_check(is_errno(error), "the result is one of those promised");
    replay_check(len <= in->old_size, "a length never grows");
    end_buffer(old, in->old_size);
    end_buffer(new, in->new_size);
    free_blocks();
}

/* Changes one element, and the depth. */
static void tamper(const input_t *in, size_t *mib, size_t *depth)
{
    static const size_t odd[] = {
        SIZE_MAX, UINT_MAX, (size_t)UINT_MAX / 2, 4095, 4096, 4097};
    if (in->size < 3) {
        return;
    }
    size_t element = in->data[1];
    if (element >= 'u' && element - 'u' < sizeof(odd) / sizeof(odd[0])) {
        element = odd[element - 'u'];
    } else {
        element = element >= '0' ? element - '0' : element;
    }
    if (in->data[0] % 8 < CTL_DEPTH_MAX) {
        mib[in->data[0] % 8] = element;
    }
    if (in->data[2] % 4 == 1) {
        *depth = in->data[2] / 4 % (CTL_DEPTH_MAX + 2);
    }
}

static void once(const uint8_t *data, size_t size)
{
    input_t in;
    size_t mib[CTL_DEPTH_MAX + 1] = {0};
    size_t depth = CTL_DEPTH_MAX;
    if (!decode(&in, data, size)) {
        return;
    }
    size_t room = in.kind == 't' ? in.old_size % (CTL_DEPTH_MAX + 1) : depth;
    depth = room;
    memcpy(text, in.data, in.size);
    text[in.size < sizeof(text) ? in.size : sizeof(text) - 1] = '\0';
    int error = je_mallctlnametomib(in.name, mib, &depth);
    replay_check(error == 0 || error == ENOENT, "a name is known or not");
    replay_check(depth <= room, "a vector has room");
    replay_check(
        error == 0 || depth == room, "a failure leaves the length alone");
    replay_check(mib[CTL_DEPTH_MAX] == 0, "a vector ends");
    if (in.kind == 't') {
        return;
    }
    depth = error == 0 ? depth : 0;
    if (in.kind == 'm') {
        tamper(&in, mib, &depth);
    }
    call(&in, mib, depth);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static unsigned long calls;
    once(data, size);
    if (++calls % CHECK_PERIOD == 0) {
        arena_table_check();
    }
    return 0;
}

#ifndef JE_LIBFUZZER

static const char *random_index(void)
{
    static const char *const indices[] = {"0", "1", "2", "3", "4", "5", "30",
        "35", "36", "4095", "4096", "4097", "4294967296", "x", "-1", "00"};
    size_t n = sizeof(indices) / sizeof(indices[0]);
    return indices[replay_below(replay_below(2) == 0 ? 4 : n)];
}

/* The way down to some leaf, or not quite; *size is what suits it. */
static size_t random_name(char *name, size_t room, size_t *size)
{
    const ctl_node_t *node = ctl_tree();
    size_t len = 0;
    while (node->child_count != 0 && replay_below(50) != 0) {
        node = &node->children[replay_below(node->child_count)];
        len += (size_t)snprintf(
            name + len, room - len, "%s%s", len == 0 ? "" : ".", node->name);
        if (node->check_index != NULL) {
            len +=
                (size_t)snprintf(name + len, room - len, ".%s", random_index());
        }
    }
    if (replay_below(20) == 0 && len != 0) {
        static const char odd[] = ".x0- \x80";
        name[replay_below(len)] = odd[replay_below(sizeof(odd) - 1)];
    }
    *size = node->size;
    return len;
}

static size_t random_size(size_t suitable)
{
    return replay_below(3) != 0 ? suitable : replay_below(LENGTH_MAX + 1);
}

static size_t make_up(uint8_t *data)
{
    static const char kinds[] = "nnnnnmmmt";
    /* Only read, only write, neither. */
    static const uint8_t nulls[] = {4, 4, 4, 3, 3, 7};
    size_t suitable;
    size_t len =
        HEADER + random_name((char *)data + HEADER, NAME_BYTES, &suitable);
    bool quiet = replay_below(3) != 0;
    data[0] = (uint8_t)kinds[replay_below(sizeof(kinds) - 1)];
    data[1] = (uint8_t)('0' + random_size(suitable));
    data[3] = (uint8_t)('0' + (quiet ? nulls[replay_below(sizeof(nulls))]
                                     : replay_below(8)));
    data[2] =
        (uint8_t)(quiet && (data[3] & 4) != 0 ? '0'
                                              : '0' + random_size(suitable));
    data[len++] = '\n';
    size_t value = replay_below(80);
    bool small = replay_below(2) == 0;
    for (size_t i = 0; i < value; i++) {
        data[len++] = (uint8_t)(small ? (i == 0 ? replay_below(20) : 0)
                                      : replay_below(256));
    }
    return len;
}

static void finish(void)
{
    arena_table_check();
    test_note("%lu calls gave 0", done);
    EXPECT_GT_U64(done, 0);
}

int main(int argc, char **argv)
{
    static const replay_target_t target = {.name = "ctl",
        .input_max = INPUT_MAX,
        .rounds = CALLS,
        .make = make_up,
        .finish = finish};
    return replay_main(argc, argv, &target);
}

#endif
