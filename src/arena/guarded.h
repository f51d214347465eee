/*
 * What: blocks on pages of their own between pages that cannot be touched,
 * for the few that opt.guard_sample chooses, in one range of addresses that
 * nobody else uses. Every second slot has its block at the end, the others at
 * the start:
 *
 *   | guard |  slot 0:  ...| block | guard | block |...  :slot 1 | guard | ...
 *
 *   UNUSED --take--> LIVE --claim--> ENDING --give--> FREED --take--> LIVE
 *
 * A slot's pages can be touched, and have memory, while its block is LIVE. Who
 * takes gets a slot that was never used, else the one that has been FREED for
 * longest.
 *
 * Where the kernel has markers for pages that nobody may touch, they close a
 * slot: that is cheaper than changing rights, and all slots are one mapping.
 *
 * Invariants: (I1) the address range and the number of slots are fixed at
 * boot, and live blocks have GUARDED_LIVE_BYTES of memory at most; (I2) the
 * record of a slot says what its last block was until the next one is taken;
 * (I3) whoever gets no slot does without.
 *
 * Locking: `lock`, a leaf, guards the queue of slots. A record belongs to
 * whoever brought its slot out of FREED, UNUSED or LIVE; others read it as it
 * stands.
 */
#ifndef JE_ARENA_GUARDED_H
#define JE_ARENA_GUARDED_H

#include "conf/limits.h"
#include "util/atomic.h"

/* Larger blocks lie on pages of their own anyway: see opt.san_guard_large. */
#define GUARDED_SIZE_MAX TCACHE_MAX_LIMIT

/* Frames of each stack that is kept. */
#define GUARDED_FRAMES 32

/* Bytes of pages under live blocks. */
#define GUARDED_LIVE_BYTES ((size_t)8 << 20)

enum {
    GUARDED_UNUSED,
    GUARDED_LIVE,
    GUARDED_ENDING,
    GUARDED_FREED,
};

/* The beginning or the end of a block. */
typedef struct {
    uint32_t thread; /* as the system numbers them */
    uint32_t count;
    char name[16];
    uintptr_t frames[GUARDED_FRAMES];
} guarded_event_t;

typedef struct {
    _Atomic uint32_t state;
    bool is_marked; /* closed by markers, else by rights */
    uint32_t next;  /* in the queue */
    uintptr_t ptr;
    size_t size;     /* as asked for */
    size_t usize;    /* as it counts */
    uintptr_t pages; /* the first of its pages */
    size_t bytes;    /* of them */
    guarded_event_t born;
    guarded_event_t died;
} guarded_t;

/* The range; fixed at boot. */
extern struct guarded_range {
    uintptr_t start;
    size_t bytes; /* 0: the option is off */
} guarded_range;

/* At most `slots` of them, 0 for as many as is good. Nothing if memory lacks.
 */
void guarded_boot(unsigned slots);

static inline bool guarded_is_on(void)
{
    return guarded_range.bytes != 0;
}

/* Whether an address lies in the range, guards included. */
static inline bool guarded_has(const void *ptr)
{
    return (uintptr_t)ptr - guarded_range.start < guarded_range.bytes;
}

/*
 * A block of `size` bytes at a multiple of `alignment` (a power of two, or
 * 0); NULL if there is no slot for it.
 */
JE_MUST_USE guarded_t *guarded_take(
    size_t size, size_t usize, size_t alignment);

/*
 * The block around an address of the range or, from a guard, the nearest; NULL
 * if there was none.
 */
guarded_t *guarded_at(uintptr_t addr);

/* Ends the life of a block that starts there. False if there is none. */
JE_MUST_USE bool guarded_claim(guarded_t *block, const void *ptr);

/*
 * The first byte around a claimed block that was written to, though it is not
 * the program's; 0 if none was.
 */
uintptr_t guarded_touched(const guarded_t *block);

/* The pages of a claimed block cannot be touched any more. */
void guarded_give(guarded_t *block);

/* While it is on hold nobody gets a slot, and so no record changes owner. */
void guarded_hold(bool on);

/* From now on the page of an address of the range can be touched. */
JE_MUST_USE bool guarded_open(uintptr_t addr);

void guarded_prefork(void);

#endif
