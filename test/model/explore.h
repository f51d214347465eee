/*
 * What: runs a few model threads, which execute the library's own code, in
 * all orders of their steps, and with all values that a weak memory may show
 * them. The code is compiled as for ThreadSanitizer, so that each access of
 * memory calls here; the sanitizer's library is not there.
 *
 * The memory is that of views: each variable keeps all values it ever had, in
 * order; a thread may read any that is not older than what it knows of; who
 * reads with acquire what was written with release learns what the writer
 * knew; a fence, or a sequentially consistent access, shares what is known
 * with all others that do the same. So a load may be early and a store late.
 * What this does not show: a load that reads a store which comes after it in
 * its own thread, and stores that pass an earlier store of another thread to
 * the same variable.
 *
 * Steps are atomic accesses, system calls, and accesses to what model_racy
 * names. Other accesses are ordinary: two of them that no order connects, one
 * a write, are a data race and fail the model.
 *
 * Invariants: (I1) an execution is a function of its choices; (I2) a state
 * that was seen is not entered again: a thread's state is what it has read,
 * the memory's is what was written, in which order and with which knowledge.
 *
 * Locking: none; one real thread.
 */
#ifndef JE_TEST_EXPLORE_H
#define JE_TEST_EXPLORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
    const char *name;
    unsigned threads;
    void (*setup)(void);
    void (*thread)(unsigned me);
    void (*check)(void); /* after all threads have ended */
} model_t;

/*
 * Explores each model: PROGRAM [BOUND_OF_TWO [BOUND_OF_MORE [MODEL]]]. A bound
 * limits both how often a thread is interrupted and how often it reads what is
 * not the newest, in models of two threads and of more; -1 is none. Returns
 * the exit status for main.
 */
int model_main(const model_t *models, size_t count, int argc, char **argv);

/* Plain accesses to these words are steps, and see what atomic ones see. */
void model_racy(void *first, size_t bytes);

/* The number of the running thread. */
unsigned model_me(void);

/* Fails the execution unless it held. */
void model_require(bool held, const char *what);
#define MODEL_REQUIRE(condition) model_require((condition), #condition)

/* What the system does for os.h. */
void model_wait(const void *word, uint32_t expected);
void model_wake(const void *word, int count);
void model_barrier(void);

/* Lets others go on until one of them has written something. */
void model_yield(void);

/* One step without an access. */
void model_step(void);

#endif
