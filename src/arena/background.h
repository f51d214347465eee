/*
 * What: (room for) the thread that lets pages decay while nobody allocates.
 * Until it arrives the ticks of busy threads do that work.
 *
 * Invariants: (I1) never started by a process that forbids it.
 *
 * Locking: its own.
 */
#ifndef JE_ARENA_BACKGROUND_H
#define JE_ARENA_BACKGROUND_H

#include "arena/arena_table.h"

#endif
