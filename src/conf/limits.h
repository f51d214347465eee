/*
 * What: the compile-time numbers of the design, each with its reason.
 *
 * Invariants: the static_asserts.
 *
 * Locking: none.
 */
#ifndef JE_CONF_LIMITS_H
#define JE_CONF_LIMITS_H

#include <limits.h>

#include "util/common.h"

/* Internal page: what is counted and cut. The system's may be larger. */
#define LG_PAGE   12
#define PAGE      ((size_t)1 << LG_PAGE)
#define PAGE_MASK (PAGE - 1)
#define PAGES(n)  ((size_t)(n) << LG_PAGE)

/* The processor's large page; only advice and growth steps depend on it. */
#define HUGEPAGE ((size_t)1 << CONFIG_LG_HUGEPAGE)

/* Slow calls of a thread between two rounds of its periodic work. */
#define EVENT_PERIOD 64
/* Every so many events all classes of the cache are looked at. */
#define EVENT_CACHE_PERIOD 4

/* Alignment of every block of 16 bytes and more: what long double needs. */
#define QUANTUM 16

/* Pointer bits; the series of size classes ends one group below. */
#define LG_PTR_BITS (sizeof(void *) == 8 ? 64 : 32)

/*
 * The series has 8, then four steps a doubling from 16 on; four steps keep
 * rounding under 20 %.
 */
#if UINTPTR_MAX > 0xffffffffU
#    define SC_COUNT 232
#    define SC_MAX   ((size_t)0x7000000000000000ULL)
#else
#    define SC_COUNT 104
#    define SC_MAX   ((size_t)0x70000000U)
#endif

/* Classes cut from slabs: up to three and a half pages. */
#define SC_SMALL_COUNT 36
#define SC_SMALL_MAX   ((size_t)14336)
#define SC_LARGE_MIN   ((size_t)16384)

/* Largest request that the byte table translates: fits in a few lines. */
#define SC_LOOKUP_MAX   ((size_t)4096)
#define SC_LOOKUP_COUNT (SC_LOOKUP_MAX / 8 + 1)

/* Largest request that thread caches hold; the class above costs 40 KiB. */
#define TCACHE_MAX_LIMIT ((size_t)32768)
/* Classes up to TCACHE_MAX_LIMIT: the small ones and five large. */
#define TCACHE_CLASS_COUNT 41
/* Bins of a cache: cached classes, and bin 0 that stands for "not small". */
#define TCACHE_BIN_COUNT (TCACHE_CLASS_COUNT + 1)

/* All classes between SC_LOOKUP_MAX and TCACHE_MAX_LIMIT are whole steps. */
#define SC_COARSE_STEP  ((size_t)1024)
#define SC_COARSE_COUNT (TCACHE_MAX_LIMIT / SC_COARSE_STEP + 1)

/* Regions in a slab: the bitmap fills the rest of a 128-byte descriptor. */
#define SLAB_REGIONS_MAX 512

/* Arena indices must fit 12 bits of the flags word; two are special. */
#define ARENA_LIMIT      4095
#define ARENA_ALL        4096
#define ARENA_DESTROYED  4097
#define ARENA_AUTO_LIMIT (ARENA_LIMIT - 1)
#define TCACHE_ID_LIMIT  4094
#define BIN_SHARDS_MAX   64

/* A map leaf covers one GiB: small enough to back, few enough to index. */
#define MAP_LG_LEAF    30
#define MAP_LG_ROOT    (CONFIG_LG_VADDR - MAP_LG_LEAF)
#define MAP_ROOT_COUNT ((size_t)1 << MAP_LG_ROOT)
#define MAP_LEAF_PAGES ((size_t)1 << (MAP_LG_LEAF - LG_PAGE))

/* Steps of the alignment of blocks that may start anywhere in a page. */
#define LARGE_OFFSET_UNIT 64

/* Guard pages around a guarded extent, on each side, in system pages. */
#define GUARD_PAGES 1

/* First growth step of a page store, and the largest by itself. */
#define GROW_MIN_BYTES HUGEPAGE
#define GROW_MAX_BYTES ((size_t)256 << 20)

/*
 * What the arena of huge blocks keeps for reuse, and how long: a program that
 * takes, fills and drops one buffer after another faults it in but once.
 */
#define OVERSIZE_DIRTY_BYTES ((size_t)32 << 20)
#define OVERSIZE_DECAY_MS    250

/* From this size on moving pages beats copying them. */
#define MOVE_PAGES_MIN ((size_t)256 << 10)

static_assert(SC_LOOKUP_MAX <= SC_SMALL_MAX, "the table holds small classes");
static_assert(TCACHE_BIN_COUNT <= 255, "a class must fit a byte of the map");
static_assert(CONFIG_LG_VADDR > MAP_LG_LEAF, "the root needs a bit");
static_assert(SC_LARGE_MIN % PAGE == 0, "large blocks are whole pages");

#endif
