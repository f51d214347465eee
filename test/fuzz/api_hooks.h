/*
 * What: extent hooks that refuse when told so, and that watch the library:
 * which ranges it may name, and that no live block lies in what it purges,
 * decommits or gives back.
 *
 * Invariants: (I1) an owner knows exactly the ranges that its arena has;
 * (I2) a lazy purge leaves rubbish behind, a forced one zeros, a decommitted
 * range is inaccessible until it is committed.
 *
 * Locking: an owner has a lock, for any thread may purge any arena. Its model
 * is looked at by the model's own thread alone.
 */
#ifndef JE_TEST_FUZZ_API_HOOKS_H
#define JE_TEST_FUZZ_API_HOOKS_H

#include <pthread.h>

#define JEMALLOC_NO_DEMANGLE
#include "jemalloc/jemalloc.h"

#include "api_model.h"

#define HOOKS_RANGES 256
#define HOOKS_KINDS  9

typedef struct {
    uintptr_t start;
    uintptr_t end;
} hooks_range_t;

typedef struct hooks_owner {
    extent_hooks_t table; /* first: it is how a hook finds the owner */
    const model_t *model; /* whose blocks must not be touched */
    unsigned arena;
    bool arena_known;
    bool pinned;                    /* all memory is said to stay for ever */
    bool dirty;                     /* fresh memory is not zero */
    bool allocate;                  /* hooks allocate themselves */
    bool ending;                    /* the arena is being destroyed */
    uint16_t refusals[HOOKS_KINDS]; /* of sixteen calls, which are refused */
    unsigned calls[HOOKS_KINDS];
    hooks_range_t ranges[HOOKS_RANGES];
    unsigned range_count;
    pthread_mutex_t lock; /* of the refusals, calls and ranges */
} hooks_owner_t;

/* Whose thread this is; NULL: nobody's. */
extern _Thread_local const model_t *hooks_model;

/*
 * An owner that takes some of the hooks, as the bits of `shape` say; the
 * model is that of the arena's thread.
 */
void hooks_open(hooks_owner_t *owner, const model_t *model, uint16_t shape);

/* Another table for an arena that is at work: other hooks are missing. */
void hooks_reshape(hooks_owner_t *owner, uint16_t shape);

/* Whether a request for memory may be refused. */
bool hooks_may_refuse(const hooks_owner_t *owner);

void hooks_refuse_nothing(hooks_owner_t *owner);

/* Whether metadata can leave by the only way it has. */
bool hooks_gives_back(const hooks_owner_t *owner);

/* The arena is gone: so must be its ranges, if nothing was refused. */
void hooks_close(hooks_owner_t *owner, bool all_gone);

#endif
