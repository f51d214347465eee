/*
 * What: each distinct string once, under a number; and the index by hash that
 * this and other tables of things under a number are made with.
 *
 * Invariants: (I1) number 0 is the empty string; (I2) the text of a number
 * never moves.
 *
 * Locking: none.
 */
#ifndef JEPROF_TEXTS_H
#define JEPROF_TEXTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

uint32_t text_id(const char *bytes, size_t len);
uint32_t text_id_of(const char *string);
const char *text_of(uint32_t id);
uint32_t texts_count(void);

/* After mem_free_all, before the next use. */
void texts_forget(void);

#define INDEX_NEW UINT32_MAX

typedef struct index_slot {
    uint32_t hash;
    uint32_t id; /* plus 1; 0 is an empty slot */
} index_slot_t;

typedef struct index {
    index_slot_t *slots;
    size_t mask;
    size_t count;
} index_t;

/* Whether the thing of number `id` is what `key` describes. */
typedef bool (*index_same_fn_t)(uint32_t id, const void *key);

/*
 * The number under which the key is known, or, if it is not, INDEX_NEW after
 * having entered `fresh` for it (fresh == INDEX_NEW: only look).
 */
uint32_t index_find(index_t *t, uint64_t hash, index_same_fn_t same,
    const void *key, uint32_t fresh);

uint64_t hash_bytes(const void *bytes, size_t len);
uint64_t hash_word(uint64_t word);

#endif
