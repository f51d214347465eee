/*
 * What: the table of strings and the index, see texts.h.
 *
 * Invariants: (I1) an index is at most half full.
 *
 * Locking: none.
 */
#include "texts.h"

#include <string.h>

#include "mem.h"

#define CHUNK 65536

typedef struct key {
    const char *bytes;
    size_t len;
} text_key_t;

static struct {
    const char **at;
    uint32_t *len;
    size_t count;
    size_t room;
    size_t len_room;
    index_t index;
    char *chunk;
    size_t left;
} texts;

uint64_t hash_word(uint64_t word)
{
    word ^= word >> 32;
    word *= 0x9e3779b97f4a7c15ULL;
    word ^= word >> 29;
    word *= 0xd6e8feb86659fd93ULL;
    return word ^ (word >> 32);
}

uint64_t hash_bytes(const void *bytes, size_t len)
{
    const unsigned char *p = bytes;
    uint64_t h = len;
    while (len >= 8) {
        uint64_t word;
        memcpy(&word, p, 8);
        h = hash_word(h ^ word);
        p += 8;
        len -= 8;
    }
    uint64_t tail = 0;
    if (len > 0) {
        memcpy(&tail, p, len);
    }
    return hash_word(h ^ tail);
}

static void enter(index_t *t, uint32_t hash, uint32_t id)
{
    size_t i = hash & t->mask;
    while (t->slots[i].id != 0) {
        i = (i + 1) & t->mask;
    }
    t->slots[i] = (index_slot_t){hash, id};
}

static void grow(index_t *t)
{
    index_t old = *t;
    size_t size = old.slots == NULL ? 64 : (old.mask + 1) * 2;
    t->slots = mem_alloc(size * sizeof(*t->slots));
    t->mask = size - 1;
    for (size_t i = 0; old.slots != NULL && i <= old.mask; i++) {
        if (old.slots[i].id != 0) {
            enter(t, old.slots[i].hash, old.slots[i].id);
        }
    }
    mem_free(old.slots);
}

uint32_t index_find(index_t *t, uint64_t hash, index_same_fn_t same,
    const void *key, uint32_t fresh)
{
    uint32_t h = (uint32_t)(hash >> 32);
    if (t->slots != NULL) {
        for (size_t i = h & t->mask; t->slots[i].id != 0;
             i = (i + 1) & t->mask) {
            if (t->slots[i].hash == h && same(t->slots[i].id - 1, key)) {
                return t->slots[i].id - 1;
            }
        }
    }
    if (fresh != INDEX_NEW) {
        if (t->slots == NULL || t->count * 2 > t->mask) {
            grow(t);
        }
        t->count++;
        enter(t, h, fresh + 1);
    }
    return INDEX_NEW;
}

static bool same_text(uint32_t id, const void *key)
{
    const text_key_t *k = key;
    return texts.len[id] == k->len &&
           memcmp(texts.at[id], k->bytes, k->len) == 0;
}

static const char *keep(const char *bytes, size_t len)
{
    if (len >= CHUNK / 8) {
        return mem_copy(bytes, len);
    }
    if (texts.left <= len) {
        texts.chunk = mem_alloc(CHUNK);
        texts.left = CHUNK;
    }
    char *at = texts.chunk;
    memcpy(at, bytes, len);
    texts.chunk += len + 1;
    texts.left -= len + 1;
    return at;
}

uint32_t text_id(const char *bytes, size_t len)
{
    if (texts.count == 0 && len > 0) {
        text_id("", 0);
    }
    text_key_t key = {bytes, len};
    uint32_t fresh = (uint32_t)texts.count;
    uint32_t id = index_find(
        &texts.index, hash_bytes(bytes, len), same_text, &key, fresh);
    if (id != INDEX_NEW) {
        return id;
    }
    texts.at = mem_room(texts.at, fresh, &texts.room, sizeof(*texts.at));
    texts.len = mem_room(texts.len, fresh, &texts.len_room, sizeof(uint32_t));
    texts.at[fresh] = keep(bytes, len);
    texts.len[fresh] = (uint32_t)len;
    texts.count++;
    return fresh;
}

uint32_t text_id_of(const char *string)
{
    return text_id(string, strlen(string));
}

const char *text_of(uint32_t id)
{
    return id < texts.count ? texts.at[id] : "";
}

uint32_t texts_count(void)
{
    return (uint32_t)texts.count;
}

void texts_forget(void)
{
    memset(&texts, 0, sizeof(texts));
}
