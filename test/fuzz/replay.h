/*
 * What: what all fuzz targets share: complaints, and, in plain programs, the
 * replay of a corpus and of inputs that are made of it or made up.
 *
 *   TARGET             the corpus, then so many rounds of inputs made by
 *                      `make`; ROUNDS of them, or T seconds, if that is in
 *                      the environment, beginning with JE_SEED
 *   TARGET FILE...     these inputs
 *
 * With libFuzzer: compile the target and replay.c with -DJE_LIBFUZZER
 * -fsanitize=fuzzer; the first complaint ends the program then.
 *
 * Invariants: (I1) the same seed makes the same inputs; it is printed.
 *
 * Locking: none.
 */
#ifndef JE_TEST_FUZZ_REPLAY_H
#define JE_TEST_FUZZ_REPLAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REPLAY_INPUT_MAX 65536

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What an input must not change; the first that does not hold is kept. */
void replay_check(bool holds, const char *what);

#ifndef JE_LIBFUZZER

typedef struct replay_target {
    const char *name;     /* of the corpus */
    size_t input_max;     /* longer ones are cut; at most REPLAY_INPUT_MAX */
    unsigned long rounds; /* of inputs that are made */
    /* Makes one in so much room, and says how long it is. */
    size_t (*make)(uint8_t *data);
    void (*finish)(void); /* after the last one; or NULL */
} replay_target_t;

int replay_main(int argc, char **argv, const replay_target_t *target);

/* ---- for `make` ---- */

size_t replay_below(size_t limit);

/* Any input of the corpus; how long it is. */
size_t replay_pick(uint8_t *data);

/* Goes on at `at` with the tail of any input; how long it is then. */
size_t replay_splice(uint8_t *data, size_t at);

/* One of the corpus with a few bytes changed, cut, or with another's tail. */
size_t replay_mutate(uint8_t *data);

#endif

#endif
