/*
 * What: a machine whose instructions are calls of the allocator: any eight
 * bytes are one. A shadow model watches what they answer.
 *
 *   byte 0    operation (machine_operations)
 *   byte 1    which block
 *   byte 2-3  flags, forms, and what else an operation chooses
 *   byte 4-5  a size (machine_size)
 *   byte 6-7  an alignment, a second size, a duration
 *
 * Invariants: (I1) all that a machine made is gone at its end; (I2) blocks of
 * an arena that a machine made never leave the machine.
 *
 * Locking: a machine belongs to one thread at a time. Several may be at work
 * at once; then only what does not disturb the others is done (`alone`).
 */
#ifndef JE_TEST_FUZZ_API_MACHINE_H
#define JE_TEST_FUZZ_API_MACHINE_H

#include <stdatomic.h>

#include "util/common.h"

#include "api_hooks.h"
#include "api_model.h"

#define MACHINE_RECORD 8
#define MACHINE_ARENAS 3
#define MACHINE_CACHES 3
#define MACHINE_ERRNO  4711

typedef struct machine {
    model_t model;
    bool alone;
    bool has_prof;
    bool can_bind;      /* the program may choose its arena */
    unsigned automatic; /* so many arenas there are without us, or are used */
    hooks_owner_t owners[MACHINE_ARENAS];
    unsigned arenas[MACHINE_ARENAS]; /* index plus one; 0: none */
    bool with_hooks[MACHINE_ARENAS];
    unsigned caches[MACHINE_CACHES]; /* number plus one; 0: none */
    bool cache_is_off;               /* this thread's */
    int bound;         /* which of the arenas this thread uses, or -1 */
    unsigned refusing; /* system calls fail for so many steps more */
    unsigned heavy;    /* costly steps that are left */
    /* Bytes this thread allocated and did not free, beyond those that live. */
    int64_t net_adjust;
    unsigned home;          /* the arena that the thread had at first */
    unsigned long failures; /* requests that got NULL */
    const char *operation;
    uint8_t record[MACHINE_RECORD]; /* the present step */
} machine_t;

/*
 * Options without which no call of a debug build takes the fast path, which
 * leads past all that is done at every call.
 */
#if CONFIG_DEBUG
#    define MACHINE_FAST "junk:false,debug_double_free_max_scan:0,"
#else
#    define MACHINE_FAST ""
#endif

/* Set while system calls of the library may fail. */
extern atomic_bool machine_refusing;

void machine_begin(machine_t *m, bool alone);

/* One step; nothing, once there is a complaint. */
void machine_step(machine_t *m, const uint8_t *record);

/* A machine's thread ends, another one takes over. */
void machine_leave_thread(machine_t *m);
void machine_enter_thread(machine_t *m);

/* Nothing fails any more. */
void machine_recover(machine_t *m);

/* Checks and frees everything that it has. */
void machine_end(machine_t *m);

/* ---- between the halves of the machine ---- */

typedef void machine_operation_t(machine_t *m, const uint8_t *r);

machine_operation_t op_arena_create, op_arena_end, op_arena_control,
    op_arena_hooks, op_bind, op_cache, op_thread, op_thread_control, op_prof,
    op_report, op_refuse, op_glibc, op_batch;

/* What end, begin and recovery are for controls. */
void controls_begin(machine_t *m);
void controls_end(machine_t *m);

/* The slot of the block that the record means, or -1. */
int machine_pick(const machine_t *m, const uint8_t *r);

size_t machine_size(const uint8_t *bytes);
bool machine_may_refuse(const machine_t *m);
bool machine_has_room(const machine_t *m);

/* Flags for a block of the machine, as bytes 2, 3 and 6 of the record say. */
int machine_flags(const machine_t *m, const uint8_t *r, size_t *alignment);

/* Notes an answer to a request: a block, or a NULL that is allowed. */
bool machine_note(
    machine_t *m, void *p, size_t size, size_t alignment, bool zero, int flags);

int machine_control(
    const char *name, void *out, size_t out_size, void *in, size_t in_size);

/*
 * Complains unless the control said 0, or what a shortage excuses while the
 * machine may be refused memory. Whether it was 0.
 */
bool machine_expect(machine_t *m, const char *name, int error);

/* The arena of a block. */
unsigned machine_arena_of(machine_t *m, void *p);

/* Bytes that the calling thread allocated and did not free. */
bool machine_net(int64_t *net);

#endif
