/*
 * What: reads CPU profiles of gperftools: machine words, then a memory map.
 *
 * Invariants: (I1) words are of 4 or 8 bytes in this machine's order, which
 * the first five of them tell: 0, at least 3, 0, the period, 0.
 *
 * Locking: none.
 */
#include <string.h>

#include "read.h"
#include "say.h"

typedef struct words {
    cursor_t c;
    size_t size;
} words_t;

static bool next_word(words_t *w, uint64_t *word)
{
    if ((size_t)(w->c.end - w->c.at) < w->size) {
        return false;
    }
    uint32_t half;
    if (w->size == 4) {
        memcpy(&half, w->c.at, 4);
        *word = half;
    } else {
        memcpy(word, w->c.at, 8);
    }
    w->c.at += w->size;
    return true;
}

static bool read_header(words_t *w, uint64_t *period)
{
    uint64_t zero, more, version;
    if (!next_word(w, &zero) || !next_word(w, &more) ||
        !next_word(w, &version) || !next_word(w, period) || zero != 0 ||
        more < 3 || more > 4096 || version != 0) {
        return false;
    }
    uint64_t padding;
    for (uint64_t i = 2; i < more; i++) {
        if (!next_word(w, &padding) || (i == 2 && padding != 0)) {
            return false;
        }
    }
    return true;
}

/* One pass to find the map behind the samples, one to read them. */
static bool read_samples(reading_t *r, words_t *w, bool add)
{
    uint64_t count, depth, address;
    while (next_word(w, &count) && next_word(w, &depth)) {
        if (depth > (uint64_t)(w->c.end - w->c.at) / w->size) {
            break;
        }
        r->depth = 0;
        bool is_end = false;
        for (uint64_t i = 0; i < depth && next_word(w, &address); i++) {
            is_end = count == 0 && depth == 1 && address == 0;
            if (add && !is_end) {
                reading_push(r, address, i > 0);
            }
        }
        if (is_end) {
            return true;
        }
        if (add) {
            double value[VALUES] = {
                (double)count, (double)count * r->period / 1e6, 0, 0};
            reading_add(r, THREAD_ALL, value);
        }
    }
    return false;
}

bool read_cpu(reading_t *r)
{
    for (size_t size = 8; size >= 4; size -= 4) {
        words_t w = {{r->in.bytes, r->in.bytes + r->in.len}, size};
        uint64_t period;
        if (!read_header(&w, &period)) {
            continue;
        }
        profile_set_kind(r->p, KIND_CPU, r->in.name);
        r->period = (double)period;
        r->p->period = r->period;
        words_t again = w;
        if (read_samples(r, &w, false)) {
            reading_maps(r, w.c);
        } else {
            warn("%s: the samples end too early: it is cut short and its "
                 "memory map is missing",
                r->in.name);
        }
        read_samples(r, &again, true);
        return true;
    }
    return false;
}
