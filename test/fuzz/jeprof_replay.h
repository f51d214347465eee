/*
 * What: what the fuzz targets of jeprof share when they are plain programs: a
 * corpus is replayed, then played with.
 *
 * Invariants: (I1) a target returns 0 or ends the program.
 *
 * Locking: none.
 */
#ifndef JE_TEST_JEPROF_REPLAY_H
#define JE_TEST_JEPROF_REPLAY_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* For main: files named on the command line, or the corpus `name`. */
int replay_main(int argc, char **argv, const char *name);

#endif
