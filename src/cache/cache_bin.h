/*
 * What: the hot part of a thread cache: for each class a bounded stack of
 * pointers. Three arrays, so that the index scales into an addressing mode.
 *
 *   limit         head                    bottom
 *   | free slots  | p | p | p | p | ... | NULL |
 *
 * The stack grows down. `head` points to the next pointer to hand out; a
 * NULL there means empty, head == limit means full.
 *
 * Invariants: (I1) *bottom is NULL for ever; (I2) the closed cache is both
 * empty and full in every class and lies in read-only memory: whoever uses
 * it falls into the slow path by the tests that the fast path makes anyway;
 * (I3) class byte 0 ("not small") is closed in every cache; (I4) a request
 * that makes the count of its class zero is refused: that is how the slow path
 * has itself called after so many requests (sampling.h); others count from
 * zero up, and never come there again.
 *
 * Locking: a cache belongs to one thread.
 */
#ifndef JE_CACHE_CACHE_BIN_H
#define JE_CACHE_CACHE_BIN_H

#include "conf/limits.h"
#include "os/registers.h"

typedef struct {
    uint64_t requests[TCACHE_BIN_COUNT]; /* first: an add without an offset */
    void **heads[TCACHE_BIN_COUNT];
    void **limits[TCACHE_BIN_COUNT];
} cache_bins_t;

extern const cache_bins_t cache_bins_closed;

/*
 * Through which cache a thread's fast path sees what: one, the closed one, or
 * different ones. An array, as who closes one closes all.
 */
enum {
    CACHE_DOOR_TAKE,
    CACHE_DOOR_GIVE,
    CACHE_DOOR_GIVE_SIZED, /* the size is believed */
    CACHE_DOORS
};

/*
 * The index, as if it were another one: keeps the compiler from computing
 * the element's address in an instruction of its own.
 */
JE_ALWAYS_INLINE size_t cache_bins_again(size_t class_byte)
{
    __asm__("" : "+r"(class_byte));
    return class_byte;
}

/* Two loads, one test, one store, one add. NULL if empty, or refused. */
JE_ALWAYS_INLINE void *cache_bins_pop(cache_bins_t *bins, size_t class_byte)
{
    void **head = bins->heads[class_byte];
    void *p = register_of_result(*head);
    if (JE_UNLIKELY(p == NULL)) {
        return NULL;
    }
    class_byte = cache_bins_again(class_byte);
    bins->heads[class_byte] = head + 1;
    class_byte = cache_bins_again(class_byte);
    if (JE_UNLIKELY(++bins->requests[class_byte] == 0)) {
        bins->heads[cache_bins_again(class_byte)] = head;
        return NULL;
    }
    return p;
}

/* Two loads, one test, two stores. False if full. */
JE_ALWAYS_INLINE bool cache_bins_push(
    cache_bins_t *bins, size_t class_byte, void *p)
{
    void **head = bins->heads[class_byte];
    class_byte = cache_bins_again(class_byte);
    if (JE_UNLIKELY(head == bins->limits[class_byte])) {
        return false;
    }
    *--head = p;
    bins->heads[cache_bins_again(class_byte)] = head;
    return true;
}

#endif
